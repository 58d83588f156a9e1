/*
 * POST /init, as its files share it: clients that wait, the works that are
 * done for them, and the service that does one at a time.
 *
 *     init.c           a client: its body, its answer
 *     init_queue.c     authorisation, the queue, the course of one work
 *     init_service.c   the end of the service
 *     init_steps.c     what a work consists of
 *     init_resume.c    what a new life of the machine asks for
 *     init_report.c    what is told of a work when it ends
 *
 * A work belongs to no client.  Clients that want the same share it, one that
 * leaves takes nothing with it, and what has begun is carried to its end.
 *
 * Context: loop.
 */
#ifndef ENVD_API_INIT_H
#define ENVD_API_INIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "api/init_authorise.h"
#include "api/init_request.h"
#include "guest/freezer.h"
#include "guest/mmds.h"
#include "loop/loop.h"
#include "loop/worker.h"

struct envd;
struct http_exchange;
struct init_service;
struct init_work;

/* ---- clients ------------------------------------------------------------- */

/* What all who wait for a work are told; valid during the call. */
struct init_result {
    int status;         /* 204, 400, 401, 503; 0: cut, so that it is retried */
    const char *text;   /* of a refusal, "" for none */
    const char *audit;  /* X-Envd-Freeze-Audit, "" for none */
    const char *resume; /* X-Agent-Resume, "" when it was none */
    const char *times;  /* X-Agent-Init-Ms */
};

/* Somebody who waits; embed it, zero-initialised. */
struct init_waiter {
    TAILQ_ENTRY(init_waiter) link;
    struct init_work *work;         /* NULL: none */
    struct http_exchange *exchange; /* whose connection outlives a resume;
                                       may be NULL */
    bool has_timestamp;
    int64_t timestamp_ns;
    bool joined; /* a work that another one has brought */
    bool silent; /* see init_half_close() */
    void (*done)(struct init_waiter *w, const struct init_result *r);
};

/*
 * Have a request done, or share a work that wants the same.
 *
 * w  its `done` is called once, never from inside, unless it leaves before
 * r  taken over
 */
void init_submit(struct init_service *s, struct init_waiter *w,
                 struct init_request *r);

/* The client has left. */
void init_leave(struct init_waiter *w);

/*
 * The client says no more: most likely it has left.  It is told 503 if it only
 * waits for its turn, or for what others have brought.
 */
void init_half_close(struct init_waiter *w);

/* ---- works --------------------------------------------------------------- */

/* When a step is gone through. */
enum init_when {
    INIT_ALWAYS,
    INIT_IF_DATA,    /* nothing has failed, and the request is not stale */
    INIT_IF_RESUMED, /* and another life has begun with it */
};

struct init_step {
    const char *name; /* as X-Agent-Init-Ms has it */
    enum init_when when;
    /* Returns false when init_work_continue() will be called, later. */
    bool (*begin)(struct init_work *w);
};

#define INIT_STEPS_MAX 16

/* What a test puts in the place of the machine. */
struct init_ops {
    const struct init_step *steps;
    size_t step_count; /* at most INIT_STEPS_MAX */
    /*
     * Ask the metadata service for the hash of the token: init_work_told()
     * follows, later.  Returns false when there is no such service.
     */
    bool (*ask)(struct init_work *w);
    void (*ask_cancel)(struct init_work *w);
    bool (*answered_before)(const struct init_service *s);
    /* All is done, and will be answered with 204. */
    void (*succeeded)(struct init_work *w);
};

/* The real ones (init_steps.c). */
extern const struct init_ops init_ops;

enum init_state {
    INIT_NEW, /* until the end of the turn */
    INIT_AUTHORISING,
    INIT_WAITING, /* for its turn */
    INIT_RUNNING,
};

/* What a resume did. */
struct init_resume {
    bool resumed;
    size_t cut; /* connections */
    int reseed_error;
    int generation_error;
    uint64_t generation;
};

TAILQ_HEAD(init_waiters, init_waiter);

