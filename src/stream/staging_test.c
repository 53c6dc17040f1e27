#include "base/test.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "stream/staging.h"

static void push(struct stage *stage, struct chunk_pool *pool, size_t bytes) {
    char *data = xcalloc(1, bytes + 1);
    struct record record = {.partition_key = STR("k"), .data = str_from(data, bytes)};
    assert_int_equal(stage_push(stage, pool, &record, 1000), 8 + 1 + bytes);
    free(data);
}

/* Blocks and records in a batch; each block must check once it is numbered. */
static void count(struct batch *batch, size_t *ret_blocks, size_t *ret_records) {
    size_t bytes = 0;
    *ret_blocks = *ret_records = 0;
    for (struct chunk *chunk = batch->chunks; chunk; chunk = chunk->next) {
        struct segment_block block;
        segment_block_number(chunk->block, 7, *ret_records, 0, 1000);
        assert_int_equal(segment_block_read(chunk->block, chunk->used, 7, &block), 0);
        assert_int_equal(block.count, chunk->count);
        assert_int_equal(block.bytes, chunk->used);
        assert_true(chunk->used <= chunk->cap);
        ++*ret_blocks;
        *ret_records += chunk->count;
        bytes += sizeof *chunk + chunk->cap;
    }
    assert_int_equal(bytes, batch->bytes);
}

static void records_fill_blocks(void **state) {
    struct chunk_pool pool = {.free_bytes_max = 1 << 20};
    struct stage stage = {0};
    struct batch batch;
    batch_init(&batch);
    for (int i = 0; i < 2000; i++)
        push(&stage, &pool, 100);
    stage_seal(&stage, &batch);
    assert_null(stage.first);
    size_t blocks, records;
    count(&batch, &blocks, &records);
    assert_int_equal(records, 2000);
    assert_int_equal(blocks, 1 + (2000 - 37 + 599) / 600);
    batch_empty(&batch, &pool);
    chunk_pool_done(&pool);
}

static void a_busy_stage_begins_large(void **state) {
    struct chunk_pool pool = {.free_bytes_max = 1 << 20};
    struct stage stage = {0};
    for (int turn = 0; turn < 2; turn++) {
        struct batch batch;
        batch_init(&batch);
        for (int i = 0; i < 100; i++)
            push(&stage, &pool, 100);
        assert_int_equal(stage.first->cap, turn ? CHUNK_LARGE_BYTES : CHUNK_SMALL_BYTES);
        stage_seal(&stage, &batch);
        batch_empty(&batch, &pool);
    }
    chunk_pool_done(&pool);
}

static void the_largest_record_fits(void **state) {
    struct chunk_pool pool = {.free_bytes_max = 1 << 22};
    struct stage stage = {0};
    struct batch batch;
    batch_init(&batch);
    push(&stage, &pool, 10);
    push(&stage, &pool, RECORD_BYTES_MAX - 1);
    push(&stage, &pool, 10);
    stage_seal(&stage, &batch);
    size_t blocks, records;
    count(&batch, &blocks, &records);
    assert_int_equal(blocks, 3);
    assert_int_equal(records, 3);
    batch_empty(&batch, &pool);
    assert_int_equal(pool.free_bytes, CHUNK_SMALL_BYTES + CHUNK_LARGE_BYTES);
    chunk_pool_done(&pool);
}

static void drop(struct stage *stage, struct chunk_pool *pool) {
    struct batch batch;
    batch_init(&batch);
    stage_seal(stage, &batch);
    batch_empty(&batch, pool);
}

static void chunks_up_to_a_usual_record_are_kept(void **state) {
    struct chunk_pool pool = {.free_bytes_max = 1 << 22};
    struct stage stage = {0};
    for (int round = 0; round < 2; round++) {
        push(&stage, &pool, RECORD_BYTES_DEFAULT);
        assert_int_equal(stage.first->cap, CHUNK_HUGE_BYTES);
        drop(&stage, &pool);
        assert_int_equal(pool.free_bytes, CHUNK_HUGE_BYTES);
    }
    push(&stage, &pool, RECORD_BYTES_DEFAULT + 8192);
    assert_in_range(stage.first->cap, RECORD_BYTES_DEFAULT + 8192, RECORD_BYTES_DEFAULT + 8400);
    drop(&stage, &pool);
    assert_int_equal(pool.free_bytes, CHUNK_HUGE_BYTES);
    chunk_pool_done(&pool);
}

static void every_size_fits(void **state) {
    struct chunk_pool pool = {.free_bytes_max = 1 << 20};
    for (size_t bytes = 4000; bytes < 4100; bytes++) {
        struct stage stage = {0};
        struct batch batch;
        batch_init(&batch);
        push(&stage, &pool, bytes);
        push(&stage, &pool, CHUNK_LARGE_BYTES - 4050 + bytes - 80);
        stage_seal(&stage, &batch);
        size_t blocks, records;
        count(&batch, &blocks, &records);
        assert_int_equal(records, 2);
        batch_empty(&batch, &pool);
    }
    chunk_pool_done(&pool);
}

static void the_pool_keeps_no_more_than_its_bound(void **state) {
    struct chunk_pool pool = {.free_bytes_max = 3 * CHUNK_LARGE_BYTES};
    struct stage stage = {0};
    struct batch batch;
    batch_init(&batch);
    for (int i = 0; i < 100; i++)
        push(&stage, &pool, 60000);
    stage_seal(&stage, &batch);
    batch_empty(&batch, &pool);
    assert_true(pool.free_bytes <= pool.free_bytes_max);
    assert_true(pool.free_bytes > 0);
    size_t before = pool.free_bytes;
    push(&stage, &pool, 60000);
    assert_true(pool.free_bytes < before);
    drop(&stage, &pool);
    assert_int_equal(pool.free_bytes, before);
    chunk_pool_done(&pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_fill_blocks),
        cmocka_unit_test(a_busy_stage_begins_large),
        cmocka_unit_test(the_largest_record_fits),
        cmocka_unit_test(chunks_up_to_a_usual_record_are_kept),
        cmocka_unit_test(every_size_fits),
        cmocka_unit_test(the_pool_keeps_no_more_than_its_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
