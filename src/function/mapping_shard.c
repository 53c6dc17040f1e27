/*
 * The way of a batch, one at a time per shard, so that the order of records is kept:
 *
 *   GATHERING  records go from the reader straight into the event document, until batch_size, the
 *              payload bound, or nothing more is committed and the batching window is over
 *   INVOKING   the pool has the event
 *   result     success: the checkpoint moves behind the batch; GATHERING
 *              failure: RETRYING
 *   RETRYING   after the back-off the same document goes out again, so a retry is the same batch to
 *              the byte, even if retention has removed the records meanwhile
 *
 *   CLOSED   (the reader says so) what was gathered goes out at once; when it is done with, the shard
 *            is finished, and its children begin
 *
 * Parts (bisect_batch_on_function_error, partial batch responses). `splits` is a stack of counters
 * that batches end at: a failed batch [a,c) with its middle b pushes c and b, and becomes [a,b),
 * then [b,c), each of which may be split further. Then the records are read again.
 *
 * A batch that failed too often, and records that are too old, or too large for any event, are
 * skipped with an error line that names them; they stay in the stream until its retention ends.
 */
#include <inttypes.h>

#include "base/backoff.h"
#include "base/clock.h"
#include "function/batch_response.h"
#include "function/mapping.h"

enum {
    EVENT_BYTES_KEPT = 64 * 1024,
    READ_RETRY_MS = 1000,
    READS_PER_RUN_MAX = 64, /* expired or damaged records must not keep the loop from its turns */
    LOGGED_PAYLOAD_CHARS = 300,
};

static const struct function_mapping_config *config_of(const struct function_mapping_shard *shard) {
    return shard->mapping->config;
}

static void start_timer(struct function_mapping_shard *shard, uint64_t delay_ms) {
    timer_start(shard->mapping->loop, &shard->timer, delay_ms, 0, function_mapping_shard_on_timer);
}

/* ---- skipping ---- */

static void log_skipped(struct function_mapping_shard *shard, const struct function_batch *batch,
                        const char *why) {
    struct function_mapping *mapping = shard->mapping;
    char id[STREAM_SHARD_ID_CHARS], first[STREAM_SEQUENCE_CHARS], last[STREAM_SEQUENCE_CHARS];
    stream_shard_id(shard->index, id);
    stream_sequence_text(mapping->stream, shard->index, batch->first, batch->first_arrival_ms,
                         first);
    stream_sequence_text(mapping->stream, shard->index, batch->last, batch->last_arrival_ms, last);
    log_error(
        "function",
        "mapping of stream %s to %s: skipped %zu records of %s, sequence numbers %s to %s: %s",
        stream_name(mapping->stream), config_of(shard)->function, batch->count, id, first, last,
        why);
    metric_add(&mapping->skipped_records, (int64_t)batch->count);
}

static void batch_add(struct function_batch *batch, const struct stream_record *record) {
    if (batch->count++ == 0) {
        batch->first = record->counter;
        batch->first_arrival_ms = record->arrival_ms;
    }
    batch->last = record->counter;
    batch->last_arrival_ms = record->arrival_ms;
    batch->end = record->counter + 1;
}

static bool is_expired(const struct function_mapping_shard *shard, uint64_t arrival_ms) {
    int64_t age_max_ms = config_of(shard)->maximum_record_age_ms;
    return age_max_ms && clock_wall_ms() > arrival_ms + (uint64_t)age_max_ms;
}

static void tell_expired(struct function_mapping_shard *shard) {
    if (!shard->expired.count)
        return;
    log_skipped(shard, &shard->expired, "older than maximum_record_age");
    if (!shard->batch.count)
        stream_checkpoint_set(shard->mapping->checkpoints, &shard->checkpoint, shard->expired.end);
    shard->expired = (struct function_batch){0};
}

/* Lambda gives what no event can hold to the on-failure destination of the mapping, and discards it where
 * there is none (Kinesis developer guide, "Handle large records"). Nothing is gathered. */
static void skip_too_large(struct function_mapping_shard *shard,
                           const struct stream_record *record) {
    struct function_batch one = {0};
    tell_expired(shard);
    batch_add(&one, record);
    log_skipped(shard, &one, "too large for an event, which holds 6 MiB");
    stream_checkpoint_set(shard->mapping->checkpoints, &shard->checkpoint, one.end);
}

