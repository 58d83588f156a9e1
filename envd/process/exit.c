/*
 * What a wait status means: exit code, and the texts that clients show.
 */
#include "process/exit.h"

#include <stdint.h>
#include <stdio.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "base/now.h"
#include "base/scope.h"
#include "process/process.h"

/* By signal number; what is missing is called by its number. */
static const char *const signal_names[] = {
    [1] = "hangup",
    [2] = "interrupt",
    [3] = "quit",
    [4] = "illegal instruction",
    [5] = "trace/breakpoint trap",
    [6] = "aborted",
    [7] = "bus error",
    [8] = "floating point exception",
    [9] = "killed",
    [10] = "user defined signal 1",
    [11] = "segmentation fault",
    [12] = "user defined signal 2",
    [13] = "broken pipe",
    [14] = "alarm clock",
    [15] = "terminated",
    [16] = "stack fault",
    [17] = "child exited",
    [18] = "continued",
    [19] = "stopped (signal)",
    [20] = "stopped",
    [21] = "stopped (tty input)",
    [22] = "stopped (tty output)",
    [23] = "urgent I/O condition",
    [24] = "CPU time limit exceeded",
    [25] = "file size limit exceeded",
    [26] = "virtual timer expired",
    [27] = "profiling timer expired",
    [28] = "window changed",
    [29] = "I/O possible",
    [30] = "power failure",
    [31] = "bad system call",
};

static void
set_signal(struct process_exit *ret, int wait_status)
{
    const char *core = WCOREDUMP(wait_status) ? " (core dumped)" : "";
    int signum = WTERMSIG(wait_status);

    ret->exit_code = -1;
    if ((size_t)signum < ARRAY_LEN(signal_names))
        (void)snprintf(ret->status, sizeof(ret->status), "signal: %s%s",
                       signal_names[signum], core);
    else
        (void)snprintf(ret->status, sizeof(ret->status), "signal: signal %d%s",
                       signum, core);
    ret->error = ret->status;
}

void
process_exit_set(struct process_exit *ret, int wait_status,
                 const struct rusage *usage, bool deadline)
{
    *ret = (struct process_exit){
        .deadline = deadline,
        .usage = *usage,
        .cpu_us = timeval_us(&usage->ru_utime) + timeval_us(&usage->ru_stime),
        .peak_bytes = (uint64_t)usage->ru_maxrss * 1024,
    };
    if (!WIFEXITED(wait_status)) {
        set_signal(ret, wait_status);
        return;
    }
    ret->exited = true;
    ret->exit_code = WEXITSTATUS(wait_status);
    (void)snprintf(ret->status, sizeof(ret->status), "exit status %d",
                   (int)ret->exit_code);
    if (ret->exit_code != 0)
        ret->error = ret->status;
    else if (deadline)
        ret->error = "context deadline exceeded";
}

void
process_exit_set_unknown(struct process_exit *ret, bool deadline)
{
    *ret = (struct process_exit){
        .exit_code = -1,
        .deadline = deadline,
        .status = "wait4 error",
        .error = "wait4 error",
    };
}
