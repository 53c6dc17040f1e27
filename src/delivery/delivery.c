/*
 * One delivery stream. All of it is one cursor on one shard and one object at a time.
 *
 *   GATHERING    the reader follows the tip; the records since the last object are counted (number,
 *                bytes, checksum, arrival of the first), not kept. The object is due when its bytes
 *                reach buffer_size, or when all that is there was read and the oldest record is
 *                buffer_interval old. Range, checksum, key and compression are the intent.
 *   RECORDING    the intent goes to disk.
 *   BUILDING     the reader goes back to the beginning of the range and the records are read into
 *                memory, a slice per turn of the loop.
 *   WRITING      the pool compresses and hashes them, and the bucket has the object, attempt after
 *                attempt, until it is safe there (upload.c).
 *   COMMITTING   one transaction moves the checkpoint behind the range and deletes the intent; then
 *                the stream may drop the records.
 *
 * A crash between any two steps: before RECORDING ended, nothing was written, and the records are
 * counted anew. Later, the intent says what to build, with the same key and the same bytes, so the
 * object that may be there is overwritten by itself. The checksum in the intent proves that the
 * bytes are the same; when they are not (a disk lost records that it had reported as written), the
 * object gets a new key and the old one is left alone: rather twice than never.
 *
 * When the bucket is down the state stays WRITING and the cursor stands still. Reading the records
 * twice instead of holding them bounds the memory by one object per delivery stream, and only while
 * it is written; the second reading comes from the page cache.
 */
#include "delivery/delivery.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "delivery/meter.h"
#include "delivery/progress.h"
#include "delivery/share.h"
#include "delivery/upload.h"

enum {
    SLICE_BYTES = 1024 * 1024, /* read per turn of the loop */
    SLICE_RECORDS = 4096,
    FACTS_RETRY_MS = 5000,
    READ_RETRY_MS = 1000,
    METER_INTERVAL_MS = 1000,
    LOG_INTERVAL_MS = 60 * 1000,
    TIMERS = 4,
};

enum state { GATHERING, RECORDING, BUILDING, WRITING, COMMITTING, STOPPED };

/* Bit s of moves[from]: the move to s is allowed. */
#define TO(state) (1u << (state))
static const unsigned moves[] = {
    [GATHERING] =
        TO(RECORDING) | TO(COMMITTING) | TO(STOPPED), /* records without bytes: no object */
    [RECORDING] = TO(BUILDING) | TO(STOPPED),
    [BUILDING] = TO(WRITING) | TO(RECORDING) | TO(COMMITTING) | TO(STOPPED),
    [WRITING] = TO(COMMITTING) | TO(STOPPED),
    [COMMITTING] = TO(GATHERING) | TO(STOPPED),
    [STOPPED] = 0,
};

struct delivery {
    struct loop *loop;
    const struct delivery_config *config;
    enum state state;
    struct progress progress;
    struct tally found; /* BUILDING: what was read again */
    struct upload upload;

    struct timer timer; /* what comes next in the present state */
    void (*next)(struct delivery *delivery);
    bool is_waiting;  /* for a time after a failure */
    bool is_awaiting; /* BUILDING: records of another machine */
    bool is_noting;   /* the ledger has the intent, or its end */
    struct timer meter_timer;
    struct meter meter;
    struct log_limit facts_limit, read_limit;

    struct timer grace_timer;
    bool is_closing; /* nothing new is begun */
    unsigned timers_open;
    void (*closed)(void *data);
    void *closed_data;
};

static const char *name_of(const struct delivery *delivery) {
    return delivery->config->head.name;
}

static void move(struct delivery *delivery, enum state to) {
    ASSERT(moves[delivery->state] & TO(to));
    delivery->state = to;
}

/* ---- what comes next ---- */

static void on_timer(struct timer *timer) {
    struct delivery *delivery = CONTAINER_OF(timer, struct delivery, timer);
    delivery->is_waiting = false;
    delivery->next(delivery);
}

static void next_after(struct delivery *delivery, uint64_t delay_ms,
                       void (*next)(struct delivery *delivery)) {
    delivery->next = next;
    timer_start(delivery->loop, &delivery->timer, delay_ms, 0, on_timer);
}

static void stop(struct delivery *delivery);

/* Something outside does not work; whoever closes does not wait for it. */
static void try_again_after(struct delivery *delivery, uint64_t delay_ms,
                            void (*next)(struct delivery *delivery)) {
    if (delivery->is_closing) {
        stop(delivery);
        return;
    }
    delivery->is_waiting = true;
    next_after(delivery, delay_ms, next);
}

