/*
 * Reaping what is not ours to wait for, and nothing else.
 */
#include "process/orphan.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/scope.h"
#include "process/table.h"

#define DELAY_MS       100
#define REAP_MAX       1024 /* zombies in one turn */
#define CHILDREN_BYTES ((size_t)1 << 20)

static void
orphans_look_later(struct orphans *o)
{
    if (o->timer_set)
        return;
    o->timer_set = true;
    loop_timer_set(&o->timer, DELAY_MS);
}

static void
reap(pid_t pid)
{
    siginfo_t info;

    (void)waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG);
}

/*
 * The kernel shows one zombie at a time, and ours are kept for a while.  So
 * those behind it are tried one by one, where the kernel lists them.
 */
static void
reap_hidden(const struct orphans *o)
{
    SCOPE(scope_free) char *children = NULL;
    char path[64];
    char *at;

    (void)snprintf(path, sizeof(path), "/proc/self/task/%d/children",
                   (int)getpid());
    if (fd_read_file(path, CHILDREN_BYTES, &children, NULL) < 0)
        return;
    at = children;
    while (*at != '\0') {
        pid_t pid = (pid_t)strtol(at, &at, 10);

        if (pid > 0 && !table_owns_child(o->table, pid))
            reap(pid);
        while (*at == ' ' || *at == '\n')
            at++;
    }
}

static void
on_timer(struct loop_timer *t)
{
    struct orphans *o = container_of(t, struct orphans, timer);

    o->timer_set = false;
    o->hidden = false;
    for (int i = 0; i < REAP_MAX; i++) {
        siginfo_t info = {0};

        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
            info.si_pid == 0)
            return;
        if (table_owns_child(o->table, info.si_pid)) {
            o->hidden = true;
            reap_hidden(o);
            return;
        }
        reap(info.si_pid);
    }
    orphans_look_later(o);
}

static void
on_child(struct loop_signal *s)
{
    orphans_look_later(container_of(s, struct orphans, child));
}

void
orphans_init(struct orphans *o, struct loop *loop,
             const struct process_table *table)
{
    *o = (struct orphans){.table = table};
    loop_timer_init(loop, &o->timer, on_timer);
    loop_signal_init(loop, &o->child, SIGCHLD, on_child);
}

void
orphans_done(struct orphans *o)
{
    loop_timer_cancel(&o->timer);
    loop_signal_done(&o->child);
}

void
orphans_child_reaped(struct orphans *o)
{
    if (o->hidden)
        orphans_look_later(o);
}
