/* Streams in memory, and what they tell of themselves. For making and opening them see open.c, for
 * the files log.c. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/ref.h"
#include "stream/log.h"
#include "stream/sequence.h"

const char *const stream_kind_directories[STREAM_KINDS] = {"streams", "deliveries", "actions",
                                                           "sessions", "requests"};

void stream_init_metrics(struct stream *stream) {
    struct buf labels = {0};
    metric_label(&labels, "stream", str_of(stream->name));
    metric_label(&labels, "kind", str_of(meta_kind_names[stream->config.kind]));
    const char *with = buf_cstr(&labels);
    struct stream_metrics *metrics = &stream->metrics;
    metric_init(&metrics->records, METRIC_COUNTER, "weir_stream_records_total",
                "Records committed.", with);
    metric_init(&metrics->bytes, METRIC_COUNTER, "weir_stream_bytes_total",
                "Bytes committed, with keys and headers, as they are on disk.", with);
    metric_init(&metrics->commits, METRIC_COUNTER, "weir_stream_commits_total",
                "Commits of shards; batches per commit tell how many share a sync.", with);
    metric_init(&metrics->failures, METRIC_COUNTER, "weir_stream_failures_total",
                "Commits of shards that failed.", with);
    metric_init(&metrics->trimmed_segments, METRIC_COUNTER, "weir_stream_trimmed_segments_total",
                "Segments removed by retention or release.", with);
    metric_init(&metrics->damaged, METRIC_COUNTER, "weir_stream_damaged_total",
                "Damaged places found in segments.", with);
    metric_init(&metrics->damaged_records, METRIC_COUNTER, "weir_stream_damaged_records_total",
                "Records in damaged places: passed over, or stopped before.", with);
    metric_init(&metrics->disk_bytes, METRIC_GAUGE, "weir_stream_disk_bytes",
                "Bytes of records on disk.", with);
    metric_init(&metrics->full, METRIC_GAUGE, "weir_stream_full",
                "Whether the stream has reached bytes_max and refuses records.", with);
    metric_init(&metrics->open_shards, METRIC_GAUGE, "weir_stream_open_shards",
                "Shards that take records.", with);
    metric_set(&metrics->open_shards, stream->layout->map.count);
    metric_init(&metrics->saved_bytes, METRIC_COUNTER, "weir_stream_compression_saved_bytes_total",
                "Bytes that compression kept from being written.", with);
    buf_done(&labels);
}

static void init_shard_metric(struct stream *stream, struct shard *shard) {
    struct buf labels = {0};
    char id[STREAM_SHARD_ID_CHARS];
    stream_shard_id(shard->index, id);
    metric_label(&labels, "stream", str_of(stream->name));
    metric_label(&labels, "kind", str_of(meta_kind_names[stream->config.kind]));
    metric_label(&labels, "shard", str_of(id));
    metric_init(&shard->next_counter, METRIC_GAUGE, "weir_stream_next_counter",
                "Counter of the next record of the shard.", buf_cstr(&labels));
    buf_done(&labels);
}

void stream_done_metrics(struct stream *stream) {
    struct stream_metrics *metrics = &stream->metrics;
    metric_done(&metrics->records);
    metric_done(&metrics->bytes);
    metric_done(&metrics->commits);
    metric_done(&metrics->failures);
    metric_done(&metrics->trimmed_segments);
    metric_done(&metrics->damaged);
    metric_done(&metrics->damaged_records);
    metric_done(&metrics->disk_bytes);
    metric_done(&metrics->full);
    metric_done(&metrics->open_shards);
    metric_done(&metrics->saved_bytes);
}

/* ---- making and freeing the struct ---- */

struct stream *stream_new(struct stream_log *log, const struct stream_config *config) {
    struct stream *stream = xcalloc(1, sizeof *stream);
    stream->log = log;
    stream->config = *config;
    stream->config.name = stream->name = xstrdup(config->name);
    stream->directory =
        xprintf("%s/%s/%s", log->directory, stream_kind_directories[config->kind], config->name);
    list_init(&stream->shards);
    list_init(&stream->gone);
    stream->seen.retention_ms = config->retention_ms;
    stream->references = 1;
    stream->ops = &engine_log;
    return stream;
}

struct stream *stream_ref(struct stream *stream) {
    ref_take(&stream->references);
    return stream;
}

/* On the log thread. */
static void on_last_unref(struct task *task) {
    struct stream *stream = CONTAINER_OF(task, struct stream, last_unref);
    list_remove(&stream->in_log);
    stream_free(stream);
}

/* Without a thread, in tests, the log frees it when it is closed. */
void stream_unref(struct stream *stream) {
    if (!stream || !ref_drop(&stream->references))
        return;
    stream->last_unref.run = on_last_unref;
    if (stream->log->thread.loop)
        loop_post(stream->log->thread.loop, &stream->last_unref);
}

static void free_shards(struct link *shards) {
    LIST_EACH(item, shards) {
        struct shard *shard = LIST_ITEM(item, struct shard, in_stream);
        list_remove(item);
        shard_done(shard);
        free(shard);
    }
}

void stream_free(struct stream *stream) {
    free_shards(&stream->shards);
    free_shards(&stream->gone);
    stream_done_metrics(stream);
    layout_unref(stream->layout);
    layout_unref(stream->seen.layout);
    free(stream->name);
    free(stream->directory);
    free(stream);
}

