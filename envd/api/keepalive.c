/*
 * When a stream has been silent for too long.
 */
#include "api/keepalive.h"

#include "base/scope.h"
#include "base/str.h"
#include "connect/call.h"

#define INTERVAL_DEFAULT_S 90
#define INTERVAL_MAX_S     3600

static int64_t
interval_ms(const struct call *c)
{
    struct str value = call_header(c, "Keepalive-Ping-Interval");
    int64_t seconds;

    if (str_to_i64(value, &seconds) != 0 || seconds <= 0)
        seconds = INTERVAL_DEFAULT_S;
    return MIN(seconds, (int64_t)INTERVAL_MAX_S) * 1000;
}

/* One timer for the whole stream: messages only note their time. */
static void
on_time(struct loop_timer *t)
{
    struct keepalive *k = container_of(t, struct keepalive, timer);
    int64_t due = k->last_message_ms + k->interval_ms - loop_now_ms();

    if (due <= 0 && call_has_room(k->call))
        k->send(k);
    loop_timer_set(t, due > 0 ? due : k->interval_ms);
}

void
keepalive_init(struct keepalive *k, struct call *c,
               void (*send)(struct keepalive *k))
{
    k->call = c;
    k->send = send;
    k->interval_ms = interval_ms(c);
    loop_timer_init(call_loop(c), &k->timer, on_time);
}

void
keepalive_start(struct keepalive *k)
{
    keepalive_note(k);
    loop_timer_set(&k->timer, k->interval_ms);
}

void
keepalive_note(struct keepalive *k)
{
    k->last_message_ms = loop_now_ms();
}

void
keepalive_stop(struct keepalive *k)
{
    loop_timer_cancel(&k->timer);
}
