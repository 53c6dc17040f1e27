/*
 * Opening, watching and closing of a mapping. What happens in between is in mapping_shard.c.
 *
 * Nothing that is acknowledged after the mapping exists may be skipped: where a shard begins is
 * resolved when its reader is opened and written down before function_mapping_start() returns. From
 * then on only the checkpoint counts, not starting_position.
 *
 * Shards that are split or merged (Lambda developer guide, "resharding"): a shard is worked on when
 * its parents are finished, so that the records of a partition key keep their order. Each finished
 * shard, and the timer that shows the lag, looks for shards that are new in the stream; these are
 * read from their start, also if the mapping began at LATEST. They need no checkpoint to begin with:
 * a shard without one, in a mapping that has others, is read from its start.
 *
 * A stream that nodes share: the mapping is a member of a group, and works on the shards that it is
 * given, from where the group has come. A shard that is taken away stops at once; a batch that the
 * function has then is done again by the next node. Checkpoints are the group's.
 */
#include "function/mapping.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "function/settings.h"

/* ---- metrics ---- */

static void add_labels(const struct function_mapping *mapping, struct buf *labels) {
    metric_label(labels, "stream", str_of(mapping->config->stream));
    metric_label(labels, "function", str_of(mapping->config->function));
}

static void init_shard_metrics(struct function_mapping_shard *shard) {
    struct buf labels = {0};
    char id[STREAM_SHARD_ID_CHARS];
    stream_shard_id(shard->index, id);
    add_labels(shard->mapping, &labels);
    metric_label(&labels, "shard", str_of(id));
    metric_init(&shard->lag_records, METRIC_GAUGE, "weir_mapping_lag_records",
                "Committed records that the function has not worked on, those in hand included.",
                buf_cstr(&labels));
    metric_init(&shard->behind_ms, METRIC_GAUGE, "weir_mapping_behind_ms",
                "Age of the oldest of these records in milliseconds.", buf_cstr(&labels));
    buf_done(&labels);
}

static void init_metrics(struct function_mapping *mapping) {
    struct buf labels = {0};
    add_labels(mapping, &labels);
    const char *text = buf_cstr(&labels);
    metric_init(&mapping->records, METRIC_COUNTER, "weir_mapping_records_total",
                "Records that a function has worked on.", text);
    metric_init(&mapping->batches, METRIC_COUNTER, "weir_mapping_batches_total",
                "Batches submitted to a function, retries included.", text);
    metric_init(&mapping->failed_batches, METRIC_COUNTER, "weir_mapping_failed_batches_total",
                "Batches that failed, partly or as a whole.", text);
    metric_init(&mapping->skipped_records, METRIC_COUNTER, "weir_mapping_skipped_records_total",
                "Records given up: attempts, age, retention or damage.", text);
    buf_done(&labels);
}

static void show_lag(struct function_mapping_shard *shard) {
    uint64_t records, behind_ms, now_ms = clock_wall_ms();
    if (!shard->reader)
        return;
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
    function_mapping_go_on(mapping);
    for (unsigned i = 0; i < mapping->shard_count; i++)
        if (mapping->shards[i])
            show_lag(mapping->shards[i]);
}

/* ---- opening ---- */

/* NULL if retention has removed it. */
static struct function_mapping_shard *make_shard(struct function_mapping *mapping, unsigned index) {
    struct stream_shard_info info;
    stream_shard_get(mapping->stream, index, &info);
    if (info.removed)
        return NULL;
    struct function_mapping_shard *shard = xcalloc(1, sizeof *shard);
    shard->mapping = mapping;
    shard->index = index;
    shard->parents[0] = info.parent;
    shard->parents[1] = info.adjacent_parent;
    shard->phase = stream_is_shared(mapping->stream) ? SHARD_ELSEWHERE : SHARD_WAITING;
    shard->invocation.on_result = function_mapping_shard_on_result;
    shard->checkpoint = (struct stream_checkpoint){
        .stream = mapping->stream, .shard = index, .name = mapping->name};
    function_event_writer_init(&shard->writer, mapping->stream, index, mapping->host->region,
                               mapping->host->account);
    shard->writer.deaggregates = mapping->config->deaggregate;
    init_shard_metrics(shard);
    return shard;
}

static void make_shards(struct function_mapping *mapping) {
    unsigned count = stream_shard_count(mapping->stream);
    mapping->shards = xrealloc(mapping->shards, count * sizeof(struct function_mapping_shard *));
    for (; mapping->shard_count < count; mapping->shard_count++)
        mapping->shards[mapping->shard_count] = make_shard(mapping, mapping->shard_count);
}

static int open_reader(struct function_mapping_shard *shard, const struct stream_position *position,
                       struct err *err) {
    struct function_mapping *mapping = shard->mapping;
    int status = stream_reader_open(mapping->stream, shard->index, mapping->loop, position,
                                    function_mapping_shard_on_ready, shard, &shard->reader, err);
    if (!status)
        shard->checkpoint.counter = stream_reader_counter(shard->reader);
    return status;
}

