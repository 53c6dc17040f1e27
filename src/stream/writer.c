/*
 * A producer's side of the log. Everything here runs on the producer's loop.
 *
 *      sink_push()    copies the record into the stage of (this writer, its shard): bounds, two
 * copies, no allocation, no clock but for the first push of a turn turn hook      seals all stages
 * into one batch under the present ticket, sums the payloads, posts it to the log thread on_home
 * the batch comes back with its status: chunks to the pool, listeners hear of the ticket
 *
 * The hook runs once per turn, after the callbacks of timers and sockets. A push that comes after
 * it in the same turn, from another hook, would wait until something wakes the loop; a timer that
 * is due at once, started by the first push of each turn and stopped by the hook, sees to it that
 * the loop does not sleep on staged records.
 *
 * Back-pressure: bytes staged and bytes under way together are held against staging_bytes_max. What
 * is pushed beyond it is taken all the same (one message may overrun); producers ask has_room
 * before they take the next. on_room follows when half of the bound is free again.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "stream/log.h"

enum { STAGING_BYTES_DEFAULT = 8 * 1024 * 1024 };

struct stream_sink {
    struct sink sink;
    struct stream_writer *writer;
    struct stream *stream;
    struct stage *stages; /* one per shard */
    struct shard_cache *cache;
    struct stream_sink *next;
    char *label;
};

struct stream_writer {
    struct stream_log *log;
    struct loop *loop;
    struct sink_gate gate;
    struct sink_resolver resolver;
    struct turn_hook hook;
    struct timer nudge;
    struct stream_sink *sinks;
    struct map by_name[STREAM_KINDS];

    struct link staged; /* stages with content */
    uint64_t ticket;    /* of the next batch */
    uint64_t turn_ms;   /* wall clock of this turn's records; 0: nothing is staged */
    size_t staged_bytes, under_way_bytes, bytes_max;
    size_t batches_under_way;
    bool was_full;
    struct chunk_pool pool;
    struct batch *free_batches;
    struct metric staging_bytes, full;
};

/* ---- pushing ---- */

/* Runs only when the loop would have slept on staged records; the hook of the same turn seals them.
 */
static void on_nudge(struct timer *timer) {}

static void begin_turn(struct stream_writer *writer) {
    writer->turn_ms = clock_wall_ms();
    timer_start(writer->loop, &writer->nudge, 0, 0, on_nudge);
}

static int check(const struct stream *stream, const struct record *record) {
    size_t key_bytes = record->partition_key.len;
    if (key_bytes > RECORD_KEY_BYTES_MAX || (key_bytes == 0 && stream->config.kind == STREAM_DATA))
        return ERR_INVALID;
    if (record->data.len > RECORD_BYTES_MAX - key_bytes)
        return ERR_TOO_LARGE;
    return 0;
}

/* Records without a key (Firehose has none) go where the ticket says: in one turn all to one shard.
 */
static int shard_of(const struct stream_sink *sink, const struct record *record,
                    unsigned *ret_shard) {
    const struct stream *stream = sink->stream;
    if (stream->map.count == 1 && record->explicit_hash_key.len == 0) {
        *ret_shard = stream->map.ranges[0].shard;
        return 0;
    }
    if (record->partition_key.len == 0 && record->explicit_hash_key.len == 0) {
        *ret_shard = stream->map.ranges[sink->writer->ticket % stream->map.count].shard;
        return 0;
    }
    if (record->explicit_hash_key.len)
        return stream_shard_for(stream, record, ret_shard);
    *ret_shard = shard_cache_find(sink->cache, &stream->map, record->partition_key);
    return 0;
}

static int on_push(struct sink *base, const struct record *record) {
    struct stream_sink *sink = CONTAINER_OF(base, struct stream_sink, sink);
    struct stream_writer *writer = sink->writer;
    unsigned shard;
    int status = check(sink->stream, record);
    if (status == 0)
        status = shard_of(sink, record, &shard);
    if (status)
        return status;
    struct stage *stage = &sink->stages[shard];
    status = atomic_load_explicit(&stage->shard->refusal, memory_order_relaxed);
    if (status)
        return status;
    if (writer->turn_ms == 0)
        begin_turn(writer);
    if (!stage->first)
        list_push_back(&writer->staged, &stage->dirty);
    writer->staged_bytes += stage_push(stage, &writer->pool, record, writer->turn_ms);
    return 0;
}

