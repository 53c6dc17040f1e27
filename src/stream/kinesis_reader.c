/*
 * The consuming side: GetShardIterator, then GetRecords again and again.
 *
 * A reader has two halves. The *front* is on the reader's loop and holds one batch of records; the
 * *fetch* is on the engine thread, holds the iterator and asks. They hand the batch to each other:
 *
 *      IDLE       the front has the batch, which may hold records
 *      FETCHING   the fetch has it
 *      POSTED     it is on its way to the front
 *      CLOSED     the reader is closed, final; nothing is posted to the front's loop any more
 *
 * The fetch goes on asking, every poll_interval, until there are records, the shard has ended, or it
 * is known for the first time that there are none. It goes on with the iterator that it has if the
 * front stands where the last batch ended, else it asks for one: TRIM_HORIZON for counter 0,
 * AT_TIMESTAMP, AFTER_SEQUENCE_NUMBER with the number of the last record if it has read that, and
 * AT_SEQUENCE_NUMBER with the least number of the counter otherwise.
 *
 * Memory: both halves own the struct; the last one frees it. Who closes while the batch is POSTED
 * waits for the few instructions until it lies in the loop's mailbox.
 */
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/clock.h"
#include "base/json_write.h"
#include "base/mem.h"
#include "stream/kinesis.h"
#include "stream/log.h"

enum { BEHIND_MS = 200, RETRY_MS = 1000, LOG_MS = 10000, BYTES_KEPT = 1024 * 1024 };

enum state { IDLE, FETCHING, POSTED, CLOSED };

struct place {
    size_t key_at, key_bytes, data_at, data_bytes; /* in `bytes` */
    uint64_t counter, arrival_ms;
};

struct kinesis_reader {
    struct stream_reader reader;
    struct kinesis_engine *engine;
    unsigned shard;
    uint64_t created_s; /* of the shard: in its sequence numbers */
    _Atomic int state;
    _Atomic unsigned owners;
    _Atomic uint64_t homes_posted;
    struct task task;  /* of the batch, there and back */
    struct task close; /* to the fetch */

    /* the batch: of whoever has it */
    struct place *places;
    size_t count, cap;
    struct buf bytes;
    uint64_t behind_ms;
    bool ended;
    int status;    /* NOT_FOUND: the stream there is gone */
    uint64_t from; /* wanted by the front: counter of the next record */

    /* the front */
    struct loop *loop;
    void (*on_ready)(struct stream_reader *reader, void *data);
    void *data;
    struct stream_record *records;
    size_t at; /* the next of the batch */
    uint64_t counter, arrival_ms, homes_run;
    uint64_t rest_ms; /* behind_ms of the last batch: how far its end is from the tip */
    bool known;       /* an answer has come since the reader was opened or moved */

    /* the fetch */
    struct kinesis_call call;
    struct timer timer;
    char *iterator; /* NULL: none */
    uint64_t next;  /* where the iterator, or last[], stands: counter behind the last record */
    char last[STREAM_SEQUENCE_CHARS]; /* number of the last record; empty: none was read */
    bool told;                        /* the front knows whether there is anything more */
    struct log_limit limit;
};

static struct kinesis_reader *of(const struct stream_reader *reader) {
    return CONTAINER_OF(reader, struct kinesis_reader, reader);
}

static void unref(struct kinesis_reader *reader) {
    if (atomic_fetch_sub(&reader->owners, 1) > 1)
        return;
    free(reader->places);
    free(reader->records);
    buf_done(&reader->bytes);
    free(reader);
}

/* ---- the fetch ---- */

static void ask(struct kinesis_reader *reader);

static void on_home(struct task *task);

static void go_home(struct kinesis_reader *reader) {
    int fetching = FETCHING;
    reader->told = true;
    if (!atomic_compare_exchange_strong(&reader->state, &fetching, POSTED))
        return;
    reader->task.run = on_home;
    loop_post(reader->loop, &reader->task);
    atomic_fetch_add(&reader->homes_posted, 1);
}

