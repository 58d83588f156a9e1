/*
 * Installations in their order, and the background work between them.
 */
#include "guest/ca_bundle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/scope.h"
#include "base/str.h"
#include "guest/ca_store.h"
#include "guest/ca_text.h"
#include "guest/pem.h"
#include "limits.h"
#include "loop/loop.h"
#include "loop/worker.h"

struct ca_waiter {
    STAILQ_ENTRY(ca_waiter) link;
    ca_bundle_cb cb;
    void *ctx;
};

STAILQ_HEAD(ca_waiters, ca_waiter);

/* One text to be installed, and all who want it to be. */
struct ca_install {
    STAILQ_ENTRY(ca_install) link;
    struct job job;
    struct ca_bundle *bundle;
    struct ca_waiters waiters;
    char *path;
    char *pem; /* with one newline at its end */
    size_t len;
    struct buf blocks; /* what is appended */
    int64_t since_ms;
    struct status error;
    int result;
};

struct ca_bundle {
    struct loop *loop;
    struct worker_pool *pool;
    char *path;
    char *copy;
    STAILQ_HEAD(, ca_install) installs; /* the first one may be running */
    struct ca_waiters ready;            /* nothing was to be done for them */
    struct ca_waiters failed;           /* for want of memory */
    struct loop_deferred tell;
    bool installing;
    struct ca_tidy *tidying;
    bool untidy;
    bool copied; /* the copy is this process's */
    char *pem;   /* installed last, NULL: none */
    size_t pem_len;
    struct pem_block *blocks; /* those, and others not yet removed; each owns
                                 its text */
    size_t count;
};

static void ca_advance(struct ca_bundle *c);

/* ---- what we know to be in the bundle ------------------------------------ */

static struct pem_block *
known_find(struct ca_bundle *c, struct str text)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->blocks[i].text.len == text.len &&
            memcmp(c->blocks[i].text.data, text.data, text.len) == 0)
            return &c->blocks[i];
    return NULL;
}

static void
known_drop(struct ca_bundle *c, size_t at)
{
    scope_free(&c->blocks[at].text.data);
    c->count--;
    memmove(&c->blocks[at], &c->blocks[at + 1],
            (c->count - at) * sizeof(*c->blocks));
}

/* A block has been appended once more; without memory for it, it stays. */
static void
known_add(struct ca_bundle *c, struct str text)
{
    struct pem_block *b = known_find(c, text);

    if (b == NULL) {
        char *copy = str_dup(text);

        b = reallocarray(c->blocks, c->count + 1, sizeof(*b));
        if (b != NULL)
            c->blocks = b;
        if (b == NULL || copy == NULL) {
            free(copy);
            return;
        }
        b = &c->blocks[c->count++];
        *b = (struct pem_block){.text = {copy, text.len}};
    }
    b->added++;
    b->wanted = true;
}

/* The blocks of the newest text are wanted, and no others. */
static void
known_replace(struct ca_bundle *c, struct str blocks)
{
    struct str text;

    for (size_t i = 0; i < c->count; i++)
        c->blocks[i].wanted = false;
    /* When nothing can be removed there must be an end to remembering it. */
    while (c->count > LIMIT_CA_RETIRED)
        known_drop(c, 0);
    while (pem_next(&blocks, &text) > 0)
        known_add(c, text);
}

/* ---- the background ------------------------------------------------------ */

static void
tidy_free(struct ca_tidy *t)
{
    for (size_t i = 0; i < t->count; i++)
        scope_free(&t->blocks[i].text.data);
    free(t->blocks);
    free(t->bundle);
    free(t->copy);
    free(t->pem);
    free(t);
}

static void
tidy_run(struct job *job)
{
    ca_store_tidy(container_of(job, struct ca_tidy, job));
}

static void
tidy_log(const struct ca_tidy *t)
{
    struct log_line line;

    if ((t->bundle_error >= 0 && t->copy_error >= 0) || job_cancelled(&t->job))
        return;
    if (!log_begin(&line, LOG_LEVEL_WARN, "envd"))
        return;
    if (t->bundle_error < 0)
        log_str(&line, "bundle_error", errno_text(-t->bundle_error));
    if (t->copy_error < 0)
        log_str(&line, "copy_error", errno_text(-t->copy_error));
    log_end(&line, "CA bundle not tidied, or not copied");
}

/* Nothing was installed meanwhile: blocks are where they were. */
static void
tidy_take(struct ca_bundle *c, const struct ca_tidy *t)
{
    for (size_t i = 0; i < t->count; i++)
        c->blocks[i].added = t->blocks[i].added;
    for (size_t i = c->count; i-- > 0;)
        if (!c->blocks[i].wanted)
            known_drop(c, i);
}

