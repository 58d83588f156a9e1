/*
 * One process from its start to its end: the only place where its state
 * changes.
 *
 *     STARTING --word--> RUNNING --exit--> EXITED --output ended--+
 *        |                  |                                     v
 *        |                  +--output ended--> CLOSED --exit--> RETAINED
 *        v                                                        |
 *      FAILED                                                   GONE
 *
 * Nothing is freed beneath a caller: what has become useless is freed by
 * on_sweep(), at the end of the turn.
 */
#include "process/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/scope.h"
#include "process/exit.h"
#include "process/journal.h"
#include "process/kill.h"
#include "process/placed.h"
#include "process/spawn_copy.h"
#include "process/table.h"

/* How long background output is awaited after the process was asked to end,
 * where it is awaited for ever otherwise. */
#define IMPATIENT_LINGER_MS 100

/* Output kept of what nobody will ever ask for. */
#define GONE_RING_BYTES 4096

static void
life_free(struct process *p)
{
    struct process_life *life = p->life;

    if (life == NULL)
        return;
    loop_timer_cancel(&life->deadline);
    loop_timer_cancel(&life->linger);
    loop_timer_cancel(&life->grace);
    loop_io_disarm(&life->pid_io);
    loop_io_disarm(&life->status_io);
    input_done(&life->input);
    fd_close(&life->child.pid_fd);
    fd_close(&life->child.status_fd);
    cgroup_leaf_leave(p->table->set.cgroups, &life->leaf);
    free(life->spec);
    free(life);
    p->life = NULL;
}

static void
process_free_config(struct process *p)
{
    if (p->config != NULL && p->config_free != NULL)
        p->config_free(p->config);
    p->config = NULL;
}

void
process_free(struct process *p)
{
    loop_defer_cancel(p->table->loop, &p->sweep);
    life_free(p);
    output_done(&p->output);
    process_free_config(p);
    status_done(&p->failure);
    free(p->tag);
    free(p);
}

/* Free what is no longer needed of a process, if not all of it. */
static void
on_sweep(struct loop_deferred *d)
{
    struct process *p = container_of(d, struct process, sweep);

    output_trim(&p->output);
    if (process_is_live(p))
        return;
    if (p->life != NULL && p->life->child.pid_fd < 0)
        life_free(p);
    if (p->state == PROCESS_RETAINED || !TAILQ_EMPTY(&p->output.readers))
        return;
    process_free_config(p);
    if (p->life != NULL || !output_closed(&p->output)) {
        ring_done(&p->output.ring);
        p->output.ring.bytes_max = GONE_RING_BYTES;
        return;
    }
    TAILQ_REMOVE(&p->table->gone, p, link);
    process_free(p);
}

void
process_sweep_later(struct process *p)
{
    p->sweep.run = on_sweep;
    loop_defer(p->table->loop, &p->sweep);
}

void
process_forget(struct process *p)
{
    table_remove(p->table, p);
    p->state = PROCESS_GONE;
    process_sweep_later(p);
}

/* Let the kernel forget the child; *ret_status is its wait status. */
static bool
process_reap(struct process *p, int *ret_status, struct rusage *ret_usage)
{
    struct process_life *life = p->life;
    bool reaped =
        wait4(p->pid, ret_status, WNOHANG | __WALL, ret_usage) == p->pid;

    loop_io_disarm(&life->pid_io);
    fd_close(&life->child.pid_fd);
    orphans_child_reaped(&p->table->orphans);
    return reaped;
}

/*
 * The end: the process has exited, and what had to be read was read.  It can
 * be found as retained before anyone hears of its end.
 */
static void
process_end(struct process *p)
{
    struct process_life *life = p->life;
    struct rusage usage = {0};
    int status = 0;

    if (process_reap(p, &status, &usage))
        process_exit_set(&p->exit, status, &usage, life->deadline_fired);
    else
        process_exit_set_unknown(&p->exit, life->deadline_fired);
    p->exit.cpu_us = MAX(p->exit.cpu_us, cgroup_leaf_cpu_us(&life->leaf));
    p->exit.oom_killed =
        WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && !life->killed &&
        cgroup_leaf_saw_oom(p->table->set.cgroups, &life->leaf);
    loop_timer_cancel(&life->deadline);
    loop_timer_cancel(&life->linger);
    loop_timer_cancel(&life->grace);
    p->state = PROCESS_RETAINED;
    table_retain(p->table, p);
    output_end(&p->output, &p->exit);
    journal_end(p);
    process_sweep_later(p);
    input_end(&life->input);
    process_free_config(p);
}