static void on_timer(struct timer *timer) {
    ask(CONTAINER_OF(timer, struct kinesis_reader, timer));
}

static void ask_after(struct kinesis_reader *reader, uint64_t delay_ms) {
    timer_start(reader->engine->engine.loop, &reader->timer, delay_ms, 0, on_timer);
}

static void forget_iterator(struct kinesis_reader *reader) {
    free(reader->iterator);
    reader->iterator = NULL;
}

static void on_failed(struct kinesis_reader *reader, int status) {
    unsigned missed;
    if (status == ERR_TIMEOUT || status == ERR_REFUSED || status == ERR_INVALID)
        forget_iterator(reader);
    if (status != ERR_TIMEOUT && log_limit_pass(&reader->limit, LOG_MS, &missed))
        log_warn("stream", "kinesis stream %s, shard %u: cannot be read: %s (%u more like this)",
                 reader->engine->stream, reader->shard, reader->call.why, missed);
    ask_after(reader, status == ERR_TIMEOUT ? 0 : RETRY_MS);
}

static struct str text_at(struct kinesis_reader *reader, struct json_value value, const char *key) {
    return json_str(json_member(value, str_of(key)), &reader->call.arena);
}

static bool add_record(struct kinesis_reader *reader, struct json_value item) {
    struct str number = text_at(reader, item, "SequenceNumber"), key;
    struct sequence sequence;
    double arrival_s = 0;
    if (sequence_read(number, &sequence))
        return false;
    if (reader->count == reader->cap) {
        reader->cap = reader->cap ? 2 * reader->cap : 64;
        reader->places = xrealloc(reader->places, reader->cap * sizeof *reader->places);
    }
    json_double(json_member(item, STR("ApproximateArrivalTimestamp")), &arrival_s);
    struct place *place = &reader->places[reader->count];
    *place = (struct place){.counter = sequence.counter,
                            .arrival_ms = (uint64_t)(arrival_s * 1000 + 0.5),
                            .key_at = buf_len(&reader->bytes)};
    key = text_at(reader, item, "PartitionKey");
    buf_add_str(&reader->bytes, key);
    place->key_bytes = key.len;
    place->data_at = buf_len(&reader->bytes);
    if (!base64_read(&reader->bytes, text_at(reader, item, "Data")))
        return false;
    place->data_bytes = buf_len(&reader->bytes) - place->data_at;
    reader->count++;
    reader->next = sequence.counter + 1;
    snprintf(reader->last, sizeof reader->last, "%.*s", STR_ARG(number));
    return true;
}

static void take_iterator(struct kinesis_reader *reader, struct json_value answer,
                          const char *key) {
    struct str text = text_at(reader, answer, key);
    forget_iterator(reader);
    if (text.len && text.len <= KINESIS_TOKEN_CHARS_MAX)
        reader->iterator = str_dup(text);
}

/* An answer may have had 10 MiB, and a reader waits for the next one most of its time. */
static void empty_batch(struct kinesis_reader *reader) {
    reader->count = 0;
    if (reader->bytes.cap > BYTES_KEPT)
        buf_done(&reader->bytes);
    else
        buf_clear(&reader->bytes);
}

static void on_unknown_number(struct kinesis_reader *reader) {
    snprintf(reader->call.why, sizeof reader->call.why,
             "its sequence numbers are not of the layout that Kinesis has");
    empty_batch(reader);
    on_failed(reader, ERR_REFUSED);
}

/* An empty answer short of the end only says that Kinesis has looked no further. */
static uint64_t pause_ms(const struct kinesis_reader *reader) {
    uint64_t poll_ms = (uint64_t)reader->engine->config->poll_interval_ms;
    return reader->behind_ms && poll_ms > BEHIND_MS ? BEHIND_MS : poll_ms;
}

