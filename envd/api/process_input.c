/*
 * Feeding a process: SendInput, StreamInput, CloseStdin.
 *
 * The bytes of a request stay where they were decoded until the process has
 * taken them; a stream is not read further meanwhile, so that a full pipe is
 * felt by the client.
 */
#include <stdlib.h>

#include "api/api.h"
#include "api/process_rpc.h"
#include "api/rpc_log.h"
#include "base/mem.h"
#include "base/scope.h"
#include "connect/call.h"
#include "envd.h"
#include "process/process.h"

struct input_call {
    struct call *call;
    struct process_input input;
    bool waiting;    /* the input is queued at the process */
    bool ended;      /* stream: the client sends no more */
    bool selected;   /* stream: a start message came */
    uint32_t pid;    /* stream: of the process selected */
    uint64_t serial; /* and its serial, as pids are reused */
};

static void
input_call_free(struct input_call *ic)
{
    call_set_ctx(ic->call, NULL);
    free(ic);
}

static struct input_call *
input_call_new(struct call *c,
               void (*on_done)(struct process_input *in, struct status *st))
{
    struct input_call *ic = xcalloc(1, sizeof(*ic));

    ic->call = c;
    ic->input.on_done = on_done;
    ic->input.ctx = ic;
    call_set_ctx(c, ic);
    return ic;
}

/* What a data message carries; -1 with `st` set when it carries nothing. */
static int
fill_input(struct process_input *in, const Process__ProcessInput *from,
           struct status *st)
{
    const ProtobufCBinaryData *bytes;

    if (from != NULL &&
        from->input_case == PROCESS__PROCESS_INPUT__INPUT_STDIN) {
        in->kind = PROCESS_INPUT_STDIN;
        bytes = &from->stdin;
    } else if (from != NULL &&
               from->input_case == PROCESS__PROCESS_INPUT__INPUT_PTY) {
        in->kind = PROCESS_INPUT_PTY;
        bytes = &from->pty;
    } else {
        return status_set(st, RPC_UNIMPLEMENTED, "invalid input type <nil>");
    }
    in->data = bytes->data;
    in->len = bytes->len;
    in->written = 0;
    return 0;
}

/* Unary: the answer, once the process took everything or refused. */
static void
finish_unary(struct input_call *ic, struct status *st)
{
    static const Process__SendInputResponse sent =
        PROCESS__SEND_INPUT_RESPONSE__INIT;
    static const Process__CloseStdinResponse closed =
        PROCESS__CLOSE_STDIN_RESPONSE__INIT;
    struct call *c = ic->call;
    bool closing = ic->input.kind == PROCESS_INPUT_EOF;

    rpc_log_done(c, "process",
                 closing ? "Process close stdin" : "Process send input", st);
    input_call_free(ic);
    if (st != NULL)
        call_fail(c, st);
    else
        call_reply(c, closing ? &closed.base : &sent.base);
}

static void
on_unary_done(struct process_input *in, struct status *st)
{
    struct input_call *ic = in->ctx;

    ic->waiting = false;
    finish_unary(ic, st);
}

static void
submit_unary(struct input_call *ic, const Process__ProcessSelector *selector)
{
    struct status st = {0};
    struct process *p =
        process_rpc_select(api_envd(ic->call), selector, false, &st);
    int r = p != NULL ? process_input(p, &ic->input, &st) : -1;

    if (r == 0)
        ic->waiting = true;
    else
        finish_unary(ic, r < 0 ? &st : NULL);
    status_done(&st);
}

void
process_rpc_send_input(struct call *c, const ProtobufCMessage *request)
{
    const Process__SendInputRequest *r =
        (const Process__SendInputRequest *)request;
    struct input_call *ic = input_call_new(c, on_unary_done);
    struct status st = {0};

    if (process_rpc_select(api_envd(c), r->process, false, &st) == NULL ||
        fill_input(&ic->input, r->input, &st) < 0)
        finish_unary(ic, &st);
    else
        submit_unary(ic, r->process);
    status_done(&st);
}

void
process_rpc_close_stdin(struct call *c, const ProtobufCMessage *request)
{
    const Process__CloseStdinRequest *r =
        (const Process__CloseStdinRequest *)request;
    struct input_call *ic = input_call_new(c, on_unary_done);

    ic->input.kind = PROCESS_INPUT_EOF;
    submit_unary(ic, r->process);
}

