/*
 * Whatever happens in a tree, and however fast: who follows the events ends up
 * with the tree that is there.
 *
 * Two threads do random things in a tree; a listener keeps a model from what it
 * is told.  When all is quiet the model must be equal to the tree: every name,
 * and of every file something was told after its last write.
 *
 * ENVD_SEEDS says how many times (25), ENVD_SEED where to begin.
 */
#include "watch_fixture.h"

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#define WRITERS 2
#define STEPS   150

/* ---- the model ---- */

struct known {
    char *path;
    uint32_t cookie;      /* not 0: on its way */
    struct timespec told; /* of its content */
};

struct model {
    struct listener l;
    const char *root; /* in the scratch directory */
    bool flat;
    struct known *known;
    size_t count;
    size_t cap;
    size_t rescanned;
    struct buf log; /* for when it goes wrong */
};

/* Whether `path` is `top` or below it. */
static bool
is_below(const char *path, const char *top)
{
    size_t len = strlen(top);

    return strncmp(path, top, len) == 0 &&
           (path[len] == '\0' || path[len] == '/');
}

static struct known *
model_find(struct model *m, const char *path)
{
    for (size_t i = 0; i < m->count; i++) {
        if (m->known[i].cookie == 0 && strcmp(m->known[i].path, path) == 0)
            return &m->known[i];
    }
    return NULL;
}

static struct known *
model_add(struct model *m, const char *path)
{
    if (m->count == m->cap) {
        m->cap = m->cap > 0 ? m->cap * 2 : 64;
        m->known = reallocarray(m->known, m->cap, sizeof(*m->known));
        assert_non_null(m->known);
    }
    m->known[m->count] = (struct known){.path = xstrdup(path)};
    return &m->known[m->count++];
}

static void
model_remove(struct model *m, const char *path, uint32_t cookie)
{
    for (size_t i = 0; i < m->count;) {
        struct known *k = &m->known[i];

        if (k->cookie != cookie || !is_below(k->path, path)) {
            i++;
            continue;
        }
        free(k->path);
        *k = m->known[--m->count];
    }
}

/* What `path` names goes away, for a while. */
static void
model_leave(struct model *m, const char *path, uint32_t cookie)
{
    for (size_t i = 0; i < m->count; i++) {
        struct known *k = &m->known[i];

        if (k->cookie == 0 && is_below(k->path, path)) {
            char *rest = xstrdup(k->path + strlen(path));

            free(k->path);
            k->path = rest;
            k->cookie = cookie;
        }
    }
}

/* What left with this cookie is at `path` now. */
static void
model_arrive(struct model *m, const char *path, uint32_t cookie)
{
    for (size_t i = 0; i < m->count; i++) {
        struct known *k = &m->known[i];
        char whole[4600];

        if (k->cookie != cookie)
            continue;
        (void)snprintf(whole, sizeof(whole), "%s%s", path, k->path);
        free(k->path);
        k->path = xstrdup(whole);
        k->cookie = 0;
    }
}

static void
model_told(struct model *m, const char *path)
{
    struct known *k = model_find(m, path);

    if (k != NULL)
        (void)clock_gettime(CLOCK_REALTIME, &k->told);
}

static void
model_event(struct listener *l, const struct watch_event *e)
{
    struct model *m = l->ctx;

    buf_appendf(&m->log, "  %s %s%s %u\n", type_name(e->type), e->name,
                e->rescanned ? " *" : "", e->cookie);
    m->rescanned += e->rescanned ? 1 : 0;
    switch (e->type) {
    case WATCH_CREATE:
        model_remove(m, e->name, 0);
        if (e->cookie != 0)
            model_arrive(m, e->name, e->cookie);
        if (model_find(m, e->name) == NULL)
            (void)model_add(m, e->name);
        model_told(m, e->name);
        break;
    case WATCH_REMOVE:
        model_remove(m, e->name, 0);
        break;
    case WATCH_RENAME:
        model_leave(m, e->name, e->cookie);
        break;
    case WATCH_WRITE:
    case WATCH_CLOSE_WRITE:
        model_told(m, e->name);
        break;
    case WATCH_CHMOD:
        break;
    }
}

/* ---- the tree ---- */

static bool
is_before(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec < b->tv_sec ||
           (a->tv_sec == b->tv_sec && a->tv_nsec < b->tv_nsec);
}

