/*
 * Watchers that clients poll: they have an id, and live until they are
 * removed, whoever made them.
 */
#ifndef ENVD_API_WATCH_POLLED_H
#define ENVD_API_WATCH_POLLED_H

struct polled_table;

struct polled_table *polled_table_new(void);

/* End all watchers; no call may be under way.  NULL is fine. */
void polled_table_free(struct polled_table *t);

#endif
