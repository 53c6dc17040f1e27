/*
 * Inside of the log of a data directory. What is marked [log] belongs to the log thread, [service]
 * to the loop that changes streams; the rest is set before the loops run and only read afterwards.
 */
#ifndef STREAM_LOG_H
#define STREAM_LOG_H

#include "base/log.h"
#include "base/map.h"
#include "stream/engine.h"
#include "stream/layout.h"
#include "stream/shard.h"
#include "stream/stream.h"

struct stream_metrics {
    struct metric records, bytes, commits, failures, trimmed_segments, damaged, damaged_records,
        disk_bytes, full, open_shards, saved_bytes;
};

struct stream {
    struct stream_log *log;
    char *name, *directory;
    uint64_t created_s;
    struct stream_config config; /* [log] retention_ms; the rest is constant */
    const struct engine_ops *ops;
    struct stream_engine *engine; /* NULL: the log itself */

    struct layout *layout; /* [log] */
    struct link shards;    /* [log] struct shard: all that have, or may get, files */
    struct link gone;      /* [log] struct shard: the others, kept for those who still know them */
    struct stream_metrics metrics;  /* [log] */
    struct log_limit failure_limit; /* [log] */
    bool leaving;                   /* [log] is being deleted, or was */
    struct link in_log;             /* [log] in log->streams or log->deleted */

    struct {
        struct layout *layout;
        int64_t retention_ms;
        bool changing, deleted;
    } seen; /* [service] */

    _Atomic unsigned references; /* the log's own until it is deleted, readers', callers' */
    struct task last_unref;      /* to the log thread, where it is freed */
};

/* A stream that was deleted a moment ago: the next one of its name gets another creation time. */
struct log_deleted {
    struct link link;
    uint64_t created_s;
    char name[];
};

struct stream_log {
    struct stream_log_config config;
    char *directory;
    int lock_fd;                /* holds the directory against a second process */
    struct loop_thread engines; /* without a loop until a stream has an engine of its own */
    struct link engine_list;    /* struct stream_engine */
    struct timer give_up_timer; /* the engine thread's */
    unsigned give_up_ms;
    struct loop_thread thread; /* without a loop in tests of the core: then the caller drives it */
    struct map by_name[STREAM_KINDS]; /* [service] */
    struct link under_way;            /* [service] struct change */
    struct link streams, deleted;     /* [log] deleted: those that somebody still holds */
    struct link names;                /* [log] struct log_deleted */

    struct batch *pending, **pending_end; /* [log] sealed batches that wait for a commit */
    struct batch *held, **held_end;       /* [log] those that wait for a change to be finished */
    struct link producers;                /* [log] */
    struct link changes;                  /* [log] the first one is `change` */
    struct change *change;                /* [log] begun and not finished */
    unsigned unconfirmed;                 /* [log] producers that have not confirmed it */
    struct turn_hook hook;                /* [log] */
    struct shard_files files;             /* [log] */
    struct packer packer;                 /* [log] */
    struct timer house, sync;             /* [log] retention and retries; STREAM_SYNC_INTERVAL */
    uint64_t trim_due_ms;                 /* [log] */
    struct metric syncs, sync_us, batches, sync_failures; /* [log] */
};

/* Below the data directory. */
extern const char *const stream_kind_directories[STREAM_KINDS];

/* Makes what stream_open() and stream_create() begin with; nothing is read or written. */
struct stream *stream_new(struct stream_log *log, const struct stream_config *config);

/* INVALID, EXISTS. [service] */
int stream_config_check(struct stream_log *log, const struct stream_config *config,
                        struct err *err);

/* Puts a new stream on the disk. [log], or main */
int stream_make(struct stream *stream, struct err *err);

/* A shard of stream->layout that is not there yet: by its line in the metadata. [log], or main */
struct shard *stream_add_shard(struct stream *stream, unsigned number);

/* The stream's layout is another one from now on. Takes the reference. [log] */
void stream_set_layout(struct stream *stream, struct layout *layout);

/* Remembers when it had been made, for the next one of its name. [log] */
void stream_note_deleted(struct stream *stream, uint64_t now_s);

/* Removes what is on disk, metadata last. */
int stream_remove_files(struct stream *stream);

/* Makes it known to the log, to stream_find() and to writers. [main] */
void stream_add(struct stream *stream);

void stream_init_metrics(struct stream *stream);
void stream_done_metrics(struct stream *stream);

