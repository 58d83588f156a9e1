/*
 * Figures for whoever watches the agent: GET /metrics in its text forms.
 *
 * A collector writes the families of one domain.  To add one: declare it here,
 * and give it a line in the table of metrics_collect.c.
 */
#ifndef ENVD_API_METRICS_H
#define ENVD_API_METRICS_H

#include "api/metrics_text.h"
#include "guest/figures.h"

struct envd;
struct metrics;

/* What a worker has read for us. */
struct metrics_reading {
    struct figures figures;
    struct cgroup_figures cgroups[2]; /* by enum cgroup_kind */
};

typedef void (*metrics_collect_fn)(struct metric_writer *w, struct envd *e);

/* All collectors, ended by NULL. */
extern const metrics_collect_fn metrics_collectors[];

/* The newest reading, never NULL: nothing is known before the first. */
const struct metrics_reading *metrics_newest(const struct envd *e);

/* Made with the agent.  `e` is borrowed. */
struct metrics *metrics_new(struct envd *e);

/* After the worker pool and the connections are gone.  NULL is fine. */
void metrics_free(struct metrics *m);

/* The collectors of the machine and of this process; metrics_machine.c. */
void metrics_collect_process(struct metric_writer *w, struct envd *e);
void metrics_collect_machine(struct metric_writer *w, struct envd *e);
void metrics_collect_pressure(struct metric_writer *w, struct envd *e);
void metrics_collect_cgroups(struct metric_writer *w, struct envd *e);

/* Those of what the host does with the machine; metrics_guest.c. */
void metrics_collect_init(struct metric_writer *w, struct envd *e);
void metrics_collect_freezes(struct metric_writer *w, struct envd *e);
void metrics_collect_ports(struct metric_writer *w, struct envd *e);
void metrics_collect_metadata(struct metric_writer *w, struct envd *e);

#endif