static void log_read_failure(struct delivery *delivery, int code) {
    unsigned missed;
    if (log_limit_pass(&delivery->read_limit, LOG_INTERVAL_MS, &missed))
        log_error("delivery", "%s: cannot read the stream: %s (%u more like this)",
                  name_of(delivery), err_text(code), missed);
}

static void log_facts_failure(struct delivery *delivery, const struct err *err) {
    unsigned missed;
    meter_failed(&delivery->meter, "Facts");
    if (log_limit_pass(&delivery->facts_limit, LOG_INTERVAL_MS, &missed))
        log_error("delivery", "%s: cannot note how far it has come: %s (%u more like this)",
                  name_of(delivery), err->text, missed);
}

/* ---- gathering ---- */

static void record(struct delivery *delivery);
static void commit(struct delivery *delivery);
static void build(struct delivery *delivery);

/* The range of the present intent ends here. */
static void cut(struct delivery *delivery) {
    struct intent *intent = &delivery->progress.intent;
    progress_cut(&delivery->progress);
    if (!intent->tally.bytes) {
        move(delivery, COMMITTING);
        commit(delivery);
        return;
    }
    intent->compression = delivery_compression(delivery->config);
    intent->deaggregates = delivery->config->deaggregate;
    object_key_make(&intent->key, delivery->config, intent->instant_ms);
    move(delivery, RECORDING);
    record(delivery);
}

static void gather(struct delivery *delivery);

/* All that is committed was counted. */
static void on_tip(struct delivery *delivery) {
    uint64_t interval_ms = (uint64_t)delivery->config->buffer_interval_ms;
    timer_stop(&delivery->timer);
    if (!delivery->progress.intent.tally.records)
        return;
    uint64_t age_ms = progress_age_ms(&delivery->progress);
    if (age_ms >= interval_ms)
        cut(delivery);
    else
        next_after(delivery, interval_ms - age_ms, gather);
}

/* Reads a slice at most, so that the loop serves others while a backlog is worked off. */
static void gather(struct delivery *delivery) {
    uint64_t bytes_max = (uint64_t)delivery->config->buffer_size_bytes;
    struct stream_batch batch;
    int code = stream_reader_next(delivery->progress.reader, SLICE_RECORDS, SLICE_BYTES, &batch);
    if (!code) {
        if (progress_count(&delivery->progress, &batch, bytes_max))
            cut(delivery);
        else
            next_after(delivery, 0, gather);
    } else if (code == ERR_AGAIN) {
        on_tip(delivery);
    } else {
        bool damaged = code == ERR_CORRUPT; /* The stream has told; it goes on behind it. */
        if (!damaged)
            log_read_failure(delivery, code);
        next_after(delivery, damaged ? 0 : READ_RETRY_MS, gather);
    }
}

static void on_ready(struct stream_reader *reader, void *data) {
    struct delivery *delivery = data;
    if (delivery->state == GATHERING && !delivery->is_closing)
        gather(delivery);
    else if (delivery->state == BUILDING && delivery->is_awaiting)
        build(delivery);
}

/* ---- recording ---- */

static void begin_building(struct delivery *delivery) {
    delivery->found = (struct tally){0};
    upload_clear(&delivery->upload);
    stream_reader_seek(delivery->progress.reader, delivery->progress.intent.first);
    build(delivery);
}

static void recorded(struct delivery *delivery, int code, const struct err *err) {
    delivery->is_noting = code == ERR_AGAIN;
    if (delivery->is_noting)
        return;
    if (code) {
        log_facts_failure(delivery, err);
        try_again_after(delivery, FACTS_RETRY_MS, record);
        return;
    }
    move(delivery, BUILDING);
    begin_building(delivery);
}

static void record(struct delivery *delivery) {
    struct err err;
    int code = ledger_record(&delivery->progress.ledger, &delivery->progress.intent, &err);
    recorded(delivery, code, &err);
}

/* ---- building ---- */

/* What was read is not what the intent says. */
static void revise(struct delivery *delivery) {
    struct intent *intent = &delivery->progress.intent;
    log_error("delivery",
              "%s: %llu records of %llu bytes were to become %s, but the stream now has %llu of "
              "%llu bytes; they become an object of their own",
              name_of(delivery), (unsigned long long)intent->tally.records,
              (unsigned long long)intent->tally.bytes, buf_cstr(&intent->key),
              (unsigned long long)delivery->found.records,
              (unsigned long long)delivery->found.bytes);
    intent->tally = delivery->found;
    buf_clear(&intent->key);
    if (!intent->tally.bytes) {
        move(delivery, COMMITTING);
        commit(delivery);
        return;
    }
    object_key_make(&intent->key, delivery->config, intent->instant_ms);
    move(delivery, RECORDING);
    record(delivery);
}

