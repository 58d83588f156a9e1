/*
 * Ports, hashed by their number; listeners of one are few.
 */
#include "guest/port_table.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/scope.h"
#include "limits.h"

#define MISSES_GONE 2

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};
static const uint8_t mapped_localhost[16] = {
    [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1};
static const uint8_t localhost6[16] = {[15] = 1};
static const uint8_t any6[16];
static const uint8_t any4[16] = {[10] = 0xff, [11] = 0xff};

/* ---- addresses ----------------------------------------------------------- */

static bool
address_equals(const uint8_t a[16], const uint8_t b[16])
{
    return memcmp(a, b, 16) == 0;
}

bool
address_is_loopback(const uint8_t address[16])
{
    if (address_equals(address, localhost6))
        return true;
    return memcmp(address, mapped_prefix, sizeof(mapped_prefix)) == 0 &&
           address[12] == 127;
}

const char *
address_text(const uint8_t address[16], char *buf)
{
    if (memcmp(address, mapped_prefix, sizeof(mapped_prefix)) == 0)
        return inet_ntop(AF_INET, address + 12, buf, INET6_ADDRSTRLEN);
    return inet_ntop(AF_INET6, address, buf, INET6_ADDRSTRLEN);
}

/* What to dial for a listener, and how gladly: 0 is best, -1: not at all. */
static int
target_rank(const struct port_listener *l, const uint8_t **ret)
{
    *ret = l->address;
    if (address_equals(l->address, mapped_localhost))
        return 0;
    if (address_equals(l->address, localhost6))
        return 1;
    if (address_is_loopback(l->address))
        return 2;
    *ret = localhost6;
    return l->v6only && address_equals(l->address, any6) ? 3 : -1;
}

bool
port_target(const struct port *p, uint8_t ret[16])
{
    int best = -1;

    for (size_t i = 0; i < p->count; i++) {
        const uint8_t *address;
        int rank = target_rank(&p->listeners[i], &address);

        if (rank < 0 || (best >= 0 && best <= rank))
            continue;
        best = rank;
        memcpy(ret, address, 16);
    }
    return best >= 0;
}

bool
port_reached_at(const struct port *p, const uint8_t address[16])
{
    for (size_t i = 0; i < p->count; i++) {
        const struct port_listener *l = &p->listeners[i];

        if (address_equals(l->address, any4) ||
            address_equals(l->address, address) ||
            (address_equals(l->address, any6) && !l->v6only))
            return true;
    }
    return false;
}

bool
port_is_loopback(const struct port *p)
{
    for (size_t i = 0; i < p->count; i++)
        if (!address_is_loopback(p->listeners[i].address))
            return false;
    return true;
}

/* ---- the table ----------------------------------------------------------- */

struct port *
port_table_find(const struct port_table *t, uint16_t number)
{
    struct port *p;

    LIST_FOREACH (p, &t->buckets[number % PORT_BUCKETS], link)
        if (p->number == number)
            return p;
    return NULL;
}

static struct port *
first_from(const struct port_table *t, size_t bucket)
{
    for (; bucket < PORT_BUCKETS; bucket++)
        if (!LIST_EMPTY(&t->buckets[bucket]))
            return LIST_FIRST(&t->buckets[bucket]);
    return NULL;
}

struct port *
port_table_first(const struct port_table *t)
{
    return first_from(t, 0);
}

struct port *
port_table_next(const struct port_table *t, const struct port *p)
{
    struct port *next = LIST_NEXT(p, link);

    return next != NULL ? next : first_from(t, p->number % PORT_BUCKETS + 1U);
}

void
port_touch(struct port_table *t, struct port *p)
{
    p->version = ++t->version;
}

static void
forget_owner(struct port_listener *l)
{
    free(l->owner.command);
    l->owner = (struct port_owner){0};
    l->owner_known = false;
}

static void
drop_port(struct port_table *t, struct port *p)
{
    if (t->on_drop != NULL)
        t->on_drop(t->ctx, p);
    for (size_t i = 0; i < p->count; i++)
        forget_owner(&p->listeners[i]);
    LIST_REMOVE(p, link);
    t->listeners -= p->count;
    t->count--;
    t->version++;
    free(p->listeners);
    free(p);
}

void
port_table_begin(struct port_table *t)
{
    t->truncated = false;
    t->dump_version = t->version;
    for (struct port *p = port_table_first(t); p != NULL;
         p = port_table_next(t, p))
        for (size_t i = 0; i < p->count; i++)
            p->listeners[i].seen = p->listeners[i].same = false;
}

static struct port *
add_port(struct port_table *t, uint16_t number)
{
    struct port *p;

    if (t->count >= LIMIT_PORTS) {
        t->truncated = true;
        return NULL;
    }
    p = xcalloc(1, sizeof(*p));
    p->number = number;
    LIST_INSERT_HEAD(&t->buckets[number % PORT_BUCKETS], p, link);
    t->count++;
    return p;
}

/* NULL when the port has too many, or memory is exhausted. */
static struct port_listener *
add_listener(struct port_table *t, struct port *p,
             const struct sock_listener *l)
{
    struct port_listener *grown;

    if (p->count >= LIMIT_PORT_ADDRESSES ||
        t->listeners >= LIMIT_PORT_LISTENERS) {
        t->truncated = true;
        return NULL;
    }
    grown = realloc(p->listeners, (p->count + 1) * sizeof(*grown));
    if (grown == NULL)
        return NULL;
    p->listeners = grown;
    grown += p->count++;
    t->listeners++;
    *grown = (struct port_listener){
        .inode = l->inode,
        .uid = l->uid,
        .v6only = l->v6only,
    };
    memcpy(grown->address, l->address, sizeof(grown->address));
    port_touch(t, p);
    return grown;
}

void
port_table_see(struct port_table *t, const struct sock_listener *l)
{
    struct port *p = port_table_find(t, l->port);
    struct port_listener *mine = NULL;

    if (p == NULL)
        p = add_port(t, l->port);
    if (p == NULL)
        return;
    for (size_t i = 0; i < p->count && mine == NULL; i++)
        if (address_equals(p->listeners[i].address, l->address))
            mine = &p->listeners[i];
    if (mine == NULL)
        mine = add_listener(t, p, l);
    if (mine == NULL)
        return; /* the port, if it is new and empty, goes at the end */
    /* Several sockets may share an address: one stands for all of them. */
    if (!mine->seen) {
        mine->seen_inode = l->inode;
        mine->seen_uid = l->uid;
    }
    mine->seen = true;
    mine->same = mine->same || mine->inode == l->inode;
    if (mine->v6only != l->v6only) {
        mine->v6only = l->v6only;
        port_touch(t, p);
    }
}

/* Another socket in the place of the one we knew: another owner, maybe. */
static void
replace_socket(struct port_table *t, struct port *p, struct port_listener *l)
{
    l->inode = l->seen_inode;
    l->uid = l->seen_uid;
    forget_owner(l);
    port_touch(t, p);
}

static void
end_port(struct port_table *t, struct port *p, struct port_changes *ret)
{
    size_t kept = 0;

    for (size_t i = 0; i < p->count; i++) {
        struct port_listener *l = &p->listeners[i];

        if (l->seen) {
            l->misses = 0;
            if (!l->same)
                replace_socket(t, p, l);
        } else if (++l->misses >= MISSES_GONE) {
            forget_owner(l);
            t->listeners--;
            port_touch(t, p);
            continue;
        } else {
            ret->missing++;
        }
        p->listeners[kept++] = *l;
    }
    p->count = kept;
    if (kept == 0)
        drop_port(t, p);
}

void
port_table_end(struct port_table *t, struct port_changes *ret)
{
    struct port *next;

    *ret = (struct port_changes){0};
    for (struct port *p = port_table_first(t); p != NULL; p = next) {
        next = port_table_next(t, p);
        end_port(t, p, ret);
    }
    ret->changed = t->version != t->dump_version;
}

void
port_table_done(struct port_table *t)
{
    struct port *p;

    while ((p = port_table_first(t)) != NULL)
        drop_port(t, p);
}
