/*
 * GetShardIterator and GetRecords.
 *
 * An iterator holds a position in a shard, found when it is made: LATEST is the end as it is then.
 * GetRecords opens a reader there and takes records in turns of at most TURN_BYTES, so that one call
 * for 10 MiB does not keep others waiting; between turns the loop does its other work. What a client
 * reads next comes with a new iterator. If the records are on another machine, a call that has found
 * none yet waits for them, WAIT_MS at most.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "aws/kinesis.h"

enum {
    GET_RECORDS_MAX = 10000,
    GET_BYTES_MAX = 10 * 1024 * 1024,
    TURN_BYTES = 512 * 1024,
    TURN_RECORDS = 2000,
    WAIT_MS = 2000,
};

/* ---- positions ---- */

static const char type_text[] =
    "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and "
    "StartingSequenceNumber "
    "or (2) TRIM_HORIZON or LATEST and no StartingSequenceNumber. Request specified %.*s and %s "
    "StartingSequenceNumber.";

static bool fail_type(struct call *call, const struct kinesis_position *position) {
    bool also = position->sequence.len;
    call_fail(call, "InvalidArgumentException", type_text, STR_ARG(position->type),
              also ? "also a" : "no");
    return false;
}

static bool fail_number(struct call *call, const struct catalog_stream *target, unsigned shard,
                        const struct kinesis_position *position) {
    char id[STREAM_SHARD_ID_CHARS], other_id[STREAM_SHARD_ID_CHARS];
    unsigned count = stream_shard_count(target->stream);
    stream_shard_id(shard, id);
    for (unsigned other = 0; other < count; other++) {
        uint64_t counter;
        if (stream_sequence_parse(target->stream, other, position->sequence, &counter))
            continue;
        stream_shard_id(other, other_id);
        call_fail(call, "InvalidArgumentException",
                  "Invalid StartingSequenceNumber. It encodes %s, while it was used in a call to a "
                  "shard with %s",
                  other_id, id);
        return false;
    }
    call_fail(call, "InvalidArgumentException",
              "StartingSequenceNumber %.*s used in %s on shard %s in stream %s under account %s is "
              "invalid because it did not come from this stream.",
              STR_ARG(position->sequence), position->operation, id, target->name,
              call->aws->config->account);
    return false;
}

/* The number with which a shard is said to start is before its first record; "0" is before all. */
static bool find_number(struct call *call, const struct catalog_stream *target, unsigned shard,
                        const struct kinesis_position *position, uint64_t *ret_counter) {
    char start[STREAM_SEQUENCE_CHARS];
    bool after = str_eq(position->type, STR("AFTER_SEQUENCE_NUMBER"));
    if (!position->sequence.len)
        return fail_type(call, position);
    stream_sequence_text(target->stream, shard, 0, 0, start);
    if (str_eq(position->sequence, str_of(start)) || str_eq(position->sequence, STR("0"))) {
        *ret_counter = 0;
        return true;
    }
    if (stream_sequence_parse(target->stream, shard, position->sequence, ret_counter))
        return fail_number(call, target, shard, position);
    *ret_counter += after;
    return true;
}

static void on_ready(struct stream_reader *reader, void *data) {}

static bool find_time(struct call *call, const struct catalog_stream *target, unsigned shard,
                      const struct kinesis_position *position, uint64_t *ret_counter) {
    struct stream_reader *reader;
    struct err err = {0};
    if (json_type(position->timestamp) == JSON_ABSENT) {
        call_fail(call, "InvalidArgumentException",
                  "Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP. "
                  "Current request has no timestamp parameter.");
        return false;
    }
    int64_t ms = aws_input_time_ms(position->timestamp);
    if (ms > (int64_t)call->wall_ms) {
        call_fail(call, "InvalidArgumentException",
                  "The timestampInMillis parameter cannot be greater than the "
                  "currentTimestampInMillis. timestampInMillis: %" PRId64
                  ", currentTimestampInMillis: %" PRIu64,
                  ms, call->wall_ms);
        return false;
    }
    const struct stream_position from = {.from = STREAM_AT_TIMESTAMP,
                                         .timestamp_ms = ms < 0 ? 0 : (uint64_t)ms};
    int status = stream_reader_open(target->stream, shard, call->aws->loop, &from, on_ready, NULL,
                                    &reader, &err);
    if (status) {
        call_fail_code(call, status, &err);
        return false;
    }
    *ret_counter = stream_reader_counter(reader);
    stream_reader_close(reader);
    return true;
}

