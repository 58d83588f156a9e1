/*
 * Looking at the kernel's listening sockets, and what follows from it.
 *
 * A look costs some tens of microseconds, so it may be frequent where something
 * is to be expected: soon after a command was started, four times a second
 * while commands run or ports have changed lately, once a second otherwise.
 * Where nothing is forwarded and nobody follows, nothing is looked at.
 */
#include "guest/ports.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/scope.h"
#include "guest/forward.h"
#include "guest/forward_address.h"
#include "guest/port_owner.h"
#include "guest/ports_internal.h"
#include "limits.h"

#define SOON_MS    25   /* the first look behind something that stirs */
#define CONFIRM_MS 50   /* the look behind one that missed something */
#define BUSY_MS    250  /* at most between looks, if something is expected */
#define IDLE_MS    1000 /* the same if not */
#define LATELY_MS  10000

/* A port that could not be listened on is tried again after so long. */
#define RETRY_MIN_MS ((int64_t)250)
#define RETRY_MAX_MS 5000

static bool
is_wanted(const struct ports *p)
{
    return (p->address.present && !p->options.no_forward) ||
           !TAILQ_EMPTY(&p->followers) || !TAILQ_EMPTY(&p->questions);
}

/* ---- forwards ------------------------------------------------------------ */

static void
close_forward(struct ports *p, struct port *port)
{
    if (port->forward == NULL)
        return;
    forward_close(port->forward);
    port->forward = NULL;
    p->forwarded--;
}

static void
on_drop(void *ctx, struct port *port)
{
    close_forward(ctx, port);
}

static void
note_failure(struct port *port, int err)
{
    struct log_line line;
    int64_t pause;

    pause = RETRY_MIN_MS << MIN(port->failures, 8U);
    port->retry_ms = loop_now_ms() + MIN(pause, (int64_t)RETRY_MAX_MS);
    if (port->failures++ > 0 || err == EADDRNOTAVAIL)
        return;
    if (log_begin(&line, LOG_LEVEL_DEBUG, "ports")) {
        log_u64(&line, "port", port->number);
        log_i64(&line, "errno", err);
        log_end(&line, "A port cannot be forwarded yet");
    }
}

static void
open_forward(struct ports *p, struct port *port, const uint8_t target[16])
{
    struct log_line line;
    int r;

    if (p->forwarded >= LIMIT_FORWARD_PORTS || loop_now_ms() < port->retry_ms)
        return;
    r = forward_open(p->forwarder, p->address.address, port->number, target,
                     &port->forward);
    if (r < 0) {
        note_failure(port, -r);
        return;
    }
    p->forwarded++;
    port->failures = 0;
    port_touch(&p->table, port);
    if (log_begin(&line, LOG_LEVEL_DEBUG, "ports")) {
        log_u64(&line, "port", port->number);
        log_end(&line, "A port is forwarded");
    }
}

static void
mapped_address(struct in_addr a, uint8_t ret[16])
{
    memset(ret, 0, 10);
    memset(ret + 10, 0xff, 2);
    memcpy(ret + 12, &a, 4);
}

static void
settle_port(struct ports *p, struct port *port, const uint8_t from[16])
{
    uint8_t target[16];
    bool wanted = p->address.present && !p->options.no_forward &&
                  port_target(port, target) && !port_reached_at(port, from);

    if (!wanted && port->forward != NULL) {
        close_forward(p, port);
        port_touch(&p->table, port);
    } else if (wanted && port->forward == NULL) {
        open_forward(p, port, target);
    } else if (wanted) {
        forward_set_target(port->forward, target);
    }
}

static void
settle(struct ports *p)
{
    uint8_t from[16];

    mapped_address(p->address.address, from);
    for (struct port *port = port_table_first(&p->table); port != NULL;
         port = port_table_next(&p->table, port))
        settle_port(p, port, from);
}

bool
port_is_forwarded(const struct port *p)
{
    return p->forward != NULL;
}

/* ---- looking ------------------------------------------------------------- */

static void
look_in(struct ports *p, int64_t ms)
{
    p->armed = true;
    p->next_ms = loop_now_ms() + ms;
    loop_timer_set(&p->timer, ms);
}

static void
schedule(struct ports *p, const struct port_changes *changes)
{
    int64_t now = loop_now_ms();
    bool lately;

    if (changes->changed)
        p->changed_ms = now;
    lately = p->changed_ms != 0 && now - p->changed_ms < LATELY_MS;
    if (changes->missing > 0) {
        p->interval_ms = CONFIRM_MS;
    } else {
        bool busy = lately || (p->options.busy != NULL &&
                               p->options.busy(p->options.ctx));

        p->interval_ms = MIN(p->interval_ms * 2, busy ? BUSY_MS : IDLE_MS);
    }
    if (is_wanted(p))
        look_in(p, p->interval_ms);
}

