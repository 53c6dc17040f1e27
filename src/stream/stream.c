/* Streams: making and opening them, and what they tell of themselves. For the files see log.c. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "stream/log.h"
#include "stream/sequence.h"

enum { SHARDS_MAX = META_SHARDS_MAX, NAME_CHARS_MAX = 128 };

const char *const stream_kind_directories[STREAM_KINDS] = {"streams", "deliveries"};
static const char *const kind_names[STREAM_KINDS] = {"data", "delivery"};

static void init_stream_metrics(struct stream *stream) {
    struct buf labels = {0};
    metric_label(&labels, "stream", str_of(stream->name));
    metric_label(&labels, "kind", str_of(kind_names[stream->config.kind]));
    const char *with = buf_cstr(&labels);
    struct stream_metrics *metrics = &stream->metrics;
    metric_init(&metrics->records, METRIC_COUNTER, "weir_stream_records_total",
                "Records committed.", with);
    metric_init(&metrics->bytes, METRIC_COUNTER, "weir_stream_bytes_total",
                "Bytes committed, with keys and headers.", with);
    metric_init(&metrics->commits, METRIC_COUNTER, "weir_stream_commits_total",
                "Commits of shards; batches per commit tell how many share a sync.", with);
    metric_init(&metrics->failures, METRIC_COUNTER, "weir_stream_failures_total",
                "Commits of shards that failed.", with);
    metric_init(&metrics->trimmed_segments, METRIC_COUNTER, "weir_stream_trimmed_segments_total",
                "Segments removed by retention or release.", with);
    metric_init(&metrics->damaged, METRIC_COUNTER, "weir_stream_damaged_total",
                "Damaged places found in segments.", with);
    metric_init(&metrics->disk_bytes, METRIC_GAUGE, "weir_stream_disk_bytes",
                "Bytes of records on disk.", with);
    metric_init(&metrics->full, METRIC_GAUGE, "weir_stream_full",
                "Whether the stream has reached bytes_max and refuses records.", with);
    for (unsigned i = 0; i < stream->meta.shard_count; i++) {
        struct buf shard_labels = {0};
        char id[STREAM_SHARD_ID_CHARS];
        stream_shard_id(i, id);
        buf_add_str(&shard_labels, buf_str(&labels));
        metric_label(&shard_labels, "shard", str_of(id));
        metric_init(&stream->shards[i].next_counter, METRIC_GAUGE, "weir_stream_next_counter",
                    "Counter of the next record of the shard.", buf_cstr(&shard_labels));
        buf_done(&shard_labels);
    }
    buf_done(&labels);
}

static void done_stream_metrics(struct stream_metrics *metrics) {
    metric_done(&metrics->records);
    metric_done(&metrics->bytes);
    metric_done(&metrics->commits);
    metric_done(&metrics->failures);
    metric_done(&metrics->trimmed_segments);
    metric_done(&metrics->damaged);
    metric_done(&metrics->disk_bytes);
    metric_done(&metrics->full);
}

void stream_free(struct stream *stream) {
    for (unsigned i = 0; stream->shards && i < stream->meta.shard_count; i++)
        shard_done(&stream->shards[i]);
    done_stream_metrics(&stream->metrics);
    free(stream->shards);
    free(stream->map.ranges);
    meta_done(&stream->meta);
    free(stream->name);
    free(stream->directory);
    free(stream);
}

static bool name_valid(const char *name) {
    size_t len = strlen(name);
    if (len < 1 || len > NAME_CHARS_MAX || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return false;
    for (const char *c = name; *c; c++) {
        bool good = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
                    (*c >= '0' && *c <= '9') || *c == '_' || *c == '.' || *c == '-';
        if (!good)
            return false;
    }
    return true;
}

static int check_config(struct stream_log *log, const struct stream_config *config,
                        struct err *err) {
    if (!name_valid(config->name))
        return err_set(err, ERR_INVALID,
                       "stream \"%.128s\": a name has 1 to 128 of a-z A-Z 0-9 _ . - and is not "
                       "\".\" or \"..\"",
                       config->name);
    if (config->shard_count < 1 || config->shard_count > SHARDS_MAX)
        return err_set(err, ERR_INVALID, "stream %s: the number of shards must be 1 to %d",
                       config->name, SHARDS_MAX);
    if (stream_find(log, config->kind, str_of(config->name)))
        return err_set(err, ERR_EXISTS, "stream %s is open already", config->name);
    return 0;
}

/* A new stream is there when its metadata file is; what comes before may be left behind by a crash
 * and is harmless. */
static int make_stream(struct stream *stream, struct err *err) {
    const struct file_ops *file = stream->log->config.file;
    int status = file_make_directories(stream->directory, err);
    if (status)
        return status;
    meta_make(&stream->meta, stream->config.kind, (unsigned)stream->config.shard_count);
    status = meta_save(stream->directory, &stream->meta, err);
    if (status)
        return status;
    char *parent =
        xprintf("%s/%s", stream->log->directory, stream_kind_directories[stream->config.kind]);
    if (file->sync_directory(file->self, parent))
        status = err_set_errno(err, errno, "%s: cannot be synced", parent);
    free(parent);
    return status;
}

