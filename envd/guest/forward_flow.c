/*
 * Bytes from one socket to another, without coming to us.
 *
 * Nothing is taken from a socket while the other one has no room: what waits
 * does so in the sender's own buffers.  What the receiver refused after all
 * stays in the pipe until it has room again.  A connection without bytes on
 * their way has no pipe; and one that gets none, because too many stand still
 * or descriptors are short, looks at the bytes, sends them and then takes as
 * many as were sent, so that nothing is ever held.
 */
#include "guest/forward_flow.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "limits.h"

#define COPY_BYTES ((size_t)64 * 1024)

/* ---- pipes --------------------------------------------------------------- */

static struct flow_pipe *
pipe_new(struct flow_pipes *pool)
{
    struct flow_pipe *p;
    int fds[2];
    int size;

    if (pool->count >= pool->max)
        return NULL;
    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
        return NULL;
    size = fcntl(fds[1], F_SETPIPE_SZ, (int)LIMIT_FORWARD_PIPE_BYTES);
    if (size < 0)
        size = fcntl(fds[1], F_GETPIPE_SZ);
    p = xcalloc(1, sizeof(*p));
    p->fds[0] = fds[0];
    p->fds[1] = fds[1];
    p->size = size > 0 ? (size_t)size : COPY_BYTES;
    pool->count++;
    return p;
}

static void
pipe_free(struct flow_pipes *pool, struct flow_pipe *p)
{
    (void)close(p->fds[0]);
    (void)close(p->fds[1]);
    pool->count--;
    free(p);
}

static struct flow_pipe *
pipe_take(struct flow_pipes *pool)
{
    struct flow_pipe *p = pool->spare;

    if (p == NULL)
        return pipe_new(pool);
    pool->spare = p->next;
    pool->spare_count--;
    return p;
}

static void
pipe_give(struct flow_pipes *pool, struct flow_pipe *p)
{
    if (p->held > 0 || pool->spare_count >= FLOW_PIPES_SPARE) {
        pipe_free(pool, p);
        return;
    }
    p->next = pool->spare;
    pool->spare = p;
    pool->spare_count++;
}

void
flow_pipes_done(struct flow_pipes *pool)
{
    struct flow_pipe *p;

    while ((p = pool->spare) != NULL) {
        pool->spare = p->next;
        pipe_free(pool, p);
    }
    pool->spare_count = 0;
}

/* ---- moving -------------------------------------------------------------- */

/* One step on the way: it went on, or this is what became of it. */
enum step {
    STEP_ON,
    STEP_WAITS,
    STEP_READ_FAILED,
    STEP_WRITE_FAILED,
};

static enum step
read_failed(struct flow_end *from)
{
    if (errno != EAGAIN && errno != EINTR)
        return STEP_READ_FAILED;
    from->readable = errno == EINTR;
    return from->readable ? STEP_ON : STEP_WAITS;
}

static enum step
write_failed(struct flow_end *to)
{
    if (errno != EAGAIN && errno != EINTR)
        return STEP_WRITE_FAILED;
    to->writable = errno == EINTR;
    return to->writable ? STEP_ON : STEP_WAITS;
}

static enum step
drain(const struct flow *f, struct flow_end *to, size_t *moved)
{
    ssize_t n = splice(f->pipe->fds[0], NULL, to->fd, NULL, f->pipe->held,
                       SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

    if (n <= 0) {
        if (n == 0)
            errno = EPIPE;
        return write_failed(to);
    }
    f->pipe->held -= (size_t)n;
    *moved += (size_t)n;
    return STEP_ON;
}

/* The same without a pipe, and nothing held in between. */
static enum step
copy(struct flow *f, struct flow_end *from, struct flow_end *to, size_t *moved)
{
    static char data[COPY_BYTES];
    ssize_t n = recv(from->fd, data, sizeof(data), MSG_PEEK | MSG_DONTWAIT);

    if (n < 0)
        return read_failed(from);
    if (n == 0) {
        f->eof = true;
        return STEP_ON;
    }
    n = send(to->fd, data, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0)
        return write_failed(to);
    *moved += (size_t)n;
    if (recv(from->fd, NULL, (size_t)n, MSG_TRUNC | MSG_DONTWAIT) != n)
        return STEP_READ_FAILED;
    return STEP_ON;
}

/*
 * Urgent data stop splice(2), which then takes what is behind them for the end,
 * or for nothing; recv(2) knows better.
 */
static enum step
fill(struct flow *f, struct flow_end *from, struct flow_end *to, size_t *moved)
{
    ssize_t n = splice(from->fd, NULL, f->pipe->fds[1], NULL, f->pipe->size,
                       SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

    if (n == 0 || (n < 0 && errno == EAGAIN))
        return copy(f, from, to, moved);
    if (n < 0)
        return read_failed(from);
    f->pipe->held = (size_t)n;
    return STEP_ON;
}

static enum step
move(struct flow *f, struct flow_pipes *pool, struct flow_end *from,
     struct flow_end *to, size_t *moved)
{
    if (!to->writable)
        return STEP_WAITS;
    if (f->pipe != NULL && f->pipe->held > 0)
        return drain(f, to, moved);
    if (!from->readable)
        return STEP_WAITS;
    if (f->pipe == NULL)
        f->pipe = pipe_take(pool);
    return f->pipe != NULL ? fill(f, from, to, moved)
                           : copy(f, from, to, moved);
}

void
flow_done(struct flow *f, struct flow_pipes *pool)
{
    if (f->pipe == NULL)
        return;
    pipe_give(pool, f->pipe);
    f->pipe = NULL;
}

enum flow_result
flow_move(struct flow *f, struct flow_pipes *pool, struct flow_end *from,
          struct flow_end *to, uint64_t *ret_bytes)
{
    enum step step = STEP_ON;
    size_t moved = 0;

    while (step == STEP_ON && moved < LIMIT_FORWARD_PIPE_BYTES) {
        if (f->eof && (f->pipe == NULL || f->pipe->held == 0))
            break;
        step = move(f, pool, from, to, &moved);
    }
    *ret_bytes += moved;
    if (f->pipe != NULL && f->pipe->held == 0)
        flow_done(f, pool);
    if (step == STEP_WAITS)
        return FLOW_WAITS;
    if (step != STEP_ON)
        return step == STEP_READ_FAILED ? FLOW_READ_FAILED : FLOW_WRITE_FAILED;
    return f->eof && f->pipe == NULL ? FLOW_OVER : FLOW_MORE;
}
