/*
 * POST /init without a wire: who shares a work, whose turn it is, what goes on
 * when clients leave.  Steps and metadata service are the test's own.
 */
#include "api/init.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "base/now.h"
#include "base/scope.h"
#include "envd.h"
#include "guest/generation.h"
#include "guest/run_files.h"
#include "guest/settings.h"
#include "http/server.h"
#include "limits.h"
#include "loop/worker.h"
#include "security/access.h"
#include "still.h"

#define T0 "2026-01-01T00:00:00Z"
#define T1 "2026-01-01T00:00:01Z"
#define T2 "2026-01-01T00:00:02Z"

static struct {
    struct envd envd;
    struct init_service *service;
    char log[8192];         /* what steps did */
    struct init_work *slow; /* stands in its slow step */
    bool hold;              /* slow steps stand */
    bool service_there;
    bool answered_before;
    struct init_work *asking[128];
    size_t asks;
    size_t cancels;
    bool stop_when_asked;
} t;

struct client {
    struct init_waiter waiter;
    int status; /* -1: no answer yet */
    char text[256];
};

static void
note(const char *what, const char *which)
{
    size_t len = strlen(t.log);

    assert_true(len + 64 < sizeof(t.log));
    (void)snprintf(t.log + len, sizeof(t.log) - len, " %s:%s", what, which);
}

static void
expect_log(const char *text)
{
    assert_string_equal(t.log, text);
    t.log[0] = '\0';
}

/* ---- steps --------------------------------------------------------------- */

static const char *
user_of(const struct init_work *w)
{
    return w->request->message->default_user;
}

static bool
step_accept(struct init_work *w)
{
    w->decided = true;
    w->stale =
        w->request->has_timestamp &&
        !guest_accept_timestamp(t.envd.settings, w->request->timestamp_ns);
    return true;
}

static bool
step_slow(struct init_work *w)
{
    note("slow", user_of(w));
    if (!t.hold)
        return true;
    assert_null(t.slow);
    t.slow = w;
    return false;
}

static bool
step_apply(struct init_work *w)
{
    note("apply", user_of(w));
    if (strcmp(user_of(w), "fails") == 0)
        init_work_fail(w, 400, "failed: ", "as it should");
    else if (w->request->token.data != NULL)
        (void)access_token_set(t.envd.token, w->request->token);
    else
        access_token_clear(t.envd.token);
    return true;
}

static bool
step_never(struct init_work *w)
{
    note("resumed", user_of(w));
    return true;
}

static bool
step_thaw(struct init_work *w)
{
    note("thaw", user_of(w));
    return true;
}

static bool
ask(struct init_work *w)
{
    if (!t.service_there)
        return false;
    assert_true(t.asks < ARRAY_LEN(t.asking));
    t.asking[t.asks++] = w;
    if (t.stop_when_asked)
        loop_stop(t.envd.loop);
    return true;
}

static void
ask_cancel(struct init_work *w)
{
    (void)w;
    t.cancels++;
}

static bool
answered_before(const struct init_service *s)
{
    (void)s;
    return t.answered_before;
}

static const struct init_step steps[] = {
    {"accept", INIT_ALWAYS, step_accept},
    {"slow", INIT_IF_DATA, step_slow},
    {"apply", INIT_IF_DATA, step_apply},
    {"hooks", INIT_IF_RESUMED, step_never},
    {"thaw", INIT_ALWAYS, step_thaw},
};

static const struct init_ops ops = {
    .steps = steps,
    .step_count = ARRAY_LEN(steps),
    .ask = ask,
    .ask_cancel = ask_cancel,
    .answered_before = answered_before,
};

/* ---- clients ------------------------------------------------------------- */

static void
turn(void)
{
    loop_run_deferred(t.envd.loop);
}

static void
on_done(struct init_waiter *w, const struct init_result *r)
{
    struct client *c = container_of(w, struct client, waiter);

    assert_int_equal(c->status, -1);
    assert_int_equal(strstr(r->times, "\"total\":") != NULL, r->status != 503);
    c->status = r->status;
    (void)snprintf(c->text, sizeof(c->text), "%s", r->text);
}

