/*
 * From a request to a watcher.
 */
#include "api/watch_rpc.h"

#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "base/mem.h"
#include "base/scope.h"
#include "envd.h"
#include "filesystem/path.h"
#include "guest/settings.h"
#include "limits.h"
#include "security/user.h"
#include "watch/watch.h"

/* Patterns are tried on every name, by the loop: they are few and short. */
static int
check_ignore(const struct watch_request *r, struct status *st)
{
    if (r->ignore_count > LIMIT_WATCH_PATTERNS)
        return status_set(st, RPC_INVALID_ARGUMENT,
                          "more than %d patterns to ignore",
                          LIMIT_WATCH_PATTERNS);
    for (size_t i = 0; i < r->ignore_count; i++)
        if (strlen(r->ignore[i]) > LIMIT_WATCH_PATTERN_BYTES)
            return status_set(st, RPC_INVALID_ARGUMENT,
                              "a pattern to ignore is over %d bytes",
                              LIMIT_WATCH_PATTERN_BYTES);
    return 0;
}

static int
resolve(struct call *c, const char *path, char **ret, struct status *st)
{
    struct envd *e = api_envd(c);
    struct user user = {0};
    int r = -1;

    if (api_call_user(c, &user, st) == 0)
        r = path_resolve(str_from(path), user.name, user.home,
                         guest_default_workdir(e->settings), ret, st);
    user_done(&user);
    return r;
}

int
watch_rpc_open(struct call *c, const struct watch_request *r,
               const struct watch_callbacks *callbacks, void *ctx,
               struct watcher **ret, struct status *st)
{
    SCOPE(scope_free) char *path = NULL;
    struct watch_options options = {
        .recursive = r->recursive,
        .allow_network_mounts = r->allow_network_mounts,
        .close_write = r->close_write,
        .ignore = (const char *const *)r->ignore,
        .ignore_count = r->ignore_count,
    };
    struct watcher *w;

    if (resolve(c, r->path, &path, st) < 0 || check_ignore(r, st) < 0)
        return -1;
    options.path = path;
    w = watch_open(api_envd(c)->watches, &options, callbacks, ctx);
    if (w == NULL)
        return status_set(st, RPC_RESOURCE_EXHAUSTED,
                          "too many watchers: at most %d", LIMIT_WATCHERS);
    *ret = w;
    return 0;
}
