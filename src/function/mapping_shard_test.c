/* The way of a batch: how it is cut, and what happens when it fails. */
#include "function/mapping.h"
#include "function/world_test.h"

#define SKIPPED "weir_mapping_skipped_records_total{stream=\"sensors\",function=\"counter\"}"

static void batches_are_cut_by_their_size(void **state) {
    struct world world;
    world_init(&world, 1);
    world.mapping.batch_size = 2;
    world_put(&world, "k", "a b c d e");
    world_commit(&world);
    world_map(&world);
    world_expect(&world, "done 0:a,b\ndone 0:c,d\ndone 0:e\n");
    world_done(&world);
}

static void a_window_gathers_records(void **state) {
    struct world world;
    world_init(&world, 1);
    world.mapping.batching_window_ms = 1000;
    world.mapping.batch_size = 3;
    world_map(&world);
    world_put(&world, "k", "a");
    world_commit(&world);
    loop_run_until(world.harness.loop, 100, is_never, NULL);
    world_put(&world, "k", "b");
    world_commit(&world);
    loop_run_until(world.harness.loop, 100, is_never, NULL);
    assert_string_equal(world_read(&world), "");
    world_expect(&world, "done 0:a,b\n");
    world_put(&world, "k", "c d e f");
    world_expect(&world, "done 0:a,b\ndone 0:c,d,e\ndone 0:f\n");
    world_done(&world);
}

static void a_full_batch_does_not_wait_for_the_window(void **state) {
    struct world world;
    world_init(&world, 1);
    world.mapping.batching_window_ms = 300000;
    world.mapping.batch_size = 3;
    world_map(&world);
    world_put(&world, "k", "a b c");
    world_expect(&world, "done 0:a,b,c\n");
    world_done(&world);
}

/* 8 MB in one commit: more than one document holds. */
static void batches_are_cut_by_the_payload_bound(void **state) {
    struct world world;
    enum { RECORDS = 10, BYTES = 800000 };
    static char data[BYTES + 1];
    memset(data, 'x', BYTES);
    world_init(&world, 1);
    for (int i = 0; i < RECORDS; i++)
        world_put(&world, "k", data);
    world_put(&world, "k", "end");
    world_commit(&world);
    world_let_fail(&world, "end");
    world_map(&world);
    struct expectation never = {&world, "never"};
    while (world_checkpoint(&world, 0) < 5)
        assert_false(loop_run_until(world.harness.loop, 20, expectation_is_met, &never));
    assert_int_equal(world_checkpoint(&world, 0), 5); /* 5 of 1.07 MB each, then the other 5 */
    world_let_fail(&world, NULL);
    while (world_checkpoint(&world, 0) < RECORDS + 1)
        assert_false(loop_run_until(world.harness.loop, 20, expectation_is_met, &never));
    world_done(&world);
}

/* Records up to 10 MiB; what fits no document must not keep the others from coming. */
static void a_record_that_fits_no_document_is_passed_over(void **state) {
    struct world world;
    enum { BYTES = 6000000 };
    char *data = xcalloc(1, BYTES + 1);
    memset(data, 'x', BYTES);
    world_init(&world, 1);
    world_put(&world, "k", "a");
    world_put(&world, "k", data);
    world_put(&world, "k", data);
    world_put(&world, "k", "b");
    world_put(&world, "k", data);
    world_commit(&world);
    world_map(&world);
    world_expect(&world, "done 0:a\ndone 0:b\n");
    struct expectation never = {&world, "never"};
    while (world_checkpoint(&world, 0) < 5)
        assert_false(loop_run_until(world.harness.loop, 20, expectation_is_met, &never));
    assert_int_equal(metric_shown(SKIPPED), 3);
    world_done(&world);
    free(data);
}

static void a_failed_batch_comes_again_unchanged(void **state) {
    struct world world;
    world_init(&world, 1);
    world_let_fail(&world, "b");
    world_map(&world);
    world_put(&world, "k", "a b");
    world_expect(&world, "failed 0:a,b\n");
    world_put(&world, "k", "c");
    world_expect(&world, "failed 0:a,b\nfailed 0:a,b\n");
    world_let_fail(&world, NULL);
    world_expect(&world, "failed 0:a,b\nfailed 0:a,b\ndone 0:a,b\ndone 0:c\n");
    world_done(&world);
}

static void after_its_attempts_a_batch_is_skipped(void **state) {
    struct world world;
    world_init(&world, 1);
    world.mapping.maximum_retry_attempts = 1;
    world.mapping.batch_size = 2;
    world_let_fail(&world, "b");
    world_put(&world, "k", "a b c d");
    world_commit(&world);
    world_map(&world);
    world_expect(&world, "failed 0:a,b\nfailed 0:a,b\ndone 0:c,d\n");
    assert_int_equal(metric_shown(SKIPPED), 2);
    world_stop(&world, 1000);
    world_start_again(&world, 1);
    assert_int_equal(world_checkpoint(&world, 0), 4);
    world_done(&world);
}

