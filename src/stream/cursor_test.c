#include "base/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "stream/fixture.h"

enum { BLOCK_BYTES = 48 + 8 + 3 + 100 + 1 }; /* of one record of 100 bytes */

static void open_cursor(struct cursor *cursor, struct fixture *fixture, bool bounded) {
    struct shard *shard = fixture->stream->layout->shards[0];
    cursor_init(cursor, &file_ops_real, shard->directory, shard->seed, bounded);
}

static struct shard_tip tip_of(struct fixture *fixture) {
    return shard_tip_get(fixture->stream->layout->shards[0]);
}

static uint64_t number_in(struct str data) {
    char digits[9] = {0};
    assert_true(data.len >= 8);
    memcpy(digits, data.at, 8);
    return strtoull(digits, NULL, 10);
}

/* Reads to the end; every record must be the expected next one. */
static uint64_t read_all(struct cursor *cursor, struct shard_tip tip, uint64_t next,
                         size_t records_max, size_t bytes_max) {
    struct stream_batch batch;
    int status;
    while ((status = cursor_next(cursor, &tip, records_max, bytes_max, &batch)) == 0) {
        assert_in_range(batch.count, 1, records_max);
        assert_true(batch.count == 1 || batch.bytes <= bytes_max);
        for (size_t i = 0; i < batch.count; i++, next++) {
            assert_int_equal(batch.records[i].counter, next);
            assert_int_equal(number_in(batch.records[i].data), next);
            assert_str(batch.records[i].partition_key, "key");
        }
    }
    assert_int_equal(status, ERR_AGAIN);
    return next;
}

static void read_in_every_shape(int compression_level) {
    struct fixture fixture = {.log_config.segment_bytes_max = 30000,
                              .config.compression_level = compression_level};
    fixture_init(&fixture);
    fixture_open(&fixture);
    for (unsigned i = 0; i < 20; i++) {
        fixture_fill(&fixture, 0, 30, 8 + i);
        fixture_fill(&fixture, 0, 1, 20000 * (i % 3 + 1));
    }
    const size_t records_max[] = {1, 3, 100, 10000}, bytes_max[] = {1, 500, 65536, SIZE_MAX};
    for (size_t r = 0; r < COUNT_OF(records_max); r++)
        for (size_t b = 0; b < COUNT_OF(bytes_max); b++) {
            struct cursor cursor;
            open_cursor(&cursor, &fixture, true);
            cursor_seek(&cursor, 0);
            assert_int_equal(read_all(&cursor, tip_of(&fixture), 0, records_max[r], bytes_max[b]),
                             620);
            assert_int_equal(cursor.skipped, 0);
            cursor_done(&cursor);
        }
    fixture_done(&fixture);
}

static void batches_of_every_shape_give_all_records(void **state) {
    read_in_every_shape(0);
    read_in_every_shape(1);
}

/* Blocks of many records, as a busy producer makes them: batches end in their middle. */
static void read_in_parts(int compression_level) {
    struct fixture fixture = {.config.compression_level = compression_level};
    fixture_init(&fixture);
    fixture_open(&fixture);
    for (unsigned i = 0; i < 1000; i++) {
        char digits[16];
        snprintf(digits, sizeof digits, "%08u", i);
        struct record record = {.partition_key = STR("key"), .data = str_from(digits, 8)};
        stage_push(&fixture.stages[0], &fixture.pool, &record, fixture.arrival_ms);
    }
    fixture_put(&fixture, 0, STR("00001000"));
    for (size_t records_max = 1; records_max <= 1001; records_max += 8) {
        struct cursor cursor;
        open_cursor(&cursor, &fixture, true);
        cursor_seek(&cursor, records_max);
        assert_int_equal(read_all(&cursor, tip_of(&fixture), records_max, records_max, SIZE_MAX),
                         1001);
        cursor_done(&cursor);
    }
    fixture_done(&fixture);
}

static void a_block_is_given_out_in_parts(void **state) {
    read_in_parts(0);
    read_in_parts(1);
}