static void on_records(struct kinesis_call *call, int status, struct json_value answer) {
    struct kinesis_reader *reader = CONTAINER_OF(call, struct kinesis_reader, call);
    int64_t behind_ms = 0;
    if (status == ERR_NOT_FOUND) {
        reader->status = status;
        go_home(reader);
        return;
    }
    if (status) {
        on_failed(reader, status);
        return;
    }
    struct json_value list = json_member(answer, STR("Records"));
    for (struct json_cursor cursor = json_each(list); json_next(&cursor);)
        if (!add_record(reader, cursor.value)) {
            on_unknown_number(reader);
            return;
        }
    take_iterator(reader, answer, "NextShardIterator");
    json_int(json_member(answer, STR("MillisBehindLatest")), &behind_ms);
    reader->behind_ms = behind_ms > 0 ? (uint64_t)behind_ms : 0;
    reader->ended = !reader->iterator;
    if (reader->ended)
        kinesis_discover(reader->engine);
    if (reader->count || reader->ended || (!reader->told && !reader->behind_ms))
        go_home(reader);
    else
        ask_after(reader, pause_ms(reader));
}

static void get_records(struct kinesis_reader *reader) {
    struct kinesis_call *call = &reader->call;
    kinesis_call_begin(call, reader->engine);
    buf_clear(&call->body);
    buf_add_u8(&call->body, '{');
    json_write_text(&call->body, "ShardIterator", str_of(reader->iterator));
    json_write_int(&call->body, "Limit", KINESIS_GET_RECORDS_MAX);
    kinesis_call_send(call, "GetRecords", on_records);
}

static void write_type(struct buf *out, const char *type, const char *number) {
    json_write_text(out, "ShardIteratorType", str_of(type));
    if (!number)
        return;
    json_write_text(out, "StartingSequenceNumber", str_of(number));
}

static void write_position(struct kinesis_reader *reader, struct buf *out) {
    char number[STREAM_SEQUENCE_CHARS];
    uint64_t from = reader->from, ms = engine_counter_time(from);
    if (engine_counter_is_time(from)) {
        write_type(out, "AT_TIMESTAMP", NULL);
        json_write_key(out, "Timestamp");
        buf_printf(out, "%" PRIu64 ".%03u", ms / 1000, (unsigned)(ms % 1000));
    } else if (from == 0) {
        write_type(out, "TRIM_HORIZON", NULL);
    } else if (reader->last[0] && reader->next == from) {
        write_type(out, "AFTER_SEQUENCE_NUMBER", reader->last);
    } else {
        const struct sequence sequence = {reader->created_s, from, reader->created_s,
                                          reader->shard};
        sequence_write(&sequence, number);
        write_type(out, "AT_SEQUENCE_NUMBER", number);
    }
}

static void on_iterator(struct kinesis_call *call, int status, struct json_value answer) {
    struct kinesis_reader *reader = CONTAINER_OF(call, struct kinesis_reader, call);
    if (status == ERR_NOT_FOUND) {
        reader->status = status;
        go_home(reader);
        return;
    }
    if (!status)
        take_iterator(reader, answer, "ShardIterator");
    if (status)
        on_failed(reader, status);
    else
        ask(reader);
}

static void get_iterator(struct kinesis_reader *reader) {
    char id[STREAM_SHARD_ID_CHARS];
    struct kinesis_call *call = &reader->call;
    stream_shard_id(reader->shard, id);
    kinesis_call_begin(call, reader->engine);
    json_write_text(&call->body, "ShardId", str_of(id));
    write_position(reader, &call->body);
    kinesis_call_send(call, "GetShardIterator", on_iterator);
}

/* No Kinesis takes a moment that has not come yet. */
static void ask(struct kinesis_reader *reader) {
    uint64_t now_ms = clock_wall_ms(), time_ms = engine_counter_time(reader->from);
    if (reader->iterator)
        get_records(reader);
    else if (engine_counter_is_time(reader->from) && time_ms > now_ms)
        ask_after(reader, time_ms - now_ms);
    else
        get_iterator(reader);
}

