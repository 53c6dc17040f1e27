/* Which shard a record belongs to: partition keys, their MD5, and the shards' hash ranges. */
#ifndef STREAM_SHARD_MAP_H
#define STREAM_SHARD_MAP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash_key.h"
#include "base/str.h"

/* The MD5 of the key as a number, first byte highest. */
hash_key hash_key_of(struct str partition_key);

/* First and last key of shard `index` when a stream is made with `count` shards. */
void shard_map_even(unsigned index, unsigned count, hash_key *ret_start, hash_key *ret_end);

/* The open shards in the order of their ranges, which touch each other and cover all keys. */
struct shard_map {
    struct shard_map_range {
        hash_key start;
        unsigned shard;
    } * ranges;
    unsigned count;
};

unsigned shard_map_find(const struct shard_map *map, hash_key key);

/* Where keys that come again and again belong, without their MD5: sensors are few and speak often.
 * Zeroed is valid and empty; holds for one map; one thread's. */
enum { SHARD_CACHE_ENTRIES = 256, SHARD_CACHE_KEY_BYTES_MAX = 43 };

struct shard_cache {
    struct shard_cache_entry {
        unsigned shard;
        uint8_t key_bytes; /* 0: free */
        char key[SHARD_CACHE_KEY_BYTES_MAX];
    } entries[SHARD_CACHE_ENTRIES];
};

/* shard_map_find() for a partition key. */
unsigned shard_cache_find(struct shard_cache *cache, const struct shard_map *map,
                          struct str partition_key);

#endif