/* What was written before compression was switched on, with it, and after it was switched off again: all
 * is read, in batches that hold some of each. */
static void compressed_blocks_stand_beside_others(void **state) {
    struct fixture fixture = {0};
    fixture_init(&fixture);
    for (int level = 0; level < 4; level++) {
        fixture.config.compression_level = level % 3;
        fixture_open(&fixture);
        fixture_fill(&fixture, 0, 25, 400);
        if (level < 3)
            fixture_close(&fixture);
    }
    struct shard_tip tip = tip_of(&fixture);
    assert_in_range(tip.segment_end, 50 * 400, 100 * 400);
    for (int bounded = 0; bounded < 2; bounded++)
        for (size_t records_max = 1; records_max <= 101; records_max += 10) {
            struct cursor cursor;
            open_cursor(&cursor, &fixture, bounded);
            cursor_seek(&cursor, records_max / 3);
            uint64_t end = read_all(&cursor, bounded ? tip : CURSOR_NO_LIMIT, records_max / 3,
                                    records_max, SIZE_MAX);
            assert_int_equal(end, 100);
            assert_int_equal(cursor.skipped, 0);
            assert_null(cursor.unpacked.unpacker.room);
            cursor_done(&cursor);
        }
    fixture_done(&fixture);
}

static void nothing_behind_the_tip_is_read(void **state) {
    struct fixture fixture = {0};
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture_fill(&fixture, 0, 10, 100);
    struct shard_tip tip = tip_of(&fixture);
    fixture_fill(&fixture, 0, 10, 100);
    struct cursor cursor;
    open_cursor(&cursor, &fixture, true);
    cursor_seek(&cursor, 0);
    assert_int_equal(read_all(&cursor, tip, 0, 100, SIZE_MAX), 10);
    assert_int_equal(read_all(&cursor, tip_of(&fixture), 10, 100, SIZE_MAX), 20);
    cursor_done(&cursor);
    fixture_done(&fixture);
}

/* Reading as it is when a writer is half way: once, the bytes of one block are not there yet. */
static struct {
    off_t from, to;
    bool shown;
} half_way;

static ssize_t read_while_written(void *self, int fd, void *at, size_t len, off_t offset) {
    ssize_t got = file_ops_real.pread(file_ops_real.self, fd, at, len, offset);
    if (half_way.shown || got <= 0 || offset + got <= half_way.from)
        return got;
    for (off_t i = half_way.from; i < half_way.to && i < offset + got; i++)
        if (i >= offset)
            ((char *)at)[i - offset] = 0;
    half_way.shown = true;
    return got;
}

static void a_view_that_looks_while_a_block_is_written_loses_nothing(void **state) {
    struct fixture fixture = {0};
    struct file_ops file = file_ops_real;
    struct cursor cursor;
    fixture_init(&fixture);
    fixture_open(&fixture);
    for (unsigned i = 0; i < 10; i++)
        fixture_fill(&fixture, 0, 1, 100);
    file.pread = read_while_written;
    half_way.from = 3 * BLOCK_BYTES;
    half_way.to = 4 * BLOCK_BYTES;
    half_way.shown = false;
    open_cursor(&cursor, &fixture, false);
    cursor.blocks.file = &file;
    cursor_seek(&cursor, 0);
    assert_int_equal(read_all(&cursor, CURSOR_NO_LIMIT, 0, 100, SIZE_MAX), 10);
    assert_true(half_way.shown);
    assert_int_equal(cursor.skipped, 0);
    cursor_done(&cursor);
    fixture_done(&fixture);
}

