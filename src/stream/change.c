/*
 * Changes of streams while they run: the log thread's side. One change at a time per log, the others
 * wait in a row.
 *
 *      begin      what the stream is to be is written to its metadata. This is the moment that
 *                 counts: after a crash the old or the new state is there, and both are whole. If it
 *                 fails nothing has happened.
 *      tell       each producer gets the news by message: it seals what it has staged, sends that
 *                 off, goes by the new layout from then on, and confirms
 *      confirm    messages of one sender arrive in order, so what a producer submits before it
 *                 confirms knows only the old layout, what it submits afterwards may have records
 *                 for the new shards; the latter is held back
 *      finish     all have confirmed, and what they had submitted before is committed: the parents
 *                 have their last record. They are made durable and closed, their ends written
 *                 down; then what was held back goes on
 *
 * So no record of a child is committed before its parents are complete, whichever writer it comes
 * from, and a partition key's records keep their order across the two. A crash between begin and
 * finish leaves closed parents whose end is not written down: it is where their records end on disk
 * (nobody can add to them any more), and the children are empty.
 *
 * A deletion runs the same way: first the metadata says `deleting`, which a start takes for an order
 * to go on with it; when no producer knows the stream any more its files go. What is pending or held
 * never refers to a shard that has gone.
 *
 * Writers pause for the time that the slowest loop needs for its turn. What they stage meanwhile is
 * bounded as ever (staging_bytes_max).
 */
#include "base/clock.h"
#include "stream/log.h"

/* ---- producers ---- */

static void tell(struct stream_log *log, struct log_producer *producer, enum log_news_kind kind,
                 struct stream *stream, bool confirm) {
    struct log_news news = {kind, stream, layout_ref(stream->layout), confirm};
    if (confirm) {
        producer->confirmed = false;
        log->unconfirmed++;
    }
    producer->tell(producer, &news);
}

static void tell_all(struct stream_log *log, enum log_news_kind kind, struct stream *stream,
                     bool confirm) {
    LIST_EACH(item, &log->producers) {
        tell(log, LIST_ITEM(item, struct log_producer, link), kind, stream, confirm);
    }
}

void log_tell_added(struct stream_log *log, struct stream *stream) {
    tell_all(log, NEWS_ADDED, stream, false);
}

/* The producer begins with the present layouts, and so has nothing to confirm. */
void log_attach(struct stream_log *log, struct log_producer *producer) {
    list_push_back(&log->producers, &producer->link);
    producer->confirmed = log->change != NULL;
}

void log_detach(struct stream_log *log, struct log_producer *producer) {
    list_remove(&producer->link);
    if (log->change && !producer->confirmed)
        log->unconfirmed--;
}

void log_confirm(struct stream_log *log, struct log_producer *producer) {
    ASSERT(log->change && !producer->confirmed && log->unconfirmed);
    producer->confirmed = true;
    log->unconfirmed--;
}

static void release_held(struct stream_log *log) {
    LIST_EACH(item, &log->producers) {
        LIST_ITEM(item, struct log_producer, link)->confirmed = false;
    }
    *log->pending_end = log->held;
    if (log->held)
        log->pending_end = log->held_end;
    log->held = NULL;
    log->held_end = &log->held;
}

/* ---- begin ---- */

/* Writes the metadata that is to be. A failure may have come too late, with the new file in place
 * but not known to be durable: the old one is put back as well as can be. A crash then finds one of
 * them, and either is true. */
static int save(struct stream *stream, const struct meta *meta) {
    const struct file_ops *file = stream->log->config.file;
    struct err err;
    int status = meta_save(file, stream->directory, meta, &err);
    if (status == 0)
        return 0;
    log_error("stream", "%s", err.text);
    meta_save(file, stream->directory, &stream->layout->meta, NULL);
    return status == ERR_NO_SPACE ? status : ERR_IO;
}

static int begin_create(struct change *change) {
    struct stream *stream = change->stream;
    struct err err;
    int status = stream_make(stream, &err);
    if (status) {
        log_error("stream", "%s", err.text);
        return status == ERR_NO_SPACE ? status : ERR_IO;
    }
    for (unsigned i = 0; i < stream->layout->meta.shard_count; i++)
        shard_publish(stream_add_shard(stream, i));
    stream_init_metrics(stream);
    list_push_back(&stream->log->streams, &stream->in_log);
    tell_all(stream->log, NEWS_ADDED, stream, true);
    return 0;
}

static int begin_delete(struct change *change) {
    struct stream *stream = change->stream;
    struct meta meta = meta_copy(&stream->layout->meta);
    meta.deleting = true;
    int status = save(stream, &meta);
    meta_done(&meta);
    if (status)
        return status;
    stream->leaving = true;
    tell_all(stream->log, NEWS_DELETED, stream, true);
    return 0;
}

static int begin_reshard(struct change *change) {
    struct stream *stream = change->stream;
    struct meta meta = meta_copy(&stream->layout->meta);
    unsigned first_child = meta.shard_count;
    if (change->kind == CHANGE_SPLIT)
        meta_split(&meta, change->shard, change->key, clock_wall_ms());
    else
        meta_merge(&meta, change->shard, change->adjacent, clock_wall_ms());
    int status = save(stream, &meta);
    if (status == 0) {
        stream_set_layout(stream, layout_new(&meta, stream->layout));
        for (unsigned i = first_child; i < stream->layout->meta.shard_count; i++)
            shard_publish(stream_add_shard(stream, i));
        tell_all(stream->log, NEWS_RESHAPED, stream, true);
    }
    meta_done(&meta);
    return status;
}

