/*
 * The process service: its table of methods, and those that only look at a
 * process or nudge it.
 */
#include "api/process_rpc.h"

#include <signal.h>
#include <stdlib.h>

#include "api/api.h"
#include "api/rpc_log.h"
#include "base/mem.h"
#include "base/scope.h"
#include "connect/call.h"
#include "envd.h"
#include "process/process.h"

struct process *
process_rpc_select(struct envd *e, const Process__ProcessSelector *selector,
                   bool retained, struct status *st)
{
    struct process_table *t = e->processes;
    struct process *p = NULL;

    if (selector == NULL || selector->selector_case ==
                                PROCESS__PROCESS_SELECTOR__SELECTOR__NOT_SET) {
        (void)status_set(st, RPC_UNIMPLEMENTED,
                         "invalid input type *process.ProcessSelector");
        return NULL;
    }
    if (selector->selector_case == PROCESS__PROCESS_SELECTOR__SELECTOR_PID) {
        p = process_by_pid(t, selector->pid);
        if (p == NULL && retained)
            p = process_retained_by_pid(t, selector->pid);
        if (p == NULL)
            (void)status_set(st, RPC_NOT_FOUND, "process with pid %u not found",
                             selector->pid);
        return p;
    }
    p = process_by_tag(t, str_from(selector->tag));
    if (p == NULL && retained)
        p = process_retained_by_tag(t, str_from(selector->tag));
    if (p == NULL)
        (void)status_set(st, RPC_NOT_FOUND, "process with tag %s not found",
                         selector->tag);
    return p;
}

/* End a unary call with an empty message, or with the failure. */
static void
reply_empty(struct call *c, const char *what, const ProtobufCMessage *empty,
            struct status *st)
{
    bool failed = st->code != RPC_OK;

    rpc_log_done(c, "process", what, failed ? st : NULL);
    if (failed)
        call_fail(c, st);
    else
        call_reply(c, empty);
}

static void
list(struct call *c, const ProtobufCMessage *request)
{
    struct envd *e = api_envd(c);
    Process__ListResponse response = PROCESS__LIST_RESPONSE__INIT;
    struct arena arena = {0};
    size_t count = 0;

    (void)request;
    for (struct process *p = process_first(e->processes); p != NULL;
         p = process_next(p))
        count++;
    response.processes =
        arena_alloc(&arena, count * sizeof(*response.processes));
    for (struct process *p = process_first(e->processes); p != NULL;
         p = process_next(p)) {
        Process__ProcessInfo *info = arena_alloc(&arena, sizeof(*info));

        if (info == NULL || response.processes == NULL)
            break;
        process__process_info__init(info);
        info->config = process_config(p);
        info->pid = process_pid(p);
        if (process_tag(p) != NULL) {
            info->_tag_case = PROCESS__PROCESS_INFO___TAG_TAG;
            info->tag = (char *)(uintptr_t)process_tag(p);
        }
        response.processes[response.n_processes++] = info;
    }
    rpc_log_done(c, "process", "Process list", NULL);
    call_reply(c, &response.base);
    arena_done(&arena);
}

static void
update(struct call *c, const ProtobufCMessage *request)
{
    const Process__UpdateRequest *r = (const Process__UpdateRequest *)request;
    Process__UpdateResponse response = PROCESS__UPDATE_RESPONSE__INIT;
    struct status st = {0};
    struct process *p = process_rpc_select(api_envd(c), r->process, false, &st);

    if (p != NULL && r->_pty_case == PROCESS__UPDATE_REQUEST___PTY_PTY) {
        const Process__PTY__Size *size = r->pty->size;

        (void)process_resize(p, size != NULL ? size->cols : 0,
                             size != NULL ? size->rows : 0, &st);
    }
    reply_empty(c, "Process update", &response.base, &st);
}

static enum process_scope
signal_scope(const struct envd *e, const Process__SendSignalRequest *r)
{
    if (r->_descendants_case !=
        PROCESS__SEND_SIGNAL_REQUEST___DESCENDANTS_DESCENDANTS)
        return e->options.process.kill_scope;
    return r->descendants ? PROCESS_SCOPE_TREE : PROCESS_SCOPE_LEADER;
}

static void
send_signal(struct call *c, const ProtobufCMessage *request)
{
    const Process__SendSignalRequest *r =
        (const Process__SendSignalRequest *)request;
    Process__SendSignalResponse response = PROCESS__SEND_SIGNAL_RESPONSE__INIT;
    struct status st = {0};
    struct process *p = process_rpc_select(api_envd(c), r->process, false, &st);
    int signum = (int)r->signal;

    if (p != NULL) {
        if (signum == 0)
            (void)status_set(&st, RPC_UNIMPLEMENTED,
                             "invalid signal: SIGNAL_UNSPECIFIED");
        else if (signum < 0 || signum > SIGRTMAX)
            (void)status_set(&st, RPC_UNIMPLEMENTED, "invalid signal: %d",
                             signum);
        else
            (void)process_signal(p, signum, signal_scope(api_envd(c), r), &st);
    }
    reply_empty(c, "Process send signal", &response.base, &st);
}

static const struct rpc_method methods[] = {
    {
        .name = "List",
        .kind = RPC_UNARY,
        .input = &process__list_request__descriptor,
        .output = &process__list_response__descriptor,
        .start = list,
    },
    {
        .name = "Connect",
        .kind = RPC_SERVER_STREAM,
        .input = &process__connect_request__descriptor,
        .output = &process__connect_response__descriptor,
        .start = process_rpc_connect,
        .on_room = process_rpc_on_output_room,
        .on_cancel = process_rpc_on_output_cancel,
    },
    {
        .name = "Start",
        .kind = RPC_SERVER_STREAM,
        .input = &process__start_request__descriptor,
        .output = &process__start_response__descriptor,
        .start = process_rpc_start,
        .on_room = process_rpc_on_output_room,
        .on_cancel = process_rpc_on_output_cancel,
    },
    {
        .name = "Update",
        .kind = RPC_UNARY,
        .input = &process__update_request__descriptor,
        .output = &process__update_response__descriptor,
        .start = update,
    },
    {
        .name = "StreamInput",
        .kind = RPC_CLIENT_STREAM,
        .input_error_prefix = "error streaming input",
        .input = &process__stream_input_request__descriptor,
        .output = &process__stream_input_response__descriptor,
        .start = process_rpc_stream_input,
        .on_message = process_rpc_on_input_message,
        .on_messages_end = process_rpc_on_input_end,
        .on_cancel = process_rpc_on_input_cancel,
    },
    {
        .name = "SendInput",
        .kind = RPC_UNARY,
        .input = &process__send_input_request__descriptor,
        .output = &process__send_input_response__descriptor,
        .start = process_rpc_send_input,
        .on_cancel = process_rpc_on_input_cancel,
    },
    {
        .name = "SendSignal",
        .kind = RPC_UNARY,
        .input = &process__send_signal_request__descriptor,
        .output = &process__send_signal_response__descriptor,
        .start = send_signal,
    },
    {
        .name = "CloseStdin",
        .kind = RPC_UNARY,
        .input = &process__close_stdin_request__descriptor,
        .output = &process__close_stdin_response__descriptor,
        .start = process_rpc_close_stdin,
        .on_cancel = process_rpc_on_input_cancel,
    },
};

const struct rpc_service process_service = {
    .name = "process.Process",
    .methods = methods,
    .method_count = ARRAY_LEN(methods),
};
