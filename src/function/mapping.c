/*
 * Opening, watching and closing of a mapping. What happens in between is in mapping_shard.c.
 *
 * Nothing that is acknowledged after the mapping exists may be skipped: where a shard begins is
 * resolved when its reader is opened and written down before function_mapping_start() returns. From
 * then on only the checkpoint counts, not starting_position.
 */
#include "function/mapping.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "function/settings.h"

/* ---- metrics ---- */

static void init_shard_metrics(struct function_mapping_shard *shard, struct buf *labels) {
    size_t len = buf_len(labels);
    char id[STREAM_SHARD_ID_CHARS];
    stream_shard_id(shard->index, id);
    metric_label(labels, "shard", str_of(id));
    metric_init(&shard->lag_records, METRIC_GAUGE, "weir_mapping_lag_records",
                "Committed records that the function has not worked on, those in hand included.",
                buf_cstr(labels));
    metric_init(&shard->behind_ms, METRIC_GAUGE, "weir_mapping_behind_ms",
                "Age of the oldest of these records in milliseconds.", buf_cstr(labels));
    labels->end = labels->begin + len;
}

static void init_metrics(struct function_mapping *mapping) {
    struct buf labels = {0};
    metric_label(&labels, "stream", str_of(mapping->config->stream));
    metric_label(&labels, "function", str_of(mapping->config->function));
    const char *text = buf_cstr(&labels);
    metric_init(&mapping->records, METRIC_COUNTER, "weir_mapping_records_total",
                "Records that a function has worked on.", text);
    metric_init(&mapping->batches, METRIC_COUNTER, "weir_mapping_batches_total",
                "Batches submitted to a function, retries included.", text);
    metric_init(&mapping->failed_batches, METRIC_COUNTER, "weir_mapping_failed_batches_total",
                "Batches that failed, partly or as a whole.", text);
    metric_init(&mapping->skipped_records, METRIC_COUNTER, "weir_mapping_skipped_records_total",
                "Records given up: attempts, age, retention or damage.", text);
    for (unsigned i = 0; i < mapping->shard_count; i++)
        init_shard_metrics(&mapping->shards[i], &labels);
    buf_done(&labels);
}

static void show_lag(struct function_mapping_shard *shard) {
    uint64_t records, behind_ms, now_ms = clock_wall_ms();
    stream_reader_lag(shard->reader, &records, &behind_ms);
    if (shard->batch.count) {
        records += shard->batch.count;
        behind_ms =
            now_ms > shard->batch.first_arrival_ms ? now_ms - shard->batch.first_arrival_ms : 0;
    }
    metric_set(&shard->lag_records, (int64_t)records);
    metric_set(&shard->behind_ms, (int64_t)behind_ms);
}

static void on_lag_timer(struct timer *timer) {
    struct function_mapping *mapping = CONTAINER_OF(timer, struct function_mapping, lag);
    for (unsigned i = 0; i < mapping->shard_count; i++)
        show_lag(&mapping->shards[i]);
}

/* ---- opening ---- */

static void init_shard(struct function_mapping *mapping, unsigned index,
                       const struct function_host_config *host) {
    struct function_mapping_shard *shard = &mapping->shards[index];
    shard->mapping = mapping;
    shard->index = index;
    shard->invocation.on_result = function_mapping_shard_on_result;
    shard->checkpoint = (struct function_checkpoint){
        .stream = mapping->stream, .shard = index, .name = mapping->name};
    function_event_writer_init(&shard->writer, mapping->stream, index, host->region, host->account);
}

/* `ret_is_new`: there was no checkpoint. */
static int open_reader(struct function_mapping_shard *shard, struct facts *facts,
                       const struct stream_position *start, bool *ret_is_new, struct err *err) {
    struct stream *stream = shard->mapping->stream;
    struct stream_position position = {.from = STREAM_AT_COUNTER};
    int status = stream_checkpoint_get(facts, stream, shard->index, shard->checkpoint.name,
                                       &position.counter);
    if (status && status != ERR_NOT_FOUND)
        return err_set(err, status, "checkpoint %s of shard %u: %s", shard->checkpoint.name,
                       shard->index, err_text(status));
    *ret_is_new = status != 0;
    if (status)
        position = *start;
    status = stream_reader_open(stream, shard->index, shard->mapping->loop, &position,
                                function_mapping_shard_on_ready, shard, &shard->reader, err);
    if (!status)
        shard->checkpoint.counter = stream_reader_counter(shard->reader);
    return status;
}

