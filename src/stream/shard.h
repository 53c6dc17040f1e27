/*
 * One shard on disk: its segments, and the state of appending to the last of them. Everything but
 * what is published (`tip`, `oldest`, `refusal`, `phase`) belongs to the log thread. No loop and no
 * thread in here: the log drives it. The essay is in shard.c.
 */
#ifndef STREAM_SHARD_H
#define STREAM_SHARD_H

#include <stdatomic.h>

#include "base/metric.h"
#include "io/file.h"
#include "stream/pack.h"
#include "stream/segment_files.h"
#include "stream/staging.h"

/* Where the committed records end. */
struct shard_tip {
    uint64_t counter;       /* of the next record */
    uint64_t segment_first; /* name of the last segment */
    int64_t segment_end;    /* of its committed bytes */
};

/* The tip as the log thread publishes it: written by one thread, read by any, without a lock. An
 * odd version means that it is being written. */
struct shard_tip_cell {
    _Atomic uint64_t version, counter, segment_first;
    _Atomic int64_t segment_end;
};

enum shard_phase {
    SHARD_OPEN,
    SHARD_CLOSED,  /* split or merged: the tip is its end */
    SHARD_GONE,    /* closed, and retention has removed all of it */
    SHARD_DELETED, /* with its stream */
};

struct shard_segment {
    uint64_t first;
    int64_t bytes;
    uint64_t first_ms, last_ms; /* arrivals; 0: no record */
};

/* The descriptors that all shards of a log have open for writing, least recently used first. Shards that
 * have been idle for longest give theirs back when there are more than count_max. */
struct shard_files {
    struct link open; /* struct shard, in_files */
    unsigned count, count_max;
    bool defers_sync;     /* recovery leaves to somebody else what it has to make durable: */
    struct link unsynced; /* struct shard, in_unsynced */
};

struct shard_config {
    const struct file_ops *file;
    struct shard_files *files; /* NULL: nobody counts */
    int64_t segment_bytes_max;
    /* between the arrivals of a segment's first and last record; 0: any */
    uint64_t segment_age_ms_max;
    int compression_level; /* 0: blocks are written as they were staged */
    struct packer *packer; /* the log's; only used with a level */
    bool sync;             /* a commit is synced; else synced_counter follows shard_sync() only */
};

struct shard {
    struct shard_config config;
    char *directory;
    char *label; /* "sensors/shardId-000000000000", for the log */
    uint32_t seed;
    unsigned index;
    void *owner;           /* struct stream */
    struct link in_stream; /* in the stream's list of shards */
    struct link in_files, in_unsynced;
    uint64_t limit; /* a closed shard is known to have no records from here on; else
                              UINT64_MAX */

    /* ascending; the last one is appended to. None: no record was ever written */
    struct shard_segment *segments;
    size_t segment_count, segment_cap;
    int fd; /* of the last segment, -1: not open */

    uint64_t next, synced; /* counters: committed, and known to be on disk */
    int64_t end,
        made; /* of the last segment: committed bytes; bytes for which space was made ready */
    int64_t make_step;
    uint64_t last_ms;
    bool unsynced;    /* the last segment has committed bytes that were not synced */
    bool must_roll;   /* the next write begins a new segment */
    bool make_failed; /* no space could be made ready in this segment */
    size_t index_count;
    int64_t index_offset; /* where the last index entry points */
    int64_t last_write_bytes;

    /* The write under way: in force once it is committed. */
    struct {
        struct chunk *first, *last;
        struct link dirty; /* in the log's list of shards with a write */
        int status;
        int64_t bytes, end;
        int64_t saved_bytes; /* by compression */
        uint64_t next, first_ms, last_ms;
        struct segment_index_entry index;
        bool has_index;
    } write;

    bool failed;          /* cannot be written at present */
    bool full;            /* STREAM_DELIVERY: the stream's bound is reached; set by the log */
    uint64_t retry_at_ms; /* monotonic: when to try again */
    uint64_t released;    /* STREAM_DELIVERY: records below it are done with */
    uint64_t damaged;     /* places that recovery and repair found damaged */
    uint64_t damaged_records;

    struct shard_tip_cell tip;
    _Atomic uint64_t oldest; /* first counter that is kept; `next` if there is none */
    _Atomic int phase;       /* set after the last change of the tip */
    _Atomic int refusal;     /* 0, NO_SPACE, IO: pushes are refused with it */
    struct link readers;     /* log thread: struct subscription */
    struct metric next_counter;
};

enum { SHARD_RETRY_MS = 1000 };

void shard_init(struct shard *shard, const struct shard_config *config, char *directory,
                char *label, uint32_t seed, unsigned index);

/* Closes the last segment (cut to its length if there is much behind it) and frees what the shard
 * holds. */
void shard_done(struct shard *shard);

/* Closes descriptors until no more than count_max are open. What was written is synced, or will be
 * through another one. */
void shard_files_trim(struct shard_files *files);

/* Makes durable what recovery has found: 0 or IO. */
int shard_sync_recovered(struct shard *shard);

/* Reads what is on disk, see recovery.c. Fails only if the system does. */
int shard_recover(struct shard *shard, struct err *err);

/* ---- one commit: add chunks, write, (sync), then commit or abort ---- */

/* Compresses the chunk's block, if the shard does that. */
void shard_add(struct shard *shard, struct chunk *chunk);
bool shard_has_write(const struct shard *shard);

/* Numbers the blocks and writes them. 0, NO_SPACE, IO. */
int shard_write(struct shard *shard);
int shard_sync(struct shard *shard);

/* The write is in force, readers may have it. */
void shard_commit(struct shard *shard);

/* The write has failed with `status`: nothing of it stays. `now_ms` is monotonic. */
void shard_abort(struct shard *shard, int status, uint64_t now_ms);

/* Makes space ready for later writes, if there is little left; after a commit has been reported. 0
 * or IO: abort then. */
int shard_make_ready(struct shard *shard);

/* A failed shard whose time has come is tried again. */
void shard_retry(struct shard *shard, uint64_t now_ms);

void shard_set_full(struct shard *shard, bool full);

/* Begins a new segment now, if the last one has records. 0, NO_SPACE, IO: abort then. */
int shard_roll(struct shard *shard);

/* No record comes any more: what was committed is made durable, and it is all there will ever be. If
 * that fails it is tried again as after a failed write. */
void shard_close(struct shard *shard, uint64_t now_ms);

/* Its files are about to be removed: readers hear CLOSED. */
void shard_retire(struct shard *shard, enum shard_phase phase);

/* [any thread] */
static inline enum shard_phase shard_phase(const struct shard *shard) {
    return atomic_load(&shard->phase);
}

/* Removes whole segments from the front while `over` says so; never the last, unless the shard is
 * closed. Returns how many. */
size_t shard_trim(struct shard *shard,
                  bool (*over)(const struct shard *shard, const struct shard_segment *segment,
                               void *data),
                  void *data);

int64_t shard_bytes(const struct shard *shard);

/* Recovery: appends to the list of segments; publishes where the records end. */
void shard_add_segment(struct shard *shard, const struct shard_segment *segment);
void shard_publish(struct shard *shard);

/* [any thread] */
struct shard_tip shard_tip_get(const struct shard *shard);

#endif
