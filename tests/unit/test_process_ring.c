/*
 * The ring: offsets, sources, bounds of one and of all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/scope.h"
#include "process/ring.h"

#define LARGE ((size_t)1 << 30)

/* A ring and the offset a reader would need. */
struct needed {
    struct ring ring;
    uint64_t floor;
};

static uint64_t
needed_floor(struct ring *r)
{
    return container_of(r, struct needed, ring)->floor;
}

static void
needed_init(struct needed *n, struct ring_pool *pool, size_t bytes_max)
{
    ring_init(&n->ring, pool, bytes_max, needed_floor);
    n->floor = UINT64_MAX;
}

/* The byte that stands at an offset in these tests. */
static uint8_t
byte_at(uint64_t offset)
{
    return (uint8_t)(offset * 31 + offset / 251);
}

/* Put up to `len` bytes; returns how many found room. */
static size_t
put(struct needed *n, enum process_source source, size_t len)
{
    size_t done = 0;

    while (done < len) {
        size_t room;
        uint8_t *into = ring_reserve(&n->ring, &room);

        if (into == NULL)
            break;
        room = MIN(room, len - done);
        for (size_t i = 0; i < room; i++)
            into[i] = byte_at(n->ring.end + i);
        ring_commit(&n->ring, source, room);
        done += room;
    }
    return done;
}

/* Every byte kept is the right one. */
static void
check_content(const struct needed *n)
{
    uint64_t at = n->ring.begin;

    while (at < n->ring.end) {
        enum process_source source;
        size_t len;
        const uint8_t *data = ring_at(&n->ring, at, &source, &len);

        assert_true(len > 0 && at + len <= n->ring.end);
        for (size_t i = 0; i < len; i++)
            assert_int_equal(data[i], byte_at(at + i));
        at += len;
    }
    assert_true(n->ring.bytes <= n->ring.bytes_max ||
                n->ring.end - n->ring.begin <= 384);
}

static void
test_small_costs_little(void **state)
{
    struct ring_pool pool;
    struct needed n;

    (void)state;
    ring_pool_init(&pool, LARGE);
    needed_init(&n, &pool, 1 << 20);
    assert_int_equal(pool.bytes, 0);
    assert_true(ring_has_room(&n.ring));
    assert_int_equal(put(&n, PROCESS_STDOUT, 100), 100);
    assert_true(pool.bytes <= 1024);
    assert_int_equal(put(&n, PROCESS_STDOUT, 1000), 1000);
    assert_true(pool.bytes <= 8192);
    check_content(&n);
    ring_done(&n.ring);
    assert_int_equal(pool.bytes, 0);
    assert_int_equal(n.ring.begin, 1100);
    assert_int_equal(n.ring.end, 1100);
}

static void
test_sources_alternate(void **state)
{
    static const size_t sizes[] = {1, 7, 100, 3, 5000, 1, 1, 1, 70000, 2};
    struct ring_pool pool;
    struct needed n;
    uint64_t at = 0;

    (void)state;
    ring_pool_init(&pool, LARGE);
    needed_init(&n, &pool, 1 << 20);
    n.floor = 0;
    for (size_t i = 0; i < 90; i++)
        assert_int_equal(put(&n, i % 2 ? PROCESS_STDERR : PROCESS_STDOUT,
                             sizes[i % ARRAY_LEN(sizes)]),
                         sizes[i % ARRAY_LEN(sizes)]);
    check_content(&n);
    for (size_t i = 0; i < 90; i++) {
        size_t left = sizes[i % ARRAY_LEN(sizes)];

        while (left > 0) {
            enum process_source source;
            size_t len;

            (void)ring_at(&n.ring, at, &source, &len);
            assert_int_equal(source, i % 2 ? PROCESS_STDERR : PROCESS_STDOUT);
            len = MIN(len, left);
            assert_true(len > 0);
            left -= len;
            at += len;
        }
    }
    assert_int_equal(at, n.ring.end);
    ring_done(&n.ring);
}

static void
test_newest_stay(void **state)
{
    static const size_t maxima[] = {1, 4096, 20000, 65536, 1 << 18, 1 << 20};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(maxima); i++) {
        struct ring_pool pool;
        struct needed n;

        ring_pool_init(&pool, LARGE);
        needed_init(&n, &pool, maxima[i]);
        for (size_t step = 1; step < 200000; step += step / 2 + 1) {
            assert_int_equal(put(&n, PROCESS_STDOUT, step), step);
            check_content(&n);
        }
        /* At least half of its size is content. */
        if (maxima[i] >= 65536)
            assert_true(n.ring.end - n.ring.begin >=
                        MIN(maxima[i] / 2, n.ring.end));
        ring_done(&n.ring);
        assert_int_equal(pool.bytes, 0);
    }
}

