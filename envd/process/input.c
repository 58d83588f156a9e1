/*
 * The queue of writes towards one process.
 */
#include "process/input.h"

#include <errno.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/scope.h"
#include "limits.h"

/* Bytes written to one process before others get their turn. */
#define TURN_BYTES ((size_t)256 * 1024)

/* What process_input() and on_done distinguish. */
enum write_result {
    WRITE_DONE,
    WRITE_BLOCKED,
    WRITE_FAILED,
};

static void
process_input_update(struct process_input *in, size_t written, struct input *q)
{
    in->written += written;
    q->waiting_bytes -= written;
}

/* Whether this kind of input fits the kind of process at all. */
static int
check_kind(bool pty, const struct process_input *in, struct status *st)
{
    switch (in->kind) {
    case PROCESS_INPUT_STDIN:
        if (pty)
            return status_set(st, RPC_INTERNAL,
                              "error writing to stdin: tty assigned to process "
                              "— input should be written to the pty, not the "
                              "stdin");
        return 0;
    case PROCESS_INPUT_PTY:
        if (!pty)
            return status_set(st, RPC_INTERNAL,
                              "error writing to tty: tty not assigned to "
                              "process — input should be written to the "
                              "stdin, not the tty");
        return 0;
    case PROCESS_INPUT_EOF:
        if (pty)
            return status_set(st, RPC_UNKNOWN,
                              "error closing stdin: cannot close stdin for PTY "
                              "process — send Ctrl+D (0x04) instead");
        return 0;
    }
    return 0;
}

static int
fail_write(uint32_t pid, bool pty, const char *cause, struct status *st)
{
    if (pty)
        return status_set(st, RPC_INTERNAL,
                          "error writing to tty: error writing to tty of "
                          "process '%u': write /dev/ptmx: %s",
                          pid, cause);
    return status_set(st, RPC_INTERNAL,
                      "error writing to stdin: error writing to stdin of "
                      "process '%u': write |1: %s",
                      pid, cause);
}

int
input_fail_ended(uint32_t pid, bool pty, const struct process_input *in,
                 struct status *st)
{
    int r = check_kind(pty, in, st);

    if (r < 0)
        return r;
    if (in->kind == PROCESS_INPUT_EOF)
        return status_set(st, RPC_UNKNOWN,
                          "error closing stdin: close |1: file already closed");
    return fail_write(pid, pty, "file already closed", st);
}

static void
input_close(struct input *q)
{
    if (q->fd < 0)
        return;
    loop_io_disarm(&q->io);
    fd_close(&q->fd);
}

/*
 * Do what can be done of one input now; `st` is set with WRITE_FAILED.
 * *budget are the bytes that may still be written in this turn.
 */
static enum write_result
input_write(struct input *q, struct process_input *in, size_t *budget,
            struct status *st)
{
    if (in->kind == PROCESS_INPUT_EOF) {
        input_close(q);
        return WRITE_DONE;
    }
    if (q->fd < 0) {
        if (q->pty)
            (void)fail_write(q->pid, true, "file already closed", st);
        else
            (void)status_set(st, RPC_INTERNAL,
                             "error writing to stdin: stdin not enabled or "
                             "closed");
        return WRITE_FAILED;
    }
    while (in->written < in->len) {
        size_t len = MIN(in->len - in->written, *budget);
        ssize_t n;

        if (len == 0)
            return WRITE_BLOCKED;
        n = write(q->fd, in->data + in->written, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return WRITE_BLOCKED;
        if (n < 0) {
            (void)fail_write(q->pid, q->pty, errno_text(errno), st);
            return WRITE_FAILED;
        }
        process_input_update(in, (size_t)n, q);
        *budget -= (size_t)n;
    }
    return WRITE_DONE;
}

static void
input_append(struct input *q, struct process_input *in)
{
    TAILQ_INSERT_TAIL(&q->waiting, in, link);
    if (q->fd >= 0)
        loop_io_arm(&q->io);
}

void
input_remove(struct input *q, struct process_input *in)
{
    TAILQ_REMOVE(&q->waiting, in, link);
    q->waiting_bytes -= in->len - in->written;
    in->process = NULL;
    if (TAILQ_EMPTY(&q->waiting) && q->fd >= 0)
        loop_io_disarm(&q->io);
}

static void
on_writable(struct loop_io *io)
{
    struct input *q = container_of(io, struct input, io);
    size_t budget = TURN_BYTES;
    struct process_input *in;

    while ((in = TAILQ_FIRST(&q->waiting)) != NULL) {
        SCOPE(status_done) struct status st = {0};
        enum write_result result = input_write(q, in, &budget, &st);

        if (result == WRITE_BLOCKED)
            return;
        input_remove(q, in);
        in->on_done(in, result == WRITE_FAILED ? &st : NULL);
    }
}

void
input_init(struct input *q, struct loop *loop, uint32_t pid, int fd, bool pty)
{
    *q = (struct input){.loop = loop, .fd = fd, .pty = pty, .pid = pid};
    TAILQ_INIT(&q->waiting);
    if (fd >= 0)
        loop_io_init(loop, &q->io, fd, EV_WRITE, on_writable);
}

int
input_add(struct input *q, struct process_input *in, struct status *st)
{
    size_t budget = TURN_BYTES;
    int r;

    in->written = 0;
    if (q->ended)
        return input_fail_ended(q->pid, q->pty, in, st);
    r = check_kind(q->pty, in, st);
    if (r < 0)
        return r;
    if (in->kind == PROCESS_INPUT_EOF)
        in->len = 0;
    if (q->waiting_bytes >= LIMIT_PROCESS_INPUT_BYTES && in->len > 0)
        return status_set(st, RPC_RESOURCE_EXHAUSTED,
                          "%zu bytes of input wait for process '%u' already",
                          q->waiting_bytes, q->pid);
    q->waiting_bytes += in->len;
    if (TAILQ_EMPTY(&q->waiting)) {
        switch (input_write(q, in, &budget, st)) {
        case WRITE_DONE:
            return 1;
        case WRITE_FAILED:
            q->waiting_bytes -= in->len - in->written;
            return -1;
        case WRITE_BLOCKED:
            break;
        }
    }
    input_append(q, in);
    return 0;
}

void
input_end(struct input *q)
{
    struct process_input *in;

    q->ended = true;
    input_close(q);
    while ((in = TAILQ_FIRST(&q->waiting)) != NULL) {
        SCOPE(status_done) struct status st = {0};

        (void)input_fail_ended(q->pid, q->pty, in, &st);
        input_remove(q, in);
        in->on_done(in, &st);
    }
}

void
input_done(struct input *q)
{
    struct process_input *in;

    input_close(q);
    while ((in = TAILQ_FIRST(&q->waiting)) != NULL)
        input_remove(q, in);
}
