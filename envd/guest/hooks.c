/*
 * run-parts, for the few events of a pause.
 */
#include "guest/hooks.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/scope.h"
#include "base/status.h"
#include "guest/helper.h"
#include "guest/trusted.h"
#include "limits.h"
#include "loop/loop.h"
#include "loop/worker.h"

/* One event, from hooks_run() to its callback. */
struct hooks_round {
    STAILQ_ENTRY(hooks_round) link;
    struct job job;
    struct hooks *hooks;
    const char *event;
    hooks_cb cb;
    void *ctx;
    char *dir;
    char *programs[LIMIT_HOOKS]; /* sorted paths, without links */
    unsigned int count;
    unsigned int next;
    unsigned int refused; /* found, but not root's alone */
    bool listing;         /* a worker has it */
    int list_error;
    int64_t until_ms;
    struct hooks_result result;
};

struct hooks {
    struct loop *loop;
    struct worker_pool *pool;
    const struct helper_spawner *spawner;
    char *dir;
    STAILQ_HEAD(, hooks_round) rounds; /* the first one has its turn */
    bool busy;                         /* with the first one */
    struct helper helper;
    struct loop_timer limit; /* for a disk that does not answer */
    struct loop_deferred begin;
};

static void round_advance(struct hooks_round *r);

/* ---- what is there to run, on a worker ----------------------------------- */

static bool
is_program_name(const char *name)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "abcdefghijklmnopqrstuvwxyz"
                                  "0123456789_-";

    return name[strspn(name, letters)] == '\0';
}

/* The path without links of one program, or NULL. */
static char *
program_find(const char *dir, const char *name)
{
    char path[PATH_MAX];
    char found[PATH_MAX];
    int len = snprintf(path, sizeof(path), "%s/%s", dir, name);

    if (len < 0 || (size_t)len >= sizeof(path) || !trusted_program(path, found))
        return NULL;
    return xstrdup(found);
}

/* Take a name in where it belongs; the last one makes room for it. */
static void
names_insert(char *names[LIMIT_HOOKS], unsigned int *count, const char *name)
{
    unsigned int at = *count;

    if (at == LIMIT_HOOKS) {
        if (strcmp(names[at - 1], name) <= 0)
            return;
        free(names[--at]);
    } else {
        ++*count;
    }
    for (; at > 0 && strcmp(names[at - 1], name) > 0; at--)
        names[at] = names[at - 1];
    names[at] = xstrdup(name);
}

/* Open the directory of an event, if it is root's alone. */
static int
event_open(const char *path, DIR **ret)
{
    struct stat info;
    int fd = trusted_open(path, TRUSTED_STRICT, O_RDONLY | O_DIRECTORY);
    int r;

    if (fd < 0)
        return fd;
    r = fstat(fd, &info) < 0 ? -errno : 0;
    if (r == 0 && !trusted_is_roots(&info))
        r = -EPERM;
    *ret = r == 0 ? fdopendir(fd) : NULL;
    if (r == 0 && *ret == NULL)
        r = -errno;
    if (r < 0)
        fd_close(&fd);
    return r;
}

static void
round_list(struct job *job)
{
    struct hooks_round *r = container_of(job, struct hooks_round, job);
    char *names[LIMIT_HOOKS];
    unsigned int count = 0;
    const struct dirent *entry;
    DIR *dir = NULL;

    r->list_error = event_open(r->dir, &dir);
    if (dir == NULL)
        return;
    while ((entry = readdir(dir)) != NULL)
        if (is_program_name(entry->d_name))
            names_insert(names, &count, entry->d_name);
    (void)closedir(dir);
    for (unsigned int i = 0; i < count; i++) {
        char *program = program_find(r->dir, names[i]);

        free(names[i]);
        if (program != NULL)
            r->programs[r->count++] = program;
        else
            r->refused++;
    }
}

/* ---- one after the other ------------------------------------------------- */

static void
round_free(struct hooks_round *r)
{
    for (unsigned int i = 0; i < r->count; i++)
        free(r->programs[i]);
    free(r->dir);
    free(r);
}

static void
round_log(const struct hooks_round *r)
{
    const struct hooks_result *result = &r->result;
    bool bad = result->error < 0 || result->failed > 0 || result->cut ||
               r->refused > 0;
    struct log_line line;

    if (!bad && result->ran == 0)
        return;
    if (!log_begin(&line, bad ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "envd"))
        return;
    log_str(&line, "event", r->event);
    log_u64(&line, "ran", result->ran);
    log_u64(&line, "failed", result->failed);
    log_u64(&line, "refused", r->refused);
    log_bool(&line, "cut", result->cut);
    if (result->error < 0)
        log_str(&line, "error", errno_text(-result->error));
    log_end(&line, "Hooks of %s have run", r->event);
}

