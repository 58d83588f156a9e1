/*
 * Waiters, the poller, and what a document changes.
 */
#include "guest/mmds.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/scope.h"
#include "base/status.h"
#include "guest/log_export.h"
#include "guest/mmds_fetch.h"
#include "guest/run_files.h"
#include "guest/settings.h"
#include "limits.h"
#include "loop/loop.h"
#include "loop/worker.h"

#define POLL_QUICK    20 /* attempts of the poller with the first delay */
#define POLL_DELAY_MS 50
#define POLL_SLOW_MS  5000
#define FOREVER_MS    INT64_MAX

struct poller {
    struct mmds_lookup lookup;
    struct loop_timer timer;
    int64_t until_ms;
    int64_t window_ms;
    int64_t delay_ms;
    unsigned int attempts; /* with this delay */
    bool on;
};

struct mmds {
    struct loop *loop;
    struct mmds_config config;
    struct mmds_fetch fetch;
    struct mmds_waiters now;     /* for the lookup that runs */
    struct mmds_waiters next;    /* for the one behind it */
    struct mmds_waiters ending;  /* about to be told */
    struct mmds_waiters healing; /* until the way is mended */
    struct poller poll;
    struct mmds_document document; /* into `text` */
    char *text;                    /* NULL: no document yet */
    int64_t healed_ms;
    bool running;
    bool heal_tried;
    bool heal_running;
    bool answered;
    bool files_busy;
    bool files_stale;
    struct log_quota heal_said;
    struct mmds_stats stats;
};

/* ---- run files ----------------------------------------------------------- */

/* With what it needs: a worker that stands still may outlive us. */
struct files_job {
    struct job job;
    struct mmds *m;
    const char *dir;
    char *instance_id; /* NULL: nothing but that there was an answer */
    char *env_id;
    int error;
};

static void
files_run(struct job *job)
{
    struct files_job *f = container_of(job, struct files_job, job);

    f->error = run_file_write(f->dir, RUN_FILE_MMDS_ANSWERED, "", 0644);
    if (f->error == 0 && f->instance_id != NULL)
        f->error =
            run_file_write(f->dir, RUN_FILE_SANDBOX_ID, f->instance_id, 0644);
    if (f->error == 0 && f->instance_id != NULL)
        f->error =
            run_file_write(f->dir, RUN_FILE_TEMPLATE_ID, f->env_id, 0644);
}

static void files_write(struct mmds *m);

static void
files_done(struct job *job)
{
    struct files_job *f = container_of(job, struct files_job, job);
    struct mmds *m = f->m;
    bool again = m->files_stale && !job_cancelled(job);

    m->files_busy = false;
    if (f->error < 0) {
        m->files_stale = true; /* with the next answer */
        log_note(NULL, "<4>%s: %s", f->dir, errno_text(-f->error));
    }
    free(f->instance_id);
    free(f->env_id);
    free(f);
    if (again)
        files_write(m);
}

static void
files_write(struct mmds *m)
{
    struct files_job *f;

    m->files_stale = true;
    if (m->files_busy)
        return;
    f = xcalloc(1, sizeof(*f));
    f->job = (struct job){
        .run = files_run, .done = files_done, .quick = true, .writes = true};
    f->m = m;
    f->dir = f->job.path = m->config.run_dir;
    if (m->text != NULL) {
        f->instance_id = xstrdup(m->document.instance_id);
        f->env_id = xstrdup(m->document.env_id);
    }
    m->files_busy = true;
    m->files_stale = false;
    if (m->config.workers == NULL) {
        files_run(&f->job);
        files_done(&f->job);
    } else if (worker_submit(m->config.workers, &f->job) < 0) {
        f->error = -EAGAIN;
        files_done(&f->job);
    }
}

/* ---- what a document changes --------------------------------------------- */

/* A value that can stand in a file, a variable and a request. */
static bool
value_is_sound(const char *text)
{
    size_t len = strlen(text);

    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
            return false;
    return len <= LIMIT_MMDS_VALUE_BYTES;
}

/* Returns NULL, or what is wrong with it. */
static const char *
decode(const struct mmds *m, char *text, size_t len, struct mmds_document *d)
{
    if (m->config.decode(text, len, d) < 0)
        return "document: not JSON as it should be";
    if (!value_is_sound(d->instance_id) || !value_is_sound(d->env_id) ||
        !value_is_sound(d->address) || !value_is_sound(d->access_token_hash))
        return "document: a value is too long or no text";
    return NULL;
}