static int load_meta(struct stream *stream, struct err *err) {
    int status = meta_load(stream->directory, &stream->meta, err);
    if (status == ERR_NOT_FOUND)
        return make_stream(stream, err);
    if (status)
        return status;
    if (stream->meta.shard_count != (unsigned)stream->config.shard_count)
        return err_set(err, ERR_INVALID,
                       "stream %s has %u shards; the configuration asks for %lld, but the number "
                       "is fixed once a stream is made",
                       stream->name, stream->meta.shard_count,
                       (long long)stream->config.shard_count);
    if (stream->meta.kind != stream->config.kind)
        return err_set(err, ERR_CORRUPT, "%s: a stream of another kind", stream->directory);
    return 0;
}

static int recover_shards(struct stream *stream, struct err *err) {
    struct shard_config config = {
        .file = stream->log->config.file,
        .segment_bytes_max = retention_segment_bytes(&stream->log->config, &stream->config),
        .segment_age_ms_max = retention_segment_age_ms(&stream->config),
        .sync = stream->log->config.sync == STREAM_SYNC_ALWAYS,
    };
    stream->shards = xcalloc(stream->meta.shard_count, sizeof *stream->shards);
    int status = 0;
    for (unsigned i = 0; i < stream->meta.shard_count; i++) {
        char id[STREAM_SHARD_ID_CHARS];
        stream_shard_id(i, id);
        struct shard *shard = &stream->shards[i];
        shard_init(shard, &config, xprintf("%s/%s", stream->directory, id),
                   xprintf("%s/%s", stream->name, id), meta_shard_seed(&stream->meta, i), i);
        shard->owner = stream;
        if (status == 0)
            status = shard_recover(shard, err);
    }
    return status;
}

static void show_recovered(struct stream *stream) {
    int64_t bytes = 0;
    for (unsigned i = 0; i < stream->meta.shard_count; i++) {
        struct shard *shard = &stream->shards[i];
        bytes += shard_bytes(shard);
        metric_add(&stream->metrics.damaged, (int64_t)shard->damaged);
        metric_set(&shard->next_counter, (int64_t)shard->next);
    }
    metric_set(&stream->metrics.disk_bytes, bytes);
    retention_bound(stream);
}

struct link_stream {
    struct stream_log *log;
    struct stream *stream;
};

static void link_stream(void *data) {
    struct link_stream *add = data;
    add->stream->next = add->log->streams;
    add->log->streams = add->stream;
}

int stream_open(struct stream_log *log, const struct stream_config *config,
                struct stream **ret_stream, struct err *err) {
    int status = check_config(log, config, err);
    if (status)
        return status;
    struct stream *stream = xcalloc(1, sizeof *stream);
    stream->log = log;
    stream->config = *config;
    stream->config.name = stream->name = xstrdup(config->name);
    stream->directory =
        xprintf("%s/%s/%s", log->directory, stream_kind_directories[config->kind], config->name);
    status = load_meta(stream, err);
    if (status == 0)
        status = recover_shards(stream, err);
    if (status) {
        stream_free(stream);
        return status;
    }
    meta_map(&stream->meta, &stream->map);
    init_stream_metrics(stream);
    show_recovered(stream);
    map_put(&log->by_name[config->kind], str_of(stream->name), stream);
    struct link_stream add = {log, stream};
    if (log->thread.loop)
        loop_call(log->thread.loop, link_stream, &add);
    else
        link_stream(&add);
    *ret_stream = stream;
    return 0;
}

/* ---- what a stream tells of itself ---- */

struct stream *stream_find(struct stream_log *log, enum stream_kind kind, struct str name) {
    return map_get(&log->by_name[kind], name);
}

const char *stream_name(const struct stream *stream) {
    return stream->name;
}

unsigned stream_shard_count(const struct stream *stream) {
    return stream->meta.shard_count;
}

uint64_t stream_created_s(const struct stream *stream) {
    return stream->meta.created_s;
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
    hash_key key;
    if (record->explicit_hash_key.len == 0) {
        if (stream->map.count > 1)
            key = hash_key_of(record->partition_key);
        else
            key = 0;
    } else if (!hash_key_parse(record->explicit_hash_key, &key)) {
        return ERR_INVALID;
    }
    *ret_shard = shard_map_find(&stream->map, key);
    return 0;
}

void stream_sequence_text(const struct stream *stream, unsigned shard, uint64_t counter,
                          uint64_t arrival_ms, char ret_text[STREAM_SEQUENCE_CHARS]) {
    struct sequence sequence = {stream->meta.created_s, counter, arrival_ms / 1000, shard};
    sequence_write(&sequence, ret_text);
}

int stream_sequence_parse(const struct stream *stream, unsigned shard, struct str text,
                          uint64_t *ret_counter) {
    struct sequence sequence;
    int status = sequence_read(text, &sequence);
    if (status)
        return status;
    if (sequence.created_s != stream->meta.created_s || sequence.shard != shard)
        return ERR_INVALID;
    *ret_counter = sequence.counter;
    return 0;
}
