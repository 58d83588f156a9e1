/*
 * The access token, and signatures of file URLs made from it.
 */
#ifndef ENVD_SECURITY_ACCESS_H
#define ENVD_SECURITY_ACCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "base/str.h"

struct access_token;

/* An unset token in memory that is locked, not dumped and wiped on free. */
struct access_token *access_token_new(void);
void access_token_free(struct access_token *t);

bool access_token_is_set(const struct access_token *t);

/* Bytes of the longest token. */
#define ACCESS_TOKEN_MAX 4000

/*
 * Store a token.  Returns 0, or -EINVAL for one that is empty or longer than
 * ACCESS_TOKEN_MAX; the old one is then kept.
 */
int access_token_set(struct access_token *t, struct str value);
void access_token_clear(struct access_token *t);

/* Whether it is set and equals `value`, in constant time. */
bool access_token_equals(const struct access_token *t, struct str value);

/*
 * Whether `hash` is the SHA-512 of `token` in lower-case hexadecimal digits,
 * in constant time; an absent token counts as the empty one.
 */
bool access_hash_matches(struct str hash, struct str token);

/* What a signed request claims; absent strings count as empty. */
struct access_signature {
    struct str path; /* decoded query values */
    struct str username;
    struct str signature; /* absent when the query has none */
    bool has_expiration;
    int64_t expiration; /* seconds since the epoch */
    bool write;         /* operation `write`, else `read` */
};

/*
 * Check a file request against the token: a header that equals it, or a
 * signature, `v1_` or `v2_` (docs/files.md).  Does nothing while no token is
 * set.
 *
 * header   value of X-Access-Token; absent or empty counts as not given
 * now_s    seconds since the epoch
 *
 * Returns 0, or -1 with `st` unauthenticated and the texts of the contract
 * (`missing signature query parameter`, …).
 */
int access_check_file(const struct access_token *t, struct str header,
                      const struct access_signature *sig, int64_t now_s,
                      struct status *st);

#endif