static struct init_request *
request_of(const char *text)
{
    struct buf body = {0};
    bool memory;

    buf_append_str(&body, text);
    return init_request_new(&body, &memory);
}

static void
send_request(struct client *c, const char *text)
{
    struct init_request *r = request_of(text);

    *c = (struct client){.status = -1, .waiter = {.done = on_done}};
    assert_non_null(r);
    init_submit(t.service, &c->waiter, r);
    assert_int_equal(c->status, -1);
}

static void
go_on(void)
{
    struct init_work *w = TAKE_PTR(t.slow);

    assert_non_null(w);
    init_work_continue(w);
    turn();
}

static size_t
works(void)
{
    return t.service->count;
}

static int
setup(void **state)
{
    (void)state;
    memset(&t, 0, sizeof(t));
    t.envd.loop = loop_new();
    t.envd.token = access_token_new();
    t.envd.settings = guest_settings_new();
    t.service = init_service_new(&t.envd, &ops);
    return t.envd.loop != NULL ? 0 : -1;
}

static int
teardown(void **state)
{
    (void)state;
    init_service_close(t.service);
    init_service_free(t.service);
    guest_settings_free(t.envd.settings);
    access_token_free(t.envd.token);
    loop_free(t.envd.loop);
    return 0;
}

/* ---- the course ---------------------------------------------------------- */

static void
test_one(void **state)
{
    struct client c;

    (void)state;
    assert_false(init_was_done(t.service));
    send_request(&c, "{\"defaultUser\":\"a\",\"accessToken\":\"T\"}");
    turn();
    assert_int_equal(c.status, 204);
    expect_log(" slow:a apply:a thaw:a");
    assert_true(init_was_done(t.service));
    assert_true(access_token_equals(t.envd.token, STR("T")));
    assert_int_equal(works(), 0);
    assert_int_equal(t.service->body_bytes, 0);
}

/* What fails is answered when all is thawed. */
static void
test_failure(void **state)
{
    struct client c;

    (void)state;
    send_request(&c, "{\"defaultUser\":\"fails\"}");
    turn();
    assert_int_equal(c.status, 400);
    assert_string_equal(c.text, "failed: as it should");
    expect_log(" slow:fails apply:fails thaw:fails");
    assert_false(init_was_done(t.service));
}

static void
test_stale(void **state)
{
    struct client c;

    (void)state;
    send_request(&c, "{\"timestamp\":\"" T1 "\",\"defaultUser\":\"a\"}");
    turn();
    send_request(&c, "{\"timestamp\":\"" T0 "\",\"defaultUser\":\"b\"}");
    turn();
    assert_int_equal(c.status, 204);
    send_request(&c, "{\"timestamp\":\"" T1 "\",\"defaultUser\":\"c\"}");
    turn();
    send_request(&c, "{\"defaultUser\":\"d\"}");
    turn();
    assert_int_equal(c.status, 204);
    expect_log(" slow:a apply:a thaw:a thaw:b slow:c apply:c thaw:c"
               " slow:d apply:d thaw:d");
}

/* Attempts that want the same share one work, and its result. */
static void
test_sharing(void **state)
{
    struct client c[3];

    (void)state;
    t.hold = true;
    send_request(&c[0], "{\"timestamp\":\"" T0 "\",\"defaultUser\":\"a\"}");
    turn();
    send_request(&c[1], "{\"timestamp\":\"" T2 "\",\"defaultUser\":\"a\"}");
    send_request(&c[2], "{\"defaultUser\":\"a\",\"timestamp\":\"" T1 "\"}");
    turn();
    assert_int_equal(works(), 1);
    go_on();
    for (size_t i = 0; i < ARRAY_LEN(c); i++)
        assert_int_equal(c[i].status, 204);
    expect_log(" slow:a apply:a thaw:a");
    assert_int_equal(t.service->stats.shared, 2);
    /* The newest of them is what counts from now on. */
    t.hold = false;
    send_request(&c[0], "{\"timestamp\":\"" T1 "\",\"defaultUser\":\"b\"}");
    turn();
    expect_log(" thaw:b");
}