static void on_built(struct delivery *delivery) {
    struct intent *intent = &delivery->progress.intent;
    if (!tally_equal(&intent->tally, &delivery->found)) {
        revise(delivery);
    } else if (!body_bytes(&delivery->upload.body).len) { /* Packed records without data. */
        move(delivery, COMMITTING);
        commit(delivery);
    } else {
        move(delivery, WRITING);
        upload_begin(&delivery->upload, buf_str(&intent->key),
                     intent->compression == DELIVERY_GZIP);
    }
}

/* True when the range is complete. */
static bool take(struct delivery *delivery, const struct stream_batch *batch) {
    struct intent *intent = &delivery->progress.intent;
    for (size_t i = 0; i < batch->count; i++) {
        const struct stream_record *item = &batch->records[i];
        if (item->counter >= intent->end)
            return true;
        if (delivery->found.bytes + item->data.len > BODY_BYTES_MAX) {
            intent->end = item->counter; /* Other records stand there now. */
            return true;
        }
        tally_add(&delivery->found, item->data);
        body_take(&delivery->upload.body, item->data, intent->deaggregates);
    }
    return stream_reader_counter(delivery->progress.reader) >= intent->end;
}

static void build(struct delivery *delivery) {
    struct progress *progress = &delivery->progress;
    struct stream_batch batch;
    int code = stream_reader_next(progress->reader, SLICE_RECORDS, SLICE_BYTES, &batch);
    bool complete = false;
    delivery->is_awaiting = code == ERR_AGAIN && progress->ledger.member;
    if (delivery->is_awaiting)
        return; /* The records are in the topic, and on their way. */
    if (!code) {
        complete = take(delivery, &batch);
    } else if (code == ERR_AGAIN) {
        uint64_t tip = stream_reader_counter(progress->reader); /* The stream has lost its end. */
        if (tip < progress->intent.end)
            progress->intent.end = tip;
        complete = true;
    } else if (code == ERR_CORRUPT) {
        complete = stream_reader_counter(progress->reader) >= progress->intent.end;
    } else {
        log_read_failure(delivery, code);
        try_again_after(delivery, READ_RETRY_MS, build);
        return;
    }
    if (complete)
        on_built(delivery);
    else
        next_after(delivery, 0, build);
}

/* ---- writing ---- */

static void on_uploaded(struct upload *upload, bool is_safe) {
    struct delivery *delivery = CONTAINER_OF(upload, struct delivery, upload);
    struct intent *intent = &delivery->progress.intent;
    size_t stored = body_bytes(&upload->body).len;
    if (!is_safe) {
        stop(delivery);
        return;
    }
    metric_add(&delivery->meter.objects, 1);
    metric_add(&delivery->meter.bytes_raw, (int64_t)intent->tally.bytes);
    metric_add(&delivery->meter.bytes_stored, (int64_t)stored);
    log_debug("delivery", "%s: %s holds %llu records in %zu bytes", name_of(delivery),
              buf_cstr(&intent->key), (unsigned long long)intent->tally.records, stored);
    move(delivery, COMMITTING);
    commit(delivery);
}

/* ---- committing ---- */

static void committed(struct delivery *delivery, int code, const struct err *err) {
    delivery->is_noting = code == ERR_AGAIN;
    if (delivery->is_noting)
        return;
    if (code) {
        log_facts_failure(delivery, err);
        try_again_after(delivery, FACTS_RETRY_MS, commit);
        return;
    }
    upload_clear(&delivery->upload);
    progress_pass(&delivery->progress);
    move(delivery, GATHERING);
    if (delivery->is_closing)
        stop(delivery);
    else
        next_after(delivery, 0, gather);
}

static void commit(struct delivery *delivery) {
    struct err err;
    int code = ledger_commit(&delivery->progress.ledger, &delivery->progress.intent, &err);
    committed(delivery, code, &err);
}

/* The group has answered; a shard that was lost is closed next. */
static void on_noted(void *data, int code) {
    struct delivery *delivery = data;
    struct err err;
    err_set(&err, code, "the group: %s", err_text(code));
    if (delivery->state == RECORDING)
        recorded(delivery, code, &err);
    else
        committed(delivery, code, &err);
}

/* ---- metrics ---- */

static void on_meter(struct timer *timer) {
    struct delivery *delivery = CONTAINER_OF(timer, struct delivery, meter_timer);
    progress_show(&delivery->progress, &delivery->meter);
}

/* ---- opening ---- */

