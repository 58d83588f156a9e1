/*
 * A datagram socket in the abstract name space, so that it needs no file
 * system; the kernel says who has sent a message.
 */
#include "init/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/scope.h"
#include "base/str.h"
#include "init/say.h"

#define MESSAGE_BYTES 4096
#define MESSAGE_FDS   4
#define FIRST_FD      3 /* as sd_listen_fds(3) says */

/* What one message says. */
struct message {
    bool ready;
    bool store;
    bool remove;
    struct str name;
    int fds[MESSAGE_FDS];
    size_t fd_count;
    pid_t sender;
};

void
keeper_init(struct keeper *k)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    socklen_t len = sizeof(sa_family_t); /* the kernel chooses a name */
    const int on = 1;

    *k = (struct keeper){.fd = -1};
    k->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (k->fd < 0 ||
        setsockopt(k->fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0 ||
        bind(k->fd, (struct sockaddr *)&a, len) < 0 ||
        (len = sizeof(a), getsockname(k->fd, (struct sockaddr *)&a, &len)) <
            0) {
        say_errno("the agent will not be heard");
        fd_close(&k->fd);
        return;
    }
    (void)snprintf(k->address, sizeof(k->address), "@%.*s",
                   (int)(len - offsetof(struct sockaddr_un, sun_path) - 1),
                   a.sun_path + 1);
}

static void
read_control(struct msghdr *header, struct message *m)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c != NULL;
         c = CMSG_NXTHDR(header, c)) {
        size_t len = c->cmsg_len - CMSG_LEN(0);

        if (c->cmsg_level != SOL_SOCKET)
            continue;
        if (c->cmsg_type == SCM_RIGHTS) {
            m->fd_count = MIN(len / sizeof(int), (size_t)MESSAGE_FDS);
            memcpy(m->fds, CMSG_DATA(c), m->fd_count * sizeof(int));
        } else if (c->cmsg_type == SCM_CREDENTIALS) {
            struct ucred sender;

            memcpy(&sender, CMSG_DATA(c), sizeof(sender));
            m->sender = sender.pid;
        }
    }
}

static void
read_text(const char *text, struct message *m)
{
    while (*text != '\0') {
        struct str line = {text, strcspn(text, "\n")};

        m->ready = m->ready || str_eq(line, "READY=1");
        m->store = m->store || str_eq(line, "FDSTORE=1");
        m->remove = m->remove || str_eq(line, "FDSTOREREMOVE=1");
        if (str_starts(line, "FDNAME="))
            m->name = (struct str){line.data + 7, line.len - 7};
        text += line.len + (text[line.len] == '\n' ? 1 : 0);
    }
}

static void
forget(struct keeper *k, struct str name)
{
    for (size_t i = 0; i < k->count;) {
        if (!str_eq(name, k->kept[i].name)) {
            i++;
            continue;
        }
        fd_close(&k->kept[i].fd);
        k->kept[i] = k->kept[--k->count];
    }
}

static void
keep(struct keeper *k, struct message *m)
{
    for (size_t i = 0; i < m->fd_count && k->count < KEEPER_FDS; i++) {
        if (m->name.len == 0 || m->name.len >= KEEPER_NAME_BYTES ||
            memchr(m->name.data, ':', m->name.len) != NULL)
            return;
        k->kept[k->count].fd = TAKE_FD(m->fds[i]);
        memcpy(k->kept[k->count].name, m->name.data, m->name.len);
        k->kept[k->count].name[m->name.len] = '\0';
        k->count++;
    }
}

bool
keeper_receive(struct keeper *k, pid_t sender)
{
    bool ready = false;

    for (;;) {
        union {
            struct cmsghdr align;
            char bytes[CMSG_SPACE(MESSAGE_FDS * sizeof(int)) +
                       CMSG_SPACE(sizeof(struct ucred))];
        } control;
        char text[MESSAGE_BYTES + 1];
        struct iovec data = {text, MESSAGE_BYTES};
        struct msghdr header = {
            .msg_iov = &data,
            .msg_iovlen = 1,
            .msg_control = &control,
            .msg_controllen = sizeof(control),
        };
        struct message m = {0};
        ssize_t n = recvmsg(k->fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ready;
        text[n] = '\0';
        read_control(&header, &m);
        read_text(text, &m);
        if (m.sender == sender && sender > 0) {
            ready = ready || m.ready;
            if (m.remove)
                forget(k, m.name);
            else if (m.store)
                keep(k, &m);
        }
        for (size_t i = 0; i < m.fd_count; i++)
            fd_close(&m.fds[i]);
    }
}

void
keeper_pass(const struct keeper *k)
{
    char names[KEEPER_FDS * KEEPER_NAME_BYTES] = "";
    char number[24];
    char *end = names;
    int high[KEEPER_FDS];

    if (k->fd >= 0)
        (void)setenv("NOTIFY_SOCKET", k->address, 1);
    if (k->count == 0)
        return;
    /* First out of the way of the numbers that are given away. */
    for (size_t i = 0; i < k->count; i++)
        high[i] = fcntl(k->kept[i].fd, F_DUPFD_CLOEXEC, FIRST_FD + KEEPER_FDS);
    for (size_t i = 0; i < k->count; i++) {
        if (dup2(high[i], FIRST_FD + (int)i) < 0)
            return;
        end = stpcpy(stpcpy(end, i > 0 ? ":" : ""), k->kept[i].name);
    }
    (void)snprintf(number, sizeof(number), "%zu", k->count);
    (void)setenv("LISTEN_FDS", number, 1);
    (void)setenv("LISTEN_FDNAMES", names, 1);
    (void)snprintf(number, sizeof(number), "%d", (int)getpid());
    (void)setenv("LISTEN_PID", number, 1);
}