/* Whatever differs makes another work; they take turns. */
static void
test_turns(void **state)
{
    static const char *const bodies[] = {
        "{\"defaultUser\":\"1\"}",
        "{\"defaultUser\":\"2\"}",
        "{\"defaultUser\":\"1\",\"envVars\":{}}",
        "{\"defaultUser\":\"1\",\"envVars\":{\"A\":\"b\"}}",
        "{\"defaultUser\":\"1\",\"envVars\":{\"Ab\":\"\"}}",
        "{\"defaultUser\":\"1\",\"defaultWorkdir\":\"x\"}",
        "{\"defaultUser\":\"1\",\"hyperloopIP\":\"x\"}",
        "{\"defaultUser\":\"1\",\"caBundle\":\"x\"}",
        "{\"defaultUser\":\"1\",\"lifecycleID\":\"x\"}",
        "{\"defaultUser\":\"1\",\"timestamp\":\"" T0 "\"}",
        "{\"defaultUser\":\"1\",\"volumeMounts\":[{\"path\":\"x\"}]}",
        "{\"defaultUser\":\"1\",\"volumeMounts\":[{\"nfs_target\":\"x\"}]}",
    };
    struct client c[ARRAY_LEN(bodies)];

    (void)state;
    t.hold = true;
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++)
        send_request(&c[i], bodies[i]);
    turn();
    assert_int_equal(works(), ARRAY_LEN(bodies));
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        assert_int_equal(c[i].status, -1);
        go_on();
        assert_int_equal(c[i].status, 204);
    }
    assert_int_equal(works(), 0);
}

/* A work whose data were too old does nothing for one that is newer. */
static void
test_newer_than_stale(void **state)
{
    struct client c[2];
    struct init_work *w;

    (void)state;
    send_request(&c[0], "{\"timestamp\":\"" T1 "\",\"defaultUser\":\"x\"}");
    turn();
    send_request(&c[0], "{\"timestamp\":\"" T0 "\",\"defaultUser\":\"a\"}");
    w = TAILQ_FIRST(&t.service->works);
    w->decided = w->stale = true; /* as when it stands in its thaw */
    send_request(&c[1], "{\"timestamp\":\"" T2 "\",\"defaultUser\":\"a\"}");
    assert_int_equal(works(), 2);
    turn();
    assert_int_equal(c[1].status, 204);
    expect_log(" slow:x apply:x thaw:x thaw:a slow:a apply:a thaw:a");
}

/* ---- clients that leave -------------------------------------------------- */

/* 200 attempts of which each is given up before the next. */
static void
test_aborted_attempts(void **state)
{
    struct client c;

    (void)state;
    t.hold = true;
    for (int i = 0; i < 200; i++) {
        char body[128];

        (void)snprintf(body, sizeof(body),
                       "{\"timestamp\":\"2026-01-01T00:%02d:%02dZ\","
                       "\"lifecycleID\":\"L\",\"defaultUser\":\"a\"}",
                       i / 60, i % 60);
        send_request(&c, body);
        turn();
        assert_int_equal(works(), 1);
        init_leave(&c.waiter);
        turn();
    }
    assert_int_equal(works(), 1);
    go_on();
    expect_log(" slow:a apply:a thaw:a");
    assert_int_equal(works(), 0);
    t.hold = false;
    send_request(&c, "{\"timestamp\":\"2026-01-01T00:04:00Z\","
                     "\"lifecycleID\":\"L\",\"defaultUser\":\"a\"}");
    turn();
    assert_int_equal(c.status, 204);
    assert_int_equal(t.service->stats.works, 2);
}

/* What has begun ends; what waits for nobody is dropped. */
static void
test_leaving(void **state)
{
    struct client a;
    struct client b;
    struct client other;

    (void)state;
    t.hold = true;
    send_request(&a, "{\"defaultUser\":\"a\"}");
    turn();
    send_request(&b, "{\"defaultUser\":\"b\"}");
    send_request(&other, "{\"defaultUser\":\"c\"}");
    turn();
    assert_int_equal(works(), 3);
    init_leave(&a.waiter);
    init_leave(&b.waiter);
    assert_int_equal(works(), 2);
    go_on();
    go_on();
    expect_log(" slow:a apply:a thaw:a slow:c apply:c thaw:c");
    assert_int_equal(other.status, 204);
    assert_int_equal(t.service->stats.dropped, 1);
    /* One that leaves in the turn in which it comes leaves no trace. */
    send_request(&a, "{\"defaultUser\":\"d\"}");
    init_leave(&a.waiter);
    turn();
    expect_log("");
    assert_int_equal(works(), 0);
}

