#include "base/test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/mem.h"
#include "stream/fault_file.h"
#include "stream/fixture.h"

static void open_with_faults(struct fixture *fixture, struct fault_file *fault) {
    fixture_init(fixture);
    fixture->log_config.file = fault_file_ops(fault);
    fixture->log_config.segment_bytes_max = 1 << 20;
    fixture_open(fixture);
    fixture_fill(fixture, 0, 5, 100);
}

/* All records of the shard, by their counters. */
static uint64_t count_records(struct fixture *fixture) {
    struct shard *shard = fixture->stream->layout->shards[0];
    struct shard_tip tip = shard_tip_get(shard);
    struct cursor cursor;
    struct stream_batch batch;
    uint64_t next = 0;
    cursor_init(&cursor, &file_ops_real, shard->directory, shard->seed, true);
    assert_int_equal(cursor_seek_oldest(&cursor, &tip), 0);
    while (cursor_next(&cursor, &tip, 100, 1 << 20, &batch) == 0)
        for (size_t i = 0; i < batch.count; i++)
            assert_int_equal(batch.records[i].counter, next++);
    cursor_done(&cursor);
    return next;
}

static int64_t file_bytes(struct fixture *fixture, uint64_t first) {
    char *path = fixture_segment(fixture, 0, first);
    struct stat now;
    assert_int_equal(stat(path, &now), 0);
    free(path);
    return now.st_size;
}

static void arrivals_never_fall(void **state) {
    struct fixture fixture = {0};
    fixture_init(&fixture);
    fixture_open(&fixture);
    const uint64_t clocks[] = {5000, 4000, 4500, 6000, 1, 6001};
    const uint64_t arrivals[] = {5000, 5000, 5000, 6000, 6000, 6001};
    for (size_t i = 0; i < COUNT_OF(clocks); i++) {
        fixture.arrival_ms = clocks[i];
        assert_int_equal(fixture_put(&fixture, 0, STR("x")), 0);
        assert_int_equal(fixture.stream->layout->shards[0]->last_ms, arrivals[i]);
    }
    fixture_done(&fixture);
}

static void segments_roll_at_their_bound(void **state) {
    struct fixture fixture = {.log_config.segment_bytes_max = 2000};
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture_fill(&fixture, 0, 100, 100);
    struct shard *shard = fixture.stream->layout->shards[0];
    assert_int_equal(shard->segment_count, 100 / 12 + 1);
    for (size_t i = 0; i < shard->segment_count; i++) {
        assert_int_equal(shard->segments[i].first, 12 * i);
        assert_true(shard->segments[i].bytes <= 2000);
        if (i + 1 < shard->segment_count)
            assert_int_equal(file_bytes(&fixture, 12 * i), shard->segments[i].bytes);
    }
    assert_int_equal(count_records(&fixture), 100);
    fixture_done(&fixture);
}

static void a_commit_larger_than_a_segment_goes_into_one(void **state) {
    struct fixture fixture = {.log_config.segment_bytes_max = 2000};
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture_fill(&fixture, 0, 1, 100);
    fixture_fill(&fixture, 0, 1, 500000);
    fixture_fill(&fixture, 0, 1, 100);
    assert_int_equal(fixture.stream->layout->shards[0]->segment_count, 3);
    assert_int_equal(count_records(&fixture), 3);
    fixture_done(&fixture);
}

static void space_is_made_ready_and_given_back(void **state) {
    struct fixture fixture = {0};
    fixture_init(&fixture);
    fixture_open(&fixture);
    struct shard *shard = fixture.stream->layout->shards[0];
    assert_int_equal(shard->segment_count, 0);
    fixture_fill(&fixture, 0, 1, 100);
    assert_true(file_bytes(&fixture, 0) >= shard->end + 10000);
    assert_true(file_bytes(&fixture, 0) < 1 << 16);
    fixture_fill(&fixture, 0, 60, 100000);
    assert_true(file_bytes(&fixture, 0) > shard->end);
    int64_t end = shard->end;
    assert_int_equal(shard_roll(shard), 0);
    assert_int_equal(file_bytes(&fixture, 0), end);
    fixture_done(&fixture);
}

/* Shards that are idle give their descriptors back; they find again what was made ready, and what they
 * held is sealed as ever. */
