/*
 * The thin layer where wire meets domain: gates, routes, handlers.
 */
#ifndef ENVD_API_API_H
#define ENVD_API_API_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "base/str.h"

struct call;
struct caller;
struct envd;
struct http_exchange;
struct rpc_service;
struct user;

extern const struct rpc_service process_service;
extern const struct rpc_service filesystem_service;

/* Kinds of requests, as figures tell them apart; number 0 is all others. */
enum { API_KINDS = 13 };
extern const char *const api_kinds[API_KINDS];

struct log_line;

/*
 * Whether a request has no right to be answered for want of the access token;
 * it is answered then.
 */
bool api_lacks_token(struct envd *e, struct http_exchange *x);

/* Add the id of a request that is being answered to a line about it. */
void api_log_request(struct log_line *line, const struct http_exchange *x);

/* That id, for lines behind the answer: the caller frees it; NULL: none. */
char *api_request_id(const struct http_exchange *x);

/*
 * The entry of every request: CORS, token, Basic user, route, in the order of
 * the contract.  `ctx` is the struct envd.
 */
void api_dispatch(struct http_exchange *x, void *ctx);

/* A mmds_decode (guest/mmds.h). */
struct mmds_document;
int api_mmds_decode(char *text, size_t len, struct mmds_document *ret);

/*
 * Write the run files; in Firecracker, make the client of the metadata service,
 * which sends nothing yet.  Returns 0, or -EINVAL after having said why.
 */
int api_mmds_init(struct envd *e);

/* REST handlers; each answers or accepts the exchange. */
void api_health(struct envd *e, struct http_exchange *x);
void api_metrics(struct envd *e, struct http_exchange *x);
void api_envs(struct envd *e, struct http_exchange *x);
void api_ports(struct envd *e, struct http_exchange *x);
void api_init(struct envd *e, struct http_exchange *x);
void api_upgrade(struct envd *e, struct http_exchange *x);
void api_freeze(struct envd *e, struct http_exchange *x);
void api_unfreeze(struct envd *e, struct http_exchange *x);
void api_files_get(struct envd *e, struct http_exchange *x);
void api_files_post(struct envd *e, struct http_exchange *x);
void api_files_compose(struct envd *e, struct http_exchange *x);
void api_files_copy(struct envd *e, struct http_exchange *x);
void api_files_attributes(struct envd *e, struct http_exchange *x);
void api_tar_get(struct envd *e, struct http_exchange *x);
void api_tar_post(struct envd *e, struct http_exchange *x);
void api_fsfreeze(struct envd *e, struct http_exchange *x);
void api_fsthaw(struct envd *e, struct http_exchange *x);
void api_collapse(struct envd *e, struct http_exchange *x);

/*
 * Answer with the JSON error of the REST side:
 * `{"code":STATUS,"message":"…"}` and a newline.
 */
void api_error(struct http_exchange *x, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * The user a call acts as: the one of its Basic header, else the default one.
 *
 * ret  on success filled; user_done() frees it
 *
 * Returns 0, or -1 with `st` unauthenticated (`invalid username: 'NAME'`,
 * `invalid default user: 'NAME'`, `no user specified`).
 */
int api_call_user(const struct call *c, struct user *ret, struct status *st);

/*
 * The credentials for a user's file work (filesystem/caller.h), out of `user`,
 * which loses its groups.  caller_done() frees them.
 */
void api_caller_init(const struct envd *e, struct user *user,
                     struct caller *ret);

/*
 * The user name in an Authorization header; absent when there is no
 * well-formed Basic one.  buf has `size` bytes for the decoded name, which is
 * what the result points to; a longer name is cut.
 */
struct str api_basic_user(struct http_exchange *x, char *buf, size_t size);

/* The struct envd behind a call. */
struct envd *api_envd(const struct call *c);

#endif
