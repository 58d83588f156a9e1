/*
 * Options from elsewhere: the file, the environment, the kernel's command line.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/scope.h"
#include "base/status.h"
#include "guest/config.h"
#include "options.h"

#define CMDLINE_BYTES ((size_t)64 * 1024)

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
    const struct flag *f = option_find(str_from(key));
    const char *fault = NULL;

    if (value == NULL)
        fault = "not of the form key = value";
    else if (f == NULL || !option_is_setting(f))
        fault = "no such option";
    else if (!option_set(s->cl, f, value))
        fault = "invalid value";
    if (fault == NULL)
        return;
    s->faults++;
    (void)fprintf(stderr, "%s:%u: %s: %s\n", s->name, line, key, fault);
}

/* The text stays: values point into it. */
unsigned int
options_read_file(struct command_line *cl)
{
    static char *text;
    bool named = cl->config != NULL;
    struct source s = {cl, named ? cl->config : OPTIONS_FILE, 0};
    int r = config_read(s.name, &text, take_setting, &s);

    if (r == 0 || (r == -ENOENT && !named))
        return s.faults;
    (void)fprintf(stderr, "%s: %s\n", s.name,
                  r == -EPERM ? "ignored: not a file that root alone can write"
                              : errno_text(-r));
    return s.faults + 1;
}

unsigned int
options_read_environment(struct command_line *cl)
{
    unsigned int faults = 0;

    for (size_t i = 0; i < option_flag_count; i++) {
        char name[64];
        const char *value;

        if (!option_is_setting(&option_flags[i]))
            continue;
        config_variable(option_flags[i].name, name, sizeof(name));
        value = getenv(name);
        if (value == NULL || option_set(cl, &option_flags[i], value))
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

void
options_read_kernel(void)
{
    SCOPE(scope_free) char *text = NULL;

    if (fd_read_file("/proc/cmdline", CMDLINE_BYTES, &text, NULL) == 0)
        config_parse_kernel(text, take_kernel_option, NULL);
}
