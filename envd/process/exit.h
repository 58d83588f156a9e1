/*
 * What a wait status means, in the words of the contract.
 */
#ifndef ENVD_PROCESS_EXIT_H
#define ENVD_PROCESS_EXIT_H

#include <stdbool.h>
#include <sys/resource.h>

struct process_exit;

/*
 * Fill *ret from what wait4(2) said, with CPU time and memory of what was
 * waited for.  `error` may point into *ret, which must
 * not be copied or moved.
 *
 * wait_status  as of wait4(2)
 * usage        copied
 * deadline     the deadline had fired before the process ended
 *
 * Context: any.  Rule: the contract's table of end events.
 */
void process_exit_set(struct process_exit *ret, int wait_status,
                      const struct rusage *usage, bool deadline);

/* Fill *ret for a process whose status could not be had. */
void process_exit_set_unknown(struct process_exit *ret, bool deadline);

#endif
