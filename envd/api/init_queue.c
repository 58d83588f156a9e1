/*
 * The queue of POST /init: who may, who shares, whose turn it is.
 *
 * Authorisation comes before the queue, so that nobody who may not can hold
 * up those who may.  What was decided then is looked at again when the turn
 * comes: the work before may have set another token.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "api/init.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/now.h"
#include "base/scope.h"
#include "envd.h"
#include "guest/settings.h"
#include "limits.h"
#include "security/access.h"

#define RETRY_MS 100 /* between two questions to a service that is hidden */

/* ---- the end of a work --------------------------------------------------- */

void
init_work_free(struct init_work *w)
{
    struct init_service *s = w->service;

    TAILQ_REMOVE(&s->works, w, link);
    s->count--;
    s->body_bytes -= w->request->body.len;
    if (s->running == w)
        s->running = NULL;
    loop_timer_cancel(&w->retry);
    if (w->asked)
        s->ops->ask_cancel(w);
    if (w->identity.waiting)
        mmds_lookup_cancel(s->envd->mmds, &w->identity);
    init_request_free(w->request);
    free(w->text);
    free(w);
}

/* Tell all who wait, and forget the work. */
static void
work_end(struct init_work *w, int status, const char *text)
{
    struct init_service *s = w->service;
    int64_t now_ns = clock_now_ns(CLOCK_MONOTONIC);
    struct buf times = {0};
    struct buf resume = {0};
    struct init_result r = {
        .status = status,
        .text = text,
        .audit = w->audit,
    };
    struct init_waiter *waiter;

    init_report_times(w, &times, now_ns);
    buf_append_byte(&times, '\0');
    init_resume_header(w, &resume);
    buf_append_byte(&resume, '\0');
    r.times = times.failed ? "" : (const char *)buf_data(&times);
    r.resume = resume.failed ? "" : (const char *)buf_data(&resume);
    s->stats.last_us = (now_ns - w->came_ns) / 1000;
    for (size_t i = 0; w->began_ns != 0 && i < s->ops->step_count; i++)
        s->stats.phase_us[i] += MAX(w->took_ns[i], 0) / 1000;
    init_report_log(w, status, text, now_ns - w->came_ns);
    while ((waiter = TAILQ_FIRST(&w->waiters)) != NULL) {
        TAILQ_REMOVE(&w->waiters, waiter, link);
        waiter->work = NULL;
        /* It has been applied by the work of another's. */
        if (status == 204 && waiter->has_timestamp)
            (void)guest_accept_timestamp(s->envd->settings,
                                         waiter->timestamp_ns);
        waiter->done(waiter, &r);
    }
    init_work_free(w);
    buf_done(&times);
    buf_done(&resume);
    if (!s->closing)
        loop_defer(s->envd->loop, &s->pump);
}

static void
work_refuse(struct init_work *w, enum init_verdict verdict)
{
    w->service->stats.refused++;
    work_end(w, 401, init_verdict_text(verdict));
}

/* Cut those who wait: a client that gets no answer tries again. */
static void
work_cut(struct init_work *w)
{
    w->service->stats.cut++;
    work_end(w, 0, "too many requests");
}

/* Whether it has not begun, and has to wait for another one. */
static bool
work_is_queued(const struct init_work *w)
{
    return w->state == INIT_WAITING && w->service->running != NULL;
}

/* Nobody waits for a work that has not begun.  Returns whether it was freed. */
static bool
work_drop(struct init_work *w)
{
    if (!TAILQ_EMPTY(&w->waiters) || !work_is_queued(w))
        return false;
    w->service->stats.dropped++;
    init_work_free(w);
    return true;
}

/* Tell those who have probably left, if they would have to wait. */
static void
work_tell_silent(struct init_work *w)
{
    const struct init_result r = {503, "", "", "", ""};
    struct init_waiter *waiter;
    struct init_waiter *next;

    for (waiter = TAILQ_FIRST(&w->waiters); waiter != NULL; waiter = next) {
        next = TAILQ_NEXT(waiter, link);
        if (!waiter->silent || (!waiter->joined && !work_is_queued(w)))
            continue;
        TAILQ_REMOVE(&w->waiters, waiter, link);
        waiter->work = NULL;
        waiter->done(waiter, &r);
    }
}

/* ---- authorisation ------------------------------------------------------- */

static enum init_verdict
work_verdict(const struct init_work *w)
{
    return init_authorise(w->service->envd->token, w->request->token,
                          w->hash_state, str_from(w->hash));
}

