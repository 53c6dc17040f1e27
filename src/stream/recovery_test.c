#include "base/test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "stream/fixture.h"

enum {
    RECORD_BYTES = 100,
    BLOCK_BYTES = 48 + 8 + 3 + 100 + 1
}; /* one record with the key "key", padded */

static int64_t file_bytes(const char *path) {
    struct stat now;
    assert_int_equal(stat(path, &now), 0);
    return now.st_size;
}

static void append(const char *path, const void *bytes, size_t len) {
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), len);
    close(fd);
}

/* Ten records in one segment, closed. */
static char *ten_records(struct fixture *fixture) {
    fixture_init(fixture);
    fixture_open(fixture);
    fixture_fill(fixture, 0, 10, RECORD_BYTES);
    char *path = fixture_segment(fixture, 0, 0);
    fixture_close(fixture);
    assert_int_equal(truncate(path, 10 * BLOCK_BYTES), 0);
    return path;
}

static void a_closed_shard_goes_on_where_it_was(void **state) {
    struct fixture fixture = {0};
    char *path = ten_records(&fixture);
    fixture_open(&fixture);
    struct shard *shard = fixture.stream->layout->shards[0];
    assert_int_equal(shard->next, 10);
    assert_int_equal(shard->synced, 10);
    assert_int_equal(shard->last_ms, fixture.arrival_ms);
    assert_int_equal(fixture_put(&fixture, 0, STR("more")), 0);
    assert_int_equal(shard->segment_count, 1);
    assert_int_equal(shard->next, 11);
    assert_int_equal(shard_tip_get(shard).counter, 11);
    free(path);
    fixture_done(&fixture);
}

static void zeros_behind_the_end_are_space_made_ready(void **state) {
    struct fixture fixture = {0};
    char *path = ten_records(&fixture);
    assert_int_equal(truncate(path, 1 << 20), 0);
    fixture_open(&fixture);
    assert_int_equal(fixture.stream->layout->shards[0]->next, 10);
    assert_int_equal(fixture.stream->layout->shards[0]->damaged, 0);
    assert_int_equal(fixture.stream->layout->shards[0]->made, 1 << 20);
    fixture_fill(&fixture, 0, 1, RECORD_BYTES);
    assert_int_equal(file_bytes(path), 1 << 20);
    fixture_close(&fixture);
    assert_int_equal(file_bytes(path), 11 * BLOCK_BYTES);
    fixture_open(&fixture);
    assert_int_equal(fixture.stream->layout->shards[0]->next, 11);
    free(path);
    fixture_done(&fixture);
}

static void each_torn_tail_is_cut_to_whole_blocks(void **state) {
    struct fixture fixture = {0};
    char *path = ten_records(&fixture);
    for (int64_t cut = 10 * BLOCK_BYTES - 1; cut >= 7 * BLOCK_BYTES; cut -= 13) {
        assert_int_equal(truncate(path, cut), 0);
        fixture_open(&fixture);
        assert_int_equal(fixture.stream->layout->shards[0]->next, cut / BLOCK_BYTES);
        assert_int_equal(fixture.stream->layout->shards[0]->damaged, 0);
        assert_int_equal(file_bytes(path), cut / BLOCK_BYTES * BLOCK_BYTES);
        fixture_fill(&fixture, 0, 10 - (unsigned)fixture.stream->layout->shards[0]->next,
                     RECORD_BYTES);
        fixture_close(&fixture);
        assert_int_equal(truncate(path, 10 * BLOCK_BYTES), 0);
    }
    free(path);
    fixture_done(&fixture);
}

