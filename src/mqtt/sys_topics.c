/*
 * Each topic is a row: its name and a function that writes its value from the sums of all workers'
 * counters. Loads are moving averages of what happened per minute, over 1, 5 and 15 minutes:
 *
 *      load = now + (load - now) * e^(-interval / span)        now: events since, times 60 s / interval
 *
 * They are computed by the first worker and read by all.
 */
#include "mqtt/sys_topics.h"

#include <inttypes.h>
#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "flow/topic.h"

/* ---- sums ---- */

enum sum {
    SUM_PACKETS_IN,
    SUM_PACKETS_OUT,
    SUM_BYTES_IN,
    SUM_BYTES_OUT,
    SUM_PUBLISH_IN,
    SUM_PUBLISH_OUT,
    SUM_PUBLISH_BYTES_IN,
    SUM_PUBLISH_BYTES_OUT,
    SUM_DROPPED,
    SUM_SOCKETS,
    SUM_CONNECTS,
    SUM_CLIENTS,
    SUM_AWAY,
    SUM_EXPIRED,
    SUM_SUBSCRIPTIONS,
    SUM_SHARED,
    SUM_RETAINED,
    SUM_RETAINED_BYTES,
    SUM_COUNT
};

static int64_t dropped(const struct worker_metrics *metrics) {
    return metric_get(&metrics->dropped_slow) + metric_get(&metrics->dropped_queue_full) +
           metric_get(&metrics->dropped_too_large) + metric_get(&metrics->dropped_expired) +
           metric_get(&metrics->dropped_refused) + metric_get(&metrics->dropped_left);
}

static int64_t publish_in(const struct worker_metrics *metrics) {
    return metric_get(&metrics->received_qos0) + metric_get(&metrics->received_qos1) +
           metric_get(&metrics->received_qos2);
}

static int64_t publish_out(const struct worker_metrics *metrics) {
    return metric_get(&metrics->sent_qos0) + metric_get(&metrics->sent_qos1) +
           metric_get(&metrics->sent_qos2);
}

static int64_t publish_bytes_in(const struct worker_metrics *metrics) {
    return metric_get(&metrics->received_bytes_qos0) + metric_get(&metrics->received_bytes_qos1) +
           metric_get(&metrics->received_bytes_qos2);
}

static int64_t publish_bytes_out(const struct worker_metrics *metrics) {
    return metric_get(&metrics->sent_bytes_qos0) + metric_get(&metrics->sent_bytes_qos1) +
           metric_get(&metrics->sent_bytes_qos2);
}

static void add_worker(const struct worker_metrics *metrics, int64_t sums[SUM_COUNT]) {
    sums[SUM_PACKETS_IN] += metric_get(&metrics->packets_received);
    sums[SUM_PACKETS_OUT] += metric_get(&metrics->packets_sent);
    sums[SUM_BYTES_IN] += metric_get(&metrics->bytes_received);
    sums[SUM_BYTES_OUT] += metric_get(&metrics->bytes_sent);
    sums[SUM_PUBLISH_IN] += publish_in(metrics);
    sums[SUM_PUBLISH_OUT] += publish_out(metrics);
    sums[SUM_PUBLISH_BYTES_IN] += publish_bytes_in(metrics);
    sums[SUM_PUBLISH_BYTES_OUT] += publish_bytes_out(metrics);
    sums[SUM_DROPPED] += dropped(metrics);
    sums[SUM_SOCKETS] += metric_get(&metrics->accepted);
    sums[SUM_CONNECTS] += metric_get(&metrics->connects);
    sums[SUM_CLIENTS] += metric_get(&metrics->clients);
    sums[SUM_AWAY] += metric_get(&metrics->sessions_away);
    sums[SUM_EXPIRED] += metric_get(&metrics->sessions_expired);
    sums[SUM_SUBSCRIPTIONS] += metric_get(&metrics->subscriptions);
    sums[SUM_SHARED] += metric_get(&metrics->shared_subscriptions);
    sums[SUM_RETAINED] += metric_get(&metrics->retained_count);
    sums[SUM_RETAINED_BYTES] += metric_get(&metrics->retained_bytes);
}

/* What a value is written from. */
struct source {
    struct mqtt_worker *worker;
    int64_t sums[SUM_COUNT];
    int64_t heap;
};

static int64_t heap_bytes(void) {
    struct mallinfo2 heap = mallinfo2();
    return (int64_t)(heap.uordblks + heap.hblkhd);
}

static void note_most(_Atomic int64_t *most, int64_t value) {
    if (value > atomic_load_explicit(most, memory_order_relaxed))
        atomic_store_explicit(most, value, memory_order_relaxed);
}