bool kinesis_position_read(struct call *call, const struct catalog_stream *target, unsigned shard,
                           const struct kinesis_position *position, uint64_t *ret_counter) {
    struct stream_shard_info info;
    stream_shard_get(target->stream, shard, &info);
    if (str_starts(position->type, STR("AT_SEQ")) || str_starts(position->type, STR("AFTER")))
        return find_number(call, target, shard, position, ret_counter);
    if (position->sequence.len)
        return fail_type(call, position);
    if (str_eq(position->type, STR("AT_TIMESTAMP")))
        return find_time(call, target, shard, position, ret_counter);
    bool latest = str_eq(position->type, STR("LATEST"));
    *ret_counter = latest ? info.next_counter : info.first_counter;
    return true;
}

/* ---- GetShardIterator ---- */

static void put_iterator(struct call *call, const char *key, const struct stream *stream,
                         unsigned shard, uint64_t counter, uint64_t wall_ms) {
    struct buf text = {0};
    const struct aws_iterator iterator = {.stream = str_of(stream_name(stream)),
                                          .stream_created_s = stream_created_s(stream),
                                          .shard = shard,
                                          .counter = counter};
    aws_iterator_write(&text, call->aws->token_key, &iterator, wall_ms);
    aws_member_string(&call->output, key, buf_str(&text));
    buf_done(&text);
}

void kinesis_get_shard_iterator(struct call *call) {
    struct catalog_stream *target = call_readable_stream(call);
    struct stream_shard_info info;
    unsigned shard;
    uint64_t counter;
    if (!target)
        return;
    if (!kinesis_shard_read(target->stream, call_string(call, "ShardId"), &shard, &info)) {
        call_fail(call, "ResourceNotFoundException",
                  "Shard %.*s in stream %s under account %s does not exist",
                  STR_ARG(call_string(call, "ShardId")), target->name, call->aws->config->account);
        return;
    }
    const struct kinesis_position position = {.type = call_string(call, "ShardIteratorType"),
                                              .sequence =
                                                  call_string(call, "StartingSequenceNumber"),
                                              .timestamp = call_value(call, "Timestamp"),
                                              .operation = "GetShardIterator"};
    if (!kinesis_limit_shard_call(call, target, shard,
                                  &limit_shard_of(&target->limits, shard)->iterators, 5) ||
        !kinesis_position_read(call, target, shard, &position, &counter))
        return;
    aws_map_begin(&call->output);
    put_iterator(call, "ShardIterator", target->stream, shard, counter, call->wall_ms);
    aws_map_end(&call->output);
    call_answer(call);
}

/* ---- GetRecords ---- */

struct reading {
    struct task task;
    struct call *call;
    struct stream *stream;
    struct stream_reader *reader;
    unsigned shard;
    bool encrypted;
    size_t records_left, bytes_left, bytes;
    uint64_t put_back_ms; /* arrival of the record that did not fit; 0: all did */
    bool any, waiting;
    struct wait *wait; /* NULL: it has not waited yet */
};

/* The timer outlives the call by a turn of the loop. */
struct wait {
    struct timer timer;
    struct reading *reading;
};

void kinesis_put_one_record(struct aws_output *output, const struct stream *stream, unsigned shard,
                            bool encrypted, const struct stream_record *record) {
    char number[STREAM_SEQUENCE_CHARS];
    stream_sequence_text(stream, shard, record->counter, record->arrival_ms, number);
    aws_map_begin(output);
    aws_member_string(output, "SequenceNumber", str_from(number, STREAM_SEQUENCE_CHARS - 1));
    aws_member_time(output, "ApproximateArrivalTimestamp", record->arrival_ms);
    aws_key(output, "Data");
    aws_blob(output, record->data);
    aws_member_string(output, "PartitionKey", record->partition_key);
    if (encrypted)
        aws_member_string(output, "EncryptionType", STR("KMS"));
    aws_map_end(output);
}

static void fail_stream_gone(struct call *call, struct str name) {
    call_fail(call, "ResourceNotFoundException", "Stream %.*s under account %s not found.",
              STR_ARG(name), call->aws->config->account);
}