/* What retention or damage took before it was read. The reader has told where. */
static void count_lost(struct function_mapping_shard *shard) {
    uint64_t lost = stream_reader_skipped(shard->reader);
    metric_add(&shard->mapping->skipped_records, (int64_t)(lost - shard->lost_seen));
    shard->lost_seen = lost;
}

/* ---- gathering ---- */

/* Where the batch must end at the latest. */
static uint64_t split_end(const struct function_mapping_shard *shard) {
    return shard->split_count ? shard->splits[shard->split_count - 1] : UINT64_MAX;
}

static void drop_splits_behind(struct function_mapping_shard *shard, uint64_t counter) {
    while (split_end(shard) <= counter)
        shard->split_count--;
}

/* True when the batch is complete; the reader then stands behind its last record. */
static bool take_records(struct function_mapping_shard *shard, const struct stream_batch *records) {
    for (size_t i = 0; i < records->count; i++) {
        const struct stream_record *record = &records->records[i];
        if (record->counter >= split_end(shard) && shard->batch.count) {
            stream_reader_seek(shard->reader, record->counter);
            return true;
        }
        if (is_expired(shard, record->arrival_ms)) {
            batch_add(&shard->expired, record);
            continue;
        }
        if (!shard->batch.count)
            function_event_begin(&shard->event);
        if (function_event_add(&shard->writer, &shard->event, record)) {
            batch_add(&shard->batch, record);
        } else if (shard->batch.count) {
            stream_reader_seek(shard->reader, record->counter);
            return true;
        } else {
            skip_too_large(shard, record);
        }
    }
    return shard->batch.count == (size_t)config_of(shard)->batch_size ||
           stream_reader_counter(shard->reader) >= split_end(shard);
}

static size_t least(uint64_t a, uint64_t b) {
    return (size_t)(a < b ? a : b);
}

static int read_records(struct function_mapping_shard *shard, struct stream_batch *ret_records) {
    uint64_t counter = stream_reader_counter(shard->reader);
    if (!shard->batch.count)
        drop_splits_behind(shard, counter);
    size_t room = (size_t)config_of(shard)->batch_size - shard->batch.count;
    size_t used = shard->batch.count ? buf_len(&shard->event) : 0;
    size_t bytes_max = (FUNCTION_EVENT_BYTES_MAX - used) / 4 * 3;
    return stream_reader_next(shard->reader, least(room, split_end(shard) - counter),
                              bytes_max ? bytes_max : 1, ret_records);
}

static void invoke(struct function_mapping_shard *shard) {
    shard->phase = SHARD_INVOKING;
    shard->invocation.event = buf_str(&shard->event);
    metric_add(&shard->mapping->batches, 1);
    function_pool_submit(shard->mapping->pool, &shard->invocation);
}

static void invoke_gathered(struct function_mapping_shard *shard) {
    timer_stop(&shard->timer);
    function_event_end(&shard->event);
    invoke(shard);
}

/* Everything that is committed has been read. */
static void wait_for_more(struct function_mapping_shard *shard) {
    int64_t window_ms = config_of(shard)->batching_window_ms;
    if (shard->batch.count && !window_ms)
        invoke_gathered(shard);
    else if (shard->batch.count && !timer_running(&shard->timer))
        start_timer(shard, (uint64_t)window_ms);
    else if (!shard->batch.count && shard->event.cap > EVENT_BYTES_KEPT)
        buf_done(&shard->event);
}

/* The shard was split or merged, and all of it is done. Or its stream was deleted. */
static void finish(struct function_mapping_shard *shard) {
    char id[STREAM_SHARD_ID_CHARS];
    stream_shard_id(shard->index, id);
    log_info("function", "mapping of stream %s to %s: %s is closed and all of it is done",
             stream_name(shard->mapping->stream), config_of(shard)->function, id);
    timer_stop(&shard->timer);
    stream_reader_close(shard->reader);
    shard->reader = NULL;
    buf_done(&shard->event);
    metric_done(&shard->lag_records);
    metric_done(&shard->behind_ms);
    shard->phase = SHARD_FINISHED;
    function_mapping_go_on(shard->mapping);
}

