/*
 * Set-ups of volumes, one at a time, and the ledger of what is mounted.
 */
#include "guest/volumes.h"

#include <errno.h>
#include <linux/limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/queue.h>

#include "base/mem.h"
#include "base/scope.h"
#include "guest/nfs.h"
#include "guest/volume.h"
#include "limits.h"
#include "loop/loop.h"

struct setup_waiter {
    STAILQ_ENTRY(setup_waiter) link;
    volumes_cb cb;
    void *ctx;
};

/* All volumes of one request, and all who wait for them. */
struct setup {
    STAILQ_ENTRY(setup) link;
    STAILQ_HEAD(, setup_waiter) waiters;
    struct volumes *volumes;
    char *lifecycle;
    struct volume *list;
    size_t count;
    size_t left; /* not mounted yet */
    bool running;
};

struct ledger_entry {
    TAILQ_ENTRY(ledger_entry) link;
    char *path;
    char *lifecycle;
};

struct volumes {
    struct volume_env env;
    STAILQ_HEAD(, setup) setups;       /* the first one has its turn */
    STAILQ_HEAD(, setup) over;         /* freed at the end of the turn */
    TAILQ_HEAD(, ledger_entry) ledger; /* the oldest first */
    size_t ledger_count;
    struct loop_deferred advance;
};

/* ---- the ledger ---------------------------------------------------------- */

static struct ledger_entry *
ledger_find(const struct volumes *v, const char *path)
{
    struct ledger_entry *e;

    TAILQ_FOREACH (e, &v->ledger, link)
        if (strcmp(e->path, path) == 0)
            return e;
    return NULL;
}

static void
ledger_remove(struct volumes *v, struct ledger_entry *e)
{
    if (e == NULL)
        return;
    TAILQ_REMOVE(&v->ledger, e, link);
    v->ledger_count--;
    free(e->path);
    free(e->lifecycle);
    free(e);
}

int
volumes_ledger_add(struct volumes *v, const char *path, const char *lifecycle)
{
    struct ledger_entry *e = xcalloc(1, sizeof(*e));

    e->path = strdup(path);
    e->lifecycle = strdup(lifecycle != NULL ? lifecycle : "");
    if (e->path == NULL || e->lifecycle == NULL) {
        free(e->path);
        free(e->lifecycle);
        free(e);
        return -ENOMEM;
    }
    ledger_remove(v, ledger_find(v, path));
    if (v->ledger_count == LIMIT_VOLUMES_LEDGER)
        ledger_remove(v, TAILQ_FIRST(&v->ledger));
    TAILQ_INSERT_TAIL(&v->ledger, e, link);
    v->ledger_count++;
    return 0;
}

void
volumes_ledger(const struct volumes *v, volumes_ledger_fn fn, void *ctx)
{
    const struct ledger_entry *e;

    TAILQ_FOREACH (e, &v->ledger, link)
        fn(ctx, e->path, e->lifecycle);
}

static bool
is_mounted_for(const struct volumes *v, const char *path, const char *lifecycle)
{
    const struct ledger_entry *e = ledger_find(v, path);

    return e != NULL && strcmp(e->lifecycle, lifecycle) == 0;
}

/* ---- a request ----------------------------------------------------------- */

/* One spelling of a path: single slashes, no `.`, none at its end. */
static void
path_clean(char *path)
{
    char *out = path;

    for (const char *at = path; *at != '\0';) {
        size_t len;

        at += strspn(at, "/");
        len = strcspn(at, "/");
        if (len > 0 && !(len == 1 && *at == '.')) {
            *out++ = '/';
            memmove(out, at, len);
            out += len;
        }
        at += len;
    }
    if (out == path)
        *out++ = '/';
    *out = '\0';
}

static bool
has_dots(const char *path)
{
    for (const char *at = path; (at = strstr(at, "/..")) != NULL; at += 3)
        if (at[3] == '/' || at[3] == '\0')
            return true;
    return false;
}

/* NULL, or what is wrong with it. */
static const char *
path_fault(const char *path, char clean[PATH_MAX])
{
    if (path == NULL || *path != '/')
        return "not an absolute path";
    if (strlen(path) >= PATH_MAX)
        return "file name too long";
    if (has_dots(path))
        return "holds `..`";
    memcpy(clean, path, strlen(path) + 1);
    path_clean(clean);
    return strcmp(clean, "/") == 0 ? "is the root" : NULL;
}