/* On the engine thread. */
static void on_fetch(struct task *task) {
    struct kinesis_reader *reader = CONTAINER_OF(task, struct kinesis_reader, task);
    bool moved = reader->from != reader->next;
    uint64_t poll_ms = (uint64_t)reader->engine->config->poll_interval_ms;
    bool was_empty = reader->told && !reader->count && !reader->behind_ms;
    if (reader->behind_ms)
        reader->told = false;
    empty_batch(reader);
    if (atomic_load(&reader->state) == CLOSED)
        return; /* The other task is on its way. */
    if (moved) {
        forget_iterator(reader);
        reader->last[0] = '\0';
        reader->next = reader->from;
        reader->told = false;
    }
    if (was_empty && !moved)
        ask_after(reader, poll_ms);
    else
        ask(reader);
}

static void on_timer_closed(struct timer *timer) {
    unref(CONTAINER_OF(timer, struct kinesis_reader, timer));
}

/* On the engine thread. */
static void on_close(struct task *task) {
    struct kinesis_reader *reader = CONTAINER_OF(task, struct kinesis_reader, close);
    kinesis_call_done(&reader->call);
    forget_iterator(reader);
    timer_close(&reader->timer, on_timer_closed);
}

/* ---- the front ---- */

static void fetch(struct kinesis_reader *reader) {
    int idle = IDLE;
    reader->from = reader->counter;
    reader->task.run = on_fetch;
    if (atomic_compare_exchange_strong(&reader->state, &idle, FETCHING))
        loop_post(reader->engine->engine.loop, &reader->task);
}

static void on_home(struct task *task) {
    struct kinesis_reader *reader = CONTAINER_OF(task, struct kinesis_reader, task);
    int posted = POSTED;
    reader->homes_run++;
    if (!atomic_compare_exchange_strong(&reader->state, &posted, IDLE)) {
        unref(reader);
        return;
    }
    reader->at = 0;
    bool stale = reader->from != reader->counter; /* It was moved meanwhile. */
    if (stale) {
        reader->count = 0;
        reader->ended = false;
    } else {
        reader->known = true;
        reader->rest_ms = reader->ended ? 0 : reader->behind_ms;
    }
    reader->records = xrealloc(reader->records, (reader->count + 1) * sizeof *reader->records);
    reader->on_ready(&reader->reader, reader->data);
}

static void view(const struct kinesis_reader *reader, const struct place *place,
                 struct stream_record *record) {
    const uint8_t *bytes = buf_at(&reader->bytes);
    *record =
        (struct stream_record){.counter = place->counter,
                               .arrival_ms = place->arrival_ms,
                               .partition_key = str_from(bytes + place->key_at, place->key_bytes),
                               .data = str_from(bytes + place->data_at, place->data_bytes)};
}

static void give(struct kinesis_reader *reader, size_t records_max, size_t bytes_max,
                 struct stream_batch *batch) {
    *batch = (struct stream_batch){.records = reader->records};
    for (; reader->at < reader->count && batch->count < records_max; reader->at++) {
        const struct place *place = &reader->places[reader->at];
        if (batch->count && batch->bytes + place->data_bytes > bytes_max)
            break;
        view(reader, place, &reader->records[batch->count++]);
        batch->bytes += place->data_bytes;
        reader->counter = place->counter + 1;
        reader->arrival_ms = place->arrival_ms;
    }
}

int kinesis_reader_next(struct stream_reader *base, size_t records_max, size_t bytes_max,
                        struct stream_batch *ret_batch) {
    struct kinesis_reader *reader = of(base);
    if (!records_max || atomic_load(&reader->state) != IDLE)
        return ERR_AGAIN;
    if (reader->at < reader->count) {
        give(reader, records_max, bytes_max, ret_batch);
        return 0;
    }
    if (reader->ended || reader->status)
        return ERR_CLOSED;
    fetch(reader);
    return ERR_AGAIN;
}