static void on_read_failed(struct function_mapping_shard *shard, int status) {
    unsigned missed;
    if (log_limit_pass(&shard->read_limit, 10000, &missed))
        log_error("function", "mapping of stream %s to %s: cannot read: %s (%u more like this)",
                  stream_name(shard->mapping->stream), config_of(shard)->function, err_text(status),
                  missed);
    if (!timer_running(&shard->timer))
        start_timer(shard, READ_RETRY_MS);
}

/* Reads on, and invokes when a batch is complete. */
static void run(struct function_mapping_shard *shard) {
    struct stream_batch records;
    int status = 0;
    bool complete = false;
    for (int reads = 0; reads < READS_PER_RUN_MAX && !complete; reads++) {
        status = read_records(shard, &records);
        if (status == 0)
            complete = take_records(shard, &records) && shard->batch.count;
        else if (status != ERR_CORRUPT)
            break;
    }
    count_lost(shard);
    tell_expired(shard);
    if (complete)
        invoke_gathered(shard);
    else if (status == ERR_AGAIN)
        wait_for_more(shard);
    else if (status == ERR_CLOSED && shard->batch.count)
        invoke_gathered(shard);
    else if (status == ERR_CLOSED)
        finish(shard);
    else if (status == 0 || status == ERR_CORRUPT)
        start_timer(shard, 0);
    else
        on_read_failed(shard, status);
}

void function_mapping_shard_on_ready(struct stream_reader *reader, void *data) {
    struct function_mapping_shard *shard = data;
    if (shard->phase == SHARD_GATHERING)
        run(shard);
}

/* ---- results ---- */

/* The batch, or a part of it, is done with: by success, or because it was given up. */
static void go_on_behind(struct function_mapping_shard *shard, uint64_t counter) {
    stream_checkpoint_set(shard->mapping->checkpoints, &shard->checkpoint, counter);
    shard->batch = (struct function_batch){0};
    shard->failures = 0;
    shard->attempts = 0;
    drop_splits_behind(shard, counter);
    shard->phase = SHARD_GATHERING;
    run(shard);
}

static void retry_later(struct function_mapping_shard *shard) {
    uint64_t delay_ms = backoff_ms(FUNCTION_RETRY_MS_MIN, FUNCTION_RETRY_MS_MAX, shard->failures);
    shard->phase = SHARD_RETRYING;
    start_timer(shard, delay_ms + random_u64() % (delay_ms / 4 + 1));
}

/* When the stack is full a batch may run past the end of the one before: harmless. */
static void push_split(struct function_mapping_shard *shard, uint64_t counter) {
    if (split_end(shard) > counter && shard->split_count < FUNCTION_SPLITS_MAX)
        shard->splits[shard->split_count++] = counter;
}

/* The records are to be read again, up to the last split. */
static void retry_from(struct function_mapping_shard *shard, uint64_t counter) {
    stream_reader_seek(shard->reader, counter);
    shard->batch = (struct function_batch){0};
    shard->attempts = 0;
    shard->failures = 1;
    retry_later(shard);
}

static bool can_bisect(const struct function_mapping_shard *shard) {
    return config_of(shard)->bisect_batch_on_function_error && shard->batch.count > 1 &&
           shard->split_count + 2 <= FUNCTION_SPLITS_MAX;
}

static void bisect(struct function_mapping_shard *shard) {
    uint64_t first = shard->batch.first, end = shard->batch.end;
    push_split(shard, end);
    push_split(shard, first + (end - first) / 2);
    retry_from(shard, first);
}

static void log_failed(struct function_mapping_shard *shard, const struct function_result *result) {
    unsigned missed;
    if (!log_limit_pass(&shard->failed_limit, 1000, &missed))
        return;
    struct str payload = result->payload;
    if (payload.len > LOGGED_PAYLOAD_CHARS)
        payload.len = LOGGED_PAYLOAD_CHARS;
    log_warn("function",
             "mapping of stream %s to %s: a batch of %zu records of shard %u failed: %s %.*s (%u "
             "more like this)",
             stream_name(shard->mapping->stream), config_of(shard)->function, shard->batch.count,
             shard->index, result->ok ? "its answer" : result->error_type, STR_ARG(payload),
             missed);
}

