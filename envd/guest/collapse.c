/*
 * Window by window, by madvise(2).
 */
#include "guest/collapse.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/scope.h"
#include "limits.h"
#include "loop/loop.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define MAPS   "/proc/self/maps"
#define ROLLUP "/proc/self/smaps_rollup"

#define ROLLUP_BYTES ((size_t)16 * 1024)

#define PAGE_BYTES 4096

/* For the allocator's own words around a block. */
#define REST_KEPT 128

/* Together more than a window. */
#define EXTEND_BYTES ((size_t)256 * 1024)
#define EXTEND_TRIES 12

void
collapse_split(uint64_t successes, int64_t before, int64_t after,
               struct collapse_counts *c)
{
    bool measured = before >= 0 && after >= before;
    uint64_t gained = measured ? (uint64_t)(after - before) : successes;

    c->collapsed = MIN(successes, gained);
    c->already_huge = successes - c->collapsed;
}

int64_t
collapse_huge_pages(const char *text)
{
    static const char key[] = "AnonHugePages:";
    const char *at = strstr(text, key);

    if (at == NULL)
        return -1;
    return (int64_t)(strtoull(at + sizeof(key) - 1, NULL, 10) * 1024 /
                     COLLAPSE_WINDOW);
}

/* Behind the next run of blanks; the end of the line when there is no more. */
static const char *
next_field(const char *s)
{
    s += strcspn(s, " \n");
    return s + strspn(s, " ");
}

bool
collapse_region(const char *line, uintptr_t *ret_start, uintptr_t *ret_end)
{
    const char *at;
    char *end;

    *ret_start = strtoul(line, &end, 16);
    if (end == line || *end != '-')
        return false;
    at = end + 1;
    *ret_end = strtoul(at, &end, 16);
    if (end == at || *end != ' ' || strncmp(end, " rw-p ", 6) != 0)
        return false;
    at = next_field(end + 1); /* permissions */
    at = next_field(at);      /* offset */
    at = next_field(at);      /* device */
    if (strtoull(at, &end, 10) != 0 || end == at)
        return false;
    at = next_field(at);
    return *at == '\n' || *at == '\0' || strncmp(at, "[heap]", 6) == 0;
}

static int64_t
measure(void)
{
    SCOPE(scope_free) char *text = NULL;

    if (fd_read_file(ROLLUP, ROLLUP_BYTES, &text, NULL) < 0)
        return -1;
    return collapse_huge_pages(text);
}

/* How far it is to the next window; 0: one begins here. */
static uintptr_t
to_window(uintptr_t at)
{
    return -at & (COLLAPSE_WINDOW - 1);
}

void
collapse_prepare(void)
{
    /* Taken and never used: what the C library has left over at its start. */
    static void *volatile rest;
    struct mallinfo2 info = mallinfo2();
    uintptr_t end = (uintptr_t)sbrk(0);
    uintptr_t begin = (end - info.arena) / PAGE_BYTES * PAGE_BYTES;

    if (info.keepcost > REST_KEPT)
        rest = malloc(info.keepcost - REST_KEPT);
    (void)rest;
    /* Else it is in a window already, of which the heap has the begin. */
    if (to_window(begin) > end - begin)
        (void)sbrk((intptr_t)to_window(end));
}

/*
 * Have the heap reach to the end of the window in which its last use is, as a
 * window can be collapsed as a whole only.  The allocator does it: nobody else
 * may move the end while others allocate.
 */
static void
extend_heap(void)
{
    uintptr_t end = (uintptr_t)sbrk(0);
    uintptr_t unused = (uintptr_t)mallinfo2().keepcost;
    void *blocks[EXTEND_TRIES];
    size_t count = 0;

    if (to_window(end - unused) <= unused)
        return;
    (void)mallopt(M_TOP_PAD, (int)COLLAPSE_WINDOW);
    while (count < EXTEND_TRIES && (uintptr_t)sbrk(0) == end)
        blocks[count++] = malloc(EXTEND_BYTES);
    while (count > 0)
        free(blocks[--count]);
}

/* What was never touched is left alone: the kernel refuses it. */
static bool
collapse_window(uintptr_t at)
{
    /* NOLINTNEXTLINE(performance-no-int-to-ptr) */
    return madvise((void *)at, COLLAPSE_WINDOW, MADV_COLLAPSE) == 0;
}

static int
collapse_all(const char *maps, const atomic_bool *cancel,
             struct collapse_counts *c, uint64_t *ret_successes)
{
    uintptr_t start;
    uintptr_t end;

    for (const char *line = maps; *line != '\0';) {
        if (collapse_region(line, &start, &end)) {
            c->regions++;
            start += to_window(start);
            for (; start < end && end - start >= COLLAPSE_WINDOW;
                 start += COLLAPSE_WINDOW) {
                if (atomic_load_explicit(cancel, memory_order_relaxed))
                    return -ECANCELED;
                c->chunks++;
                *ret_successes += collapse_window(start) ? 1 : 0;
            }
        }
        line += strcspn(line, "\n");
        line += *line == '\n' ? 1 : 0;
    }
    return 0;
}

int
collapse_run(const atomic_bool *cancel, struct collapse_counts *ret,
             const char **ret_what)
{
    SCOPE(scope_free) char *maps = NULL;
    int64_t begin = loop_now_ms();
    uint64_t successes = 0;
    int64_t before;
    int r;

    *ret = (struct collapse_counts){0};
    (void)malloc_trim(COLLAPSE_WINDOW);
    extend_heap();
    r = fd_read_file(MAPS, LIMIT_COLLAPSE_MAPS_BYTES, &maps, NULL);
    *ret_what = "open " MAPS;
    if (r < 0)
        return r;
    before = measure();
    r = collapse_all(maps, cancel, ret, &successes);
    *ret_what = "collapse";
    if (r < 0)
        return r;
    collapse_split(successes, before, measure(), ret);
    ret->skipped = ret->chunks - successes;
    ret->elapsed_ms = loop_now_ms() - begin;
    return 0;
}
