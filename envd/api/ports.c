/*
 * Which ports are open in the guest, and who has opened them: all at once, or
 * as a stream of changes.
 *
 * A follower holds what it has told, a bit for each port, and the version of
 * the table up to which it has told everything.  So a slow one is never owed
 * more than the present state: what has come and gone meanwhile is left out.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/scope.h"
#include "connect/json_write.h"
#include "envd.h"
#include "guest/ports.h"
#include "http/exchange.h"
#include "http/query.h"
#include "limits.h"
#include "loop/loop.h"
#include "process/process.h"

#define KEEPALIVE_MS (90 * 1000)
#define WORDS        (65536 / 64)

struct ports_answer {
    struct ports_question question;
    struct envd *envd;
    struct http_exchange *x;
};

struct ports_stream {
    struct ports_follower follower;
    struct ports_question first;
    struct loop_timer keepalive;
    struct envd *envd;
    struct http_exchange *x;
    uint64_t told[WORDS]; /* ports that the client knows as open */
    uint64_t seen;        /* all up to this version was told */
    uint64_t target;      /* the version that is being told */
    uint32_t cursor;      /* the next port of it */
    bool passing;         /* in the middle of that */
    bool complete;        /* the first state was told */
};

/* ---- the words ----------------------------------------------------------- */

static void
append_string(struct buf *out, const char *s)
{
    json_write_string(out, s, strlen(s));
}

/* The command of ours that the owner belongs to, or NULL. */
static const struct process *
command_of(const struct envd *e, const struct port_owner *o)
{
    const struct process *p = process_by_pid(e->processes, (uint32_t)o->pid);

    for (size_t i = 0; i < PORT_ANCESTORS && o->ancestors[i] > 0; i++)
        if (p == NULL)
            p = process_by_pid(e->processes, (uint32_t)o->ancestors[i]);
    return p;
}

static void
append_owner(struct buf *out, const struct envd *e, const struct port_owner *o)
{
    const struct process *p = command_of(e, o);

    buf_appendf(out, ",\"owner\":{\"pid\":%d,\"name\":", (int)o->pid);
    append_string(out, o->name);
    buf_append_str(out, ",\"command\":");
    append_string(out, o->command != NULL ? o->command : "");
    if (p != NULL) {
        buf_appendf(out, ",\"process\":{\"pid\":%" PRIu32, process_pid(p));
        if (process_tag(p) != NULL) {
            buf_append_str(out, ",\"tag\":");
            append_string(out, process_tag(p));
        }
        buf_append_byte(out, '}');
    }
    buf_append_byte(out, '}');
}

static void
append_listener(struct buf *out, const struct envd *e,
                const struct port_listener *l)
{
    char text[INET6_ADDRSTRLEN];

    buf_appendf(out, "{\"address\":\"%s\",\"uid\":%" PRIu32,
                address_text(l->address, text), l->uid);
    if (l->owner.pid > 0)
        append_owner(out, e, &l->owner);
    buf_append_byte(out, '}');
}

/* The members of a port's object, without braces. */
static void
append_port(struct buf *out, const struct envd *e, const struct port *p)
{
    bool first = true;

    buf_appendf(out,
                "\"port\":%u,\"loopbackOnly\":%s,\"forwarded\":%s,"
                "\"listeners\":[",
                p->number, port_is_loopback(p) ? "true" : "false",
                port_is_forwarded(p) ? "true" : "false");
    for (size_t i = 0; i < p->count; i++) {
        if (p->listeners[i].misses > 0)
            continue;
        if (!first)
            buf_append_byte(out, ',');
        first = false;
        append_listener(out, e, &p->listeners[i]);
    }
    buf_append_byte(out, ']');
}

/* Whether the last look has found somebody there. */
static bool
is_open(const struct port *p)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->listeners[i].misses == 0)
            return true;
    return false;
}

static void
mark_open(const struct port_table *t, uint64_t marks[WORDS])
{
    for (const struct port *p = port_table_first(t); p != NULL;
         p = port_table_next(t, p))
        if (is_open(p))
            marks[p->number / 64] |= UINT64_C(1) << (p->number % 64);
}

/* ---- all at once --------------------------------------------------------- */

