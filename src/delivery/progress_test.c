#include "delivery/progress.h"

#include "delivery/body.h"
#include "delivery/test_pipeline.h"

static struct pipeline pipeline;
static struct progress progress;

static int open_progress(bool *ret_is_unfinished, struct err *err) {
    progress = (struct progress){
        .loop = pipeline.loop,
        .ledger = {.facts = pipeline.facts, .stream = pipeline.stream, .name = "sensors"}};
    return progress_open(&progress, 0, STR(""), NULL, NULL, ret_is_unfinished, err);
}

static void open_finished(void) {
    bool is_unfinished = true;
    struct err err;
    if (open_progress(&is_unfinished, &err))
        fail_msg("%s", err.text);
    assert_false(is_unfinished);
}

static int set_up(void **state) {
    pipeline_init(&pipeline);
    open_stream(&pipeline);
    return 0;
}

static int tear_down(void **state) {
    progress_done(&progress);
    pipeline_close(&pipeline, 0);
    pipeline_done(&pipeline);
    return 0;
}

static void reopen(void) {
    progress_done(&progress);
    open_finished();
}

/* The next records, counted; whether the range was full. */
static bool count(unsigned records, uint64_t bytes_max) {
    struct stream_batch batch;
    assert_int_equal(stream_reader_next(progress.reader, records, 1 << 20, &batch), 0);
    return progress_count(&progress, &batch, bytes_max);
}

static void commit(void) {
    struct err err;
    progress_cut(&progress);
    assert_int_equal(ledger_commit(&progress.ledger, &progress.intent, &err), 0);
    progress_pass(&progress);
}

static void a_range_ends_with_the_record_that_fills_it(void **state) {
    push_and_commit(&pipeline, 5);
    open_finished();
    assert_false(count(2, 3 * RECORD_BYTES));
    assert_true(count(3, 3 * RECORD_BYTES));
    assert_int_equal(progress.intent.first, 0);
    assert_int_equal(progress.intent.end, 3);
    assert_int_equal(progress.intent.tally.records, 3);
    assert_int_equal(progress.intent.tally.bytes, 3 * RECORD_BYTES);
}

static void the_next_range_begins_behind_it(void **state) {
    push_and_commit(&pipeline, 5);
    open_finished();
    assert_true(count(5, 3 * RECORD_BYTES));
    commit();
    assert_int_equal(stream_reader_counter(progress.reader), 3);
    assert_int_equal(progress.intent.first, 3);
    assert_int_equal(progress.intent.tally.records, 0);
    reopen();
    assert_int_equal(stream_reader_counter(progress.reader), 3);
}

static void what_was_only_gathered_is_gathered_anew(void **state) {
    push_and_commit(&pipeline, 5);
    open_finished();
    assert_false(count(5, 1 << 20));
    reopen();
    assert_int_equal(stream_reader_counter(progress.reader), 0);
    assert_int_equal(progress.intent.tally.records, 0);
}

static void an_object_under_way_is_taken_up(void **state) {
    bool is_unfinished = false;
    struct err err;
    push_and_commit(&pipeline, 5);
    open_finished();
    assert_true(count(5, 2 * RECORD_BYTES));
    buf_add_str(&progress.intent.key, STR("key"));
    assert_int_equal(ledger_record(&progress.ledger, &progress.intent, &err), 0);
    progress_done(&progress);
    assert_int_equal(open_progress(&is_unfinished, &err), 0);
    assert_true(is_unfinished);
    assert_str(buf_str(&progress.intent.key), "key");
    assert_int_equal(progress.intent.end, 2);
}

/* As after a power failure, which has cost the stream's end and not the checkpoint. */
static void a_checkpoint_behind_the_end_comes_back_to_it(void **state) {
    struct err err;
    push_and_commit(&pipeline, 5);
    open_finished();
    progress.intent.end = 9;
    assert_int_equal(ledger_commit(&progress.ledger, &progress.intent, &err), 0);
    reopen();
    assert_int_equal(progress.intent.first, 5);
    assert_int_equal(checkpoint_of(&pipeline), 5);
}

static void the_gauges_count_what_is_in_no_object(void **state) {
    struct meter meter = {0};
    push_and_commit(&pipeline, 10);
    open_finished();
    assert_false(count(4, 1 << 20));
    progress_show(&progress, &meter);
    assert_int_equal(metric_get(&meter.lag_records), 10);
    assert_int_equal(metric_get(&meter.backlog_bytes), 10 * RECORD_BYTES);
    commit();
    progress_show(&progress, &meter);
    assert_int_equal(metric_get(&meter.lag_records), 6);
    assert_int_equal(metric_get(&meter.backlog_bytes), 6 * RECORD_BYTES);
}

/* As if what is gathered already were so large, or what comes. */
static void a_range_ends_before_what_an_object_has_no_room_for(void **state) {
    push_and_commit(&pipeline, 3);
    open_finished();
    assert_false(count(1, UINT64_MAX));
    progress.intent.tally.bytes = BODY_BYTES_MAX - RECORD_BYTES;
    assert_false(count(1, UINT64_MAX));
    assert_int_equal(progress.intent.tally.bytes, BODY_BYTES_MAX);
    assert_true(count(1, UINT64_MAX));
    assert_int_equal(progress.intent.tally.bytes, BODY_BYTES_MAX);
    assert_int_equal(progress.intent.tally.records, 2);
    assert_int_equal(progress.intent.end, 2);
    commit();
    assert_false(count(1, UINT64_MAX)); /* It is the next range's first. */
    assert_int_equal(progress.intent.first, 2);
    assert_int_equal(progress.intent.end, 3);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_range_ends_with_the_record_that_fills_it),
        TEST(a_range_ends_before_what_an_object_has_no_room_for),
        TEST(the_next_range_begins_behind_it),
        TEST(what_was_only_gathered_is_gathered_anew),
        TEST(an_object_under_way_is_taken_up),
        TEST(a_checkpoint_behind_the_end_comes_back_to_it),
        TEST(the_gauges_count_what_is_in_no_object),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
