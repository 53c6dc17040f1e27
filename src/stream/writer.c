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
 *
 * Streams of other engines (engine.h): records are copied into the stream's engine_batch of this turn,
 * which the hook posts to the engine under the same ticket. A ticket's parts come home when they
 * may; the ticket commits when all of them have, and in its order.
 *
 * Which streams and shards there are the writer knows from the log thread: all when it is made, then
 * by news (change.c). On news it seals what is staged, as at the end of a turn, goes by the new
 * layout and confirms; the confirmation travels behind the sealed batch.
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
    struct layout *layout; /* NULL: the stream is deleted */
    struct stage *stages;  /* one per shard; NULL until the sink is asked for */
    struct shard_cache *cache;
    struct engine_batch *sending; /* of this turn; NULL: nothing is staged for the engine */
    struct stream_sink *next;
    bool handed_out; /* somebody has the sink, and keeps it */
    char *label;
};

struct writer_news {
    struct task task; /* to the writer and back */
    struct stream_writer *writer;
    struct log_news news;
};

struct stream_writer {
    struct stream_log *log;
    struct loop *loop;
    struct sink_gate gate;
    struct sink_resolver resolver;
    struct turn_hook hook;
    struct timer nudge;
    struct stream_sink *sinks; /* those of deleted streams too */
    struct map by_name[STREAM_KINDS];
    struct link receipts; /* in the order of their tickets */

    struct log_producer producer; /* [log] */
    unsigned news_under_way;      /* [log] */
    unsigned news_left;           /* once it is freed: how many are still to come */
    bool freed, nudge_closed;

    struct link staged;    /* stages with content */
    struct link sending;   /* struct engine_batch with content */
    struct link in_flight; /* struct batch, in the order of their tickets */
    uint64_t ticket;       /* of the next batch */
    uint64_t turn_ms;      /* wall clock of this turn's records; 0: nothing is staged */
    size_t staged_bytes, under_way_bytes, bytes_max;
    size_t batches_under_way;
    bool was_full;
    struct chunk_pool pool;
    struct batch *free_batches;
    struct engine_batch *free_sent;
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
    const struct layout *layout = sink->layout;
    const struct shard_map *map = &layout->map;
    if (map->count == 1 && record->explicit_hash_key.len == 0) {
        *ret_shard = map->ranges[0].shard;
        return 0;
    }
    if (record->partition_key.len == 0 && record->explicit_hash_key.len == 0) {
        *ret_shard = map->ranges[sink->writer->ticket % map->count].shard;
        return 0;
    }
    if (record->explicit_hash_key.len)
        return layout_shard_for(layout, record, ret_shard);
    *ret_shard = shard_cache_find(sink->cache, map, record->partition_key);
    return 0;
}

/* ---- pushing to another engine ---- */

static struct engine_batch *sending_batch(struct stream_sink *sink) {
    struct stream_writer *writer = sink->writer;
    struct engine_batch *batch = writer->free_sent;
    if (batch)
        writer->free_sent = batch->next;
    else
        batch = xcalloc(1, sizeof *batch);
    batch->engine = sink->stream->engine;
    batch->arrival_ms = writer->turn_ms;
    batch->owner = writer;
    list_push_back(&writer->sending, &batch->staged);
    return sink->sending = batch;
}

static int push_to_engine(struct stream_sink *sink, const struct record *record) {
    struct stream_writer *writer = sink->writer;
    unsigned shard = 0;
    hash_key key;
    int status = check(sink->stream, record);
    if (status == 0 && sink->stream->ops->writer_picks)
        status = shard_of(sink, record, &shard);
    else if (status == 0 && record->explicit_hash_key.len &&
             !hash_key_parse(record->explicit_hash_key, &key))
        status = ERR_INVALID;
    if (status)
        return status;
    if (writer->turn_ms == 0)
        begin_turn(writer);
    struct engine_batch *batch = sink->sending ? sink->sending : sending_batch(sink);
    writer->staged_bytes += engine_batch_add(batch, record, shard);
    return 0;
}

static int on_push_to_engine(struct sink *base, const struct record *record) {
    return push_to_engine(CONTAINER_OF(base, struct stream_sink, sink), record);
}

/* ---- pushing to the log ---- */

/* Which stage the record was put into. */
static inline int push(struct stream_sink *sink, const struct record *record,
                       struct stage **ret_stage) {
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
    *ret_stage = stage;
    return 0;
}

static int on_push(struct sink *base, const struct record *record) {
    struct stage *stage;
    return push(CONTAINER_OF(base, struct stream_sink, sink), record, &stage);
}

/* Of a stream that was deleted. */
static int on_push_deleted(struct sink *base, const struct record *record) {
    return ERR_NOT_FOUND;
}

static struct sink *ready_sink(struct stream_sink *sink);