void stream_set_layout(struct stream *stream, struct layout *layout) {
    layout_unref(stream->layout);
    stream->layout = layout;
    metric_set(&stream->metrics.open_shards, layout->map.count);
}

struct shard *stream_add_shard(struct stream *stream, unsigned number) {
    struct shard_config config = {
        .file = stream->log->config.file,
        .files = &stream->log->files,
        .segment_bytes_max = retention_segment_bytes(&stream->log->config, &stream->config),
        .segment_age_ms_max = retention_segment_age_ms(&stream->config),
        .compression_level = stream->config.compression_level,
        .packer = &stream->log->packer,
        .sync = stream->log->config.sync == STREAM_SYNC_ALWAYS,
    };
    char id[STREAM_SHARD_ID_CHARS];
    stream_shard_id(number, id);
    struct layout *layout = stream->layout;
    struct shard *shard = xcalloc(1, sizeof *shard);
    shard_init(shard, &config, xprintf("%s/%s", stream->directory, id),
               xprintf("%s/%s", stream->name, id), meta_shard_seed(&layout->meta, number), number);
    shard->owner = stream;
    const struct meta_shard *known = &layout->meta.shards[number];
    if (known->state == META_CLOSED)
        shard->limit = known->end_counter;
    init_shard_metric(stream, shard);
    list_push_back(&stream->shards, &shard->in_stream);
    layout->shards[number] = shard;
    return shard;
}

/* ---- what a stream tells of itself ---- */

struct stream *stream_find(struct stream_log *log, enum stream_kind kind, struct str name) {
    return map_get(&log->by_name[kind], name);
}

bool stream_is_deleted(const struct stream *stream) {
    return stream->seen.deleted;
}

const char *stream_name(const struct stream *stream) {
    return stream->name;
}

unsigned stream_shard_count(const struct stream *stream) {
    return engine_layout(stream)->meta.shard_count;
}

uint64_t stream_created_s(const struct stream *stream) {
    return stream->created_s;
}

int64_t stream_record_bytes_max(const struct stream *stream) {
    return stream->config.record_bytes_max;
}

int64_t stream_retention_ms(const struct stream *stream) {
    return stream->seen.retention_ms;
}

void stream_shard_get(const struct stream *stream, unsigned number,
                      struct stream_shard_info *ret_info) {
    const struct meta_shard *known = &engine_layout(stream)->meta.shards[number];
    *ret_info = (struct stream_shard_info){.open = known->state == META_OPEN,
                                           .parent = known->parents[0],
                                           .adjacent_parent = known->parents[1],
                                           .start = known->start,
                                           .end = known->end,
                                           .opened_ms = known->opened_ms,
                                           .closed_ms = known->closed_ms};
    stream->ops->shard_get(stream, number, ret_info);
}

static int by_name(const void *a, const void *b) {
    const struct stream *const *left = a, *const *right = b;
    return strcmp((*left)->name, (*right)->name);
}

void stream_each_kind(struct stream_log *log, enum stream_kind kind,
                      void (*each)(void *data, struct stream *stream), void *data) {
    const struct map *map = &log->by_name[kind];
    struct stream **streams = xcalloc(map->count + 1, sizeof(struct stream *));
    struct map_entry *entry;
    size_t count = 0;
    for (size_t i = 0; (entry = map_next(map, &i));)
        streams[count++] = entry->value;
    qsort(streams, count, sizeof(struct stream *), by_name);
    for (size_t i = 0; i < count; i++)
        each(data, streams[i]);
    free(streams);
}

void stream_each(struct stream_log *log, void (*each)(void *data, struct stream *stream),
                 void *data) {
    stream_each_kind(log, STREAM_DATA, each, data);
}

void stream_shard_id(unsigned shard, char ret_text[STREAM_SHARD_ID_CHARS]) {
    static const char prefix[] = "shardId-";
    memcpy(ret_text, prefix, sizeof prefix - 1);
    ret_text[STREAM_SHARD_ID_CHARS - 1] = '\0';
    for (int at = STREAM_SHARD_ID_CHARS - 2; at >= (int)sizeof prefix - 1; at--, shard /= 10)
        ret_text[at] = (char)('0' + shard % 10);
}

int stream_shard_for(const struct stream *stream, const struct record *record,
                     unsigned *ret_shard) {
    return layout_shard_for(engine_layout(stream), record, ret_shard);
}

/* The second in which the shard was opened begins its numbers. */
static uint64_t opened_s(const struct stream *stream, unsigned shard) {
    ASSERT(shard < stream_shard_count(stream));
    return stream->seen.layout->meta.shards[shard].opened_ms / 1000;
}

void stream_sequence_text(const struct stream *stream, unsigned shard, uint64_t counter,
                          uint64_t arrival_ms, char ret_text[STREAM_SEQUENCE_CHARS]) {
    struct sequence sequence = {opened_s(stream, shard), counter, arrival_ms / 1000, shard};
    sequence_write(&sequence, ret_text);
}

int stream_sequence_parse(const struct stream *stream, unsigned shard, struct str text,
                          uint64_t *ret_counter) {
    if (shard >= stream_shard_count(stream))
        return ERR_INVALID;
    return sequence_counter(text, shard, opened_s(stream, shard), ret_counter);
}
