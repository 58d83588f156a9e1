/*
 * The filesystem service.  Every method is one job for a worker, which also
 * encodes the answer: a listing of 100,000 entries must not hold up the loop.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/filesystem_entry.h"
#include "api/rpc_log.h"
#include "api/watch_rpc.h"
#include "base/base64.h"
#include "base/mem.h"
#include "base/scope.h"
#include "connect/call.h"
#include "envd.h"
#include "filesystem/caller.h"
#include "filesystem/path.h"
#include "filesystem/tree.h"
#include "guest/settings.h"
#include "limits.h"
#include "loop/worker.h"
#include "security/user.h"

/* One call while a worker has it; `call` is NULL once the client is gone. */
struct file_job {
    struct job job;
    struct call *call;
    struct user_names *names;
    enum codec codec;
    bool legacy;
    const char *what; /* for the log */
    int (*work)(struct file_job *j, struct status *st);

    char *path; /* resolved; owned */
    char *destination;
    uint32_t depth;
    struct tree_page page; /* max 0: everything */
    char *after;           /* owned; what page.after points to */
    struct caller caller;

    struct buf answer;
    struct status st;
};

static void
file_job_free(struct file_job *j)
{
    user_names_unref(j->names);
    caller_done(&j->caller);
    buf_done(&j->answer);
    status_done(&j->st);
    free(j->path);
    free(j->destination);
    free(j->after);
    free(j->page.last);
    free(j);
}

/* ---- on a worker --------------------------------------------------------- */

/* Encode the answer of a method that tells of one entry. */
static int
answer_entry(struct file_job *j, const char *path, struct status *st)
{
    /* All four messages are alike: one field, `entry`, number 1. */
    Filesystem__StatResponse response = FILESYSTEM__STAT_RESPONSE__INIT;
    const struct entry_names names = entry_names_of(j->names);
    struct entry_message message;
    struct arena arena = {0};
    struct entry entry;
    int r = entry_get(path, &names, &arena, &entry, st);

    if (r == 0 && entry_message_fill(&message, &entry, j->legacy, &arena) < 0)
        r = status_set(st, RPC_RESOURCE_EXHAUSTED, "out of memory");
    if (r == 0) {
        response.entry = &message.info;
        r = codec_encode(j->codec, &response.base, &j->answer, st);
    }
    arena_done(&arena);
    return r;
}

static int
work_stat(struct file_job *j, struct status *st)
{
    return answer_entry(j, j->path, st);
}

static int
work_make_dir(struct file_job *j, struct status *st)
{
    if (tree_make_dir(j->path, j->caller.uid, j->caller.gid, st) < 0)
        return -1;
    return answer_entry(j, j->path, st);
}

static int
work_move(struct file_job *j, struct status *st)
{
    if (tree_move(j->path, j->destination, j->caller.uid, j->caller.gid,
                  &j->job.cancelled, st) < 0)
        return -1;
    return answer_entry(j, j->destination, st);
}

static int
work_remove(struct file_job *j, struct status *st)
{
    static const Filesystem__RemoveResponse response =
        FILESYSTEM__REMOVE_RESPONSE__INIT;

    if (tree_remove(j->path, &j->job.cancelled, st) < 0)
        return -1;
    return codec_encode(j->codec, &response.base, &j->answer, st);
}

struct lister {
    struct tree_visitor visitor;
    struct file_job *job;
    size_t count;
};

/*
 * Append one entry to the list: messages of it are made and encoded one by
 * one, so that no list of messages is ever held.
 */
