/*
 * Notices that the wall clock was set.
 */
#include "guest/clock_watch.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/now.h"
#include "base/scope.h"
#include "loop/loop.h"

struct clock_watch {
    int fd;
    struct loop_io io;
    int64_t base_ns; /* wall clock minus time since boot */
    clock_watch_fn fn;
    void *ctx;
};

static int64_t
difference_ns(void)
{
    return clock_now_ns(CLOCK_REALTIME) - clock_now_ns(CLOCK_BOOTTIME);
}

int64_t
clock_watch_moved(int64_t *base_ns, int64_t now_ns)
{
    int64_t moved = (now_ns - *base_ns) / NS_PER_MS;

    *base_ns = now_ns;
    return moved;
}

static void
on_set(struct loop_io *io)
{
    struct clock_watch *w = container_of(io, struct clock_watch, io);
    uint64_t expirations;
    int64_t moved;

    if (read(w->fd, &expirations, sizeof(expirations)) >= 0 ||
        errno != ECANCELED)
        return;
    moved = clock_watch_moved(&w->base_ns, difference_ns());
    if (moved != 0)
        w->fn(w->ctx, moved);
}

struct clock_watch *
clock_watch_new(struct loop *loop, clock_watch_fn fn, void *ctx)
{
    /* Never due; a clock that is set cancels it. */
    static const struct itimerspec never = {.it_value.tv_sec =
                                                INT64_MAX / 4 / NS_PER_S};
    struct clock_watch *w;
    SCOPE(fd_close)
    int fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);

    if (fd < 0 ||
        timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never,
                        NULL) < 0)
        return NULL;
    w = xcalloc(1, sizeof(*w));
    w->fd = TAKE_FD(fd);
    w->base_ns = difference_ns();
    w->fn = fn;
    w->ctx = ctx;
    loop_io_init(loop, &w->io, w->fd, EV_READ, on_set);
    loop_io_arm(&w->io);
    return w;
}

void
clock_watch_free(struct clock_watch *w)
{
    if (w == NULL)
        return;
    loop_io_disarm(&w->io);
    fd_close(&w->fd);
    free(w);
}

void
clock_watch_expect(struct clock_watch *w)
{
    if (w != NULL)
        w->base_ns = difference_ns();
}