/* ---- to the log thread and home ---- */

static size_t used_bytes(const struct stream_writer *writer) {
    return writer->staged_bytes + writer->under_way_bytes;
}

static void tell_commit(struct stream_writer *writer, uint64_t ticket, int status) {
    LIST_EACH(item, &writer->gate.listeners) {
        struct sink_gate_listener *listener = LIST_ITEM(item, struct sink_gate_listener, link);
        listener->on_commit(listener, ticket, status);
    }
}

static void tell_room(struct stream_writer *writer) {
    if (!writer->was_full || used_bytes(writer) >= writer->bytes_max / 2)
        return;
    writer->was_full = false;
    LIST_EACH(item, &writer->gate.listeners) {
        struct sink_gate_listener *listener = LIST_ITEM(item, struct sink_gate_listener, link);
        if (listener->on_room)
            listener->on_room(listener);
    }
}

static void on_home(struct task *task) {
    struct batch *batch = CONTAINER_OF(task, struct batch, task);
    struct stream_writer *writer = batch->owner;
    uint64_t ticket = batch->ticket;
    int status = batch->status;
    writer->under_way_bytes -= batch->bytes;
    writer->batches_under_way--;
    batch_empty(batch, &writer->pool);
    batch->next = writer->free_batches;
    writer->free_batches = batch;
    metric_set(&writer->staging_bytes, (int64_t)used_bytes(writer));
    tell_commit(writer, ticket, status);
    tell_room(writer);
}

/* On the log thread. */
static void post_home(struct batch *batch) {
    struct stream_writer *writer = batch->owner;
    batch->task.run = on_home;
    loop_post(writer->loop, &batch->task);
}

/* On the log thread. */
static void on_log(struct task *task) {
    struct batch *batch = CONTAINER_OF(task, struct batch, task);
    struct stream_writer *writer = batch->owner;
    log_submit(writer->log, batch);
}

static struct batch *take_batch(struct stream_writer *writer) {
    struct batch *batch = writer->free_batches;
    if (batch)
        writer->free_batches = batch->next;
    else
        batch = xmalloc(sizeof *batch);
    batch_init(batch);
    batch->task.run = on_log;
    batch->home = post_home;
    batch->owner = writer;
    batch->ticket = writer->ticket++;
    return batch;
}

static void on_turn_end(struct turn_hook *hook) {
    struct stream_writer *writer = CONTAINER_OF(hook, struct stream_writer, hook);
    if (writer->turn_ms == 0)
        return;
    struct batch *batch = take_batch(writer);
    LIST_EACH(item, &writer->staged) {
        stage_seal(LIST_ITEM(item, struct stage, dirty), batch);
        list_remove(item);
    }
    timer_stop(&writer->nudge);
    writer->turn_ms = 0;
    writer->staged_bytes = 0;
    writer->under_way_bytes += batch->bytes;
    writer->batches_under_way++;
    metric_set(&writer->staging_bytes, (int64_t)used_bytes(writer));
    loop_post(writer->log->thread.loop, &batch->task);
}

/* ---- gate and resolver ---- */

static bool has_room(struct sink_gate *gate) {
    struct stream_writer *writer = CONTAINER_OF(gate, struct stream_writer, gate);
    if (used_bytes(writer) < writer->bytes_max)
        return true;
    if (!writer->was_full)
        metric_add(&writer->full, 1);
    writer->was_full = true;
    return false;
}

static uint64_t present_ticket(struct sink_gate *gate) {
    return CONTAINER_OF(gate, struct stream_writer, gate)->ticket;
}

