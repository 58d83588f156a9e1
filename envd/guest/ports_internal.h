/*
 * Inside of guest/ports*: the struct, and what looking and asking tell each
 * other.
 */
#ifndef ENVD_GUEST_PORTS_INTERNAL_H
#define ENVD_GUEST_PORTS_INTERNAL_H

#include "guest/forward_address.h"
#include "guest/ports.h"
#include "guest/sock_diag.h"
#include "loop/loop.h"

struct forwarder;
struct owner_job;

TAILQ_HEAD(question_list, ports_question);
TAILQ_HEAD(follower_list, ports_follower);

struct ports {
    struct loop *loop;
    struct ports_options options;
    struct sock_diag *diag;
    struct port_table table;
    struct forwarder *forwarder;
    struct forward_address address;
    size_t forwarded;
    uint64_t scans;

    struct loop_timer timer;
    bool armed;
    int64_t next_ms;     /* when it fires */
    int64_t interval_ms; /* what it was set to last */
    int64_t changed_ms;  /* when ports changed last; 0: never */

    /* Of ports_ask.c. */
    struct question_list questions;
    struct follower_list followers;
    struct owner_job *owners;  /* being looked up */
    struct loop_deferred tell; /* followers, and who has an answer */
    uint64_t told_version;     /* of the table, to followers */
};

/* Look in `ms` milliseconds at the latest, and again soon behind that. */
void ports_look_soon(struct ports *p, int64_t ms);

/* A look begins; it is over. */
void ports_looking(struct ports *p);
void ports_looked(struct ports *p);

void ports_asking_init(struct ports *p);
void ports_asking_done(struct ports *p);

#endif