static void descriptors_are_bounded(void **state) {
    struct fixture fixture = {.config.shard_count = FIXTURE_SHARDS_MAX};
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture.log->files.count_max = 2;
    for (unsigned round = 0; round < 5; round++)
        for (unsigned i = 0; i < FIXTURE_SHARDS_MAX; i++) {
            fixture_fill(&fixture, i, 1, 100);
            assert_true(fixture.log->files.count <= 2);
        }
    struct shard *idle = fixture.stream->layout->shards[0];
    assert_int_equal(idle->fd, -1);
    assert_true(idle->made > idle->end);
    assert_int_equal(idle->next, 5);
    assert_int_equal(shard_roll(idle), 0);
    assert_int_equal(file_bytes(&fixture, 0), idle->segments[0].bytes);
    fixture_close(&fixture);
    fixture_open(&fixture);
    assert_int_equal(count_records(&fixture), 5);
    fixture_done(&fixture);
}

/* All of them in one commit. */
static void a_commit_may_have_more_shards_than_descriptors(void **state) {
    struct fixture fixture = {.config.shard_count = FIXTURE_SHARDS_MAX};
    struct batch batch;
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture.log->files.count_max = 3;
    for (unsigned i = 0; i < FIXTURE_SHARDS_MAX; i++) {
        const struct record record = {.partition_key = STR("k"), .data = STR("data")};
        stage_push(&fixture.stages[i], &fixture.pool, &record, fixture.arrival_ms);
    }
    fixture_seal(&fixture, &batch);
    log_commit(fixture.log, fixture.now_ms);
    assert_int_equal(fixture.status, 0);
    assert_true(fixture.log->files.count <= 3);
    for (unsigned i = 0; i < FIXTURE_SHARDS_MAX; i++)
        assert_int_equal(shard_tip_get(fixture.stream->layout->shards[i]).counter, 1);
    fixture_done(&fixture);
}

static void without_space_a_commit_fails_and_the_next_is_tried(void **state) {
    struct fault_file *fault = fault_file_new(1);
    struct fixture fixture = {0};
    open_with_faults(&fixture, fault);
    struct shard *shard = fixture.stream->layout->shards[0];
    for (int i = 0; i < 3; i++) {
        fault_file_fail(fault, 1, ERR_NO_SPACE, false);
        assert_int_equal(fixture_put(&fixture, 0, STR("too much")), ERR_NO_SPACE);
        assert_int_equal(atomic_load(&shard->refusal), 0);
        assert_int_equal(file_bytes(&fixture, 0), shard->end);
        assert_int_equal(count_records(&fixture), 5 + i);
        assert_int_equal(fixture_put(&fixture, 0, STR("fits again")), 0);
    }
    assert_int_equal(shard->segment_count, 1);
    assert_int_equal(metric_get(&fixture.stream->metrics.failures), 3);
    fixture_done(&fixture);
    fault_file_free(fault);
}

static void a_failed_sync_closes_the_segment(void **state) {
    struct fault_file *fault = fault_file_new(2);
    struct fixture fixture = {0};
    open_with_faults(&fixture, fault);
    struct shard *shard = fixture.stream->layout->shards[0];
    fault_file_fail(fault, 2, ERR_IO, false);
    assert_int_equal(fixture_put(&fixture, 0, STR("unsure")), ERR_IO);
    assert_int_equal(atomic_load(&shard->refusal), ERR_IO);
    assert_int_equal(file_bytes(&fixture, 0), shard->end);
    assert_int_equal(fixture_put(&fixture, 0, STR("too early")), ERR_IO);
    shard_retry(shard, fixture.now_ms + SHARD_RETRY_MS - 1);
    assert_int_equal(atomic_load(&shard->refusal), ERR_IO);
    shard_retry(shard, fixture.now_ms + SHARD_RETRY_MS);
    assert_int_equal(atomic_load(&shard->refusal), 0);
    assert_int_equal(fixture_put(&fixture, 0, STR("anew")), 0);
    assert_int_equal(shard->segment_count, 2);
    assert_int_equal(shard->segments[1].first, 5);
    assert_int_equal(count_records(&fixture), 6);
    fixture_done(&fixture);
    fault_file_free(fault);
}

/* After it the kernel may think that what it could not write is clean; so nothing more is trusted
 * to that file. */
static void a_sync_that_fails_later_closes_the_segment_as_well(void **state) {
    struct fault_file *fault = fault_file_new(5);
    struct fixture fixture = {.log_config.sync = STREAM_SYNC_INTERVAL};
    open_with_faults(&fixture, fault);
    struct shard *shard = fixture.stream->layout->shards[0];
    fault_file_fail(fault, 1, ERR_IO, false);
    log_sync_all(fixture.log, fixture.now_ms);
    assert_int_equal(fault_file_failures(fault), 1);
    assert_int_equal(metric_get(&fixture.log->sync_failures), 1);
    assert_int_equal(atomic_load(&shard->refusal), ERR_IO);
    assert_int_equal(fixture_put(&fixture, 0, STR("too early")), ERR_IO);
    shard_retry(shard, fixture.now_ms + SHARD_RETRY_MS);
    assert_int_equal(fixture_put(&fixture, 0, STR("anew")), 0);
    assert_int_equal(shard->segment_count, 2);
    assert_int_equal(shard->segments[1].first, 5);
    log_sync_all(fixture.log, fixture.now_ms);
    assert_int_equal(metric_get(&fixture.log->sync_failures), 1);
    fixture_done(&fixture);
    fault_file_free(fault);
}