static void on_wait_closed(struct timer *timer) {
    free(CONTAINER_OF(timer, struct wait, timer));
}

static void end_reading(struct reading *reading) {
    stream_reader_close(reading->reader);
    if (reading->wait)
        timer_close(&reading->wait->timer, on_wait_closed);
}

/* The stream may have been deleted meanwhile. */
static void note_read(const struct reading *reading) {
    struct call *call = reading->call;
    struct catalog_stream *target =
        catalog_find(&call->aws->catalog, str_of(stream_name(reading->stream)));
    if (target && target->stream == reading->stream)
        kinesis_limit_note_read(call, target, reading->shard, reading->bytes);
}

/* Where the client goes on, or, behind the last record of a closed shard, in which shards. */
static void finish(struct reading *reading, bool is_end) {
    struct call *call = reading->call;
    uint64_t behind_records, behind_ms;
    uint64_t counter = stream_reader_counter(reading->reader);
    stream_reader_lag(reading->reader, &behind_records, &behind_ms);
    if (reading->put_back_ms && reading->put_back_ms < call->wall_ms)
        behind_ms = call->wall_ms - reading->put_back_ms;
    if (!behind_ms && !is_end && (behind_records || stream_reader_pending(reading->reader)))
        behind_ms = 1; /* There is more, or nobody knows yet. */
    note_read(reading);
    aws_list_end(&call->output);
    aws_member_int(&call->output, "MillisBehindLatest", (int64_t)behind_ms);
    if (is_end)
        kinesis_put_children(&call->output, reading->stream, reading->shard);
    else
        put_iterator(call, "NextShardIterator", reading->stream, reading->shard, counter,
                     call->wall_ms);
    aws_map_end(&call->output);
    end_reading(reading);
    call_answer(call);
}

/* A reader gives at least one record. False: it is too large for what is left of the answer, and is the
 * next iterator's. */
static bool fits(struct reading *reading, const struct stream_batch *batch) {
    if (!reading->any || batch->bytes <= reading->bytes_left)
        return true;
    reading->put_back_ms = batch->records[0].arrival_ms;
    stream_reader_seek(reading->reader, batch->records[0].counter);
    reading->bytes_left = 0;
    return false;
}

static void put_batch(struct reading *reading, const struct stream_batch *batch) {
    for (size_t i = 0; i < batch->count; i++)
        kinesis_put_one_record(&reading->call->output, reading->stream, reading->shard,
                               reading->encrypted, &batch->records[i]);
    reading->any = true;
    reading->records_left -= batch->count;
    reading->bytes += batch->bytes;
    reading->bytes_left -= batch->bytes < reading->bytes_left ? batch->bytes : reading->bytes_left;
}

static void read_on(struct task *task);

static void go_on(struct reading *reading) {
    if (!reading->waiting)
        return;
    reading->waiting = false;
    read_on(&reading->task);
}

static void on_records(struct stream_reader *reader, void *data) {
    go_on(data);
}

static void on_wait_over(struct timer *timer) {
    go_on(CONTAINER_OF(timer, struct wait, timer)->reading);
}

/* Nothing was read although there may be something. False: it has waited long enough. */
static bool wait_for_records(struct reading *reading) {
    if (reading->any || !reading->call->request || !stream_reader_pending(reading->reader))
        return false;
    if (!reading->wait) {
        reading->wait = xcalloc(1, sizeof *reading->wait);
        reading->wait->reading = reading;
        timer_start(reading->call->aws->loop, &reading->wait->timer, WAIT_MS, 0, on_wait_over);
    } else if (!timer_running(&reading->wait->timer)) {
        return false;
    }
    return reading->waiting = true;
}

/* One turn. A damaged place is passed over; the log has said so. */
static void read_on(struct task *task) {
    struct reading *reading = CONTAINER_OF(task, struct reading, task);
    struct call *call = reading->call;
    struct stream_batch batch;
    size_t bytes = reading->bytes_left < TURN_BYTES ? reading->bytes_left : TURN_BYTES;
    size_t records = reading->records_left < TURN_RECORDS ? reading->records_left : TURN_RECORDS;
    int status =
        call->request ? stream_reader_next(reading->reader, records, bytes, &batch) : ERR_CLOSED;
    if (status == 0 && fits(reading, &batch))
        put_batch(reading, &batch);
    if (status == ERR_AGAIN && wait_for_records(reading))
        return;
    bool is_end = status == ERR_CLOSED && call->request && !stream_is_deleted(reading->stream);
    if (is_end || status == ERR_AGAIN || !reading->records_left || !reading->bytes_left) {
        finish(reading, is_end);
    } else if (status == 0 || status == ERR_CORRUPT) {
        loop_post(call->aws->loop, &reading->task);
    } else {
        struct str name = str_of(arena_strdup(&call->arena, str_of(stream_name(reading->stream))));
        end_reading(reading);
        if (status == ERR_CLOSED)
            fail_stream_gone(call, name);
        else
            call_fail_code(call, status, NULL);
    }
}

