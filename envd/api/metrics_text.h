/*
 * Figures as text: the exposition format 0.0.4 of Prometheus, and OpenMetrics
 * 1.0.  Context: any.
 */
#ifndef ENVD_API_METRICS_TEXT_H
#define ENVD_API_METRICS_TEXT_H

#include <stdint.h>

#include "base/buf.h"

enum metric_format {
    METRIC_PROMETHEUS,
    METRIC_OPENMETRICS,
};

enum metric_type {
    METRIC_GAUGE,
    METRIC_COUNTER, /* its samples are called NAME_total */
    METRIC_INFO,    /* its sample is called NAME_info, and is 1 */
};

struct metric_writer {
    struct buf *out; /* borrowed */
    enum metric_format format;
    const char *name; /* of the family that was begun last */
    enum metric_type type;
};

/*
 * Begin a family: what follows, up to the next one, is samples of it.
 *
 * name  without _total or _info; base units: seconds, bytes, ratio.  Borrowed
 *       until the next family
 * help  one sentence without its full stop
 */
void metric_family(struct metric_writer *w, const char *name,
                   enum metric_type type, const char *help);

/*
 * Add a sample: `value` divided by 10 to the power of `digits`, behind pairs of
 * a label's name and its value, ended by NULL.  Values are escaped.
 */
void metric_add(struct metric_writer *w, uint64_t value, unsigned int digits,
                ...) __attribute__((sentinel));

/* A family of one sample without labels. */
void metric_one(struct metric_writer *w, const char *name,
                enum metric_type type, const char *help, uint64_t value,
                unsigned int digits);

/* The end of all. */
void metric_end(struct metric_writer *w);

/* The Content-Type of a format. */
const char *metric_content_type(enum metric_format format);

#endif
