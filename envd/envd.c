/*
 * The agent as a whole: what is made in which order, and taken down again.
 */
#include "envd.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/api.h"
#include "api/watch_polled.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/scope.h"
#include "base/status.h"
#include "guest/fsfreeze.h"
#include "guest/metrics.h"
#include "guest/service.h"
#include "guest/settings.h"
#include "http/mime_types.h"
#include "http/server.h"
#include "limits.h"
#include "loop/loop.h"
#include "loop/worker.h"
#include "process/cgroup.h"
#include "process/process.h"
#include "process/spawn.h"
#include "security/access.h"
#include "security/user.h"
#include "watch/watch.h"

/* The name under which the service manager keeps our socket. */
#define STORED_SOCKET "envd-port"

static const struct rpc_service *const services[] = {
    &process_service,
    &filesystem_service,
};

/* Descriptors for ourselves; commands get the limit that we were given. */
static void
raise_limits(void)
{
    struct rlimit files;

    spawn_init();
    if (getrlimit(RLIMIT_NOFILE, &files) < 0)
        return;
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
}

static void
prepare_process(void)
{
    /* One heap for loop and workers, given back when it shrinks. */
    (void)mallopt(M_ARENA_MAX, 1);
    (void)mallopt(M_MMAP_THRESHOLD, 1 << 20);
    (void)mallopt(M_TRIM_THRESHOLD, 256 << 10);
    (void)umask(022);
    (void)signal(SIGPIPE, SIG_IGN);
    /* Orphans of commands come to us, so that none escapes its kill. */
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    raise_limits();
}

/*
 * Listen on what was handed over: sockets of a socket unit, whatever their
 * port, and the one that an earlier agent has left with the service manager.
 * Returns whether our port is among them.
 */
static bool
take_sockets(struct envd *e)
{
    bool ours = false;
    const char *name;
    int fd;

    while ((fd = service_take_socket(e->service, &name)) >= 0) {
        bool stored = strcmp(name, STORED_SOCKET) == 0;
        int port = service_socket_port(fd);

        if (port < 0 || (stored && (ours || port != e->options.port))) {
            fd_close(&fd);
            if (stored && !ours)
                service_forget(e->service, STORED_SOCKET);
            continue;
        }
        if (http_server_listen_fd(e->http, fd) == 0)
            ours = ours || port == e->options.port;
    }
    return ours;
}

static int
listen_on(struct envd *e)
{
    int r;

    if (take_sockets(e))
        return 0;
    r = http_server_listen(e->http, NULL, e->options.port, NULL);
    if (r < 0)
        (void)fprintf(stderr, "server stopped: listen tcp 0.0.0.0:%u: %s\n",
                      e->options.port, errno_text(-r));
    else
        /* Between two agents nobody else can take the port, or is refused. */
        service_store(e->service, http_server_listener(e->http), STORED_SOCKET);
    return r;
}

void
envd_options_init(struct envd_options *o)
{
    *o = (struct envd_options){
        .port = 49983,
        .cgroup_root = "/sys/fs/cgroup",
        .replay = PROCESS_REPLAY_RESUME,
        .process =
            {
                .ring_bytes = LIMIT_PROCESS_RING_BYTES,
                .rings_bytes = LIMIT_PROCESS_RINGS_BYTES,
                .processes_max = LIMIT_PROCESSES,
                .retained_max = LIMIT_PROCESS_RETAINED,
                .retained_min = LIMIT_PROCESS_RETAINED_MIN,
                .retain_ms = LIMIT_PROCESS_RETAIN_MS,
                .stall_ms = LIMIT_PROCESS_STALL_MS,
                .linger_ms = LIMIT_PROCESS_LINGER_MS,
                .kill_scope = PROCESS_SCOPE_TREE,
            },
    };
}

/* An earlier agent may have left it frozen, and nobody is there to thaw it. */
static void
start_fsfreeze(struct envd *e)
{
    const struct fsfreeze_options o = {.mount = e->options.freeze_mount};

    e->fsfreeze = fsfreeze_new(e->loop, e->workers, &o);
    fsfreeze_heal(e->fsfreeze, getpid() == 1 || !e->options.not_firecracker ||
                                   o.mount != NULL);
}