static int
on_entry(struct tree_visitor *v, const struct entry *e, struct status *st)
{
    struct lister *l = container_of(v, struct lister, visitor);
    struct file_job *j = l->job;
    struct entry_message message;
    struct arena arena = {0};
    int r = 0;

    if (entry_message_fill(&message, e, j->legacy, &arena) < 0)
        r = status_set(st, RPC_RESOURCE_EXHAUSTED, "out of memory");
    else if (j->codec == CODEC_JSON) {
        buf_append_str(&j->answer, l->count > 0 ? "," : "{\"entries\":[");
        r = codec_encode(j->codec, &message.info.base, &j->answer, st);
    } else {
        Filesystem__ListDirResponse one;
        Filesystem__EntryInfo *infos[] = {&message.info};

        /* Lists of one, one behind the other, are the whole list. */
        filesystem__list_dir_response__init(&one);
        one.n_entries = 1;
        one.entries = infos;
        r = codec_encode(j->codec, &one.base, &j->answer, st);
    }
    l->count++;
    arena_done(&arena);
    return r;
}

/* Say where the next page begins: a list behind the list with nothing else. */
static int
end_page(struct file_job *j, struct status *st)
{
    Filesystem__ListDirResponse end;
    SCOPE(scope_free) char *token = NULL;
    size_t len = strlen(j->page.last);

    token = calloc(1, base64_encoded_len(len) + 1);
    if (token == NULL)
        return status_set(st, RPC_RESOURCE_EXHAUSTED, "out of memory");
    (void)base64_encode(token, (const uint8_t *)j->page.last, len);
    if (j->codec == CODEC_JSON) {
        buf_append_str(&j->answer, ",\"nextPageToken\":\"");
        buf_append_str(&j->answer, token);
        buf_append_byte(&j->answer, '"');
        return 0;
    }
    filesystem__list_dir_response__init(&end);
    end.next_page_token = token;
    return codec_encode(j->codec, &end.base, &j->answer, st);
}

static int
work_list(struct file_job *j, struct status *st)
{
    struct lister l = {
        .visitor = {.on_entry = on_entry,
                    .page = j->page.max > 0 ? &j->page : NULL},
        .job = j,
    };
    const struct entry_names names = entry_names_of(j->names);

    if (tree_list(j->path, j->depth, &names, &l.visitor, &j->job.cancelled,
                  st) < 0)
        return -1;
    if (j->codec == CODEC_JSON)
        buf_append_str(&j->answer, l.count > 0 ? "]" : "{");
    if (j->page.last != NULL && end_page(j, st) < 0)
        return -1;
    if (j->codec == CODEC_JSON)
        buf_append_byte(&j->answer, '}');
    if (j->answer.failed)
        return status_set(st, RPC_RESOURCE_EXHAUSTED, "out of memory");
    return 0;
}

static void
run(struct job *job)
{
    struct file_job *j = container_of(job, struct file_job, job);

    if (caller_enter(&j->caller, &j->st) == 0)
        (void)j->work(j, &j->st);
    caller_judge(&j->st);
    caller_leave();
}

/* ---- on the loop --------------------------------------------------------- */

static void
done(struct job *job)
{
    struct file_job *j = container_of(job, struct file_job, job);
    struct call *c = j->call;

    if (c != NULL) {
        bool failed = j->st.code != RPC_OK;

        call_set_ctx(c, NULL);
        rpc_log_done(c, "filesystem", j->what, failed ? &j->st : NULL);
        if (j->legacy && !failed)
            entry_call_mark_legacy(c);
        if (failed)
            call_fail(c, &j->st);
        else
            call_reply_encoded(c, &j->answer);
    }
    file_job_free(j);
}

static void
on_cancel(struct call *c, enum call_cancel why)
{
    struct file_job *j = call_ctx(c);

    (void)why;
    if (j == NULL)
        return;
    j->call = NULL;
    job_cancel(&j->job);
}

static void
refuse(struct call *c, struct file_job *j, struct status *st)
{
    rpc_log_done(c, "filesystem", j->what, st);
    call_set_ctx(c, NULL);
    file_job_free(j);
    call_fail(c, st);
}

/* A path of the request; `field` may not be empty when it is named. */
static int
resolve(struct file_job *j, const struct user *user, const char *field,
        const char *path, char **ret, struct status *st)
{
    struct envd *e = api_envd(j->call);

    if (field != NULL && *path == '\0')
        return status_set(st, RPC_INVALID_ARGUMENT, "%s must not be empty",
                          field);
    return path_resolve(str_from(path), user->name, user->home,
                        guest_default_workdir(e->settings), ret, st);
}