static int begin_retention(struct change *change) {
    struct stream *stream = change->stream;
    struct meta meta = meta_copy(&stream->layout->meta);
    meta.retention_ms = change->retention_ms;
    int status = save(stream, &meta);
    if (status == 0) {
        stream_set_layout(stream, layout_new(&meta, stream->layout));
        stream->config.retention_ms = change->retention_ms;
        uint64_t age_ms = retention_segment_age_ms(&stream->config);
        LIST_EACH(item, &stream->shards) {
            LIST_ITEM(item, struct shard, in_stream)->config.segment_age_ms_max = age_ms;
        }
    }
    meta_done(&meta);
    return status;
}

static int begin(struct change *change) {
    switch (change->kind) {
    case CHANGE_CREATE:
        return begin_create(change);
    case CHANGE_DELETE:
        return begin_delete(change);
    case CHANGE_SPLIT:
    case CHANGE_MERGE:
        return begin_reshard(change);
    case CHANGE_RETENTION:
        return begin_retention(change);
    }
    return ERR_INVALID;
}

/* ---- finish ---- */

static void close_parent(struct stream *stream, struct meta *meta, unsigned number,
                         uint64_t now_ms) {
    struct shard *shard = stream->layout->shards[number];
    shard_close(shard, now_ms);
    meta->shards[number].end_counter = shard->next;
}

/* If the ends cannot be written the next change of the stream does it; until then they are known
 * from what is on disk. */
static void finish_reshard(struct change *change, uint64_t now_ms) {
    struct stream *stream = change->stream;
    struct meta meta = meta_copy(&stream->layout->meta);
    struct err err;
    close_parent(stream, &meta, change->shard, now_ms);
    if (change->kind == CHANGE_MERGE)
        close_parent(stream, &meta, change->adjacent, now_ms);
    if (meta_save(stream->log->config.file, stream->directory, &meta, &err))
        log_warn("stream", "%s", err.text);
    stream_set_layout(stream, layout_new(&meta, stream->layout));
}

static void forget_stream(struct stream *stream) {
    LIST_EACH(item, &stream->shards) {
        shard_retire(LIST_ITEM(item, struct shard, in_stream), SHARD_DELETED);
    }
    list_remove(&stream->in_log);
    list_push_back(&stream->log->deleted, &stream->in_log);
    stream_note_deleted(stream, clock_wall_ms() / 1000);
    stream_done_metrics(stream);
}

static void wake_readers(struct stream *stream) {
    LIST_EACH(item, &stream->shards) {
        struct shard *shard = LIST_ITEM(item, struct shard, in_stream);
        if (shard_phase(shard) != SHARD_OPEN)
            readers_wake(shard);
    }
}

/* The news comes home before the readers' wake and before the batches: who hears of the end of a
 * shard, or of a record in a new one, on the same loop knows of the change. */
static void go_home(struct change *change, int status) {
    struct stream *stream = change->stream;
    bool wakes = status == 0 && change->kind != CHANGE_CREATE && change->kind != CHANGE_RETENTION;
    change->status = status;
    if (status == 0)
        change->layout = layout_ref(stream->layout);
    change->home(change);
    if (wakes)
        wake_readers(stream);
}

/* On a pool thread: many large files take their time. Nobody else touches them any more. */
static void remove_files(struct work *work) {
    struct stream *stream = CONTAINER_OF(work, struct change, work)->stream;
    if (stream_remove_files(stream))
        log_warn("stream", "%s: cannot be removed; the next start tries again", stream->directory);
}

static void on_files_removed(struct work *work) {
    go_home(CONTAINER_OF(work, struct change, work), 0);
}

static void finish_delete(struct stream_log *log, struct change *change) {
    forget_stream(change->stream);
    if (log->thread.loop) {
        loop_work(log->thread.loop, &change->work, remove_files, on_files_removed);
    } else {
        remove_files(&change->work);
        on_files_removed(&change->work);
    }
}

static void finish(struct stream_log *log, uint64_t now_ms) {
    struct change *change = log->change;
    log->change = NULL;
    list_remove(&change->link);
    if (change->kind == CHANGE_DELETE) {
        finish_delete(log, change);
    } else {
        if (change->kind == CHANGE_SPLIT || change->kind == CHANGE_MERGE)
            finish_reshard(change, now_ms);
        go_home(change, 0);
    }
    release_held(log);
}

/* ---- one after the other ---- */

void log_change(struct stream_log *log, struct change *change) {
    list_push_back(&log->changes, &change->link);
}

bool change_advance(struct stream_log *log, uint64_t now_ms) {
    if (log->change && log->unconfirmed)
        return false;
    if (log->change) {
        finish(log, now_ms);
        return true;
    }
    if (list_empty(&log->changes))
        return false;
    struct change *change = LIST_ITEM(log->changes.next, struct change, link);
    log->change = change;
    int status = begin(change);
    if (status) {
        log->change = NULL;
        list_remove(&change->link);
        go_home(change, status);
    }
    return true;
}
