/*
 * Lines of HELP and TYPE, and samples.
 */
#include "api/metrics_text.h"

#include <stdarg.h>
#include <stdbool.h>

static const char *
suffix(const struct metric_writer *w)
{
    switch (w->type) {
    case METRIC_COUNTER:
        return "_total";
    case METRIC_INFO:
        return "_info";
    case METRIC_GAUGE:
        break;
    }
    return "";
}

/* A line about the family; OpenMetrics calls it by its name alone. */
static void
append_about(const struct metric_writer *w, const char *what, const char *text)
{
    buf_appendf(w->out, "# %s %s%s %s\n", what, w->name,
                w->format == METRIC_OPENMETRICS ? "" : suffix(w), text);
}

void
metric_family(struct metric_writer *w, const char *name, enum metric_type type,
              const char *help)
{
    static const char *const types[][2] = {
        [METRIC_GAUGE] = {"gauge", "gauge"},
        [METRIC_COUNTER] = {"counter", "counter"},
        [METRIC_INFO] = {"gauge", "info"},
    };

    w->name = name;
    w->type = type;
    append_about(w, "HELP", help);
    append_about(w, "TYPE", types[type][w->format]);
}

/* Rule: both formats, of a label's value. */
static void
append_escaped(struct buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\n') {
            buf_append(out, "\\n", 2);
            continue;
        }
        if (*text == '"' || *text == '\\')
            buf_append_byte(out, '\\');
        buf_append_byte(out, (uint8_t)*text);
    }
}

static void
append_value(struct buf *out, uint64_t value, unsigned int digits)
{
    uint64_t unit = 1;

    for (unsigned int i = 0; i < digits; i++)
        unit *= 10;
    buf_append_u64(out, value / unit);
    value %= unit;
    if (value == 0)
        return;
    buf_append_byte(out, '.');
    while (value > 0) {
        unit /= 10;
        buf_append_byte(out, (uint8_t)('0' + value / unit));
        value %= unit;
    }
}

void
metric_add(struct metric_writer *w, uint64_t value, unsigned int digits, ...)
{
    const char *label;
    bool first = true;
    va_list labels;

    buf_appendf(w->out, "%s%s", w->name, suffix(w));
    va_start(labels, digits);
    while ((label = va_arg(labels, const char *)) != NULL) {
        buf_appendf(w->out, "%s%s=\"", first ? "{" : ",", label);
        append_escaped(w->out, va_arg(labels, const char *));
        buf_append_byte(w->out, '"');
        first = false;
    }
    va_end(labels);
    buf_append_str(w->out, first ? " " : "} ");
    append_value(w->out, value, digits);
    buf_append_byte(w->out, '\n');
}

void
metric_one(struct metric_writer *w, const char *name, enum metric_type type,
           const char *help, uint64_t value, unsigned int digits)
{
    metric_family(w, name, type, help);
    metric_add(w, value, digits, NULL);
}

void
metric_end(struct metric_writer *w)
{
    if (w->format == METRIC_OPENMETRICS)
        buf_append_str(w->out, "# EOF\n");
}

const char *
metric_content_type(enum metric_format format)
{
    return format == METRIC_OPENMETRICS
               ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
               : "text/plain; version=0.0.4; charset=utf-8";
}
