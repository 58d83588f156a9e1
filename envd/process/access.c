/*
 * What others see of a process: its facts, its readers, its input.
 */
#include <errno.h>

#include "process/process.h"
#include "process/table.h"

uint32_t
process_pid(const struct process *p)
{
    return (uint32_t)p->pid;
}

uint64_t
process_serial(const struct process *p)
{
    return p->serial;
}

const char *
process_tag(const struct process *p)
{
    return p->tag;
}

void *
process_config(const struct process *p)
{
    return p->config;
}

bool
process_has_pty(const struct process *p)
{
    return p->pty;
}

int
process_attach(struct process *p, struct process_reader *r,
               enum process_replay replay, uint64_t from, struct status *st)
{
    int ret = reader_attach(&p->output, r, replay, from, st);

    if (ret == 0)
        r->process = p;
    return ret;
}

void
process_reader_next(struct process_reader *r, size_t max,
                    struct process_event *ret)
{
    reader_next(&r->process->output, r, max, ret);
}

void
process_detach(struct process_reader *r)
{
    struct process *p = r->process;

    if (p == NULL)
        return;
    reader_detach(&p->output, r);
    r->process = NULL;
    if (!process_is_live(p))
        process_sweep_later(p);
}

int
process_input(struct process *p, struct process_input *in, struct status *st)
{
    int r;

    in->process = NULL;
    in->written = 0;
    if (p->life == NULL)
        return input_fail_ended((uint32_t)p->pid, p->pty, in, st);
    r = input_add(&p->life->input, in, st);
    if (r == 0)
        in->process = p;
    return r;
}

void
process_input_cancel(struct process_input *in)
{
    if (in->process != NULL)
        input_remove(&in->process->life->input, in);
}

int
process_resize(struct process *p, uint32_t cols, uint32_t rows,
               struct status *st)
{
    int r;

    if (!p->pty)
        return status_set(st, RPC_INTERNAL,
                          "error resizing tty: tty not assigned to process");
    if (p->life == NULL || p->life->input.fd < 0)
        return status_set(st, RPC_INTERNAL,
                          "error resizing tty: file already closed");
    r = pty_resize(p->life->input.fd, cols, rows);
    if (r < 0)
        return status_errno(st, RPC_INTERNAL, -r, "error resizing tty");
    return 0;
}