static bool
is_twice(const struct volume_mount *list, size_t count, const char *clean)
{
    char other[PATH_MAX];

    for (size_t i = 0; i < count; i++) {
        memcpy(other, list[i].path, strlen(list[i].path) + 1);
        path_clean(other);
        if (strcmp(other, clean) == 0)
            return true;
    }
    return false;
}

int
volumes_check(const struct volume_mount *list, size_t count, struct status *st)
{
    char clean[PATH_MAX];

    if (count > LIMIT_VOLUMES)
        return status_set(st, RPC_INVALID_ARGUMENT, "more than %d volumes",
                          LIMIT_VOLUMES);
    for (size_t i = 0; i < count; i++) {
        const char *fault = path_fault(list[i].path, clean);

        if (fault == NULL && is_twice(list, i, clean))
            fault = "named twice";
        if (fault == NULL && (list[i].nfs_target == NULL ||
                              strlen(list[i].nfs_target) >= PATH_MAX ||
                              !nfs_is_target(list[i].nfs_target)))
            fault = "the NFS target is no HOST:/PATH";
        if (fault != NULL)
            return status_set(st, RPC_INVALID_ARGUMENT,
                              "failed to mount NFS at \"%.1024s\": %s",
                              list[i].path != NULL ? list[i].path : "", fault);
    }
    return 0;
}

static void
setup_free(struct setup *s)
{
    struct setup_waiter *w;

    while ((w = STAILQ_FIRST(&s->waiters)) != NULL) {
        STAILQ_REMOVE_HEAD(&s->waiters, link);
        free(w);
    }
    for (size_t i = 0; i < s->count; i++)
        volume_done(&s->list[i]);
    free(s->list);
    free(s->lifecycle);
    free(s);
}

static struct setup *
setup_new(struct volumes *v, const char *lifecycle,
          const struct volume_mount *list, size_t count)
{
    struct setup *s = xcalloc(1, sizeof(*s));

    STAILQ_INIT(&s->waiters);
    s->volumes = v;
    s->lifecycle = xstrdup(lifecycle);
    s->list = xcalloc(count + 1, sizeof(*s->list));
    s->count = count;
    for (size_t i = 0; i < count; i++) {
        s->list[i].env = &v->env;
        s->list[i].target = xstrdup(list[i].nfs_target);
        s->list[i].path = xstrdup(list[i].path);
        path_clean(s->list[i].path);
    }
    return s;
}

static bool
setup_eq(const struct setup *a, const struct setup *b)
{
    if (a->count != b->count || strcmp(a->lifecycle, b->lifecycle) != 0)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (strcmp(a->list[i].path, b->list[i].path) != 0 ||
            strcmp(a->list[i].target, b->list[i].target) != 0)
            return false;
    return true;
}

/* ---- its turn ------------------------------------------------------------ */

/* The first failure, or success of the last one. */
static void
setup_end(struct setup *s, const char *error)
{
    struct volumes *v = s->volumes;
    SCOPE(scope_free) char *words = error != NULL ? strdup(error) : NULL;
    struct setup_waiter *w;

    if (error != NULL && words == NULL)
        words = xstrdup("failed to mount NFS: cannot allocate memory");
    /* The volumes are in the middle of their calls: freed a little later. */
    STAILQ_REMOVE_HEAD(&v->setups, link);
    STAILQ_INSERT_TAIL(&v->over, s, link);
    for (size_t i = 0; i < s->count; i++)
        volume_abandon(&s->list[i]);
    s->running = false;
    loop_defer(v->env.loop, &v->advance);
    while ((w = STAILQ_FIRST(&s->waiters)) != NULL) {
        STAILQ_REMOVE_HEAD(&s->waiters, link);
        w->cb(w->ctx, words);
        free(w);
    }
}

static struct setup *
setup_running(struct volumes *v)
{
    struct setup *s = STAILQ_FIRST(&v->setups);

    return s != NULL && s->running ? s : NULL;
}

static void
on_volume_end(struct volume *volume, const char *error)
{
    struct volumes *v = container_of(volume->env, struct volumes, env);
    struct setup *s = setup_running(v);

    if (error == NULL)
        (void)volumes_ledger_add(v, volume->path, s->lifecycle);
    s->left--;
    if (error != NULL || s->left == 0)
        setup_end(s, error);
}

