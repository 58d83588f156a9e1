/*
 * Following a process: the streams of Start and Connect.
 *
 * A stream is a reader of the process.  It asks for the next event while its
 * client has room, so that nothing is produced that nobody takes.
 */
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/keepalive.h"
#include "api/process_env.h"
#include "api/process_rpc.h"
#include "api/profiles.h"
#include "api/rpc_log.h"
#include "base/mem.h"
#include "base/scope.h"
#include "base/utf8.h"
#include "connect/call.h"
#include "envd.h"
#include "filesystem/path.h"
#include "guest/ports.h"
#include "guest/settings.h"
#include "process/process.h"
#include "security/user.h"

/* Bytes of output in one message. */
#define DATA_MAX_BYTES (64 * 1024)

struct output_stream {
    struct call *call;
    struct process_reader reader;
    struct keepalive keepalive;
};

static void
output_stream_free(struct output_stream *s)
{
    process_detach(&s->reader);
    keepalive_stop(&s->keepalive);
    call_set_ctx(s->call, NULL);
    free(s);
}

/*
 * Send one event.  Start and Connect answer with messages of the same shape,
 * one field `event`.
 */
static void
send_event(struct output_stream *s, Process__ProcessEvent *event)
{
    if (call_method(s->call)->output == &process__start_response__descriptor) {
        Process__StartResponse r = PROCESS__START_RESPONSE__INIT;

        r.event = event;
        call_send(s->call, &r.base);
    } else {
        Process__ConnectResponse r = PROCESS__CONNECT_RESPONSE__INIT;

        r.event = event;
        call_send(s->call, &r.base);
    }
    keepalive_note(&s->keepalive);
}

static void
send_start(struct output_stream *s, const struct process_event *ev)
{
    Process__ProcessEvent event = PROCESS__PROCESS_EVENT__INIT;
    Process__ProcessEvent__StartEvent start =
        PROCESS__PROCESS_EVENT__START_EVENT__INIT;

    start.pid = ev->pid;
    start.offset = ev->offset;
    start.lost = ev->lost;
    event.event_case = PROCESS__PROCESS_EVENT__EVENT_START;
    event.start = &start;
    send_event(s, &event);
    keepalive_start(&s->keepalive);
}

static void
send_data(struct output_stream *s, const struct process_event *ev)
{
    Process__ProcessEvent event = PROCESS__PROCESS_EVENT__INIT;
    Process__ProcessEvent__DataEvent data =
        PROCESS__PROCESS_EVENT__DATA_EVENT__INIT;
    ProtobufCBinaryData bytes = {ev->len, (uint8_t *)(uintptr_t)ev->data};

    switch (ev->source) {
    case PROCESS_STDOUT:
        data.output_case = PROCESS__PROCESS_EVENT__DATA_EVENT__OUTPUT_STDOUT;
        data.stdout = bytes;
        break;
    case PROCESS_STDERR:
        data.output_case = PROCESS__PROCESS_EVENT__DATA_EVENT__OUTPUT_STDERR;
        data.stderr = bytes;
        break;
    case PROCESS_PTY:
        data.output_case = PROCESS__PROCESS_EVENT__DATA_EVENT__OUTPUT_PTY;
        data.pty = bytes;
        break;
    }
    data.lost = ev->lost;
    event.event_case = PROCESS__PROCESS_EVENT__EVENT_DATA;
    event.data = &data;
    send_event(s, &event);
}

static void
finish(struct output_stream *s, const struct process_event *ev)
{
    Process__ProcessEvent event = PROCESS__PROCESS_EVENT__INIT;
    Process__ProcessEvent__EndEvent end;
    struct call *c = s->call;

    process__process_event__end_event__init(&end);
    end.exit_code = ev->exit->exit_code;
    end.exited = ev->exit->exited;
    end.status = (char *)(uintptr_t)ev->exit->status;
    end.cpu_us = ev->exit->cpu_us;
    end.peak_memory_bytes = ev->exit->peak_bytes;
    end.oom_killed = ev->exit->oom_killed;
    end.deadline_exceeded = ev->exit->deadline;
    if (ev->exit->error != NULL) {
        end._error_case = PROCESS__PROCESS_EVENT__END_EVENT___ERROR_ERROR;
        end.error = (char *)(uintptr_t)ev->exit->error;
    }
    event.event_case = PROCESS__PROCESS_EVENT__EVENT_END;
    event.end = &end;
    send_event(s, &event);
    rpc_log_done(c, "process", "Process stream", NULL);
    output_stream_free(s);
    call_end(c);
}