static void
append_ports(struct buf *out, const struct envd *e, const struct port_table *t)
{
    uint64_t marks[WORDS] = {0};
    bool first = true;

    mark_open(t, marks);
    for (uint32_t word = 0; word < WORDS; word++)
        for (uint64_t left = marks[word]; left != 0; left &= left - 1) {
            uint32_t number = word * 64 + (uint32_t)__builtin_ctzll(left);

            buf_append_str(out, first ? "{" : ",{");
            first = false;
            append_port(out, e, port_table_find(t, (uint16_t)number));
            buf_append_byte(out, '}');
        }
}

static void
on_answer(struct ports_question *q)
{
    struct ports_answer *a = container_of(q, struct ports_answer, question);
    const struct port_table *table = ports_table(a->envd->ports);
    char text[INET_ADDRSTRLEN];
    struct in_addr address;
    struct buf body = {0};

    buf_append_byte(&body, '{');
    if (ports_forward_address(a->envd->ports, &address))
        buf_appendf(&body, "\"forwardAddress\":\"%s\",",
                    inet_ntop(AF_INET, &address, text, sizeof(text)));
    if (table->truncated)
        buf_append_str(&body, "\"truncated\":true,");
    buf_append_str(&body, "\"ports\":[");
    append_ports(&body, a->envd, table);
    buf_append_str(&body, "]}\n");
    http_add_header(a->x, "Content-Type", "application/json");
    if (body.failed)
        api_error(a->x, 507, "out of memory");
    else
        http_reply_buf(a->x, 200, &body);
    buf_done(&body);
    free(a);
}

static void
on_question_cancel(struct http_exchange *x, void *ctx)
{
    struct ports_answer *a = ctx;

    (void)x;
    ports_ask_cancel(a->envd->ports, &a->question);
    free(a);
}

static void
answer_once(struct envd *e, struct http_exchange *x)
{
    static const struct http_handler handler = {
        .on_cancel = on_question_cancel,
    };
    struct ports_answer *a = xcalloc(1, sizeof(*a));

    a->question.on_answer = on_answer;
    a->envd = e;
    a->x = x;
    http_accept(x, &handler, a);
    ports_ask(e->ports, &a->question);
}

/* ---- changes ------------------------------------------------------------- */

static void
say(struct ports_stream *s, const char *event)
{
    buf_appendf(http_piece_open(s->x), "{\"event\":\"%s\"}\n", event);
    http_piece_close(s->x);
    loop_timer_set(&s->keepalive, KEEPALIVE_MS);
}

static void
say_port(struct ports_stream *s, const char *event, const struct port *p)
{
    struct buf *out = http_piece_open(s->x);

    buf_appendf(out, "{\"event\":\"%s\",", event);
    append_port(out, s->envd, p);
    buf_append_str(out, "}\n");
    http_piece_close(s->x);
    loop_timer_set(&s->keepalive, KEEPALIVE_MS);
}

static void
say_closed(struct ports_stream *s, uint32_t number)
{
    buf_appendf(http_piece_open(s->x),
                "{\"event\":\"closed\",\"port\":%" PRIu32 "}\n", number);
    http_piece_close(s->x);
    loop_timer_set(&s->keepalive, KEEPALIVE_MS);
}

/* What is new about one port; one that only misses a dump is still open. */
static void
tell_port(struct ports_stream *s, uint32_t number)
{
    const struct port *p =
        port_table_find(ports_table(s->envd->ports), (uint16_t)number);
    uint64_t bit = UINT64_C(1) << (number % 64);
    uint64_t *word = &s->told[number / 64];

    if (p == NULL && (*word & bit) != 0) {
        *word &= ~bit;
        say_closed(s, number);
    } else if (p != NULL && (*word & bit) == 0 && is_open(p)) {
        *word |= bit;
        say_port(s, "opened", p);
    } else if (p != NULL && (*word & bit) != 0 && p->version > s->seen &&
               is_open(p)) {
        say_port(s, "changed", p);
    }
}