static void
setup_start(struct setup *s)
{
    struct volumes *v = s->volumes;

    s->running = true;
    for (size_t i = 0; i < s->count; i++) {
        if (is_mounted_for(v, s->list[i].path, s->lifecycle))
            continue;
        /* From here on nobody knows, until it is mounted. */
        ledger_remove(v, ledger_find(v, s->list[i].path));
        s->left++;
        volume_start(&s->list[i], on_volume_end);
    }
    if (s->left == 0)
        setup_end(s, NULL);
}

static void
free_over(struct volumes *v)
{
    struct setup *s;

    while ((s = STAILQ_FIRST(&v->over)) != NULL) {
        STAILQ_REMOVE_HEAD(&v->over, link);
        setup_free(s);
    }
}

static void
on_advance(struct loop_deferred *d)
{
    struct volumes *v = container_of(d, struct volumes, advance);
    struct setup *s;

    free_over(v);
    s = STAILQ_FIRST(&v->setups);
    if (s != NULL && !s->running)
        setup_start(s);
}

static void
on_stray_end(struct volume_env *env)
{
    struct setup *s = setup_running(container_of(env, struct volumes, env));

    for (size_t i = 0; s != NULL && i < s->count; i++)
        volume_go_on(&s->list[i]);
}

/* ---- the whole ----------------------------------------------------------- */

static int
kernel_mount(void *ctx, const char *source, const char *target,
             const char *type, unsigned long flags, const char *data)
{
    (void)ctx;
    return mount(source, target, type, flags, data) < 0 ? -errno : 0;
}

static int
kernel_umount(void *ctx, const char *target, int flags)
{
    (void)ctx;
    return umount2(target, flags) < 0 ? -errno : 0;
}

struct volumes *
volumes_new(struct loop *loop, struct worker_pool *pool,
            const struct volumes_options *options)
{
    static const struct volumes_options none;
    struct volumes *v = xcalloc(1, sizeof(*v));
    const struct volumes_options *o = options != NULL ? options : &none;

    v->env = (struct volume_env){
        .loop = loop,
        .pool = pool,
        .ops = {kernel_mount, kernel_umount, NULL},
        .spawner = o->spawner,
        .helper = xstrdup(o->helper != NULL ? o->helper : NFS_HELPER),
        .statd_pid =
            xstrdup(o->statd_pid != NULL ? o->statd_pid : NFS_STATD_PID),
        .umount_ms = o->umount_ms != 0 ? o->umount_ms : VOLUMES_UMOUNT_MS,
        .mount_ms = o->mount_ms != 0 ? o->mount_ms : VOLUMES_MOUNT_MS,
        .on_stray_end = on_stray_end,
    };
    if (o->ops != NULL)
        v->env.ops = *o->ops;
    TAILQ_INIT(&v->env.strays);
    STAILQ_INIT(&v->setups);
    STAILQ_INIT(&v->over);
    TAILQ_INIT(&v->ledger);
    v->advance.run = on_advance;
    return v;
}

void
volumes_free(struct volumes *v)
{
    struct setup *s;

    if (v == NULL)
        return;
    loop_defer_cancel(v->env.loop, &v->advance);
    free_over(v);
    while ((s = STAILQ_FIRST(&v->setups)) != NULL) {
        STAILQ_REMOVE_HEAD(&v->setups, link);
        setup_free(s);
    }
    while (v->ledger_count > 0)
        ledger_remove(v, TAILQ_FIRST(&v->ledger));
    free(v->env.helper);
    free(v->env.statd_pid);
    free(v);
}

void
volumes_mount(struct volumes *v, const char *lifecycle,
              const struct volume_mount *list, size_t count, volumes_cb cb,
              void *ctx)
{
    struct setup *s =
        setup_new(v, lifecycle != NULL ? lifecycle : "", list, count);
    struct setup_waiter *w = xcalloc(1, sizeof(*w));
    struct setup *last = NULL;
    struct setup *at;

    w->cb = cb;
    w->ctx = ctx;
    /* Only the last one: behind another lifecycle it would be done again. */
    STAILQ_FOREACH (at, &v->setups, link)
        last = at;
    if (last != NULL && setup_eq(last, s)) {
        setup_free(s);
        s = last;
    } else {
        STAILQ_INSERT_TAIL(&v->setups, s, link);
    }
    STAILQ_INSERT_TAIL(&s->waiters, w, link);
    loop_defer(v->env.loop, &v->advance);
}