static void counters_are_found_with_and_without_the_index(void **state) {
    struct fixture fixture = {.log_config.segment_bytes_max = 3 << 20};
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture_fill(&fixture, 0, 500, 20000);
    char *index = segment_index_path(fixture.stream->layout->shards[0]->directory, 0);
    assert_int_equal(access(index, F_OK), 0);
    for (int with = 1; with >= 0; with--) {
        for (uint64_t counter = 0; counter < 500; counter += 7) {
            struct cursor cursor;
            struct shard_tip tip = tip_of(&fixture);
            struct stream_batch batch;
            open_cursor(&cursor, &fixture, true);
            cursor_seek(&cursor, counter);
            assert_int_equal(cursor_next(&cursor, &tip, 1, 1, &batch), 0);
            assert_int_equal(batch.records[0].counter, counter);
            assert_int_equal(number_in(batch.records[0].data), counter);
            cursor_done(&cursor);
        }
        unlink(index);
    }
    free(index);
    fixture_done(&fixture);
}

static void a_false_index_is_not_believed(void **state) {
    struct fixture fixture = {0};
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture_fill(&fixture, 0, 100, 100);
    const struct segment_index_entry lies[] = {{10, 1, 11 * BLOCK_BYTES},
                                               {10, 1, 10 * BLOCK_BYTES + 8},
                                               {10, 1, 10 * BLOCK_BYTES + 1},
                                               {10, 1, UINT64_MAX},
                                               {10, 1, 1 << 30}};
    for (size_t i = 0; i < COUNT_OF(lies); i++) {
        assert_int_equal(segment_index_put(&file_ops_real,
                                           fixture.stream->layout->shards[0]->directory, 0, 0,
                                           &lies[i]),
                         0);
        struct cursor cursor;
        open_cursor(&cursor, &fixture, true);
        cursor_seek(&cursor, 20);
        assert_int_equal(read_all(&cursor, tip_of(&fixture), 20, 10, SIZE_MAX), 100);
        cursor_done(&cursor);
    }
    fixture_done(&fixture);
}

static uint64_t seek_time(struct fixture *fixture, uint64_t timestamp_ms, bool bounded) {
    struct cursor cursor;
    struct shard_tip tip = bounded ? tip_of(fixture) : CURSOR_NO_LIMIT;
    open_cursor(&cursor, fixture, bounded);
    assert_int_equal(cursor_seek_time(&cursor, &tip, timestamp_ms), 0);
    uint64_t counter = cursor.counter;
    cursor_done(&cursor);
    return counter;
}

static void find_times(int compression_level) {
    struct fixture fixture = {.log_config.segment_bytes_max = compression_level ? 6000 : 600000,
                              .config.compression_level = compression_level};
    fixture_init(&fixture);
    fixture_open(&fixture);
    uint64_t start_ms = fixture.arrival_ms;
    /* Three records share each arrival; arrivals are 10 ms apart. */
    for (unsigned i = 0; i < 300; i++) {
        fixture.arrival_ms = start_ms + i / 3 * 10;
        fixture_fill(&fixture, 0, 1, 20000);
    }
    for (int bounded = 0; bounded < 2; bounded++) {
        assert_int_equal(seek_time(&fixture, 0, bounded), 0);
        assert_int_equal(seek_time(&fixture, start_ms, bounded), 0);
        for (uint64_t i = 0; i < 100; i++) {
            assert_int_equal(seek_time(&fixture, start_ms + 10 * i, bounded), 3 * i);
            assert_int_equal(seek_time(&fixture, start_ms + 10 * i + 1, bounded), 3 * i + 3);
        }
        assert_int_equal(seek_time(&fixture, UINT64_MAX, bounded), 300);
    }
    fixture_done(&fixture);
}

static void times_are_found(void **state) {
    find_times(0);
    find_times(1);
}

/* ---- what is gone or damaged ---- */

