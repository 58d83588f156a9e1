/*
 * The clone: on the spawner, in whichever way the kernel offers it.
 */
#include "process/spawn_make.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "base/status.h"
#include "loop/spawner.h"
#include "process/spawn.h"
#include "process/spawn_child.h"
#include "process/spawn_clone.h"

void
spawn_log_unplaced(int err)
{
    struct log_line line;

    if (!log_begin(&line, LOG_LEVEL_WARN, "process"))
        return;
    log_str(&line, "error", errno_text(err));
    log_end(&line, "Process started outside of its cgroup");
}

/* Said once each: what the kernel, or a filter, does not let us call. */
static void
log_missing(enum clone_call call, const char *name, int err)
{
    static bool said[CLONE_CALL_FORK + 1];
    struct log_line line;

    if (said[call] || !log_begin(&line, LOG_LEVEL_WARN, "process"))
        return;
    said[call] = true;
    log_str(&line, "call", name);
    log_str(&line, "error", errno_text(err));
    log_end(&line, "Missing system call, an older one is used");
}

/*
 * Clone, with what the kernel offers.  A child that cannot be placed runs
 * unplaced: a guest may have removed or subdivided the cgroup, and its command
 * shall run all the same.
 */
static pid_t
clone_child(struct spawn_plan *plan, int cgroup_fd, struct spawn_child *child)
{
    pid_t pid = clone_raw(CLONE_CALL_NEW, cgroup_fd, &child->pid_fd);

    if (pid < 0 && cgroup_fd >= 0 && pid != -EAGAIN && pid != -ENOMEM) {
        child->unplaced = true;
        spawn_log_unplaced(-pid);
        pid = clone_raw(CLONE_CALL_NEW, -1, &child->pid_fd);
    }
    /* EPERM is of a filter: nothing that is asked for here needs a right. */
    if (pid == -ENOSYS || pid == -EPERM || pid == -EINVAL || pid == -E2BIG) {
        /* The child has our handlers here, until it has reset all. */
        plan->ignored = UINT64_MAX;
        log_missing(CLONE_CALL_NEW, "clone3", -pid);
        pid = clone_raw(CLONE_CALL_OLD, -1, &child->pid_fd);
        if (pid == -EINVAL) {
            log_missing(CLONE_CALL_OLD, "clone with CLONE_PIDFD", -pid);
            pid = clone_raw(CLONE_CALL_FORK, -1, &child->pid_fd);
        }
    }
    return pid;
}

struct birth {
    struct spawn_plan *plan;
    int cgroup_fd;
    struct spawn_child *child;
    pid_t pid;
};

/* Context: the spawner. */
static void
clone_on_spawner(void *ctx)
{
    struct birth *b = ctx;
    sigset_t all;
    sigset_t before;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    b->pid = clone_child(b->plan, b->cgroup_fd, b->child);
    if (b->pid == 0) {
        /* After the loop, which waits, where both want one processor. */
        (void)syscall(SYS_sched_yield);
        spawn_child_run(b->plan);
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

int
spawn_make(struct spawn_plan *plan, int cgroup_fd, struct spawn_child *child)
{
    struct birth b = {plan, cgroup_fd, child, 0};

    spawner_call(clone_on_spawner, &b);
    if (b.pid < 0)
        return b.pid;
    child->pid = b.pid;
    (void)fcntl(child->pid_fd, F_SETFL, O_NONBLOCK);
    return 0;
}
