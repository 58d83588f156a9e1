/*
 * One dump of what listens, looked through.
 */
#include "guest/port_holder.h"

#include <errno.h>

#include "guest/sock_diag.h"

struct search {
    uint16_t port;
    int result;
    struct port_holder *ret;
};

static void
on_listener(void *ctx, const struct sock_listener *l)
{
    struct search *s = ctx;

    if (l->port != s->port)
        return;
    *s->ret = (struct port_holder){l->uid, l->inode};
    s->result = 0;
}

static void
on_end(void *ctx, int err)
{
    struct search *s = ctx;

    if (err < 0 && s->result != 0)
        s->result = err;
}

int
port_holder_find(struct loop *loop, uint16_t port, struct port_holder *ret)
{
    static const struct sock_diag_callbacks callbacks = {on_listener, on_end};
    struct search s = {port, -ENOENT, ret};
    struct sock_diag *d = sock_diag_new(loop, &callbacks, &s);
    int r = sock_diag_dump(d);

    sock_diag_free(d);
    return r < 0 ? r : s.result;
}
