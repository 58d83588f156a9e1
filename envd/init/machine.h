/*
 * The machine as programs expect to find it.  Every function does what is
 * missing, says what it could not do, and leaves alone what is there.
 */
#ifndef ENVD_INIT_MACHINE_H
#define ENVD_INIT_MACHINE_H

#include <stdbool.h>

/*
 * Whether this is the machine's own first process, and not one of a container
 * or another pid namespace.
 */
bool machine_is_ours(void);

/* Whether a file system begins at `path`. */
bool machine_is_mounted(const char *path);

/* Mount the kernel's file systems, and fill /dev.  `cgroups`: those, too. */
void machine_mount(bool cgroups);

/* Keep 0, 1 and 2 taken while there is no /dev; returns which were free. */
unsigned int machine_hold_stdio(void);

/* Put the console in their place, or /dev/null. */
void machine_open_stdio(unsigned int free);

/* Loopback up. */
void machine_network(void);

/* The kernel's host name, by /etc/hostname if it has none. */
void machine_hostname(void);

/* /etc/passwd, /etc/group, /etc/hosts, /etc/resolv.conf and root's home. */
void machine_files(void);

#endif
