/*
 * A server on the loopback address for clients of ours: a thread that serves
 * one connection after the other and remembers every request.
 */
#ifndef ENVD_TESTS_UNIT_SERVER_FIXTURE_H
#define ENVD_TESTS_UNIT_SERVER_FIXTURE_H

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SERVER_REQUESTS 4096
#define SERVER_BYTES    ((size_t)512 * 1024)

struct server_request {
    char *text;          /* head and body */
    const char *body;    /* in it */
    unsigned connection; /* from 1 */
};

struct server {
    int fd;
    struct sockaddr_in address;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool hold;  /* read requests, but do not answer them */
    bool leave; /* close after an answer, without saying so in it */
    bool stop;
    unsigned connections;
    size_t count;
    struct server_request seen[SERVER_REQUESTS];

    /* Write the answer to the last request that was seen. */
    void (*answer)(struct server *s, const struct server_request *r, char *out,
                   size_t size);
};

static void
server_answer_ok(struct server *s, const struct server_request *r, char *out,
                 size_t size)
{
    (void)s;
    (void)r;
    (void)snprintf(out, size, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
}

/* Read one request; the connection's buffer holds what came too early. */
static bool
server_read(int fd, char *mem, size_t *have, struct server_request *ret)
{
    for (;;) {
        char *end = memmem(mem, *have, "\r\n\r\n", 4);
        ssize_t n;

        if (end != NULL) {
            const char *length = strcasestr(mem, "\r\nContent-Length: ");
            size_t head = (size_t)(end - mem) + 4;
            size_t all = head;

            if (length != NULL && length < end)
                all += strtoul(length + 18, NULL, 10);
            if (*have >= all) {
                ret->text = strndup(mem, all);
                ret->body = ret->text + head;
                *have -= all;
                memmove(mem, mem + all, *have);
                mem[*have] = '\0';
                return true;
            }
        }
        n = read(fd, mem + *have, SERVER_BYTES - 1 - *have);
        if (n <= 0)
            return false;
        *have += (size_t)n;
        mem[*have] = '\0';
    }
}

static bool
server_serve_one(struct server *s, int fd, char *mem, size_t *have)
{
    struct server_request r = {.connection = s->connections};
    char out[4096];
    bool leave;

    if (!server_read(fd, mem, have, &r))
        return false;
    (void)pthread_mutex_lock(&s->lock);
    assert(s->count < SERVER_REQUESTS);
    s->seen[s->count++] = r;
    (void)pthread_cond_broadcast(&s->changed);
    while (s->hold && !s->stop)
        (void)pthread_cond_wait(&s->changed, &s->lock);
    leave = s->leave;
    s->answer(s, &r, out, sizeof(out));
    (void)pthread_mutex_unlock(&s->lock);
    return send(fd, out, strlen(out), MSG_NOSIGNAL) > 0 && !leave;
}

static void *
server_thread(void *arg)
{
    struct server *s = arg;
    char *mem = malloc(SERVER_BYTES);
    int fd;

    while ((fd = accept(s->fd, NULL, NULL)) >= 0) {
        size_t have = 0;

        s->connections++;
        while (server_serve_one(s, fd, mem, &have))
            ;
        (void)close(fd);
    }
    free(mem);
    return NULL;
}

/* Free it with server_free(). */
static struct server *
server_new(void)
{
    struct server *s = calloc(1, sizeof(*s));
    socklen_t len = sizeof(s->address);

    s->answer = server_answer_ok;
    s->address = (struct sockaddr_in){.sin_family = AF_INET};
    s->address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert(bind(s->fd, (struct sockaddr *)&s->address, len) == 0);
    assert(listen(s->fd, 64) == 0);
    assert(getsockname(s->fd, (struct sockaddr *)&s->address, &len) == 0);
    assert(pthread_mutex_init(&s->lock, NULL) == 0);
    assert(pthread_cond_init(&s->changed, NULL) == 0);
    assert(pthread_create(&s->thread, NULL, server_thread, s) == 0);
    return s;
}

static void
server_set(struct server *s, bool *field, bool value)
{
    (void)pthread_mutex_lock(&s->lock);
    *field = value;
    (void)pthread_cond_broadcast(&s->changed);
    (void)pthread_mutex_unlock(&s->lock);
}

/* Wait until that many requests have come. */
__attribute__((unused)) static void
server_await(struct server *s, size_t count)
{
    (void)pthread_mutex_lock(&s->lock);
    while (s->count < count)
        (void)pthread_cond_wait(&s->changed, &s->lock);
    (void)pthread_mutex_unlock(&s->lock);
}

/* The clients must have gone. */
static void
server_free(struct server *s)
{
    server_set(s, &s->stop, true);
    (void)shutdown(s->fd, SHUT_RDWR);
    (void)pthread_join(s->thread, NULL);
    (void)close(s->fd);
    for (size_t i = 0; i < s->count; i++)
        free(s->seen[i].text);
    (void)pthread_mutex_destroy(&s->lock);
    (void)pthread_cond_destroy(&s->changed);
    free(s);
}

#endif