static int start(struct delivery *delivery, uint64_t counter, struct str note, struct err *err) {
    bool is_unfinished = false;
    int code =
        progress_open(&delivery->progress, counter, note, on_ready, delivery, &is_unfinished, err);
    if (code)
        return code;
    if (is_unfinished)
        delivery->state = BUILDING;
    next_after(delivery, 0, is_unfinished ? begin_building : gather);
    timer_start(delivery->loop, &delivery->meter_timer, 0, METER_INTERVAL_MS, on_meter);
    return 0;
}

static void delivery_free(struct delivery *delivery) {
    progress_done(&delivery->progress);
    upload_done(&delivery->upload);
    meter_done(&delivery->meter);
    free(delivery);
}

int delivery_shard_open(const struct delivery_shard_config *config, struct delivery **ret_delivery,
                        struct err *err) {
    struct delivery *delivery = xcalloc(1, sizeof *delivery);
    delivery->loop = config->loop;
    delivery->config = config->config;
    delivery->progress = (struct progress){.loop = config->loop,
                                           .ledger = {.facts = config->facts,
                                                      .member = config->member,
                                                      .stream = config->stream,
                                                      .name = name_of(delivery),
                                                      .shard = config->shard,
                                                      .done = on_noted,
                                                      .data = delivery}};
    delivery->upload =
        (struct upload){.loop = config->loop,
                        .bucket = bucket_open(config->loop, config->client, config->bucket),
                        .meter = &delivery->meter,
                        .name = name_of(delivery),
                        .ended = on_uploaded};
    upload_init(&delivery->upload);
    meter_init(&delivery->meter, name_of(delivery));
    int code = start(delivery, config->counter, config->note, err);
    if (code)
        delivery_free(delivery);
    else
        *ret_delivery = delivery;
    return code;
}

int delivery_open(struct loop *loop, struct facts *facts, struct http_client *client,
                  const struct delivery_config *config, const struct bucket_config *bucket,
                  struct stream *stream, struct delivery **ret_delivery, struct err *err) {
    int code = delivery_config_check(config, err);
    if (!code)
        code = bucket_check(bucket, err);
    if (code)
        return code;
    ASSERT(stream_shard_count(stream) == 1);
    const struct delivery_shard_config shard = {.loop = loop,
                                                .facts = facts,
                                                .client = client,
                                                .config = config,
                                                .bucket = bucket,
                                                .stream = stream};
    return delivery_shard_open(&shard, ret_delivery, err);
}

/* ---- closing ---- */

static void one_timer_closed(struct delivery *delivery) {
    if (--delivery->timers_open)
        return;
    void (*closed)(void *data) = delivery->closed;
    void *data = delivery->closed_data;
    delivery_free(delivery);
    closed(data);
}

static void on_timer_closed(struct timer *timer) {
    one_timer_closed(CONTAINER_OF(timer, struct delivery, timer));
}

static void on_meter_timer_closed(struct timer *timer) {
    one_timer_closed(CONTAINER_OF(timer, struct delivery, meter_timer));
}

static void on_upload_timer_closed(struct timer *timer) {
    one_timer_closed(CONTAINER_OF(timer, struct delivery, upload.timer));
}

static void on_grace_timer_closed(struct timer *timer) {
    one_timer_closed(CONTAINER_OF(timer, struct delivery, grace_timer));
}

/* Nothing is under way. The timers end in turns of the loop, so `closed` comes later. */
static void stop(struct delivery *delivery) {
    ASSERT(!delivery->is_noting);
    move(delivery, STOPPED);
    delivery->timers_open = TIMERS;
    timer_close(&delivery->timer, on_timer_closed);
    timer_close(&delivery->upload.timer, on_upload_timer_closed);
    timer_close(&delivery->grace_timer, on_grace_timer_closed);
    timer_close(&delivery->meter_timer, on_meter_timer_closed);
}

/* What cannot be stopped comes back and stops then. */
static void give_up(struct delivery *delivery) {
    if (delivery->is_noting)
        ledger_forget(&delivery->progress.ledger);
    delivery->is_noting = false;
    if (upload_give_up(&delivery->upload))
        stop(delivery);
}

static void on_grace_over(struct timer *timer) {
    give_up(CONTAINER_OF(timer, struct delivery, grace_timer));
}

void delivery_close(struct delivery *delivery, unsigned grace_ms, void (*closed)(void *data),
                    void *data) {
    ASSERT(!delivery->is_closing);
    delivery->is_closing = true;
    delivery->closed = closed;
    delivery->closed_data = data;
    upload_hurry(&delivery->upload);
    if (delivery->state == GATHERING || delivery->is_waiting ||
        upload_is_waiting(&delivery->upload) || !grace_ms)
        give_up(delivery);
    else
        timer_start(delivery->loop, &delivery->grace_timer, grace_ms, 0, on_grace_over);
}
