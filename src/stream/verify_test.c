#include "base/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "stream/fixture.h"

enum {
    RECORD_BYTES = 100,
    BLOCK_BYTES = 48 + 8 + 3 + 100 + 1,
    PER_SEGMENT = 10,
}; /* one record with the key "key", padded */

struct seen {
    unsigned faults, progress;
    char path[256], what[256]; /* of the first fault */
    int64_t offset;
};

static void on_fault(void *data, const char *path, int64_t offset, const char *what) {
    struct seen *seen = data;
    if (seen->faults++ == 0) {
        snprintf(seen->path, sizeof seen->path, "%s", path);
        snprintf(seen->what, sizeof seen->what, "%s", what);
        seen->offset = offset;
    }
}

static void on_progress(void *data, const char *path, const struct stream_verify_counts *counts) {
    struct seen *seen = data;
    seen->progress++;
    assert_true(counts->bytes <= counts->bytes_all);
}

static struct stream_verify_counts verify(const struct fixture *fixture, struct seen *ret_seen) {
    *ret_seen = (struct seen){0};
    const struct stream_verify_watch watch = {on_fault, on_progress, ret_seen};
    struct stream_verify_counts counts;
    struct err err;
    assert_int_equal(stream_verify(fixture->directory, &watch, &counts, &err), 0);
    assert_int_equal(counts.faults, ret_seen->faults);
    return counts;
}

/* Three segments of ten records and one of five, closed. */
static void fill(struct fixture *fixture) {
    *fixture = (struct fixture){.log_config.segment_bytes_max = PER_SEGMENT * BLOCK_BYTES};
    fixture_init(fixture);
    fixture_open(fixture);
    fixture_fill(fixture, 0, 3 * PER_SEGMENT + 5, RECORD_BYTES);
}

static char *segment(struct fixture *fixture, uint64_t first) {
    return xprintf("%s/streams/test/shardId-000000000000/%020llu.seg", fixture->directory,
                   (unsigned long long)first);
}

static void what_is_whole_has_no_fault(void **state) {
    struct fixture fixture;
    struct seen seen;
    fill(&fixture);
    struct stream_verify_counts running = verify(&fixture, &seen);
    assert_int_equal(running.faults, 0);
    fixture_split(&fixture, 0);
    fixture_fill(&fixture, 1, 20, 40000);
    fixture_close(&fixture);
    struct stream_verify_counts counts = verify(&fixture, &seen);
    assert_int_equal(counts.faults, 0);
    assert_int_equal(counts.streams, 1);
    assert_int_equal(counts.shards, 3);
    assert_int_equal(counts.records, 3 * PER_SEGMENT + 5 + 20);
    assert_int_equal(counts.blocks, counts.records);
    assert_int_equal(counts.bytes, counts.bytes_all);
    assert_int_equal(seen.progress, counts.blocks);
    fixture_done(&fixture);
}

static void compressed_blocks_are_checked(void **state) {
    enum { AT_PACKING = 46 };
    struct fixture fixture = {.config.compression_level = 9};
    struct seen seen;
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture_fill(&fixture, 0, 100, 1000);
    struct shard *shard = fixture.stream->layout->shards[0];
    struct stream_verify_counts counts = verify(&fixture, &seen);
    assert_int_equal(counts.faults, 0);
    assert_int_equal(counts.records, 100);
    assert_in_range(counts.bytes, 100 * SEGMENT_BLOCK_HEADER_BYTES, 50 * 1000);

    /* A frame whose sums are right and that is none. */
    char *path = segment(&fixture, 0);
    uint8_t block[1024];
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(pread(fd, block, sizeof block, 0) > 0);
    size_t bytes =
        segment_block_seal(block, segment_block_payload_bytes(block) - 1, 1, fixture.arrival_ms);
    block[AT_PACKING] = 1;
    segment_block_number(block, shard->seed, 0, 0, fixture.arrival_ms);
    assert_int_equal(pwrite(fd, block, bytes, 0), (ssize_t)bytes);
    close(fd);
    assert_int_equal(verify(&fixture, &seen).faults, 1);
    assert_int_equal(seen.offset, 0);
    assert_non_null(strstr(seen.what, "unpacked"));
    free(path);
    fixture_done(&fixture);
}

