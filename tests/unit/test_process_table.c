/*
 * Where processes are found, and how long those that ended are kept.
 */
#include "process_fixture.h"

#include <stdio.h>

#include "process/table.h"

/* A process that is only an entry. */
static struct process *
enter(struct fixture *f, pid_t pid, const char *tag)
{
    struct process *p = xcalloc(1, sizeof(*p));

    p->table = f->table;
    p->pid = pid;
    p->tag = tag != NULL ? xstrdup(tag) : NULL;
    output_init(&p->output, f->loop, &f->table->pool, &f->table->set);
    table_add(f->table, p);
    return p;
}

static void
end(struct fixture *f, struct process *p)
{
    p->state = PROCESS_RETAINED;
    table_retain(f->table, p);
}

static void
test_bounded_by_count(void **state)
{
    struct process_settings set = fixture_settings;
    struct fixture f;

    (void)state;
    set.retained_max = 10;
    set.retained_min = 3;
    fixture_init(&f, &set);
    for (pid_t pid = 1; pid <= 25; pid++)
        end(&f, enter(&f, pid, NULL));
    run_for(&f, 1);
    for (uint32_t pid = 1; pid <= 25; pid++)
        assert_int_equal(process_retained_by_pid(f.table, pid) != NULL,
                         pid > 15);
    assert_true(TAILQ_EMPTY(&f.table->gone));
    fixture_done(&f);
}

static size_t
retained(struct fixture *f)
{
    return f->table->retained_count;
}

static void
test_bounded_by_age(void **state)
{
    struct process_settings set = fixture_settings;
    struct fixture f;

    (void)state;
    set.retained_max = 100;
    set.retained_min = 3;
    set.retain_ms = 100;
    fixture_init(&f, &set);
    for (pid_t pid = 1; pid <= 10; pid++)
        end(&f, enter(&f, pid, pid == 10 ? "t" : NULL));
    assert_int_equal(retained(&f), 10);
    while (retained(&f) > 3)
        run_for(&f, 5);
    /* The last ones stay, whatever their age. */
    run_for(&f, 250);
    assert_int_equal(retained(&f), 3);
    assert_null(process_retained_by_pid(f.table, 7));
    assert_int_equal(process_pid(process_retained_by_tag(f.table, STR("t"))),
                     10);
    /* An old one beyond that number goes when another comes. */
    end(&f, enter(&f, 11, NULL));
    assert_null(process_retained_by_pid(f.table, 8));
    assert_non_null(process_retained_by_pid(f.table, 9));
    fixture_done(&f);
}

static void
test_none_kept(void **state)
{
    struct process_settings set = fixture_settings;
    struct fixture f;

    (void)state;
    set.retained_max = 0;
    set.retained_min = 0;
    fixture_init(&f, &set);
    end(&f, enter(&f, 1, "t"));
    assert_null(process_retained_by_pid(f.table, 1));
    run_for(&f, 1);
    fixture_done(&f);
}

/* A pid that is used again. */
static void
test_pid_reused(void **state)
{
    struct fixture f;
    struct process *successor;

    (void)state;
    fixture_init(&f, &fixture_settings);
    end(&f, enter(&f, 7, "a"));
    assert_non_null(process_retained_by_pid(f.table, 7));
    successor = enter(&f, 7, "b");
    assert_null(process_retained_by_pid(f.table, 7));
    assert_null(process_retained_by_tag(f.table, STR("a")));
    assert_ptr_equal(process_by_pid(f.table, 7), successor);
    end(&f, successor);
    assert_null(process_by_pid(f.table, 7));
    assert_ptr_equal(process_retained_by_pid(f.table, 7), successor);
    fixture_done(&f);
}

static void
test_tags(void **state)
{
    struct fixture f;
    struct process *first;
    struct process *second;
    struct process *third;

    (void)state;
    fixture_init(&f, &fixture_settings);
    first = enter(&f, 1, "t");
    second = enter(&f, 2, "t");
    third = enter(&f, 3, "t");
    (void)enter(&f, 4, "other");
    assert_ptr_equal(process_by_tag(f.table, STR("t")), third);
    assert_null(process_retained_by_tag(f.table, STR("t")));
    end(&f, second);
    assert_ptr_equal(process_by_tag(f.table, STR("t")), third);
    assert_ptr_equal(process_retained_by_tag(f.table, STR("t")), second);
    end(&f, third);
    assert_ptr_equal(process_by_tag(f.table, STR("t")), first);
    assert_ptr_equal(process_retained_by_tag(f.table, STR("t")), third);
    end(&f, first);
    assert_null(process_by_tag(f.table, STR("t")));
    /* The latest to end, though the earliest to start. */
    assert_ptr_equal(process_retained_by_tag(f.table, STR("t")), first);
    (void)enter(&f, 5, "t");
    assert_null(process_retained_by_tag(f.table, STR("t")));
    for (uint32_t pid = 1; pid <= 3; pid++)
        assert_null(process_retained_by_pid(f.table, pid));
    fixture_done(&f);
}

/* A retained process that is dropped stays while somebody reads it. */
static void
test_dropped_while_read(void **state)
{
    struct process_settings set = fixture_settings;
    struct fixture f;
    struct client c = {.paused = true};
    struct process *p;

    (void)state;
    set.retained_max = 1;
    set.retained_min = 0;
    fixture_init(&f, &set);
    p = enter(&f, 1, NULL);
    end(&f, p);
    output_start(&p->output, 1);
    output_end(&p->output, &p->exit);
    client_attach(&c, p, PROCESS_REPLAY_ALL, 0);
    end(&f, enter(&f, 2, NULL));
    run_for(&f, 1);
    assert_null(process_retained_by_pid(f.table, 1));
    client_read(&c, SIZE_MAX);
    assert_int_equal(c.ends, 1);
    client_done(&c);
    run_for(&f, 1);
    assert_true(TAILQ_EMPTY(&f.table->gone));
    fixture_done(&f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bounded_by_count),
        cmocka_unit_test(test_bounded_by_age),
        cmocka_unit_test(test_none_kept),
        cmocka_unit_test(test_pid_reused),
        cmocka_unit_test(test_tags),
        cmocka_unit_test(test_dropped_while_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