struct envd *
envd_new(const struct envd_options *options)
{
    struct envd *e = xcalloc(1, sizeof(*e));

    prepare_process();
    /* Otherwise the machine is not ours. */
    if (getpid() == 1 || !options->not_firecracker)
        watch_raise_limits();
    if (options->verbose)
        log_open(1, LOG_LEVEL_DEBUG);
    e->options = *options;
    e->loop = loop_new();
    if (e->loop == NULL) {
        (void)fprintf(stderr, "cannot create the event loop\n");
        free(e);
        return NULL;
    }
    e->service = service_new(e->loop);
    e->http = http_server_new(e->loop, api_dispatch, e);
    e->rpc = (struct rpc_server){
        .loop = e->loop,
        .services = services,
        .service_count = ARRAY_LEN(services),
        .message_max = LIMIT_RPC_MESSAGE_BYTES,
        .ctx = e,
    };
    e->workers = worker_pool_new(e->loop, LIMIT_WORKER_THREADS);
    if (e->workers != NULL)
        start_fsfreeze(e);
    e->users = user_db_new(NULL, NULL);
    e->token = access_token_new();
    e->settings = guest_settings_new();
    e->cpu = cpu_sampler_new("/proc");
    e->options.process.cgroups = e->cgroups =
        options->no_cgroups ? NULL
                            : cgroups_open(e->loop, options->cgroup_root);
    e->processes = process_table_new(e->loop, &e->options.process);
    e->watches = watch_hub_new(e->loop, e->workers);
    e->polled = polled_table_new();
    guest_set_internal_var(e->settings, "E2B_SANDBOX",
                           options->not_firecracker ? "false" : "true");
    if (e->workers == NULL || e->token == NULL) {
        (void)fprintf(stderr, "cannot start: out of resources\n");
        envd_free(e);
        return NULL;
    }
    if (listen_on(e) < 0) {
        envd_free(e);
        return NULL;
    }
    return e;
}

struct stop_signal {
    struct loop_signal signal;
    struct loop *loop;
};

static void
on_stop(struct loop_signal *s)
{
    struct stop_signal *stop = container_of(s, struct stop_signal, signal);

    loop_stop(stop->loop);
}

/* Not through a link that somebody has put there. */
static void
write_pid_file(const char *path)
{
    char text[24];
    SCOPE(fd_close) int fd = -1;
    int len = snprintf(text, sizeof(text), "%d\n", (int)getpid());

    if (path == NULL)
        return;
    fd =
        open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, text, (size_t)len) != len)
        (void)fprintf(stderr, "%s: %s\n", path, errno_text(errno));
}

int
envd_run(struct envd *e)
{
    struct stop_signal term = {.loop = e->loop};
    struct stop_signal interrupt = {.loop = e->loop};
    const char *pid_file = e->options.pid_file;
    int r;

    loop_signal_init(e->loop, &term.signal, SIGTERM, on_stop);
    loop_signal_init(e->loop, &interrupt.signal, SIGINT, on_stop);
    write_pid_file(pid_file);
    service_ready(e->service, e->options.port);
    r = loop_run(e->loop);
    service_stopping(e->service);
    if (pid_file != NULL && !fsfreeze_frozen(e->fsfreeze))
        (void)unlink(pid_file);
    loop_signal_done(&term.signal);
    loop_signal_done(&interrupt.signal);
    return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

void
envd_free(struct envd *e)
{
    if (e == NULL)
        return;
    /* Connections first: their calls hold readers, inputs and jobs. */
    http_server_close(e->http);
    loop_run_deferred(e->loop);
    polled_table_free(e->polled);
    worker_pool_free(e->workers);
    fsfreeze_free(e->fsfreeze);
    process_table_free(e->processes);
    cgroups_close(e->cgroups);
    loop_run_deferred(e->loop);
    watch_hub_free(e->watches);
    http_server_free(e->http);
    cpu_sampler_free(e->cpu);
    guest_settings_free(e->settings);
    access_token_free(e->token);
    user_db_free(e->users);
    service_free(e->service);
    mime_types_free(e->types);
    loop_free(e->loop);
    free(e);
}