static void
on_listener(void *ctx, const struct sock_listener *l)
{
    struct ports *p = ctx;
    const struct port *port;

    if (l->port == p->options.own_port)
        return;
    port = port_table_find(&p->table, l->port);
    if (port != NULL && port->forward != NULL &&
        forward_inode(port->forward) == l->inode)
        return;
    port_table_see(&p->table, l);
}

static void
on_end(void *ctx, int err)
{
    struct ports *p = ctx;
    struct port_changes changes = {0};

    if (err == 0) {
        port_table_end(&p->table, &changes);
        settle(p);
        changes.changed = p->table.version != p->table.dump_version;
    }
    schedule(p, &changes);
    ports_looked(p);
}

static void
look(struct ports *p)
{
    struct port_changes none = {0};

    if (sock_diag_running(p->diag))
        return; /* questions wait for the one behind it */
    p->armed = false;
    loop_timer_cancel(&p->timer);
    ports_looking(p);
    p->scans++;
    port_table_begin(&p->table);
    if (sock_diag_dump(p->diag) == 0)
        return;
    schedule(p, &none);
    ports_looked(p);
}

static void
on_time(struct loop_timer *t)
{
    struct ports *p = container_of(t, struct ports, timer);

    p->armed = false;
    if (is_wanted(p))
        look(p);
}

void
ports_look_soon(struct ports *p, int64_t ms)
{
    p->interval_ms = SOON_MS;
    if (!p->armed || loop_now_ms() + ms < p->next_ms)
        look_in(p, ms);
}

void
ports_stir(struct ports *p)
{
    if (is_wanted(p))
        ports_look_soon(p, SOON_MS);
}

/* Not from inside: the listener that noticed it must live on. */
static void
on_failed(void *ctx)
{
    ports_stir(ctx);
}

/* They listen where we were; what is to be forwarded is found anew. */
static void
on_address(struct forward_address *a)
{
    struct ports *p = container_of(a, struct ports, address);

    for (struct port *port = port_table_first(&p->table); port != NULL;
         port = port_table_next(&p->table, port)) {
        port->retry_ms = 0;
        port->failures = 0;
        if (port->forward == NULL)
            continue;
        close_forward(p, port);
        port_touch(&p->table, port);
    }
    ports_look_soon(p, 0);
}

void
ports_look_anew(struct ports *p)
{
    if (forward_address_check(&p->address))
        on_address(&p->address);
    else if (is_wanted(p))
        ports_look_soon(p, 0);
}

void
ports_resumed(struct ports *p)
{
    forwarder_abort(p->forwarder);
    ports_look_anew(p);
}

/* ---- the whole ----------------------------------------------------------- */

/* Descriptors are for other things as well. */
static size_t
connections_max(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) < 0 ||
        files.rlim_cur / 4 >= LIMIT_FORWARD_CONNECTIONS)
        return LIMIT_FORWARD_CONNECTIONS;
    return (size_t)files.rlim_cur / 4;
}

struct ports *
ports_new(struct loop *loop, const struct ports_options *o)
{
    static const struct sock_diag_callbacks callbacks = {
        .on_listener = on_listener,
        .on_end = on_end,
    };
    struct ports *p = xcalloc(1, sizeof(*p));
    const struct forwarder_options forward = {
        .connections_max =
            o->connections_max != 0 ? o->connections_max : connections_max(),
        .on_failed = on_failed,
        .ctx = p,
    };

    p->loop = loop;
    p->options = *o;
    p->interval_ms = SOON_MS;
    p->table.on_drop = on_drop;
    p->table.ctx = p;
    p->diag = sock_diag_new(loop, &callbacks, p);
    p->forwarder = forwarder_new(loop, &forward);
    ports_asking_init(p);
    loop_timer_init(loop, &p->timer, on_time);
    forward_address_init(&p->address, loop, o->address, o->firecracker,
                         on_address);
    if (is_wanted(p))
        look_in(p, 0);
    return p;
}

void
ports_free(struct ports *p)
{
    if (p == NULL)
        return;
    loop_timer_cancel(&p->timer);
    forward_address_done(&p->address);
    ports_asking_done(p);
    sock_diag_free(p->diag);
    port_table_done(&p->table);
    forwarder_free(p->forwarder);
    free(p);
}

void
ports_get_stats(const struct ports *p, struct ports_stats *ret)
{
    const struct forwarder_stats *f = forwarder_stats(p->forwarder);

    *ret = (struct ports_stats){
        .open = p->table.count,
        .forwarded = p->forwarded,
        .connections = f->connections,
        .connections_total = f->connections_total,
        .refused = f->refused,
        .failed = f->failed,
        .bytes_in = f->bytes_in,
        .bytes_out = f->bytes_out,
        .scans = p->scans,
    };
}

const struct port_table *
ports_table(const struct ports *p)
{
    return &p->table;
}

bool
ports_forward_address(const struct ports *p, struct in_addr *ret)
{
    *ret = p->address.address;
    return p->address.present && !p->options.no_forward;
}