static void a_reader_that_retention_overtook_goes_on_at_the_oldest(void **state) {
    struct fixture fixture = {.log_config.segment_bytes_max = 10 * BLOCK_BYTES,
                              .config.kind = STREAM_DELIVERY};
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture_fill(&fixture, 0, 100, 100);
    struct cursor cursor, late;
    struct stream_batch batch;
    struct shard_tip tip = tip_of(&fixture);
    open_cursor(&cursor, &fixture, true);
    open_cursor(&late, &fixture, true);
    cursor_seek(&cursor, 0);
    assert_int_equal(cursor_next(&cursor, &tip, 5, SIZE_MAX, &batch), 0);
    retention_release(fixture.stream, 0, 50, fixture.now_ms);

    /* The open segment is still read to its end. */
    assert_int_equal(cursor_next(&cursor, &tip, 100, SIZE_MAX, &batch), 0);
    assert_int_equal(batch.records[0].counter, 5);
    assert_int_equal(batch.count, 5);
    assert_int_equal(read_all(&cursor, tip, 50, 100, SIZE_MAX), 100);
    assert_int_equal(cursor.skipped, 40);

    cursor_seek(&late, 7);
    assert_int_equal(read_all(&late, tip, 50, 100, SIZE_MAX), 100);
    assert_int_equal(late.skipped, 43);
    cursor_done(&cursor);
    cursor_done(&late);
    fixture_done(&fixture);
}

/* Reads over damage: `lost` says which records may not come, one report each run of them. */
static void expect_losses(struct fixture *fixture, bool bounded, uint64_t from, uint64_t to,
                          uint64_t end) {
    struct cursor cursor;
    struct shard_tip tip = bounded ? tip_of(fixture) : CURSOR_NO_LIMIT;
    struct stream_batch batch;
    uint64_t next = 0;
    unsigned reports = 0;
    int status;
    open_cursor(&cursor, fixture, bounded);
    cursor_seek(&cursor, 0);
    while ((status = cursor_next(&cursor, &tip, 7, SIZE_MAX, &batch)) != ERR_AGAIN) {
        if (status == ERR_CORRUPT) {
            reports++;
            assert_int_equal(cursor.damage.from, from);
            assert_int_equal(cursor.damage.to, to);
            continue;
        }
        assert_int_equal(status, 0);
        for (size_t i = 0; i < batch.count; i++) {
            if (next == from)
                next = to;
            assert_int_equal(batch.records[i].counter, next++);
        }
    }
    assert_int_equal(reports, 1);
    assert_int_equal(cursor.skipped, to - from);
    assert_int_equal(cursor.counter, end);
    cursor_done(&cursor);
}

static void damage_loses_the_block_and_no_more(void **state) {
    const int64_t places[] = {0, 20, 60, BLOCK_BYTES - 2};
    for (size_t i = 0; i < COUNT_OF(places); i++) {
        struct fixture fixture = {.log_config.segment_bytes_max = 20 * BLOCK_BYTES};
        fixture_init(&fixture);
        fixture_open(&fixture);
        fixture_fill(&fixture, 0, 50, 100);
        char *path = fixture_segment(&fixture, 0, 20);
        fixture_damage(path, 5 * BLOCK_BYTES + places[i]);
        expect_losses(&fixture, true, 25, 26, 50);
        expect_losses(&fixture, false, 25, 26, 50);
        free(path);
        fixture_done(&fixture);
    }
}

/* The sums are right and the payload is no frame: no more is lost than by a damaged sum. */
static void a_block_that_cannot_be_unpacked_is_lost(void **state) {
    enum { AT_PACKING = 46 };
    struct fixture fixture = {0};
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture_fill(&fixture, 0, 50, 100);
    char *path = fixture_segment(&fixture, 0, 0);
    struct shard *shard = fixture.stream->layout->shards[0];
    uint8_t block[BLOCK_BYTES];
    int fd = open(path, O_RDWR | O_CLOEXEC);
    off_t at = 5 * BLOCK_BYTES;
    assert_int_equal(pread(fd, block, sizeof block, at), sizeof block);
    block[AT_PACKING] = 1;
    segment_block_number(block, shard->seed, 5, 5, fixture.arrival_ms);
    assert_int_equal(pwrite(fd, block, sizeof block, at), sizeof block);
    close(fd);
    expect_losses(&fixture, true, 5, 6, 50);
    expect_losses(&fixture, false, 5, 6, 50);
    free(path);
    fixture_done(&fixture);
}

