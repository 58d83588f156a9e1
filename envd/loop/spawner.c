/*
 * One request at a time, handed over and back by two semaphores.
 */
#include "loop/spawner.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

/* A child begins on a copy of this stack, with two paths on it. */
#define SPAWNER_STACK_BYTES (256 * 1024)

static struct {
    bool running;
    pthread_t thread;
    sem_t asked;
    sem_t done;
    void (*fn)(void *ctx); /* NULL: end */
    void *ctx;
} spawner;

static void
sem_take(sem_t *s)
{
    while (sem_wait(s) < 0 && errno == EINTR)
        continue;
}

static void *
spawner_main(void *unused)
{
    (void)unused;
    for (;;) {
        sem_take(&spawner.asked);
        if (spawner.fn == NULL)
            return NULL;
        spawner.fn(spawner.ctx);
        (void)sem_post(&spawner.done);
    }
}

int
spawner_start(void)
{
    pthread_attr_t attr;
    sigset_t all;
    sigset_t old;
    int r;

    if (spawner.running)
        return 0;
    (void)sem_init(&spawner.asked, 0, 0);
    (void)sem_init(&spawner.done, 0, 0);
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, SPAWNER_STACK_BYTES);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    r = pthread_create(&spawner.thread, &attr, spawner_main, NULL);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    (void)pthread_attr_destroy(&attr);
    spawner.running = r == 0;
    return -r;
}

void
spawner_stop(void)
{
    if (!spawner.running)
        return;
    spawner.fn = NULL;
    (void)sem_post(&spawner.asked);
    (void)pthread_join(spawner.thread, NULL);
    (void)sem_destroy(&spawner.asked);
    (void)sem_destroy(&spawner.done);
    spawner.running = false;
}

void
spawner_call(void (*fn)(void *ctx), void *ctx)
{
    if (!spawner.running) {
        fn(ctx);
        return;
    }
    spawner.fn = fn;
    spawner.ctx = ctx;
    (void)sem_post(&spawner.asked);
    sem_take(&spawner.done);
}