static struct sink *make_sink(struct stream_writer *writer, struct stream *stream) {
    struct stream_sink *sink = xcalloc(1, sizeof *sink);
    enum stream_kind kind = stream->config.kind;
    sink->label = xprintf("%s %s", kind == STREAM_DATA ? "kinesis" : "firehose", stream->name);
    sink->sink = (struct sink){.push = on_push, .name = sink->label};
    sink->writer = writer;
    sink->stream = stream;
    sink->stages = xcalloc(stream->meta.shard_count, sizeof *sink->stages);
    for (unsigned i = 0; i < stream->meta.shard_count; i++)
        sink->stages[i].shard = &stream->shards[i];
    if (stream->map.count > 1)
        sink->cache = xcalloc(1, sizeof *sink->cache);
    sink->next = writer->sinks;
    writer->sinks = sink;
    map_put(&writer->by_name[kind], str_of(stream->name), sink);
    return &sink->sink;
}

static struct sink *find_sink(struct sink_resolver *resolver, enum sink_kind sink_kind,
                              struct str name) {
    struct stream_writer *writer = CONTAINER_OF(resolver, struct stream_writer, resolver);
    enum stream_kind kind = sink_kind == SINK_STREAM ? STREAM_DATA : STREAM_DELIVERY;
    struct stream_sink *sink = map_get(&writer->by_name[kind], name);
    if (sink)
        return &sink->sink;
    struct stream *stream = stream_find(writer->log, kind, name);
    return stream ? make_sink(writer, stream) : NULL;
}

struct sink_gate *stream_writer_gate(struct stream_writer *writer) {
    return &writer->gate;
}

struct sink_resolver *stream_writer_resolver(struct stream_writer *writer) {
    return &writer->resolver;
}

/* ---- life ---- */

struct stream_writer *stream_writer_new(struct stream_log *log, struct loop *loop) {
    struct stream_writer *writer = xcalloc(1, sizeof *writer);
    writer->log = log;
    writer->loop = loop;
    writer->gate.has_room = has_room;
    writer->gate.ticket = present_ticket;
    list_init(&writer->gate.listeners);
    writer->resolver.find = find_sink;
    writer->hook.run = on_turn_end;
    list_init(&writer->staged);
    writer->ticket = 1;
    int64_t bytes_max = log->config.staging_bytes_max;
    writer->bytes_max = bytes_max > 0 ? (size_t)bytes_max : STAGING_BYTES_DEFAULT;
    writer->pool.free_bytes_max = writer->bytes_max;
    metric_init(&writer->staging_bytes, METRIC_GAUGE, "weir_stream_staging_bytes",
                "Bytes staged by producers and not yet committed.", NULL);
    metric_init(&writer->full, METRIC_COUNTER, "weir_stream_staging_full_total",
                "Times that a producer had to wait for commits.", NULL);
    loop_hook_add(loop, &writer->hook);
    return writer;
}

bool stream_writer_idle(const struct stream_writer *writer) {
    return writer->turn_ms == 0 && writer->batches_under_way == 0;
}

static void free_sinks(struct stream_writer *writer) {
    while (writer->sinks) {
        struct stream_sink *sink = writer->sinks;
        writer->sinks = sink->next;
        free(sink->stages);
        free(sink->cache);
        free(sink->label);
        free(sink);
    }
    for (int kind = 0; kind < STREAM_KINDS; kind++)
        map_done(&writer->by_name[kind]);
}

static void on_nudge_closed(struct timer *timer) {
    free(CONTAINER_OF(timer, struct stream_writer, nudge));
}

void stream_writer_free(struct stream_writer *writer) {
    if (!writer)
        return;
    ASSERT(stream_writer_idle(writer));
    loop_hook_remove(&writer->hook);
    free_sinks(writer);
    chunk_pool_done(&writer->pool);
    while (writer->free_batches) {
        struct batch *batch = writer->free_batches;
        writer->free_batches = batch->next;
        free(batch);
    }
    metric_done(&writer->staging_bytes);
    metric_done(&writer->full);
    timer_close(&writer->nudge, on_nudge_closed);
}
