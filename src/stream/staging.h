/*
 * Staging: how records are gathered into blocks before they go to the log thread. No thread of its
 * own and no loop: a stage, its pool and its batches belong to one producer; a batch belongs to the
 * log from when it is handed over until `home` runs.
 */
#ifndef STREAM_STAGING_H
#define STREAM_STAGING_H

#include "base/err.h"
#include "io/loop.h"
#include "stream/segment.h"

struct shard;
struct log_producer;
struct engine_batch;

/* Room for one block. A stage begins small, so that a producer that touches thousands of shards in
 * a turn stays small. */
enum {
    CHUNK_SMALL_BYTES = 4096,
    CHUNK_LARGE_BYTES = 64 * 1024,
    CHUNK_HUGE_BYTES = RECORD_BYTES_DEFAULT + 4096, /* beyond it a chunk is made for its record */
};

struct chunk {
    struct chunk *next;          /* in its stage, batch or pool */
    struct chunk *next_of_shard; /* the log thread's: in the shard's next write */
    struct shard *shard;
    size_t cap;       /* of `block` */
    size_t used;      /* with the room for the header; the whole block once sealed */
    uint32_t count;   /* records */
    uint64_t base_ms; /* arrival of all of them */
    int status;       /* once its batch is home: whether the shard has it */
    uint8_t block[] __attribute__((aligned(8)));
};

struct chunk_pool {
    struct chunk *free_small, *free_large, *free_huge;
    size_t free_bytes, free_bytes_max; /* beyond it chunks go back to the system */
};

struct batch {
    struct task task;
    struct batch *next;
    struct chunk *chunks, **chunks_end;
    size_t bytes; /* of memory, whatever is in it */
    uint64_t ticket;
    int status; /* once it is home: 0, NO_SPACE, IO */
    void (*home)(struct batch *batch);
    void *owner;
    struct link in_flight;     /* the writer's: in the order of the tickets */
    struct engine_batch *sent; /* the writer's: the ticket's batches for engines beside the log */
    unsigned parts;            /* the writer's: that are not home yet */
    int sent_status;           /* the writer's: of `sent` */
    struct log_producer *producer; /* whose; NULL: nobody whom changes of streams concern */
};

/* What one producer has staged for one shard in this turn. */
struct stage {
    struct link dirty; /* in the producer's list of stages with content */
    struct shard *shard;
    struct chunk *first, *last;
    bool busy; /* the last turn needed more than a small chunk */
};

void chunk_pool_done(struct chunk_pool *pool);

void batch_init(struct batch *batch);

/* Another chunk at the end of the stage, with room for `record_bytes`. */
struct chunk *stage_grow(struct stage *stage, struct chunk_pool *pool, size_t record_bytes,
                         uint64_t now_ms);

/* Copies the record. Returns its bytes in the block. */
static inline size_t stage_push(struct stage *stage, struct chunk_pool *pool,
                                const struct record *record, uint64_t now_ms) {
    size_t bytes = segment_record_bytes(record);
    struct chunk *chunk = stage->last;
    if (!chunk || chunk->cap - chunk->used < bytes)
        chunk = stage_grow(stage, pool, bytes, now_ms);
    segment_record_write(chunk->block + chunk->used, record);
    chunk->used += bytes;
    chunk->count++;
    return bytes;
}

/* Closes the stage's blocks and moves them to the end of the batch. The stage is empty then. */
void stage_seal(struct stage *stage, struct batch *batch);

/* Takes the batch's chunks back. */
void batch_empty(struct batch *batch, struct chunk_pool *pool);

#endif
