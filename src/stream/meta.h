/* The small file that says what a stream is: stream.meta in its directory. Its format is told in
 * meta.c. */
#ifndef STREAM_META_H
#define STREAM_META_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "stream/shard_map.h"
#include "stream/stream.h"

enum { META_SHARDS_MAX = 10000, META_NO_PARENT = -1 };

struct meta_shard {
    hash_key start, end; /* inclusive */
    int parents[2]; /* shard numbers or META_NO_PARENT: made by a split (one) or a merge (both) */
    bool open;      /* takes records; a closed one is only read */
};

struct meta {
    enum stream_kind kind;
    uint64_t created_s;
    uint32_t seed; /* of the blocks' sums, see segment.c */
    unsigned shard_count;
    struct meta_shard *shards;
};

void meta_done(struct meta *meta);

/* A new stream with `shard_count` open shards of equal ranges. */
void meta_make(struct meta *meta, enum stream_kind kind, unsigned shard_count);

/* CORRUPT when the text is no metadata file; UNSUPPORTED when a later version wrote it. */
int meta_parse(struct str text, struct meta *ret_meta, struct err *err);
void meta_write(const struct meta *meta, struct buf *out);

/* NOT_FOUND when there is none in the directory. */
int meta_load(const char *directory, struct meta *ret_meta, struct err *err);
int meta_save(const char *directory, const struct meta *meta, struct err *err);

/* The seed of one shard's blocks. */
uint32_t meta_shard_seed(const struct meta *meta, unsigned shard);

/* The open shards by range. The caller frees map->ranges. */
void meta_map(const struct meta *meta, struct shard_map *ret_map);

#endif
