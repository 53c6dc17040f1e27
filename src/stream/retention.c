/*
 * What goes, and when. Only whole segments are removed, from the front, never the last one; so that
 * little is kept beyond its time, a segment is begun anew when its first record is a tenth of the
 * retention period older than the next one, or when it has grown to a fraction of the stream's
 * bound.
 *
 *  - Data streams: a segment goes when its last record is older than retention_ms; and the oldest
 *    go while the stream is larger than bytes_max. A last segment whose records are all too old is
 *    closed so that it can go too. A shard that was split or merged loses its last segment as well,
 *    and is removed itself once it was closed for retention_ms and has no record left; its number
 *    is not used again.
 *  - Delivery streams and logs of actions: a segment goes when all its records were released. While
 *    more than bytes_max is kept, pushes are refused with NO_SPACE: the backlog is data that no one
 *    else has, so it is the producer who must wait.
 */
#include "base/log.h"
#include "stream/log.h"

enum {
    AGE_PARTS = 10,
    AGE_MS_MIN = 60 * 1000,
    BOUND_PARTS = 16,
    SEGMENT_BYTES_MIN = 64 * 1024,
    SEGMENT_BYTES_DEFAULT = 64 * 1024 * 1024,
    /* A released last segment is closed when it has grown to this. */
    RELEASED_BYTES_MIN = 1024 * 1024,
};

int64_t retention_segment_bytes(const struct stream_log_config *log,
                                const struct stream_config *stream) {
    int64_t bytes = log->segment_bytes_max ? log->segment_bytes_max : SEGMENT_BYTES_DEFAULT;
    if (stream->segment_bytes_max)
        bytes = stream->segment_bytes_max;
    if (stream->bytes_max == 0)
        return bytes;
    int64_t part = stream->bytes_max / BOUND_PARTS / stream->shard_count;
    if (part < SEGMENT_BYTES_MIN)
        part = SEGMENT_BYTES_MIN;
    return part < bytes ? part : bytes;
}

uint64_t retention_segment_age_ms(const struct stream_config *stream) {
    if (stream->kind != STREAM_DATA || stream->retention_ms <= 0)
        return 0;
    uint64_t age = (uint64_t)stream->retention_ms / AGE_PARTS;
    return age > AGE_MS_MIN ? age : AGE_MS_MIN;
}

static void count_trimmed(struct stream *stream, size_t segments) {
    if (segments == 0)
        return;
    metric_add(&stream->metrics.trimmed_segments, (int64_t)segments);
    int64_t bytes = 0;
    LIST_EACH(item, &stream->shards) {
        bytes += shard_bytes(LIST_ITEM(item, struct shard, in_stream));
    }
    metric_set(&stream->metrics.disk_bytes, bytes);
}

void retention_bound(struct stream *stream) {
    if (stream->config.kind == STREAM_DATA || stream->config.bytes_max == 0)
        return;
    bool full = metric_get(&stream->metrics.disk_bytes) >= stream->config.bytes_max;
    if (full == (metric_get(&stream->metrics.full) != 0))
        return;
    metric_set(&stream->metrics.full, full);
    LIST_EACH(item, &stream->shards) {
        shard_set_full(LIST_ITEM(item, struct shard, in_stream), full);
    }
}

/* A segment in which every record could go is closed, so that it is no longer the last. */
static void close_last(struct shard *shard, uint64_t now_ms) {
    if (shard->failed || shard_phase(shard) != SHARD_OPEN)
        return;
    int status = shard_roll(shard);
    if (status)
        shard_abort(shard, status, now_ms);
}

/* ---- data streams ---- */

static bool too_old(const struct shard *shard, const struct shard_segment *segment, void *data) {
    uint64_t horizon_ms = *(uint64_t *)data;
    return segment->last_ms < horizon_ms;
}

static bool is_over(const struct stream *stream, const struct shard *shard, uint64_t horizon_ms) {
    return shard_phase(shard) == SHARD_CLOSED && shard->segment_count == 0 &&
           stream->layout->meta.shards[shard->index].closed_ms < horizon_ms;
}

