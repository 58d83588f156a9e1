/*
 * Ownership made visible: clean-up at the end of a scope, moves out of it, and
 * checked arithmetic for sizes that a peer chose.
 */
#ifndef ENVD_BASE_SCOPE_H
#define ENVD_BASE_SCOPE_H

#include <stddef.h>

/* Runs fn(&variable) when the variable leaves its scope, on every path. */
#define SCOPE(fn) __attribute__((cleanup(fn)))

/* Yields the value and leaves the variable empty: ownership moves on. */
#define TAKE_FD(fd)           \
    ({                        \
        int take_tmp_ = (fd); \
        (fd) = -1;            \
        take_tmp_;            \
    })

#define TAKE_PTR(ptr)                  \
    ({                                 \
        __auto_type take_tmp_ = (ptr); \
        (ptr) = NULL;                  \
        take_tmp_;                     \
    })

/* The names and the sense of C23's <stdckdint.h>: true means overflow. */
#define ckd_add(out, a, b) __builtin_add_overflow((a), (b), (out))
#define ckd_sub(out, a, b) __builtin_sub_overflow((a), (b), (out))
#define ckd_mul(out, a, b) __builtin_mul_overflow((a), (b), (out))

/* The object of which `ptr` points to the member. */
#define container_of(ptr, type, member) \
    ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define ARRAY_LEN(a) (sizeof(a) / sizeof(*(a)))

#define MIN(a, b)             \
    ({                        \
        __auto_type a_ = (a); \
        __auto_type b_ = (b); \
        a_ < b_ ? a_ : b_;    \
    })

#define MAX(a, b)             \
    ({                        \
        __auto_type a_ = (a); \
        __auto_type b_ = (b); \
        a_ > b_ ? a_ : b_;    \
    })

#endif
