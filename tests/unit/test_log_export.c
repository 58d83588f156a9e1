/*
 * Lines and where they end up: order, bounds, flushes, collectors that are
 * slow, gone or rude.
 */
#include "guest/log_export.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/scope.h"
#include "limits.h"
#include "loop/loop.h"
#include "server_fixture.h"

#define PATIENCE_MS 20000

struct fixture {
    struct loop *loop;
    struct server *server;
    struct log_exporter *x;
    char url[64];
    int flushed; /* -1: not yet; else `all` */
};

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    f->loop = loop_new();
    f->server = server_new();
    f->x = log_exporter_new(f->loop);
    (void)snprintf(f->url, sizeof(f->url), "http://127.0.0.1:%u/logs",
                   ntohs(f->server->address.sin_port));
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    log_exporter_free(f->x);
    server_free(f->server);
    loop_free(f->loop);
    free(f);
    return 0;
}

static void
say(const char *text)
{
    struct log_line line;

    assert_true(log_begin(&line, LOG_LEVEL_INFO, "test"));
    log_end(&line, "%s", text);
}

static void
say_number(unsigned int number)
{
    char text[16];

    (void)snprintf(text, sizeof(text), "line %u", number);
    say(text);
}

static void
target(struct fixture *f)
{
    assert_int_equal(log_exporter_target(f->x, f->url, "i\"d", "env"), 0);
}

static void
on_flushed(void *ctx, bool all)
{
    struct fixture *f = ctx;

    f->flushed = all;
    loop_stop(f->loop);
}

/* Turn until all is sent or the budget is up; whether all was. */
static bool
flush(struct fixture *f, int64_t budget_ms)
{
    f->flushed = -1;
    log_exporter_flush(f->x, budget_ms, on_flushed, f);
    assert_int_equal(f->flushed, -1); /* never from inside */
    assert_int_equal(loop_run(f->loop), 0);
    return f->flushed == 1;
}

static struct log_export_stats
stats(const struct fixture *f)
{
    struct log_export_stats st;

    log_exporter_get_stats(f->x, &st);
    return st;
}

static void
assert_ends(const char *text, const char *end)
{
    size_t len = strlen(text);

    assert_true(len >= strlen(end));
    assert_string_equal(text + len - strlen(end), end);
}

static void
assert_lines(const struct fixture *f, unsigned int first, unsigned int count)
{
    assert_int_equal(f->server->count, count);
    for (unsigned int i = 0; i < count; i++) {
        char end[40];

        (void)snprintf(end, sizeof(end), ",\"message\":\"line %u\"}",
                       first + i);
        assert_ends(f->server->seen[i].body, end);
    }
}

static void
test_one_connection_in_order(void **state)
{
    struct fixture *f = *state;
    static const char begin[] = "{\"instanceID\":\"i\\\"d\",\"envID\":\"env\","
                                "\"level\":\"info\",\"logger\":\"test\",";
    const struct server_request *r;

    for (unsigned int i = 0; i < 100; i++)
        say_number(i);
    assert_false(flush(f, 0)); /* it is not known where they go */
    assert_int_equal(stats(f).queued_lines, 100);
    target(f);
    assert_true(flush(f, PATIENCE_MS));
    for (unsigned int i = 100; i < 200; i++)
        say_number(i);
    assert_true(flush(f, PATIENCE_MS));
    assert_lines(f, 0, 200);
    r = &f->server->seen[0];
    assert_int_equal(strncmp(r->text, "POST /logs HTTP/1.1\r\n", 21), 0);
    assert_non_null(strstr(r->text, "\r\nContent-Type: application/json\r\n"));
    assert_int_equal(strncmp(r->body, begin, strlen(begin)), 0);
    assert_int_equal(f->server->connections, 1);
    assert_int_equal(stats(f).sent, 200);
    assert_int_equal(stats(f).connections, 1);
    assert_int_equal(stats(f).queued_bytes, 0);
}

