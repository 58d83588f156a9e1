/*
 * The small files of a cgroup: reading one value, writing one word.
 */
#ifndef ENVD_BASE_CGROUP_FILE_H
#define ENVD_BASE_CGROUP_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/*
 * Find `key` in lines of `key value`, as cgroup.events, cpu.stat and
 * memory.events are made of; blanks around both do not count, nor does a key
 * that only begins alike.  The first line with a number counts.
 *
 * Returns whether it is there.  Context: any.  Rule: the kernel's chapter on
 * cgroup v2, "flat keyed".
 */
bool cgroup_find_value(struct str text, const char *key, uint64_t *ret);

/*
 * As cgroup_find_value() in a file.
 *
 * dir_fd  the cgroup, O_PATH is enough
 * file    relative to it
 * ret     0 when there is no such key or file
 *
 * Returns 0, or -errno when the file cannot be read.  Context: any.
 */
int cgroup_read_value(int dir_fd, const char *file, const char *key,
                      uint64_t *ret);

/* Write one word to a file of a cgroup, in one write(2): 0 or -errno. */
int cgroup_write(int dir_fd, const char *file, const char *text);

/* Whether processes that enter this cgroup would be stopped. */
bool cgroup_is_frozen(int dir_fd);

#endif