static int write_checkpoints(struct function_mapping *mapping, struct facts *facts,
                             struct err *err) {
    struct facts_write *write;
    int failed = facts_begin(facts, &write, err);
    if (failed)
        return failed;
    for (unsigned i = 0; i < mapping->shard_count; i++)
        stream_checkpoint_put(write, mapping->stream, i, mapping->name,
                              mapping->shards[i].checkpoint.counter);
    return facts_commit(write, err);
}

static int open_readers(struct function_mapping *mapping, struct facts *facts,
                        const struct stream_position *start, struct err *err) {
    bool any_new = false;
    for (unsigned i = 0; i < mapping->shard_count; i++) {
        bool is_new = false;
        int failed = open_reader(&mapping->shards[i], facts, start, &is_new, err);
        if (failed)
            return failed;
        any_new |= is_new;
    }
    return any_new ? write_checkpoints(mapping, facts, err) : 0;
}

static void free_mapping(struct function_mapping *mapping) {
    for (unsigned i = 0; i < mapping->shard_count; i++) {
        struct function_mapping_shard *shard = &mapping->shards[i];
        stream_reader_close(shard->reader);
        function_event_writer_done(&shard->writer);
        buf_done(&shard->event);
        metric_done(&shard->lag_records);
        metric_done(&shard->behind_ms);
    }
    metric_done(&mapping->records);
    metric_done(&mapping->batches);
    metric_done(&mapping->failed_batches);
    metric_done(&mapping->skipped_records);
    json_done(&mapping->json);
    free(mapping->shards);
    free(mapping->name);
    free(mapping);
}

/* The first records are read when the loop runs. */
static void start_timers(struct function_mapping *mapping) {
    for (unsigned i = 0; i < mapping->shard_count; i++)
        timer_start(mapping->loop, &mapping->shards[i].timer, 0, 0,
                    function_mapping_shard_on_timer);
    timer_start(mapping->loop, &mapping->lag, FUNCTION_LAG_MS, FUNCTION_LAG_MS, on_lag_timer);
}

int function_mapping_start(struct loop *loop, const struct function_host_config *host,
                           struct function_pool *pool,
                           struct function_checkpoint_writer *checkpoints, struct facts *facts,
                           const struct function_mapping_config *config, struct stream *stream,
                           struct function_mapping **ret_mapping, struct err *err) {
    struct stream_position start;
    bool reports_failures;
    int failed = function_mapping_config_check(config, &start, &reports_failures, err);
    if (failed)
        return failed;
    struct function_mapping *mapping = xcalloc(1, sizeof *mapping);
    mapping->loop = loop;
    mapping->config = config;
    mapping->pool = pool;
    mapping->checkpoints = checkpoints;
    mapping->stream = stream;
    mapping->reports_failures = reports_failures;
    mapping->name = xprintf("mapping/%s/%s", stream_name(stream), config->function);
    mapping->shard_count = stream_shard_count(stream);
    mapping->shards = xcalloc(mapping->shard_count, sizeof *mapping->shards);
    for (unsigned i = 0; i < mapping->shard_count; i++)
        init_shard(mapping, i, host);
    init_metrics(mapping);
    failed = open_readers(mapping, facts, &start, err);
    if (failed) {
        free_mapping(mapping);
        return failed;
    }
    start_timers(mapping);
    *ret_mapping = mapping;
    return 0;
}

/* ---- closing ---- */

void function_mapping_stop(struct function_mapping *mapping) {
    timer_stop(&mapping->lag);
    for (unsigned i = 0; i < mapping->shard_count; i++) {
        timer_stop(&mapping->shards[i].timer);
        mapping->shards[i].phase = SHARD_STOPPED;
    }
}

static void release(struct function_mapping *mapping) {
    if (--mapping->open_handles)
        return;
    void (*closed)(void *data) = mapping->closed;
    void *data = mapping->data;
    list_remove(&mapping->link);
    free_mapping(mapping);
    closed(data);
}

static void on_lag_closed(struct timer *timer) {
    release(CONTAINER_OF(timer, struct function_mapping, lag));
}

static void on_shard_timer_closed(struct timer *timer) {
    release(CONTAINER_OF(timer, struct function_mapping_shard, timer)->mapping);
}

void function_mapping_close(struct function_mapping *mapping, void (*closed)(void *data),
                            void *data) {
    mapping->closed = closed;
    mapping->data = data;
    mapping->open_handles = 1 + (int)mapping->shard_count;
    for (unsigned i = 0; i < mapping->shard_count; i++)
        timer_close(&mapping->shards[i].timer, on_shard_timer_closed);
    timer_close(&mapping->lag, on_lag_closed);
}