static void begin(struct call *call, const struct catalog_stream *target,
                  const struct aws_iterator *iterator) {
    struct reading *reading = xcalloc(1, sizeof *reading);
    const struct stream_position from = {.from = STREAM_AT_COUNTER, .counter = iterator->counter};
    struct err err = {0};
    call->state = reading;
    reading->task.run = read_on;
    reading->call = call;
    reading->stream = target->stream;
    reading->shard = iterator->shard;
    reading->encrypted = target->key_id;
    reading->records_left = (size_t)call_integer(call, "Limit", GET_RECORDS_MAX);
    reading->bytes_left = GET_BYTES_MAX;
    int status = stream_reader_open(target->stream, iterator->shard, call->aws->loop, &from,
                                    on_records, reading, &reading->reader, &err);
    if (status == ERR_NOT_FOUND) {
        fail_stream_gone(call, iterator->stream);
    } else if (status) {
        call_fail_code(call, status, &err);
    } else {
        aws_map_begin(&call->output);
        aws_key(&call->output, "Records");
        aws_list_begin(&call->output);
        read_on(&reading->task);
    }
}

/* "Thu Jan 22 01:22:02 UTC 2015" */
static void date_text(uint64_t wall_ms, char ret_text[32]) {
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    snprintf(ret_text, 32, "%.3s %.3s %02u %02u:%02u:%02u UTC %u", days + 3 * tm.tm_wday,
             months + 3 * tm.tm_mon, (unsigned)tm.tm_mday % 100, (unsigned)tm.tm_hour % 100,
             (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100,
             (unsigned)(tm.tm_year + 1900) % 100000);
}

static void fail_expired(struct call *call, uint64_t made_ms) {
    char made[32], now[32];
    date_text(made_ms, made);
    date_text(call->wall_ms, now);
    call_fail(
        call, "ExpiredIteratorException",
        "Iterator expired. The iterator was created at time %s while right now it is %s which "
        "is further in the future than the tolerated delay of %d milliseconds.",
        made, now, TOKEN_LIFE_MS);
}

/* The iterator alone says which stream is meant; a StreamARN beside it must say the same. */
static bool is_of_arn(struct call *call, struct str stream) {
    struct str name, arn = call_string(call, "StreamARN");
    if (!arn.len)
        return true;
    if (!call_arn_name(call, arn, &name))
        return false;
    if (str_eq(name, stream))
        return true;
    call_fail(call, "InvalidArgumentException",
              "The ShardIterator is of stream %.*s and does not match StreamARN %.*s.",
              STR_ARG(stream), STR_ARG(arn));
    return false;
}

void kinesis_get_records(struct call *call) {
    struct aws_iterator iterator;
    uint64_t made_ms;
    buf_clear(&call->scratch);
    int status = aws_iterator_read(call_string(call, "ShardIterator"), call->aws->token_key,
                                   call->wall_ms, &call->scratch, &iterator, &made_ms);
    if (status == ERR_TIMEOUT) {
        fail_expired(call, made_ms);
        return;
    }
    if (status) {
        call_fail(call, "InvalidArgumentException", "Invalid ShardIterator.");
        return;
    }
    struct catalog_stream *target = catalog_find(&call->aws->catalog, iterator.stream);
    bool readable = target && target->stream && target->status != CATALOG_DELETING &&
                    stream_created_s(target->stream) == iterator.stream_created_s &&
                    iterator.shard < stream_shard_count(target->stream);
    if (!is_of_arn(call, iterator.stream))
        return;
    if (!readable)
        fail_stream_gone(call, iterator.stream);
    else if (kinesis_limit_read(call, target, iterator.shard))
        begin(call, target, &iterator);
}
