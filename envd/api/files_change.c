/*
 * POST /files/copy and POST /files/attributes: a small body, one job.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "api/api.h"
#include "api/files.h"
#include "api/files_path.h"
#include "base/mem.h"
#include "base/scope.h"
#include "connect/json_read.h"
#include "connect/json_write.h"
#include "connect/message.h"
#include "envd.h"
#include "filesystem/path.h"
#include "filesystem/place.h"
#include "filesystem/tree.h"
#include "http/exchange.h"
#include "limits.h"
#include "loop/worker.h"
#include "rest.pb-c.h"

/* One request.  While its job runs, that alone uses what is marked (job). */
struct change {
    struct job job;
    struct envd *envd;
    struct http_exchange *x; /* NULL when the client is gone */
    const struct change_route *route;
    struct files_request request;
    struct buf body; /* the message points into it */
    struct arena arena;
    bool running;

    char *path;        /* (job) resolved; owned */
    char *destination; /* (job) */
    struct tree_owner owner;
    struct tree_change change;
    struct buf answer; /* (job) */
    struct status st;  /* (job) */
};

/* What is different for the two routes. */
struct change_route {
    const char *name;
    const ProtobufCMessageDescriptor *body;
    /* Check the message.  Returns 0, or -1 after having answered. */
    int (*prepare)(struct change *c, const ProtobufCMessage *m);
    int (*work)(struct change *c, struct status *st); /* Context: worker */
};

static void
change_free(struct change *c)
{
    files_request_done(&c->request);
    if (c->body.mem != NULL)
        explicit_bzero(c->body.mem, c->body.cap);
    buf_done(&c->body);
    arena_done(&c->arena);
    buf_done(&c->answer);
    status_done(&c->st);
    free(c->path);
    free(c->destination);
    free(c);
}

static int
refuse(struct change *c, const char *text)
{
    files_fail(&c->request, c->x, 400, "%s", text);
    return -1;
}

/* ---- POST /files/copy ---------------------------------------------------- */

static const char *
kind_of(mode_t mode)
{
    if (S_ISREG(mode))
        return "file";
    if (S_ISDIR(mode))
        return "dir";
    return S_ISLNK(mode) ? "symlink" : "other";
}

/* The answer has the form of an upload's. */
static int
work_copy(struct change *c, struct status *st)
{
    SCOPE(scope_free) char *name = path_base(c->destination);
    struct buf *out = &c->answer;
    struct stat info;

    if (tree_copy(c->path, c->destination, &c->owner, &c->job.cancelled, st) <
        0)
        return -1;
    if (place_stat(c->destination, false, &info) < 0)
        return status_errno(st, RPC_INTERNAL, errno,
                            "error getting file info: lstat %s",
                            c->destination);
    buf_append_str(out, "{\"name\":");
    json_write_string(out, name != NULL ? name : "",
                      name != NULL ? strlen(name) : 0);
    buf_append_str(out, ",\"path\":");
    json_write_string(out, c->destination, strlen(c->destination));
    buf_appendf(out, ",\"type\":\"%s\"}", kind_of(info.st_mode));
    return 0;
}

/* A string of a message, absent unless it was in the body. */
static struct str
given(bool present, const char *value)
{
    return present ? str_from(value) : (struct str){0};
}

static int
prepare_copy(struct change *c, const ProtobufCMessage *m)
{
    const Rest__CopyRequest *r = (const Rest__CopyRequest *)m;
    struct files_request *q = &c->request;

    if (files_request_body(q, c->envd, c->x, c->route->name,
                           str_from(r->source),
                           given(r->_username_case != 0, r->username)) < 0)
        return -1;
    if (*r->source == '\0')
        return refuse(c, "source is required");
    if (*r->destination == '\0')
        return refuse(c, "destination is required");
    c->owner = (struct tree_owner){
        .keep = r->keep_owners, .uid = q->user.uid, .gid = q->user.gid};
    if (files_path(q, c->x, str_from(r->source), &c->path) < 0)
        return -1;
    return files_path(q, c->x, str_from(r->destination), &c->destination);
}

static const struct change_route copy_route = {
    .name = "POST /files/copy",
    .body = &rest__copy_request__descriptor,
    .prepare = prepare_copy,
    .work = work_copy,
};

/* ---- POST /files/attributes ---------------------------------------------- */

static int
work_attributes(struct change *c, struct status *st)
{
    return tree_change(c->path, &c->change, &c->job.cancelled, st);
}

/* One to four octal digits. */
static bool
parse_mode(const char *text, mode_t *ret)
{
    size_t len = strlen(text);
    mode_t mode = 0;

    if (len == 0 || len > 4 || strspn(text, "01234567") != len)
        return false;
    for (size_t i = 0; i < len; i++)
        mode = mode * 8 + (mode_t)(text[i] - '0');
    *ret = mode;
    return true;
}

/* The largest id; the next one stands for none. */
#define ID_MAX (UINT32_MAX - 1)

static bool
parse_id(const char *text, uint32_t *ret)
{
    uint64_t id;

    if (str_to_u64(str_from(text), ID_MAX, &id) < 0)
        return false;
    *ret = (uint32_t)id;
    return true;
}

/* An owner is a name or, when nobody has that name, a number. */
static bool
find_owner(struct envd *e, const char *text, uid_t *ret)
{
    struct user user;

    if (user_find(e->users, text, &user) < 0)
        return parse_id(text, ret);
    *ret = user.uid;
    user_done(&user);
    return true;
}