/* Compare one directory and what is below; counts what was seen. */
static size_t
compare_tree(struct model *m, const char *path, size_t *wrong)
{
    DIR *dir = opendir(scratch("%s/%s", m->root, path));
    struct dirent *d;
    size_t seen = 0;

    assert_non_null(dir);
    while ((d = readdir(dir)) != NULL) {
        struct known *k;
        struct stat st;
        char name[4600];

        if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
            continue;
        (void)snprintf(name, sizeof(name), "%s%s%s", path,
                       path[0] != '\0' ? "/" : "", d->d_name);
        assert_int_equal(lstat(scratch("%s/%s", m->root, name), &st), 0);
        seen++;
        k = model_find(m, name);
        if (k == NULL) {
            print_error("%s: not told: %s\n", m->root, name);
            (*wrong)++;
        } else if (S_ISREG(st.st_mode) && d->d_name[0] != 'h' &&
                   is_before(&k->told, &st.st_mtim)) {
            print_error("%s: last write not told: %s\n", m->root, name);
            (*wrong)++;
        }
        if (S_ISDIR(st.st_mode) && !m->flat)
            seen += compare_tree(m, name, wrong);
    }
    (void)closedir(dir);
    return seen;
}

static void
compare(struct model *m, unsigned int seed)
{
    size_t wrong = 0;
    size_t left = 0;
    size_t seen = compare_tree(m, "", &wrong);

    for (size_t i = 0; i < m->count; i++) {
        if (m->known[i].cookie != 0)
            continue;
        left++;
        if (faccessat(AT_FDCWD, scratch("%s/%s", m->root, m->known[i].path),
                      F_OK, AT_SYMLINK_NOFOLLOW) < 0) {
            print_error("%s: not there: %s\n", m->root, m->known[i].path);
            wrong++;
        }
    }
    if (wrong == 0 && seen == left)
        return;
    buf_append_byte(&m->log, '\0');
    if (getenv("ENVD_LOG") != NULL)
        (void)fputs((const char *)buf_data(&m->log), stderr);
    fail_msg("seed %u: %s: %zu entries, %zu told, %zu wrong", seed, m->root,
             seen, left, wrong);
}

/* What was there before it was watched. */
static void
model_learn(struct model *m, const char *path)
{
    DIR *dir = opendir(scratch("%s/%s", m->root, path));
    struct dirent *d;

    assert_non_null(dir);
    while ((d = readdir(dir)) != NULL) {
        char name[4600];

        if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
            continue;
        (void)snprintf(name, sizeof(name), "%s%s%s", path,
                       path[0] != '\0' ? "/" : "", d->d_name);
        (void)model_add(m, name);
        model_told(m, name);
        if (d->d_type == DT_DIR && !m->flat)
            model_learn(m, name);
    }
    (void)closedir(dir);
}

/* ---- what happens ---- */

struct writer {
    pthread_t thread;
    unsigned int seed;
    char root[4096];
    unsigned int steps;
    atomic_int *live; /* writers at work */
};

static unsigned int
dice(struct writer *w, unsigned int sides)
{
    w->seed = w->seed * 1103515245U + 12345U;
    return (w->seed >> 16) % sides;
}

/* A random path in the tree, by a few names so that they meet. */
static const char *
some_path(struct writer *w, char *out, bool linked)
{
    static const char *const names[] = {"a",      "b",    "ab",   "foo",
                                        "foobar", "keep", "c\xff"};
    static const char *const links[] = {"h1", "h2", "h3"};
    unsigned int depth = dice(w, 4);
    int len = snprintf(out, 4400, "%s/w", w->root);

    for (unsigned int i = 0; i < depth; i++)
        len += snprintf(out + len, 4400 - (size_t)len, "/%s",
                        names[dice(w, ARRAY_LEN(names))]);
    /* `keep` in the root is watched itself and stays. */
    (void)snprintf(out + len, 4400 - (size_t)len, "/%s",
                   linked ? links[dice(w, ARRAY_LEN(links))]
                          : names[dice(w, depth == 0 ? 5 : 7)]);
    return out;
}

static void
put_file(struct writer *w, const char *path, int flags, unsigned int size)
{
    static const char text[4096] = "content";
    int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | flags, 0644);

    (void)w;
    if (fd < 0)
        return;
    if (size > 0)
        (void)!write(fd, text, size);
    (void)close(fd);
}