/* While the fetch has the batch the front cannot look into it, and asks anew. */
static bool move_within(struct kinesis_reader *reader, uint64_t counter) {
    if (atomic_load(&reader->state) != IDLE || !reader->count ||
        counter < reader->places[0].counter ||
        counter > reader->places[reader->count - 1].counter + 1)
        return false;
    reader->at = 0;
    while (reader->at < reader->count && reader->places[reader->at].counter < counter)
        reader->at++;
    return true;
}

void kinesis_reader_seek(struct stream_reader *base, uint64_t counter) {
    struct kinesis_reader *reader = of(base);
    if (counter == reader->counter)
        return;
    if (!move_within(reader, counter) && atomic_load(&reader->state) == IDLE) {
        reader->at = reader->count;
        reader->ended = false;
        reader->known = false;
        reader->rest_ms = 0;
    }
    reader->counter = counter;
}

uint64_t kinesis_reader_counter(const struct stream_reader *base) {
    return of(base)->counter;
}

/* What retention took there is not told. */
uint64_t kinesis_reader_skipped(const struct stream_reader *base) {
    return 0;
}

void kinesis_reader_lag(const struct stream_reader *base, uint64_t *ret_records,
                        uint64_t *ret_behind_ms) {
    const struct kinesis_reader *reader = of(base);
    *ret_records = reader->rest_ms > 0;
    *ret_behind_ms = reader->rest_ms;
    if (atomic_load(&reader->state) != IDLE)
        return;
    uint64_t now_ms = clock_wall_ms(), left = reader->count - reader->at;
    *ret_records += left;
    if (left && now_ms > reader->places[reader->at].arrival_ms)
        *ret_behind_ms = now_ms - reader->places[reader->at].arrival_ms;
}

bool kinesis_reader_pending(const struct stream_reader *base) {
    const struct kinesis_reader *reader = of(base);
    return !reader->known || (reader->rest_ms && atomic_load(&reader->state) != IDLE);
}

/* ---- opening and closing ---- */

static uint64_t counter_of(const struct stream_position *position) {
    switch (position->from) {
    case STREAM_TRIM_HORIZON:
        return 0;
    case STREAM_LATEST:
        return engine_time_counter(clock_wall_ms() + 1);
    case STREAM_AT_TIMESTAMP:
        return engine_time_counter(position->timestamp_ms);
    case STREAM_AT_COUNTER:
        return position->counter;
    }
    return 0;
}

int kinesis_reader_open(struct stream *stream, unsigned shard, struct loop *loop,
                        const struct stream_position *position,
                        void (*on_ready)(struct stream_reader *reader, void *data), void *data,
                        struct stream_reader **ret_reader, struct err *err) {
    const struct layout *layout = engine_layout(stream);
    if (shard >= layout->meta.shard_count || layout->meta.shards[shard].state == META_GONE)
        return err_set(err, ERR_NOT_FOUND, "stream %s has no shard %u", stream->name, shard);
    struct kinesis_reader *reader = xcalloc(1, sizeof *reader);
    reader->reader.ops = stream->ops;
    reader->engine = kinesis_engine_of(stream->engine);
    reader->shard = shard;
    reader->created_s = layout->meta.shards[shard].opened_ms / 1000;
    reader->loop = loop;
    reader->on_ready = on_ready;
    reader->data = data;
    reader->counter = counter_of(position);
    reader->next = UINT64_MAX; /* nowhere */
    atomic_store(&reader->owners, 2);
    reader->close.run = on_close;
    *ret_reader = &reader->reader;
    return 0;
}

void kinesis_reader_close(struct stream_reader *base) {
    struct kinesis_reader *reader = of(base);
    bool posted = atomic_exchange(&reader->state, CLOSED) == POSTED;
    while (posted && atomic_load(&reader->homes_posted) == reader->homes_run)
        sched_yield();
    loop_post(reader->engine->engine.loop, &reader->close);
    if (!posted)
        unref(reader);
}
