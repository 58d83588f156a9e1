/*
 * The agent: everything that lives as long as the process, in one struct.
 * Included by main.c, envd.c and api/ only.
 */
#ifndef ENVD_ENVD_H
#define ENVD_ENVD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/listeners.h"
#include "connect/call.h"
#include "process/process.h"
#include "security/seccomp.h"

struct access_token;
struct ca_bundle;
struct cgroups;
struct clock_watch;
struct cpu_sampler;
struct freezer;
struct fsfreeze;
struct guest_settings;
struct hooks;
struct hosts;
struct http_exchange;
struct http_server;
struct init_service;
struct log_exporter;
struct loop;
struct metrics;
struct mime_types;
struct mmds;
struct origin;
struct polled_table;
struct ports;
struct profiles;
struct service;
struct user_db;
struct volumes;
struct watch_hub;
struct worker_pool;

/* With whose rights file work is done that its user has none for. */
enum file_access {
    FILE_ACCESS_COMPAT, /* root's, along links that nobody can have planted */
    FILE_ACCESS_CALLER, /* nobody's */
};

/* From where control routes are answered. */
enum control_from {
    CONTROL_AUTO,    /* OUTSIDE in Firecracker mode, else ANYONE */
    CONTROL_ANYONE,  /* from everywhere */
    CONTROL_OUTSIDE, /* from outside of the machine */
};

/* What the command line decides. */
struct envd_options {
    bool not_firecracker;         /* -isnotfc */
    bool no_cgroups;              /* -no-cgroups */
    bool verbose;                 /* -verbose: log lines on stdout */
    uint16_t port;                /* -port */
    const char *cgroup_root;      /* -cgroup-root */
    const char *mmds_address;     /* -mmds-address */
    bool no_forward;              /* -no-forward */
    const char *forward_address;  /* -forward-address: NULL: the sandbox's */
    const char *pid_file;         /* -pid-file: written while it serves; NULL */
    const char *freeze_mount;     /* -fs-freeze-mount, hidden: instead of / */
    enum process_replay replay;   /* -replay: where a Connect begins that does
                                     not say so itself; NOW or RESUME */
    enum file_access file_access; /* -file-access */
    enum control_from control_from; /* -control-from */
    const char *listen_unix;        /* -listen-unix; NULL: none */
    uint16_t listen_vsock;          /* -listen-vsock; 0: our port, where there
                                       is a device and the machine is ours */
    const char *commit;             /* what it was built from; NULL: unknown */
    enum seccomp_mode seccomp;      /* -seccomp */
    const char *seccomp_profiles;   /* -seccomp-profiles: a directory */
    struct process_settings process;
};

/* Fill in what holds when the command line says nothing. */
void envd_options_init(struct envd_options *o);

struct envd {
    struct envd_options options;
    struct loop *loop;
    struct worker_pool *workers;
    struct http_server *http;
    struct listeners listeners;
    struct origin *origin;
    struct rpc_server rpc;
    struct cgroups *cgroups; /* NULL: commands are not placed */
    struct freezer *freezer;
    struct process_table *processes;
    struct watch_hub *watches;
    struct polled_table *polled; /* watchers that clients poll */
    struct profiles *profiles;   /* of system calls, for commands */
    struct user_db *users;
    struct access_token *token;
    struct guest_settings *settings; /* variables, default user and workdir */
    struct mmds *mmds;               /* NULL with -isnotfc, as the next one */
    struct log_exporter *exporter;   /* of log lines, to the host */
    struct cpu_sampler *cpu;
    struct init_service *init;
    /* Parts that POST /init goes to; each may be missing. */
    struct ca_bundle *ca;
    struct volumes *volumes;
    struct hosts *hosts;
    struct hooks *hooks;
    struct metrics *metrics;
    int64_t started_ms;          /* by loop_now_ms() */
    size_t uploads;              /* running */
    unsigned int archives;       /* being packed and unpacked for clients */
    struct service *service;     /* what has started us */
    struct fsfreeze *fsfreeze;   /* of the root file system */
    struct mime_types *types;    /* NULL until a download has read them */
    unsigned int downloads_gzip; /* those that compress */
    struct clock_watch *clock;   /* NULL: nobody sees it being set */
    struct ports *ports;         /* found open, and forwarded */
    unsigned int port_followers; /* streams that tell of them */
};

/*
 * Build the agent and listen.  Returns NULL after having said why on stderr.
 */
struct envd *envd_new(const struct envd_options *options);

/* Serve until a signal asks to end.  Returns the exit status. */
int envd_run(struct envd *e);

void envd_free(struct envd *e);

#endif