/* Who only says no more is told at once, but for the one who began. */
static void
test_half_closes(void **state)
{
    struct client first;
    struct client joined;
    struct client queued;
    struct client late;

    (void)state;
    t.hold = true;
    send_request(&first, "{\"defaultUser\":\"a\"}");
    init_half_close(&first.waiter); /* before it has begun */
    turn();
    send_request(&joined, "{\"defaultUser\":\"a\"}");
    send_request(&queued, "{\"defaultUser\":\"b\"}");
    turn();
    init_half_close(&joined.waiter);
    init_half_close(&queued.waiter);
    assert_int_equal(joined.status, 503);
    assert_int_equal(queued.status, 503);
    assert_int_equal(first.status, -1);
    assert_int_equal(works(), 1);
    /* One that is silent before it is known whether it has to wait. */
    send_request(&late, "{\"defaultUser\":\"c\"}");
    init_half_close(&late.waiter);
    assert_int_equal(late.status, -1);
    turn();
    assert_int_equal(late.status, 503);
    assert_int_equal(works(), 1);
    go_on();
    assert_int_equal(first.status, 204);
    expect_log(" slow:a apply:a thaw:a");
}

/* ---- authorisation ------------------------------------------------------- */

/* The one before has set a token that this one does not know. */
static void
test_looked_at_again(void **state)
{
    struct client first;
    struct client second;
    struct client third;

    (void)state;
    t.hold = true;
    send_request(&first, "{\"accessToken\":\"T\",\"defaultUser\":\"a\"}");
    send_request(&second, "{\"accessToken\":\"X\",\"defaultUser\":\"b\"}");
    send_request(&third, "{\"defaultUser\":\"c\"}");
    turn();
    go_on();
    assert_int_equal(first.status, 204);
    assert_int_equal(second.status, 401);
    assert_string_equal(second.text, "access token validation failed");
    assert_int_equal(third.status, 401);
    assert_string_equal(third.text, "access token reset not authorized");
    /* Nothing is thawed for those who may not. */
    expect_log(" slow:a apply:a thaw:a");
    assert_true(access_token_equals(t.envd.token, STR("T")));
}

/* Who may does not wait for those of whom that is not known. */
static void
test_asking_holds_nobody_up(void **state)
{
    struct client stranger;
    struct client owner;

    (void)state;
    t.service_there = true;
    (void)access_token_set(t.envd.token, STR("T"));
    send_request(&stranger, "{\"accessToken\":\"X\",\"defaultUser\":\"x\"}");
    turn();
    assert_int_equal(t.asks, 1);
    send_request(&owner, "{\"accessToken\":\"T\",\"defaultUser\":\"a\"}");
    turn();
    assert_int_equal(owner.status, 204);
    assert_int_equal(t.asks, 1);
    init_work_told(t.asking[0], "");
    turn();
    assert_int_equal(stranger.status, 401);
    expect_log(" slow:a apply:a thaw:a");
}

/* It is asked once for all attempts, and the answer is used without them. */
static void
test_asked_for_one_that_left(void **state)
{
    struct client c;

    (void)state;
    t.service_there = true;
    for (int i = 0; i < 20; i++) {
        send_request(&c, "{\"defaultUser\":\"a\"}");
        turn();
        init_leave(&c.waiter);
    }
    assert_int_equal(t.asks, 1);
    init_work_told(t.asking[0], "");
    turn();
    expect_log(" slow:a apply:a thaw:a");
    assert_int_equal(works(), 0);
}

