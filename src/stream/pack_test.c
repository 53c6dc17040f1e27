#include "base/test.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/random.h"
#include "stream/pack.h"

enum { SEED = 0x5eed, ROOM = 256 * 1024 };

/* A sealed block of `count` records with the data. */
static size_t make_block(uint8_t *block, unsigned count, struct str data) {
    size_t used = SEGMENT_BLOCK_HEADER_BYTES;
    for (unsigned i = 0; i < count; i++) {
        struct record record = {.partition_key = STR("key"), .data = data};
        segment_record_write(block + used, &record);
        used += segment_record_bytes(&record);
    }
    return segment_block_seal(block, used - SEGMENT_BLOCK_HEADER_BYTES, count, 1700000000000);
}

/* A block whose payload is said to be compressed: `frame`, whatever it is. */
static struct segment_block make_frame(uint8_t *block, uint32_t count, struct str frame) {
    struct segment_block seen;
    segment_block_seal(block, frame.len + 1, count, 1700000000000);
    size_t bytes = segment_block_replace(block, (const uint8_t *)frame.at, frame.len);
    segment_block_number(block, SEED, 5, 0, 1700000000000);
    assert_int_equal(segment_block_read(block, bytes, SEED, &seen), 0);
    assert_true(seen.compressed);
    return seen;
}

static void what_was_packed_unpacks(void **state) {
    uint8_t *block = xmalloc(ROOM), *before = xmalloc(ROOM);
    struct packer packer = {0};
    struct unpacker unpacker = {0};
    for (int level = PACK_LEVEL_MIN; level <= PACK_LEVEL_MAX; level++)
        for (unsigned count = 3; count < 2000; count *= 4) {
            struct str data = STR("{\"sensor\":\"a\",\"celsius\":21.5,\"humidity\":40}");
            size_t plain = make_block(block, count, data);
            memcpy(before, block, plain);
            size_t bytes = packer_pack(&packer, block, plain, level);
            assert_true(bytes < plain);
            assert_int_equal(bytes % SEGMENT_ALIGN_BYTES, 0);
            segment_block_number(block, SEED, 77, 70, 1700000000005);
            struct segment_block seen;
            struct str records;
            assert_int_equal(segment_block_read(block, bytes, SEED, &seen), 0);
            assert_true(seen.compressed);
            assert_int_equal(seen.bytes, bytes);
            assert_int_equal(seen.count, count);
            assert_int_equal(seen.first_counter, 77);
            assert_int_equal(seen.last_ms, 1700000000005);
            assert_int_equal(unpacker_one(&unpacker, &seen, &records), 0);
            assert_int_equal(records.len, segment_block_payload_bytes(before));
            assert_memory_equal(records.at, before + SEGMENT_BLOCK_HEADER_BYTES, records.len);
        }
    packer_done(&packer);
    unpacker_done(&unpacker);
    free(block);
    free(before);
}

static void what_would_not_be_shorter_stays(void **state) {
    uint8_t *block = xmalloc(ROOM), *before = xmalloc(ROOM);
    uint8_t noise[4000];
    struct packer packer = {0};
    random_bytes(noise, sizeof noise);
    const struct str data[] = {STR("short"), str_from(noise, 100), str_from(noise, sizeof noise)};
    for (size_t i = 0; i < COUNT_OF(data); i++) {
        size_t bytes = make_block(block, 1, data[i]);
        memcpy(before, block, bytes);
        assert_int_equal(packer_pack(&packer, block, bytes, 9), bytes);
        assert_memory_equal(block, before, bytes);
        segment_block_number(block, SEED, 0, 0, 1700000000000);
        struct segment_block seen;
        assert_int_equal(segment_block_read(block, bytes, SEED, &seen), 0);
        assert_false(seen.compressed);
    }
    packer_done(&packer);
    free(block);
    free(before);
}

