/*
 * The flags there are, and what holds when none is given.
 */
#include "options.h"

#include <unistd.h>

#include "base/mem.h"
#include "base/scope.h"
#include "guest/mmds.h"

#define AT(field) offsetof(struct command_line, field)

#define FLAG(name_, kind_, field, ...)                                     \
    {                                                                      \
        .name = (name_), .kind = (kind_), .offset = AT(field), __VA_ARGS__ \
    }

const struct flag option_flags[] = {
    FLAG("cgroup-root", FLAG_STRING, envd.cgroup_root,
         .help = "cgroup v2 mount point (default /sys/fs/cgroup)"),
    FLAG("check-config", FLAG_BOOL, check_config,
         .help = "say what is wrong in the file and the environment and exit"),
    FLAG("commit", FLAG_BOOL, commit, .help = "print the commit and exit"),
    FLAG("config", FLAG_STRING, config,
         .help = "file of options (default " OPTIONS_FILE ")"),
    FLAG("control-from", FLAG_WORD, envd.control_from,
         .help =
             "who may steer the machine (/init, /freeze ...): auto (outside "
             "unless -isnotfc), anyone or outside (default auto)",
         .words = {"auto", "anyone", "outside"}),
    FLAG("dump-config", FLAG_BOOL, dump_config,
         .help = "print options and limits and exit"),
    FLAG("file-access", FLAG_WORD, envd.file_access,
         .help = "with whose rights files are touched: compat (the user's, "
                 "then root's) or caller (default compat)",
         .words = {"compat", "caller"}),
    FLAG("fs-freeze-mount", FLAG_STRING, envd.freeze_mount, .help = NULL),
    FLAG("forward-address", FLAG_STRING, envd.forward_address,
         .help = "where ports of loopback are made reachable (default eth0's "
                 "address, else 169.254.0.21; with -isnotfc the latter)"),
    FLAG("init", FLAG_BOOL, be_init,
         .help = "be the first process of the machine (default: if it is)"),
    FLAG("isnotfc", FLAG_BOOL, envd.not_firecracker,
         .help = "do not expect Firecracker's metadata service"),
    FLAG("kill-scope", FLAG_WORD, envd.process.kill_scope,
         .help =
             "whom kills and deadlines reach: tree or leader (default tree)",
         .words = {"tree", "leader"}),
    FLAG("linger-ms", FLAG_MS, envd.process.linger_ms, .min = -1,
         .help = "wait for output of the background after an exit; -1: for "
                 "ever (default 100)"),
    FLAG("listen-unix", FLAG_STRING, envd.listen_unix,
         .help = "listen on this UNIX socket too, for root alone"),
    FLAG("listen-vsock", FLAG_PORT, envd.listen_vsock,
         .help =
             "listen on this port of vsock too, for the host alone (default "
             "0: -port, where Firecracker gives a vsock device)"),
    FLAG("mmds-address", FLAG_STRING, envd.mmds_address,
         .help = "address of the metadata service (default " MMDS_ADDRESS ")"),
    FLAG("no-cgroups", FLAG_BOOL, envd.no_cgroups,
         .help = "leave cgroups alone"),
    FLAG("no-forward", FLAG_BOOL, envd.no_forward,
         .help = "leave ports of loopback where they are"),
    FLAG("pid-file", FLAG_STRING, envd.pid_file,
         .help = "file for the process id, while it serves"),
    FLAG("port", FLAG_PORT, envd.port,
         .help = "port to listen on (default 49983)"),
    FLAG("replay", FLAG_WORD, envd.replay,
         .help = "where a Connect begins: none or resume (default resume)",
         .words = {"none", "resume"}),
    FLAG("ring-bytes", FLAG_BYTES, envd.process.ring_bytes,
         .help = "recent output kept for one process (default 1048576)"),
    FLAG("rings-bytes", FLAG_BYTES, envd.process.rings_bytes,
         .help = "recent output kept for all (default 67108864)"),
    FLAG("seccomp", FLAG_WORD, envd.seccomp,
         .help = "what comes of calls that the agent's own threads never "
                 "make: on (refused), log or off (default on)",
         .words = {"on", "log", "off"}),
    FLAG("seccomp-profiles", FLAG_STRING, envd.seccomp_profiles,
         .help = "directory of profiles that commands can ask for (default "
                 "/etc/envd/seccomp)"),
    FLAG("stall-ms", FLAG_MS, envd.process.stall_ms, .min = 1,
         .help = "a reader without progress while others wait, before it is "
                 "cut (default 10000)"),
    FLAG("start", FLAG_STRING, init.start,
         .help = "as the first process: a command to run once it serves"),
    FLAG("start-restart", FLAG_WORD, init.start_restart,
         .help = "that again when it ended: no, on-failure or always (default "
                 "on-failure)",
         .words = {"no", "on-failure", "always"}),
    FLAG("stop-ms", FLAG_MS, init.stop_ms,
         .help = "as the first process: from SIGTERM to SIGKILL when the "
                 "machine goes down (default 5000)"),
    FLAG("term-grace-ms", FLAG_MS, envd.process.term_grace_ms,
         .help = "from a SIGTERM to the SIGKILL behind it (default 0: none)"),
    FLAG("verbose", FLAG_BOOL, envd.verbose, .help = "log to standard output"),
    FLAG("version", FLAG_BOOL, version, .help = "print the version and exit"),
    FLAG("h", FLAG_BOOL, help, .help = NULL),
    FLAG("help", FLAG_BOOL, help, .help = "print this and exit"),
};

const size_t option_flag_count = ARRAY_LEN(option_flags);

void
options_init(struct command_line *cl)
{
    *cl = (struct command_line){
        .init = {.start_restart = INIT_RESTART_ON_FAILURE, .stop_ms = 5000},
        .be_init = getpid() == 1,
    };
    envd_options_init(&cl->envd);
}
