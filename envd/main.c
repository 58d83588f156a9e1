/*
 * Options.  The command line has the names and the manners of Go's flag
 * package: one dash or two, `-f v` or `-f=v`, booleans bare or `-f=bool`.
 * What it does not say is as the environment says (ENVD_PORT), else as the
 * file does, else as envd_options_init() has it.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/scope.h"
#include "base/status.h"
#include "base/str.h"
#include "envd.h"
#include "guest/config.h"
#include "init/init.h"
#include "limits.h"
#include "watch/watch.h"

#define EXIT_USAGE    2
#define CONFIG_FILE   "/etc/envd.conf"
#define CMDLINE_BYTES ((size_t)64 * 1024)

struct command_line {
    struct envd_options envd;
    struct init_options init;
    /* From here on for the command line alone. */
    const char *config;
    bool be_init;
    bool version;
    bool commit;
    bool check_config;
    bool dump_config;
    bool help;
};

#define OPTIONS_END offsetof(struct command_line, config)

enum flag_kind {
    FLAG_BOOL,
    FLAG_PORT,
    FLAG_STRING,
    FLAG_BYTES, /* size_t */
    FLAG_MS,    /* int64_t */
    FLAG_WORD,  /* an enum: one of two or three words */
};

struct flag {
    const char *name;
    enum flag_kind kind;
    size_t offset; /* into struct command_line */
    const char *help;
    int64_t min; /* FLAG_MS */
    const char *words[3];
};

#define AT(field) offsetof(struct command_line, field)

#define DAY_MS   ((int64_t)24 * 3600 * 1000)
#define RING_MIN ((uint64_t)64 * 1024)
#define RING_MAX ((uint64_t)1 << 32)

#define FLAG(name_, kind_, field, ...)                                     \
    {                                                                      \
        .name = (name_), .kind = (kind_), .offset = AT(field), __VA_ARGS__ \
    }

static const struct flag flags[] = {
    FLAG("cgroup-root", FLAG_STRING, envd.cgroup_root,
         .help = "cgroup v2 mount point (default /sys/fs/cgroup)"),
    FLAG("check-config", FLAG_BOOL, check_config,
         .help = "say what is wrong in the file and the environment and exit"),
    FLAG("commit", FLAG_BOOL, commit, .help = "print the commit and exit"),
    FLAG("config", FLAG_STRING, config,
         .help = "file of options (default " CONFIG_FILE ")"),
    FLAG("dump-config", FLAG_BOOL, dump_config,
         .help = "print options and limits and exit"),
    FLAG("file-access", FLAG_WORD, envd.file_access,
         .help = "with whose rights files are touched: compat (the user's, "
                 "then root's) or caller (default compat)",
         .words = {"compat", "caller"}),
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

static void
usage(const char *program)
{
    (void)fprintf(stderr, "Usage of %s:\n", program);
    for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
        static const char *const operand[] = {
            [FLAG_BOOL] = "",          [FLAG_PORT] = " int",
            [FLAG_STRING] = " string", [FLAG_BYTES] = " int",
            [FLAG_MS] = " int",        [FLAG_WORD] = " string",
        };

        if (flags[i].help != NULL)
            (void)fprintf(stderr, "  -%s%s\n    \t%s\n", flags[i].name,
                          operand[flags[i].kind], flags[i].help);
    }
}

static bool
parse_bool(const char *value, bool *ret)
{
    static const char *const yes[] = {"1", "t", "T", "true", "TRUE", "True"};
    static const char *const no[] = {"0", "f", "F", "false", "FALSE", "False"};

    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        if (strcmp(value, yes[i]) == 0 || strcmp(value, no[i]) == 0) {
            *ret = strcmp(value, yes[i]) == 0;
            return true;
        }
    }
    return false;
}

static bool
parse_bytes(const char *value, size_t *ret)
{
    uint64_t number;

    if (str_to_u64(str_from(value), RING_MAX, &number) < 0 || number < RING_MIN)
        return false;
    *ret = (size_t)number;
    return true;
}

static bool
parse_ms(const char *value, int64_t min, int64_t *ret)
{
    int64_t number;

    if (str_to_i64(str_from(value), &number) != 0 || number < min ||
        number > DAY_MS)
        return false;
    *ret = number;
    return true;
}