/* The turn of a round is over; it is not freed. */
static void
round_end(struct hooks_round *r)
{
    struct hooks *h = r->hooks;
    hooks_cb cb = r->cb;
    void *ctx = r->ctx;
    struct hooks_result result = r->result;

    round_log(r);
    STAILQ_REMOVE_HEAD(&h->rounds, link);
    r->hooks = NULL;
    h->busy = false;
    if (!STAILQ_EMPTY(&h->rounds))
        loop_defer(h->loop, &h->begin);
    cb(ctx, &result);
}

static void
on_program_end(struct helper *helper, const struct helper_exit *end)
{
    struct hooks *h = container_of(helper, struct hooks, helper);
    struct hooks_round *r = STAILQ_FIRST(&h->rounds);

    if (end->status != 0 && !end->lost)
        r->result.failed++;
    round_advance(r);
}

/* Start the next program; the end when there is none, or no time. */
static void
round_advance(struct hooks_round *r)
{
    struct hooks *h = r->hooks;

    while (r->next < r->count) {
        int64_t left = r->until_ms - loop_now_ms();
        const char *program = r->programs[r->next++];
        const char *const argv[] = {program, r->event, NULL};

        if (left <= 0) {
            r->result.cut = true;
            break;
        }
        r->result.ran++;
        if (helper_start(&h->helper, h->loop, h->spawner, argv,
                         MIN(left, (int64_t)HOOKS_ONE_MS), on_program_end) == 0)
            return;
        r->result.failed++;
    }
    helper_free_output(&h->helper);
    round_end(r);
    round_free(r);
}

static void
round_listed(struct job *job)
{
    struct hooks_round *r = container_of(job, struct hooks_round, job);

    r->listing = false;
    if (r->hooks == NULL) {
        round_free(r); /* it had its end before */
        return;
    }
    loop_timer_cancel(&r->hooks->limit);
    if (job_cancelled(job))
        return; /* with the workers gone nobody waits for it */
    r->result.error = r->list_error == -ENOENT ? 0 : r->list_error;
    round_advance(r);
}

/* The list is still being made, and frees the round when it is. */
static void
on_limit(struct loop_timer *t)
{
    struct hooks_round *r =
        STAILQ_FIRST(&container_of(t, struct hooks, limit)->rounds);

    r->result.error = -ETIMEDOUT;
    round_end(r);
}

static void
on_begin(struct loop_deferred *d)
{
    struct hooks *h = container_of(d, struct hooks, begin);
    struct hooks_round *r = STAILQ_FIRST(&h->rounds);

    if (r == NULL || h->busy)
        return;
    h->busy = true;
    r->until_ms = loop_now_ms() + HOOKS_ALL_MS;
    r->job =
        (struct job){.run = round_list, .done = round_listed, .path = r->dir};
    if (worker_submit(h->pool, &r->job) < 0) {
        r->result.error = -EAGAIN;
        round_end(r);
        round_free(r);
        return;
    }
    r->listing = true;
    loop_timer_set(&h->limit, HOOKS_ALL_MS);
}

void
hooks_run(struct hooks *h, const char *event, hooks_cb cb, void *ctx)
{
    struct hooks_round *r = xcalloc(1, sizeof(*r));
    size_t size = strlen(h->dir) + strlen(event) + 2;

    r->hooks = h;
    r->event = event;
    r->cb = cb;
    r->ctx = ctx;
    r->dir = xcalloc(size, 1);
    (void)snprintf(r->dir, size, "%s/%s", h->dir, event);
    STAILQ_INSERT_TAIL(&h->rounds, r, link);
    loop_defer(h->loop, &h->begin);
}

struct hooks *
hooks_new(struct loop *loop, struct worker_pool *pool,
          const struct helper_spawner *spawner, const char *dir)
{
    struct hooks *h = xcalloc(1, sizeof(*h));

    h->loop = loop;
    h->pool = pool;
    h->spawner = spawner;
    h->dir = xstrdup(dir != NULL ? dir : HOOKS_DIR);
    h->begin.run = on_begin;
    loop_timer_init(loop, &h->limit, on_limit);
    STAILQ_INIT(&h->rounds);
    return h;
}

void
hooks_free(struct hooks *h)
{
    struct hooks_round *r;

    if (h == NULL)
        return;
    helper_abandon(&h->helper);
    helper_free_output(&h->helper);
    loop_defer_cancel(h->loop, &h->begin);
    loop_timer_cancel(&h->limit);
    while ((r = STAILQ_FIRST(&h->rounds)) != NULL) {
        STAILQ_REMOVE_HEAD(&h->rounds, link);
        /* What a worker was left behind with goes on using it. */
        if (!r->listing)
            round_free(r);
    }
    free(h->dir);
    free(h);
}
