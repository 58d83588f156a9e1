/*
 * Listing directories on a worker: watch each, then read what is in it.
 *
 * A scan goes through a few trees, slice by slice.  A slice leaves records, one
 * for each directory listed, parents before children; the loop takes them over
 * (merge.c) and has the worker go on.
 */
#ifndef ENVD_WATCH_SCAN_H
#define ENVD_WATCH_SCAN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/status.h"
#include "loop/worker.h"
#include "watch/hub.h"

/* One entry found in a directory. */
struct found {
    const char *name; /* in the record's text */
    uint64_t stamp;   /* of what is no directory: inode, size, time */
    bool is_dir;
    bool is_regular;
    bool has_content; /* a regular file that is not empty */
};

/* What became of a record; see merge.c. */
struct merge;

/* One directory that was watched and listed. */
struct record {
    int wd;
    int parent_wd;  /* -1: it is what the scan was to list */
    ssize_t parent; /* its record in this slice, -1: none */
    char *name;     /* in the parent; NULL when there is none */
    uint64_t token; /* that its entry in the parent has */
    bool again;     /* compare it with what is known */
    bool is_listed; /* `found` is all there is */
    char *text;
    struct found *found; /* sorted by name */
    size_t count;
    struct names names; /* the same, where nothing is to be announced */
    struct merge *merge;
};

/* One tree to list. */
struct scan_item {
    struct todo *todo;
    char *path; /* from the watched path to the directory `todo->wd`; "" */
    enum {
        ITEM_DONE,
        ITEM_STALE, /* the directory is not where it was thought to be */
    } result;
};

/* A directory on the way down. */
struct scan_level {
    int fd; /* -1: given up for a deeper one */
    int wd;
    dev_t dev;
    ino_t ino;
    ssize_t record; /* in this slice, or -1 */
    char *dirs;     /* names of directories, NUL after NUL */
    size_t dirs_len;
    size_t at;
    size_t path_len; /* of scan->path, up to here */
};

#define SCAN_ITEMS       64
#define SCAN_BATCH_BYTES (32 * 1024)

struct scan {
    struct job job;
    struct watcher *w; /* the loop's; the worker uses only what follows */

    int inotify_fd;
    uint32_t mask;
    const char *root_path;
    bool recursive;
    bool allow_network_mounts;
    bool silent; /* the first listing: nothing of it is announced */
    char *const *ignore;
    size_t ignore_count;
    bool ignore_paths;
    uint32_t seed;
    atomic_int *watches_left;

    struct scan_item items[SCAN_ITEMS];
    size_t item_count;
    size_t item; /* the one it is at */
    bool item_begun;

    struct scan_level *levels;
    size_t depth;
    size_t cap;
    struct buf path; /* of the deepest level, relative to the root */
    int base_fd;     /* the directory `base_wd` of the last item, or -1 */
    int base_wd;
    char *batch;       /* of directory entries */
    size_t slice_dirs; /* directories to list in one slice */
    size_t dirs_left;
    size_t entries_left;

    struct record *records;
    size_t record_count;
    size_t record_cap;
    int strays[SCAN_ITEMS]; /* watched by mistake */
    size_t stray_count;

    bool finished;
    bool parked;          /* between two slices, without a worker */
    bool torn;            /* something was left out that may be there */
    struct status status; /* why the first listing failed */
    char *network_path;   /* a network mount that was left out */
    bool is_full;         /* no more watches */

    /* The loop's. */
    uint64_t from;       /* hub->log when this slice began */
    uint64_t from_bytes; /* hub->bytes_read then */
    uint32_t generation; /* of the watcher when it began */
};

/* ---- walk.c, context: worker ---- */

/* One slice. */
void scan_run(struct job *job);

/* Close and free what the walk holds open. */
void scan_close(struct scan *s);

/* Watch what `fd` is; the watch descriptor or -errno. */
int scan_watch(struct scan *s, int fd);

/* ---- list.c, context: worker ---- */

/*
 * Read the directory `fd` into `r`; *ret_dirs gets the names of directories in
 * it, NUL after NUL, which the caller frees.  Returns 0 or -errno.
 */
int scan_list(struct scan *s, int fd, struct record *r, struct buf *ret_dirs);

/* ---- check.c, context: worker ---- */

/* Open the watched directory, or say why not.  The descriptor or -1. */
int scan_open_root(const struct scan *s, struct status *st);

/* Whether events of a file system may be made elsewhere. */
bool is_network_type(long type);

/* ---- scan.c, context: loop ---- */

/* List what the watcher has to do. */
void scan_start(struct watcher *w);

/* The next slice. */
void scan_go_on(struct scan *s);

/* End one that is parked. */
void scan_abandon(struct scan *s);

/* Free the records of a slice; what they watch is discarded if unused. */
void scan_drop_records(struct scan *s);

/* ---- merge.c, context: loop ---- */

/* Take over the records of a slice. */
void scan_merge(struct scan *s);

#endif