/* A service that was there once is awaited, then nobody is let in. */
static void
test_hidden_service(void **state)
{
    struct client c;

    (void)state;
    t.service_there = t.answered_before = true;
    send_request(&c, "{\"defaultUser\":\"a\"}");
    turn();
    t.stop_when_asked = true;
    init_work_told(t.asking[0], NULL);
    assert_int_equal(c.status, -1);
    assert_int_equal(loop_run(t.envd.loop), 0);
    assert_int_equal(t.asks, 2);
    t.asking[1]->hold_until_ms = 0;
    init_work_told(t.asking[1], NULL);
    turn();
    assert_int_equal(c.status, 401);
    assert_string_equal(c.text, "access token reset not authorized");
    expect_log("");

    /* It comes back in time. */
    send_request(&c, "{\"defaultUser\":\"a\"}");
    turn();
    init_work_told(t.asking[2], NULL);
    assert_int_equal(loop_run(t.envd.loop), 0);
    init_work_told(t.asking[3], "");
    turn();
    assert_int_equal(c.status, 204);
}

static void
test_no_service(void **state)
{
    struct client c;

    (void)state;
    t.service_there = true;
    send_request(&c, "{\"defaultUser\":\"a\"}");
    turn();
    init_work_told(t.asking[0], NULL);
    turn();
    assert_int_equal(c.status, 204);
}

/* So many that differ: the oldest of those that ask make room. */
static void
test_bounded(void **state)
{
    static struct client c[LIMIT_INIT_WORKS + 10];

    (void)state;
    t.service_there = true;
    for (size_t i = 0; i < ARRAY_LEN(c); i++) {
        char body[64];

        (void)snprintf(body, sizeof(body), "{\"defaultUser\":\"%zu\"}", i);
        send_request(&c[i], body);
        turn();
    }
    assert_int_equal(works(), LIMIT_INIT_WORKS);
    for (size_t i = 0; i < ARRAY_LEN(c); i++)
        assert_int_equal(c[i].status, i < 10 ? 0 : -1);
    assert_int_equal(t.cancels, 10);
    assert_int_equal(t.service->stats.cut, 10);
    for (size_t i = 10; i < ARRAY_LEN(c); i++)
        init_leave(&c[i].waiter);
}

/* Taken down in the middle of everything. */
static void
test_taken_down(void **state)
{
    static struct client c[3];

    (void)state;
    t.hold = true;
    send_request(&c[0], "{\"defaultUser\":\"a\"}");
    send_request(&c[1], "{\"defaultUser\":\"b\"}");
    turn();
    t.service_there = true;
    send_request(&c[2], "{\"defaultUser\":\"c\"}");
    turn();
    for (size_t i = 0; i < ARRAY_LEN(c); i++)
        init_leave(&c[i].waiter);
    init_service_close(t.service);
    init_work_continue(t.slow);
    expect_log(" slow:a");
    assert_int_equal(t.cancels, 1);
}

/* ---- bodies -------------------------------------------------------------- */