static void
remove_tree(const char *path)
{
    DIR *dir = unlink(path) < 0 ? opendir(path) : NULL;
    struct dirent *d;
    char name[4600];

    while (dir != NULL && (d = readdir(dir)) != NULL) {
        if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
            continue;
        (void)snprintf(name, sizeof(name), "%s/%s", path, d->d_name);
        remove_tree(name);
    }
    if (dir != NULL)
        (void)closedir(dir);
    (void)rmdir(path);
}

/* A small tree, as a copy of one would be made. */
static void
put_tree(struct writer *w, const char *path, unsigned int depth)
{
    char name[4600];

    if (mkdir(path, 0755) < 0)
        return;
    for (unsigned int i = 0; i < 3; i++) {
        (void)snprintf(name, sizeof(name), "%s/%c", path, (char)('a' + i));
        if (depth > 0 && dice(w, 2) == 0)
            put_tree(w, name, depth - 1);
        else
            put_file(w, name, O_CREAT, dice(w, 3) * 100);
    }
}

static void
put_chain(struct writer *w, const char *path)
{
    char name[4600];
    int len = snprintf(name, sizeof(name), "%s", path);

    for (unsigned int i = 0; i < 2 + dice(w, 4); i++) {
        (void)mkdir(name, 0755);
        len += snprintf(name + len, sizeof(name) - (size_t)len, "/%s",
                        i % 2 == 0 ? "foo" : "a");
    }
    put_file(w, name, O_CREAT, 10);
}

static void
happen(struct writer *w)
{
    char a[4400];
    char b[4400];
    char out[4200];
    unsigned int what = dice(w, 24);

    (void)some_path(w, a, false);
    (void)some_path(w, b, false);
    (void)snprintf(out, sizeof(out), "%s/out/%u", w->root, dice(w, 5));
    switch (what) {
    case 0:
    case 1:
        (void)mkdir(a, 0755);
        break;
    case 2:
    case 3:
        put_chain(w, a);
        break;
    case 4:
    case 5:
        put_file(w, a, O_CREAT, 1 + dice(w, 1000));
        break;
    case 6:
        put_file(w, a, O_CREAT, 0);
        break;
    case 7:
        put_file(w, a, O_APPEND, 1 + dice(w, 100));
        break;
    case 8:
        put_file(w, a, O_TRUNC, 0);
        break;
    case 9:
    case 10:
    case 11:
    case 12:
        (void)rename(a, b);
        break;
    case 13:
        (void)rename(a, out);
        break;
    case 14:
        (void)rename(out, a);
        break;
    case 15:
        (void)unlink(a);
        break;
    case 16:
        (void)rmdir(a);
        break;
    case 17:
        remove_tree(a);
        break;
    case 18:
        (void)some_path(w, a, true);
        (void)some_path(w, b, true);
        put_file(w, a, O_CREAT, 5);
        (void)!link(a, b);
        break;
    case 19:
        (void)!symlink("foo", a);
        break;
    case 20:
        (void)chmod(a, 0700 + dice(w, 8));
        break;
    case 21:
        put_tree(w, a, 2);
        break;
    case 22:
        put_tree(w, out, 2);
        (void)rename(out, a);
        break;
    default:
        remove_tree(a);
        put_tree(w, a, 1);
        break;
    }
}

static void *
write_on(void *ctx)
{
    struct writer *w = ctx;

    for (unsigned int i = 0; i < w->steps; i++) {
        happen(w);
        if (dice(w, 20) == 0)
            (void)usleep(dice(w, 300));
    }
    atomic_fetch_sub(w->live, 1);
    return NULL;
}

/* ---- one run ---- */

/* What makes it hard, besides the two writers. */
enum trouble {
    TROUBLE_NONE,
    TROUBLE_OVERFLOW, /* events are lost in the kernel's queue */
    TROUBLE_FULL, /* and in the watchers' own, which nobody reads for long */
};

/* Let the writers do their work, and make trouble meanwhile. */
static void
run_writers(struct model *models, size_t count, struct writer *here,
            enum trouble trouble)
{
    struct writer writers[WRITERS];
    atomic_int live = WRITERS;

