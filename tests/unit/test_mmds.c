/*
 * Lookups and their waiters, the poller, what a document changes.
 */
#include "guest/mmds.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "api/api.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/scope.h"
#include "guest/log_export.h"
#include "guest/run_files.h"
#include "guest/settings.h"
#include "limits.h"
#include "loop/loop.h"
#include "loop/worker.h"
#include "scratch.h"
#include "server_fixture.h"

#define TOKEN "a-token"
#define DOCUMENT                                                           \
    "{\"instanceID\":\"sandbox\",\"envID\":\"template\",\"address\":\"\"," \
    "\"x\""                                                                \
    ":[1],\"accessTokenHash\":\"abc\"}"

struct waiter {
    struct mmds_lookup lookup;
    struct fixture *f;
    char *instance_id;
    char *hash;
    char *error;
    unsigned int calls;
};

struct fixture {
    struct loop *loop;
    struct worker_pool *workers;
    struct server *server;
    struct guest_settings *settings;
    struct log_exporter *exporter;
    struct mmds *m;
    struct mmds_config config;
    const char *dir;
    unsigned int to_come; /* waiters, before the loop ends */
};

/* What the server says, changed under its lock. */
static const char *document;
static const char *token;
static unsigned int failures; /* so many documents are refused at first */
static bool hold_document;
static atomic_uint heals;

static void
answer(struct server *s, const struct server_request *r, char *out, size_t size)
{
    const char *body = document;
    int status = 200;

    if (strncmp(r->text, "PUT /latest/api/token HTTP/1.1\r\n", 32) == 0) {
        body = token;
        s->hold = hold_document; /* the next request */
    } else if (failures > 0) {
        failures--;
        status = 404;
    }
    (void)snprintf(out, size,
                   "HTTP/1.1 %d x\r\nContent-Length: %zu\r\n"
                   "Connection: close\r\n\r\n%s",
                   status, strlen(body), body);
}

static void
create(struct fixture *f)
{
    f->m = mmds_new(f->loop, &f->config);
}

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    document = DOCUMENT;
    token = TOKEN;
    failures = 0;
    heals = 0;
    hold_document = false;
    f->loop = loop_new();
    f->workers = worker_pool_new(f->loop, 2);
    f->server = server_new();
    f->server->answer = answer;
    f->server->leave = true;
    f->settings = guest_settings_new();
    f->exporter = log_exporter_new(f->loop);
    assert_int_equal(scratch_make(state), 0);
    f->dir = scratch_root;
    f->config = (struct mmds_config){
        .address = f->server->address,
        .run_dir = f->dir,
        .decode = api_mmds_decode,
        .settings = f->settings,
        .exporter = f->exporter,
        .workers = f->workers,
    };
    create(f);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    worker_pool_free(f->workers);
    mmds_free(f->m);
    log_exporter_free(f->exporter);
    guest_settings_free(f->settings);
    server_free(f->server);
    loop_free(f->loop);
    free(f);
    return scratch_remove(state);
}

static void
on_done(struct mmds_lookup *l, const struct mmds_document *d, const char *error)
{
    struct waiter *w = container_of(l, struct waiter, lookup);

    w->calls++;
    assert_true((d == NULL) == (error != NULL));
    free(w->instance_id);
    free(w->hash);
    free(w->error);
    w->instance_id = w->hash = w->error = NULL;
    if (d != NULL) {
        w->instance_id = strdup(d->instance_id);
        w->hash = strdup(d->access_token_hash);
    } else {
        w->error = strdup(error);
    }
    if (--w->f->to_come == 0)
        loop_stop(w->f->loop);
}

static void
ask(struct fixture *f, struct waiter *w)
{
    *w = (struct waiter){.f = f, .lookup.done = on_done};
    mmds_lookup(f->m, &w->lookup);
    assert_int_equal(w->calls, 0); /* never from inside */
    assert_true(w->lookup.waiting);
    f->to_come++;
}

static void
turn(struct fixture *f)
{
    assert_int_equal(loop_run(f->loop), 0);
}

static void
waiter_done(struct waiter *w)
{
    free(w->instance_id);
    free(w->hash);
    free(w->error);
}

