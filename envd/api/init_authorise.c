/*
 * The table of authorisation.
 */
#include "api/init_authorise.h"

#include <stddef.h>

#include "security/access.h"

enum init_verdict
init_authorise(const struct access_token *stored, struct str token,
               enum init_hash state, struct str hash)
{
    if (token.data != NULL && access_token_equals(stored, token))
        return INIT_AUTHORISED;
    if (state == INIT_HASH_UNASKED)
        return INIT_ASK;
    if (state == INIT_HASH_KNOWN && hash.len == 0)
        state = INIT_HASH_ABSENT;
    if (state == INIT_HASH_KNOWN && access_hash_matches(hash, token))
        return INIT_AUTHORISED;
    /* The first to come, where nobody has said who that is to be. */
    if (state == INIT_HASH_ABSENT && !access_token_is_set(stored))
        return INIT_AUTHORISED;
    return token.data == NULL ? INIT_REFUSED_RESET : INIT_REFUSED_TOKEN;
}

const char *
init_verdict_text(enum init_verdict verdict)
{
    return verdict == INIT_REFUSED_RESET ? "access token reset not authorized"
                                         : "access token validation failed";
}