/* The commit before it is told and stays; the next ones see a shard that is broken. */
static void space_that_cannot_be_made_ready_closes_the_segment(void **state) {
    struct fault_file *fault = fault_file_new(6);
    struct fixture fixture = {0};
    open_with_faults(&fixture, fault);
    struct shard *shard = fixture.stream->layout->shards[0];
    unsigned put = 0;
    fault_file_fail(fault, 3, ERR_IO, false); /* the write and its sync go well */
    while (!fault_file_failures(fault)) {
        assert_int_equal(fixture_put(&fixture, 0, STR("kept")), 0);
        put++;
        if (!fault_file_failures(fault))
            fault_file_fail(fault, 3, ERR_IO, false);
        assert_true(put < 10000);
    }
    assert_int_equal(atomic_load(&shard->refusal), ERR_IO);
    assert_int_equal(count_records(&fixture), 5 + put);
    shard_retry(shard, fixture.now_ms + SHARD_RETRY_MS);
    assert_int_equal(fixture_put(&fixture, 0, STR("anew")), 0);
    assert_int_equal(shard->segment_count, 2);
    assert_int_equal(count_records(&fixture), 6 + put);
    fixture_done(&fixture);
    fault_file_free(fault);
}

static void a_disk_that_stays_broken_is_tried_until_it_heals(void **state) {
    struct fault_file *fault = fault_file_new(3);
    struct fixture fixture = {0};
    open_with_faults(&fixture, fault);
    struct shard *shard = fixture.stream->layout->shards[0];
    fault_file_fail(fault, 1, ERR_IO, true);
    assert_int_equal(fixture_put(&fixture, 0, STR("lost")), ERR_IO);
    for (int i = 1; i <= 3; i++) {
        shard_retry(shard, fixture.now_ms + (uint64_t)i * SHARD_RETRY_MS);
        assert_int_equal(atomic_load(&shard->refusal), ERR_IO);
        assert_int_equal(count_records(&fixture), 5);
    }
    fault_file_heal(fault);
    shard_retry(shard, fixture.now_ms + 4 * SHARD_RETRY_MS);
    assert_int_equal(fixture_put(&fixture, 0, STR("kept")), 0);
    assert_int_equal(count_records(&fixture), 6);
    fixture_done(&fixture);
    fault_file_free(fault);
}

static void one_broken_shard_does_not_hold_the_others(void **state) {
    struct fault_file *fault = fault_file_new(4);
    struct fixture fixture = {.config.shard_count = 2, .log_config.file = fault_file_ops(fault)};
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture_fill(&fixture, 0, 3, 100);
    fixture_fill(&fixture, 1, 3, 100);
    fault_file_fail(fault, 1, ERR_IO, false);
    assert_int_equal(fixture_put(&fixture, 0, STR("x")), ERR_IO);
    assert_int_equal(fixture_put(&fixture, 1, STR("x")), 0);
    assert_int_equal(atomic_load(&fixture.stream->layout->shards[0]->refusal), ERR_IO);
    assert_int_equal(atomic_load(&fixture.stream->layout->shards[1]->refusal), 0);
    fixture_done(&fixture);
    fault_file_free(fault);
}

int main(void) {
    log_setup((enum log_level)(LOG_ERROR + 1), LOG_TEXT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arrivals_never_fall),
        cmocka_unit_test(segments_roll_at_their_bound),
        cmocka_unit_test(a_commit_larger_than_a_segment_goes_into_one),
        cmocka_unit_test(space_is_made_ready_and_given_back),
        cmocka_unit_test(descriptors_are_bounded),
        cmocka_unit_test(a_commit_may_have_more_shards_than_descriptors),
        cmocka_unit_test(without_space_a_commit_fails_and_the_next_is_tried),
        cmocka_unit_test(a_failed_sync_closes_the_segment),
        cmocka_unit_test(a_sync_that_fails_later_closes_the_segment_as_well),
        cmocka_unit_test(space_that_cannot_be_made_ready_closes_the_segment),
        cmocka_unit_test(a_disk_that_stays_broken_is_tried_until_it_heals),
        cmocka_unit_test(one_broken_shard_does_not_hold_the_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