static void
look_up(struct fixture *f, struct waiter *w)
{
    ask(f, w);
    turn(f);
    assert_int_equal(w->calls, 1);
}

static const char *
variable(const struct fixture *f, const char *name)
{
    size_t count;
    const struct guest_var *vars = guest_vars(f->settings, &count);

    for (size_t i = 0; i < count; i++)
        if (strcmp(vars[i].name, name) == 0)
            return vars[i].value;
    return NULL;
}

struct stop_timer {
    struct loop_timer timer;
    struct loop *loop;
};

static void
on_stop(struct loop_timer *t)
{
    loop_stop(container_of(t, struct stop_timer, timer)->loop);
}

/* Let the loop turn until `check` holds. */
static void
turn_until(struct fixture *f, bool (*check)(const struct fixture *f))
{
    struct stop_timer stop = {.loop = f->loop};

    loop_timer_init(f->loop, &stop.timer, on_stop);
    for (int i = 0; !check(f); i++) {
        assert_true(i < 4000);
        loop_timer_set(&stop.timer, 5);
        turn(f);
    }
}

static void
assert_file(const struct fixture *f, const char *name, const char *text,
            mode_t mode)
{
    SCOPE(scope_free) char *content = NULL;
    const char *path = scratch("%s", name);
    struct stat st;

    (void)f;
    assert_int_equal(fd_read_file(path, 4096, &content, NULL), 0);
    assert_string_equal(content, text);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, mode);
}

static bool
file_is_there(const struct fixture *f)
{
    (void)f;
    return scratch_has(RUN_FILE_TEMPLATE_ID);
}

static bool
marker_is_there(const struct fixture *f)
{
    (void)f;
    return scratch_has(RUN_FILE_MMDS_ANSWERED);
}

static bool
document_is_asked_for(const struct fixture *f)
{
    bool asked;

    (void)pthread_mutex_lock(&f->server->lock);
    asked = f->server->count == 2;
    (void)pthread_mutex_unlock(&f->server->lock);
    return asked;
}

/* ---- lookups ------------------------------------------------------------- */

static void
test_lookup(void **state)
{
    struct fixture *f = *state;
    const struct server_request *r = f->server->seen;
    struct waiter w;

    assert_null(mmds_document(f->m));
    assert_false(mmds_answered_before(f->m));
    look_up(f, &w);
    assert_string_equal(w.instance_id, "sandbox");
    assert_string_equal(w.hash, "abc");
    assert_false(w.lookup.waiting);
    assert_int_equal(f->server->count, 2);
    assert_int_equal(
        strncmp(r[0].text, "PUT /latest/api/token HTTP/1.1\r\n", 32), 0);
    assert_non_null(
        strstr(r[0].text, "\r\nX-metadata-token-ttl-seconds: 60\r\n"));
    assert_int_equal(strncmp(r[1].text, "GET / HTTP/1.1\r\n", 16), 0);
    assert_non_null(strstr(r[1].text, "\r\nX-metadata-token: " TOKEN "\r\n"));
    assert_non_null(strstr(r[1].text, "\r\nAccept: application/json\r\n"));
    assert_int_equal(f->server->connections, 2);
    assert_string_equal(variable(f, "E2B_SANDBOX_ID"), "sandbox");
    assert_string_equal(variable(f, "E2B_TEMPLATE_ID"), "template");
    assert_string_equal(mmds_document(f->m)->env_id, "template");
    assert_true(mmds_answered_before(f->m));
    turn_until(f, file_is_there);
    assert_file(f, RUN_FILE_SANDBOX_ID, "sandbox", 0644);
    assert_file(f, RUN_FILE_TEMPLATE_ID, "template", 0644);
    waiter_done(&w);
    mmds_free(f->m);
    create(f);
    assert_true(mmds_answered_before(f->m)); /* an agent before us */
}

/* Those who ask before the document is asked for have one lookup. */
static void
test_shared(void **state)
{
    struct fixture *f = *state;
    struct waiter w[20];
    struct mmds_stats st;

    for (size_t i = 0; i < ARRAY_LEN(w); i++)
        ask(f, &w[i]);
    mmds_lookup_cancel(f->m, &w[3].lookup);
    mmds_lookup_cancel(f->m, &w[3].lookup);
    f->to_come--;
    turn(f);
    for (size_t i = 0; i < ARRAY_LEN(w); i++) {
        assert_int_equal(w[i].calls, i == 3 ? 0 : 1);
        waiter_done(&w[i]);
    }
    assert_int_equal(f->server->count, 2);
    mmds_get_stats(f->m, &st);
    assert_int_equal(st.lookups, 1);
}

