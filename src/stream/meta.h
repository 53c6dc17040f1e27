/* The small file that says what a stream is: stream.meta in its directory. Its format is told in
 * meta.c. */
#ifndef STREAM_META_H
#define STREAM_META_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "io/file.h"
#include "stream/shard_map.h"
#include "stream/stream.h"

enum { META_SHARDS_MAX = 10000, META_NO_PARENT = STREAM_NO_SHARD };

/* The end of a closed shard that was not written down: recovery tells it. */
#define META_END_UNKNOWN UINT64_MAX

enum meta_state {
    META_GONE,   /* its records are gone; nothing but its number is known */
    META_OPEN,   /* takes records */
    META_CLOSED, /* is only read */
};

struct meta_shard {
    enum meta_state state;
    hash_key start, end; /* inclusive */
    int parents[2]; /* shard numbers or META_NO_PARENT: made by a split (one) or a merge (both) */
    uint64_t opened_ms, closed_ms; /* 0: open */
    uint64_t end_counter;          /* of a closed shard: its records are below it */
};

/* In a stream's directory. */
#define META_FILE "stream.meta"

/* In the file and in metrics. */
enum { STREAM_KINDS = 5 };
extern const char *const meta_kind_names[STREAM_KINDS];

struct meta {
    enum stream_kind kind;
    uint64_t created_s;
    uint32_t seed; /* of the blocks' sums, see segment.c */
    int64_t retention_ms;
    bool compressed; /* there may be compressed blocks */
    bool deleting;   /* whoever opens it finishes the deletion */
    unsigned shard_count;
    struct meta_shard *shards;
};

void meta_done(struct meta *meta);

/* A new stream with `shard_count` open shards of equal ranges. */
void meta_make(struct meta *meta, enum stream_kind kind, unsigned shard_count);

struct meta meta_copy(const struct meta *meta);

/* CORRUPT when the text is no metadata file; UNSUPPORTED when a later version wrote it. */
int meta_parse(struct str text, struct meta *ret_meta, struct err *err);
void meta_write(const struct meta *meta, struct buf *out);

/* NOT_FOUND when there is none in the directory. */
int meta_load(const char *directory, struct meta *ret_meta, struct err *err);

/* Afterwards, whenever the power goes, either the old or the new file is there. */
int meta_save(const struct file_ops *file, const char *directory, const struct meta *meta,
              struct err *err);

/* The seed of one shard's blocks. */
uint32_t meta_shard_seed(const struct meta *meta, unsigned shard);

/* The open shards by range. The caller frees map->ranges. */
void meta_map(const struct meta *meta, struct shard_map *ret_map);

/* ---- resharding: errors as stream_split() and stream_merge() ---- */

int meta_check_split(const struct meta *meta, unsigned shard, hash_key key, struct err *err);
int meta_check_merge(const struct meta *meta, unsigned shard, unsigned adjacent, struct err *err);

/* What was checked before. The children come behind the last shard. */
void meta_split(struct meta *meta, unsigned shard, hash_key key, uint64_t now_ms);
void meta_merge(struct meta *meta, unsigned shard, unsigned adjacent, uint64_t now_ms);

/* Whether it still has the shards that it was made with. */
bool meta_is_original(const struct meta *meta);

#endif
