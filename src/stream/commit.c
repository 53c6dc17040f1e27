/*
 * Group commit. While a sync is under way, sealed batches queue up in the log thread's mailbox; at
 * the end of its next turn all of them are committed together, so that the more is asked of the
 * disk, the more records share one sync. It has no knob and adds no delay: a batch that comes alone
 * is written at once.
 *
 *      gather    the chunks of all waiting batches, per shard, in the order in which they came
 *      write     one writev per shard
 *      sync      one fdatasync per file that was written (sync: always)
 *      commit    positions move; or abort: this shard's part of the batches is undone
 *      report    batches go home with their status, readers are woken
 *      prepare   space is made ready for the next writes, what is beyond a bound goes
 *
 * A batch may hold records of several shards. If one of these cannot be written the batch fails as
 * a whole to its producer although the other shards have their part: the producer does not
 * acknowledge, its client sends again, and the stream has some records twice. Nothing is ever
 * acknowledged that is not kept.
 */
#include "base/clock.h"
#include "base/log.h"
#include "stream/log.h"

enum { FAILURE_LOG_MS = 5000 };

void log_submit(struct stream_log *log, struct batch *batch) {
    batch->next = NULL;
    struct batch ***end =
        batch->producer && batch->producer->confirmed ? &log->held_end : &log->pending_end;
    **end = batch;
    *end = &batch->next;
}

static void gather(struct batch *batches, struct link *dirty) {
    for (struct batch *batch = batches; batch; batch = batch->next)
        for (struct chunk *chunk = batch->chunks; chunk; chunk = chunk->next) {
            struct shard *shard = chunk->shard;
            if (!shard_has_write(shard))
                list_push_back(dirty, &shard->write.dirty);
            shard_add(shard, chunk);
        }
}

static struct shard *dirty_shard(struct link *item) {
    return LIST_ITEM(item, struct shard, write.dirty);
}

static void sync_written(struct stream_log *log, struct link *dirty) {
    uint64_t begin_ns = clock_mono_ns();
    LIST_EACH(item, dirty) {
        struct shard *shard = dirty_shard(item);
        if (shard->write.status)
            continue;
        shard->write.status = shard_sync(shard);
        metric_add(&log->syncs, 1);
    }
    metric_add(&log->sync_us, (int64_t)((clock_mono_ns() - begin_ns) / 1000));
}

static void settle(struct shard *shard, uint64_t now_ms) {
    struct stream *stream = shard->owner;
    int status = shard->write.status;
    if (status) {
        unsigned missed;
        if (!shard->failed && log_limit_pass(&stream->failure_limit, FAILURE_LOG_MS, &missed))
            log_error("stream", "%s: %lld bytes could not be written: %s (%u more like this)",
                      shard->label, (long long)shard->write.bytes, err_text(status), missed);
        shard_abort(shard, status, now_ms);
        metric_add(&stream->metrics.failures, 1);
        return;
    }
    metric_add(&stream->metrics.records, (int64_t)(shard->write.next - shard->next));
    metric_add(&stream->metrics.bytes, shard->write.bytes);
    metric_add(&stream->metrics.commits, 1);
    metric_add(&stream->metrics.disk_bytes, shard->write.bytes);
    shard_commit(shard);
    retention_bound(stream);
}

/* The batch is the producer's again once `home` was called. */
static void report(struct stream_log *log, struct batch *batch) {
    while (batch) {
        struct batch *next = batch->next;
        batch->status = 0;
        for (struct chunk *chunk = batch->chunks; chunk; chunk = chunk->next)
            if ((chunk->status = chunk->shard->write.status))
                batch->status = chunk->status;
        metric_add(&log->batches, 1);
        batch->home(batch);
        batch = next;
    }
}

/* What the next commits profit from and no producer has to wait for. */
static void prepare(struct shard *shard, uint64_t now_ms) {
    retention_trim_by_size(shard->owner);
    int status = shard_make_ready(shard);
    if (status == 0)
        return;
    log_error("stream", "%s: no space could be made ready: %s", shard->label, err_text(status));
    shard_abort(shard, status, now_ms);
}

/* As many shards at a time as may have a descriptor. */
static void write_all(struct stream_log *log, struct link *dirty, struct link *written) {
    struct link group;
    list_init(&group);
    while (!list_empty(dirty)) {
        for (unsigned i = 0; i < log->files.count_max && !list_empty(dirty); i++) {
            struct link *item = list_pop_front(dirty);
            dirty_shard(item)->write.status = shard_write(dirty_shard(item));
            list_push_back(&group, item);
        }
        if (log->config.sync == STREAM_SYNC_ALWAYS)
            sync_written(log, &group);
        shard_files_trim(&log->files);
        while (!list_empty(&group))
            list_push_back(written, list_pop_front(&group));
    }
}

static void commit_pending(struct stream_log *log, uint64_t now_ms) {
    struct batch *batches = log->pending;
    if (!batches)
        return;
    log->pending = NULL;
    log->pending_end = &log->pending;
    struct link waiting, dirty;
    list_init(&waiting);
    list_init(&dirty);
    gather(batches, &waiting);
    write_all(log, &waiting, &dirty);
    LIST_EACH(item, &dirty) {
        settle(dirty_shard(item), now_ms);
    }
    report(log, batches);
    LIST_EACH(item, &dirty) {
        readers_wake(dirty_shard(item));
    }
    LIST_EACH(item, &dirty) {
        prepare(dirty_shard(item), now_ms);
    }
    LIST_EACH(item, &dirty) {
        list_remove(item);
    }
}

void log_commit(struct stream_log *log, uint64_t now_ms) {
    do
        commit_pending(log, now_ms);
    while (change_advance(log, now_ms));
}

static void sync_shard(struct stream_log *log, struct shard *shard, uint64_t now_ms) {
    if (!shard->unsynced)
        return;
    int status = shard_sync(shard);
    metric_add(&log->syncs, 1);
    if (status == 0)
        return;
    log_error("stream", "%s: acknowledged records may be lost: sync failed: %s", shard->label,
              err_text(status));
    metric_add(&log->sync_failures, 1);
    shard_abort(shard, ERR_IO, now_ms);
}

void log_sync_all(struct stream_log *log, uint64_t now_ms) {
    LIST_EACH(item, &log->streams) {
        struct stream *stream = LIST_ITEM(item, struct stream, in_log);
        LIST_EACH(shard, &stream->shards) {
            sync_shard(log, LIST_ITEM(shard, struct shard, in_stream), now_ms);
        }
    }
}