/* One who asks while the document is on its way may be told what is old. */
static void
test_too_late_to_join(void **state)
{
    struct fixture *f = *state;
    struct waiter early;
    struct waiter late;

    hold_document = true;
    ask(f, &early);
    turn_until(f, document_is_asked_for);
    ask(f, &late);
    hold_document = false;
    document = "{\"instanceID\":\"newer\"}";
    server_set(f->server, &f->server->hold, false);
    turn(f);
    assert_int_equal(early.calls, 1);
    assert_int_equal(late.calls, 1);
    assert_string_equal(late.instance_id, "newer");
    assert_int_equal(f->server->count, 4);
    waiter_done(&early);
    waiter_done(&late);
}

/* Whoever asks from inside of an answer gets one of his own. */
static void
on_done_again(struct mmds_lookup *l, const struct mmds_document *d,
              const char *error)
{
    struct waiter *w = container_of(l, struct waiter, lookup);

    if (w->calls == 0)
        mmds_lookup(w->f->m, l);
    on_done(l, d, error);
}

static void
test_again_from_inside(void **state)
{
    struct fixture *f = *state;
    struct waiter other;
    struct waiter w;

    ask(f, &w);
    w.lookup.done = on_done_again;
    ask(f, &other);
    f->to_come = 3;
    turn(f);
    assert_int_equal(w.calls, 2);
    assert_int_equal(other.calls, 1);
    assert_string_equal(w.instance_id, "sandbox");
    assert_string_equal(other.instance_id, "sandbox");
    assert_int_equal(f->server->count, 4);
    waiter_done(&w);
    waiter_done(&other);
}

static void
test_failures(void **state)
{
    static const struct {
        const char *token;
        const char *document;
        const char *error;
    } cases[] = {
        {"", DOCUMENT, "token: empty or not a text"},
        {"a\r\nb: c", DOCUMENT, "token: empty or not a text"},
        {TOKEN, "", "document: empty"},
        {TOKEN, "[]", "document: not JSON as it should be"},
        {TOKEN, "{\"instanceID\":1}", "document: not JSON as it should be"},
        {TOKEN, "{\"instanceID\":\"a\\nb\"}",
         "document: a value is too long or no text"},
    };
    struct fixture *f = *state;
    struct waiter w;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        token = cases[i].token;
        document = cases[i].document;
        look_up(f, &w);
        assert_string_equal(w.error, cases[i].error);
        waiter_done(&w);
    }
    token = TOKEN;
    document = DOCUMENT;
    failures = 1;
    look_up(f, &w);
    assert_string_equal(w.error, "document: status 404");
    waiter_done(&w);
    assert_null(mmds_document(f->m));
    assert_false(mmds_answered_before(f->m));
    assert_null(variable(f, "E2B_SANDBOX_ID"));
    assert_false(marker_is_there(f));
}

/* What was asked for in the life before is asked for anew. */
static void
test_resumed(void **state)
{
    struct fixture *f = *state;
    struct waiter early;
    struct waiter late;

    mmds_resumed(f->m);
    hold_document = true;
    ask(f, &early);
    turn_until(f, document_is_asked_for);
    ask(f, &late);
    hold_document = false;
    document = "{\"instanceID\":\"newer\"}";
    mmds_resumed(f->m);
    server_set(f->server, &f->server->hold, false);
    turn(f);
    assert_int_equal(early.calls, 1);
    assert_int_equal(late.calls, 1);
    assert_string_equal(early.instance_id, "newer");
    assert_string_equal(late.instance_id, "newer");
    assert_int_equal(f->server->count, 4);
    waiter_done(&early);
    waiter_done(&late);
}