/* Say by number and name, too, why a command could not be started. */
static void
add_cause(struct call *c, const struct status *failure)
{
    SCOPE(buf_done) struct buf packed = {0};
    Process__StartFailure detail;
    const char *name = strerrorname_np(failure->err);
    uint8_t *p;
    size_t len;

    if (failure->stage == NULL)
        return;
    process__start_failure__init(&detail);
    detail.number = failure->err;
    if (failure->err != 0 && name != NULL)
        detail.name = (char *)(uintptr_t)name;
    detail.stage = (char *)(uintptr_t)failure->stage;
    len = process__start_failure__get_packed_size(&detail);
    p = buf_reserve(&packed, len);
    if (p == NULL)
        return;
    (void)process__start_failure__pack(&detail, p);
    call_add_error_detail(c, detail.base.descriptor->name, p, len);
}

static void
fail(struct output_stream *s, const struct status *failure)
{
    struct call *c = s->call;
    struct status st = {0};

    (void)status_set(&st, failure->code, "%s", status_message(failure));
    add_cause(c, failure);
    rpc_log_done(c, "process", "Process stream", &st);
    output_stream_free(s);
    call_fail(c, &st);
    status_done(&st);
}

/* Send what there is while the client takes it. */
static void
pump(struct output_stream *s)
{
    while (call_has_room(s->call)) {
        struct process_event ev;

        process_reader_next(&s->reader, DATA_MAX_BYTES, &ev);
        switch (ev.kind) {
        case PROCESS_EVENT_NONE:
            return;
        case PROCESS_EVENT_START:
            send_start(s, &ev);
            break;
        case PROCESS_EVENT_DATA:
            send_data(s, &ev);
            break;
        case PROCESS_EVENT_END:
            finish(s, &ev);
            return;
        case PROCESS_EVENT_FAILED:
        case PROCESS_EVENT_CUT:
            fail(s, ev.failure);
            return;
        }
    }
}

static void
on_readable(struct process_reader *r)
{
    pump(r->ctx);
}

static void
send_keepalive(struct keepalive *k)
{
    struct output_stream *s = container_of(k, struct output_stream, keepalive);
    Process__ProcessEvent event = PROCESS__PROCESS_EVENT__INIT;
    Process__ProcessEvent__KeepAlive keepalive =
        PROCESS__PROCESS_EVENT__KEEP_ALIVE__INIT;

    event.event_case = PROCESS__PROCESS_EVENT__EVENT_KEEPALIVE;
    event.keepalive = &keepalive;
    send_event(s, &event);
}

static void
follow(struct call *c, struct process *p, enum process_replay replay,
       uint64_t from)
{
    struct output_stream *s = xcalloc(1, sizeof(*s));
    struct status st = {0};

    s->call = c;
    keepalive_init(&s->keepalive, c, send_keepalive);
    s->reader.ctx = s;
    s->reader.on_readable = on_readable;
    call_set_ctx(c, s);
    if (process_attach(p, &s->reader, replay, from, &st) < 0)
        fail(s, &st);
    status_done(&st);
}

void
process_rpc_on_output_room(struct call *c)
{
    pump(call_ctx(c));
}

void
process_rpc_on_output_cancel(struct call *c, enum call_cancel why)
{
    struct output_stream *s = call_ctx(c);

    (void)why;
    if (s != NULL)
        output_stream_free(s);
}

/*
 * Where a Connect begins: after the byte the last reader took, unless the
 * header says otherwise.
 */
static int
parse_replay(struct call *c, enum process_replay *ret, uint64_t *ret_from,
             struct status *st)
{
    struct str value = call_header(c, "X-Envd-Replay");
    const size_t prefix = strlen("from=");

    *ret = api_envd(c)->options.replay;
    *ret_from = 0;
    if (value.data == NULL)
        return 0;
    if (str_eq(value, "none")) {
        *ret = PROCESS_REPLAY_NOW;
    } else if (str_eq(value, "all")) {
        *ret = PROCESS_REPLAY_ALL;
    } else if (str_starts(value, "from=") &&
               str_to_u64((struct str){value.data + prefix, value.len - prefix},
                          UINT64_MAX, ret_from) == 0) {
        *ret = PROCESS_REPLAY_FROM;
    } else {
        return status_set(st, RPC_INVALID_ARGUMENT,
                          "X-Envd-Replay must be none, all or from=<offset>: "
                          "got \"%.*s\"",
                          (int)MIN(value.len, 100U), value.data);
    }
    return 0;
}

void
process_rpc_connect(struct call *c, const ProtobufCMessage *request)
{
    const Process__ConnectRequest *r = (const Process__ConnectRequest *)request;
    struct status st = {0};
    enum process_replay replay;
    uint64_t from;
    struct process *p = process_rpc_select(api_envd(c), r->process, true, &st);

    if (p == NULL || parse_replay(c, &replay, &from, &st) < 0) {
        rpc_log_done(c, "process", "Process connect", &st);
        call_fail(c, &st);
    } else {
        follow(c, p, replay, from);
    }
    status_done(&st);
}

