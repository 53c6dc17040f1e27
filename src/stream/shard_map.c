/*
 * Kinesis maps a partition key to the MD5 of its UTF-8 bytes, read as a big-endian number of 128
 * bits; each open shard holds a range of these numbers (developer guide, "Partition key"; API
 * reference, HashKeyRange). The digest objects of OpenSSL are fetched once per thread, which is
 * most of the cost of a short digest.
 */
#include "stream/shard_map.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"

enum { MD5_BYTES = 16 };

struct digest {
    EVP_MD *md5;
    EVP_MD_CTX *context;
};

static pthread_key_t digest_key;
static pthread_once_t digest_once = PTHREAD_ONCE_INIT;

static void free_digest(void *data) {
    struct digest *digest = data;
    EVP_MD_CTX_free(digest->context);
    EVP_MD_free(digest->md5);
    free(digest);
}

static void make_digest_key(void) {
    int failed = pthread_key_create(&digest_key, free_digest);
    ASSERT(!failed);
}

static struct digest *thread_digest(void) {
    pthread_once(&digest_once, make_digest_key);
    struct digest *digest = pthread_getspecific(digest_key);
    if (digest)
        return digest;
    digest = xcalloc(1, sizeof *digest);
    digest->md5 = EVP_MD_fetch(NULL, "MD5", NULL);
    digest->context = EVP_MD_CTX_new();
    ASSERT(digest->md5 && digest->context);
    pthread_setspecific(digest_key, digest);
    return digest;
}

hash_key hash_key_of(struct str partition_key) {
    struct digest *digest = thread_digest();
    uint8_t sum[MD5_BYTES];
    int done = EVP_DigestInit_ex2(digest->context, digest->md5, NULL) &&
               EVP_DigestUpdate(digest->context, partition_key.at, partition_key.len) &&
               EVP_DigestFinal_ex(digest->context, sum, NULL);
    ASSERT(done);
    hash_key key = 0;
    for (int i = 0; i < MD5_BYTES; i++)
        key = key << 8 | sum[i];
    return key;
}

void shard_map_even(unsigned index, unsigned count, hash_key *ret_start, hash_key *ret_end) {
    *ret_start = hash_key_even(index, count);
    *ret_end = index == count - 1 ? ~(hash_key)0 : hash_key_even(index + 1, count) - 1;
}

unsigned shard_map_find(const struct shard_map *map, hash_key key) {
    unsigned low = 0, high = map->count;
    while (high - low > 1) {
        unsigned middle = low + (high - low) / 2;
        if (map->ranges[middle].start <= key)
            low = middle;
        else
            high = middle;
    }
    return map->ranges[low].shard;
}

unsigned shard_cache_find(struct shard_cache *cache, const struct shard_map *map,
                          struct str partition_key) {
    if (partition_key.len == 0 || partition_key.len > SHARD_CACHE_KEY_BYTES_MAX)
        return shard_map_find(map, hash_key_of(partition_key));
    struct shard_cache_entry *entry =
        &cache->entries[str_hash(partition_key) % SHARD_CACHE_ENTRIES];
    if (str_eq(str_from(entry->key, entry->key_bytes), partition_key))
        return entry->shard;
    entry->shard = shard_map_find(map, hash_key_of(partition_key));
    entry->key_bytes = (uint8_t)partition_key.len;
    memcpy(entry->key, partition_key.at, partition_key.len);
    return entry->shard;
}