static bool
parse_word(const char *value, const char *const words[3], unsigned int *ret)
{
    for (unsigned int i = 0; i < 3 && words[i] != NULL; i++) {
        if (strcmp(value, words[i]) == 0) {
            *ret = i;
            return true;
        }
    }
    return false;
}

static bool
set_flag(struct command_line *cl, const struct flag *f, const char *value)
{
    void *field = (char *)cl + f->offset;
    uint64_t number;

    switch (f->kind) {
    case FLAG_BOOL:
        return parse_bool(value, field);
    case FLAG_BYTES:
        return parse_bytes(value, field);
    case FLAG_MS:
        return parse_ms(value, f->min, field);
    case FLAG_WORD:
        return parse_word(value, f->words, field);
    case FLAG_PORT:
        if (str_to_u64(str_from(value), UINT16_MAX, &number) < 0)
            return false;
        *(uint16_t *)field = (uint16_t)number;
        return true;
    case FLAG_STRING:
        *(const char **)field = value;
        return true;
    }
    return false;
}

static const struct flag *
find_flag(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(flags); i++)
        if (str_eq(name, flags[i].name))
            return &flags[i];
    return NULL;
}

/*
 * Take one flag, and its value when that is a word of its own.  Returns the
 * words taken, 0 at the first that is no flag, -1 after having complained.
 */
static int
parse_flag(struct command_line *cl, char **words)
{
    const char *text = words[0];
    const struct flag *f;
    const char *value;
    struct str name;
    int taken = 1;

    if (text[0] != '-' || text[1] == '\0' || strcmp(text, "--") == 0)
        return 0;
    text += text[1] == '-' ? 2 : 1;
    name = (struct str){text, strcspn(text, "=")};
    value = text[name.len] == '=' ? text + name.len + 1 : NULL;
    f = find_flag(name);
    if (f == NULL) {
        (void)fprintf(stderr, "flag provided but not defined: -%s\n", text);
        return -1;
    }
    if (value == NULL && f->kind == FLAG_BOOL)
        value = "true";
    if (value == NULL) {
        value = words[1];
        taken = 2;
    }
    if (value == NULL) {
        (void)fprintf(stderr, "flag needs an argument: -%s\n", f->name);
        return -1;
    }
    if (!set_flag(cl, f, value)) {
        (void)fprintf(stderr, "invalid value \"%s\" for flag -%s\n", value,
                      f->name);
        return -1;
    }
    return taken;
}

static void
dump_flag(const struct command_line *cl, const struct flag *f)
{
    const void *field = (const char *)cl + f->offset;

    switch (f->kind) {
    case FLAG_BOOL:
        (void)printf("%s = %s\n", f->name,
                     *(const bool *)field ? "true" : "false");
        break;
    case FLAG_PORT:
        (void)printf("%s = %u\n", f->name, *(const uint16_t *)field);
        break;
    case FLAG_STRING:
        if (*(const char *const *)field != NULL)
            (void)printf("%s = %s\n", f->name, *(const char *const *)field);
        break;
    case FLAG_BYTES:
        (void)printf("%s = %zu\n", f->name, *(const size_t *)field);
        break;
    case FLAG_MS:
        (void)printf("%s = %lld\n", f->name,
                     (long long)*(const int64_t *)field);
        break;
    case FLAG_WORD:
        (void)printf("%s = %s\n", f->name,
                     f->words[*(const unsigned int *)field]);
        break;
    }
}

