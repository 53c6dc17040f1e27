#include "base/test.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "stream/fixture.h"

static size_t files(struct fixture *fixture, unsigned shard) {
    struct segment_list list;
    assert_int_equal(segment_list_read(fixture->stream->layout->shards[shard]->directory, &list),
                     0);
    size_t count = list.count;
    segment_list_done(&list);
    return count;
}

static uint64_t horizon(struct fixture *fixture) {
    return fixture->stream->layout->shards[0]->segments[0].first;
}

static void old_segments_go(void **state) {
    struct fixture fixture = {.config.retention_ms = 3600 * 1000};
    fixture_init(&fixture);
    fixture_open(&fixture);
    uint64_t start_ms = fixture.arrival_ms;
    /* One record a minute: a segment holds six minutes, a tenth of the retention period. */
    for (unsigned i = 0; i < 60; i++, fixture.arrival_ms += 60 * 1000)
        fixture_fill(&fixture, 0, 1, 100);
    size_t before = fixture.stream->layout->shards[0]->segment_count;
    assert_in_range(before, 8, 11);
    retention_run(fixture.log, fixture.now_ms, start_ms + 3600 * 1000);
    assert_int_equal(horizon(&fixture), 0);
    retention_run(fixture.log, fixture.now_ms, start_ms + 3600 * 1000 + 1800 * 1000);
    assert_in_range(horizon(&fixture), 22, 30);
    assert_int_equal(files(&fixture, 0), fixture.stream->layout->shards[0]->segment_count);
    assert_true(metric_get(&fixture.stream->metrics.trimmed_segments) > 0);
    fixture_done(&fixture);
}

static void an_idle_stream_becomes_empty_and_keeps_its_counter(void **state) {
    struct fixture fixture = {.config.retention_ms = 3600 * 1000};
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture_fill(&fixture, 0, 10, 100);
    retention_run(fixture.log, fixture.now_ms, fixture.arrival_ms + 3600 * 1000 + 1);
    assert_int_equal(horizon(&fixture), 10);
    assert_int_equal(metric_get(&fixture.stream->metrics.disk_bytes), 0);
    fixture_close(&fixture);
    fixture_open(&fixture);
    assert_int_equal(fixture.stream->layout->shards[0]->next, 10);
    assert_int_equal(fixture_put(&fixture, 0, STR("x")), 0);
    fixture_done(&fixture);
}

static void the_oldest_go_beyond_the_bound(void **state) {
    struct fixture fixture = {.config = {.bytes_max = 2000000, .shard_count = 2}};
    fixture_init(&fixture);
    fixture_open(&fixture);
    for (unsigned i = 0; i < 100; i++, fixture.arrival_ms++)
        fixture_fill(&fixture, i % 2, 1, 50000);
    retention_run(fixture.log, fixture.now_ms, fixture.arrival_ms);
    assert_in_range(metric_get(&fixture.stream->metrics.disk_bytes), 1500000, 2000000);
    assert_true(fixture.stream->layout->shards[0]->segments[0].first > 0);
    assert_true(fixture.stream->layout->shards[1]->segments[0].first > 0);
    fixture_done(&fixture);
}

static void delivery_buffers_stay_until_released(void **state) {
    struct fixture fixture = {.config = {.kind = STREAM_DELIVERY, .retention_ms = 1},
                              .log_config.segment_bytes_max = 1000};
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture_fill(&fixture, 0, 60, 100);
    retention_run(fixture.log, fixture.now_ms, fixture.arrival_ms + 100000);
    assert_int_equal(horizon(&fixture), 0);
    retention_release(fixture.stream, 0, 17, fixture.now_ms);
    assert_int_equal(horizon(&fixture), 12);
    retention_release(fixture.stream, 0, 5, fixture.now_ms);
    assert_int_equal(horizon(&fixture), 12);
    retention_release(fixture.stream, 0, 1000, fixture.now_ms);
    assert_int_equal(horizon(&fixture), 54);
    fixture_done(&fixture);
}

static void a_full_delivery_buffer_refuses_and_takes_again(void **state) {
    struct fixture fixture = {.config = {.kind = STREAM_DELIVERY, .bytes_max = 500000}};
    fixture_init(&fixture);
    fixture_open(&fixture);
    struct shard *shard = fixture.stream->layout->shards[0];
    while (atomic_load(&shard->refusal) == 0)
        fixture_fill(&fixture, 0, 1, 10000);
    assert_int_equal(atomic_load(&shard->refusal), ERR_NO_SPACE);
    assert_int_equal(metric_get(&fixture.stream->metrics.full), 1);
    uint64_t next = shard->next;
    assert_in_range(next, 45, 55);

    fixture_close(&fixture); /* It is known to be full after a restart, too. */
    fixture_open(&fixture);
    shard = fixture.stream->layout->shards[0];
    assert_int_equal(atomic_load(&shard->refusal), ERR_NO_SPACE);

    retention_release(fixture.stream, 0, next / 2, fixture.now_ms);
    assert_int_equal(atomic_load(&shard->refusal), 0);
    retention_release(fixture.stream, 0, next, fixture.now_ms);
    assert_int_equal(fixture_put(&fixture, 0, STR("x")), 0);
    fixture_done(&fixture);
}

