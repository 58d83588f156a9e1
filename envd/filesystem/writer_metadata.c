/*
 * Metadata is replaced before the content is, and given back when the content
 * cannot be.
 */
#include "filesystem/writer_metadata.h"

#include <errno.h>

#include "filesystem/transfer.h"

int
writer_set_metadata(struct file_writer *w, struct status *st)
{
    int r;

    w->old_metadata_count =
        metadata_read_all(w->fd, &w->old_arena, &w->old_metadata);
    w->metadata_changed = w->old_metadata_count + w->metadata_count > 0;
    if (!w->metadata_changed)
        return 0;
    r = metadata_replace(w->fd, w->metadata, w->metadata_count);
    w->metadata_unsupported = r == -ENOTSUP;
    if (r == 0 || r == -ENOTSUP)
        return 0;
    if (r == -ENOSPC || r == -EDQUOT)
        return status_errno(st, RPC_RESOURCE_EXHAUSTED, -r,
                            "not enough space for file metadata");
    return status_errno(st, RPC_INTERNAL, -r, "error writing file metadata");
}

void
writer_restore_metadata(struct file_writer *w)
{
    if (w->metadata_changed)
        (void)metadata_replace(w->fd, w->old_metadata, w->old_metadata_count);
}

void
writer_forget_metadata(struct file_writer *w)
{
    arena_done(&w->old_arena);
    w->metadata_changed = false;
}
