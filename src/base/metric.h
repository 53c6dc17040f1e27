/*
 * Counters, gauges and histograms, shown at /metrics in Prometheus' text format.
 *
 * An instance belongs to one thread, which alone changes it (a plain store, no locked instruction);
 * any thread may read. Instances with the same name and labels are summed when shown, so each
 * worker has its own. Registering and showing take a lock; adding does not.
 */
#ifndef BASE_METRIC_H
#define BASE_METRIC_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/list.h"

enum metric_type { METRIC_COUNTER, METRIC_GAUGE };

struct metric {
    _Atomic int64_t value;
    struct link link;
    enum metric_type type;
    char *name, *help, *labels;
};

/*
 * `name` as Prometheus wants it ("weir_mqtt_messages_received_total"), `labels` without braces
 * ("stream=\"sensors\",shard=\"0\"") or NULL. Copies its texts. The struct must stay until
 * metric_done().
 */
void metric_init(struct metric *metric, enum metric_type type, const char *name, const char *help,
                 const char *labels);
void metric_done(struct metric *metric);

static inline void metric_add(struct metric *metric, int64_t amount) {
    int64_t now = atomic_load_explicit(&metric->value, memory_order_relaxed);
    atomic_store_explicit(&metric->value, now + amount, memory_order_relaxed);
}

static inline void metric_set(struct metric *metric, int64_t value) {
    atomic_store_explicit(&metric->value, value, memory_order_relaxed);
}

static inline int64_t metric_get(const struct metric *metric) {
    return atomic_load_explicit(&metric->value, memory_order_relaxed);
}

/* What `from` has counted counts for `to` from now on. */
static inline void metric_move(struct metric *to, struct metric *from) {
    metric_add(to, metric_get(from));
    metric_set(from, 0);
}

/* key="value" with the value escaped, preceded by a comma unless `labels` is empty. */
void metric_label(struct buf *labels, const char *key, struct str value);

/* The sum of all instances of that name and these labels; 0 if there are none. */
int64_t metric_sum(const char *name, const char *labels);

/* All metrics of the process, sorted by name, in Prometheus' text exposition format 0.0.4. */
void metric_show(struct buf *out);

#endif