/* Takes `text` over. */
static void
apply(struct mmds *m, const struct mmds_document *d, char *text)
{
    bool changed = m->text == NULL ||
                   strcmp(m->document.instance_id, d->instance_id) != 0 ||
                   strcmp(m->document.env_id, d->env_id) != 0;

    free(m->text);
    m->text = text;
    m->document = *d;
    if (*d->address != '\0' && m->config.exporter != NULL &&
        log_exporter_target(m->config.exporter, d->address, d->instance_id,
                            d->env_id) < 0)
        log_note(NULL, "<4>no address of a log collector: %s", d->address);
    if (changed) {
        guest_set_internal_var(m->config.settings, "E2B_SANDBOX_ID",
                               d->instance_id);
        guest_set_internal_var(m->config.settings, "E2B_TEMPLATE_ID",
                               d->env_id);
    }
    if (changed || m->files_stale)
        files_write(m);
    if (m->poll.on) {
        m->poll.on = false;
        loop_timer_cancel(&m->poll.timer);
    }
}

/* ---- lookups ------------------------------------------------------------- */

static void heal(struct mmds *m);

static void
wait_in(struct mmds_waiters *queue, struct mmds_lookup *l)
{
    l->waiting = true;
    l->queue = queue;
    TAILQ_INSERT_TAIL(queue, l, link);
}

void
mmds_lookup_cancel(struct mmds *m, struct mmds_lookup *l)
{
    (void)m;
    if (!l->waiting)
        return;
    TAILQ_REMOVE(l->queue, l, link);
    l->waiting = false;
}

static void
move_all(struct mmds_waiters *to, struct mmds_waiters *from)
{
    struct mmds_lookup *l;

    while ((l = TAILQ_FIRST(from)) != NULL) {
        TAILQ_REMOVE(from, l, link);
        wait_in(to, l);
    }
}

static void
lookup_start(struct mmds *m)
{
    m->running = true;
    m->stats.lookups++;
    mmds_fetch_start(&m->fetch);
}

void
mmds_lookup(struct mmds *m, struct mmds_lookup *l)
{
    /* A document that is asked for from now on is at least as new as this. */
    bool late = m->running && m->fetch.has_token;

    wait_in(late ? &m->next : &m->now, l);
    if (!m->running)
        lookup_start(m);
}

void
mmds_resumed(struct mmds *m)
{
    if (!m->running)
        return;
    mmds_fetch_abort(&m->fetch);
    move_all(&m->now, &m->next);
    lookup_start(m);
}

/* Those who want the way mended wait for that, if it can be. */
static void
heal_waiters(struct mmds *m)
{
    struct mmds_lookup *l;
    struct mmds_lookup *following;
    bool can = m->config.heal != NULL && m->config.workers != NULL;

    if (!m->heal_running && m->heal_tried &&
        loop_now_ms() - m->healed_ms < LIMIT_MMDS_HEAL_MS)
        can = false;
    for (l = TAILQ_FIRST(&m->ending); can && l != NULL; l = following) {
        following = TAILQ_NEXT(l, link);
        if (!l->heal)
            continue;
        l->heal = false;
        TAILQ_REMOVE(&m->ending, l, link);
        wait_in(&m->healing, l);
    }
    if (!TAILQ_EMPTY(&m->healing) && !m->heal_running)
        heal(m);
}

static void
tell(struct mmds *m, const struct mmds_document *d, const char *error)
{
    struct mmds_lookup *l;

    while ((l = TAILQ_FIRST(&m->ending)) != NULL) {
        TAILQ_REMOVE(&m->ending, l, link);
        l->waiting = false;
        l->done(l, d, error);
    }
}

/* `text` is gone when a waiter begins another lookup: hence the copy. */
static void
on_fetched(struct mmds_fetch *f, char *text, size_t len, const char *error)
{
    struct mmds *m = container_of(f, struct mmds, fetch);
    SCOPE(scope_free) char *copy = NULL;
    struct mmds_document d = {0};

    m->running = false;
    move_all(&m->ending, &m->now);
    move_all(&m->now, &m->next);
    if (error == NULL) {
        copy = xcalloc(1, len + 1); /* bounded by LIMIT_MMDS_DOCUMENT_BYTES */
        if (len > 0)
            memcpy(copy, text, len);
        error = decode(m, copy, len, &d);
    }
    if (!TAILQ_EMPTY(&m->now))
        lookup_start(m);
    if (error != NULL) {
        m->stats.failures++;
        heal_waiters(m);
        tell(m, NULL, error);
        return;
    }
    if (!m->answered) {
        m->answered = true;
        m->files_stale = true;
    }
    if (*d.instance_id != '\0')
        apply(m, &d, TAKE_PTR(copy));
    else if (m->files_stale)
        files_write(m);
    tell(m, &d, NULL);
}

/* ---- the way to it ------------------------------------------------------- */

struct heal_job {
    struct job job;
    struct mmds *m;
    struct sockaddr_in address;
    int (*heal)(const struct sockaddr_in *address);
    int error;
};

static void
heal_run(struct job *job)
{
    struct heal_job *h = container_of(job, struct heal_job, job);

    h->error = h->heal(&h->address);
}

