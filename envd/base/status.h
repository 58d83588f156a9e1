/*
 * Why a request failed: a code for the program and a message for a person.
 * Codes and numbers are those of gRPC and Connect.
 */
#ifndef ENVD_BASE_STATUS_H
#define ENVD_BASE_STATUS_H

enum rpc_code {
    RPC_OK = 0,
    RPC_CANCELED = 1,
    RPC_UNKNOWN = 2,
    RPC_INVALID_ARGUMENT = 3,
    RPC_DEADLINE_EXCEEDED = 4,
    RPC_NOT_FOUND = 5,
    RPC_ALREADY_EXISTS = 6,
    RPC_PERMISSION_DENIED = 7,
    RPC_RESOURCE_EXHAUSTED = 8,
    RPC_FAILED_PRECONDITION = 9,
    RPC_ABORTED = 10,
    RPC_OUT_OF_RANGE = 11,
    RPC_UNIMPLEMENTED = 12,
    RPC_INTERNAL = 13,
    RPC_UNAVAILABLE = 14,
    RPC_DATA_LOSS = 15,
    RPC_UNAUTHENTICATED = 16,
};

/*
 * A failure on its way to the answer.  Zero-initialise it; it is set exactly
 * when the function that was given it failed.  The message is at most
 * LIMIT_RPC_ERROR_TEXT_BYTES long, longer ones are cut at a character.
 */
struct status {
    enum rpc_code code;
    char *message;     /* owned; NULL means empty */
    int err;           /* the errno behind it, 0 for none */
    const char *stage; /* what had been reached; static, NULL for nothing */
};

/*
 * Set code and message (printf-like), freeing an earlier message.  Returns -1,
 * so that a failing function ends in one line.  Context: any.
 */
int status_set(struct status *st, enum rpc_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * As status_set(), appending ": " and errno_text(err) to the message; `err`
 * is kept in the status, too.
 * err  an errno value, positive
 */
int status_errno(struct status *st, enum rpc_code code, int err,
                 const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Move the content of `from` into `to`, which loses its own. */
void status_move(struct status *to, struct status *from);

/* Free the message; also for SCOPE(status_done). */
void status_done(struct status *st);

/* The message, never NULL; lives as long as the status. */
const char *status_message(const struct status *st);

/* The name of a code on the wire, as "not_found"; static. */
const char *rpc_code_name(enum rpc_code code);

/*
 * The lower-case text clients know for an errno value, as "no such file or
 * directory"; static.  Rule: the texts are those of the C library's POSIX
 * locale in lower case.
 */
const char *errno_text(int err);

#endif