static void
config_free(void *config)
{
    process__process_config__free_unpacked(config, NULL);
}

/* A copy of the configuration that lives as long as the process. */
static Process__ProcessConfig *
config_copy(const Process__ProcessConfig *config)
{
    SCOPE(buf_done) struct buf packed = {0};
    size_t len = process__process_config__get_packed_size(config);
    uint8_t *p = buf_reserve(&packed, len + 1);

    if (p == NULL)
        return NULL;
    (void)process__process_config__pack(config, p);
    return process__process_config__unpack(NULL, len, p);
}

/* Everything of a Start that the process needs, from request and user. */
static int
fill_spec(struct call *c, const Process__StartRequest *r,
          const Process__ProcessConfig *config, const struct user *user,
          struct spawn_spec *spec, struct status *st)
{
    struct envd *e = api_envd(c);
    struct str cwd = config->_cwd_case == PROCESS__PROCESS_CONFIG___CWD_CWD
                         ? str_from(config->cwd)
                         : (struct str){0};
    char *resolved;

    if (path_resolve(cwd, user->name, user->home,
                     guest_default_workdir(e->settings), &resolved, st) < 0)
        return -1;
    *spec = (struct spawn_spec){
        .cmd = config->cmd,
        .args = (const char *const *)config->args,
        .arg_count = config->n_args,
        .cwd = resolved,
        .uid = user->uid,
        .gid = user->gid,
        .groups = user->groups,
        .group_count = user->group_count,
        .pty = r->_pty_case == PROCESS__START_REQUEST___PTY_PTY,
        .stdin_open =
            r->_stdin_case != PROCESS__START_REQUEST___STDIN_STDIN || r->stdin,
        .cgroup_fd = -1,
    };
    if (spec->pty && user_find_group(e->users, "tty", &spec->tty_gid) < 0)
        spec->tty_gid = (gid_t)-1;
    if (spec->pty && r->pty->size != NULL) {
        spec->cols = r->pty->size->cols;
        spec->rows = r->pty->size->rows;
    }
    return 0;
}

static int
start(struct call *c, const Process__StartRequest *r,
      const Process__ProcessConfig *config, struct process **ret,
      struct status *st)
{
    Process__ProcessConfig none;
    struct envd *e = api_envd(c);
    const char *tag =
        r->_tag_case == PROCESS__START_REQUEST___TAG_TAG ? r->tag : NULL;
    struct arena arena = {0};
    struct user user = {0};
    struct spawn_spec spec = {0};
    Process__ProcessConfig *copy = NULL;
    int result = -1;

    process__process_config__init(&none);
    if (config == NULL)
        config = &none;
    if (api_call_user(c, &user, st) < 0)
        return -1;
    if (tag != NULL && strstr(tag, UTF8_NUL) != NULL) {
        (void)status_set(st, RPC_INVALID_ARGUMENT, "the tag holds a NUL byte");
        goto out;
    }
    if (fill_spec(c, r, config, &user, &spec, st) < 0)
        goto out;
    if (call_header(c, "X-Envd-Profile").data != NULL &&
        profiles_find(e->profiles, call_header(c, "X-Envd-Profile"),
                      &spec.filter, st) < 0)
        goto out;
    spec.env = process_env_build(e->settings, &user, config, &arena);
    copy = config_copy(config);
    if (spec.env == NULL || copy == NULL) {
        (void)status_set(st, RPC_RESOURCE_EXHAUSTED, "out of memory");
        goto out;
    }
    result = process_start(e->processes, &spec, tag,
                           call_timeout_ms(c, /* connect_only= */ true), copy,
                           config_free, ret, st);
    if (result == 0) {
        copy = NULL;
        ports_stir(e->ports);
    }
out:
    if (copy != NULL)
        config_free(copy);
    free((char *)(uintptr_t)spec.cwd);
    arena_done(&arena);
    user_done(&user);
    return result;
}

void
process_rpc_start(struct call *c, const ProtobufCMessage *request)
{
    const Process__StartRequest *r = (const Process__StartRequest *)request;
    struct process *p;
    struct status st = {0};

    if (start(c, r, r->process, &p, &st) < 0) {
        rpc_log_done(c, "process", "Process start", &st);
        add_cause(c, &st);
        call_fail(c, &st);
    } else {
        follow(c, p, PROCESS_REPLAY_ALL, 0);
    }
    status_done(&st);
}