static int
prepare_ids(struct change *c, const Rest__AttributesRequest *r)
{
    c->change.uid = (uid_t)-1;
    c->change.gid = (gid_t)-1;
    if (r->_owner_case != 0 && !find_owner(c->envd, r->owner, &c->change.uid))
        return refuse(c, "owner is neither a user nor a number");
    if (r->_group_case != 0 &&
        user_find_group(c->envd->users, r->group, &c->change.gid) < 0 &&
        !parse_id(r->group, &c->change.gid))
        return refuse(c, "group is neither a group nor a number");
    return 0;
}

static int
prepare_attributes(struct change *c, const ProtobufCMessage *m)
{
    const Rest__AttributesRequest *r = (const Rest__AttributesRequest *)m;
    struct tree_change *change = &c->change;

    if (files_request_body(&c->request, c->envd, c->x, c->route->name,
                           str_from(r->path),
                           given(r->_username_case != 0, r->username)) < 0)
        return -1;
    if (*r->path == '\0')
        return refuse(c, "path is required");
    change->recursive = r->recursive;
    change->has_mode = r->_mode_case != 0;
    change->has_directory_mode = r->_directory_mode_case != 0;
    if (!change->has_mode && !change->has_directory_mode &&
        r->_owner_case == 0 && r->_group_case == 0)
        return refuse(c, "one of mode, directoryMode, owner and group is "
                         "required");
    if ((change->has_mode && !parse_mode(r->mode, &change->mode)) ||
        (change->has_directory_mode &&
         !parse_mode(r->directory_mode, &change->directory_mode)))
        return refuse(c, "a mode is one to four octal digits");
    if (prepare_ids(c, r) < 0)
        return -1;
    return files_path(&c->request, c->x, str_from(r->path), &c->path);
}

static const struct change_route attributes_route = {
    .name = "POST /files/attributes",
    .body = &rest__attributes_request__descriptor,
    .prepare = prepare_attributes,
    .work = work_attributes,
};

/* ---- the way of both ----------------------------------------------------- */

static void
run(struct job *job)
{
    struct change *c = container_of(job, struct change, job);

    if (caller_enter(&c->request.caller, &c->st) == 0)
        (void)c->route->work(c, &c->st);
    caller_judge(&c->st);
    caller_leave();
}

static void
answer(struct change *c)
{
    if (c->st.code != RPC_OK || c->answer.failed) {
        files_fail(&c->request, c->x,
                   c->answer.failed ? 507 : files_http_status(c->st.code), "%s",
                   c->answer.failed ? "out of memory" : status_message(&c->st));
        return;
    }
    files_log(&c->request, 200, NULL);
    if (c->answer.len == 0) {
        http_reply(c->x, 204, NULL, 0);
        return;
    }
    http_add_header(c->x, "Content-Type", "application/json");
    http_reply_buf(c->x, 200, &c->answer);
}

static void
done(struct job *job)
{
    struct change *c = container_of(job, struct change, job);

    if (c->x != NULL)
        answer(c);
    change_free(c);
}

static int
read_body(struct change *c, const ProtobufCMessage **ret)
{
    SCOPE(status_done) struct status st = {0};

    arena_init(&c->arena, LIMIT_REST_DECODED_BYTES);
    if (c->body.len == 0)
        (void)status_set(&st, RPC_INVALID_ARGUMENT, "EOF");
    else
        *ret = json_read(c->route->body, (char *)buf_data(&c->body),
                         c->body.len, JSON_RULES_REST, &c->arena, &st);
    if (*ret != NULL)
        return 0;
    api_error(c->x, 400, "invalid request body: %s", status_message(&st));
    return -1;
}

/* The body is there: begin the job.  Returns 0, or -1 after having answered. */
static int
begin(struct change *c)
{
    const ProtobufCMessage *m = NULL;

    if (read_body(c, &m) < 0 || c->route->prepare(c, m) < 0)
        return -1;
    c->job.run = run;
    c->job.done = done;
    c->job.path = c->path;
    c->job.other = c->destination;
    c->job.bulk = true;
    c->job.writes = true;
    c->running = worker_submit(c->envd->workers, &c->job) == 0;
    if (!c->running)
        files_fail(&c->request, c->x, 503, "too many file operations");
    return c->running ? 0 : -1;
}

static void
on_body(struct http_exchange *x, void *ctx, const uint8_t *data, size_t len)
{
    struct change *c = ctx;

    if (len <= LIMIT_REST_JSON_BYTES - c->body.len) {
        buf_append(&c->body, data, len);
        return;
    }
    api_error(x, 413, "request body is larger than %d bytes",
              LIMIT_REST_JSON_BYTES);
    change_free(c);
}

static void
on_body_end(struct http_exchange *x, void *ctx, int err)
{
    struct change *c = ctx;

    if (err != 0)
        api_error(x, 400, "invalid request body: unexpected EOF");
    else if (c->body.failed)
        api_error(x, 507, "out of memory");
    else if (begin(c) == 0)
        return;
    change_free(c);
}

static void
on_cancel(struct http_exchange *x, void *ctx)
{
    struct change *c = ctx;

    (void)x;
    c->x = NULL;
    if (c->running)
        job_cancel(&c->job);
    else
        change_free(c);
}

static void
serve(struct envd *e, struct http_exchange *x, const struct change_route *route)
{
    static const struct http_handler handler = {
        .on_body = on_body,
        .on_body_end = on_body_end,
        .on_cancel = on_cancel,
    };
    struct change *c = xcalloc(1, sizeof(*c));

    c->envd = e;
    c->x = x;
    c->route = route;
    http_accept(x, &handler, c);
    http_body_resume(x);
}

void
api_files_copy(struct envd *e, struct http_exchange *x)
{
    serve(e, x, &copy_route);
}

void
api_files_attributes(struct envd *e, struct http_exchange *x)
{
    serve(e, x, &attributes_route);
}
