#include "base/test.h"

#include <string.h>

#include "base/err.h"
#include "stream/segment.h"

enum { SEED = 0x5eed };

static size_t make_block(uint8_t *block, uint64_t first, unsigned count, uint64_t synced) {
    size_t used = SEGMENT_BLOCK_HEADER_BYTES;
    for (unsigned i = 0; i < count; i++) {
        struct record record = {.partition_key = STR("key"), .data = STR("some data")};
        segment_record_write(block + used, &record);
        used += segment_record_bytes(&record);
    }
    size_t bytes =
        segment_block_seal(block, used - SEGMENT_BLOCK_HEADER_BYTES, count, 1700000000000);
    segment_block_number(block, SEED, first, synced, 1700000000005);
    return bytes;
}

static void a_block_reads_back(void **state) {
    uint8_t block[512];
    memset(block, 0xaa, sizeof block);
    size_t bytes = make_block(block, 77, 3, 70);
    assert_int_equal(bytes % SEGMENT_ALIGN_BYTES, 0);
    struct segment_block seen;
    assert_int_equal(segment_block_read(block, bytes, SEED, &seen), 0);
    assert_int_equal(seen.first_counter, 77);
    assert_int_equal(seen.synced_counter, 70);
    assert_int_equal(seen.count, 3);
    assert_int_equal(seen.base_ms, 1700000000005);
    assert_int_equal(seen.last_ms, 1700000000005);
    assert_int_equal(seen.bytes, bytes);
    size_t at = 0;
    for (int i = 0; i < 3; i++) {
        struct segment_record record = {0};
        assert_true(segment_record_read(seen.payload + at, seen.payload_bytes - at, &record));
        assert_true(str_eq(record.key, STR("key")));
        assert_true(str_eq(record.data, STR("some data")));
        at += record.bytes;
    }
    assert_int_equal(at, seen.payload_bytes);
}

static void each_changed_bit_is_seen(void **state) {
    uint8_t block[512];
    size_t bytes = make_block(block, 77, 3, 70);
    struct segment_block seen;
    size_t summed = bytes - bytes % SEGMENT_ALIGN_BYTES;
    segment_header_read(block, bytes, SEED, &seen);
    summed = SEGMENT_BLOCK_HEADER_BYTES + seen.payload_bytes;
    for (size_t bit = 0; bit < summed * 8; bit++) {
        block[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(segment_block_read(block, bytes, SEED, &seen), ERR_CORRUPT);
        block[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_int_equal(segment_block_read(block, bytes, SEED, &seen), 0);
}

static void a_cut_block_wants_more(void **state) {
    uint8_t block[512];
    size_t bytes = make_block(block, 0, 2, 0);
    struct segment_block seen;
    for (size_t len = 0; len < bytes; len++) {
        assert_int_equal(segment_block_read(block, len, SEED, &seen), ERR_AGAIN);
        assert_int_equal(seen.bytes, len < SEGMENT_BLOCK_HEADER_BYTES ? 0 : bytes);
    }
}

static void a_block_of_another_shard_does_not_check(void **state) {
    uint8_t block[512];
    size_t bytes = make_block(block, 0, 2, 0);
    struct segment_block seen;
    assert_int_equal(segment_block_read(block, bytes, SEED + 1, &seen), ERR_CORRUPT);
}

static void find_skips_garbage_and_old_counters(void **state) {
    uint8_t file[2048] = {0};
    size_t one = 16 + make_block(file + 16, 5, 2, 0);
    size_t two = one + make_block(file + one, 7, 2, 0);
    memset(file, 'W', 16);
    assert_int_equal(segment_find(file, two, 0, SEED, 4), 16);
    assert_int_equal(segment_find(file, two, 0, SEED, 5), one);
    assert_int_equal(segment_find(file, two, 0, SEED, 7), two);
    assert_int_equal(segment_find(file, sizeof file, two, SEED, 0), sizeof file);
}

static void a_record_beyond_the_payload_is_refused(void **state) {
    uint8_t payload[64];
    struct record record = {.partition_key = STR("k"), .data = STR("0123456789")};
    segment_record_write(payload, &record);
    struct segment_record seen = {0};
    size_t bytes = segment_record_bytes(&record);
    assert_true(segment_record_read(payload, bytes, &seen));
    for (size_t len = 0; len < bytes; len++)
        assert_false(segment_record_read(payload, len, &seen));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_reads_back),
        cmocka_unit_test(each_changed_bit_is_seen),
        cmocka_unit_test(a_cut_block_wants_more),
        cmocka_unit_test(a_block_of_another_shard_does_not_check),
        cmocka_unit_test(find_skips_garbage_and_old_counters),
        cmocka_unit_test(a_record_beyond_the_payload_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