/* The bundle outlives its jobs, which the pool ends before. */
struct tidy_of {
    struct ca_tidy tidy;
    struct ca_bundle *bundle;
};

static void
tidy_done(struct job *job)
{
    struct ca_tidy *t = container_of(job, struct ca_tidy, job);
    struct ca_bundle *c = container_of(t, struct tidy_of, tidy)->bundle;

    if (t->tidied)
        tidy_take(c, t);
    if (t->copy_error == 0)
        c->copied = true;
    tidy_log(t);
    /* What it was ended for may fail. */
    if (job_cancelled(job))
        c->untidy = true;
    c->tidying = NULL;
    tidy_free(t);
    ca_advance(c);
}

static bool
tidy_copy_blocks(struct ca_tidy *t, const struct ca_bundle *c)
{
    t->blocks = calloc(c->count + 1, sizeof(*t->blocks));
    if (t->blocks == NULL)
        return false;
    for (; t->count < c->count; t->count++) {
        char *text = str_dup(c->blocks[t->count].text);

        if (text == NULL)
            return false;
        t->blocks[t->count] = c->blocks[t->count];
        t->blocks[t->count].text.data = text;
    }
    return true;
}

static void
tidy_start(struct ca_bundle *c)
{
    struct tidy_of *of = xcalloc(1, sizeof(*of));
    struct ca_tidy *t = &of->tidy;

    of->bundle = c;
    c->untidy = false;
    t->job = (struct job){.run = tidy_run, .done = tidy_done, .writes = true};
    t->bundle = xstrdup(c->path);
    t->copy = xstrdup(c->copy);
    t->pem = str_dup((struct str){c->pem, c->pem_len});
    t->pem_len = c->pem_len;
    t->first = !c->copied;
    t->job.path = t->bundle;
    t->job.other = t->copy;
    if (t->pem == NULL || !tidy_copy_blocks(t, c) ||
        worker_submit(c->pool, &t->job) < 0) {
        tidy_free(t);
        return;
    }
    c->tidying = t;
}

/* ---- installing ---------------------------------------------------------- */

static void
waiters_tell(struct ca_waiters *waiters, const char *error)
{
    struct ca_waiter *w;

    while ((w = STAILQ_FIRST(waiters)) != NULL) {
        STAILQ_REMOVE_HEAD(waiters, link);
        w->cb(w->ctx, error);
        free(w);
    }
}

static void
waiters_free(struct ca_waiters *waiters)
{
    struct ca_waiter *w;

    while ((w = STAILQ_FIRST(waiters)) != NULL) {
        STAILQ_REMOVE_HEAD(waiters, link);
        free(w);
    }
}

static void
install_free(struct ca_install *i)
{
    waiters_free(&i->waiters);
    buf_done(&i->blocks);
    status_done(&i->error);
    free(i->path);
    free(i->pem);
    free(i);
}

static void
install_run(struct job *job)
{
    struct ca_install *i = container_of(job, struct ca_install, job);

    i->result = ca_store_append(i->path, (const char *)buf_data(&i->blocks),
                                i->blocks.len, &i->error);
}

static void
install_take(struct ca_bundle *c, struct ca_install *i)
{
    struct log_line line;

    free(c->pem);
    c->pem = TAKE_PTR(i->pem);
    c->pem_len = i->len;
    known_replace(
        c, (struct str){(const char *)buf_data(&i->blocks), i->blocks.len});
    c->untidy = true;
    if (log_begin(&line, LOG_LEVEL_DEBUG, "envd")) {
        log_i64(&line, "duration_ms", loop_now_ms() - i->since_ms);
        log_end(&line, "CA cert appended to bundle");
    }
}

static void
install_done(struct job *job)
{
    struct ca_install *i = container_of(job, struct ca_install, job);
    struct ca_bundle *c = i->bundle;

    c->installing = false;
    if (job_cancelled(job))
        return; /* with the workers gone nobody waits for it */
    STAILQ_REMOVE_HEAD(&c->installs, link);
    if (i->result == 0)
        install_take(c, i);
    waiters_tell(&i->waiters, i->result < 0 ? status_message(&i->error) : NULL);
    install_free(i);
    ca_advance(c);
}