/* Streams. */

static void
fail_stream(struct input_call *ic, struct status *st)
{
    struct call *c = ic->call;

    rpc_log_done(c, "process", "Process stream input", st);
    input_call_free(ic);
    call_fail(c, st);
}

static void
end_stream(struct input_call *ic)
{
    static const Process__StreamInputResponse response =
        PROCESS__STREAM_INPUT_RESPONSE__INIT;
    struct call *c = ic->call;

    rpc_log_done(c, "process", "Process stream input", NULL);
    input_call_free(ic);
    call_reply(c, &response.base);
}

static void
on_stream_done(struct process_input *in, struct status *st)
{
    struct input_call *ic = in->ctx;

    ic->waiting = false;
    if (st != NULL)
        fail_stream(ic, st);
    else if (ic->ended)
        end_stream(ic);
    else
        call_resume(ic->call);
}

void
process_rpc_stream_input(struct call *c, const ProtobufCMessage *request)
{
    (void)request;
    (void)input_call_new(c, on_stream_done);
}

/* The process a stream feeds; NULL with `st` set when it is gone. */
static struct process *
selected_process(struct input_call *ic, struct status *st)
{
    struct process *p;

    if (!ic->selected) {
        (void)status_set(st, RPC_FAILED_PRECONDITION,
                         "no process selected: the first message must be "
                         "start");
        return NULL;
    }
    p = process_by_pid(api_envd(ic->call)->processes, ic->pid);
    if (p != NULL && process_serial(p) == ic->serial)
        return p;
    (void)status_set(st, RPC_NOT_FOUND, "process with pid %u not found",
                     ic->pid);
    return NULL;
}

static int
stream_select(struct input_call *ic,
              const Process__StreamInputRequest__StartEvent *start,
              struct status *st)
{
    struct process *p =
        process_rpc_select(api_envd(ic->call), start->process, false, st);

    if (p == NULL)
        return -1;
    ic->selected = true;
    ic->pid = process_pid(p);
    ic->serial = process_serial(p);
    return 0;
}

static int
stream_data(struct input_call *ic,
            const Process__StreamInputRequest__DataEvent *data,
            struct status *st)
{
    struct process *p = selected_process(ic, st);
    int r;

    if (p == NULL || fill_input(&ic->input, data->input, st) < 0)
        return -1;
    r = process_input(p, &ic->input, st);
    if (r == 0) {
        ic->waiting = true;
        call_pause(ic->call);
    }
    return r < 0 ? -1 : 0;
}

void
process_rpc_on_input_message(struct call *c, const ProtobufCMessage *m)
{
    const Process__StreamInputRequest *r =
        (const Process__StreamInputRequest *)m;
    struct input_call *ic = call_ctx(c);
    struct status st = {0};
    int result = 0;

    switch (r->event_case) {
    case PROCESS__STREAM_INPUT_REQUEST__EVENT_START:
        result = stream_select(ic, r->start, &st);
        break;
    case PROCESS__STREAM_INPUT_REQUEST__EVENT_DATA:
        result = stream_data(ic, r->data, &st);
        break;
    case PROCESS__STREAM_INPUT_REQUEST__EVENT_KEEPALIVE:
        break;
    case PROCESS__STREAM_INPUT_REQUEST__EVENT__NOT_SET:
    case _PROCESS__STREAM_INPUT_REQUEST__EVENT__CASE_IS_INT_SIZE:
        result = status_set(&st, RPC_UNIMPLEMENTED, "invalid event type <nil>");
        break;
    }
    if (result < 0)
        fail_stream(ic, &st);
    status_done(&st);
}

void
process_rpc_on_input_end(struct call *c)
{
    struct input_call *ic = call_ctx(c);

    if (ic->waiting)
        ic->ended = true;
    else
        end_stream(ic);
}

void
process_rpc_on_input_cancel(struct call *c, enum call_cancel why)
{
    struct input_call *ic = call_ctx(c);

    (void)why;
    if (ic == NULL)
        return;
    if (ic->waiting)
        process_input_cancel(&ic->input);
    input_call_free(ic);
}
