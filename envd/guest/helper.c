/*
 * A helper from its start to its end.
 */
#include "guest/helper.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/scope.h"
#include "limits.h"

/* How long a killed one may take to go; a disk may hold it back for longer. */
#define GONE_MS 1000

#define READ_BYTES 4096

/* Without /usr/local, which images have that all may write. */
static const char *const environment[] = {
    "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL=C",
    NULL,
};

/* ---- output -------------------------------------------------------------- */

static int *
helper_fd(struct helper *h, int which)
{
    return which == 0 ? &h->child.out_fd : &h->child.err_fd;
}

static void
output_close(struct helper *h, int which)
{
    if (*helper_fd(h, which) >= 0)
        loop_io_disarm(&h->out_io[which]);
    fd_close(helper_fd(h, which));
}

/*
 * Read once, keep what there is room for.  Returns whether there may be more.
 */
static bool
output_read(struct helper *h, int which)
{
    char text[READ_BYTES];
    ssize_t n;

    if (*helper_fd(h, which) < 0)
        return false;
    n = read(*helper_fd(h, which), text, sizeof(text));
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n <= 0) {
        output_close(h, which);
        return false;
    }
    buf_append(&h->output, text,
               MIN((size_t)n, LIMIT_HELPER_OUTPUT_BYTES - h->output.len));
    return true;
}

static void
on_stdout(struct loop_io *io)
{
    (void)output_read(container_of(io, struct helper, out_io[0]), 0);
}

static void
on_stderr(struct loop_io *io)
{
    (void)output_read(container_of(io, struct helper, out_io[1]), 1);
}

/* ---- the end ------------------------------------------------------------- */

/* By descriptor: its number is another one's when somebody has reaped it. */
static bool
is_there(const struct helper *h)
{
    siginfo_t info = {0};

    return waitid(P_PIDFD, (id_t)h->child.pid_fd, &info,
                  WEXITED | WNOHANG | WNOWAIT) == 0;
}

static void
kill_group(struct helper *h)
{
    if (!is_there(h))
        return;
    (void)kill(-h->child.pid, SIGKILL);
    (void)syscall(SYS_pidfd_send_signal, h->child.pid_fd, SIGKILL, NULL, 0);
}

static void
helper_close(struct helper *h)
{
    loop_timer_cancel(&h->timer);
    loop_io_disarm(&h->exit_io);
    output_close(h, 0);
    output_close(h, 1);
    fd_close(&h->child.pid_fd);
    h->running = false;
}

static void
helper_end(struct helper *h)
{
    struct helper_exit end = {.status = -1, .killed = h->killed};
    siginfo_t info = {0};
    int r;

    /* What it has left behind; while it is a zombie the group is its own. */
    kill_group(h);
    /* Bounded: the pipes are as large as they were. */
    for (int which = 0; which < 2; which++)
        for (int i = 0; i < 16 && output_read(h, which); i++)
            continue;
    r = waitid(P_PIDFD, (id_t)h->child.pid_fd, &info, WEXITED | WNOHANG);
    end.lost = r < 0;
    if (r == 0 && info.si_pid != 0 && info.si_code == CLD_EXITED)
        end.status = info.si_status;
    helper_close(h);
    h->done(h, &end);
}

static void
on_exit_ready(struct loop_io *io)
{
    helper_end(container_of(io, struct helper, exit_io));
}

static void
on_time(struct loop_timer *t)
{
    struct helper *h = container_of(t, struct helper, timer);

    if (h->killed)
        helper_end(h);
    else
        helper_kill(h);
}

void
helper_kill(struct helper *h)
{
    if (!h->running || h->killed)
        return;
    h->killed = true;
    kill_group(h);
    loop_timer_set(&h->timer, GONE_MS);
}

void
helper_abandon(struct helper *h)
{
    siginfo_t info;

    if (!h->running)
        return;
    kill_group(h);
    (void)waitid(P_PIDFD, (id_t)h->child.pid_fd, &info, WEXITED | WNOHANG);
    helper_close(h);
}

void
helper_free_output(struct helper *h)
{
    buf_done(&h->output);
}

/* ---- the start ----------------------------------------------------------- */

static void
output_watch(struct helper *h, int which, void (*on_ready)(struct loop_io *))
{
    if (*helper_fd(h, which) < 0)
        return;
    loop_io_init(h->loop, &h->out_io[which], *helper_fd(h, which), EV_READ,
                 on_ready);
    loop_io_arm(&h->out_io[which]);
}

int
helper_start(struct helper *h, struct loop *loop,
             const struct helper_spawner *spawner, const char *const *argv,
             int64_t budget_ms, helper_cb done)
{
    int r;

    assert(!h->running);
    helper_free_output(h);
    *h = (struct helper){.loop = loop, .done = done};
    h->child = (struct helper_child){.pid_fd = -1, .out_fd = -1, .err_fd = -1};
    r = spawner->spawn(spawner->ctx, argv, environment, &h->child);
    if (r < 0)
        return r;
    h->running = true;
    loop_io_init(loop, &h->exit_io, h->child.pid_fd, EV_READ, on_exit_ready);
    loop_io_arm(&h->exit_io);
    output_watch(h, 0, on_stdout);
    output_watch(h, 1, on_stderr);
    loop_timer_init(loop, &h->timer, on_time);
    loop_timer_set(&h->timer, budget_ms);
    return 0;
}