static void torn_tails_of_compressed_blocks_are_cut_too(void **state) {
    struct fixture fixture = {.config.compression_level = 1};
    int64_t ends[10];
    fixture_init(&fixture);
    fixture_open(&fixture);
    for (int i = 0; i < 10; i++) {
        fixture_fill(&fixture, 0, 1, 1000);
        ends[i] = shard_tip_get(fixture.stream->layout->shards[0]).segment_end;
    }
    assert_in_range(ends[9], 10, 2000);
    char *path = fixture_segment(&fixture, 0, 0);
    fixture_close(&fixture);
    for (int64_t cut = ends[9] - 1; cut >= ends[6]; cut -= 5) {
        int whole = 7;
        while (ends[whole] <= cut)
            whole++;
        assert_int_equal(truncate(path, cut), 0);
        fixture_open(&fixture);
        assert_int_equal(fixture.stream->layout->shards[0]->next, whole);
        assert_int_equal(fixture.stream->layout->shards[0]->damaged, 0);
        fixture_fill(&fixture, 0, 10 - (unsigned)whole, 1000);
        assert_int_equal(shard_tip_get(fixture.stream->layout->shards[0]).segment_end, ends[9]);
        fixture_close(&fixture);
    }
    free(path);
    fixture_done(&fixture);
}

static void garbage_behind_the_end_is_cut(void **state) {
    struct fixture fixture = {0};
    char *path = ten_records(&fixture);
    uint8_t garbage[5000];
    for (size_t i = 0; i < sizeof garbage; i++)
        garbage[i] = "WSB1"[i % 4];
    append(path, garbage, sizeof garbage);
    fixture_open(&fixture);
    assert_int_equal(fixture.stream->layout->shards[0]->next, 10);
    assert_int_equal(file_bytes(path), 10 * BLOCK_BYTES);
    free(path);
    fixture_done(&fixture);
}

static void expect_loss_of_record_3(struct fixture *fixture, const char *path) {
    fixture_open(fixture);
    struct shard *shard = fixture->stream->layout->shards[0];
    assert_int_equal(shard->next, 10);
    assert_int_equal(shard->damaged, 1);
    assert_int_equal(file_bytes(path), 10 * BLOCK_BYTES);
    assert_int_equal(fixture_put(fixture, 0, STR("new")), 0);
    assert_int_equal(shard->segment_count, 2);
    assert_int_equal(shard->segments[1].first, 10);
    assert_int_equal(shard->next, 11);
}

static void a_damaged_payload_in_the_middle_is_kept_aside(void **state) {
    struct fixture fixture = {0};
    char *path = ten_records(&fixture);
    fixture_damage(path, 3 * BLOCK_BYTES + 60);
    expect_loss_of_record_3(&fixture, path);
    free(path);
    fixture_done(&fixture);
}

static void a_damaged_header_in_the_middle_is_kept_aside(void **state) {
    struct fixture fixture = {0};
    char *path = ten_records(&fixture);
    fixture_damage(path, 3 * BLOCK_BYTES + 1);
    expect_loss_of_record_3(&fixture, path);
    free(path);
    fixture_done(&fixture);
}

/* A commit that was not finished: the first block is torn, the second whole. Nobody was told. */
static void whole_blocks_behind_a_torn_one_of_the_same_commit_go(void **state) {
    struct fixture fixture = {0};
    char *path = ten_records(&fixture);
    uint32_t seed;
    fixture_open(&fixture);
    seed = fixture.stream->layout->shards[0]->seed;
    fixture_close(&fixture);
    uint8_t blocks[2 * BLOCK_BYTES];
    struct record record = {.partition_key = STR("key"), .data = str_from(blocks, RECORD_BYTES)};
    memset(blocks, 0, sizeof blocks);
    for (unsigned i = 0; i < 2; i++) {
        uint8_t *block = blocks + i * BLOCK_BYTES;
        record.data = STR("0123456789012345678901234567890123456789012345678901234567890123456789"
                          "012345678901234567890123456789");
        segment_record_write(block + SEGMENT_BLOCK_HEADER_BYTES, &record);
        segment_block_seal(block, segment_record_bytes(&record), 1, fixture.arrival_ms);
        segment_block_number(block, seed, 10 + i, 10, fixture.arrival_ms);
    }
    blocks[60] ^= 1;
    append(path, blocks, sizeof blocks);
    fixture_open(&fixture);
    assert_int_equal(fixture.stream->layout->shards[0]->next, 10);
    assert_int_equal(fixture.stream->layout->shards[0]->damaged, 0);
    assert_int_equal(file_bytes(path), 10 * BLOCK_BYTES);
    free(path);
    fixture_done(&fixture);
}