struct init_work {
    TAILQ_ENTRY(init_work) link;
    struct init_service *service;
    struct init_request *request;
    struct init_waiters waiters;
    enum init_state state;

    /* Authorisation. */
    struct mmds_lookup lookup;
    struct loop_timer retry;
    enum init_hash hash_state;
    char hash[132]; /* longer than any that is one */
    int64_t hold_until_ms;
    bool asked;      /* the service is being asked */
    bool has_answer; /* and has answered this work */

    /* The course. */
    size_t at; /* the step */
    bool decided;
    bool stale;
    int status; /* of a failure, else 0 */
    char *text; /* of it, owned */
    char audit[160];
    int64_t clock_delta_ns; /* by which the clock was wrong when it was set */
    bool clock_set;
    struct init_resume resume;
    struct mmds_lookup identity;
    bool identity_awaited;

    /* When what began; ns. */
    int64_t came_ns;
    int64_t authorised_ns;
    int64_t began_ns;
    int64_t step_ns;
    int64_t took_ns[INIT_STEPS_MAX]; /* -1: left out */
    long faults_minor;
    long faults_major;
};

/* The step that runs is done. */
void init_work_continue(struct init_work *w);

/*
 * Fail the work: steps that are done always follow, then the answer.
 * text  copied
 */
void init_work_fail(struct init_work *w, int status, const char *prefix,
                    const char *text);

/* What the metadata service says.  hash  NULL: it cannot be reached */
void init_work_told(struct init_work *w, const char *hash);

/* ---- the service --------------------------------------------------------- */

struct init_stats {
    uint64_t requests;
    uint64_t shared;  /* of those, that joined a work */
    uint64_t works;   /* gone through */
    uint64_t stale;   /* of those */
    uint64_t failed;  /* of those */
    uint64_t refused; /* 401 */
    uint64_t dropped; /* works that nobody waited for any more */
    uint64_t cut;     /* for lack of room */
    uint64_t resumes;
    int64_t last_us; /* the last work, from its arrival to its end */
    int64_t phase_us[INIT_STEPS_MAX]; /* all works, in the order of the steps */
};

TAILQ_HEAD(init_works, init_work);
LIST_HEAD(init_events, init_event);

struct init_service {
    struct envd *envd;
    const struct init_ops *ops;
    struct init_works works; /* those that are authorised in their order */
    size_t count;
    size_t body_bytes; /* of all bodies, those that are being read too */
    struct init_work *running;
    struct loop_deferred pump;
    char *lifecycle; /* the life that runs; NULL: not told yet */
    struct init_events events;
    bool initialised;
    bool closing;
    struct init_stats stats;
};

/*
 * e    borrowed; of its parts those that exist are used
 * ops  borrowed; NULL is &init_ops
 */
struct init_service *init_service_new(struct envd *e,
                                      const struct init_ops *ops);

/* Nothing is begun any more; before the parts of the agent are taken down. */
void init_service_close(struct init_service *s);

/* When the worker pool and all that it asks are gone.  NULL is fine. */
void init_service_free(struct init_service *s);

void init_get_stats(const struct init_service *s, struct init_stats *ret);

/* Whether an /init has succeeded since the process began. */
bool init_was_done(const struct init_service *s);

/* ---- parts --------------------------------------------------------------- */

/* init_queue.c: take it out of the queue; nobody is told. */
void init_work_free(struct init_work *w);

/* init_resume.c */
bool init_step_resume(struct init_work *w);
bool init_step_hooks(struct init_work *w);
/* The value of X-Agent-Resume. */
void init_resume_header(const struct init_work *w, struct buf *out);

/* init_report.c: the value of X-Agent-Init-Ms, {"authorise":0.012,…}. */
void init_report_times(const struct init_work *w, struct buf *out,
                       int64_t now_ns);
void init_report_log(const struct init_work *w, int status, const char *text,
                     int64_t total_ns);

/* init_hyperloop.c: map the address of events, and tell commands of it. */
void init_hyperloop(struct init_service *s, const char *address);
void init_hyperloop_free(struct init_service *s);

#endif
