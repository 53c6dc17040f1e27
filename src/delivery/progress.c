#include "delivery/progress.h"

#include "base/clock.h"
#include "base/log.h"
#include "delivery/body.h"

/* Nothing is gathered; the next record is `counter`. */
static void reset(struct progress *progress, uint64_t counter) {
    intent_done(&progress->intent);
    progress->intent = (struct intent){
        .stream_created_s = stream_created_s(progress->ledger.stream),
        .shard = progress->ledger.shard,
        .first = counter,
        .end = counter,
    };
}

/* ---- opening ---- */

typedef void on_ready_cb(struct stream_reader *reader, void *data);

static int open_reader(struct progress *progress, const struct stream_position *position,
                       on_ready_cb *on_ready, void *data, struct err *err) {
    return stream_reader_open(progress->ledger.stream, progress->ledger.shard, progress->loop,
                              position, on_ready, data, &progress->reader, err);
}

/*
 * The checkpoint lies behind the end of the stream: without `sync: always` a power failure may cost
 * the stream's end, and the counters of what was lost are given out again. From here on, at once.
 */
static int go_back(struct progress *progress, uint64_t checkpoint, uint64_t tip, struct err *err) {
    log_error("delivery", "%s: the stream has lost its last %llu records, which were delivered",
              progress->ledger.name, (unsigned long long)(checkpoint - tip));
    reset(progress, tip);
    return ledger_commit(&progress->ledger, &progress->intent, err);
}

/* The reader is opened at the tip to learn where that is. */
static int take_up_position(struct progress *progress, on_ready_cb *on_ready, void *data,
                            struct err *err) {
    const struct stream_position latest = {.from = STREAM_LATEST};
    const struct ledger *ledger = &progress->ledger;
    uint64_t checkpoint;
    int code = intent_checkpoint(ledger->facts, ledger->stream, ledger->name, &checkpoint, err);
    if (!code)
        code = open_reader(progress, &latest, on_ready, data, err);
    if (code)
        return code;
    uint64_t tip = stream_reader_counter(progress->reader);
    if (checkpoint > tip)
        return go_back(progress, checkpoint, tip, err);
    stream_reader_seek(progress->reader, checkpoint);
    stream_release(ledger->stream, ledger->shard, checkpoint);
    reset(progress, checkpoint);
    return 0;
}

static int take_up_share(struct progress *progress, uint64_t counter, on_ready_cb *on_ready,
                         void *data, struct err *err) {
    const struct stream_position position = {.from = STREAM_AT_COUNTER, .counter = counter};
    reset(progress, counter);
    return open_reader(progress, &position, on_ready, data, err);
}

static int take_up_intent(struct progress *progress, struct str note, bool *ret_is_unfinished,
                          struct err *err) {
    struct intent intent;
    int code = ledger_unfinished(&progress->ledger, note, progress->intent.first, &intent, err);
    if (code && code != ERR_NOT_FOUND)
        return code;
    *ret_is_unfinished = code == 0;
    if (code)
        return 0;
    log_info("delivery", "%s: finishing %s", progress->ledger.name, buf_cstr(&intent.key));
    intent_done(&progress->intent);
    progress->intent = intent;
    return 0;
}

int progress_open(struct progress *progress, uint64_t counter, struct str note,
                  on_ready_cb *on_ready, void *data, bool *ret_is_unfinished, struct err *err) {
    int code = progress->ledger.member ? take_up_share(progress, counter, on_ready, data, err)
                                       : take_up_position(progress, on_ready, data, err);
    return code ? code : take_up_intent(progress, note, ret_is_unfinished, err);
}

void progress_done(struct progress *progress) {
    stream_reader_close(progress->reader);
    intent_done(&progress->intent);
}

/* ---- gathering ---- */

bool progress_count(struct progress *progress, const struct stream_batch *batch,
                    uint64_t bytes_max) {
    struct intent *intent = &progress->intent;
    for (size_t i = 0; i < batch->count; i++) {
        const struct stream_record *item = &batch->records[i];
        if (intent->tally.records && intent->tally.bytes + item->data.len > BODY_BYTES_MAX)
            return true;
        if (!intent->tally.records) {
            intent->instant_ms = item->arrival_ms;
            progress->gathering_since_ms = loop_now_ms(progress->loop);
        }
        tally_add(&intent->tally, item->data);
        intent->end = item->counter + 1;
        if (intent->tally.bytes >= bytes_max)
            return true;
    }
    return false;
}

static uint64_t since_arrival_ms(const struct progress *progress) {
    uint64_t now_ms = clock_wall_ms(), instant_ms = progress->intent.instant_ms;
    return now_ms > instant_ms ? now_ms - instant_ms : 0;
}

uint64_t progress_age_ms(const struct progress *progress) {
    uint64_t age_ms = since_arrival_ms(progress);
    uint64_t seen_ms = loop_now_ms(progress->loop) - progress->gathering_since_ms;
    return age_ms > seen_ms ? age_ms : seen_ms;
}

void progress_cut(struct progress *progress) {
    progress->seen_records += progress->intent.tally.records;
    progress->seen_bytes += progress->intent.tally.bytes;
}

void progress_pass(struct progress *progress) {
    const struct ledger *ledger = &progress->ledger;
    uint64_t end = progress->intent.end;
    if (!ledger->member)
        stream_release(ledger->stream, ledger->shard, end);
    reset(progress, end);
    if (stream_reader_counter(progress->reader) != end)
        stream_reader_seek(progress->reader, end);
}

/* Records behind the reader's position but not delivered belong to the present intent; counters
 * have no gaps, so their difference is a number of records. */
void progress_show(const struct progress *progress, struct meter *meter) {
    const struct intent *intent = &progress->intent;
    uint64_t beyond, behind_ms, position = stream_reader_counter(progress->reader);
    stream_reader_lag(progress->reader, &beyond, &behind_ms);
    uint64_t lag = beyond + (position > intent->first ? position - intent->first : 0);
    uint64_t bytes = intent->tally.bytes;
    uint64_t records = progress->seen_records + intent->tally.records;
    if (lag > intent->tally.records && records)
        bytes += (lag - intent->tally.records) * (progress->seen_bytes + bytes) / records;
    if (intent->tally.records)
        behind_ms = since_arrival_ms(progress);
    metric_set(&meter->lag_records, (int64_t)lag);
    metric_set(&meter->behind_ms, (int64_t)behind_ms);
    metric_set(&meter->backlog_bytes, (int64_t)bytes);
}