/* What a method wants of a worker; the rest is the same for all. */
struct file_request {
    const char *what;
    int (*work)(struct file_job *j, struct status *st);
    const char *path_field; /* names a path that may not be empty */
    const char *path;
    const char *destination; /* NULL when there is none */
    uint32_t depth;
    uint32_t page_size;
    const char *page_token; /* NULL or "": from the beginning */
    bool quick;
    bool writes;
};

/* Where a listing begins, and how long it is. */
static int
set_page(struct file_job *j, const struct file_request *r, struct status *st)
{
    bool first = r->page_token == NULL || *r->page_token == '\0';
    ptrdiff_t len;

    if (r->page_size == 0 && first)
        return 0;
    j->page.max = LIMIT_LIST_PAGE_ENTRIES;
    if (r->page_size > 0 && r->page_size < j->page.max)
        j->page.max = r->page_size;
    if (first)
        return 0;
    len = (ptrdiff_t)strlen(r->page_token);
    j->after = malloc(base64_decoded_max((size_t)len));
    if (j->after == NULL)
        return status_set(st, RPC_RESOURCE_EXHAUSTED, "out of memory");
    len = base64_decode((uint8_t *)j->after, r->page_token, (size_t)len);
    if (len <= 0)
        return status_set(st, RPC_INVALID_ARGUMENT, "invalid page_token");
    j->page.after = (struct str){j->after, (size_t)len};
    return 0;
}

static void
submit(struct call *c, struct file_job *j)
{
    SCOPE(status_done) struct status st = {0};
    int r = worker_submit(api_envd(c)->workers, &j->job);

    if (r == 0)
        return;
    if (r == -EBUSY)
        (void)status_set(&st, RPC_UNAVAILABLE, "the file system is frozen");
    else
        (void)status_set(&st, RPC_RESOURCE_EXHAUSTED,
                         "too many file operations are waiting");
    refuse(c, j, &st);
}

static void
begin(struct call *c, const struct file_request *r)
{
    struct envd *e = api_envd(c);
    struct file_job *j = xcalloc(1, sizeof(*j));
    struct user user = {0};
    struct status st = {0};

    j->job = (struct job){
        .run = run,
        .done = done,
        .quick = r->quick,
        .bulk = !r->quick,
        .writes = r->writes,
    };
    j->call = c;
    j->what = r->what;
    j->work = r->work;
    j->depth = r->depth;
    j->codec = call_codec(c);
    j->legacy = entry_call_is_legacy(c);
    call_set_ctx(c, j);
    if (api_call_user(c, &user, &st) < 0 ||
        resolve(j, &user, r->path_field, r->path, &j->path, &st) < 0 ||
        (r->destination != NULL &&
         resolve(j, &user, "destination", r->destination, &j->destination,
                 &st) < 0) ||
        set_page(j, r, &st) < 0) {
        refuse(c, j, &st);
    } else {
        j->names = user_names_ref(e->users);
        j->job.path = j->path;
        j->job.other = j->destination;
        api_caller_init(e, &user, &j->caller);
        submit(c, j);
    }
    status_done(&st);
    user_done(&user);
}

static void
stat_entry(struct call *c, const ProtobufCMessage *request)
{
    const Filesystem__StatRequest *r = (const Filesystem__StatRequest *)request;

    begin(c, &(struct file_request){
                 .what = "Filesystem stat",
                 .work = work_stat,
                 .path = r->path,
                 .quick = true,
             });
}

static void
make_dir(struct call *c, const ProtobufCMessage *request)
{
    const Filesystem__MakeDirRequest *r =
        (const Filesystem__MakeDirRequest *)request;

    begin(c, &(struct file_request){
                 .what = "Filesystem makeDir",
                 .work = work_make_dir,
                 .path = r->path,
                 .quick = true,
                 .writes = true,
             });
}

