/*
 * Questions for the open ports, and those who follow them.
 *
 * A question goes through stages: it waits for a look, for its end, for a
 * worker that looks for owners, for the end of that.  Those of the same stage
 * go together.  Followers are told of changes when the owners of what is new
 * are known.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/scope.h"
#include "guest/port_owner.h"
#include "guest/ports_internal.h"
#include "loop/worker.h"

enum stage {
    STAGE_ASKED,
    STAGE_LOOKING,
    STAGE_LOOKED,
    STAGE_OWNERS,
    STAGE_ANSWERED,
};

struct owner_job {
    struct job job;
    struct ports *ports;
    struct port_owner_entry *entries;
    size_t count;
};

static void
advance(struct ports *p, enum stage from, enum stage to)
{
    struct ports_question *q;

    TAILQ_FOREACH (q, &p->questions, link)
        if (q->stage == from)
            q->stage = to;
}

static bool
any_at(const struct ports *p, enum stage stage)
{
    const struct ports_question *q;

    TAILQ_FOREACH (q, &p->questions, link)
        if (q->stage == stage)
            return true;
    return false;
}

/* ---- owners -------------------------------------------------------------- */

/* Listeners, those alone whose owner is unknown if asked to. */
static size_t
count_listeners(const struct ports *p, bool unknown)
{
    size_t count = 0;

    for (struct port *port = port_table_first(&p->table); port != NULL;
         port = port_table_next(&p->table, port))
        for (size_t i = 0; i < port->count; i++)
            count += !unknown || !port->listeners[i].owner_known;
    return count;
}

static void
owner_job_free(struct owner_job *o)
{
    for (size_t i = 0; i < o->count; i++)
        free(o->entries[i].owner.command);
    free(o->entries);
    free(o);
}

static void
run_owners(struct job *job)
{
    struct owner_job *o = container_of(job, struct owner_job, job);

    port_owners_find("/proc", o->entries, o->count, &job->cancelled);
}

static bool
same_owner(const struct port_owner *a, const struct port_owner *b)
{
    return a->pid == b->pid && strcmp(a->name, b->name) == 0;
}

/* Several listeners may share a socket's owner, never the socket itself. */
static void
take_owner(struct ports *p, struct port *port, struct port_listener *l,
           struct owner_job *o)
{
    struct port_owner_entry *e = port_owner_of(o->entries, o->count, l->inode);

    if (e == NULL)
        return;
    if (!l->owner_known || !same_owner(&l->owner, &e->owner))
        port_touch(&p->table, port);
    free(l->owner.command);
    l->owner = e->owner;
    l->owner_known = true;
    e->owner = (struct port_owner){0};
}

static bool look_for_owners(struct ports *p);

static void
owners_done(struct job *job)
{
    struct owner_job *o = container_of(job, struct owner_job, job);
    struct ports *p = o->ports;

    p->owners = NULL;
    if (!job_cancelled(job))
        for (struct port *port = port_table_first(&p->table); port != NULL;
             port = port_table_next(&p->table, port))
            for (size_t i = 0; i < port->count; i++)
                take_owner(p, port, &port->listeners[i], o);
    advance(p, STAGE_OWNERS, STAGE_ANSWERED);
    loop_defer(p->loop, &p->tell);
    /* For followers also those of what has come meanwhile. */
    if (!job_cancelled(job) && !TAILQ_EMPTY(&p->followers) &&
        count_listeners(p, /* unknown= */ true) > 0)
        (void)look_for_owners(p);
    owner_job_free(o);
}

/* All of them; false when there is none to look for, or no worker. */
static bool
look_for_owners(struct ports *p)
{
    struct owner_job *o = xcalloc(1, sizeof(*o));
    size_t count = count_listeners(p, /* unknown= */ false);

    *o = (struct owner_job){
        .job = {.run = run_owners, .done = owners_done},
        .ports = p,
        .entries = calloc(count + 1, sizeof(*o->entries)),
    };
    if (o->entries != NULL)
        for (struct port *port = port_table_first(&p->table); port != NULL;
             port = port_table_next(&p->table, port))
            for (size_t i = 0; i < port->count; i++)
                o->entries[o->count++].inode = port->listeners[i].inode;
    port_owners_sort(o->entries, o->count);
    if (o->count == 0 || p->options.workers == NULL ||
        worker_submit(p->options.workers, &o->job) < 0) {
        owner_job_free(o);
        return false;
    }
    p->owners = o;
    return true;
}

/* ---- looks --------------------------------------------------------------- */

void
ports_looking(struct ports *p)
{
    advance(p, STAGE_ASKED, STAGE_LOOKING);
}

/* Have owners looked for when somebody needs them and no worker does yet. */
static void
pursue(struct ports *p)
{
    bool asked = any_at(p, STAGE_LOOKED);
    bool unknown = !TAILQ_EMPTY(&p->followers) &&
                   p->told_version != p->table.version &&
                   count_listeners(p, /* unknown= */ true) > 0;

    if (p->owners != NULL)
        return;
    if ((asked || unknown) && look_for_owners(p))
        advance(p, STAGE_LOOKED, STAGE_OWNERS);
    else
        advance(p, STAGE_LOOKED, STAGE_ANSWERED);
    if (p->owners == NULL)
        loop_defer(p->loop, &p->tell);
}

void
ports_looked(struct ports *p)
{
    advance(p, STAGE_LOOKING, STAGE_LOOKED);
    if (any_at(p, STAGE_ASKED))
        ports_look_soon(p, 0);
    /* Not all that changes does so during a look. */
    if (p->told_version != p->table.version || any_at(p, STAGE_LOOKED))
        pursue(p);
}

/* ---- telling ------------------------------------------------------------- */

static void
tell_followers(struct ports *p)
{
    struct ports_follower *f;
    struct ports_follower *next;

    if (p->told_version == p->table.version)
        return;
    p->told_version = p->table.version;
    for (f = TAILQ_FIRST(&p->followers); f != NULL; f = next) {
        next = TAILQ_NEXT(f, link);
        f->on_change(f);
    }
}

static void
on_tell(struct loop_deferred *d)
{
    struct ports *p = container_of(d, struct ports, tell);
    struct ports_question *q;
    struct ports_question *next;

    for (q = TAILQ_FIRST(&p->questions); q != NULL; q = next) {
        next = TAILQ_NEXT(q, link);
        if (q->stage != STAGE_ANSWERED)
            continue;
        ports_ask_cancel(p, q);
        q->on_answer(q);
    }
    tell_followers(p);
    if (any_at(p, STAGE_LOOKED))
        pursue(p);
}

void
ports_ask(struct ports *p, struct ports_question *q)
{
    q->asked = true;
    q->stage = STAGE_ASKED;
    TAILQ_INSERT_TAIL(&p->questions, q, link);
    ports_look_soon(p, 0);
}

void
ports_ask_cancel(struct ports *p, struct ports_question *q)
{
    if (!q->asked)
        return;
    q->asked = false;
    TAILQ_REMOVE(&p->questions, q, link);
}

void
ports_follow(struct ports *p, struct ports_follower *f)
{
    TAILQ_INSERT_TAIL(&p->followers, f, link);
    ports_look_soon(p, 0);
}

void
ports_unfollow(struct ports *p, struct ports_follower *f)
{
    TAILQ_REMOVE(&p->followers, f, link);
}

void
ports_asking_init(struct ports *p)
{
    TAILQ_INIT(&p->questions);
    TAILQ_INIT(&p->followers);
    p->tell.run = on_tell;
}

void
ports_asking_done(struct ports *p)
{
    loop_defer_cancel(p->loop, &p->tell);
}
