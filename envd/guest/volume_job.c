/*
 * What a volume asks of the kernel.
 */
#include "guest/volume_job.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/mounts.h"
#include "base/scope.h"
#include "guest/nfs.h"
#include "guest/trusted.h"

bool
volume_is_mounted(const char *point)
{
    SCOPE(scope_free) char *table = mounts_read();
    SCOPE(scope_free) char *found = NULL;

    if (table != NULL)
        found = mounts_find(table, point);
    return found != NULL && strcmp(found, point) == 0;
}

static char *
place_path(const struct trusted_place *place)
{
    const char *dir = strcmp(place->dir, "/") == 0 ? "" : place->dir;
    size_t size = strlen(dir) + strlen(place->name) + 2;
    char *path = xcalloc(size, 1);

    (void)snprintf(path, size, "%s/%s", dir, place->name);
    return path;
}

/* Nothing is mounted where there is no directory. */
static int
run_look(struct volume_job *j)
{
    struct trusted_place place;
    int r = trusted_find(j->path, TRUSTED_LINKS, &place);

    if (r < 0)
        return r == -ENOENT ? 0 : r;
    fd_close(&place.dir_fd);
    j->found = place_path(&place);
    j->mounted = volume_is_mounted(j->found);
    return 0;
}

static int
run_umount(const struct volume_job *j, int flags)
{
    int r = j->ops.umount(j->ops.ctx, j->point, flags | UMOUNT_NOFOLLOW);

    /* Somebody else was faster. */
    return r == -EINVAL && !volume_is_mounted(j->point) ? 0 : r;
}

static int
run_mkdir(struct volume_job *j)
{
    struct trusted_place place;
    char helper[PATH_MAX];
    int r = trusted_find(j->path, TRUSTED_MAKE, &place);

    if (r < 0)
        return r;
    if (mkdirat(place.dir_fd, place.name, 0755) < 0 && errno != EEXIST)
        r = -errno;
    fd_close(&place.dir_fd);
    if (r < 0)
        return r;
    j->found = place_path(&place);
    if (j->helper != NULL &&
        nfs_needs_helper(j->target, j->statd_pid, j->helper, helper))
        j->program = xstrdup(helper);
    return 0;
}

/* Mount on what is held open, so that it cannot be exchanged. */
static int
mount_at(const struct volume_job *j, int fd, const char *data)
{
    char point[32];

    (void)snprintf(point, sizeof(point), "/proc/self/fd/%d", fd);
    return j->ops.mount(j->ops.ctx, j->target, point, "nfs", MS_SYNCHRONOUS,
                        data);
}

static int
run_mount(struct volume_job *j)
{
    SCOPE(fd_close) int fd = -1;
    char data[NFS_DATA_BYTES];
    int r;

    j->own_locks = !nfs_statd_runs(j->statd_pid);
    r = nfs_mount_data(j->target, !j->own_locks, data);
    if (r != 0)
        return r;
    fd = trusted_open(j->path, TRUSTED_LINKS, O_PATH | O_DIRECTORY);
    r = fd < 0 ? fd : mount_at(j, fd, data);
    /* Too late: whoever wanted it has given up. */
    if (r == 0 && job_cancelled(&j->job)) {
        (void)j->ops.umount(j->ops.ctx, j->point, MNT_DETACH | UMOUNT_NOFOLLOW);
        r = -ECANCELED;
    }
    return r;
}

static void
volume_job_run(struct job *job)
{
    struct volume_job *j = container_of(job, struct volume_job, job);

    switch (j->phase) {
    case VOLUME_LOOK:
        j->result = run_look(j);
        break;
    case VOLUME_UMOUNT:
        j->result = run_umount(j, MNT_FORCE);
        break;
    case VOLUME_DETACH:
        j->result = run_umount(j, MNT_DETACH);
        break;
    case VOLUME_MKDIR:
        j->result = run_mkdir(j);
        break;
    case VOLUME_MOUNT:
        j->result = run_mount(j);
        break;
    }
}

static char *
copy_or_null(const char *text)
{
    return text != NULL ? xstrdup(text) : NULL;
}

int
volume_job_submit(struct volume *v, void (*done)(struct job *job))
{
    struct volume_job *j = xcalloc(1, sizeof(*j));
    int r;

    j->env = v->env;
    j->volume = v;
    j->phase = v->phase;
    j->ops = v->env->ops;
    j->target = xstrdup(v->target);
    j->path = xstrdup(v->path);
    j->point = copy_or_null(v->point);
    j->statd_pid = xstrdup(v->env->statd_pid);
    if (v->env->spawner != NULL)
        j->helper = xstrdup(v->env->helper);
    j->job =
        (struct job){.run = volume_job_run, .done = done, .privileged = true};
    /* These set those free that wait for a server which is gone. */
    j->job.urgent = v->phase == VOLUME_UMOUNT || v->phase == VOLUME_DETACH;
    j->job.writes = v->phase == VOLUME_MKDIR;
    r = worker_submit(v->env->pool, &j->job);
    if (r < 0)
        volume_job_free(j);
    else
        v->job = j;
    return r;
}

void
volume_job_free(struct volume_job *j)
{
    free(j->target);
    free(j->path);
    free(j->point);
    free(j->statd_pid);
    free(j->helper);
    free(j->found);
    free(j->program);
    free(j);
}