static struct source source_now(struct mqtt_worker *worker) {
    struct mqtt *mqtt = worker->mqtt;
    struct source source = {.worker = worker};
    for (unsigned i = 0; i < mqtt->worker_count; i++)
        if (mqtt->workers[i])
            add_worker(&mqtt->workers[i]->metrics, source.sums);
    note_most(&mqtt->sys.clients_max, source.sums[SUM_CLIENTS]);
    return source;
}

/* ---- values ---- */

struct row {
    const char *topic; /* behind "$SYS/broker/" */
    void (*write)(struct source *source, int argument, char text[SYS_TEXT_BYTES]);
    int argument;
};

static void put(char text[SYS_TEXT_BYTES], int64_t number) {
    snprintf(text, SYS_TEXT_BYTES, "%" PRId64, number);
}

static void write_sum(struct source *source, int sum, char text[SYS_TEXT_BYTES]) {
    put(text, source->sums[sum]);
}

static void write_total(struct source *source, int ignored, char text[SYS_TEXT_BYTES]) {
    put(text, source->sums[SUM_CLIENTS] + source->sums[SUM_AWAY]);
}

static void write_clients_max(struct source *source, int ignored, char text[SYS_TEXT_BYTES]) {
    put(text, atomic_load_explicit(&source->worker->mqtt->sys.clients_max, memory_order_relaxed));
}

static void write_heap(struct source *source, int most, char text[SYS_TEXT_BYTES]) {
    struct mqtt *mqtt = source->worker->mqtt;
    if (!source->heap) {
        source->heap = heap_bytes();
        note_most(&mqtt->sys.heap_max, source->heap);
    }
    put(text,
        most ? atomic_load_explicit(&mqtt->sys.heap_max, memory_order_relaxed) : source->heap);
}

static void write_version(struct source *source, int ignored, char text[SYS_TEXT_BYTES]) {
    snprintf(text, SYS_TEXT_BYTES, "weir version %s", WEIR_VERSION);
}

static void write_uptime(struct source *source, int ignored, char text[SYS_TEXT_BYTES]) {
    uint64_t up_ns = clock_mono_ns() - source->worker->mqtt->started_ns;
    snprintf(text, SYS_TEXT_BYTES, "%" PRIu64 " seconds", up_ns / 1000000000);
}

static void write_queued_bytes(struct source *source, int ignored, char text[SYS_TEXT_BYTES]) {
    int64_t queued =
        atomic_load_explicit(&source->worker->mqtt->queued_bytes, memory_order_relaxed);
    put(text, queued + source->sums[SUM_RETAINED_BYTES]);
}

/* `place` is rate * SYS_SPANS + span. */
static void write_load(struct source *source, int place, char text[SYS_TEXT_BYTES]) {
    int64_t hundredths =
        atomic_load_explicit(&source->worker->mqtt->sys.loads[place], memory_order_relaxed);
    snprintf(text, SYS_TEXT_BYTES, "%.2f", (double)hundredths / 100);
}

/* ---- the topics ---- */

#define LOAD(topic, rate)                                                                          \
    {"load/" topic "/1min", write_load, (rate)*SYS_SPANS},                                         \
        {"load/" topic "/5min", write_load, (rate)*SYS_SPANS + 1}, {                               \
        "load/" topic "/15min", write_load, (rate)*SYS_SPANS + 2                                   \
    }

static const struct row rows[] = {
    {"version", write_version, 0},
    {"uptime", write_uptime, 0},
    {"clients/total", write_total, 0},
    {"clients/maximum", write_clients_max, 0},
    {"clients/connected", write_sum, SUM_CLIENTS},
    {"clients/active", write_sum, SUM_CLIENTS},
    {"clients/disconnected", write_sum, SUM_AWAY},
    {"clients/inactive", write_sum, SUM_AWAY},
    {"clients/expired", write_sum, SUM_EXPIRED},
    {"messages/received", write_sum, SUM_PACKETS_IN},
    {"messages/sent", write_sum, SUM_PACKETS_OUT},
    {"messages/stored", write_sum, SUM_RETAINED},
    {"store/messages/count", write_sum, SUM_RETAINED},
    {"store/messages/bytes", write_queued_bytes, 0},
    {"bytes/received", write_sum, SUM_BYTES_IN},
    {"bytes/sent", write_sum, SUM_BYTES_OUT},
    {"publish/messages/received", write_sum, SUM_PUBLISH_IN},
    {"publish/messages/sent", write_sum, SUM_PUBLISH_OUT},
    {"publish/messages/dropped", write_sum, SUM_DROPPED},
    {"publish/bytes/received", write_sum, SUM_PUBLISH_BYTES_IN},
    {"publish/bytes/sent", write_sum, SUM_PUBLISH_BYTES_OUT},
    {"subscriptions/count", write_sum, SUM_SUBSCRIPTIONS},
    {"shared_subscriptions/count", write_sum, SUM_SHARED},
    {"retained messages/count", write_sum, SUM_RETAINED},
    {"heap/current", write_heap, 0},
    {"heap/maximum", write_heap, 1},
    LOAD("messages/received", SUM_PACKETS_IN),
    LOAD("messages/sent", SUM_PACKETS_OUT),
    LOAD("bytes/received", SUM_BYTES_IN),
    LOAD("bytes/sent", SUM_BYTES_OUT),
    LOAD("publish/received", SUM_PUBLISH_IN),
    LOAD("publish/sent", SUM_PUBLISH_OUT),
    LOAD("publish/dropped", SUM_DROPPED),
    LOAD("sockets", SUM_SOCKETS),
    LOAD("connections", SUM_CONNECTS),
};

