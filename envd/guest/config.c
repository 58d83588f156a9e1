/*
 * Lines and words of settings.
 */
#include "guest/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/scope.h"
#include "limits.h"

#define PREFIX "envd."

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* The text without blanks at both ends. */
static char *
trim(char *text)
{
    size_t len;

    while (is_blank(*text))
        text++;
    len = strlen(text);
    while (len > 0 && is_blank(text[len - 1]))
        len--;
    text[len] = '\0';
    return text;
}

static char *
unquote(char *text)
{
    size_t len = strlen(text);

    if (len < 2 || text[0] != '"' || text[len - 1] != '"')
        return text;
    text[len - 1] = '\0';
    return text + 1;
}

static void
parse_line(char *text, unsigned int number, config_fn fn, void *ctx)
{
    char *line = trim(text);
    char *equals;

    if (*line == '\0' || *line == '#')
        return;
    equals = strchr(line, '=');
    if (equals == NULL) {
        fn(ctx, number, line, NULL);
        return;
    }
    *equals = '\0';
    fn(ctx, number, trim(line), unquote(trim(equals + 1)));
}

void
config_parse(char *text, config_fn fn, void *ctx)
{
    unsigned int number = 1;

    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        bool last = text[len] == '\0';

        text[len] = '\0';
        parse_line(text, number++, fn, ctx);
        text += len + (last ? 0 : 1);
    }
}

int
config_read(const char *path, char **ret_text, config_fn fn, void *ctx)
{
    SCOPE(scope_free) char *text = NULL;
    struct stat st;
    int r;

    if (stat(path, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || (st.st_uid != 0 && st.st_uid != geteuid()) ||
        (st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return -EPERM;
    r = fd_read_file(path, LIMIT_CONFIG_BYTES, &text, NULL);
    if (r < 0)
        return r;
    config_parse(text, fn, ctx);
    *ret_text = TAKE_PTR(text);
    return 0;
}

/* One word of the kernel's, up to a blank outside of quotes; drops those. */
static char *
next_word(char **text)
{
    char *in = *text + strspn(*text, " \n");
    char *word = in;
    char *out = in;
    bool quoted = false;

    for (; *in != '\0' && (quoted || (*in != ' ' && *in != '\n')); in++) {
        if (*in == '"')
            quoted = !quoted;
        else
            *out++ = *in;
    }
    *text = in + (*in != '\0' ? 1 : 0);
    *out = '\0';
    return word;
}

void
config_parse_kernel(char *text, config_fn fn, void *ctx)
{
    while (*text != '\0') {
        char *word = next_word(&text);
        char *equals = strchr(word, '=');

        if (strncmp(word, PREFIX, strlen(PREFIX)) != 0 || equals == NULL)
            continue;
        *equals = '\0';
        fn(ctx, 1, word + strlen(PREFIX), equals + 1);
    }
}

void
config_variable(const char *option, char *ret, unsigned int size)
{
    char *end = stpcpy(ret, "ENVD_");

    for (; *option != '\0' && end < ret + size - 1; option++) {
        char c = *option;

        if (c == '-')
            c = '_';
        else if (c >= 'a' && c <= 'z')
            c = (char)(c - 'a' + 'A');
        *end++ = c;
    }
    *end = '\0';
}