static void
test_early_lines_are_bounded(void **state)
{
    struct fixture *f = *state;
    unsigned int count = 0;

    while (stats(f).dropped < 3)
        say_number(count++);
    assert_true(stats(f).queued_bytes <= LIMIT_LOG_EARLY_BYTES);
    target(f);
    assert_true(flush(f, PATIENCE_MS));
    assert_lines(f, 3, count - 3); /* the oldest have gone */
}

static void
test_long_lines_are_dropped(void **state)
{
    struct fixture *f = *state;
    size_t len = LIMIT_LOG_LINE_BYTES;
    char *text = malloc(len + 1);
    struct log_line line;

    memset(text, 'x', len);
    text[len] = '\0';
    target(f);
    assert_true(log_begin(&line, LOG_LEVEL_INFO, "test"));
    log_str(&line, "long", text);
    log_end(&line, "too long");
    text[len - 200] = '\0';
    assert_true(log_begin(&line, LOG_LEVEL_INFO, "test"));
    log_str(&line, "long", text);
    log_end(&line, "just short enough");
    assert_true(flush(f, PATIENCE_MS));
    free(text);
    assert_int_equal(stats(f).dropped_long, 1);
    assert_int_equal(f->server->count, 1);
    assert_ends(f->server->seen[0].body, "\"message\":\"just short enough\"}");
}

/* The queue is bounded, the oldest go; what is on its way is not touched. */
static void
test_slow_collector(void **state)
{
    struct fixture *f = *state;
    char text[1000];
    uint64_t sent;

    server_set(f->server, &f->server->hold, true);
    target(f);
    say("first");
    assert_false(flush(f, 50));
    server_await(f->server, 1);
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    while (stats(f).dropped < 10)
        say(text);
    assert_true(stats(f).queued_bytes <= LIMIT_LOG_EXPORT_BYTES);
    assert_false(flush(f, 1));
    sent = stats(f).queued_lines + 1;
    assert_true(sent > 7000);
    log_exporter_drop(f->x);
    assert_int_equal(stats(f).dropped_old, sent);
    assert_int_equal(stats(f).queued_bytes, 0);
    assert_true(flush(f, 0));
    server_set(f->server, &f->server->hold, false);
}

/* Lines of a life that is over are not sent, those of the next one are. */
static void
test_drop(void **state)
{
    struct fixture *f = *state;

    server_set(f->server, &f->server->hold, true);
    target(f);
    say("old");
    say("old too");
    assert_false(flush(f, 50));
    server_await(f->server, 1);
    log_exporter_drop(f->x);
    server_set(f->server, &f->server->hold, false);
    say_number(7);
    assert_false(flush(f, 50)); /* whose is it? */
    assert_int_equal(log_exporter_target(f->x, f->url, "other", "env"), 0);
    assert_true(flush(f, PATIENCE_MS));
    assert_int_equal(f->server->count, 2);
    assert_non_null(strstr(f->server->seen[1].body, "\"other\""));
    assert_ends(f->server->seen[1].body, "line 7\"}");
    assert_int_equal(stats(f).dropped_old, 2);
    assert_int_equal(stats(f).sent, 1);
}

/* A server that closes kept connections costs no line. */
static void
test_kept_connection_is_gone(void **state)
{
    struct fixture *f = *state;

    f->server->leave = true;
    target(f);
    for (unsigned int i = 0; i < 50; i++)
        say_number(i);
    assert_true(flush(f, PATIENCE_MS));
    assert_lines(f, 0, 50);
    assert_int_equal(f->server->connections, 50);
    assert_int_equal(stats(f).sent, 50);
    assert_int_equal(stats(f).failed, 0);
}

static void
answer_refusal(struct server *s, const struct server_request *r, char *out,
               size_t size)
{
    (void)r;
    if (s->count % 2 == 1)
        (void)snprintf(out, size,
                       "HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n\r\n"
                       "no\n");
    else
        (void)snprintf(out, size, "rubbish\r\n");
}