static void
test_bodies(void **state)
{
    static const char *const bad[] = {
        "{",
        "[]",
        "1",
        "{} x",
        "{\"timestamp\":\"\"}",
        "{\"timestamp\":\"2026-01-01T00:00:00\"}",
        "{\"accessToken\":\"\"}",
        "{\"accessToken\":\"a\\\\b\"}",
        "{\"accessToken\":\"a\\u0062\"}",
        "{\"accessToken\":1}",
        "{\"volumeMounts\":{}}",
    };
    static const char *const good[] = {"", "null", "{}", " {\"unknown\":[]} ",
                                       "{\"accessToken\":null}"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (request_of(bad[i]) != NULL)
            fail_msg("%s is taken", bad[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct init_request *r = request_of(good[i]);

        assert_non_null(r);
        assert_null(r->token.data);
        assert_false(r->has_timestamp);
        init_request_free(r);
    }
}

/* What is small on the wire is not to be large in memory. */
static void
test_body_of_many_small_things(void **state)
{
    struct buf body = {0};
    struct init_request *r;
    bool memory;

    (void)state;
    buf_append_str(&body, "{\"envVars\":{\"LAST\":\"\"");
    for (int i = 0; i < 50000; i++)
        buf_appendf(&body, ",\"NAME_%d\":\"value\"", i);
    buf_append_str(&body, "}}");
    r = init_request_new(&body, &memory);
    assert_non_null(r);
    assert_int_equal(r->message->n_env_vars, 50001);
    init_request_free(r);
    buf_append_str(&body, "{\"volumeMounts\":[{}");
    for (int i = 0; i < 1000000; i++)
        buf_append_str(&body, ",{}");
    buf_append_str(&body, "]}");
    r = init_request_new(&body, &memory);
    assert_null(r);
    assert_false(memory);
}

/* The host's time goes on while a request waits. */
static void
test_host_time(void **state)
{
    struct init_request *r = request_of("{\"timestamp\":\"" T0 "\"}");
    int64_t before = clock_now_ns(CLOCK_MONOTONIC);
    int64_t host_ns;

    (void)state;
    assert_non_null(r);
    r->received_ns = before - 1000000000;
    host_ns = init_request_host_ns(r);
    assert_true(host_ns >= r->timestamp_ns + 1000000000);
    assert_true(host_ns <= r->timestamp_ns + 1000000000 +
                               clock_now_ns(CLOCK_MONOTONIC) - before);
    init_request_free(r);
}

/* ---- a resume ------------------------------------------------------------ */

static const struct init_step resume_steps[] = {
    {"accept", INIT_ALWAYS, step_accept},
    {"resume", INIT_IF_DATA, init_step_resume},
};

static const struct init_ops resume_ops = {
    .steps = resume_steps,
    .step_count = ARRAY_LEN(resume_steps),
    .ask = ask,
    .ask_cancel = ask_cancel,
    .answered_before = answered_before,
};

/* /run/e2b of our own with a generation; false where there can be none. */
static bool
own_run_dir(void)
{
    FILE *file;

    if (unshare(CLONE_NEWNS) < 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("none", "/run", "tmpfs", 0, NULL) < 0)
        return false;
    assert_int_equal(mkdir(RUN_DIR, 0755), 0);
    file = fopen(RUN_DIR "/" GENERATION_FILE, "we");
    assert_non_null(file);
    assert_true(fputs("7 a", file) >= 0);
    assert_int_equal(fclose(file), 0);
    return true;
}

static bool
generation_is(const char *text)
{
    char found[64] = "";
    FILE *file = fopen(RUN_DIR "/" GENERATION_FILE, "re");

    assert_non_null(file);
    (void)fgets(found, sizeof(found), file);
    assert_int_equal(fclose(file), 0);
    return strcmp(found, text) == 0;
}

/* A worker that is left behind at the end goes on with what is its own. */
static void
test_left_behind(void **state)
{
    struct client c;

    (void)state;
    if (!own_run_dir() || !still_make(RUN_DIR "/" GENERATION_FILE))
        skip();
    init_service_free(t.service);
    t.envd.http = http_server_new(t.envd.loop, NULL, NULL);
    t.envd.workers = worker_pool_new(t.envd.loop, 2);
    t.service = init_service_new(&t.envd, &resume_ops);
    send_request(&c, "{\"lifecycleID\":\"a\"}");
    turn();
    assert_int_equal(c.status, 204);
    send_request(&c, "{\"lifecycleID\":\"b\"}");
    turn();
    while (!still_stands())
        (void)usleep(1000);
    init_service_close(t.service);
    worker_pool_free(t.envd.workers);
    init_service_free(TAKE_PTR(t.service));
    http_server_free(t.envd.http);
    still_let_go();
    while (!generation_is("8 b"))
        (void)usleep(1000);
    assert_int_equal(c.status, -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_one),
        TEST(test_failure),
        TEST(test_stale),
        TEST(test_sharing),
        TEST(test_turns),
        TEST(test_newer_than_stale),
        TEST(test_aborted_attempts),
        TEST(test_leaving),
        TEST(test_half_closes),
        TEST(test_looked_at_again),
        TEST(test_asking_holds_nobody_up),
        TEST(test_asked_for_one_that_left),
        TEST(test_hidden_service),
        TEST(test_no_service),
        TEST(test_bounded),
        TEST(test_taken_down),
        TEST(test_bodies),
        TEST(test_body_of_many_small_things),
        TEST(test_host_time),
        TEST(test_left_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
