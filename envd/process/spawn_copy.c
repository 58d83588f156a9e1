/*
 * A spec in short, for the words of a failure.
 */
#include "process/spawn_copy.h"

#include <stdlib.h>
#include <string.h>

#include "base/scope.h"
#include "limits.h"

/* No message is longer, so no more is needed of any string, or of all. */
#define TEXT_BYTES ((size_t)LIMIT_RPC_ERROR_TEXT_BYTES)

static const char *
copy_text(char **at, const char *text)
{
    size_t len = strnlen(text, TEXT_BYTES);
    char *copy = *at;

    memcpy(copy, text, len);
    copy[len] = '\0';
    *at += len + 1;
    return copy;
}

struct spawn_spec *
spawn_spec_copy(const struct spawn_spec *spec)
{
    size_t text =
        strnlen(spec->cmd, TEXT_BYTES) + strnlen(spec->cwd, TEXT_BYTES) + 2;
    size_t total = 0;
    size_t count = 0;
    struct spawn_spec *copy;
    const char **args;
    char *at;

    while (count < spec->arg_count && total <= TEXT_BYTES) {
        total += strnlen(spec->args[count], TEXT_BYTES) + 1;
        count++;
    }
    copy = malloc(sizeof(*copy) + count * sizeof(*args) + text + total);
    if (copy == NULL)
        return NULL;
    args = (const char **)(void *)(copy + 1);
    at = (char *)(args + count);
    *copy = *spec;
    copy->cmd = copy_text(&at, spec->cmd);
    copy->cwd = copy_text(&at, spec->cwd);
    for (size_t i = 0; i < count; i++)
        args[i] = copy_text(&at, spec->args[i]);
    copy->args = args;
    copy->arg_count = count;
    copy->env = NULL;
    copy->groups = NULL;
    copy->group_count = 0;
    copy->cgroup_fd = -1;
    return copy;
}
