/*
 * The metadata service of the host: who we are, where logs go, and the hash of
 * the token that the next POST /init may bring.
 *
 * One lookup is a PUT for a token and a GET of the document, each on a fresh
 * connection, both within LIMIT_MMDS_LOOKUP_MS.  One runs at a time; whoever
 * asks meanwhile joins it, or the next one when this one's document may be
 * older than the question.  What a lookup has found is applied before its
 * waiters hear of it: variables, the run files, the target of the log.  A
 * document without an instance id is handed to the waiters but not applied.
 *
 * Context: loop, all of it.
 */
#ifndef ENVD_GUEST_MMDS_H
#define ENVD_GUEST_MMDS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct guest_settings;
struct log_exporter;
struct loop;
struct mmds;
struct worker_pool;

/* Where the service is on every machine. */
#define MMDS_ADDRESS "169.254.169.254:80"

/* What the host says; no member is NULL, what it does not say is "". */
struct mmds_document {
    const char *instance_id;
    const char *env_id;
    const char *address;           /* of the log collector, a URL */
    const char *access_token_hash; /* SHA-512 in hexadecimal digits */
};

/*
 * Decode a document.
 *
 * text  `len` bytes, which may be modified, and live as long as *ret
 * ret   points into `text`, or at what lives as long as the program
 *
 * Returns 0, or -EINVAL when that is no JSON object.
 */
typedef int mmds_decode(char *text, size_t len, struct mmds_document *ret);

struct mmds_config {
    struct sockaddr_in address;
    const char *run_dir; /* where the run files go; a string that stays */
    mmds_decode *decode;
    struct guest_settings *settings; /* borrowed, as those below */
    struct log_exporter *exporter;   /* may be NULL */
    struct worker_pool *workers;     /* NULL: run files are written at once,
                                        and nothing is mended */

    /*
     * Mend the way to the service, as route_heal(); NULL: nobody can.
     * Context: worker.
     */
    int (*heal)(const struct sockaddr_in *address);
};

/*
 * A client that does nothing before it is asked.  Nothing is sent from here.
 * With -isnotfc there is none: its users then hold NULL.
 */
struct mmds *mmds_new(struct loop *loop, const struct mmds_config *config);

/*
 * NULL is fine.  Waiters are not called any more.  To be called when the
 * worker pool is gone, whose jobs end here.
 */
void mmds_free(struct mmds *m);

/* Read `ADDRESS:PORT`, an IPv4 address.  Returns 0 or -EINVAL. */
int mmds_parse_address(const char *text, struct sockaddr_in *ret);

TAILQ_HEAD(mmds_waiters, mmds_lookup);

/* Somebody who waits for a lookup; embed it, zero-initialised. */
struct mmds_lookup {
    TAILQ_ENTRY(mmds_lookup) link;

    /*
     * The end, called once: the document, valid during the call, or NULL and
     * why (a text that is valid during the call).
     */
    void (*done)(struct mmds_lookup *l, const struct mmds_document *document,
                 const char *error);

    /*
     * Before a failure is reported, mend the way to the service (against
     * redirections that the guest has set up; at most once in 10 s) and look
     * it up once more.  Cleared when that is done.
     */
    bool heal;

    bool waiting; /* between mmds_lookup() and `done`; to be read only */
    struct mmds_waiters *queue;
};

/* Join the lookup that runs, or begin one.  `done` is never called inside. */
void mmds_lookup(struct mmds *m, struct mmds_lookup *l);

/* Do not wait any more; nothing happens when it does not. */
void mmds_lookup_cancel(struct mmds *m, struct mmds_lookup *l);

/*
 * The machine goes on after a pause: what was under way is dead, and is begun
 * again for those who wait.
 */
void mmds_resumed(struct mmds *m);

/*
 * Look it up until there is a document with an instance id: every 50 ms at
 * first, then less and less often.  There is one poller: asked again while it
 * runs, it is quick once more, and goes on for the longer of both times.
 *
 * window_ms  after which it gives up, with one line on stderr; -1: never
 */
void mmds_poll(struct mmds *m, int64_t window_ms);

/*
 * Whether there ever was an answer, as far as the run files remember: also of
 * an agent before us.  A failure is then no sign that there is no service.
 */
bool mmds_answered_before(const struct mmds *m);

/*
 * The last document with an instance id since we run, or NULL.  Valid until
 * the loop turns.
 */
const struct mmds_document *mmds_document(const struct mmds *m);

struct mmds_stats {
    uint64_t lookups;
    uint64_t failures; /* of those */
    uint64_t polls;    /* lookups that the poller has made */
    uint64_t gave_up;  /* times that it has */
    uint64_t heals;    /* routes mended */
    uint64_t heals_failed;
};

void mmds_get_stats(const struct mmds *m, struct mmds_stats *ret);

#endif
