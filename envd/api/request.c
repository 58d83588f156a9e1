/*
 * The kind of a request, its id, and where it comes from.
 */
#include "api/request.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "api/api.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/scope.h"
#include "base/str.h"
#include "envd.h"
#include "http/exchange.h"
#include "http/server.h"
#include "limits.h"
#include "loop/loop.h"
#include "security/origin.h"

#define REQUEST_ID "X-Request-Id"

enum kind {
    KIND_OTHER,
    KIND_HEALTH,
    KIND_METRICS,
    KIND_ENVS,
    KIND_INIT,
    KIND_FREEZE,
    KIND_UPGRADE,
    KIND_PORTS,
    KIND_FILES,
    KIND_TAR,
    KIND_CHANGES,
    KIND_PROCESS,
    KIND_FILESYSTEM,
    KIND_COUNT,
};

_Static_assert((int)KIND_COUNT == (int)API_KINDS, "each has a name");
_Static_assert((int)KIND_COUNT <= HTTP_KINDS, "each is counted");

const char *const api_kinds[API_KINDS] = {
    [KIND_OTHER] = "other",
    [KIND_HEALTH] = "health",
    [KIND_METRICS] = "metrics",
    [KIND_ENVS] = "envs",
    [KIND_INIT] = "init",
    [KIND_FREEZE] = "freeze",
    [KIND_UPGRADE] = "upgrade",
    [KIND_PORTS] = "ports",
    [KIND_FILES] = "files",
    [KIND_TAR] = "tar",
    [KIND_CHANGES] = "changes",
    [KIND_PROCESS] = "process",
    [KIND_FILESYSTEM] = "filesystem",
};

struct request_path {
    const char *path; /* with a slash at its end: and all below */
    enum kind kind;
    bool control; /* for whoever runs the machine, not for whoever is in it */
};

static const struct request_path paths[] = {
    {"/health", KIND_HEALTH, false},
    {"/process.Process/", KIND_PROCESS, false},
    {"/filesystem.Filesystem/", KIND_FILESYSTEM, false},
    {"/files", KIND_FILES, false},
    {"/files/tar", KIND_TAR, false},
    {"/files/", KIND_CHANGES, false},
    {"/metrics", KIND_METRICS, false},
    {"/init", KIND_INIT, true},
    {"/freeze", KIND_FREEZE, true},
    {"/unfreeze", KIND_FREEZE, true},
    {"/fsfreeze", KIND_FREEZE, true},
    {"/fsthaw", KIND_FREEZE, true},
    {"/collapse", KIND_FREEZE, true},
    {"/upgrade", KIND_UPGRADE, true},
    {"/ports", KIND_PORTS, false},
    {"/envs", KIND_ENVS, false},
};

static const struct request_path *
find_path(struct str path)
{
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        const struct request_path *p = &paths[i];
        size_t len = strlen(p->path);

        if (str_eq(path, p->path) ||
            (p->path[len - 1] == '/' && str_starts(path, p->path)))
            return p;
    }
    return NULL;
}

/* ---- ids ----------------------------------------------------------------- */

/* Rule: RFC 9110, `token`, with what other agents put into theirs. */
static bool
is_id(struct str s)
{
    if (s.len == 0 || s.len > LIMIT_REQUEST_ID_BYTES)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.data[i];

        if (!((c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') ||
              strchr("!#$%&'*+-.^_`|~=/:@", c) != NULL) ||
            c == '\0')
            return false;
    }
    return true;
}

static void
make_id(char text[LIMIT_REQUEST_ID_BYTES + 1])
{
    static uint64_t count;
    uint64_t number;

    if (getrandom(&number, sizeof(number), GRND_NONBLOCK) != sizeof(number))
        number = ++count;
    (void)snprintf(text, LIMIT_REQUEST_ID_BYTES + 1, "%016llx",
                   (unsigned long long)number);
}

/* The client's id, or one of ours; a plain question of health gets none. */
static void
set_id(struct http_exchange *x, enum kind kind)
{
    struct str given = http_header(x, REQUEST_ID);
    char text[LIMIT_REQUEST_ID_BYTES + 1];

    if (is_id(given)) {
        memcpy(text, given.data, given.len);
        text[given.len] = '\0';
    } else if (kind != KIND_HEALTH) {
        make_id(text);
    } else {
        return;
    }
    http_add_header(x, REQUEST_ID, text);
}

char *
api_request_id(const struct http_exchange *x)
{
    struct str id = http_added_header(x, REQUEST_ID);

    return id.len > 0 ? str_dup(id) : NULL;
}

void
api_log_request(struct log_line *line, const struct http_exchange *x)
{
    SCOPE(scope_free) char *id = api_request_id(x);

    if (id != NULL)
        log_str(line, "request_id", id);
}

/* -------------------------------------------------------------------------- */

const struct request_path *
request_begin(struct envd *e, struct http_exchange *x)
{
    const struct request_path *p = find_path(http_request(x)->path);
    enum kind kind = p != NULL ? p->kind : KIND_OTHER;

    http_set_kind(x, kind);
    loop_note(e->loop, p != NULL ? p->path : "a request");
    set_id(x, kind);
    return p;
}

static bool
may_control(const struct envd *e, struct http_exchange *x)
{
    enum control_from from = e->options.control_from;

    return from == CONTROL_ANYONE ||
           (from == CONTROL_AUTO && e->options.not_firecracker) ||
           origin_is_outside(e->origin, http_socket(x));
}

static void
add_agent(const struct envd *e, struct http_exchange *x)
{
    const char *commit = e->options.commit;
    char agent[128];

    (void)snprintf(agent, sizeof(agent), "envd%s%s",
                   commit != NULL && *commit != '\0' ? "/" : "",
                   commit != NULL ? commit : "");
    http_add_header(x, "X-Agent", agent);
}

bool
request_admit(struct envd *e, struct http_exchange *x,
              const struct request_path *path)
{
    static struct log_quota quota = LOG_QUOTA(10, 10000);
    struct log_line line;

    if (path == NULL || !path->control)
        return true;
    if (may_control(e, x)) {
        add_agent(e, x);
        return true;
    }
    if (log_begin_limited(&line, LOG_LEVEL_WARN, "envd", &quota)) {
        api_log_request(&line, x);
        log_str(&line, "path", path->path);
        log_end(&line, "A control request from inside the machine is refused");
    }
    return false;
}
