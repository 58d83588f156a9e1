/*
 * Small files in /run/e2b, by which programs of the sandbox learn where they
 * are.
 */
#ifndef ENVD_GUEST_RUN_FILES_H
#define ENVD_GUEST_RUN_FILES_H

#include <stdbool.h>
#include <sys/types.h>

#define RUN_DIR "/run/e2b"

/* What is in there. */
#define RUN_FILE_SANDBOX       ".E2B_SANDBOX"
#define RUN_FILE_SANDBOX_ID    ".E2B_SANDBOX_ID"
#define RUN_FILE_TEMPLATE_ID   ".E2B_TEMPLATE_ID"
#define RUN_FILE_MMDS_ANSWERED ".E2B_MMDS" /* empty; it once has */

/*
 * Put a text into a file, which is replaced as a whole: who reads it meanwhile
 * has the old text or the new one.  No link is followed.
 *
 * Returns 0 or -errno.  Context: worker; at start-up any.
 */
int run_file_write(const char *dir, const char *name, const char *text,
                   mode_t mode);

/*
 * Make the directory (0755) and the file that says whether this is a sandbox.
 * Returns 0 or -errno.  Context: start-up.
 */
int run_files_init(const char *dir, bool sandbox);

#endif