/* It takes a second, whoever answers or does not. */
static void
test_silence(void **state)
{
    struct fixture *f = *state;
    int64_t began = loop_now_ms();
    struct waiter w;

    server_set(f->server, &f->server->hold, true);
    look_up(f, &w);
    assert_string_equal(w.error, "token: connection timed out");
    assert_true(loop_now_ms() - began >= LIMIT_MMDS_LOOKUP_MS - 1);
    waiter_done(&w);
    server_set(f->server, &f->server->hold, false);
}

static void
test_nobody_listens(void **state)
{
    struct fixture *f = *state;
    struct waiter w;

    mmds_free(f->m);
    assert_int_equal(
        mmds_parse_address("127.255.255.254:1", &f->config.address), 0);
    create(f);
    look_up(f, &w);
    assert_string_equal(w.error, "token: connection refused");
    waiter_done(&w);
}

/* Without an instance id it is told, remembered, and changes nothing. */
static void
test_without_instance(void **state)
{
    struct fixture *f = *state;
    struct waiter w;

    document = "{\"accessTokenHash\":\"hash\",\"envID\":\"e\"}";
    look_up(f, &w);
    assert_string_equal(w.instance_id, "");
    assert_string_equal(w.hash, "hash");
    assert_null(mmds_document(f->m));
    assert_null(variable(f, "E2B_SANDBOX_ID"));
    assert_true(mmds_answered_before(f->m));
    waiter_done(&w);
    turn_until(f, marker_is_there);
    assert_false(file_is_there(f));
}

/* ---- the way to it ------------------------------------------------------- */

static int
heal_counted(const struct sockaddr_in *address)
{
    assert_int_equal(address->sin_family, AF_INET);
    heals++;
    return 0;
}

static void
test_heal(void **state)
{
    struct fixture *f = *state;
    struct waiter plain;
    struct waiter w[3];
    struct mmds_stats st;

    mmds_free(f->m);
    f->config.heal = heal_counted;
    create(f);
    failures = 1;
    ask(f, &plain);
    for (size_t i = 0; i < ARRAY_LEN(w); i++) {
        ask(f, &w[i]);
        w[i].lookup.heal = true;
    }
    turn(f);
    assert_string_equal(plain.error, "document: status 404");
    waiter_done(&plain);
    for (size_t i = 0; i < ARRAY_LEN(w); i++) {
        assert_int_equal(w[i].calls, 1);
        assert_string_equal(w[i].instance_id, "sandbox");
        waiter_done(&w[i]);
    }
    assert_int_equal(heals, 1);
    /* Not again so soon. */
    failures = 2;
    ask(f, &w[0]);
    w[0].lookup.heal = true;
    turn(f);
    assert_string_equal(w[0].error, "document: status 404");
    waiter_done(&w[0]);
    assert_int_equal(heals, 1);
    mmds_get_stats(f->m, &st);
    assert_int_equal(st.heals, 1);
    assert_int_equal(st.lookups, 3);
    assert_int_equal(st.failures, 2);
}

/* ---- the poller ---------------------------------------------------------- */

static bool
has_document(const struct fixture *f)
{
    return mmds_document(f->m) != NULL;
}

static bool
has_other_document(const struct fixture *f)
{
    return strcmp(mmds_document(f->m)->instance_id, "other") == 0;
}

static void
turn_for(struct fixture *f, int64_t ms)
{
    struct stop_timer stop = {.loop = f->loop};

    loop_timer_init(f->loop, &stop.timer, on_stop);
    loop_timer_set(&stop.timer, ms);
    turn(f);
}

static uint64_t
polls(const struct fixture *f)
{
    struct mmds_stats st;

    mmds_get_stats(f->m, &st);
    return st.polls;
}

static void
test_poll(void **state)
{
    struct fixture *f = *state;

    failures = 3;
    mmds_poll(f->m, -1);
    mmds_poll(f->m, 60000); /* there is one poller */
    turn_until(f, has_document);
    assert_int_equal(polls(f), 4);
    turn_for(f, 150); /* that was all of it */
    assert_int_equal(polls(f), 4);
    assert_int_equal(f->server->count, 8);
    document = "{\"instanceID\":\"other\",\"envID\":\"template\"}";
    mmds_poll(f->m, 60000);
    turn_until(f, has_other_document);
    assert_string_equal(variable(f, "E2B_SANDBOX_ID"), "other");
    assert_int_equal(polls(f), 5);
}

