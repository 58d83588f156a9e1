/*
 * The program: what the options say, and then the agent, or the first process.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/scope.h"
#include "envd.h"
#include "guest/collapse.h"
#include "init/init.h"
#include "options.h"
#include "watch/watch.h"

#define EXIT_USAGE 2

/* The exit status after something was printed, which may not have arrived. */
static int
printed(void)
{
    if (fflush(stdout) == 0)
        return EXIT_SUCCESS;
    perror("stdout");
    return EXIT_FAILURE;
}

/* What only prints: true, and nothing is to be started. */
static bool
print_only(const struct command_line *cl, const char *program)
{
    if (cl->help)
        options_usage(program);
    if (cl->version && !cl->help)
        (void)puts(ENVD_VERSION);
    if (cl->commit && !cl->version && !cl->help)
        (void)puts(ENVD_COMMIT);
    return cl->help || cl->version || cl->commit;
}

_Noreturn static void
run_init(const struct command_line *cl, char **argv, int flag_count)
{
    const struct init_agent agent = {
        .args = argv + 1,
        .arg_count = (size_t)flag_count,
        .cgroup_root = cl->envd.no_cgroups ? NULL : cl->envd.cgroup_root,
        .firecracker = !cl->envd.not_firecracker,
    };

    watch_raise_limits();
    init_run(&cl->init, &agent);
}

int
main(int argc, char **argv)
{
    struct command_line cl;
    struct envd *e;
    unsigned int faults;
    int flag_count;
    int status;

    collapse_prepare();
    options_init(&cl);
    flag_count = options_parse(&cl, argc, argv);
    if (flag_count < 0) {
        options_usage(argv[0]);
        return EXIT_USAGE;
    }
    if (print_only(&cl, argv[0]))
        return printed();
    if (cl.be_init && getpid() != 1) {
        (void)fprintf(stderr, "-init: this is not the first process\n");
        return EXIT_USAGE;
    }
    if (cl.be_init && !cl.check_config && !cl.dump_config) {
        init_prepare(argv, !cl.envd.no_cgroups);
        options_read_kernel();
    }
    faults = options_read_file(&cl) + options_read_environment(&cl);
    (void)options_parse(&cl, argc, argv); /* these count most */
    if (cl.check_config)
        return faults == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    if (cl.dump_config) {
        options_dump(&cl);
        return printed();
    }
    if (cl.be_init)
        run_init(&cl, argv, flag_count);
    cl.envd.commit = ENVD_COMMIT;
    e = envd_new(&cl.envd);
    if (e == NULL)
        return EXIT_FAILURE;
    status = envd_run(e);
    envd_free(e);
    return status;
}
