/*
 * What the kernel does with a filter: checks it, and runs it on a call.
 */
#ifndef TESTS_UNIT_FILTER_RUN_H
#define TESTS_UNIT_FILTER_RUN_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Whether the kernel would take it: no jump leaves it, and it ends. */
static inline bool
filter_is_valid(const struct sock_fprog *p)
{
    if (p->len == 0 || p->len > BPF_MAXINSNS)
        return false;
    for (uint32_t i = 0; i < p->len; i++) {
        const struct sock_filter *s = &p->filter[i];
        uint32_t left = p->len - i - 1U;

        switch (s->code) {
        case BPF_LD | BPF_W | BPF_ABS:
            if (s->k % 4 != 0 || s->k >= sizeof(struct seccomp_data))
                return false;
            break;
        case BPF_ALU | BPF_AND | BPF_K:
        case BPF_RET | BPF_K:
            break;
        case BPF_JMP | BPF_JA:
            if (s->k >= left)
                return false;
            break;
        case BPF_JMP | BPF_JEQ | BPF_K:
        case BPF_JMP | BPF_JGT | BPF_K:
        case BPF_JMP | BPF_JGE | BPF_K:
            if (s->jt >= left || s->jf >= left)
                return false;
            break;
        default:
            return false;
        }
    }
    return p->filter[p->len - 1].code == (BPF_RET | BPF_K);
}

/* Run a valid one. */
static inline uint32_t
filter_run(const struct sock_fprog *p, const struct seccomp_data *call)
{
    uint32_t a = 0;

    for (const struct sock_filter *s = p->filter;; s++) {
        bool holds = false;

        switch (s->code) {
        case BPF_LD | BPF_W | BPF_ABS:
            memcpy(&a, (const char *)call + s->k, sizeof(a));
            continue;
        case BPF_ALU | BPF_AND | BPF_K:
            a &= s->k;
            continue;
        case BPF_JMP | BPF_JA:
            s += s->k;
            continue;
        case BPF_JMP | BPF_JEQ | BPF_K:
            holds = a == s->k;
            break;
        case BPF_JMP | BPF_JGT | BPF_K:
            holds = a > s->k;
            break;
        case BPF_JMP | BPF_JGE | BPF_K:
            holds = a >= s->k;
            break;
        default:
            return s->k;
        }
        s += holds ? s->jt : s->jf;
    }
}

#endif
