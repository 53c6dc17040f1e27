/* What all engines share: the thread, the batches, and the way from stream.h to the engine. */
#include "stream/engine.h"

#include <stdlib.h>

#include "base/mem.h"
#include "stream/log.h"

/* Many batches of one record each may be on their way to an engine that is slow: they begin small. Of a
 * batch that waits for its next turn only so much memory is kept. */
enum { BATCH_RECORDS_FIRST = 8, BATCH_RECORDS_KEPT = 4096, BATCH_BYTES_KEPT = 1024 * 1024 };

/* ---- records on their way ---- */

size_t engine_batch_add(struct engine_batch *batch, const struct record *record, unsigned shard) {
    if (batch->count == batch->cap) {
        batch->cap = batch->cap ? 2 * batch->cap : BATCH_RECORDS_FIRST;
        batch->records = xrealloc(batch->records, batch->cap * sizeof *batch->records);
    }
    struct engine_record *added = &batch->records[batch->count++];
    *added = (struct engine_record){.batch = batch,
                                    .offset = buf_len(&batch->bytes),
                                    .key_bytes = (uint32_t)record->partition_key.len,
                                    .hash_bytes = (uint32_t)record->explicit_hash_key.len,
                                    .data_bytes = (uint32_t)record->data.len,
                                    .shard = shard};
    buf_add_str(&batch->bytes, record->partition_key);
    buf_add_str(&batch->bytes, record->explicit_hash_key);
    buf_add_str(&batch->bytes, record->data);
    return sizeof *added + buf_len(&batch->bytes) - added->offset;
}

size_t engine_batch_memory(const struct engine_batch *batch) {
    return sizeof *batch + batch->bytes.cap + batch->cap * sizeof *batch->records;
}

void engine_batch_clear(struct engine_batch *batch) {
    batch->count = 0;
    batch->status = 0;
    if (batch->cap > BATCH_RECORDS_KEPT) {
        free(batch->records);
        batch->records = NULL;
        batch->cap = 0;
    }
    if (batch->bytes.cap > BATCH_BYTES_KEPT)
        buf_done(&batch->bytes);
    else
        buf_clear(&batch->bytes);
}

void engine_batch_free(struct engine_batch *batch) {
    free(batch->records);
    buf_done(&batch->bytes);
    free(batch);
}

bool engine_record_settle(struct engine_record *record, int status, uint64_t counter,
                          uint64_t arrival_ms) {
    struct engine_batch *batch = record->batch;
    record->status = status;
    record->counter = counter;
    record->arrival_ms = arrival_ms;
    if (status && !batch->status)
        batch->status = status;
    if (--batch->left)
        return false;
    batch->home(batch);
    return true;
}

void engine_batch_fail(struct engine_batch *batch, size_t from, int status) {
    size_t count = batch->count;
    for (size_t i = from; i < count; i++)
        engine_record_settle(&batch->records[i], status, 0, 0);
}

/* ---- layouts ---- */

void engine_set_layout(struct stream_engine *engine, struct layout *layout) {
    layout_unref(atomic_exchange(&engine->fresh, layout));
}

struct layout *engine_layout(const struct stream *stream) {
    struct stream *seer = (struct stream *)stream; /* `seen` is what was last heard */
    if (!stream->engine)
        return stream->seen.layout;
    struct layout *fresh = atomic_exchange(&stream->engine->fresh, NULL);
    if (fresh) {
        layout_unref(seer->seen.layout);
        seer->seen.layout = fresh;
    }
    return stream->seen.layout;
}

/* ---- life ---- */

static int open_engine(struct stream *stream, const struct stream_config *config, struct err *err) {
    struct stream_log *log = stream->log;
    if (!log->engines.loop)
        loop_thread_start(&log->engines, "weir-engine");
    struct loop *loop = log->engines.loop;
    int status = config->kafka
                     ? kafka_engine_open(stream, loop, config->kafka, &stream->engine, err)
                     : kinesis_engine_open(stream, loop, config->kinesis, &stream->engine, err);
    if (status)
        return err_wrap(err, "stream %s", config->name);
    stream->ops = stream->engine->ops;
    list_push_back(&log->engine_list, &stream->engine->link);
    return 0;
}

int engine_open(struct stream_log *log, const struct stream_config *config,
                struct stream **ret_stream, struct err *err) {
    int status = stream_config_check(log, config, err);
    if (status)
        return status;
    struct stream *stream = stream_new(log, config);
    status = open_engine(stream, config, err);
    if (status) {
        stream_free(stream);
        return status;
    }
    stream_add(stream);
    *ret_stream = stream;
    return 0;
}

