/*
 * One log line for each RPC that is over.
 */
#ifndef ENVD_API_RPC_LOG_H
#define ENVD_API_RPC_LOG_H

struct call;
struct status;

/*
 * Log the end of a call, without anything of its messages.
 *
 * logger  `process` or `filesystem`
 * what    the message, as `Process list`
 * st      NULL when it went well
 */
void rpc_log_done(struct call *c, const char *logger, const char *what,
                  const struct status *st);

#endif
