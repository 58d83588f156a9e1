/*
 * Small request bodies, taken whole.
 */
#ifndef ENVD_API_BODY_H
#define ENVD_API_BODY_H

#include <stddef.h>

struct buf;
struct http_exchange;

/*
 * Called once with the whole body (modifiable, wiped and freed afterwards),
 * to answer the exchange.
 */
typedef void (*body_fn)(struct http_exchange *x, void *ctx, struct buf *body);

/*
 * Accept the exchange and gather its body.  A body above `max_bytes` is
 * answered with 413, a broken one with 400; `done` is not called then, nor
 * when the client leaves.
 */
void body_collect(struct http_exchange *x, size_t max_bytes, body_fn done,
                  void *ctx);

#endif
