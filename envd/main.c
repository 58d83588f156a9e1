/*
 * The command line, with the names and the manners of Go's flag package:
 * one dash or two, `-f v` or `-f=v`, booleans bare or `-f=bool`.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/scope.h"
#include "base/str.h"
#include "envd.h"
#include "limits.h"

#define EXIT_USAGE 2

struct command_line {
    struct envd_options envd;
    bool version;
    bool commit;
    bool dump_config;
    bool help;
};

enum flag_kind {
    FLAG_BOOL,
    FLAG_PORT,
    FLAG_STRING,
    FLAG_BYTES, /* size_t */
    FLAG_MS,    /* int64_t */
    FLAG_WORD,  /* an enum: one of two words */
};

struct flag {
    const char *name;
    enum flag_kind kind;
    size_t offset; /* into struct command_line */
    const char *help;
    int64_t min; /* FLAG_MS */
    const char *words[2];
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
    FLAG("commit", FLAG_BOOL, commit, .help = "print the commit and exit"),
    FLAG("dump-config", FLAG_BOOL, dump_config,
         .help = "print options and limits and exit"),
    FLAG("file-access", FLAG_WORD, envd.file_access,
         .help = "with whose rights files are touched: compat (the user's, "
                 "then root's) or caller (default compat)",
         .words = {"compat", "caller"}),
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
parse_word(const char *value, const char *const words[2], unsigned int *ret)
{
    for (unsigned int i = 0; i < 2; i++) {
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
        if (flags[i].offset < sizeof(cl->envd))
            dump_flag(cl, &flags[i]);
    (void)puts("");
#define X(name, value, unit, what) \
    (void)printf("%-22s %10d %-12s %s\n", #name, LIMIT_##name, unit, what);
    LIMITS_TABLE(X)
#undef X
}

int
main(int argc, char **argv)
{
    struct command_line cl = {0};
    struct envd *e;
    int taken;
    int status;

    envd_options_init(&cl.envd);
    for (int i = 1; i < argc; i += taken) {
        taken = parse_flag(&cl, argv + i);
        if (taken == 0)
            break;
        if (taken < 0) {
            usage(argv[0]);
            return EXIT_USAGE;
        }
    }
    if (cl.help) {
        usage(argv[0]);
        return EXIT_SUCCESS;
    }
    if (cl.version) {
        (void)puts(ENVD_VERSION);
        return EXIT_SUCCESS;
    }
    if (cl.commit) {
        (void)puts(ENVD_COMMIT);
        return EXIT_SUCCESS;
    }
    if (cl.dump_config) {
        dump_config(&cl);
        return EXIT_SUCCESS;
    }
    e = envd_new(&cl.envd);
    if (e == NULL)
        return EXIT_FAILURE;
    status = envd_run(e);
    envd_free(e);
    return status;
}