static void on_failure(struct function_mapping_shard *shard, const struct function_result *result) {
    int64_t attempts_max = config_of(shard)->maximum_retry_attempts;
    metric_add(&shard->mapping->failed_batches, 1);
    log_failed(shard, result);
    if (can_bisect(shard)) {
        bisect(shard);
        return;
    }
    shard->failures++;
    shard->attempts++;
    if (attempts_max >= 0 && shard->attempts > attempts_max) {
        log_skipped(shard, &shard->batch, "maximum_retry_attempts reached");
        go_on_behind(shard, shard->batch.end);
    } else {
        retry_later(shard);
    }
}

struct reported {
    const struct function_mapping_shard *shard;
    uint64_t first_failed;
};

static bool on_item(void *data, struct str identifier) {
    struct reported *reported = data;
    const struct function_mapping_shard *shard = reported->shard;
    uint64_t counter;
    if (stream_sequence_parse(shard->mapping->stream, shard->index, identifier, &counter) ||
        counter < shard->batch.first || counter >= shard->batch.end)
        return false;
    if (counter < reported->first_failed)
        reported->first_failed = counter;
    return true;
}

/* Where the function got to: the end of the batch, or the first record that it says has failed; the
 * first of the batch if all of it counts as failed. */
static uint64_t reached(struct function_mapping_shard *shard,
                        const struct function_result *result) {
    if (!result->ok)
        return shard->batch.first;
    struct reported reported = {shard, shard->batch.end};
    if (shard->mapping->reports_failures &&
        function_batch_response_parse(&shard->mapping->json, result->payload, on_item, &reported))
        return shard->batch.first;
    return reported.first_failed;
}

/* Those before `counter` are done; the rest of the batch is tried again, no record more. */
static void on_partial_failure(struct function_mapping_shard *shard,
                               const struct function_result *result, uint64_t counter) {
    uint64_t end = shard->batch.end;
    log_failed(shard, result);
    metric_add(&shard->mapping->failed_batches, 1);
    metric_add(&shard->mapping->records, (int64_t)(counter - shard->batch.first));
    stream_checkpoint_set(shard->mapping->checkpoints, &shard->checkpoint, counter);
    push_split(shard, end);
    retry_from(shard, counter);
}

static void on_result_stopped(struct function_mapping_shard *shard, uint64_t counter) {
    if (counter > shard->batch.first)
        stream_checkpoint_set(shard->mapping->checkpoints, &shard->checkpoint, counter);
}

void function_mapping_shard_on_result(struct function_invocation *invocation,
                                      const struct function_result *result) {
    struct function_mapping_shard *shard =
        CONTAINER_OF(invocation, struct function_mapping_shard, invocation);
    uint64_t counter = reached(shard, result);
    if (shard->phase == SHARD_LOST) {
        function_mapping_shard_forget(shard);
    } else if (shard->phase == SHARD_STOPPED) {
        on_result_stopped(shard, counter);
    } else if (counter == shard->batch.end) {
        metric_add(&shard->mapping->records, (int64_t)shard->batch.count);
        go_on_behind(shard, counter);
    } else if (counter == shard->batch.first) {
        on_failure(shard, result);
    } else {
        on_partial_failure(shard, result, counter);
    }
}

/* ---- time ---- */

static void retry(struct function_mapping_shard *shard) {
    bool is_gathered = shard->batch.count > 0;
    if (is_gathered && !is_expired(shard, shard->batch.first_arrival_ms)) {
        invoke(shard);
        return;
    }
    if (is_gathered) {
        push_split(shard, shard->batch.end);
        stream_reader_seek(shard->reader, shard->batch.first);
        shard->batch = (struct function_batch){0};
    }
    shard->phase = SHARD_GATHERING;
    run(shard);
}

void function_mapping_shard_on_timer(struct timer *timer) {
    struct function_mapping_shard *shard =
        CONTAINER_OF(timer, struct function_mapping_shard, timer);
    if (shard->phase == SHARD_RETRYING)
        retry(shard);
    else if (shard->phase == SHARD_GATHERING && shard->batch.count)
        invoke_gathered(shard);
    else if (shard->phase == SHARD_GATHERING)
        run(shard);
}