static bool
gave_up(const struct fixture *f)
{
    struct mmds_stats st;

    mmds_get_stats(f->m, &st);
    return st.gave_up == 1;
}

/* It is patient with a host that has nothing yet, and gives up in time. */
static void
test_poll_gives_up(void **state)
{
    struct fixture *f = *state;
    uint64_t count;

    document = "{\"envID\":\"no instance\"}";
    mmds_poll(f->m, 300);
    turn_until(f, gave_up);
    count = polls(f);
    assert_true(count >= 1 && count <= 9);
    turn_for(f, 200);
    assert_int_equal(polls(f), count);
}

/* Seldom after a while: not twenty times a second for ever. */
static void
test_poll_slows_down(void **state)
{
    struct fixture *f = *state;
    struct waiter w;

    failures = 1000000;
    mmds_poll(f->m, -1);
    turn_for(f, 2500);
    assert_true(polls(f) <= 27); /* 50 without a back-off */
    /* Somebody's own lookup ends it, too. */
    failures = 0;
    look_up(f, &w);
    waiter_done(&w);
    assert_non_null(mmds_document(f->m));
}

/* A collector named in a document is where lines go. */
static void
test_address(void **state)
{
    struct fixture *f = *state;
    struct log_export_stats before;
    struct log_export_stats after;
    struct waiter w;

    document = "{\"instanceID\":\"i\",\"envID\":\"e\",\"address\":\"http://"
               "127.255.255.254:1/\"}";
    log_exporter_get_stats(f->exporter, &before);
    look_up(f, &w);
    waiter_done(&w);
    log_exporter_get_stats(f->exporter, &after);
    assert_int_equal(before.connections, 0);
    /* It is known, so a flush waits for nothing that it could not send. */
    document = "{\"instanceID\":\"i\",\"envID\":\"e\",\"address\":\"no url\"}";
    look_up(f, &w);
    assert_string_equal(w.instance_id, "i");
    waiter_done(&w);
}

static void
test_addresses(void **state)
{
    static const char *const bad[] = {
        "",    "127.0.0.1",       "127.0.0.1:", "127.0.0.1:0", "localhost:80",
        ":80", "127.0.0.1:65536", "1.2.3.4:8x"};
    struct sockaddr_in a;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(mmds_parse_address(bad[i], &a), -EINVAL);
    assert_int_equal(mmds_parse_address(MMDS_ADDRESS, &a), 0);
    assert_int_equal(ntohs(a.sin_port), 80);
    assert_int_equal(ntohl(a.sin_addr.s_addr), 0xa9fea9fe);
}

static void
test_run_files(void **state)
{
    struct fixture *f = *state;

    const char *dir = scratch("run");
    struct stat st;

    assert_int_equal(run_files_init(dir, true), 0);
    assert_int_equal(stat(dir, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0755);
    assert_file(f, "run/" RUN_FILE_SANDBOX, "true", 0444);
    /* What somebody has put there is not followed. */
    scratch_file("elsewhere", "whole", 0644);
    assert_int_equal(unlink(scratch("run/" RUN_FILE_SANDBOX)), 0);
    scratch_link(scratch("elsewhere"), "run/" RUN_FILE_SANDBOX);
    scratch_link(scratch("elsewhere"), "run/" RUN_FILE_SANDBOX ".new");
    assert_int_equal(run_files_init(dir, false), 0);
    assert_file(f, "run/" RUN_FILE_SANDBOX, "false", 0444);
    assert_file(f, "elsewhere", "whole", 0644);
    assert_true(run_file_write("/nonexistent", "x", "", 0644) < 0);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_lookup),
        TEST(test_shared),
        TEST(test_too_late_to_join),
        TEST(test_resumed),
        TEST(test_again_from_inside),
        TEST(test_failures),
        TEST(test_silence),
        TEST(test_nobody_listens),
        TEST(test_without_instance),
        TEST(test_heal),
        TEST(test_poll),
        TEST(test_poll_gives_up),
        TEST(test_poll_slows_down),
        TEST(test_address),
        cmocka_unit_test(test_addresses),
        TEST(test_run_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