/* A damaged byte anywhere in a block of a sealed segment is found, with file and place. */
static void a_damaged_byte_is_named_with_its_place(void **state) {
    static const int64_t places[] = {0,  4,  8,  12, 16, 24,  32,
                                     40, 44, 46, 48, 60, 150, BLOCK_BYTES - 1};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        struct fixture fixture;
        struct seen seen;
        fill(&fixture);
        fixture_close(&fixture);
        char *path = segment(&fixture, PER_SEGMENT);
        fixture_damage(path, 4 * BLOCK_BYTES + places[i]);
        verify(&fixture, &seen);
        assert_int_equal(seen.faults, 1);
        assert_string_equal(seen.path, path);
        assert_int_equal(seen.offset, 4 * BLOCK_BYTES);
        fixture_damage(path, 4 * BLOCK_BYTES + places[i]);
        verify(&fixture, &seen);
        assert_int_equal(seen.faults, 0);
        free(path);
        fixture_done(&fixture);
    }
}

static void damage_at_the_end_of_a_sealed_segment_is_found(void **state) {
    struct fixture fixture;
    struct seen seen;
    fill(&fixture);
    fixture_close(&fixture);
    char *path = segment(&fixture, 0);
    assert_int_equal(truncate(path, PER_SEGMENT * BLOCK_BYTES - 8), 0);
    verify(&fixture, &seen);
    assert_int_equal(seen.faults, 2); /* the place, and the gap before the next segment */
    assert_int_equal(seen.offset, (PER_SEGMENT - 1) * BLOCK_BYTES);
    free(path);
    fixture_done(&fixture);
}

static void a_missing_segment_is_found(void **state) {
    struct fixture fixture;
    struct seen seen;
    fill(&fixture);
    fixture_close(&fixture);
    char *missing = segment(&fixture, PER_SEGMENT), *behind = segment(&fixture, 2 * PER_SEGMENT);
    assert_int_equal(unlink(missing), 0);
    verify(&fixture, &seen);
    assert_int_equal(seen.faults, 1);
    assert_string_equal(seen.path, behind);
    assert_non_null(strstr(seen.what, "missing"));
    free(missing);
    free(behind);
    fixture_done(&fixture);
}

/* Remains of a write that was interrupted are no fault: nobody was told that they are safe. */
static void an_unfinished_write_is_no_fault(void **state) {
    struct fixture fixture;
    struct seen seen;
    fill(&fixture);
    fixture_close(&fixture);
    char *path = segment(&fixture, 3 * PER_SEGMENT);
    fixture_damage(path, 4 * BLOCK_BYTES + 60); /* the last block */
    verify(&fixture, &seen);
    assert_int_equal(seen.faults, 0);
    fixture_damage(path, 3 * BLOCK_BYTES + 60); /* and one that a later block knows to be synced */
    fixture_damage(path, 4 * BLOCK_BYTES + 60);
    verify(&fixture, &seen);
    assert_int_equal(seen.faults, 1);
    assert_int_equal(seen.offset, 3 * BLOCK_BYTES);
    free(path);
    fixture_done(&fixture);
}

static void an_index_that_points_elsewhere_is_found(void **state) {
    struct fixture fixture = {0};
    struct seen seen;
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture_fill(&fixture, 0, 40, 20000);
    fixture_close(&fixture);
    assert_int_equal(verify(&fixture, &seen).faults, 0);
    char *path = segment(&fixture, 0);
    memcpy(path + strlen(path) - 3, "idx", 3);
    fixture_damage(path, 24);
    verify(&fixture, &seen);
    assert_int_equal(seen.faults, 1);
    assert_string_equal(seen.path, path);
    assert_int_equal(seen.offset, 24);
    free(path);
    fixture_done(&fixture);
}

static void metadata_is_checked(void **state) {
    struct fixture fixture;
    struct seen seen;
    fill(&fixture);
    fixture_close(&fixture);
    char *stray = xprintf("%s/streams/test/shardId-000000000007", fixture.directory);
    assert_int_equal(file_make_directories(stray, NULL), 0);
    verify(&fixture, &seen);
    assert_int_equal(seen.faults, 1);
    assert_string_equal(seen.path, stray);
    char *meta = xprintf("%s/streams/test/stream.meta", fixture.directory);
    fixture_damage(meta, 3);
    verify(&fixture, &seen);
    assert_int_equal(seen.faults, 1);
    assert_string_equal(seen.path, meta);
    free(stray);
    free(meta);
    fixture_done(&fixture);
}

/* Also when only its last record is missing. */
static void a_closed_shard_must_reach_its_end(void **state) {
    static const struct {
        int64_t blocks;
        const char *what;
    } cases[] = {{2, "ends with record 31, but it was closed behind 34"},
                 {4, "ends with record 33, but it was closed behind 34"}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct fixture fixture;
        struct seen seen;
        fill(&fixture);
        fixture_split(&fixture, 0);
        fixture_close(&fixture);
        char *last = segment(&fixture, 3 * PER_SEGMENT);
        assert_int_equal(truncate(last, cases[i].blocks * BLOCK_BYTES), 0);
        verify(&fixture, &seen);
        assert_int_equal(seen.faults, 1);
        assert_non_null(strstr(seen.what, cases[i].what));
        free(last);
        fixture_done(&fixture);
    }
}

