/*
 * Start and end of processes in the log.
 *
 * Unlike upstream: of the command line only the command and the number of its
 * arguments.
 */
#include "process/journal.h"

#include <stdio.h>
#include <sys/time.h>

#include "base/log.h"
#include "base/now.h"
#include "process/table.h"

/* Bytes of a command that are logged. */
#define COMMAND_BYTES 256

static void
log_command(struct log_line *line, const struct process *p)
{
    char command[COMMAND_BYTES];

    (void)snprintf(command, sizeof(command), "%s", p->life->spec->cmd);
    log_u64(line, "pid", (uint64_t)p->pid);
    log_str(line, "command", command);
    log_u64(line, "args", p->life->arg_count);
}

void
journal_start(const struct process *p)
{
    struct log_line line;

    if (!log_begin(&line, LOG_LEVEL_INFO, "process"))
        return;
    log_str(&line, "event_type", "process_start");
    log_command(&line, p);
    log_i64(&line, "request_timeout_ms", p->life->deadline_ms);
    log_end(&line, "Process with pid %d started", (int)p->pid);
}

void
journal_end(const struct process *p)
{
    const struct rusage *usage = &p->exit.usage;
    struct log_line line;

    if (!log_begin(&line, LOG_LEVEL_INFO, "process"))
        return;
    log_str(&line, "event_type", "process_end");
    log_u64(&line, "pid", (uint64_t)p->pid);
    log_i64(&line, "exit_code", p->exit.exit_code);
    log_bool(&line, "exited", p->exit.exited);
    log_str(&line, "status", p->exit.status);
    if (p->exit.error != NULL)
        log_str(&line, "error", p->exit.error);
    log_u64(&line, "stdout_bytes", p->output.bytes[PROCESS_STDOUT]);
    log_u64(&line, "stderr_bytes", p->output.bytes[PROCESS_STDERR]);
    log_u64(&line, "pty_bytes", p->output.bytes[PROCESS_PTY]);
    log_u64(&line, "user_us", timeval_us(&usage->ru_utime));
    log_u64(&line, "system_us", timeval_us(&usage->ru_stime));
    log_u64(&line, "cpu_us", p->exit.cpu_us);
    log_u64(&line, "peak_bytes", p->exit.peak_bytes);
    log_bool(&line, "oom_killed", p->exit.oom_killed);
    log_bool(&line, "deadline", p->exit.deadline);
    log_end(&line, "Process with pid %d ended", (int)p->pid);
}

void
journal_failure(const struct process *p, const char *stage)
{
    struct log_line line;

    if (!log_begin(&line, LOG_LEVEL_WARN, "process"))
        return;
    log_command(&line, p);
    log_str(&line, "stage", stage);
    log_str(&line, "error", status_message(&p->failure));
    log_end(&line, "Process with pid %d could not be started", (int)p->pid);
}