static int read_checkpoint(struct function_mapping *mapping, struct facts *facts, unsigned index,
                           struct stream_position *position, struct err *err) {
    int status =
        stream_checkpoint_get(facts, mapping->stream, index, mapping->name, &position->counter);
    if (status == 0)
        position->from = STREAM_AT_COUNTER;
    if (status && status != ERR_NOT_FOUND)
        return err_set(err, status, "checkpoint %s of shard %u: %s", mapping->name, index,
                       err_text(status));
    return status;
}

static int write_checkpoints(struct function_mapping *mapping, struct facts *facts,
                             struct err *err) {
    struct facts_write *write;
    int failed = facts_begin(facts, &write, err);
    if (failed)
        return failed;
    for (unsigned i = 0; i < mapping->shard_count; i++)
        if (mapping->shards[i])
            stream_checkpoint_put(write, mapping->stream, i, mapping->name,
                                  mapping->shards[i]->checkpoint.counter);
    return facts_commit(write, err);
}

/* Whether it has been there before: then there is a checkpoint, maybe of a shard that is gone. */
static int ask_known(struct function_mapping *mapping, struct facts *facts, bool *ret_known,
                     struct err *err) {
    struct stream_position position;
    int status = ERR_NOT_FOUND;
    for (unsigned i = 0; status == ERR_NOT_FOUND && i < mapping->shard_count; i++)
        status = read_checkpoint(mapping, facts, i, &position, err);
    *ret_known = status == 0;
    return status == ERR_NOT_FOUND ? 0 : status;
}

static int open_readers(struct function_mapping *mapping, struct facts *facts,
                        const struct stream_position *start, struct err *err) {
    bool known, any_new = false;
    int failed = ask_known(mapping, facts, &known, err);
    for (unsigned i = 0; !failed && i < mapping->shard_count; i++) {
        struct stream_position position = *start;
        if (!mapping->shards[i])
            continue;
        if (known)
            position.from = STREAM_TRIM_HORIZON;
        failed = read_checkpoint(mapping, facts, i, &position, err);
        any_new |= failed == ERR_NOT_FOUND;
        if (!failed || failed == ERR_NOT_FOUND)
            failed = open_reader(mapping->shards[i], &position, err);
    }
    if (failed)
        return failed;
    return any_new ? write_checkpoints(mapping, facts, err) : 0;
}

/* ---- shards that come while it runs ---- */

static bool is_finished(const struct function_mapping *mapping, int parent) {
    return parent == STREAM_NO_SHARD || !mapping->shards[parent] ||
           mapping->shards[parent]->phase == SHARD_FINISHED;
}

static void begin_shard(struct function_mapping_shard *shard) {
    struct stream_position start = {.from = STREAM_TRIM_HORIZON};
    struct err err;
    int status = shard->reader ? 0 : open_reader(shard, &start, &err);
    if (status == ERR_NOT_FOUND) {
        shard->phase = SHARD_FINISHED; /* Retention has taken it meanwhile. */
        return;
    }
    if (status) {
        unsigned missed;
        if (log_limit_pass(&shard->read_limit, 10000, &missed))
            log_error("function", "mapping of stream %s to %s: %s (%u more like this)",
                      shard->mapping->config->stream, shard->mapping->config->function, err.text,
                      missed);
        return; /* The timer that shows the lag tries again. */
    }
    shard->phase = SHARD_GATHERING;
    timer_start(shard->mapping->loop, &shard->timer, 0, 0, function_mapping_shard_on_timer);
}

/* ---- shards that nodes share ---- */

static void begin_share(struct function_mapping_shard *shard,
                        const struct stream_position *position) {
    struct err err;
    if (open_reader(shard, position, &err)) {
        log_error("function", "mapping of stream %s to %s: %s", shard->mapping->config->stream,
                  shard->mapping->config->function, err.text);
        shard->phase = SHARD_ELSEWHERE;
        shard->regained = *position;
        shard->is_regained = true; /* The timer that shows the lag tries again. */
        return;
    }
    shard->is_regained = false;
    shard->lost_seen = 0;
    shard->phase = SHARD_GATHERING;
    timer_start(shard->mapping->loop, &shard->timer, 0, 0, function_mapping_shard_on_timer);
}

/* Nobody has begun yet: it begins where the configuration says, and that is written down at once. */
static void on_gained(void *data, unsigned index, bool known, uint64_t counter, struct str note) {
    struct function_mapping *mapping = data;
    struct function_mapping_shard *shard = mapping->shards[index];
    struct stream_position position = {.from = STREAM_AT_COUNTER, .counter = counter};
    if (!known)
        position = mapping->start;
    if (shard->phase == SHARD_LOST) {
        shard->regained = position;
        shard->is_regained = true;
        return;
    }
    if (shard->phase != SHARD_ELSEWHERE)
        return;
    begin_share(shard, &position);
    if (!known)
        stream_member_commit(mapping->member, index, shard->checkpoint.counter);
}