static void
move_entry(struct call *c, const ProtobufCMessage *request)
{
    const Filesystem__MoveRequest *r = (const Filesystem__MoveRequest *)request;

    begin(c, &(struct file_request){
                 .what = "Filesystem move",
                 .work = work_move,
                 .path_field = "source",
                 .path = r->source,
                 .destination = r->destination,
                 .writes = true,
             });
}

static void
list_dir(struct call *c, const ProtobufCMessage *request)
{
    const Filesystem__ListDirRequest *r =
        (const Filesystem__ListDirRequest *)request;

    begin(c, &(struct file_request){
                 .what = "Filesystem listDir",
                 .work = work_list,
                 .path = r->path,
                 .depth = r->depth,
                 .page_size = r->page_size,
                 .page_token = r->page_token,
             });
}

static void
remove_entry(struct call *c, const ProtobufCMessage *request)
{
    const Filesystem__RemoveRequest *r =
        (const Filesystem__RemoveRequest *)request;

    begin(c, &(struct file_request){
                 .what = "Filesystem remove",
                 .work = work_remove,
                 .path_field = "path",
                 .path = r->path,
                 .writes = true,
             });
}

static const struct rpc_method methods[] = {
    {
        .name = "Stat",
        .kind = RPC_UNARY,
        .input = &filesystem__stat_request__descriptor,
        .output = &filesystem__stat_response__descriptor,
        .start = stat_entry,
        .on_cancel = on_cancel,
    },
    {
        .name = "MakeDir",
        .kind = RPC_UNARY,
        .input = &filesystem__make_dir_request__descriptor,
        .output = &filesystem__make_dir_response__descriptor,
        .start = make_dir,
        .on_cancel = on_cancel,
    },
    {
        .name = "Move",
        .kind = RPC_UNARY,
        .input = &filesystem__move_request__descriptor,
        .output = &filesystem__move_response__descriptor,
        .start = move_entry,
        .on_cancel = on_cancel,
    },
    {
        .name = "ListDir",
        .kind = RPC_UNARY,
        .input = &filesystem__list_dir_request__descriptor,
        .output = &filesystem__list_dir_response__descriptor,
        .start = list_dir,
        .on_cancel = on_cancel,
    },
    {
        .name = "Remove",
        .kind = RPC_UNARY,
        .input = &filesystem__remove_request__descriptor,
        .output = &filesystem__remove_response__descriptor,
        .start = remove_entry,
        .on_cancel = on_cancel,
    },
    {
        .name = "WatchDir",
        .kind = RPC_SERVER_STREAM,
        .input = &filesystem__watch_dir_request__descriptor,
        .output = &filesystem__watch_dir_response__descriptor,
        .start = watch_rpc_stream,
        .on_room = watch_rpc_on_stream_room,
        .on_cancel = watch_rpc_on_stream_cancel,
    },
    {
        .name = "CreateWatcher",
        .kind = RPC_UNARY,
        .input = &filesystem__create_watcher_request__descriptor,
        .output = &filesystem__create_watcher_response__descriptor,
        .start = watch_rpc_create,
        .on_cancel = watch_rpc_on_create_cancel,
    },
    {
        .name = "GetWatcherEvents",
        .kind = RPC_UNARY,
        .input = &filesystem__get_watcher_events_request__descriptor,
        .output = &filesystem__get_watcher_events_response__descriptor,
        .start = watch_rpc_poll,
        .on_cancel = watch_rpc_on_poll_cancel,
    },
    {
        .name = "RemoveWatcher",
        .kind = RPC_UNARY,
        .input = &filesystem__remove_watcher_request__descriptor,
        .output = &filesystem__remove_watcher_response__descriptor,
        .start = watch_rpc_remove,
    },
};

const struct rpc_service filesystem_service = {
    .name = "filesystem.Filesystem",
    .methods = methods,
    .method_count = ARRAY_LEN(methods),
};
