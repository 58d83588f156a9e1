/*
 * Where processes are found: the live ones and those that ended lately, by pid
 * and by tag; and for how long.
 */
#include "process/table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/scope.h"

static struct process_bucket *
pid_bucket(struct process_table *t, uint32_t pid)
{
    return &t->by_pid[pid % TABLE_BUCKETS];
}

/* Rule: FNV-1a, 32 bits. */
static struct process_bucket *
tag_bucket(struct process_table *t, struct str tag)
{
    uint32_t hash = 2166136261U;

    for (size_t i = 0; i < tag.len; i++)
        hash = (hash ^ (uint8_t)tag.data[i]) * 16777619U;
    return &t->by_tag[hash % TABLE_BUCKETS];
}

static void
index_add(struct process_table *t, struct process *p)
{
    LIST_INSERT_HEAD(pid_bucket(t, (uint32_t)p->pid), p, by_pid);
    if (p->tag != NULL)
        LIST_INSERT_HEAD(tag_bucket(t, str_from(p->tag)), p, by_tag);
}

static void
index_remove(struct process *p)
{
    LIST_REMOVE(p, by_pid);
    if (p->tag != NULL)
        LIST_REMOVE(p, by_tag);
}

static struct process *
find_pid(struct process_table *t, uint32_t pid, bool live)
{
    struct process *p;

    LIST_FOREACH (p, pid_bucket(t, pid), by_pid) {
        if ((uint32_t)p->pid == pid && process_is_live(p) == live)
            return p;
    }
    return NULL;
}

static struct process *
find_tag(struct process_table *t, struct str tag, bool live)
{
    struct process *p;

    LIST_FOREACH (p, tag_bucket(t, tag), by_tag) {
        if (str_eq(tag, p->tag) && process_is_live(p) == live)
            return p;
    }
    return NULL;
}

struct process *
process_by_pid(struct process_table *t, uint32_t pid)
{
    return find_pid(t, pid, true);
}

struct process *
process_by_tag(struct process_table *t, struct str tag)
{
    return find_tag(t, tag, true);
}

struct process *
process_retained_by_pid(struct process_table *t, uint32_t pid)
{
    return find_pid(t, pid, false);
}

struct process *
process_retained_by_tag(struct process_table *t, struct str tag)
{
    return find_tag(t, tag, false);
}

struct process *
process_first(struct process_table *t)
{
    return TAILQ_FIRST(&t->live);
}

struct process *
process_next(struct process *p)
{
    return TAILQ_NEXT(p, link);
}

bool
table_owns_child(const struct process_table *t, pid_t pid)
{
    const struct process *p;

    LIST_FOREACH (p, &t->by_pid[(uint32_t)pid % TABLE_BUCKETS], by_pid) {
        if (p->pid == pid && process_is_live(p))
            return true;
    }
    /* Those that never ran and have not been reaped: hardly ever one. */
    TAILQ_FOREACH (p, &t->gone, link) {
        if (p->pid == pid && p->life != NULL)
            return true;
    }
    return false;
}

/* Drop what is too old or too much, and see when that will be so again. */
static void
table_trim(struct process_table *t)
{
    int64_t now = loop_now_ms();
    struct process *oldest;

    loop_timer_cancel(&t->expiry);
    while ((oldest = TAILQ_FIRST(&t->retained)) != NULL) {
        int64_t left = oldest->ended_ms + t->set.retain_ms - now;

        if (t->retained_count <= t->set.retained_max) {
            if (t->retained_count <= t->set.retained_min)
                return;
            if (left > 0) {
                loop_timer_set(&t->expiry, left);
                return;
            }
        }
        process_forget(oldest);
    }
}

static void
on_expiry(struct loop_timer *timer)
{
    table_trim(container_of(timer, struct process_table, expiry));
}

void
table_add(struct process_table *t, struct process *p)
{
    struct process *old;

    while ((old = find_pid(t, (uint32_t)p->pid, false)) != NULL)
        process_forget(old);
    while (p->tag != NULL &&
           (old = find_tag(t, str_from(p->tag), false)) != NULL)
        process_forget(old);
    p->serial = ++t->serial;
    TAILQ_INSERT_TAIL(&t->live, p, link);
    t->live_count++;
    index_add(t, p);
}

void
table_retain(struct process_table *t, struct process *p)
{
    TAILQ_REMOVE(&t->live, p, link);
    t->live_count--;
    t->ended++;
    p->ended_ms = loop_now_ms();
    TAILQ_INSERT_TAIL(&t->retained, p, link);
    t->retained_count++;
    /* To the front: of a tag's retained ones the latest end is found. */
    index_remove(p);
    index_add(t, p);
    table_trim(t);
}

void
table_remove(struct process_table *t, struct process *p)
{
    if (process_is_live(p)) {
        TAILQ_REMOVE(&t->live, p, link);
        t->live_count--;
        t->ended++;
        t->failed++;
    } else {
        TAILQ_REMOVE(&t->retained, p, link);
        t->retained_count--;
    }
    index_remove(p);
    TAILQ_INSERT_TAIL(&t->gone, p, link);
}

struct process_stats
process_table_stats(const struct process_table *t)
{
    return (struct process_stats){
        .live = t->live_count,
        .retained = t->retained_count,
        .ring_bytes = t->pool.bytes,
        .started = t->serial,
        .ended = t->ended,
        .failed = t->failed,
        .output_bytes = t->pool.written,
        .dropped_bytes = t->pool.missed,
        .readers_cut = t->pool.readers_cut,
    };
}

struct process_table *
process_table_new(struct loop *loop, const struct process_settings *set)
{
    struct process_table *t = xcalloc(1, sizeof(*t));

    t->loop = loop;
    t->set = *set;
    ring_pool_init(&t->pool, set->rings_bytes);
    TAILQ_INIT(&t->live);
    TAILQ_INIT(&t->retained);
    TAILQ_INIT(&t->gone);
    loop_timer_init(loop, &t->expiry, on_expiry);
    orphans_init(&t->orphans, loop, t);
    return t;
}

static void
free_all(struct process_list *list)
{
    struct process *p;

    while ((p = TAILQ_FIRST(list)) != NULL) {
        TAILQ_REMOVE(list, p, link);
        process_free(p);
    }
}

void
process_table_free(struct process_table *t)
{
    if (t == NULL)
        return;
    loop_timer_cancel(&t->expiry);
    orphans_done(&t->orphans);
    free_all(&t->live);
    free_all(&t->retained);
    free_all(&t->gone);
    free(t);
}
