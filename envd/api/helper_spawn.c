/*
 * From a helper to a spawn.
 */
#include "api/helper_spawn.h"

#include <errno.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/status.h"
#include "process/spawn.h"

static int
helper_spawn(void *ctx, const char *const *argv, const char *const *env,
             struct helper_child *ret)
{
    struct spawn_spec spec = {
        .cmd = argv[0],
        .args = argv + 1,
        .env = env,
        .cwd = "/",
        .uid = geteuid(),
        .gid = getegid(),
        .tty_gid = (gid_t)-1,
        .cgroup_fd = -1,
    };
    struct spawn_child child;
    struct status st = {0};
    int err;

    (void)ctx;
    while (spec.args[spec.arg_count] != NULL)
        spec.arg_count++;
    if (spawn(&spec, &child, &st) < 0) {
        err = st.err != 0 ? st.err : EIO;
        status_done(&st);
        return -err;
    }
    /* A child that cannot say why it failed ends all the same. */
    fd_close(&child.status_fd);
    *ret = (struct helper_child){
        .pid = child.pid,
        .pid_fd = child.pid_fd,
        .out_fd = child.stdout_fd,
        .err_fd = child.stderr_fd,
    };
    return 0;
}

const struct helper_spawner api_helper_spawner = {helper_spawn, NULL};