static void
test_refusals_are_lost(void **state)
{
    struct fixture *f = *state;

    f->server->answer = answer_refusal;
    target(f);
    for (unsigned int i = 0; i < 4; i++)
        say_number(i);
    assert_true(flush(f, PATIENCE_MS));
    assert_lines(f, 0, 4);
    assert_int_equal(stats(f).sent, 0);
    assert_int_equal(stats(f).refused, 2);
    assert_int_equal(stats(f).failed, 2);
}

static void
test_nobody_listens(void **state)
{
    struct fixture *f = *state;

    /* Nothing serves port 1 of this address. */
    assert_int_equal(
        log_exporter_target(f->x, "http://127.255.255.254:1/", "i", "e"), 0);
    say("lost");
    assert_true(flush(f, PATIENCE_MS));
    assert_int_equal(stats(f).failed, 1);
    assert_int_equal(log_exporter_target(f->x, "http://name/", "i", "e"),
                     -EINVAL);
    target(f);
    say_number(1);
    assert_true(flush(f, PATIENCE_MS));
    assert_lines(f, 1, 1);
}

static void
never(void *ctx, bool all)
{
    (void)ctx;
    (void)all;
    fail_msg("called");
}

/* A wait that is not over when the exporter goes; the teardown frees it. */
static void
test_freed_while_waiting(void **state)
{
    struct fixture *f = *state;

    target(f);
    say("x");
    log_exporter_flush(f->x, PATIENCE_MS, never, NULL);
}

/* ---- the log's side ------------------------------------------------------ */

static void
test_quota(void **state)
{
    struct log_quota q = LOG_QUOTA(2, 1000);
    uint64_t suppressed = 99;

    (void)state;
    assert_true(log_quota_take(&q, 5000, &suppressed));
    assert_int_equal(suppressed, 0);
    assert_true(log_quota_take(&q, 5100, &suppressed));
    assert_false(log_quota_take(&q, 5200, &suppressed));
    assert_false(log_quota_take(&q, 5999, &suppressed));
    assert_true(log_quota_take(&q, 6000, &suppressed));
    assert_int_equal(suppressed, 2);
    assert_true(log_quota_take(&q, 6001, &suppressed));
    assert_int_equal(suppressed, 0);
    assert_false(log_quota_take(&q, 6999, &suppressed));
    assert_true(log_quota_take(&q, 9000, &suppressed));
    assert_int_equal(suppressed, 1);
}

static void
test_limited_lines(void **state)
{
    struct fixture *f = *state;
    struct log_quota q = LOG_QUOTA(1, 3600 * 1000);
    struct log_line line;
    int written = 0;

    for (int i = 0; i < 5; i++) {
        if (!log_begin_limited(&line, LOG_LEVEL_ERROR, "test", &q))
            continue;
        log_end(&line, "line 0");
        written++;
    }
    assert_int_equal(written, 1);
    q.since_ms -= 3600 * 1000; /* an hour later */
    assert_true(log_begin_limited(&line, LOG_LEVEL_ERROR, "test", &q));
    log_end(&line, "line 1");
    target(f);
    assert_true(flush(f, PATIENCE_MS));
    assert_lines(f, 0, 2);
    assert_null(strstr(f->server->seen[0].body, "suppressed"));
    assert_non_null(strstr(f->server->seen[1].body, ",\"suppressed\":4,"));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_one_connection_in_order),
        TEST(test_early_lines_are_bounded),
        TEST(test_long_lines_are_dropped),
        TEST(test_slow_collector),
        TEST(test_drop),
        TEST(test_kept_connection_is_gone),
        TEST(test_refusals_are_lost),
        TEST(test_nobody_listens),
        TEST(test_freed_while_waiting),
        cmocka_unit_test(test_quota),
        TEST(test_limited_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
