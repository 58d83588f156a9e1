/*
 * Programs that the agent runs for itself: as a command is made, but as root,
 * beside the agent.
 */
#include <errno.h>

#include "api/init.h"
#include "base/fd.h"
#include "guest/helper.h"
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
        .tty_gid = (gid_t)-1,
        .cgroup_fd = -1,
    };
    struct spawn_child child;
    struct status st = {0};
    int r;

    (void)ctx;
    while (argv[spec.arg_count + 1] != NULL)
        spec.arg_count++;
    r = spawn(&spec, &child, &st);
    if (r < 0)
        r = st.err != 0 ? -st.err : -EIO;
    status_done(&st);
    if (r < 0)
        return r;
    /* How it failed is not asked: that it did is seen by its end. */
    fd_close(&child.status_fd);
    fd_close(&child.stdin_fd);
    *ret = (struct helper_child){
        .pid = child.pid,
        .pid_fd = child.pid_fd,
        .out_fd = child.stdout_fd,
        .err_fd = child.stderr_fd,
    };
    return 0;
}

const struct helper_spawner helper_spawner = {.spawn = helper_spawn};