/* ---- blocks made by hand: both sums are right, and what they say is not ---- */

enum { MADE_BYTES_MAX = 256, MADE_BYTES = 48 + 2 * (8 + 3) + 2, AT_LAST_DELTA = 44 };

struct made {
    uint64_t first, synced, base_ms;
    uint16_t deltas[2], last_delta; /* two records of a block */
    uint32_t count;                 /* as the header tells it */
    uint8_t padding;
};

static size_t make_block(const struct fixture *fixture, const struct made *made, uint8_t *block) {
    const struct record record = {.partition_key = STR("k"), .data = STR("12")};
    uint32_t seed = fixture->stream->layout->shards[0]->seed;
    size_t used = SEGMENT_BLOCK_HEADER_BYTES;
    memset(block, 0, MADE_BYTES_MAX);
    for (int i = 0; i < 2; i++) {
        segment_record_write(block + used, &record);
        memcpy(block + used + 6, &made->deltas[i], sizeof made->deltas[i]);
        used += segment_record_bytes(&record);
    }
    size_t bytes =
        segment_block_seal(block, used - SEGMENT_BLOCK_HEADER_BYTES, made->count, made->base_ms);
    assert_int_equal(bytes, MADE_BYTES);
    memcpy(block + AT_LAST_DELTA, &made->last_delta, sizeof made->last_delta);
    segment_block_number(block, seed, made->first, made->synced, made->base_ms);
    block[bytes - 1] = made->padding;
    return bytes;
}

/* The shard's only segment becomes these blocks; `damaged`: the number of one that does not check, or -1. */
static void write_made(struct fixture *fixture, const struct made *blocks, unsigned count,
                       int damaged) {
    uint8_t block[MADE_BYTES_MAX];
    char *path = segment(fixture, 0);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    for (unsigned i = 0; i < count; i++) {
        size_t bytes = make_block(fixture, &blocks[i], block);
        if ((int)i == damaged)
            block[60] ^= 0xff;
        assert_int_equal(write(fd, block, bytes), bytes);
    }
    close(fd);
    free(path);
}

static const struct made good[3] = {{.first = 0, .base_ms = 1000, .count = 2},
                                    {.first = 2, .synced = 2, .base_ms = 1000, .count = 2},
                                    {.first = 4, .synced = 4, .base_ms = 1001, .count = 2}};

static void begin_made(struct fixture *fixture) {
    *fixture = (struct fixture){.log = NULL};
    fixture_init(fixture);
    fixture_open(fixture);
    fixture_fill(fixture, 0, 1, RECORD_BYTES); /* so that there is a segment */
}

static void assert_made(struct fixture *fixture, const struct made *changed, const char *what) {
    struct made blocks[3] = {good[0], *changed, good[2]};
    struct seen seen;
    write_made(fixture, blocks, 3, -1);
    verify(fixture, &seen);
    if (seen.faults != 1 || !strstr(seen.what, what))
        fail_msg("%u faults, \"%s\", not \"%s\"", seen.faults, seen.what, what);
    assert_int_equal(seen.offset, MADE_BYTES);
}

static void what_a_block_says_of_itself_is_checked(void **state) {
    struct fixture fixture;
    struct seen seen;
    struct made made;
    begin_made(&fixture);
    write_made(&fixture, good, 3, -1);
    struct stream_verify_counts counts = verify(&fixture, &seen);
    assert_int_equal(seen.faults, 0);
    assert_int_equal(counts.records, 6);
    made = good[1], made.deltas[0] = 2, made.deltas[1] = 1, made.last_delta = 1;
    assert_made(&fixture, &made, "arrivals of records fall");
    made = good[1], made.last_delta = 1;
    assert_made(&fixture, &made, "another last arrival");
    made = good[1], made.padding = 1;
    assert_made(&fixture, &made, "padding");
    made = good[1], made.base_ms = 999;
    assert_made(&fixture, &made, "arrived before the one in front of it");
    fixture_done(&fixture);
}

static void a_number_of_records_that_is_another(void **state) {
    struct made blocks[2] = {good[0], good[1]};
    struct fixture fixture;
    struct seen seen;
    begin_made(&fixture);
    blocks[1].count = 1;
    write_made(&fixture, blocks, 2, -1);
    verify(&fixture, &seen);
    assert_int_equal(seen.faults, 1);
    assert_non_null(strstr(seen.what, "another number of records"));
    fixture_done(&fixture);
}