static void
test_needed_stay(void **state)
{
    struct ring_pool pool;
    struct needed n;
    size_t fitted;

    (void)state;
    ring_pool_init(&pool, LARGE);
    needed_init(&n, &pool, 1 << 18);
    n.floor = 0;
    fitted = put(&n, PROCESS_STDOUT, LARGE);
    assert_true(fitted >= (1 << 17) && fitted <= (1 << 18));
    assert_false(ring_has_room(&n.ring));
    assert_int_equal(n.ring.begin, 0);
    n.floor = ring_oldest_end(&n.ring) - 1;
    assert_false(ring_has_room(&n.ring));
    n.floor++;
    assert_true(ring_has_room(&n.ring));
    assert_true(put(&n, PROCESS_STDOUT, LARGE) > 0);
    check_content(&n);
    assert_true(n.ring.begin <= n.floor && n.ring.begin > 0);
    ring_done(&n.ring);
}

static void
test_pool_takes_ended_first(void **state)
{
    struct ring_pool pool;
    struct needed live;
    struct needed ended;
    struct needed held;
    struct needed fresh;

    (void)state;
    ring_pool_init(&pool, 1 << 20);
    needed_init(&live, &pool, 1 << 18);
    needed_init(&ended, &pool, 1 << 18);
    needed_init(&held, &pool, 1 << 18);
    needed_init(&fresh, &pool, 1 << 20);
    assert_int_equal(put(&live, PROCESS_STDOUT, 200000), 200000);
    assert_int_equal(put(&ended, PROCESS_STDOUT, 200000), 200000);
    assert_int_equal(put(&held, PROCESS_STDOUT, 200000), 200000);
    held.floor = 0;
    ring_retire(&ended.ring);
    ring_retire(&held.ring);
    while (ended.ring.begin < ended.ring.end) {
        assert_int_equal(live.ring.begin, 0);
        assert_int_equal(put(&fresh, PROCESS_STDOUT, 1000), 1000);
    }
    while (live.ring.begin < live.ring.end)
        assert_int_equal(put(&fresh, PROCESS_STDOUT, 1000), 1000);
    assert_int_equal(held.ring.begin, 0);
    assert_true(pool.bytes <= pool.bytes_max);
    check_content(&fresh);
    check_content(&held);
    ring_done(&live.ring);
    ring_done(&ended.ring);
    ring_done(&held.ring);
    ring_done(&fresh.ring);
    assert_int_equal(pool.bytes, 0);
}

/* With all memory held by others a process still gets a little. */
static void
test_pool_exhausted(void **state)
{
    struct ring_pool pool;
    struct needed hog;
    struct needed late;
    uint64_t total = 0;

    (void)state;
    ring_pool_init(&pool, 1 << 18);
    needed_init(&hog, &pool, 1 << 20);
    needed_init(&late, &pool, 1 << 20);
    hog.floor = 0;
    assert_true(put(&hog, PROCESS_STDOUT, LARGE) > 0);
    late.floor = 0;
    for (int i = 0; i < 100; i++) {
        size_t n = put(&late, PROCESS_PTY, LARGE);

        assert_true(n > 0);
        total += n;
        assert_int_equal(late.ring.end, total);
        check_content(&late);
        assert_false(ring_has_room(&late.ring));
        late.floor = late.ring.end;
        assert_true(ring_has_room(&late.ring));
    }
    assert_true(pool.bytes <= pool.bytes_max + 8192);
    ring_done(&hog.ring);
    ring_done(&late.ring);
    assert_int_equal(pool.bytes, 0);
}

static void
test_retire(void **state)
{
    struct ring_pool pool;
    struct needed n;

    (void)state;
    ring_pool_init(&pool, LARGE);
    needed_init(&n, &pool, 1 << 20);
    assert_int_equal(put(&n, PROCESS_STDOUT, 10), 10);
    ring_retire(&n.ring);
    ring_retire(&n.ring);
    assert_int_equal(put(&n, PROCESS_STDOUT, 100000), 100000);
    check_content(&n);
    assert_true(TAILQ_EMPTY(&pool.live));
    ring_done(&n.ring);
    assert_true(TAILQ_EMPTY(&pool.ended));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_costs_little),
        cmocka_unit_test(test_sources_alternate),
        cmocka_unit_test(test_newest_stay),
        cmocka_unit_test(test_needed_stay),
        cmocka_unit_test(test_pool_takes_ended_first),
        cmocka_unit_test(test_pool_exhausted),
        cmocka_unit_test(test_retire),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