static void
heal_done(struct job *job)
{
    struct heal_job *h = container_of(job, struct heal_job, job);
    struct mmds *m = h->m;
    struct log_line line;
    struct mmds_lookup *l;
    int error = h->error;
    bool cancelled = job_cancelled(job);

    free(h);
    m->heal_running = false;
    if (cancelled)
        return;
    if (error == 0)
        m->stats.heals++;
    else
        m->stats.heals_failed++;
    if (error != -EOPNOTSUPP &&
        log_begin_limited(&line, LOG_LEVEL_WARN, "envd", &m->heal_said)) {
        log_str(&line, "error", error < 0 ? errno_text(-error) : "");
        log_end(&line, "metadata service not reached: way to it pinned");
    }
    while ((l = TAILQ_FIRST(&m->healing)) != NULL) {
        TAILQ_REMOVE(&m->healing, l, link);
        mmds_lookup(m, l);
    }
}

static void
heal(struct mmds *m)
{
    struct heal_job *h = xcalloc(1, sizeof(*h));

    h->job = (struct job){.run = heal_run, .done = heal_done};
    h->m = m;
    h->address = m->config.address;
    h->heal = m->config.heal;
    m->heal_tried = true;
    m->healed_ms = loop_now_ms();
    if (worker_submit(m->config.workers, &h->job) < 0) {
        free(h);
        move_all(&m->ending, &m->healing); /* they are told of the failure */
        return;
    }
    m->heal_running = true;
}

/* ---- the poller ---------------------------------------------------------- */

static void
poll_again(struct poller *p)
{
    int64_t left = p->until_ms - loop_now_ms();

    if (++p->attempts >= POLL_QUICK)
        p->delay_ms = MIN(p->delay_ms * 2, POLL_SLOW_MS);
    loop_timer_set(&p->timer, MIN(p->delay_ms, left));
}

static void
on_polled(struct mmds_lookup *l, const struct mmds_document *d,
          const char *error)
{
    struct poller *p = container_of(l, struct poller, lookup);
    struct mmds *m = container_of(p, struct mmds, poll);

    /* One that can be applied has ended it. */
    if (!p->on)
        return;
    if (p->until_ms > loop_now_ms()) {
        poll_again(p);
        return;
    }
    p->on = false;
    m->stats.gave_up++;
    log_note(NULL,
             "<4>gave up polling for mmds opts: nothing within %lld ms (last "
             "error: %s)",
             (long long)p->window_ms,
             d != NULL ? "document: no instanceID" : error);
}

static void
on_poll(struct loop_timer *t)
{
    struct poller *p = container_of(t, struct poller, timer);
    struct mmds *m = container_of(p, struct mmds, poll);

    m->stats.polls++;
    mmds_lookup(m, &p->lookup);
}

void
mmds_poll(struct mmds *m, int64_t window_ms)
{
    struct poller *p = &m->poll;
    int64_t until = window_ms < 0 ? FOREVER_MS : loop_now_ms() + window_ms;

    if (!p->on || until > p->until_ms) {
        p->until_ms = until;
        p->window_ms = window_ms;
    }
    p->on = true;
    p->attempts = 0;
    p->delay_ms = POLL_DELAY_MS;
    if (!p->lookup.waiting)
        loop_timer_set(&p->timer, 0);
}

/* ---- beginning and end --------------------------------------------------- */

bool
mmds_answered_before(const struct mmds *m)
{
    return m->answered;
}

const struct mmds_document *
mmds_document(const struct mmds *m)
{
    return m->text != NULL ? &m->document : NULL;
}

void
mmds_get_stats(const struct mmds *m, struct mmds_stats *ret)
{
    *ret = m->stats;
}

struct mmds *
mmds_new(struct loop *loop, const struct mmds_config *config)
{
    struct mmds *m = xcalloc(1, sizeof(*m));
    char path[256];

    m->loop = loop;
    m->config = *config;
    m->heal_said = (struct log_quota)LOG_QUOTA(1, LIMIT_MMDS_HEAL_MS);
    TAILQ_INIT(&m->now);
    TAILQ_INIT(&m->next);
    TAILQ_INIT(&m->ending);
    TAILQ_INIT(&m->healing);
    m->poll.lookup.done = on_polled;
    loop_timer_init(loop, &m->poll.timer, on_poll);
    mmds_fetch_init(&m->fetch, loop, &config->address, on_fetched);
    (void)snprintf(path, sizeof(path), "%s/%s", config->run_dir,
                   RUN_FILE_MMDS_ANSWERED);
    m->answered = access(path, F_OK) == 0;
    return m;
}

void
mmds_free(struct mmds *m)
{
    if (m == NULL)
        return;
    loop_timer_cancel(&m->poll.timer);
    mmds_fetch_done(&m->fetch);
    free(m->text);
    free(m);
}
