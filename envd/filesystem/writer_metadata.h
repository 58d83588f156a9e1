/*
 * The metadata of a file being written.  For writer.c only.
 */
#ifndef ENVD_FILESYSTEM_WRITER_METADATA_H
#define ENVD_FILESYSTEM_WRITER_METADATA_H

#include "base/status.h"

struct file_writer;

/*
 * Give the file that has the name its new metadata, remembering the old.
 * Returns 0, also where the file system takes none, or -1 with `st`.
 * Context: worker, as all here.
 */
int writer_set_metadata(struct file_writer *w, struct status *st);

/* Give it back the old, as far as possible. */
void writer_restore_metadata(struct file_writer *w);

/* Free what was remembered. */
void writer_forget_metadata(struct file_writer *w);

#endif