/* It may: it stands last among those who wait for their turn. */
static void
work_admit(struct init_work *w)
{
    struct init_service *s = w->service;

    if (w->authorised_ns == 0)
        w->authorised_ns = clock_now_ns(CLOCK_MONOTONIC);
    w->state = INIT_WAITING;
    work_tell_silent(w);
    if (work_drop(w))
        return;
    TAILQ_REMOVE(&s->works, w, link);
    TAILQ_INSERT_TAIL(&s->works, w, link);
    loop_defer(s->envd->loop, &s->pump);
}

static void
work_authorise(struct init_work *w)
{
    enum init_verdict verdict = work_verdict(w);

    w->state = INIT_AUTHORISING;
    if (verdict == INIT_ASK) {
        w->asked = w->service->ops->ask(w);
        if (w->asked)
            return;
        w->hash_state = INIT_HASH_ABSENT;
        verdict = work_verdict(w);
    }
    if (verdict == INIT_AUTHORISED)
        work_admit(w);
    else
        work_refuse(w, verdict);
}

static void
on_retry(struct loop_timer *t)
{
    work_authorise(container_of(t, struct init_work, retry));
}

void
init_work_told(struct init_work *w, const char *hash)
{
    struct init_service *s = w->service;

    w->asked = false;
    if (s->closing)
        return;
    w->has_answer = hash != NULL;
    if (hash != NULL) {
        w->hash_state = INIT_HASH_KNOWN;
        /* One that is too long to be one matches nothing, and is no absence. */
        (void)strncpy(w->hash, hash, sizeof(w->hash) - 1);
    } else if (!s->ops->answered_before(s)) {
        w->hash_state = INIT_HASH_ABSENT;
    } else if (loop_now_ms() < w->hold_until_ms) {
        loop_timer_set(&w->retry, RETRY_MS);
        return;
    } else {
        w->hash_state = INIT_HASH_HIDDEN;
    }
    work_authorise(w);
}

/* ---- the course of a work ------------------------------------------------ */

void
init_work_fail(struct init_work *w, int status, const char *prefix,
               const char *text)
{
    struct buf words = {0};

    if (w->status != 0)
        return;
    w->status = status;
    buf_append_str(&words, prefix);
    buf_append_str(&words, text != NULL ? text : "");
    w->text = str_dup((struct str){(const char *)buf_data(&words), words.len});
    buf_done(&words);
}

static bool
step_is_due(const struct init_work *w, const struct init_step *step)
{
    if (step->when == INIT_ALWAYS)
        return true;
    if (w->status != 0 || w->stale)
        return false;
    return step->when == INIT_IF_DATA || w->resume.resumed;
}

static void
work_succeed(struct init_work *w)
{
    struct init_service *s = w->service;

    s->initialised = true;
    if (s->ops->succeeded != NULL)
        s->ops->succeeded(w);
    work_end(w, 204, "");
}

/* Go through the steps from w->at on, as far as nothing is waited for. */
static void
work_go_on(struct init_work *w)
{
    struct init_service *s = w->service;
    const struct init_ops *ops = s->ops;

    for (; w->at < ops->step_count; w->at++) {
        const struct init_step *step = &ops->steps[w->at];

        w->took_ns[w->at] = -1;
        if (!step_is_due(w, step))
            continue;
        w->step_ns = clock_now_ns(CLOCK_MONOTONIC);
        if (!step->begin(w))
            return;
        w->took_ns[w->at] = clock_now_ns(CLOCK_MONOTONIC) - w->step_ns;
    }
    s->stats.works++;
    s->stats.stale += w->stale;
    if (w->status == 0) {
        work_succeed(w);
        return;
    }
    s->stats.failed++;
    work_end(w, w->status, w->text != NULL ? w->text : "");
}

void
init_work_continue(struct init_work *w)
{
    if (w->service->closing)
        return;
    w->took_ns[w->at] = clock_now_ns(CLOCK_MONOTONIC) - w->step_ns;
    w->at++;
    work_go_on(w);
}

/* Its turn, if what let it in still holds. */
static void
work_begin(struct init_work *w)
{
    struct init_service *s = w->service;
    enum init_verdict verdict = work_verdict(w);
    struct rusage usage;

    if (verdict == INIT_ASK) {
        work_authorise(w);
        return;
    }
    if (verdict != INIT_AUTHORISED) {
        work_refuse(w, verdict);
        return;
    }
    s->running = w;
    w->state = INIT_RUNNING;
    w->began_ns = clock_now_ns(CLOCK_MONOTONIC);
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        w->faults_minor = usage.ru_minflt;
        w->faults_major = usage.ru_majflt;
    }
    work_go_on(w);
}