static void what_is_synced_stays_synced(void **state) {
    struct made blocks[3] = {good[0], good[1], good[2]};
    struct fixture fixture;
    struct seen seen;
    begin_made(&fixture);
    blocks[2].synced = 1;
    write_made(&fixture, blocks, 3, -1);
    verify(&fixture, &seen);
    assert_int_equal(seen.faults, 1);
    assert_non_null(strstr(seen.what, "synced counter falls"));
    assert_int_equal(seen.offset, 2 * MADE_BYTES);
    fixture_done(&fixture);
}

/* At the end of the last segment a block that does not check was acknowledged only if a later one says so. */
static void what_nobody_was_told_of_is_not_missed(void **state) {
    struct made blocks[3] = {good[0], good[1], good[2]};
    struct fixture fixture;
    struct seen seen;
    begin_made(&fixture);
    write_made(&fixture, blocks, 3, 1);
    verify(&fixture, &seen);
    assert_int_equal(seen.faults, 1);
    assert_int_equal(seen.offset, MADE_BYTES);
    blocks[2].synced = 2;
    write_made(&fixture, blocks, 3, 1);
    assert_int_equal(verify(&fixture, &seen).records, 2);
    assert_int_equal(seen.faults, 0);
    fixture_done(&fixture);
}

static void mend(void *data, const char *path, const struct stream_verify_counts *counts) {
    if (counts->blocks == 1)
        fixture_damage(path, MADE_BYTES + 60);
}

/* As one that a running process was about to write. */
static void what_does_not_check_is_looked_at_twice(void **state) {
    struct fixture fixture;
    struct seen seen = {0};
    const struct stream_verify_watch watch = {on_fault, mend, &seen};
    struct stream_verify_counts counts;
    struct err err;
    begin_made(&fixture);
    write_made(&fixture, good, 3, -1);
    char *path = segment(&fixture, 0);
    fixture_damage(path, MADE_BYTES + 60);
    assert_int_equal(stream_verify(fixture.directory, &watch, &counts, &err), 0);
    assert_int_equal(seen.faults, 0);
    assert_int_equal(counts.records, 6);
    free(path);
    fixture_done(&fixture);
}

static void a_shard_that_cannot_be_listed_is_told_once(void **state) {
    struct fixture fixture;
    struct seen seen;
    fill(&fixture);
    fixture_close(&fixture);
    char *shard = xprintf("%s/streams/test/shardId-000000000000", fixture.directory);
    char *away = xprintf("%s/away", fixture.directory);
    assert_int_equal(rename(shard, away), 0);
    int fd = open(shard, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    verify(&fixture, &seen);
    assert_int_equal(seen.faults, 1);
    assert_string_equal(seen.path, shard);
    free(shard);
    free(away);
    fixture_done(&fixture);
}

static void a_stream_that_has_gone_is_no_fault(void **state) {
    struct fixture fixture;
    struct seen seen;
    fill(&fixture);
    fixture_close(&fixture);
    char *gone = xprintf("%s/streams/gone", fixture.directory);
    assert_int_equal(symlink("/nonexistent", gone), 0); /* is listed, and cannot be found */
    struct stream_verify_counts counts = verify(&fixture, &seen);
    assert_int_equal(seen.faults, 0);
    assert_int_equal(counts.streams, 1);
    free(gone);
    fixture_done(&fixture);
}

static void a_directory_without_streams_is_an_error(void **state) {
    struct stream_verify_counts counts;
    struct seen seen = {0};
    const struct stream_verify_watch watch = {on_fault, NULL, &seen};
    struct err err;
    assert_int_equal(stream_verify("/nonexistent", &watch, &counts, &err), ERR_NOT_FOUND);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_whole_has_no_fault),
        cmocka_unit_test(compressed_blocks_are_checked),
        cmocka_unit_test(a_damaged_byte_is_named_with_its_place),
        cmocka_unit_test(damage_at_the_end_of_a_sealed_segment_is_found),
        cmocka_unit_test(a_missing_segment_is_found),
        cmocka_unit_test(an_unfinished_write_is_no_fault),
        cmocka_unit_test(an_index_that_points_elsewhere_is_found),
        cmocka_unit_test(metadata_is_checked),
        cmocka_unit_test(a_closed_shard_must_reach_its_end),
        cmocka_unit_test(what_a_block_says_of_itself_is_checked),
        cmocka_unit_test(a_number_of_records_that_is_another),
        cmocka_unit_test(what_is_synced_stays_synced),
        cmocka_unit_test(what_nobody_was_told_of_is_not_missed),
        cmocka_unit_test(what_does_not_check_is_looked_at_twice),
        cmocka_unit_test(a_shard_that_cannot_be_listed_is_told_once),
        cmocka_unit_test(a_stream_that_has_gone_is_no_fault),
        cmocka_unit_test(a_directory_without_streams_is_an_error),
    };
    log_setup((enum log_level)(LOG_ERROR + 1), LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
