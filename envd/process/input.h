/*
 * The input of one process: writes wait in a queue, in order, and go to its
 * stdin or terminal as it reads.
 */
#ifndef ENVD_PROCESS_INPUT_H
#define ENVD_PROCESS_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/status.h"
#include "loop/loop.h"
#include "process/process.h"

TAILQ_HEAD(process_inputs, process_input);

struct input {
    struct loop *loop;
    struct loop_io io; /* armed while something waits */
    int fd;            /* to write to; -1 when there is none or it is closed */
    bool pty;          /* it is a terminal's */
    bool ended;        /* the process has ended */
    uint32_t pid;
    struct process_inputs waiting;
    size_t waiting_bytes;
};

/* fd   non-blocking, owned from now on; -1 for none */
void input_init(struct input *q, struct loop *loop, uint32_t pid, int fd,
                bool pty);

/* As process_input(). */
int input_add(struct input *q, struct process_input *in, struct status *st);

/* As process_input_cancel(). */
void input_remove(struct input *q, struct process_input *in);

/*
 * The process has ended: close, and fail what waits.  Calls back; from the
 * loop only.
 */
void input_end(struct input *q);

/* Close, and forget what waits without a word. */
void input_done(struct input *q);

/* The failure of an input for a process that has ended.  Returns -1. */
int input_fail_ended(uint32_t pid, bool pty, const struct process_input *in,
                     struct status *st);

#endif
