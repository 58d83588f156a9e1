/*
 * Sockets as /proc prints them: addresses are words of four bytes in the
 * machine's order, in hexadecimal digits.
 */
#include "guest/sock_proc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/scope.h"

#define READ_BYTES ((size_t)16 * 1024)
#define READS_MAX  64

/* Digits at *text, up to the first that is none; at most 8. */
static uint32_t
hex_word(const char **text, size_t digits)
{
    char word[9] = "";

    if (strnlen(*text, digits) < digits)
        return 0;
    memcpy(word, *text, digits);
    *text += digits;
    return (uint32_t)strtoul(word, NULL, 16);
}

/* `ADDRESS:PORT`; false when it is neither of the two kinds. */
static bool
read_end(const char *text, struct sock_listener *ret)
{
    size_t digits = strspn(text, "0123456789ABCDEF");
    size_t at = digits == 8 ? 12 : 0;

    if ((digits != 8 && digits != 32) || text[digits] != ':')
        return false;
    memset(ret->address, 0, 10);
    memset(ret->address + 10, 0xff, 2);
    for (; at < 16; at += 4) {
        uint32_t word = hex_word(&text, 8);

        memcpy(ret->address + at, &word, 4);
    }
    text++;
    ret->port = (uint16_t)hex_word(&text, 4);
    return ret->port != 0;
}

bool
sock_proc_line(const char *line, struct sock_listener *ret)
{
    /* sl local remote st queues timer retransmits uid timeout inode */
    const char *fields[10];
    size_t count = 0;

    for (; count < ARRAY_LEN(fields); count++) {
        line += strspn(line, " ");
        fields[count] = line;
        line += strcspn(line, " ");
    }
    *ret = (struct sock_listener){0};
    if (strncmp(fields[3], "0A ", 3) != 0 || !read_end(fields[1], ret))
        return false;
    ret->uid = (uint32_t)strtoul(fields[7], NULL, 10);
    ret->inode = (uint32_t)strtoul(fields[9], NULL, 10);
    return true;
}

/* Take the lines that are complete; false behind the last listening socket. */
static bool
take_lines(char *text, size_t *len,
           void (*on_listener)(void *ctx, const struct sock_listener *l),
           void *ctx)
{
    char *at = text;
    char *end;

    while ((end = memchr(at, '\n', *len)) != NULL) {
        struct sock_listener l;

        *end = '\0';
        *len -= (size_t)(end + 1 - at);
        if (sock_proc_line(at, &l))
            on_listener(ctx, &l);
        else if (strstr(at, "local_address") == NULL)
            return false;
        at = end + 1;
    }
    memmove(text, at, *len);
    return *len < READ_BYTES; /* no line is that long */
}

static int
read_sockets(const char *path,
             void (*on_listener)(void *ctx, const struct sock_listener *l),
             void *ctx)
{
    SCOPE(fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    static char text[READ_BYTES];
    size_t len = 0;

    if (fd < 0)
        return -errno;
    for (int i = 0; i < READS_MAX; i++) {
        ssize_t n = read(fd, text + len, READ_BYTES - len);

        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        len += (size_t)n;
        if (!take_lines(text, &len, on_listener, ctx))
            break;
    }
    return 0;
}

int
sock_proc_read(const char *folder,
               void (*on_listener)(void *ctx, const struct sock_listener *l),
               void *ctx)
{
    char path[128];
    int v4;
    int v6;

    (void)snprintf(path, sizeof(path), "%s/tcp", folder);
    v4 = read_sockets(path, on_listener, ctx);
    (void)snprintf(path, sizeof(path), "%s/tcp6", folder);
    v6 = read_sockets(path, on_listener, ctx);
    return v6 == -ENOENT || v6 == 0 ? v4 : v6;
}
