/*
 * The blocking half of a volume: one phase on a worker.
 */
#ifndef ENVD_GUEST_VOLUME_JOB_H
#define ENVD_GUEST_VOLUME_JOB_H

#include "guest/volume.h"

struct volume_job {
    struct job job;
    TAILQ_ENTRY(volume_job) link;
    struct volume_env *env;
    struct volume *volume; /* NULL for a stray; loop only */
    enum volume_phase phase;
    struct volumes_ops ops;
    char *target;
    char *path;
    char *point;     /* in: where to unmount */
    char *statd_pid; /* in */
    char *helper;    /* in: NULL when there is none to be used */

    /* Out. */
    int result;
    bool mounted;   /* VOLUME_LOOK */
    bool own_locks; /* VOLUME_MOUNT: the server knows nothing of them */
    char *found;    /* VOLUME_LOOK, VOLUME_MKDIR: the path without links */
    char *program;  /* VOLUME_MKDIR: the helper is needed */
};

/* Submit the phase of `v`.  Returns 0 or -errno. */
int volume_job_submit(struct volume *v, void (*done)(struct job *job));

void volume_job_free(struct volume_job *j);

/* Whether something is mounted exactly at a path without links. */
bool volume_is_mounted(const char *point);

#endif
