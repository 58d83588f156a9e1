/*
 * What the agent does against being read: no core, no tracing, no secrets in
 * its environment.
 */
#ifndef ENVD_SECURITY_SELF_H
#define ENVD_SECURITY_SELF_H

/*
 * Have neither cores nor, for any but root, a memory to look at: soft limit on
 * cores 0, and not dumpable.  The latter only as root, since /proc/self then
 * is root's, and not with sanitizers, whose leak check traces the process.
 *
 * To be called after spawn_init(), which notes what children get back.
 * Context: start-up.  Rule: the contract's section on seccomp, tier 0.
 */
void self_protect(void);

/*
 * Forget all variables but PATH, those of the service manager (NOTIFY_SOCKET,
 * WATCHDOG_*, LISTEN_*) and our own (ENVD_*), and wipe their values.  Nothing
 * may hold pointers to those.  Context: start-up, one thread that uses them.
 */
void self_scrub_environment(void);

#endif