/* Whatever is to be done next, when nothing is being done. */
static void
ca_advance(struct ca_bundle *c)
{
    struct ca_install *i;

    if (c->installing)
        return;
    while ((i = STAILQ_FIRST(&c->installs)) != NULL) {
        if (c->tidying != NULL) {
            job_cancel(&c->tidying->job);
            return;
        }
        if (worker_submit(c->pool, &i->job) == 0) {
            c->installing = true;
            return;
        }
        STAILQ_REMOVE_HEAD(&c->installs, link);
        waiters_tell(&i->waiters, "append CA cert: too much is waiting for "
                                  "disks");
        install_free(i);
    }
    if (c->untidy && c->tidying == NULL)
        tidy_start(c);
}

static void
on_tell(struct loop_deferred *d)
{
    struct ca_bundle *c = container_of(d, struct ca_bundle, tell);

    waiters_tell(&c->ready, NULL);
    waiters_tell(&c->failed, "append CA cert: cannot allocate memory");
    ca_advance(c);
}

/* NULL when memory is exhausted. */
static struct ca_install *
install_new(struct ca_bundle *c, struct str text)
{
    struct ca_install *i = xcalloc(1, sizeof(*i));

    STAILQ_INIT(&i->waiters);
    i->bundle = c;
    i->job =
        (struct job){.run = install_run, .done = install_done, .writes = true};
    i->path = xstrdup(c->path);
    i->job.path = i->path;
    i->len = text.len + 1;
    i->since_ms = loop_now_ms();
    ca_text_blocks(&i->blocks, text);
    i->pem = malloc(i->len + 1);
    if (i->pem == NULL || i->blocks.failed) {
        install_free(i);
        return NULL;
    }
    memcpy(i->pem, text.data, text.len);
    memcpy(i->pem + text.len, "\n", 2);
    return i;
}

static bool
is_text(const char *pem, size_t len, struct str text)
{
    return pem != NULL && len == text.len + 1 &&
           memcmp(pem, text.data, text.len) == 0;
}

void
ca_bundle_install(struct ca_bundle *c, const char *pem, size_t len,
                  ca_bundle_cb cb, void *ctx)
{
    struct str text = ca_text_trim(pem, len);
    struct ca_waiter *w = xcalloc(1, sizeof(*w));
    struct ca_waiters *waiters = &c->ready;
    struct ca_install *last = NULL;
    struct ca_install *i;

    w->cb = cb;
    w->ctx = ctx;
    STAILQ_FOREACH (i, &c->installs, link)
        last = i;
    if (text.len > 0 && last != NULL && is_text(last->pem, last->len, text)) {
        waiters = &last->waiters;
    } else if (text.len > 0 &&
               (last != NULL || !is_text(c->pem, c->pem_len, text))) {
        waiters = &c->failed;
        i = install_new(c, text);
        if (i != NULL) {
            STAILQ_INSERT_TAIL(&c->installs, i, link);
            waiters = &i->waiters;
        }
    }
    STAILQ_INSERT_TAIL(waiters, w, link);
    loop_defer(c->loop, &c->tell);
}

bool
ca_bundle_idle(const struct ca_bundle *c)
{
    return STAILQ_EMPTY(&c->installs) && STAILQ_EMPTY(&c->ready) &&
           STAILQ_EMPTY(&c->failed) && c->tidying == NULL;
}

struct ca_bundle *
ca_bundle_new(struct loop *loop, struct worker_pool *pool, const char *bundle,
              const char *copy_dir)
{
    struct ca_bundle *c = xcalloc(1, sizeof(*c));
    size_t size;

    if (copy_dir == NULL)
        copy_dir = CA_COPY_DIR;
    size = strlen(copy_dir) + sizeof("/" CA_COPY_NAME);
    c->loop = loop;
    c->pool = pool;
    c->path = xstrdup(bundle != NULL ? bundle : CA_BUNDLE_FILE);
    c->copy = xcalloc(size, 1);
    (void)snprintf(c->copy, size, "%s/" CA_COPY_NAME, copy_dir);
    c->tell.run = on_tell;
    STAILQ_INIT(&c->installs);
    STAILQ_INIT(&c->ready);
    STAILQ_INIT(&c->failed);
    return c;
}

void
ca_bundle_free(struct ca_bundle *c)
{
    struct ca_install *i;

    if (c == NULL)
        return;
    loop_defer_cancel(c->loop, &c->tell);
    while ((i = STAILQ_FIRST(&c->installs)) != NULL) {
        STAILQ_REMOVE_HEAD(&c->installs, link);
        /* What a worker was left behind with goes on using it. */
        if (!c->installing)
            install_free(i);
        c->installing = false;
    }
    waiters_free(&c->ready);
    waiters_free(&c->failed);
    while (c->count > 0)
        known_drop(c, c->count - 1);
    free(c->blocks);
    free(c->copy);
    free(c->path);
    free(c->pem);
    free(c);
}
