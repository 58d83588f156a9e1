/*
 * One file of an upload.  For upload.c only.
 */
#ifndef ENVD_API_UPLOAD_FILE_H
#define ENVD_API_UPLOAD_FILE_H

#include "api/upload.h"

/* Set the HTTP status of a failure whose words are in u->st.  Returns
 * UPLOAD_FAILED, as all of these.  Context: worker, as all here. */
enum upload_result upload_fail(struct upload *u, int http_status);
enum upload_result upload_fail_memory(struct upload *u);

/* Resolve the path of the next file. */
enum upload_result upload_set_target(struct upload *u, struct str path);

/* Open it for a body of `size` bytes (-1: unknown) in several pieces. */
enum upload_result upload_open_file(struct upload *u, int64_t size);

/*
 * Content of it.  The first range only waits: if it turns out to be the last
 * as well, the file is written in one go.
 */
enum upload_result upload_take_content(struct upload *u, struct str data);

/* The bytes that wait are about to go: open the file for them. */
enum upload_result upload_flush_pending(struct upload *u);

/* Its content is complete. */
enum upload_result upload_end_file(struct upload *u);

/* Put it in place, which upload_end_file() could not. */
enum upload_result upload_commit_file(struct upload *u);

#endif