/* ---- the service --------------------------------------------------------- */

/* Make room for one more.  Returns false when those that may fill it. */
static bool
make_room(struct init_service *s)
{
    struct init_work *w;

    if (s->count <= LIMIT_INIT_WORKS)
        return true;
    TAILQ_FOREACH (w, &s->works, link) {
        if (w->state == INIT_AUTHORISING) {
            work_cut(w);
            return true;
        }
    }
    return false;
}

static struct init_work *
find_state(const struct init_service *s, enum init_state state)
{
    struct init_work *w;

    TAILQ_FOREACH (w, &s->works, link)
        if (w->state == state)
            return w;
    return NULL;
}

/* What has come in this turn, then the next one, if none runs. */
static void
on_pump(struct loop_deferred *d)
{
    struct init_service *s = container_of(d, struct init_service, pump);
    struct init_work *w;

    if (s->closing)
        return;
    while ((w = find_state(s, INIT_NEW)) != NULL) {
        if (make_room(s))
            work_authorise(w);
        else
            work_cut(w);
    }
    while (s->running == NULL && (w = find_state(s, INIT_WAITING)) != NULL)
        work_begin(w);
}

/* A work that does for `r` what it does anyway, NULL: there is none. */
static struct init_work *
find_same(const struct init_service *s, const struct init_request *r)
{
    struct init_work *w;

    TAILQ_FOREACH (w, &s->works, link) {
        const struct init_request *theirs = w->request;

        if (!init_request_same(theirs, r) ||
            theirs->has_timestamp != r->has_timestamp)
            continue;
        /* What was too old for it need not be for this one. */
        if (w->decided && w->stale && r->timestamp_ns > theirs->timestamp_ns)
            continue;
        return w;
    }
    return NULL;
}

static struct init_work *
work_new(struct init_service *s, struct init_request *r)
{
    struct init_work *w = xcalloc(1, sizeof(*w));

    w->service = s;
    w->request = r;
    w->came_ns = clock_now_ns(CLOCK_MONOTONIC);
    w->hold_until_ms = loop_now_ms() + LIMIT_INIT_HOLD_MS;
    TAILQ_INIT(&w->waiters);
    loop_timer_init(s->envd->loop, &w->retry, on_retry);
    TAILQ_INSERT_TAIL(&s->works, w, link);
    s->count++;
    s->body_bytes += r->body.len;
    return w;
}

void
init_submit(struct init_service *s, struct init_waiter *waiter,
            struct init_request *r)
{
    struct init_work *w = find_same(s, r);

    waiter->has_timestamp = r->has_timestamp;
    waiter->timestamp_ns = r->timestamp_ns;
    s->stats.requests++;
    if (w == NULL) {
        w = work_new(s, r);
    } else {
        s->stats.shared++;
        waiter->joined = true;
        if (!w->decided && r->timestamp_ns > w->request->timestamp_ns) {
            w->request->timestamp_ns = r->timestamp_ns;
            w->request->received_ns = r->received_ns;
        }
        init_request_free(r);
    }
    waiter->work = w;
    TAILQ_INSERT_TAIL(&w->waiters, waiter, link);
    loop_defer(s->envd->loop, &s->pump);
}

void
init_leave(struct init_waiter *waiter)
{
    struct init_work *w = waiter->work;

    if (w == NULL)
        return;
    waiter->work = NULL;
    TAILQ_REMOVE(&w->waiters, waiter, link);
    /* What is asked or done goes on; what has not begun need not. */
    if (w->state == INIT_NEW && TAILQ_EMPTY(&w->waiters)) {
        w->service->stats.dropped++;
        init_work_free(w);
    } else {
        (void)work_drop(w);
    }
}

void
init_half_close(struct init_waiter *waiter)
{
    struct init_work *w = waiter->work;

    if (w == NULL)
        return;
    waiter->silent = true;
    work_tell_silent(w);
    (void)work_drop(w);
}

struct init_service *
init_service_new(struct envd *e, const struct init_ops *ops)
{
    struct init_service *s = xcalloc(1, sizeof(*s));

    s->envd = e;
    s->ops = ops != NULL ? ops : &init_ops;
    s->pump.run = on_pump;
    TAILQ_INIT(&s->works);
    LIST_INIT(&s->events);
    return s;
}
