/*
 * Waiting for what was frozen to stand still.  A process stops at its next way
 * out of the kernel: nearly always at once, so the first looks are close
 * together; after those the kernel's word is awaited, which it gives at most
 * every 10 ms, and some of them never.
 */
#include "guest/freeze_work.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/scope.h"
#include "loop/loop.h"

/* How long looks are close together, and the time between two. */
#define CLOSE_MS 20
#define LOOK_MS  2

/* Between two looks after that, without any word. */
#define ROUND_MS 25

static void
sleep_ms(int64_t ms)
{
    struct timespec span = {ms / 1000, ms % 1000 * 1000000};

    while (nanosleep(&span, &span) < 0 && errno == EINTR)
        continue;
}

/* Look at all that have not stopped; those that have not stay in the front. */
static void
look(const struct cgroup_tree *t, struct freeze_run *run, char **pending,
     size_t *count)
{
    size_t kept = 0;

    for (size_t i = 0; i < *count; i++) {
        bool settled = false;
        int r = t->ops->read_settled(t, pending[i], &settled);

        if (r < 0) {
            run->result.failed++;
            run->error = run->error != 0 ? run->error : r;
            freeze_sample_add(&run->refused, pending[i]);
        } else if (settled) {
            run->result.frozen++;
        } else {
            pending[kept++] = pending[i];
        }
    }
    *count = kept;
}

static void
wait_for_change(const struct cgroup_tree *t, char *const *pending, size_t count,
                int64_t waited, int64_t left)
{
    if (waited < CLOSE_MS)
        sleep_ms(MIN(left, (int64_t)LOOK_MS));
    else if (t->ops->await_change == NULL)
        sleep_ms(MIN(left, (int64_t)ROUND_MS));
    else
        t->ops->await_change(t, pending, count, MIN(left, (int64_t)ROUND_MS));
}

static void
settle(const struct cgroup_tree *t, struct freeze_run *run, int64_t budget,
       const atomic_bool *cancelled)
{
    int64_t began = loop_now_ms();
    size_t count = run->written.count;
    SCOPE(scope_free) char **pending = calloc(count + 1, sizeof(*pending));
    int64_t waited = 0;

    if (pending == NULL) {
        run->result.not_frozen = (uint32_t)count;
        return;
    }
    /* The strings stay the set's. */
    memcpy(pending, run->written.paths, count * sizeof(*pending));
    look(t, run, pending, &count);
    while (count > 0 && waited < budget &&
           !atomic_load_explicit(cancelled, memory_order_relaxed)) {
        wait_for_change(t, pending, count, waited, budget - waited);
        look(t, run, pending, &count);
        waited = loop_now_ms() - began;
    }
    for (size_t i = 0; i < count; i++)
        freeze_sample_add(&run->moving, pending[i]);
    run->result.not_frozen = (uint32_t)count;
    run->result.wait_ms = loop_now_ms() - began;
}

void
freeze_settle(const struct cgroup_tree *t, struct freeze_run *run,
              const atomic_bool *cancelled)
{
    int64_t budget = freeze_wait_clamped(run->params.max_wait_ms);

    if (t->root_fd < 0)
        return;
    if (budget > 0 && run->written.count > 0)
        settle(t, run, budget, cancelled);
    else
        run->result.not_frozen = run->result.requested;
}