/* The whole backlog lies in the last segment. */
static void a_full_buffer_of_one_segment_can_be_released(void **state) {
    struct fixture fixture = {.config = {.kind = STREAM_DELIVERY, .bytes_max = 1000}};
    fixture_init(&fixture);
    fixture_open(&fixture);
    struct shard *shard = fixture.stream->layout->shards[0];
    fixture_fill(&fixture, 0, 1, 2000);
    assert_int_equal(atomic_load(&shard->refusal), ERR_NO_SPACE);
    retention_release(fixture.stream, 0, 1, fixture.now_ms);
    assert_int_equal(atomic_load(&shard->refusal), 0);
    assert_int_equal(files(&fixture, 0), 1);
    assert_int_equal(horizon(&fixture), 1);
    fixture_done(&fixture);
}

/* ---- shards that were split ---- */

static enum meta_state state_of(struct fixture *fixture, unsigned shard) {
    return fixture->stream->layout->meta.shards[shard].state;
}

static void a_closed_shard_goes_with_its_last_record(void **state) {
    struct fixture fixture = {.config.retention_ms = 3600 * 1000,
                              .log_config.segment_bytes_max = 1000};
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture_fill(&fixture, 0, 10, 300);
    char *directory = xstrdup(fixture.stream->layout->shards[0]->directory);
    struct shard *shard = fixture.stream->layout->shards[0];
    fixture_split(&fixture, 0);
    uint64_t closed_ms = fixture.stream->layout->meta.shards[0].closed_ms;
    fixture_put(&fixture, 2, STR("child"));
    retention_run(fixture.log, fixture.now_ms, closed_ms + 3600 * 1000);
    assert_int_equal(files(&fixture, 0), 0);
    assert_int_equal(state_of(&fixture, 0), META_CLOSED);
    assert_int_equal(atomic_load(&shard->oldest), 10);
    retention_run(fixture.log, fixture.now_ms, closed_ms + 3600 * 1000 + 1);
    assert_int_equal(state_of(&fixture, 0), META_GONE);
    assert_int_equal(state_of(&fixture, 2), META_OPEN);
    assert_int_equal(shard_phase(shard), SHARD_GONE);
    assert_int_not_equal(access(directory, F_OK), 0);
    struct stream_shard_info info;
    stream_shard_get(fixture.stream, 0, &info);
    assert_true(info.removed);
    assert_int_equal(info.first_counter, 10);
    free(directory);
    fixture_close(&fixture);

    fixture_open(&fixture);
    assert_int_equal(stream_shard_count(fixture.stream), 3);
    stream_shard_get(fixture.stream, 0, &info);
    assert_true(info.removed);
    assert_int_equal(info.parent, STREAM_NO_SHARD);
    fixture_split(&fixture, 1);
    assert_int_equal(stream_shard_count(fixture.stream), 3); /* told to no service loop */
    assert_int_equal(fixture.stream->layout->meta.shard_count, 5);
    fixture_done(&fixture);
}

/* The records went before the shard's time: after a start it still ends where it did. */
static void an_emptied_closed_shard_keeps_its_end(void **state) {
    struct fixture fixture = {.config.bytes_max = 1000000};
    fixture_init(&fixture);
    fixture_open(&fixture);
    for (unsigned i = 0; i < 10; i++)
        fixture_fill(&fixture, 0, 1, 60000);
    fixture_split(&fixture, 0);
    for (unsigned i = 0; i < 30; i++, fixture.arrival_ms++)
        fixture_fill(&fixture, 1, 1, 60000);
    assert_int_equal(files(&fixture, 0), 0);
    assert_in_range(metric_get(&fixture.stream->metrics.disk_bytes), 500000, 1000000);
    fixture_close(&fixture);
    fixture_open(&fixture);
    struct stream_shard_info info;
    stream_shard_get(fixture.stream, 0, &info);
    assert_false(info.removed);
    assert_int_equal(info.first_counter, 10);
    assert_int_equal(info.next_counter, 10);
    fixture_done(&fixture);
}

int main(void) {
    log_setup(LOG_ERROR, LOG_TEXT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(old_segments_go),
        cmocka_unit_test(an_idle_stream_becomes_empty_and_keeps_its_counter),
        cmocka_unit_test(the_oldest_go_beyond_the_bound),
        cmocka_unit_test(delivery_buffers_stay_until_released),
        cmocka_unit_test(a_full_delivery_buffer_refuses_and_takes_again),
        cmocka_unit_test(a_full_buffer_of_one_segment_can_be_released),
        cmocka_unit_test(a_closed_shard_goes_with_its_last_record),
        cmocka_unit_test(an_emptied_closed_shard_keeps_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
