/*
 * Failures: codes, their names, and the words for system errors.
 */
#include "base/status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/scope.h"
#include "base/utf8.h"
#include "limits.h"

static const char *const code_names[] = {
    [RPC_OK] = "ok",
    [RPC_CANCELED] = "canceled",
    [RPC_UNKNOWN] = "unknown",
    [RPC_INVALID_ARGUMENT] = "invalid_argument",
    [RPC_DEADLINE_EXCEEDED] = "deadline_exceeded",
    [RPC_NOT_FOUND] = "not_found",
    [RPC_ALREADY_EXISTS] = "already_exists",
    [RPC_PERMISSION_DENIED] = "permission_denied",
    [RPC_RESOURCE_EXHAUSTED] = "resource_exhausted",
    [RPC_FAILED_PRECONDITION] = "failed_precondition",
    [RPC_ABORTED] = "aborted",
    [RPC_OUT_OF_RANGE] = "out_of_range",
    [RPC_UNIMPLEMENTED] = "unimplemented",
    [RPC_INTERNAL] = "internal",
    [RPC_UNAVAILABLE] = "unavailable",
    [RPC_DATA_LOSS] = "data_loss",
    [RPC_UNAUTHENTICATED] = "unauthenticated",
};

static const struct {
    int err;
    const char *text;
} errno_texts[] = {
    {EPERM, "operation not permitted"},
    {ENOENT, "no such file or directory"},
    {ESRCH, "no such process"},
    {EINTR, "interrupted system call"},
    {EIO, "input/output error"},
    {ENXIO, "no such device or address"},
    {E2BIG, "argument list too long"},
    {ENOEXEC, "exec format error"},
    {EBADF, "bad file descriptor"},
    {ECHILD, "no child processes"},
    {EAGAIN, "resource temporarily unavailable"},
    {ENOMEM, "cannot allocate memory"},
    {EACCES, "permission denied"},
    {EFAULT, "bad address"},
    {ENOTBLK, "block device required"},
    {EBUSY, "device or resource busy"},
    {EEXIST, "file exists"},
    {EXDEV, "invalid cross-device link"},
    {ENODEV, "no such device"},
    {ENOTDIR, "not a directory"},
    {EISDIR, "is a directory"},
    {EINVAL, "invalid argument"},
    {ENFILE, "too many open files in system"},
    {EMFILE, "too many open files"},
    {ENOTTY, "inappropriate ioctl for device"},
    {ETXTBSY, "text file busy"},
    {EFBIG, "file too large"},
    {ENOSPC, "no space left on device"},
    {ESPIPE, "illegal seek"},
    {EROFS, "read-only file system"},
    {EMLINK, "too many links"},
    {EPIPE, "broken pipe"},
    {EDOM, "numerical argument out of domain"},
    {ERANGE, "numerical result out of range"},
    {EDEADLK, "resource deadlock avoided"},
    {ENAMETOOLONG, "file name too long"},
    {ENOLCK, "no locks available"},
    {ENOSYS, "function not implemented"},
    {ENOTEMPTY, "directory not empty"},
    {ELOOP, "too many levels of symbolic links"},
    {ENODATA, "no data available"},
    {EOVERFLOW, "value too large for defined data type"},
    {EILSEQ, "invalid or incomplete multibyte or wide character"},
    {EUSERS, "too many users"},
    {ENOTSUP, "operation not supported"},
    {EADDRINUSE, "address already in use"},
    {EADDRNOTAVAIL, "cannot assign requested address"},
    {ECONNRESET, "connection reset by peer"},
    {ENOBUFS, "no buffer space available"},
    {ENOTCONN, "transport endpoint is not connected"},
    {ETIMEDOUT, "connection timed out"},
    {ECONNREFUSED, "connection refused"},
    {EALREADY, "operation already in progress"},
    {EINPROGRESS, "operation now in progress"},
    {ESTALE, "stale file handle"},
    {EDQUOT, "disk quota exceeded"},
    {ECANCELED, "operation canceled"},
    {EKEYREJECTED, "key was rejected by service"},
};

const char *
errno_text(int err)
{
    for (size_t i = 0; i < ARRAY_LEN(errno_texts); i++)
        if (errno_texts[i].err == err)
            return errno_texts[i].text;
    return "unknown error";
}

const char *
rpc_code_name(enum rpc_code code)
{
    size_t i = (size_t)code;

    return i < ARRAY_LEN(code_names) ? code_names[i] : "unknown";
}

/* Format into fresh memory of bounded size; NULL when there is none. */
static char *format_message(const char *format, va_list args,
                            const char *suffix)
    __attribute__((format(printf, 1, 0)));

static char *
format_message(const char *format, va_list args, const char *suffix)
{
    const size_t limit = LIMIT_RPC_ERROR_TEXT_BYTES;
    size_t len;
    char *text = malloc(limit + 1);
    char *fitted;
    int n;

    if (text == NULL)
        return NULL;
    n = vsnprintf(text, limit + 1, format, args);
    len = n < 0 ? 0 : MIN((size_t)n, limit);
    if (suffix != NULL && len < limit) {
        n = snprintf(text + len, limit + 1 - len, ": %s", suffix);
        len = MIN(len + (n < 0 ? 0 : (size_t)n), limit);
    }
    if (len == limit)
        len = utf8_floor(text, len);
    text[len] = '\0';
    fitted = realloc(text, len + 1);
    return fitted != NULL ? fitted : text;
}

int
status_set(struct status *st, enum rpc_code code, const char *format, ...)
{
    va_list args;
    char *message;

    va_start(args, format);
    message = format_message(format, args, NULL);
    va_end(args);
    free(st->message);
    *st = (struct status){.code = code, .message = message};
    return -1;
}

int
status_errno(struct status *st, enum rpc_code code, int err, const char *format,
             ...)
{
    va_list args;
    char *message;

    va_start(args, format);
    message = format_message(format, args, errno_text(err));
    va_end(args);
    free(st->message);
    *st = (struct status){.code = code, .message = message, .err = err};
    return -1;
}

void
status_move(struct status *to, struct status *from)
{
    status_done(to);
    *to = *from;
    *from = (struct status){0};
}

void
status_done(struct status *st)
{
    free(st->message);
    *st = (struct status){0};
}

const char *
status_message(const struct status *st)
{
    return st->message != NULL ? st->message : "";
}