static int put_to_engine(struct stream_sink *sink, const struct record *record,
                         struct stream_receipt *receipt) {
    int status = push_to_engine(sink, record);
    if (status)
        return status;
    const struct engine_batch *batch = sink->sending;
    *receipt = (struct stream_receipt){.ticket = sink->writer->ticket,
                                       .shard = batch->records[batch->count - 1].shard,
                                       .counter = batch->count - 1,
                                       .sent = batch};
    list_push_back(&sink->writer->receipts, &receipt->link);
    return 0;
}

int stream_writer_put(struct stream_writer *writer, struct stream *stream,
                      const struct record *record, struct stream_receipt *receipt) {
    struct stream_sink *sink = map_get(&writer->by_name[stream->config.kind], str_of(stream->name));
    if (!sink || sink->stream != stream)
        return ERR_NOT_FOUND;
    struct stage *stage;
    ready_sink(sink);
    if (stream->engine)
        return put_to_engine(sink, record, receipt);
    int status = push(sink, record, &stage);
    if (status)
        return status;
    *receipt = (struct stream_receipt){.ticket = writer->ticket,
                                       .shard = stage->shard->index,
                                       .counter = stage->last->count - 1,
                                       .chunk = stage->last};
    list_push_back(&writer->receipts, &receipt->link);
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

static void settle_sent(struct stream_receipt *receipt) {
    const struct engine_record *record = &receipt->sent->records[receipt->counter];
    receipt->sent = NULL;
    receipt->status = record->status;
    receipt->shard = record->shard;
    receipt->counter = record->counter;
    receipt->arrival_ms = record->arrival_ms;
}

/* Until now `counter` said which record of its chunk or batch it is. */
static void settle_receipt(struct stream_receipt *receipt) {
    if (receipt->sent) {
        settle_sent(receipt);
        return;
    }
    const struct chunk *chunk = receipt->chunk;
    receipt->chunk = NULL;
    receipt->status = chunk->status;
    struct segment_block block = {0};
    if (receipt->status == 0) {
        int status = segment_header_read(chunk->block, chunk->used, chunk->shard->seed, &block);
        ASSERT(status == 0);
    }
    receipt->counter += block.first_counter;
    receipt->arrival_ms = block.base_ms;
}

static void settle_receipts(struct stream_writer *writer, uint64_t ticket) {
    while (!list_empty(&writer->receipts)) {
        struct stream_receipt *receipt =
            LIST_ITEM(writer->receipts.next, struct stream_receipt, link);
        if (receipt->ticket != ticket)
            return;
        list_remove(&receipt->link);
        settle_receipt(receipt);
    }
}

static void free_sent(struct stream_writer *writer, struct batch *batch) {
    while (batch->sent) {
        struct engine_batch *sent = batch->sent;
        batch->sent = sent->next_sent;
        engine_batch_clear(sent);
        sent->next = writer->free_sent;
        writer->free_sent = sent;
    }
}

static void finish_ticket(struct stream_writer *writer, struct batch *batch) {
    uint64_t ticket = batch->ticket;
    int status = batch->status ? batch->status : batch->sent_status;
    list_remove(&batch->in_flight);
    writer->under_way_bytes -= batch->bytes;
    writer->batches_under_way--;
    settle_receipts(writer, ticket);
    free_sent(writer, batch);
    batch_empty(batch, &writer->pool);
    batch->next = writer->free_batches;
    writer->free_batches = batch;
    metric_set(&writer->staging_bytes, (int64_t)used_bytes(writer));
    tell_commit(writer, ticket, status);
    tell_room(writer);
}

/* A part of the ticket is home. */
static void part_home(struct stream_writer *writer, struct batch *batch) {
    batch->parts--;
    while (!list_empty(&writer->in_flight)) {
        struct batch *first = LIST_ITEM(writer->in_flight.next, struct batch, in_flight);
        if (first->parts)
            return;
        finish_ticket(writer, first);
    }
}

static void on_home(struct task *task) {
    struct batch *batch = CONTAINER_OF(task, struct batch, task);
    part_home(batch->owner, batch);
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

static void on_sent_home(struct task *task) {
    struct engine_batch *sent = CONTAINER_OF(task, struct engine_batch, task);
    struct batch *batch = sent->ticket;
    if (sent->status)
        batch->sent_status = sent->status;
    part_home(batch->owner, batch);
}

/* On the engine's thread. */
static void post_sent_home(struct engine_batch *sent) {
    struct stream_writer *writer = sent->owner;
    sent->task.run = on_sent_home;
    loop_post(writer->loop, &sent->task);
}

/* On the engine's thread. */
static void on_engine(struct task *task) {
    struct engine_batch *sent = CONTAINER_OF(task, struct engine_batch, task);
    sent->engine->ops->submit(sent->engine, sent);
}

static void send_to_engines(struct stream_writer *writer, struct batch *batch) {
    LIST_EACH(item, &writer->sending) {
        struct engine_batch *sent = LIST_ITEM(item, struct engine_batch, staged);
        list_remove(item);
        sent->ticket = batch;
        sent->left = sent->count;
        sent->home = post_sent_home;
        sent->task.run = on_engine;
        sent->next_sent = batch->sent;
        batch->sent = sent;
        batch->parts++;
        batch->bytes += buf_len(&sent->bytes) + sent->count * sizeof *sent->records;
        loop_post(sent->engine->loop, &sent->task);
    }
    for (struct stream_sink *sink = writer->sinks; sink; sink = sink->next)
        sink->sending = NULL;
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
    batch->producer = &writer->producer;
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
    batch->parts = batch->chunks ? 1 : 0;
    bool to_log = batch->chunks;
    if (!list_empty(&writer->sending))
        send_to_engines(writer, batch);
    list_push_back(&writer->in_flight, &batch->in_flight);
    timer_stop(&writer->nudge);
    writer->turn_ms = 0;
    writer->staged_bytes = 0;
    writer->under_way_bytes += batch->bytes;
    writer->batches_under_way++;
    metric_set(&writer->staging_bytes, (int64_t)used_bytes(writer));
    if (to_log)
        loop_post(writer->log->thread.loop, &batch->task);
}

void stream_writer_seal(struct stream_writer *writer) {
    on_turn_end(&writer->hook);
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

/* Takes the reference. */
static void add_sink(struct stream_writer *writer, struct stream *stream, struct layout *layout) {
    struct stream_sink *sink = xcalloc(1, sizeof *sink);
    enum stream_kind kind = stream->config.kind;
    static const char *const labels[STREAM_KINDS] = {"kinesis", "firehose", "action", "sessions",
                                                     "requests"};
    sink->label = xprintf("%s %s", labels[kind], stream->name);
    sink->sink =
        (struct sink){.push = stream->engine ? on_push_to_engine : on_push, .name = sink->label};
    sink->writer = writer;
    sink->stream = stream;
    sink->layout = layout;
    sink->next = writer->sinks;
    writer->sinks = sink;
    map_put(&writer->by_name[kind], str_of(stream->name), sink);
}

static struct sink *ready_sink(struct stream_sink *sink) {
    const struct layout *layout = sink->layout;
    if (layout->map.count > 1 && !sink->cache)
        sink->cache = xcalloc(1, sizeof *sink->cache);
    if (sink->stages || sink->stream->engine)
        return &sink->sink;
    sink->stages = xcalloc(layout->meta.shard_count, sizeof *sink->stages);
    for (unsigned i = 0; i < layout->meta.shard_count; i++)
        sink->stages[i].shard = layout->shards[i];
    return &sink->sink;
}

static struct sink *find_sink(struct sink_resolver *resolver, enum sink_kind sink_kind,
                              struct str name) {
    struct stream_writer *writer = CONTAINER_OF(resolver, struct stream_writer, resolver);
    static const enum stream_kind kinds[] = {
        [SINK_STREAM] = STREAM_DATA,
        [SINK_DELIVERY] = STREAM_DELIVERY,
        [SINK_ACTION] = STREAM_ACTION,
    };
    struct stream_sink *sink = map_get(&writer->by_name[kinds[sink_kind]], name);
    if (!sink)
        return NULL;
    sink->handed_out = true;
    return ready_sink(sink);
}

struct sink *stream_writer_sink(struct stream_writer *writer, const struct stream *stream) {
    struct stream_sink *sink = map_get(&writer->by_name[stream->config.kind], str_of(stream->name));
    sink->handed_out = true;
    return ready_sink(sink);
}

struct sink_gate *stream_writer_gate(struct stream_writer *writer) {
    return &writer->gate;
}

struct sink_resolver *stream_writer_resolver(struct stream_writer *writer) {
    return &writer->resolver;
}

/* ---- news ---- */

/* What the sink has for the layout that is no more. Nothing is staged. */
static void clear_sink(struct stream_sink *sink) {
    free(sink->stages);
    free(sink->cache);
    layout_unref(sink->layout);
    sink->stages = NULL;
    sink->cache = NULL;
    sink->layout = NULL;
}

static void remove_sink(struct stream_writer *writer, struct stream_sink *sink) {
    struct stream_sink **at = &writer->sinks;
    while (*at != sink)
        at = &(*at)->next;
    *at = sink->next;
    free(sink->label);
    free(sink);
}

static void hear(struct stream_writer *writer, const struct log_news *news) {
    struct stream *stream = news->stream;
    struct map *by_name = &writer->by_name[stream->config.kind];
    if (news->kind == NEWS_ADDED) {
        add_sink(writer, stream, news->layout);
        return;
    }
    struct stream_sink *sink = map_get(by_name, str_of(stream->name));
    bool was_asked_for = sink->stages;
    on_turn_end(&writer->hook);
    clear_sink(sink);
    if (news->kind == NEWS_DELETED) {
        map_remove(by_name, str_of(stream->name));
        sink->sink.push = on_push_deleted;
        sink->stream = NULL;
        if (!sink->handed_out)
            remove_sink(writer, sink);
        layout_unref(news->layout);
        return;
    }
    sink->layout = news->layout;
    if (was_asked_for)
        ready_sink(sink);
}

static void free_when_closed(struct stream_writer *writer) {
    if (writer->nudge_closed && writer->news_left == 0)
        free(writer);
}

/* On the log thread. */
static void on_news_home(struct task *task) {
    struct writer_news *item = CONTAINER_OF(task, struct writer_news, task);
    struct stream_writer *writer = item->writer;
    writer->news_under_way--;
    if (item->news.confirm)
        log_confirm(writer->log, &writer->producer);
    free(item);
}

static void on_news(struct task *task) {
    struct writer_news *item = CONTAINER_OF(task, struct writer_news, task);
    struct stream_writer *writer = item->writer;
    if (writer->freed) {
        layout_unref(item->news.layout);
        free(item);
        writer->news_left--;
        free_when_closed(writer);
        return;
    }
    hear(writer, &item->news);
    task->run = on_news_home;
    loop_post(writer->log->thread.loop, task);
}

/* On the log thread. */
static void tell(struct log_producer *producer, const struct log_news *news) {
    struct stream_writer *writer = CONTAINER_OF(producer, struct stream_writer, producer);
    struct writer_news *item = xmalloc(sizeof *item);
    *item = (struct writer_news){{.run = on_news}, writer, *news};
    writer->news_under_way++;
    loop_post(writer->loop, &item->task);
}

/* On the log thread, while the writer's waits. */
static void attach(void *data) {
    struct stream_writer *writer = data;
    log_attach(writer->log, &writer->producer);
    LIST_EACH(item, &writer->log->streams) {
        struct stream *stream = LIST_ITEM(item, struct stream, in_log);
        if (!stream->leaving)
            add_sink(writer, stream, layout_ref(stream->layout));
    }
}

static void detach(void *data) {
    struct stream_writer *writer = data;
    log_detach(writer->log, &writer->producer);
    writer->news_left = writer->news_under_way;
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
    list_init(&writer->sending);
    list_init(&writer->in_flight);
    list_init(&writer->receipts);
    writer->producer.tell = tell;
    writer->ticket = 1;
    int64_t bytes_max = log->config.staging_bytes_max;
    writer->bytes_max = bytes_max > 0 ? (size_t)bytes_max : STAGING_BYTES_DEFAULT;
    writer->pool.free_bytes_max = writer->bytes_max;
    metric_init(&writer->staging_bytes, METRIC_GAUGE, "weir_stream_staging_bytes",
                "Bytes staged by producers and not yet committed.", NULL);
    metric_init(&writer->full, METRIC_COUNTER, "weir_stream_staging_full_total",
                "Times that a producer had to wait for commits.", NULL);
    loop_hook_add(loop, &writer->hook);
    loop_call(log->thread.loop, attach, writer);
    return writer;
}

bool stream_writer_idle(const struct stream_writer *writer) {
    return writer->turn_ms == 0 && writer->batches_under_way == 0;
}

static void free_sinks(struct stream_writer *writer) {
    while (writer->sinks) {
        struct stream_sink *sink = writer->sinks;
        writer->sinks = sink->next;
        clear_sink(sink);
        free(sink->label);
        free(sink);
    }
    for (int kind = 0; kind < STREAM_KINDS; kind++)
        map_done(&writer->by_name[kind]);
}

static void on_nudge_closed(struct timer *timer) {
    struct stream_writer *writer = CONTAINER_OF(timer, struct stream_writer, nudge);
    writer->nudge_closed = true;
    free_when_closed(writer);
}

void stream_writer_free(struct stream_writer *writer) {
    if (!writer)
        return;
    ASSERT(stream_writer_idle(writer));
    writer->freed = true;
    loop_call(writer->log->thread.loop, detach, writer);
    loop_hook_remove(&writer->hook);
    free_sinks(writer);
    chunk_pool_done(&writer->pool);
    while (writer->free_batches) {
        struct batch *batch = writer->free_batches;
        writer->free_batches = batch->next;
        free(batch);
    }
    while (writer->free_sent) {
        struct engine_batch *sent = writer->free_sent;
        writer->free_sent = sent->next;
        engine_batch_free(sent);
    }
    metric_done(&writer->staging_bytes);
    metric_done(&writer->full);
    timer_close(&writer->nudge, on_nudge_closed);
}
