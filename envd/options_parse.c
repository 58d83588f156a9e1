/*
 * Flags as words: reading them, and writing them down.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/scope.h"
#include "limits.h"
#include "options.h"

#define DAY_MS   ((int64_t)24 * 3600 * 1000)
#define RING_MIN ((uint64_t)64 * 1024)
#define RING_MAX ((uint64_t)1 << 32)

void
options_usage(const char *program)
{
    (void)fprintf(stderr, "Usage of %s:\n", program);
    for (size_t i = 0; i < option_flag_count; i++) {
        static const char *const operand[] = {
            [FLAG_BOOL] = "",          [FLAG_PORT] = " int",
            [FLAG_STRING] = " string", [FLAG_BYTES] = " int",
            [FLAG_MS] = " int",        [FLAG_WORD] = " string",
        };

        if (option_flags[i].help != NULL)
            (void)fprintf(stderr, "  -%s%s\n    \t%s\n", option_flags[i].name,
                          operand[option_flags[i].kind], option_flags[i].help);
    }
}

bool
option_is_setting(const struct flag *f)
{
    return f->help != NULL && f->offset < OPTIONS_END;
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

bool
option_set(struct command_line *cl, const struct flag *f, const char *value)
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

const struct flag *
option_find(struct str name)
{
    for (size_t i = 0; i < option_flag_count; i++)
        if (str_eq(name, option_flags[i].name))
            return &option_flags[i];
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
    f = option_find(name);
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
    if (!option_set(cl, f, value)) {
        (void)fprintf(stderr, "invalid value \"%s\" for flag -%s\n", value,
                      f->name);
        return -1;
    }
    return taken;
}

int
options_parse(struct command_line *cl, int argc, char **argv)
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

/* Name, unit and reason of each limit, one behind the other: no pointers. */
#define X(name, value, unit, what) #name "\0" unit "\0" what "\0"
static const char limit_texts[] = LIMITS_TABLE(X);
#undef X

#define X(name, value, unit, what) LIMIT_##name,
static const int limit_values[] = {LIMITS_TABLE(X)};
#undef X

void
options_dump(const struct command_line *cl)
{
    const char *at = limit_texts;

    for (size_t i = 0; i < option_flag_count; i++)
        if (option_is_setting(&option_flags[i]))
            dump_flag(cl, &option_flags[i]);
    (void)puts("");
    for (size_t i = 0; i < ARRAY_LEN(limit_values); i++) {
        const char *unit = at + strlen(at) + 1;
        const char *what = unit + strlen(unit) + 1;

        (void)printf("%-22s %10d %-12s %s\n", at, limit_values[i], unit, what);
        at = what + strlen(what) + 1;
    }
}