static void remove_shard(struct stream *stream, struct shard *shard) {
    struct err err;
    log_info("stream", "%s: closed, and all its records are too old: removed", shard->label);
    shard_retire(shard, SHARD_GONE);
    readers_wake(shard);
    list_remove(&shard->in_stream);
    list_push_back(&stream->gone, &shard->in_stream);
    if (file_remove_tree(shard->directory, &err))
        log_warn("stream", "%s", err.text);
}

/* Closed shards without a record, closed for longer than records are kept. If the metadata cannot be
 * written they are there again after a start, empty, and go then. */
static void remove_closed(struct stream *stream, uint64_t horizon_ms) {
    struct meta meta = {0};
    LIST_EACH(item, &stream->shards) {
        struct shard *shard = LIST_ITEM(item, struct shard, in_stream);
        if (!is_over(stream, shard, horizon_ms))
            continue;
        if (!meta.shards)
            meta = meta_copy(&stream->layout->meta);
        remove_shard(stream, shard);
        meta.shards[shard->index].state = META_GONE;
    }
    if (!meta.shards)
        return;
    struct err err;
    if (meta_save(stream->log->config.file, stream->directory, &meta, &err))
        log_warn("stream", "%s", err.text);
    stream_set_layout(stream, layout_new(&meta, stream->layout));
}

static void trim_by_age(struct stream *stream, uint64_t now_ms, uint64_t wall_ms) {
    uint64_t retention_ms = (uint64_t)stream->config.retention_ms;
    if (stream->config.retention_ms <= 0 || wall_ms <= retention_ms)
        return;
    uint64_t horizon_ms = wall_ms - retention_ms;
    size_t trimmed = 0;
    LIST_EACH(item, &stream->shards) {
        struct shard *shard = LIST_ITEM(item, struct shard, in_stream);
        if (shard->end > 0 && shard->last_ms < horizon_ms)
            close_last(shard, now_ms);
        trimmed += shard_trim(shard, too_old, &horizon_ms);
    }
    count_trimmed(stream, trimmed);
    remove_closed(stream, horizon_ms);
}

static bool is_oldest(const struct shard *shard, const struct shard_segment *segment, void *data) {
    return segment == data;
}

/* Removes the one segment of the stream that ends earliest. False when every open shard has only its
 * last, and closed ones none. */
static bool trim_oldest(struct stream *stream) {
    struct shard *from = NULL;
    LIST_EACH(item, &stream->shards) {
        struct shard *shard = LIST_ITEM(item, struct shard, in_stream);
        size_t kept = shard_phase(shard) == SHARD_OPEN ? 1 : 0;
        if (shard->segment_count > kept &&
            (!from || shard->segments[0].last_ms < from->segments[0].last_ms))
            from = shard;
    }
    if (!from)
        return false;
    count_trimmed(stream, shard_trim(from, is_oldest, &from->segments[0]));
    return true;
}

void retention_trim_by_size(struct stream *stream) {
    if (stream->config.kind != STREAM_DATA || stream->config.bytes_max == 0)
        return;
    while (metric_get(&stream->metrics.disk_bytes) > stream->config.bytes_max &&
           trim_oldest(stream))
        ;
}

/* ---- delivery streams ---- */

static bool released(const struct shard *shard, const struct shard_segment *segment, void *data) {
    return segment[1].first <= shard->released;
}

void retention_release(struct stream *stream, unsigned index, uint64_t counter, uint64_t now_ms) {
    struct shard *shard = layout_shard(stream->layout, index);
    if (counter > shard->next)
        counter = shard->next;
    if (counter > shard->released)
        shard->released = counter;
    bool full = metric_get(&stream->metrics.full) != 0;
    if (shard->released == shard->next && (full || shard->end >= RELEASED_BYTES_MIN))
        close_last(shard, now_ms);
    count_trimmed(stream, shard_trim(shard, released, NULL));
    retention_bound(stream);
}

/* ---- all ---- */

static void trim_stream(struct stream *stream, uint64_t now_ms, uint64_t wall_ms) {
    if (stream->config.kind != STREAM_DATA)
        return;
    trim_by_age(stream, now_ms, wall_ms);
    retention_trim_by_size(stream);
}

void retention_run(struct stream_log *log, uint64_t now_ms, uint64_t wall_ms) {
    LIST_EACH(item, &log->streams) {
        struct stream *stream = LIST_ITEM(item, struct stream, in_log);
        if (!stream->leaving)
            trim_stream(stream, now_ms, wall_ms);
    }
}