static void on_lost(void *data, unsigned index) {
    struct function_mapping *mapping = data;
    struct function_mapping_shard *shard = mapping->shards[index];
    shard->is_regained = false;
    if (shard->phase == SHARD_STOPPED || shard->phase == SHARD_LOST)
        return;
    bool invoking = shard->phase == SHARD_INVOKING;
    shard->phase = SHARD_LOST;
    timer_stop(&shard->timer);
    stream_reader_close(shard->reader);
    shard->reader = NULL;
    metric_set(&shard->lag_records, 0);
    metric_set(&shard->behind_ms, 0);
    if (!invoking)
        function_mapping_shard_forget(shard);
}

void function_mapping_shard_forget(struct function_mapping_shard *shard) {
    shard->batch = shard->expired = (struct function_batch){0};
    shard->failures = shard->split_count = 0;
    shard->attempts = 0;
    shard->phase = SHARD_ELSEWHERE;
    if (shard->is_regained)
        begin_share(shard, &shard->regained);
}

static int join(struct function_mapping *mapping, struct err *err) {
    const struct stream_member_events events = {.on_gained = on_gained, .on_lost = on_lost};
    int failed = stream_member_join(mapping->stream, mapping->name, mapping->loop, &events, mapping,
                                    &mapping->member, err);
    for (unsigned i = 0; !failed && i < mapping->shard_count; i++)
        mapping->shards[i]->checkpoint.member = mapping->member;
    return failed;
}

void function_mapping_go_on(struct function_mapping *mapping) {
    if (stream_is_deleted(mapping->stream))
        return;
    make_shards(mapping);
    for (unsigned i = 0; i < mapping->shard_count; i++) {
        struct function_mapping_shard *shard = mapping->shards[i];
        if (shard && shard->phase == SHARD_ELSEWHERE && shard->is_regained)
            begin_share(shard, &shard->regained);
        if (shard && shard->phase == SHARD_WAITING && is_finished(mapping, shard->parents[0]) &&
            is_finished(mapping, shard->parents[1]))
            begin_shard(shard);
    }
}

static void free_shard(struct function_mapping_shard *shard) {
    if (!shard)
        return;
    stream_reader_close(shard->reader);
    function_event_writer_done(&shard->writer);
    buf_done(&shard->event);
    metric_done(&shard->lag_records);
    metric_done(&shard->behind_ms);
    free(shard);
}

static void free_mapping(struct function_mapping *mapping) {
    for (unsigned i = 0; i < mapping->shard_count; i++)
        free_shard(mapping->shards[i]);
    metric_done(&mapping->records);
    metric_done(&mapping->batches);
    metric_done(&mapping->failed_batches);
    metric_done(&mapping->skipped_records);
    json_done(&mapping->json);
    free(mapping->shards);
    free(mapping->name);
    stream_unref(mapping->stream);
    free(mapping);
}

/* The first records are read when the loop runs. */
static void start_timers(struct function_mapping *mapping) {
    function_mapping_go_on(mapping);
    timer_start(mapping->loop, &mapping->lag, FUNCTION_LAG_MS, FUNCTION_LAG_MS, on_lag_timer);
}

int function_mapping_start(struct loop *loop, const struct function_host_config *host,
                           struct function_pool *pool, struct stream_checkpoint_writer *checkpoints,
                           struct facts *facts, const struct function_mapping_config *config,
                           struct stream *stream, struct function_mapping **ret_mapping,
                           struct err *err) {
    struct stream_position start;
    bool reports_failures;
    int failed = function_mapping_config_check(config, &start, &reports_failures, err);
    if (failed)
        return failed;
    struct function_mapping *mapping = xcalloc(1, sizeof *mapping);
    mapping->loop = loop;
    mapping->host = host;
    mapping->config = config;
    mapping->pool = pool;
    mapping->checkpoints = checkpoints;
    mapping->stream = stream_ref(stream);
    mapping->reports_failures = reports_failures;
    mapping->name = xprintf("mapping/%s/%s", stream_name(stream), config->function);
    make_shards(mapping);
    init_metrics(mapping);
    mapping->start = start;
    failed =
        stream_is_shared(stream) ? join(mapping, err) : open_readers(mapping, facts, &start, err);
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
        if (!mapping->shards[i])
            continue;
        timer_stop(&mapping->shards[i]->timer);
        mapping->shards[i]->phase = SHARD_STOPPED;
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
    stream_member_leave(mapping->member);
    mapping->closed = closed;
    mapping->data = data;
    mapping->open_handles = 1 + (int)mapping->shard_count;
    for (unsigned i = 0; i < mapping->shard_count; i++) {
        if (mapping->shards[i])
            timer_close(&mapping->shards[i]->timer, on_shard_timer_closed);
        else
            mapping->open_handles--;
    }
    timer_close(&mapping->lag, on_lag_closed);
}
