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
};

struct flag {
    const char *name;
    enum flag_kind kind;
    size_t offset; /* into struct command_line */
    const char *help;
};

#define AT(field) offsetof(struct command_line, field)

static const struct flag flags[] = {
    {"cgroup-root", FLAG_STRING, AT(envd.cgroup_root),
     "cgroup v2 mount point (default /sys/fs/cgroup)"},
    {"commit", FLAG_BOOL, AT(commit), "print the commit and exit"},
    {"dump-config", FLAG_BOOL, AT(dump_config),
     "print options and limits and exit"},
    {"isnotfc", FLAG_BOOL, AT(envd.not_firecracker),
     "do not expect Firecracker's metadata service"},
    {"no-cgroups", FLAG_BOOL, AT(envd.no_cgroups), "leave cgroups alone"},
    {"port", FLAG_PORT, AT(envd.port), "port to listen on (default 49983)"},
    {"verbose", FLAG_BOOL, AT(envd.verbose), "log to standard output"},
    {"version", FLAG_BOOL, AT(version), "print the version and exit"},
    {"h", FLAG_BOOL, AT(help), NULL},
    {"help", FLAG_BOOL, AT(help), "print this and exit"},
};

static void
usage(const char *program)
{
    (void)fprintf(stderr, "Usage of %s:\n", program);
    for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
        static const char *const operand[] = {
            [FLAG_BOOL] = "",
            [FLAG_PORT] = " int",
            [FLAG_STRING] = " string",
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
set_flag(struct command_line *cl, const struct flag *f, const char *value)
{
    char *field = (char *)cl + f->offset;
    uint64_t number;

    switch (f->kind) {
    case FLAG_BOOL:
        return parse_bool(value, (bool *)field);
    case FLAG_PORT:
        if (str_to_u64(str_from(value), UINT16_MAX, &number) < 0)
            return false;
        *(uint16_t *)(void *)field = (uint16_t)number;
        return true;
    case FLAG_STRING:
        *(const char **)(void *)field = value;
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
dump_config(const struct envd_options *o)
{
    (void)printf("cgroup-root = %s\nisnotfc = %s\nno-cgroups = %s\nport = %u\n"
                 "verbose = %s\n\n",
                 o->cgroup_root, o->not_firecracker ? "true" : "false",
                 o->no_cgroups ? "true" : "false", o->port,
                 o->verbose ? "true" : "false");
#define X(name, value, unit, what) \
    (void)printf("%-22s %10d %-12s %s\n", #name, LIMIT_##name, unit, what);
    LIMITS_TABLE(X)
#undef X
}

int
main(int argc, char **argv)
{
    struct command_line cl = {
        .envd = {.port = 49983, .cgroup_root = "/sys/fs/cgroup"},
    };
    struct envd *e;
    int taken;
    int status;

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
        dump_config(&cl.envd);
        return EXIT_SUCCESS;
    }
    e = envd_new(&cl.envd);
    if (e == NULL)
        return EXIT_FAILURE;
    status = envd_run(e);
    envd_free(e);
    return status;
}
