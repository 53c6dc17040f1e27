/*
 * What a producer pushes into: one sink for each stream of the writer.
 *
 * Records of the log's own streams go into the stage of their shard; those of other engines
 * (engine.h) into the stream's engine_batch of this turn. Either way the record is copied, nothing
 * is allocated for it, and what is staged waits for the end of the turn (writer.c).
 *
 * Which streams and shards there are the writer knows from the log thread: all when it is made, then
 * by news (change.c). On news it seals what is staged, as at the end of a turn, goes by the new
 * layout and confirms; the confirmation travels behind the sealed batch.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "stream/writer.h"

struct writer_news {
    struct task task; /* to the writer and back */
    struct stream_writer *writer;
    struct log_news news;
};

/* ---- pushing ---- */

static int check(const struct stream *stream, const struct record *record) {
    size_t key_bytes = record->partition_key.len;
    if (key_bytes > RECORD_KEY_BYTES_MAX || (key_bytes == 0 && stream->config.kind == STREAM_DATA))
        return ERR_INVALID;
    if (record->data.len > RECORD_BYTES_MAX - key_bytes)
        return ERR_TOO_LARGE;
    return 0;
}

/* Records without a key (Firehose has none) go where the ticket says: in one turn all to one shard. */
static int shard_of(const struct stream_sink *sink, const struct record *record,
                    unsigned *ret_shard) {
    const struct layout *layout = sink->layout;
    const struct shard_map *map = &layout->map;
    if (record->explicit_hash_key.len)
        return layout_shard_for(layout, record, ret_shard);
    if (map->count == 1)
        *ret_shard = map->ranges[0].shard;
    else if (record->partition_key.len == 0)
        *ret_shard = map->ranges[sink->writer->ticket % map->count].shard;
    else
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
        writer_begin_turn(writer);
    struct engine_batch *batch = sink->sending ? sink->sending : sending_batch(sink);
    writer->staged_bytes += engine_batch_add(batch, record, shard);
    return 0;
}

static int on_push_to_engine(struct sink *base, const struct record *record) {
    return push_to_engine(CONTAINER_OF(base, struct stream_sink, sink), record);
}

/* ---- pushing to the log ---- */

static inline int stage_of(const struct stream_sink *sink, const struct record *record,
                           struct stage **ret_stage) {
    *ret_stage = sink->only;
    if (sink->only && record->explicit_hash_key.len == 0)
        return 0;
    unsigned shard = 0;
    int status = shard_of(sink, record, &shard);
    *ret_stage = &sink->stages[shard];
    return status;
}

/* Which stage the record was put into. */
static inline int push(struct stream_sink *sink, const struct record *record,
                       struct stage **ret_stage) {
    struct stream_writer *writer = sink->writer;
    struct stage *stage;
    int status = check(sink->stream, record);
    if (status == 0)
        status = stage_of(sink, record, &stage);
    if (status)
        return status;
    status = atomic_load_explicit(&stage->shard->refusal, memory_order_relaxed);
    if (status)
        return status;
    if (writer->turn_ms == 0)
        writer_begin_turn(writer);
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
/* ---- which there are ---- */

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
    if (layout->map.count == 1)
        sink->only = &sink->stages[layout->map.ranges[0].shard];
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

/* ---- news ---- */

/* What the sink has for the layout that is no more. Nothing is staged. */
static void clear_sink(struct stream_sink *sink) {
    free(sink->stages);
    free(sink->cache);
    layout_unref(sink->layout);
    sink->stages = sink->only = NULL;
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
    stream_writer_seal(writer);
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
        writer_free_when_closed(writer);
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

void writer_sinks_attach(struct stream_writer *writer) {
    writer->resolver.find = find_sink;
    writer->producer.tell = tell;
    loop_call(writer->log->thread.loop, attach, writer);
}

void writer_sinks_detach(struct stream_writer *writer) {
    loop_call(writer->log->thread.loop, detach, writer);
}

void writer_sinks_done(struct stream_writer *writer) {
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
