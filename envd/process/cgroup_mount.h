/*
 * A cgroup v2 where an image has none: under an init that mounts nothing.
 */
#ifndef ENVD_PROCESS_CGROUP_MOUNT_H
#define ENVD_PROCESS_CGROUP_MOUNT_H

/*
 * Mount cgroup v2 at `root` if that is an empty directory, and nothing is
 * mounted there.  Whatever fails is left to who opens the root to tell.
 */
void cgroup_mount(const char *root);

#endif
