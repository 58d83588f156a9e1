/*
 * The stages of an upload, from the outside in: gzip, multipart, one file.
 */
#include "api/upload.h"

#include <stdlib.h>
#include <string.h>

#include "base/scope.h"
#include "connect/json_write.h"
#include "filesystem/path.h"
#include "http/encoding.h"
#include "limits.h"
#include "loop/worker.h"

#define INFLATED_BYTES ((size_t)128 * 1024)

static enum upload_result
fail(struct upload *u, int http_status)
{
    u->http_status = http_status;
    return UPLOAD_FAILED;
}

/* As the code of `st` says. */
static enum upload_result
fail_file(struct upload *u)
{
    switch (u->st.code) {
    case RPC_INVALID_ARGUMENT:
        return fail(u, 400);
    case RPC_RESOURCE_EXHAUSTED:
        return fail(u, 507);
    default: /* all other codes of the RPC side */
        return fail(u, 500);
    }
}

static enum upload_result
fail_memory(struct upload *u)
{
    (void)status_set(&u->st, RPC_RESOURCE_EXHAUSTED, "out of memory");
    return fail(u, 507);
}
