/*
 * One volume on its way to being mounted; the inside of volumes.h.
 *
 *     look -> umount by force -> detach -> make directories -> mount
 *
 * Each phase is a job with a time of its own.  A job that exceeds it is left
 * to itself: it cannot be taken back, and is a stray until it ends.
 */
#ifndef ENVD_GUEST_VOLUME_H
#define ENVD_GUEST_VOLUME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "guest/helper.h"
#include "guest/volumes.h"
#include "loop/loop.h"
#include "loop/worker.h"

enum volume_phase {
    VOLUME_LOOK,   /* what is mounted there */
    VOLUME_UMOUNT, /* by force */
    VOLUME_DETACH, /* lazily, when that failed */
    VOLUME_MKDIR,  /* and who is to mount */
    VOLUME_MOUNT,
};

struct volume;
struct volume_job;

/* Jobs that were left to themselves. */
TAILQ_HEAD(volume_strays, volume_job);

/* What all volumes share; outlives them and their strays. */
struct volume_env {
    struct loop *loop;
    struct worker_pool *pool;
    struct volumes_ops ops;
    const struct helper_spawner *spawner; /* or NULL */
    char *helper;
    char *statd_pid;
    int64_t umount_ms;
    int64_t mount_ms;
    struct volume_strays strays;
    void (*on_stray_end)(struct volume_env *env);
};

/* error  NULL when it is mounted */
typedef void (*volume_cb)(struct volume *v, const char *error);

struct volume {
    struct volume_env *env;
    char *target;
    char *path;
    volume_cb done;
    enum volume_phase phase;
    bool running;
    bool waiting;           /* for a stray of the same path */
    struct volume_job *job; /* with a worker, or NULL */
    struct loop_timer timer;
    struct loop_timer retry;
    struct loop_deferred fail;
    struct helper helper;
    int64_t until_ms; /* the mount, with its repetitions */
    int64_t pause_ms; /* before the next one */
    char *point;      /* the path without links; from VOLUME_LOOK */
    char *program;    /* the helper that is to mount, or NULL */
    struct buf error;
};

/* Zero-initialised, with env, target and path (owned) set. */
void volume_start(struct volume *v, volume_cb done);

/* The stray that it waited for may be gone. */
void volume_go_on(struct volume *v);

/* End what runs, as far as it can be ended; not called back. */
void volume_abandon(struct volume *v);

/* As volume_abandon(), and free what it holds. */
void volume_done(struct volume *v);

#endif