static void a_segment_cut_short_loses_its_rest(void **state) {
    struct fixture fixture = {.log_config.segment_bytes_max = 20 * BLOCK_BYTES};
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture_fill(&fixture, 0, 50, 100);
    char *path = fixture_segment(&fixture, 0, 20);
    assert_int_equal(truncate(path, 12 * BLOCK_BYTES + 70), 0);
    expect_losses(&fixture, true, 32, 40, 50);
    expect_losses(&fixture, false, 32, 40, 50);
    free(path);
    fixture_done(&fixture);
}

static void a_segment_that_vanished_is_passed_over(void **state) {
    struct fixture fixture = {.log_config.segment_bytes_max = 20 * BLOCK_BYTES};
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture_fill(&fixture, 0, 50, 100);
    char *path = fixture_segment(&fixture, 0, 20);
    assert_int_equal(unlink(path), 0);
    expect_losses(&fixture, true, 20, 40, 50);
    free(path);
    fixture_done(&fixture);
}

static void a_tail_cut_below_the_tip_ends_at_the_tip(void **state) {
    struct fixture fixture = {0};
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture_fill(&fixture, 0, 50, 100);
    char *path = fixture_segment(&fixture, 0, 0);
    assert_int_equal(truncate(path, 45 * BLOCK_BYTES), 0);
    expect_losses(&fixture, true, 45, 50, 50);
    free(path);
    fixture_done(&fixture);
}

/* The window is as wide as the record, and narrow again behind it, though there is more to be read. */
static void large_records_cost_memory_only_while_they_are_read(void **state) {
    enum { LARGE = RECORD_BYTES_MAX - 3, KEPT = 1024 * 1024 };
    struct fixture fixture = {.log_config.segment_bytes_max = 64 * 1024 * 1024};
    struct cursor cursor;
    struct stream_batch batch;
    size_t widest = 0, at_the_end = 0;
    uint64_t next = 0;
    fixture_init(&fixture);
    fixture_open(&fixture);
    for (unsigned i = 0; i < 2; i++) {
        fixture_fill(&fixture, 0, 20, 1000);
        fixture_fill(&fixture, 0, 1, LARGE);
        fixture_fill(&fixture, 0, 20, 60000);
    }
    open_cursor(&cursor, &fixture, true);
    cursor_seek(&cursor, 0);
    struct shard_tip tip = tip_of(&fixture);
    while (cursor_next(&cursor, &tip, 4, 100000, &batch) == 0) {
        for (size_t i = 0; i < batch.count; i++)
            assert_int_equal(number_in(batch.records[i].data), next++);
        if (cursor.blocks.cap > widest)
            widest = cursor.blocks.cap;
        at_the_end = cursor.blocks.cap;
    }
    assert_int_equal(next, 82);
    assert_in_range(widest, LARGE, LARGE + 2 * KEPT);
    assert_true(at_the_end <= KEPT);
    cursor_done(&cursor);
    fixture_done(&fixture);
}

int main(void) {
    log_setup(LOG_ERROR, LOG_TEXT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_of_every_shape_give_all_records),
        cmocka_unit_test(a_block_is_given_out_in_parts),
        cmocka_unit_test(compressed_blocks_stand_beside_others),
        cmocka_unit_test(nothing_behind_the_tip_is_read),
        cmocka_unit_test(a_view_that_looks_while_a_block_is_written_loses_nothing),
        cmocka_unit_test(counters_are_found_with_and_without_the_index),
        cmocka_unit_test(a_false_index_is_not_believed),
        cmocka_unit_test(times_are_found),
        cmocka_unit_test(a_reader_that_retention_overtook_goes_on_at_the_oldest),
        cmocka_unit_test(damage_loses_the_block_and_no_more),
        cmocka_unit_test(a_block_that_cannot_be_unpacked_is_lost),
        cmocka_unit_test(a_segment_cut_short_loses_its_rest),
        cmocka_unit_test(a_segment_that_vanished_is_passed_over),
        cmocka_unit_test(large_records_cost_memory_only_while_they_are_read),
        cmocka_unit_test(a_tail_cut_below_the_tip_ends_at_the_tip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