static void
dump_config(const struct command_line *cl)
{
    for (size_t i = 0; i < ARRAY_LEN(flags); i++)
        if (flags[i].offset < OPTIONS_END)
            dump_flag(cl, &flags[i]);
    (void)puts("");
#define X(name, value, unit, what) \
    (void)printf("%-22s %10d %-12s %s\n", #name, LIMIT_##name, unit, what);
    LIMITS_TABLE(X)
#undef X
}

/* ---- the file and the environment ---------------------------------------- */

/* Settings from one place; what is wrong with them is said and left out. */
struct source {
    struct command_line *cl;
    const char *name;
    unsigned int faults;
};

static void
take_setting(void *ctx, unsigned int line, const char *key, const char *value)
{
    struct source *s = ctx;
    const struct flag *f = find_flag(str_from(key));
    const char *fault = NULL;

    if (value == NULL)
        fault = "not of the form key = value";
    else if (f == NULL || f->offset >= OPTIONS_END)
        fault = "no such option";
    else if (!set_flag(s->cl, f, value))
        fault = "invalid value";
    if (fault == NULL)
        return;
    s->faults++;
    (void)fprintf(stderr, "%s:%u: %s: %s\n", s->name, line, key, fault);
}

/* The text stays: values point into it. */
static unsigned int
read_config_file(struct command_line *cl)
{
    static char *text;
    bool named = cl->config != NULL;
    struct source s = {cl, named ? cl->config : CONFIG_FILE, 0};
    int r = config_read(s.name, &text, take_setting, &s);

    if (r == 0 || (r == -ENOENT && !named))
        return s.faults;
    (void)fprintf(stderr, "%s: %s\n", s.name,
                  r == -EPERM ? "ignored: not a file that root alone can write"
                              : errno_text(-r));
    return s.faults + 1;
}

static unsigned int
read_environment(struct command_line *cl)
{
    unsigned int faults = 0;

    for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
        char name[64];
        const char *value;

        if (flags[i].offset >= OPTIONS_END)
            continue;
        config_variable(flags[i].name, name, sizeof(name));
        value = getenv(name);
        if (value == NULL || set_flag(cl, &flags[i], value))
            continue;
        faults++;
        (void)fprintf(stderr, "%s: invalid value\n", name);
    }
    return faults;
}

/* Options on the kernel's command line count as if the environment had them. */
static void
take_kernel_option(void *ctx, unsigned int line, const char *key,
                   const char *value)
{
    char name[64];

    (void)ctx;
    (void)line;
    if (strlen(key) + sizeof("ENVD_") > sizeof(name))
        return;
    config_variable(key, name, sizeof(name));
    (void)setenv(name, value, 0);
}

static void
read_kernel_options(void)
{
    SCOPE(scope_free) char *text = NULL;

    if (fd_read_file("/proc/cmdline", CMDLINE_BYTES, &text, NULL) == 0)
        config_parse_kernel(text, take_kernel_option, NULL);
}

/* ---- starting ------------------------------------------------------------ */

static void
options_init(struct command_line *cl)
{
    *cl = (struct command_line){
        .init = {.start_restart = INIT_RESTART_ON_FAILURE, .stop_ms = 5000},
        .be_init = getpid() == 1,
    };
    envd_options_init(&cl->envd);
}

/* Returns how many words are flags and their values, -1: one is wrong. */
static int
parse_flags(struct command_line *cl, int argc, char **argv)
{
    int taken;
    int i;

    for (i = 1; i < argc; i += taken) {
        taken = parse_flag(cl, argv + i);
        if (taken < 0)
            return -1;
        if (taken == 0)
            break;
    }
    return i - 1;
}

/* What only prints: true, and nothing is to be started. */
static bool
print_only(const struct command_line *cl, const char *program)
{
    if (cl->help)
        usage(program);
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

    options_init(&cl);
    flag_count = parse_flags(&cl, argc, argv);
    if (flag_count < 0) {
        usage(argv[0]);
        return EXIT_USAGE;
    }
    if (print_only(&cl, argv[0]))
        return EXIT_SUCCESS;
    if (cl.be_init && getpid() != 1) {
        (void)fprintf(stderr, "-init: this is not the first process\n");
        return EXIT_USAGE;
    }
    if (cl.be_init && !cl.check_config && !cl.dump_config) {
        init_prepare(argv, !cl.envd.no_cgroups);
        read_kernel_options();
    }
    faults = read_config_file(&cl) + read_environment(&cl);
    (void)parse_flags(&cl, argc, argv); /* these count most */
    if (cl.check_config)
        return faults == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    if (cl.dump_config) {
        dump_config(&cl);
        return EXIT_SUCCESS;
    }
    if (cl.be_init)
        run_init(&cl, argv, flag_count);
    e = envd_new(&cl.envd);
    if (e == NULL)
        return EXIT_FAILURE;
    status = envd_run(e);
    envd_free(e);
    return status;
}
