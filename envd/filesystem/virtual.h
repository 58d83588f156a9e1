/*
 * File systems whose files the kernel makes up as they are read.
 */
#ifndef ENVD_FILESYSTEM_VIRTUAL_H
#define ENVD_FILESYSTEM_VIRTUAL_H

#include <stdbool.h>

/*
 * Whether an open file lies on one (/proc, /sys, cgroups and the like): its
 * size means nothing, and a write is a command.  Context: any.
 */
bool virtual_file(int fd);

#endif
