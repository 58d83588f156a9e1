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
#include "api/clock_moved.h"
#include "api/freeze.h"
#include "api/health.h"
#include "api/helper_spawn.h"
#include "api/init.h"
#include "api/listeners.h"
#include "api/metrics.h"
#include "api/profiles.h"
#include "api/watch_polled.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/scope.h"
#include "base/status.h"
#include "guest/ca_bundle.h"
#include "guest/clock_watch.h"
#include "guest/freezer.h"
#include "guest/fsfreeze.h"
#include "guest/hooks.h"
#include "guest/hosts.h"
#include "guest/log_export.h"
#include "guest/metrics.h"
#include "guest/mmds.h"
#include "guest/ports.h"
#include "guest/service.h"
#include "guest/settings.h"
#include "guest/volumes.h"
#include "http/mime_types.h"
#include "http/server.h"
#include "limits.h"
#include "loop/loop.h"
#include "loop/spawner.h"
#include "loop/worker.h"
#include "process/cgroup.h"
#include "process/cgroup_mount.h"
#include "process/process.h"
#include "process/spawn.h"
#include "security/access.h"
#include "security/origin.h"
#include "security/seccomp.h"
#include "security/self.h"
#include "security/user.h"
#include "watch/watch.h"

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

/* What is opened must not get a number under which others write texts. */
static void
fill_standard_fds(void)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    fd_close(&fd);
}

static void
prepare_process(void)
{
    sigset_t none;

    fill_standard_fds();
    /* Whoever has started us may have blocked those that we wait for. */
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    /* One heap for loop and workers, given back when it shrinks. */
    (void)mallopt(M_ARENA_MAX, 1);
    (void)mallopt(M_MMAP_THRESHOLD, 1 << 20);
    (void)mallopt(M_TRIM_THRESHOLD, 256 << 10);
    (void)umask(022);
    (void)signal(SIGPIPE, SIG_IGN);
    /* Orphans of commands come to us, so that none escapes its kill. */
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    raise_limits();
    self_protect();
}

static void
log_unfiltered(int err)
{
    struct log_line line;

    if (!log_begin(&line, LOG_LEVEL_WARN, "security"))
        return;
    log_str(&line, "error", errno_text(err));
    log_end(&line, "No filter of system calls");
}

static void
on_privileged_thread(void *ctx)
{
    const struct envd *e = ctx;

    (void)seccomp_filter_thread(e->options.seccomp, true);
}

/*
 * The thread that stays without a filter comes before all others.  Returns 0
 * or -errno.
 */
static int
prepare_filters(struct envd *e)
{
    int r = 0;

    if (e->options.seccomp != SECCOMP_OFF)
        r = spawner_start();
    if (r == 0 && e->options.seccomp != SECCOMP_OFF)
        r = worker_pool_split(e->workers, on_privileged_thread, e);
    return r;
}

/*
 * From here on this thread, and those that it makes, do without some calls: so
 * before it makes any.
 */
static void
filter_loop(const struct envd *e)
{
    int r = seccomp_filter_thread(e->options.seccomp, false);

    if (r == 0)
        return;
    spawner_stop();
    log_unfiltered(-r);
}