static void an_empty_last_segment_continues_the_counters(void **state) {
    struct fixture fixture = {0};
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture_fill(&fixture, 0, 10, RECORD_BYTES);
    assert_int_equal(shard_roll(fixture.stream->layout->shards[0]), 0);
    fixture_close(&fixture);
    fixture_open(&fixture);
    struct shard *shard = fixture.stream->layout->shards[0];
    assert_int_equal(shard->segment_count, 2);
    assert_int_equal(shard->next, 10);
    assert_int_equal(shard->last_ms, fixture.arrival_ms);
    assert_int_equal(shard->segments[0].last_ms, fixture.arrival_ms);
    assert_int_equal(fixture_put(&fixture, 0, STR("x")), 0);
    assert_int_equal(shard->segment_count, 2);
    fixture_done(&fixture);
}

static void the_shards_of_a_stream_are_fixed(void **state) {
    struct fixture fixture = {0};
    free(ten_records(&fixture));
    fixture.log_config.directory = fixture.directory;
    struct err err;
    assert_int_equal(log_core_open(&fixture.log_config, &fixture.log, &err), 0);
    fixture.config.shard_count = 2;
    assert_int_equal(stream_open(fixture.log, &fixture.config, &fixture.stream, &err), ERR_INVALID);
    assert_non_null(strstr(err.text, "has 1 shards"));
    fixture_done(&fixture);
}

static void copy_file(const char *from, const char *to) {
    char command[256];
    snprintf(command, sizeof command, "cp %s %s", from, to);
    assert_int_equal(system(command), 0);
}

/* Remains of a write that failed after the last commit, when the disk failed the cut as well. */
static void nothing_comes_behind_the_end_of_a_closed_shard(void **state) {
    struct fixture fixture = {0};
    char aside[64];
    fixture_init(&fixture);
    snprintf(aside, sizeof aside, "%s/aside", fixture.directory);
    fixture_open(&fixture);
    fixture_fill(&fixture, 0, 10, RECORD_BYTES);
    char *path = fixture_segment(&fixture, 0, 0);
    copy_file(path, aside);
    fixture_split(&fixture, 0);
    assert_int_equal(fixture.stream->layout->meta.shards[0].end_counter, 10);
    fixture_close(&fixture);

    char command[256], meta[64];
    snprintf(meta, sizeof meta, "%s/streams/test/stream.meta", fixture.directory);
    snprintf(command, sizeof command, "sed -i '/closed/s/ 10$/ 8/' %s", meta);
    assert_int_equal(system(command), 0);
    copy_file(aside, path);
    fixture_open(&fixture);
    struct shard *shard = fixture.stream->layout->shards[0];
    assert_int_equal(shard->next, 8);
    assert_int_equal(shard->damaged, 0);
    assert_int_equal(file_bytes(path), 8 * BLOCK_BYTES);
    assert_int_equal(shard_phase(shard), SHARD_CLOSED);
    free(path);
    fixture_done(&fixture);
}

int main(void) {
    log_setup(LOG_ERROR, LOG_TEXT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_closed_shard_goes_on_where_it_was),
        cmocka_unit_test(zeros_behind_the_end_are_space_made_ready),
        cmocka_unit_test(each_torn_tail_is_cut_to_whole_blocks),
        cmocka_unit_test(torn_tails_of_compressed_blocks_are_cut_too),
        cmocka_unit_test(garbage_behind_the_end_is_cut),
        cmocka_unit_test(a_damaged_payload_in_the_middle_is_kept_aside),
        cmocka_unit_test(a_damaged_header_in_the_middle_is_kept_aside),
        cmocka_unit_test(whole_blocks_behind_a_torn_one_of_the_same_commit_go),
        cmocka_unit_test(an_empty_last_segment_continues_the_counters),
        cmocka_unit_test(the_shards_of_a_stream_are_fixed),
        cmocka_unit_test(nothing_comes_behind_the_end_of_a_closed_shard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