    for (unsigned int i = 0; i < WRITERS; i++) {
        writers[i] = *here;
        writers[i].seed = here->seed * 1000 + i;
        writers[i].steps = STEPS;
        writers[i].live = &live;
        assert_int_equal(
            pthread_create(&writers[i].thread, NULL, write_on, &writers[i]), 0);
    }
    while (atomic_load(&live) > 0) {
        turn();
        if (trouble == TROUBLE_OVERFLOW && dice(here, 3) == 0)
            hub_lose_events(fix.hub, 1 + dice(here, 60));
        for (size_t i = 0; i < count; i++) {
            models[i].l.idle = trouble == TROUBLE_FULL && dice(here, 3) != 0;
            if (!models[i].l.idle)
                listener_read(&models[i].l);
        }
    }
    for (unsigned int i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_join(writers[i].thread, NULL), 0);
    if (trouble == TROUBLE_OVERFLOW)
        hub_lose_events(fix.hub, 0);
    for (size_t i = 0; i < count; i++) {
        models[i].l.idle = false;
        listener_read(&models[i].l);
    }
}

/* Until all that happened has been told. */
static void
run_quiet(struct model *models, size_t count, struct writer *here)
{
    for (int turns = 0; turns < 2; turns++) {
        char name[64];

        /* What is told of this file comes after all there was before. */
        (void)snprintf(name, sizeof(name), "w/keep/sentinel%d", turns);
        put_file(here, scratch("%s", name), O_CREAT, 0);
        while (model_find(&models[0], name + 2) == NULL)
            turn();
        for (size_t i = 0; i < count; i++)
            settle(&models[i].l);
    }
}

static void
model_done(struct model *m)
{
    listener_close(&m->l);
    for (size_t n = 0; n < m->count; n++)
        free(m->known[n].path);
    free(m->known);
    buf_done(&m->log);
}

static void
run_seed(unsigned int seed, enum trouble trouble)
{
    struct model models[] = {
        {.root = "w"},
        {.root = "w/keep"},
        {.root = "w", .flat = true},
        {.root = "link"},
        {.root = "w/keep", .flat = true},
    };
    struct writer here = {.seed = seed * 77 + 5};

    fix.hub->slice_dirs = seed % 3 == 0 ? 256 : seed % 3;
    act_all("mkdir w; mkdir out; mkdir w/keep; symlink w link");
    (void)snprintf(here.root, sizeof(here.root), "%s", scratch_root);
    for (int i = 0; i < 40; i++)
        happen(&here);
    for (size_t i = 0; i < ARRAY_LEN(models); i++) {
        struct watch_options o = {.recursive = !models[i].flat};

        models[i].l.on_event = model_event;
        models[i].l.ctx = &models[i];
        model_learn(&models[i], "");
        listener_open(&models[i].l, scratch("%s", models[i].root), &o);
    }
    for (size_t i = 0; i < ARRAY_LEN(models); i++) {
        listener_wait(&models[i].l);
        if (trouble == TROUBLE_FULL)
            models[i].l.w->queue.count_max = 1 + dice(&here, 60);
    }
    run_writers(models, ARRAY_LEN(models), &here, trouble);
    run_quiet(models, ARRAY_LEN(models), &here);
    for (size_t i = 0; i < ARRAY_LEN(models); i++)
        compare(&models[i], seed);
    for (size_t i = 0; i < ARRAY_LEN(models); i++)
        model_done(&models[i]);
    loop_run_deferred(fix.loop);
    remove_tree(scratch("w"));
    remove_tree(scratch("out"));
    remove_tree(scratch("link"));
}

static unsigned int
setting(const char *name, unsigned int normal)
{
    const char *value = getenv(name);

    return value != NULL ? (unsigned int)strtoul(value, NULL, 10) : normal;
}

static void
run_seeds(enum trouble trouble)
{
    unsigned int first = setting("ENVD_SEED", 1);
    unsigned int count = setting("ENVD_SEEDS", 25);

    for (unsigned int i = 0; i < count; i++)
        run_seed(first + i, trouble);
}

static void
test_model(void **state)
{
    (void)state;
    run_seeds(TROUBLE_NONE);
}

static void
test_model_overflow(void **state)
{
    (void)state;
    run_seeds(TROUBLE_OVERFLOW);
}

static void
test_model_full(void **state)
{
    (void)state;
    run_seeds(TROUBLE_FULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_model, fixture_start,
                                        fixture_stop),
        cmocka_unit_test_setup_teardown(test_model_overflow, fixture_start,
                                        fixture_stop),
        cmocka_unit_test_setup_teardown(test_model_full, fixture_start,
                                        fixture_stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