/* Tell from the cursor on; false when the client has no room. */
static bool
pass(struct ports_stream *s)
{
    uint64_t marks[WORDS] = {0};

    mark_open(ports_table(s->envd->ports), marks);
    while (s->cursor < 65536) {
        uint32_t word = s->cursor / 64;
        uint64_t left =
            (marks[word] | s->told[word]) & (UINT64_MAX << (s->cursor % 64));

        if (left == 0) {
            s->cursor = (word + 1) * 64;
            continue;
        }
        if (!http_has_room(s->x))
            return false;
        s->cursor = word * 64 + (uint32_t)__builtin_ctzll(left);
        tell_port(s, s->cursor++);
    }
    return true;
}

static void
pump(struct ports_stream *s)
{
    const struct port_table *t = ports_table(s->envd->ports);

    while (s->passing || s->seen != t->version || !s->complete) {
        if (!s->passing) {
            s->passing = true;
            s->target = t->version;
            s->cursor = 0;
        }
        if (!pass(s))
            return;
        s->passing = false;
        s->seen = s->target;
        if (!s->complete)
            say(s, "synced");
        s->complete = true;
    }
}

static void
on_change(struct ports_follower *f)
{
    struct ports_stream *s = container_of(f, struct ports_stream, follower);

    if (s->complete || s->passing)
        pump(s);
}

static void
on_keepalive(struct loop_timer *t)
{
    struct ports_stream *s = container_of(t, struct ports_stream, keepalive);

    if (http_has_room(s->x))
        say(s, "keepalive");
    loop_timer_set(&s->keepalive, KEEPALIVE_MS);
}

static void
on_stream_room(struct http_exchange *x, void *ctx)
{
    struct ports_stream *s = ctx;

    (void)x;
    if (s->complete || s->passing)
        pump(s);
}

static void
on_stream_cancel(struct http_exchange *x, void *ctx)
{
    struct ports_stream *s = ctx;

    (void)x;
    loop_timer_cancel(&s->keepalive);
    ports_ask_cancel(s->envd->ports, &s->first);
    ports_unfollow(s->envd->ports, &s->follower);
    s->envd->port_followers--;
    free(s);
}

/* A look was taken: what is there now is the first state. */
static void
on_first(struct ports_question *q)
{
    pump(container_of(q, struct ports_stream, first));
}

static void
answer_changes(struct envd *e, struct http_exchange *x)
{
    static const struct http_handler handler = {
        .on_room = on_stream_room,
        .on_cancel = on_stream_cancel,
    };
    struct ports_stream *s;

    if (e->port_followers >= LIMIT_PORT_FOLLOWERS) {
        api_error(x, 503, "more than %d streams follow the ports",
                  LIMIT_PORT_FOLLOWERS);
        return;
    }
    e->port_followers++;
    s = xcalloc(1, sizeof(*s));
    s->envd = e;
    s->x = x;
    s->follower.on_change = on_change;
    s->first.on_answer = on_first;
    loop_timer_init(e->loop, &s->keepalive, on_keepalive);
    loop_timer_set(&s->keepalive, KEEPALIVE_MS);
    http_accept(x, &handler, s);
    http_add_header(x, "Content-Type", "application/x-ndjson");
    http_reply_begin(x, 200, -1);
    ports_follow(e->ports, &s->follower);
    ports_ask(e->ports, &s->first);
}

/* ---- the request --------------------------------------------------------- */

/* Whether the query has `follow`; returns -1 when it was answered. */
static int
wants_changes(struct http_exchange *x)
{
    struct str query = http_request(x)->query;
    SCOPE(scope_free) char *text = str_dup(query);
    struct query_param follow = {.name = "follow"};
    struct status st = {0};
    int r = 0;

    if (query.data != NULL && text == NULL) {
        api_error(x, 507, "out of memory");
        return -1;
    }
    if (query_bind(text, query.len, &follow, 1, &st) < 0) {
        api_error(x, 400, "%s", status_message(&st));
        r = -1;
    } else if (follow.value.data != NULL) {
        r = !str_eq(follow.value, "0") && !str_eq(follow.value, "false");
    }
    status_done(&st);
    return r;
}

void
api_ports(struct envd *e, struct http_exchange *x)
{
    int changes = wants_changes(x);

    if (changes < 0)
        return;
    http_add_header(x, "Cache-Control", "no-store");
    if (changes > 0 && http_request(x)->method != HTTP_HEAD)
        answer_changes(e, x);
    else
        answer_once(e, x);
}