static void no_retries_at_all_are_possible(void **state) {
    struct world world;
    world_init(&world, 1);
    world.mapping.maximum_retry_attempts = 0;
    world.mapping.batch_size = 1;
    world_let_fail(&world, "a b");
    world_put(&world, "k", "a b c");
    world_commit(&world);
    world_map(&world);
    world_expect(&world, "failed 0:a\nfailed 0:b\ndone 0:c\n");
    assert_int_equal(metric_shown(SKIPPED), 2);
    world_done(&world);
}

static bool two_are_skipped(void *data) {
    return metric_shown(SKIPPED) == 2;
}

static void records_that_are_too_old_are_skipped(void **state) {
    struct world world;
    world_init(&world, 1);
    world.mapping.maximum_record_age_ms = 2000;
    world_put(&world, "k", "a");
    world_commit(&world);
    loop_run_until(world.harness.loop, 2100, is_never, NULL);
    world_put(&world, "k", "b");
    world_commit(&world);
    world_map(&world);
    world_expect(&world, "done 0:b\n");
    assert_int_equal(metric_shown(SKIPPED), 1);
    world_let_fail(&world, "c");
    world_put(&world, "k", "c");
    assert_true(loop_run_until(world.harness.loop, TEST_LIMIT_MS, two_are_skipped, NULL));
    world_put(&world, "k", "d");
    while (!strstr(world_read(&world), "done 0:d\n"))
        loop_run_until(world.harness.loop, 20, is_never, NULL);
    world_stop(&world, 1000);
    world_start_again(&world, 1);
    assert_int_equal(world_checkpoint(&world, 0), 4);
    world_done(&world);
}

static const char *partial_type[] = {"ReportBatchItemFailures"};

static void what_succeeded_before_a_partial_failure_does_not_come_again(void **state) {
    struct world world;
    world_init(&world, 1);
    world.mapping.function_response_types = (struct option_strings){partial_type, 1};
    world_let_fail(&world, "c d partial");
    world_put(&world, "k", "a b c d");
    world_commit(&world);
    world_map(&world);
    world_expect(&world, "failed 0:a,b,c,d\n");
    world_put(&world, "k", "e");
    world_commit(&world);
    world_expect(&world, "failed 0:a,b,c,d\nfailed 0:c,d\n");
    world_let_fail(&world, NULL);
    world_expect(&world, "failed 0:a,b,c,d\nfailed 0:c,d\ndone 0:c,d\ndone 0:e\n");
    world_done(&world);
}

static void without_the_response_type_the_answer_is_ignored(void **state) {
    struct world world;
    world_init(&world, 1);
    world_let_fail(&world, "a partial");
    world_put(&world, "k", "a b");
    world_commit(&world);
    world_map(&world);
    world_expect(&world, "failed 0:a,b\n");
    world_let_fail(&world, NULL);
    world_put(&world, "k", "c");
    world_expect(&world, "failed 0:a,b\ndone 0:c\n");
    world_done(&world);
}

/* The bad record is found by halving; all others are worked on once it is skipped. */
static void bisecting_leaves_only_the_bad_record_behind(void **state) {
    struct world world;
    world_init(&world, 1);
    world.mapping.bisect_batch_on_function_error = true;
    world.mapping.maximum_retry_attempts = 0;
    world_let_fail(&world, "c");
    world_put(&world, "k", "a b c d");
    world_commit(&world);
    world_map(&world);
    world_expect(&world, "failed 0:a,b,c,d\ndone 0:a,b\nfailed 0:c,d\nfailed 0:c\ndone 0:d\n");
    assert_int_equal(metric_shown(SKIPPED), 1);
    world_put(&world, "k", "e f");
    world_commit(&world);
    while (!strstr(world_read(&world), "f\n"))
        loop_run_until(world.harness.loop, 20, is_never, NULL);
    world_done(&world);
}

static void a_success_during_the_grace_still_counts(void **state) {
    struct world world;
    world_init(&world, 1);
    world_map(&world);
    world_put(&world, "k", "a");
    world_expect(&world, "done 0:a\n"); /* written before the answer is sent */
    world_stop(&world, 5000);
    world_start_again(&world, 1);
    assert_int_equal(world_checkpoint(&world, 0), 1);
    world_done(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_are_cut_by_their_size),
        cmocka_unit_test(a_window_gathers_records),
        cmocka_unit_test(a_full_batch_does_not_wait_for_the_window),
        cmocka_unit_test(batches_are_cut_by_the_payload_bound),
        cmocka_unit_test(a_record_that_fits_no_document_is_passed_over),
        cmocka_unit_test(a_failed_batch_comes_again_unchanged),
        cmocka_unit_test(after_its_attempts_a_batch_is_skipped),
        cmocka_unit_test(no_retries_at_all_are_possible),
        cmocka_unit_test(records_that_are_too_old_are_skipped),
        cmocka_unit_test(what_succeeded_before_a_partial_failure_does_not_come_again),
        cmocka_unit_test(without_the_response_type_the_answer_is_ignored),
        cmocka_unit_test(bisecting_leaves_only_the_bad_record_behind),
        cmocka_unit_test(a_success_during_the_grace_still_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