static void topic_of(const struct row *row, struct buf *topic) {
    buf_clear(topic);
    buf_printf(topic, "$SYS/broker/%s", row->topic);
}

static struct publication publication_of(struct str topic, const char *text, bool retain,
                                         uint64_t now_ms) {
    return (struct publication){.message = {.topic = topic,
                                            .payload = str_of(text),
                                            .received_ms = now_ms,
                                            .qos = 1,
                                            .retain = retain},
                                .expiry_at = -1};
}

void sys_topics_find(struct mqtt_worker *worker, struct str filter, retained_visit *visit,
                     void *data) {
    if (!worker->config->sys_interval_ms || !str_starts(filter, STR("$SYS/")))
        return;
    struct source source = source_now(worker);
    struct buf topic = {0};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        topic_of(&rows[i], &topic);
        if (!topic_matches(filter, buf_str(&topic)))
            continue;
        char text[SYS_TEXT_BYTES];
        rows[i].write(&source, rows[i].argument, text);
        struct publication publication =
            publication_of(buf_str(&topic), text, true, worker->wall_ms);
        struct kept *kept = kept_new(&publication, 0);
        visit(data, kept);
        kept_unref(kept);
    }
    buf_done(&topic);
}

/* ---- as time passes ---- */

static void average(struct mqtt_worker *worker, const struct source *source) {
    static const double span_s[SYS_SPANS] = {60, 300, 900};
    double interval_s = (double)worker->config->sys_interval_ms / 1000;
    struct sys_topics *sys = worker->sys_topics;
    for (int rate = 0; rate < SYS_RATES; rate++) {
        double now = (double)(source->sums[rate] - sys->counted[rate]) * 60 / interval_s;
        sys->counted[rate] = source->sums[rate];
        for (int i = 0; i < SYS_SPANS; i++) {
            _Atomic int64_t *load = &worker->mqtt->sys.loads[rate * SYS_SPANS + i];
            double before = (double)atomic_load_explicit(load, memory_order_relaxed) / 100;
            double after = now + (before - now) * exp(-interval_s / span_s[i]);
            atomic_store_explicit(load, llround(after * 100), memory_order_relaxed);
        }
    }
}

/* As mosquitto does: what has not changed is not said again. */
static void say(struct mqtt_worker *worker, size_t i, struct str topic, struct source *source) {
    char text[SYS_TEXT_BYTES];
    rows[i].write(source, rows[i].argument, text);
    if (strcmp(text, worker->sys_topics->said[i]) == 0)
        return;
    memcpy(worker->sys_topics->said[i], text, sizeof text);
    worker->wall_ms = clock_wall_ms();
    struct publication publication = publication_of(topic, text, false, worker->wall_ms);
    if (publish(worker, &publication, NULL) < 0)
        metric_add(&worker->metrics.dropped_refused, 1);
}

static struct sys_topics *sys_of(struct mqtt_worker *worker) {
    if (!worker->sys_topics) {
        worker->sys_topics = xcalloc(1, sizeof *worker->sys_topics);
        worker->sys_topics->said = xcalloc(COUNT_OF(rows), sizeof *worker->sys_topics->said);
    }
    return worker->sys_topics;
}

void sys_topics_tick(struct mqtt_worker *worker) {
    int64_t interval_ms = worker->config->sys_interval_ms;
    if (worker->index || !interval_ms || worker->stopping)
        return;
    struct sys_topics *sys = sys_of(worker);
    if (++sys->due_s < interval_ms / WHEEL_TICK_MS)
        return;
    sys->due_s = 0;
    struct source source = source_now(worker);
    struct buf topic = {0};
    average(worker, &source);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        topic_of(&rows[i], &topic);
        if (route_is_wanted(worker, buf_str(&topic)))
            say(worker, i, buf_str(&topic), &source);
    }
    buf_done(&topic);
}

void sys_topics_done(struct mqtt_worker *worker) {
    if (worker->sys_topics)
        free(worker->sys_topics->said);
    free(worker->sys_topics);
}
