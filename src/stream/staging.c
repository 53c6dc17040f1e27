#include "stream/staging.h"

#include <stdlib.h>

#include "base/mem.h"

static struct chunk *chunk_new(size_t block_bytes) {
    struct chunk *chunk = xmalloc(sizeof *chunk + block_bytes);
    chunk->cap = block_bytes;
    return chunk;
}

/* NULL: chunks of this size are not kept. */
static struct chunk **list_for(struct chunk_pool *pool, size_t cap) {
    switch (cap) {
    case CHUNK_SMALL_BYTES:
        return &pool->free_small;
    case CHUNK_LARGE_BYTES:
        return &pool->free_large;
    case CHUNK_HUGE_BYTES:
        return &pool->free_huge;
    default:
        return NULL;
    }
}

static void give(struct chunk_pool *pool, struct chunk *chunk) {
    struct chunk **list = list_for(pool, chunk->cap);
    if (!list || pool->free_bytes + chunk->cap > pool->free_bytes_max) {
        free(chunk);
        return;
    }
    chunk->next = *list;
    *list = chunk;
    pool->free_bytes += chunk->cap;
}

static struct chunk *chunk_take(struct chunk_pool *pool, size_t block_bytes) {
    struct chunk **list = list_for(pool, block_bytes);
    struct chunk *chunk = list ? *list : NULL;
    if (!chunk)
        return chunk_new(block_bytes);
    *list = chunk->next;
    pool->free_bytes -= chunk->cap;
    return chunk;
}

static void free_list(struct chunk *chunk) {
    while (chunk) {
        struct chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
}

void chunk_pool_done(struct chunk_pool *pool) {
    free_list(pool->free_small);
    free_list(pool->free_large);
    free_list(pool->free_huge);
    pool->free_small = pool->free_large = pool->free_huge = NULL;
    pool->free_bytes = 0;
}

struct chunk *stage_grow(struct stage *stage, struct chunk_pool *pool, size_t record_bytes,
                         uint64_t now_ms) {
    size_t need = segment_padded(SEGMENT_BLOCK_HEADER_BYTES + record_bytes);
    bool small = !stage->last && !stage->busy && need <= CHUNK_SMALL_BYTES;
    size_t cap = small ? CHUNK_SMALL_BYTES : CHUNK_LARGE_BYTES;
    if (need > cap)
        cap = need > CHUNK_HUGE_BYTES ? need : CHUNK_HUGE_BYTES;
    struct chunk *chunk = chunk_take(pool, cap);
    chunk->next = NULL;
    chunk->shard = stage->shard;
    chunk->used = SEGMENT_BLOCK_HEADER_BYTES;
    chunk->count = 0;
    chunk->base_ms = now_ms;
    if (stage->last)
        stage->last->next = chunk;
    else
        stage->first = chunk;
    stage->last = chunk;
    return chunk;
}

void batch_init(struct batch *batch) {
    *batch = (struct batch){0};
    batch->chunks_end = &batch->chunks;
}

void stage_seal(struct stage *stage, struct batch *batch) {
    if (!stage->first)
        return;
    stage->busy = stage->first->next || stage->first->used > CHUNK_SMALL_BYTES;
    for (struct chunk *chunk = stage->first; chunk; chunk = chunk->next) {
        size_t payload = chunk->used - SEGMENT_BLOCK_HEADER_BYTES;
        chunk->used = segment_block_seal(chunk->block, payload, chunk->count, chunk->base_ms);
        batch->bytes += sizeof *chunk + chunk->cap;
    }
    *batch->chunks_end = stage->first;
    batch->chunks_end = &stage->last->next;
    stage->first = stage->last = NULL;
}

void batch_empty(struct batch *batch, struct chunk_pool *pool) {
    while (batch->chunks) {
        struct chunk *chunk = batch->chunks;
        batch->chunks = chunk->next;
        give(pool, chunk);
    }
    batch->chunks_end = &batch->chunks;
    batch->bytes = 0;
}