/* It never ran: nobody but attached readers will see it again. */
static void
process_fail(struct process *p)
{
    table_remove(p->table, p);
    p->state = PROCESS_FAILED;
    loop_timer_cancel(&p->life->deadline);
    output_fail(&p->output, &p->failure);
    process_sweep_later(p);
    input_end(&p->life->input);
}

/* How long background output is awaited; negative: for ever. */
static int64_t
process_linger_ms(const struct process *p)
{
    int64_t linger_ms = p->table->set.linger_ms;

    return linger_ms < 0 && p->life->impatient ? IMPATIENT_LINGER_MS
                                               : linger_ms;
}

/*
 * The process has exited: see how long its output is awaited.  Unless that is
 * for ever, its deadline is over: what it left in the background lives on.
 */
static void
process_linger(struct process *p)
{
    int64_t linger_ms = process_linger_ms(p);

    if (linger_ms < 0)
        return;
    loop_timer_cancel(&p->life->deadline);
    loop_timer_set(&p->life->linger, linger_ms);
}

static void
on_linger(struct loop_timer *t)
{
    struct process_life *life = container_of(t, struct process_life, linger);

    output_drain(&life->process->output);
}

static void
on_settled(struct output *o)
{
    struct process *p = container_of(o, struct process, output);

    if (output_closed(o))
        process_sweep_later(p);
    if (p->state == PROCESS_EXITED)
        process_end(p);
    else if (p->state == PROCESS_RUNNING)
        p->state = PROCESS_CLOSED;
}

/* Read the child's word, which must have come when it has exited. */
static void
process_read_word(struct process *p, bool exited)
{
    struct process_life *life = p->life;
    struct spawn_failure failure;
    int r;

    loop_io_disarm(&life->status_io);
    r = spawn_read_status(life->spec, &life->child, &failure, &p->failure);
    if (r == 0 && !exited) {
        loop_io_arm(&life->status_io);
        return;
    }
    if (r < 0) {
        journal_failure(p, spawn_stage_name(failure.stage));
        process_fail(p);
        return;
    }
    p->state = output_closed(&p->output) ? PROCESS_CLOSED : PROCESS_RUNNING;
    journal_start(p);
    output_start(&p->output, (uint32_t)p->pid);
}

static void
on_status_ready(struct loop_io *io)
{
    struct process_life *life =
        container_of(io, struct process_life, status_io);

    process_read_word(life->process, false);
}

static void
on_exit_ready(struct loop_io *io)
{
    struct process_life *life = container_of(io, struct process_life, pid_io);
    struct process *p = life->process;

    loop_io_disarm(io);
    if (p->state == PROCESS_STARTING)
        process_read_word(p, true);
    if (p->state == PROCESS_FAILED) {
        struct rusage usage;
        int status;

        (void)process_reap(p, &status, &usage);
        process_sweep_later(p);
    } else if (p->state == PROCESS_CLOSED) {
        process_end(p);
    } else {
        p->state = PROCESS_EXITED;
        process_linger(p);
    }
}

static bool
is_leader(void *ctx, pid_t pid)
{
    return table_owns_child(ctx, pid);
}

static void
process_kill(struct process *p, enum process_scope scope)
{
    struct kill_target target = {
        .leader = p->pid,
        .leader_fd = p->life->child.pid_fd,
        .cgroup_fd = p->life->leaf.fd,
        .is_leader = is_leader,
        .ctx = p->table,
    };

    p->life->killed = true;
    if (scope == PROCESS_SCOPE_LEADER) {
        (void)kill_leader(target.leader_fd, SIGKILL);
        return;
    }
    output_fds(&p->output, target.output_fds);
    kill_tree(&target);
}

/* It was asked to end: what it left in the background is not awaited. */
static void
process_hurry(struct process *p)
{
    if (p->life->impatient)
        return;
    p->life->impatient = true;
    if (p->state == PROCESS_EXITED && p->table->set.linger_ms < 0)
        process_linger(p);
}

static void
on_deadline(struct loop_timer *t)
{
    struct process_life *life = container_of(t, struct process_life, deadline);

    life->deadline_fired = true;
    process_kill(life->process, life->process->table->set.kill_scope);
    process_hurry(life->process);
}

/* It was asked to end, and did not. */
static void
on_grace(struct loop_timer *t)
{
    struct process_life *life = container_of(t, struct process_life, grace);

    process_kill(life->process, life->term_scope);
}