/* Closes its shards. The log does not know it any more. */
void stream_free(struct stream *stream);

/* What recovery has left to be made durable (stream_log_config.defers_sync). [main] */
int log_sync_recovered(struct stream_log *log, struct err *err);

/* The log without its thread; without a directory (NULL) it has streams of other engines only. */
int log_core_open(const struct stream_log_config *config, struct stream_log **ret_log,
                  struct err *err);
void log_core_close(struct stream_log *log);

/* ---- change.c [log] ---- */

/* What a producer is told. It takes a reference on the layout along. */
enum log_news_kind { NEWS_ADDED, NEWS_RESHAPED, NEWS_DELETED };
struct log_news {
    enum log_news_kind kind;
    struct stream *stream;
    struct layout *layout;
    bool confirm; /* log_confirm() is awaited */
};

/* Someone who submits batches and must know which shards there are. */
struct log_producer {
    struct link link;
    bool confirmed; /* the change under way */
    void (*tell)(struct log_producer *producer, const struct log_news *news);
};

/* From now on the producer is told of changes; the streams that there are it finds itself. */
void log_attach(struct stream_log *log, struct log_producer *producer);
void log_detach(struct stream_log *log, struct log_producer *producer);

/* What the producer submits from now on knows of the change. */
void log_confirm(struct stream_log *log, struct log_producer *producer);

/* A stream was opened while producers are there. */
void log_tell_added(struct stream_log *log, struct stream *stream);

enum change_kind { CHANGE_CREATE, CHANGE_DELETE, CHANGE_SPLIT, CHANGE_MERGE, CHANGE_RETENTION };

struct change {
    struct link link; /* [log] in log->changes */
    enum change_kind kind;
    struct stream *stream;
    unsigned shard, adjacent;
    hash_key key;
    int64_t retention_ms;
    int status;            /* when it comes home */
    struct layout *layout; /* when it comes home: for stream->seen; NULL: no other */
    void (*home)(struct change *change);

    struct work work;      /* [log] removing files */
    struct task task;      /* to the log thread and home */
    struct link under_way; /* [service] */
    struct loop *loop;     /* [service] from here on */
    stream_change_cb *done;
    void *data;
};

/* It comes home by change->home() from a later log_commit(). */
void log_change(struct stream_log *log, struct change *change);

/* Goes on with the change under way, or begins the next one. False: nothing to do at present; else
 * what is pending is to be committed before the next call. */
bool change_advance(struct stream_log *log, uint64_t now_ms);

/* ---- commit.c ---- */

/* Takes a sealed batch; it comes home by batch->home() from the next log_commit(). [log] */
void log_submit(struct stream_log *log, struct batch *batch);

/* Commits all that waits: one write per shard, one sync per file, then the batches go home; changes
 * go on. [log] */
void log_commit(struct stream_log *log, uint64_t now_ms);

/* A reader has come upon a damaged place that takes `records` with it. [any thread] */
void log_count_damage(struct stream *stream, uint64_t records);

/* Syncs what STREAM_SYNC_INTERVAL has left unsynced. [log] */
void log_sync_all(struct stream_log *log, uint64_t now_ms);

/* ---- retention.c [log] ---- */

/* Removes what is too old or too much. */
void retention_run(struct stream_log *log, uint64_t now_ms, uint64_t wall_ms);
void retention_release(struct stream *stream, unsigned shard, uint64_t counter, uint64_t now_ms);

/* Whether a delivery stream's bound is reached, told to its shards. */
void retention_bound(struct stream *stream);

/* The oldest segments of a data stream that is larger than its bound. */
void retention_trim_by_size(struct stream *stream);

/* The longest segment of a stream, so that what is removed is a small part of the whole. */
int64_t retention_segment_bytes(const struct stream_log_config *log,
                                const struct stream_config *stream);
uint64_t retention_segment_age_ms(const struct stream_config *stream);

/* ---- view.c ---- */

/* stream_view_list() for any kind. */
int view_list_kind(const char *directory, enum stream_kind kind,
                   void (*each)(void *data, const char *name), void *data, struct err *err);

/* ---- writer.c ---- */

/* The writer's sink of a stream that is there. [owner] */
struct sink *stream_writer_sink(struct stream_writer *writer, const struct stream *stream);

/* ---- reader.c ---- */

/* Wakes the shard's readers that wait. [log] */
void readers_wake(struct shard *shard);

#endif
