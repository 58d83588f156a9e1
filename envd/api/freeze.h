/*
 * What goes with a freeze and a thaw of the workload, whoever asks for it.
 */
#ifndef ENVD_API_FREEZE_H
#define ENVD_API_FREEZE_H

struct envd;
struct thaw_result;

/*
 * What is to be done before the workload is frozen, all of it bounded in time:
 * the image's hooks, then the log's way to the host.
 *
 * done  called once, not from inside; not when the agent ends meanwhile
 */
void api_before_freeze(struct envd *e, void (*done)(void *ctx), void *ctx);

/* What is to be done after each thaw; nobody waits for it.  ctx: struct envd.
 */
void api_after_thaw(void *ctx, const struct thaw_result *r);

#endif