void
envd_options_init(struct envd_options *o)
{
    *o = (struct envd_options){
        .port = 49983,
        .cgroup_root = "/sys/fs/cgroup",
        .mmds_address = MMDS_ADDRESS,
        .replay = PROCESS_REPLAY_RESUME,
        .seccomp = seccomp_default_mode(),
        .seccomp_profiles = "/etc/envd/seccomp",
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

/* POST /init, and what only it goes to. */
static void
make_init(struct envd *e)
{
    const struct volumes_options volumes = {.spawner = &api_helper_spawner};

    e->ca = ca_bundle_new(e->loop, e->workers, NULL, NULL);
    e->volumes = volumes_new(e->loop, e->workers, &volumes);
    e->hosts = hosts_new(e->workers, NULL);
    e->hooks = hooks_new(e->loop, e->workers, &api_helper_spawner, NULL);
    e->init = init_service_new(e, NULL);
}

/* When the workers are gone. */
static void
free_init(struct envd *e)
{
    ca_bundle_free(e->ca);
    volumes_free(e->volumes);
    hosts_free(e->hosts);
    hooks_free(e->hooks);
    init_service_free(e->init);
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

/* Whether commands run: they are what opens ports. */
static bool
commands_run(void *ctx)
{
    const struct envd *e = ctx;

    return process_first(e->processes) != NULL;
}

static struct ports *
open_ports(struct envd *e)
{
    const struct ports_options o = {
        .workers = e->workers,
        .address = e->options.forward_address,
        .firecracker = !e->options.not_firecracker,
        .no_forward = e->options.no_forward,
        .own_port = e->options.port,
        .busy = commands_run,
        .ctx = e,
    };

    return ports_new(e->loop, &o);
}

struct envd *
envd_new(const struct envd_options *options)
{
    struct envd *e = xcalloc(1, sizeof(*e));
    bool ready;

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
    /* From here on no line is lost. */
    if (!options->not_firecracker)
        e->exporter = log_exporter_new(e->loop);
    e->service = service_new(e->loop);
    self_scrub_environment();
    e->http = http_server_new(e->loop, api_dispatch, e);
    e->rpc = (struct rpc_server){
        .loop = e->loop,
        .services = services,
        .service_count = ARRAY_LEN(services),
        .message_max = LIMIT_RPC_MESSAGE_BYTES,
        .ctx = e,
    };
    e->workers = worker_pool_new(e->loop, LIMIT_WORKER_THREADS);
    ready = e->workers != NULL && prepare_filters(e) == 0;
    if (ready)
        start_fsfreeze(e);
    e->profiles = profiles_new(options->seccomp_profiles);
    e->users = user_db_new(NULL, NULL);
    e->token = access_token_new();
    e->settings = guest_settings_new();
    e->cpu = cpu_sampler_new("/proc");
    /* Otherwise the machine is not ours, here as well. */
    if (!options->no_cgroups && !options->not_firecracker)
        cgroup_mount(options->cgroup_root);
    e->options.process.cgroups = e->cgroups =
        options->no_cgroups ? NULL
                            : cgroups_open(e->loop, options->cgroup_root);
    if (ready)
        filter_loop(e);
    e->freezer = freezer_open(e->loop, e->workers, cgroups_root(e->cgroups));
    freezer_observe(e->freezer, api_after_thaw, e);
    e->processes = process_table_new(e->loop, &e->options.process);
    e->watches = watch_hub_new(e->loop, e->workers);
    e->polled = polled_table_new();
    make_init(e);
    guest_set_internal_var(e->settings, "E2B_SANDBOX",
                           options->not_firecracker ? "false" : "true");
    e->origin = origin_new();
    e->metrics = metrics_new(e);
    e->started_ms = loop_now_ms();
    loop_watch_stalls(e->loop, 0);
    if (!ready) {
        (void)fprintf(stderr, "cannot start: out of resources\n");
        envd_free(e);
        return NULL;
    }
    if (listeners_open(e) < 0 || api_mmds_init(e) < 0) {
        envd_free(e);
        return NULL;
    }
    if (e->mmds != NULL)
        mmds_poll(e->mmds, -1);
    e->ports = open_ports(e);
    e->clock = clock_watch_new(e->loop, clock_moved, e);
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

struct state_signal {
    struct loop_signal signal;
    struct envd *envd;
};

static void
on_state(struct loop_signal *s)
{
    health_log(container_of(s, struct state_signal, signal)->envd);
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

static void
log_identity(const struct envd *e)
{
    struct log_line line;

    if (!log_begin(&line, LOG_LEVEL_INFO, "envd"))
        return;
    log_str(&line, "version", ENVD_VERSION);
    if (e->options.commit != NULL)
        log_str(&line, "commit", e->options.commit);
    log_end(&line, "The agent begins");
}

int
envd_run(struct envd *e)
{
    struct stop_signal term = {.loop = e->loop};
    struct stop_signal interrupt = {.loop = e->loop};
    struct state_signal state = {.envd = e};
    const char *pid_file = e->options.pid_file;
    int r;

    loop_signal_init(e->loop, &term.signal, SIGTERM, on_stop);
    loop_signal_init(e->loop, &interrupt.signal, SIGINT, on_stop);
    loop_signal_init(e->loop, &state.signal, SIGUSR1, on_state);
    if (!fsfreeze_frozen(e->fsfreeze))
        write_pid_file(pid_file);
    log_identity(e);
    listeners_ready(e);
    r = loop_run(e->loop);
    service_stopping(e->service);
    if (pid_file != NULL && !fsfreeze_frozen(e->fsfreeze))
        (void)unlink(pid_file);
    loop_signal_done(&term.signal);
    loop_signal_done(&interrupt.signal);
    loop_signal_done(&state.signal);
    return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

void
envd_free(struct envd *e)
{
    if (e == NULL)
        return;
    listeners_close(e);
    origin_free(e->origin);
    /* Connections first: their calls hold readers, inputs and jobs. */
    http_server_close(e->http);
    loop_run_deferred(e->loop);
    init_service_close(e->init);
    polled_table_free(e->polled);
    freezer_stop(e->freezer);
    worker_pool_free(e->workers);
    mmds_free(e->mmds);
    free_init(e);
    freezer_free(e->freezer);
    fsfreeze_free(e->fsfreeze);
    ports_free(e->ports);
    clock_watch_free(e->clock);
    process_table_free(e->processes);
    cgroups_close(e->cgroups);
    loop_run_deferred(e->loop);
    watch_hub_free(e->watches);
    http_server_free(e->http);
    metrics_free(e->metrics);
    cpu_sampler_free(e->cpu);
    guest_settings_free(e->settings);
    access_token_free(e->token);
    user_db_free(e->users);
    profiles_free(e->profiles);
    service_free(e->service);
    log_exporter_free(e->exporter);
    mime_types_free(e->types);
    loop_free(e->loop);
    spawner_stop();
    free(e);
}
