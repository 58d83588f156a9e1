/*
 * The lines that tell of processes in the log: counts and sizes, never
 * arguments, variables or data.
 */
#ifndef ENVD_PROCESS_JOURNAL_H
#define ENVD_PROCESS_JOURNAL_H

struct process;

/* Its command runs. */
void journal_start(const struct process *p);

/* It has ended. */
void journal_end(const struct process *p);

/* It never ran: `stage` is where that failed. */
void journal_failure(const struct process *p, const char *stage);

#endif
