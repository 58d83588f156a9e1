/*
 * Tier 0: against reading the agent's memory, by accident or otherwise.
 */
#include "security/self.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/scope.h"
#include "security/seccomp.h"

void
self_protect(void)
{
    struct rlimit core;

    /* The hard one stays, so that children get theirs back without root. */
    if (getrlimit(RLIMIT_CORE, &core) == 0) {
        core.rlim_cur = 0;
        (void)setrlimit(RLIMIT_CORE, &core);
    }
    if (geteuid() == 0 && seccomp_default_mode() != SECCOMP_OFF)
        (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

static bool
is_kept(const char *var)
{
    static const char *const kept[] = {"PATH=", "NOTIFY_SOCKET=", "WATCHDOG_",
                                       "LISTEN_", "ENVD_"};

    for (size_t i = 0; i < ARRAY_LEN(kept); i++)
        if (strncmp(var, kept[i], strlen(kept[i])) == 0)
            return true;
    return false;
}

void
self_scrub_environment(void)
{
    size_t used = 0;

    for (size_t i = 0; environ[i] != NULL; i++) {
        if (is_kept(environ[i]))
            environ[used++] = environ[i];
        else
            explicit_bzero(environ[i], strlen(environ[i]));
    }
    environ[used] = NULL;
}