static void each_changed_bit_is_seen(void **state) {
    uint8_t *block = xmalloc(ROOM);
    struct packer packer = {0};
    struct segment_block seen;
    size_t bytes = packer_pack(&packer, block, make_block(block, 20, STR("some data")), 1);
    segment_block_number(block, SEED, 77, 70, 1700000000005);
    size_t summed = SEGMENT_BLOCK_HEADER_BYTES + segment_block_payload_bytes(block);
    for (size_t bit = 0; bit < summed * 8; bit++) {
        block[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(segment_block_read(block, bytes, SEED, &seen), ERR_CORRUPT);
        block[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_int_equal(segment_block_read(block, bytes, SEED, &seen), 0);
    packer_done(&packer);
    free(block);
}

/* What the sums do not tell: frames that were made by somebody else. */
static void false_frames_are_refused(void **state) {
    uint8_t *block = xmalloc(ROOM);
    static uint8_t zeros[SEGMENT_PAYLOAD_BYTES_MAX + 1];
    struct unpacker unpacker = {0};
    struct str records;
    uint8_t frame[4096];
    struct segment_block seen = make_frame(block, 1, STR("no frame of zstd at all"));
    assert_int_equal(unpacker_one(&unpacker, &seen, &records), ERR_CORRUPT);

    /* More than any payload: refused before there is room for it. */
    size_t len = ZSTD_compress(frame, sizeof frame, zeros, sizeof zeros, 1);
    seen = make_frame(block, 1, str_from(frame, len));
    assert_int_equal(unpacker_one(&unpacker, &seen, &records), ERR_CORRUPT);
    assert_int_equal(unpacker.cap, 0);

    /* As much as a payload may have. */
    len = ZSTD_compress(frame, sizeof frame, zeros, sizeof zeros - 1, 1);
    seen = make_frame(block, 1, str_from(frame, len));
    assert_int_equal(unpacker_one(&unpacker, &seen, &records), 0);
    assert_int_equal(records.len, SEGMENT_PAYLOAD_BYTES_MAX);

    /* Less than its records have headers. */
    len = ZSTD_compress(frame, sizeof frame, zeros, 79, 1);
    seen = make_frame(block, 10, str_from(frame, len));
    assert_int_equal(unpacker_one(&unpacker, &seen, &records), ERR_CORRUPT);

    /* A second frame behind the first one. */
    size_t second = ZSTD_compress(frame + len, sizeof frame - len, zeros, 79, 1);
    seen = make_frame(block, 1, str_from(frame, len + second));
    assert_int_equal(unpacker_one(&unpacker, &seen, &records), ERR_CORRUPT);

    /* A frame that does not say how much it holds. */
    ZSTD_CCtx *context = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
    len = ZSTD_compress2(context, frame, sizeof frame, zeros, 79);
    ZSTD_freeCCtx(context);
    seen = make_frame(block, 1, str_from(frame, len));
    assert_int_equal(unpacker_one(&unpacker, &seen, &records), ERR_CORRUPT);

    /* A frame cut short. */
    len = ZSTD_compress(frame, sizeof frame, zeros, 79, 1);
    seen = make_frame(block, 1, str_from(frame, len - 1));
    assert_int_equal(unpacker_one(&unpacker, &seen, &records), ERR_CORRUPT);
    unpacker_done(&unpacker);
    free(block);
}

static void blocks_are_unpacked_behind_each_other(void **state) {
    uint8_t *plain = xmalloc(ROOM), *packed = xmalloc(ROOM);
    struct packer packer = {0};
    struct unpacker unpacker = {0};
    struct segment_block first, second;
    struct str a, b, c;
    size_t plain_bytes = make_block(plain, 5, STR("left as it is"));
    segment_block_number(plain, SEED, 0, 0, 1700000000000);
    size_t bytes = packer_pack(&packer, packed, make_block(packed, 50, STR("packed")), 1);
    segment_block_number(packed, SEED, 5, 0, 1700000000000);
    assert_int_equal(segment_block_read(plain, plain_bytes, SEED, &first), 0);
    assert_int_equal(segment_block_read(packed, bytes, SEED, &second), 0);
    size_t records_bytes;
    assert_int_equal(unpacker_bytes(&second, &records_bytes), 0);
    unpacker_begin(&unpacker, NULL, 0, records_bytes);
    assert_int_equal(unpacker_add(&unpacker, &first, &a), 0);
    assert_int_equal(unpacker_add(&unpacker, &second, &b), 0);
    assert_ptr_equal(a.at, first.payload);
    assert_int_equal(b.len, records_bytes);
    unpacker_begin(&unpacker, (const uint8_t *)b.at, b.len, 2 * records_bytes);
    assert_int_equal(unpacker_add(&unpacker, &second, &c), 0);
    assert_memory_equal(c.at, unpacker.room, records_bytes);
    assert_ptr_not_equal(c.at, unpacker.room);
    packer_done(&packer);
    unpacker_done(&unpacker);
    free(plain);
    free(packed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_packed_unpacks),
        cmocka_unit_test(what_would_not_be_shorter_stays),
        cmocka_unit_test(each_changed_bit_is_seen),
        cmocka_unit_test(false_frames_are_refused),
        cmocka_unit_test(blocks_are_unpacked_behind_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
