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

static void a_closed_shard_must_reach_its_end(void **state) {
    struct fixture fixture;
    struct seen seen;
    fill(&fixture);
    fixture_split(&fixture, 0);
    fixture_close(&fixture);
    char *last = segment(&fixture, 3 * PER_SEGMENT);
    assert_int_equal(truncate(last, 2 * BLOCK_BYTES), 0);
    verify(&fixture, &seen);
    assert_int_equal(seen.faults, 1);
    assert_non_null(strstr(seen.what, "closed behind 34"));
    free(last);
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
        cmocka_unit_test(a_damaged_byte_is_named_with_its_place),
        cmocka_unit_test(damage_at_the_end_of_a_sealed_segment_is_found),
        cmocka_unit_test(a_missing_segment_is_found),
        cmocka_unit_test(an_unfinished_write_is_no_fault),
        cmocka_unit_test(an_index_that_points_elsewhere_is_found),
        cmocka_unit_test(metadata_is_checked),
        cmocka_unit_test(a_closed_shard_must_reach_its_end),
        cmocka_unit_test(a_directory_without_streams_is_an_error),
    };
    log_setup((enum log_level)(LOG_ERROR + 1), LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
