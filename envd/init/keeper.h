/*
 * The other end of sd_notify(3): what the agent tells process 1, and the
 * descriptors that it leaves there for its successor.
 */
#ifndef ENVD_INIT_KEEPER_H
#define ENVD_INIT_KEEPER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define KEEPER_FDS        8
#define KEEPER_NAME_BYTES 64

struct keeper {
    int fd; /* the socket that is listened on; -1: there is none */
    char address[32];
    struct {
        int fd;
        char name[KEEPER_NAME_BYTES];
    } kept[KEEPER_FDS];
    size_t count;
};

void keeper_init(struct keeper *k);

/*
 * Take what has arrived from process `sender`; others are not heard.  Returns
 * whether it said that it is ready.
 */
bool keeper_receive(struct keeper *k, pid_t sender);

/*
 * In the child that becomes the agent: give it the address, and the
 * descriptors from 3 on.
 */
void keeper_pass(const struct keeper *k);

#endif
