/*
 * Inside of the log of a data directory. What is marked [log] belongs to the log thread; the rest
 * is set before the loops run and only read afterwards.
 */
#ifndef STREAM_LOG_H
#define STREAM_LOG_H

#include "base/log.h"
#include "base/map.h"
#include "stream/meta.h"
#include "stream/shard.h"
#include "stream/stream.h"

enum { STREAM_KINDS = 2 };

struct stream_metrics {
    struct metric records, bytes, commits, failures, trimmed_segments, damaged, disk_bytes, full;
};

struct stream {
    struct stream_log *log;
    char *name, *directory;
    struct stream_config config;
    struct meta meta;
    struct shard_map map;
    struct shard *shards;
    struct stream_metrics metrics;  /* [log] */
    struct log_limit failure_limit; /* [log] */
    struct stream *next;            /* in log->streams */
};

struct stream_log {
    struct stream_log_config config;
    char *directory;
    int lock_fd;               /* holds the directory against a second process */
    struct loop_thread thread; /* without a loop in tests of the core: then the caller drives it */
    struct map by_name[STREAM_KINDS];
    struct stream *streams;

    struct batch *pending, **pending_end; /* [log] sealed batches that wait for a commit */
    struct turn_hook hook;                /* [log] */
    struct timer house, sync;             /* [log] retention and retries; STREAM_SYNC_INTERVAL */
    uint64_t trim_due_ms;                 /* [log] */
    struct metric syncs, sync_us, batches, sync_failures; /* [log] */
};

/* Below the data directory. */
extern const char *const stream_kind_directories[STREAM_KINDS];

/* Closes its shards. The log does not know it any more. */
void stream_free(struct stream *stream);

/* The log without its thread. */
int log_core_open(const struct stream_log_config *config, struct stream_log **ret_log,
                  struct err *err);
void log_core_close(struct stream_log *log);

/* Takes a sealed batch; it comes home by batch->home() from the next log_commit(). [log] */
void log_submit(struct stream_log *log, struct batch *batch);

/* Commits all that waits: one write per shard, one sync per file, then the batches go home. [log]
 */
void log_commit(struct stream_log *log, uint64_t now_ms);

/* A reader has come upon a damaged place. [any thread] */
void log_count_damage(struct stream *stream);

/* Syncs what STREAM_SYNC_INTERVAL has left unsynced. [log] */
void log_sync_all(struct stream_log *log, uint64_t now_ms);

/* ---- retention.c [log] ---- */

/* Removes what is too old or too much. */
void retention_run(struct stream_log *log, uint64_t now_ms, uint64_t wall_ms);
void retention_stream(struct stream *stream, uint64_t now_ms, uint64_t wall_ms);
void retention_release(struct stream *stream, unsigned shard, uint64_t counter, uint64_t now_ms);

/* Whether a delivery stream's bound is reached, told to its shards. */
void retention_bound(struct stream *stream);

/* The oldest segments of a data stream that is larger than its bound. */
void retention_trim_by_size(struct stream *stream);

/* The longest segment of a stream, so that what is removed is a small part of the whole. */
int64_t retention_segment_bytes(const struct stream_log_config *log,
                                const struct stream_config *stream);
uint64_t retention_segment_age_ms(const struct stream_config *stream);

/* ---- reader.c ---- */

/* Wakes the shard's readers that wait. [log] */
void readers_wake(struct shard *shard);

#endif