static struct process_life *
life_new(struct process *p, const struct spawn_spec *spec,
         const struct spawn_child *child, const struct cgroup_leaf *leaf,
         int64_t deadline_ms)
{
    struct loop *loop = p->table->loop;
    struct process_life *life = xcalloc(1, sizeof(*life));

    life->process = p;
    life->child = *child;
    life->arg_count = spec->arg_count;
    life->deadline_ms = deadline_ms;
    life->leaf = *leaf;
    loop_io_init(loop, &life->pid_io, child->pid_fd, EV_READ, on_exit_ready);
    loop_io_arm(&life->pid_io);
    loop_io_init(loop, &life->status_io, child->status_fd, EV_READ,
                 on_status_ready);
    loop_io_arm(&life->status_io);
    loop_timer_init(loop, &life->linger, on_linger);
    loop_timer_init(loop, &life->grace, on_grace);
    loop_timer_init(loop, &life->deadline, on_deadline);
    if (deadline_ms > 0)
        loop_timer_set(&life->deadline, deadline_ms);
    /* A terminal has two owners: one reads, one writes. */
    input_init(&life->input, loop, (uint32_t)child->pid,
               spec->pty ? fcntl(child->tty_fd, F_DUPFD_CLOEXEC, 3)
                         : child->stdin_fd,
               spec->pty);
    return life;
}

static struct process *
process_new(struct process_table *t, bool pty)
{
    struct process *p = xcalloc(1, sizeof(*p));

    p->table = t;
    p->state = PROCESS_STARTING;
    p->pty = pty;
    output_init(&p->output, t->loop, &t->pool, &t->set);
    p->output.on_settled = on_settled;
    return p;
}

/* It has a child now. */
static void
process_adopt(struct process *p, const struct spawn_child *child)
{
    p->pid = child->pid;
    if (p->pty) {
        output_open(&p->output, child->tty_fd, PROCESS_PTY);
    } else {
        output_open(&p->output, child->stdout_fd, PROCESS_STDOUT);
        output_open(&p->output, child->stderr_fd, PROCESS_STDERR);
    }
    table_add(p->table, p);
}

int
// NOLINTNEXTLINE(readability-function-size): each caller knows all of them
process_start(struct process_table *t, const struct spawn_spec *spec,
              const char *tag, int64_t deadline_ms, void *config,
              void (*config_free)(void *config), struct process **ret,
              struct status *st)
{
    SCOPE(scope_free) struct spawn_spec *copy = NULL;
    struct cgroup_leaf leaf;
    struct spawn_child child;
    struct process *p;

    if (t->live_count >= t->set.processes_max)
        return status_set(st, RPC_RESOURCE_EXHAUSTED,
                          "%zu processes are running already", t->live_count);
    p = process_new(t, spec->pty);
    copy = spawn_spec_copy(spec);
    p->tag = tag != NULL ? strdup(tag) : NULL;
    if (copy == NULL || (tag != NULL && p->tag == NULL)) {
        process_free(p);
        return status_set(st, RPC_RESOURCE_EXHAUSTED,
                          "no memory to start a process");
    }
    if (spawn_placed(t->set.cgroups, spec, tag, &leaf, &child, st) < 0) {
        process_free(p);
        return -1;
    }
    p->life = life_new(p, spec, &child, &leaf, deadline_ms);
    p->life->spec = TAKE_PTR(copy);
    p->config = config;
    p->config_free = config_free;
    process_adopt(p, &child);
    *ret = p;
    return 0;
}

/* Signal a process that lives.  Returns 0 or -errno. */
static int
process_send(struct process *p, int signum, enum process_scope scope)
{
    struct process_life *life = p->life;
    int64_t grace_ms = p->table->set.term_grace_ms;
    int r = 0;

    if (signum == SIGKILL)
        process_kill(p, scope);
    else if (scope == PROCESS_SCOPE_LEADER)
        r = kill_leader(life->child.pid_fd, signum);
    else
        r = kill_group(p->pid, life->child.pid_fd, signum);
    if (signum == SIGKILL || signum == SIGTERM)
        process_hurry(p);
    if (signum == SIGTERM && grace_ms > 0 && r == 0) {
        life->term_scope = scope;
        loop_timer_set(&life->grace, grace_ms);
    }
    return r;
}

int
process_signal(struct process *p, int signum, enum process_scope scope,
               struct status *st)
{
    int r = process_is_live(p) ? process_send(p, signum, scope) : -ESRCH;

    if (r == -ESRCH)
        return status_set(st, RPC_INTERNAL,
                          "error sending signal: os: process already finished");
    if (r < 0)
        return status_errno(st, RPC_INTERNAL, -r, "error sending signal");
    return 0;
}