static void give_up(struct timer *timer) {
    struct stream_log *log = CONTAINER_OF(timer, struct stream_log, give_up_timer);
    LIST_EACH(item, &log->engine_list) {
        struct stream_engine *engine = LIST_ITEM(item, struct stream_engine, link);
        engine->ops->give_up(engine);
    }
}

static void start_giving_up(void *data) {
    struct stream_log *log = data;
    timer_start(log->engines.loop, &log->give_up_timer, log->give_up_ms, 0, give_up);
}

void stream_log_finish(struct stream_log *log, unsigned grace_ms) {
    log->give_up_ms = grace_ms;
    if (log->engines.loop)
        loop_call(log->engines.loop, start_giving_up, log);
}

static void stop_all(void *data) {
    struct stream_log *log = data;
    timer_close(&log->give_up_timer, NULL);
    LIST_EACH(item, &log->engine_list) {
        struct stream_engine *engine = LIST_ITEM(item, struct stream_engine, link);
        engine->ops->stop(engine);
    }
}

void engine_close_all(struct stream_log *log) {
    if (!log->engines.loop)
        return;
    loop_call(log->engines.loop, stop_all, log);
    loop_thread_stop(&log->engines);
    LIST_EACH(item, &log->engine_list) {
        struct stream_engine *engine = LIST_ITEM(item, struct stream_engine, link);
        list_remove(item);
        layout_unref(atomic_exchange(&engine->fresh, NULL));
        engine->stream->engine = NULL;
        engine->ops->free(engine);
    }
}

/* ---- from stream.h to the engine ---- */

bool stream_is_counted(const struct stream *stream) {
    return !stream->ops->uncounted;
}

const char *stream_unchanged(const struct stream *stream) {
    return stream->ops->unchanged;
}

int stream_reader_open(struct stream *stream, unsigned shard, struct loop *loop,
                       const struct stream_position *position,
                       void (*on_ready)(struct stream_reader *reader, void *data), void *data,
                       struct stream_reader **ret_reader, struct err *err) {
    return stream->ops->reader_open(stream, shard, loop, position, on_ready, data, ret_reader, err);
}

void stream_reader_close(struct stream_reader *reader) {
    if (reader)
        reader->ops->reader_close(reader);
}

int stream_reader_next(struct stream_reader *reader, size_t records_max, size_t bytes_max,
                       struct stream_batch *ret_batch) {
    return reader->ops->reader_next(reader, records_max, bytes_max, ret_batch);
}

void stream_reader_seek(struct stream_reader *reader, uint64_t counter) {
    reader->ops->reader_seek(reader, counter);
}

uint64_t stream_reader_counter(const struct stream_reader *reader) {
    return reader->ops->reader_counter(reader);
}

uint64_t stream_reader_skipped(const struct stream_reader *reader) {
    return reader->ops->reader_skipped(reader);
}

void stream_reader_lag(const struct stream_reader *reader, uint64_t *ret_records,
                       uint64_t *ret_behind_ms) {
    reader->ops->reader_lag(reader, ret_records, ret_behind_ms);
}

bool stream_is_shared(const struct stream *stream) {
    return stream->ops->is_shared && stream->ops->is_shared(stream);
}

int stream_member_join(struct stream *stream, const char *name, struct loop *loop,
                       const struct stream_member_events *events, void *data,
                       struct stream_member **ret_member, struct err *err) {
    ASSERT(stream_is_shared(stream));
    return stream->ops->member_join(stream, name, loop, events, data, ret_member, err);
}

void stream_member_commit(struct stream_member *member, unsigned shard, uint64_t counter) {
    member->ops->member_commit(member, shard, counter);
}

int stream_member_note(struct stream_member *member, unsigned shard, uint64_t counter,
                       struct str note, void (*done)(void *data, int status), void *data) {
    ASSERT(note.len <= STREAM_NOTE_BYTES_MAX);
    return member->ops->member_note(member, shard, counter, note, done, data);
}

void stream_member_forget_note(struct stream_member *member, unsigned shard) {
    member->ops->member_forget_note(member, shard);
}

void stream_member_leave(struct stream_member *member) {
    if (member)
        member->ops->member_leave(member);
}

bool stream_reader_pending(const struct stream_reader *reader) {
    return reader->ops->reader_pending && reader->ops->reader_pending(reader);
}
