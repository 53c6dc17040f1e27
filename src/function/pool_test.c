/* How many environments a function has, and who gets what. */
#include "function/pool.h"
#include "function/world_test.h"

#define ENVIRONMENTS "weir_function_environments{function=\"worker\"}"

static struct harness harness;

static void open_with(int64_t concurrency) {
    harness = (struct harness){.functions = {function_config_for_test("worker", 4)}};
    harness.functions[0].concurrency = concurrency;
    harness_open(&harness, 1);
}

static void many_at_once_get_environments_up_to_the_concurrency(void **state) {
    struct answer answers[6] = {{0}}, warm = {0};
    open_with(3);
    harness_ask(&harness, "{}", &warm);
    assert_int_equal(metric_shown(ENVIRONMENTS), 1);
    for (size_t i = 0; i < 6; i++)
        harness_begin(&harness, "{\"do\": \"sleep\", \"seconds\": 0.5}", &answers[i]);
    for (size_t i = 0; i < 6; i++) {
        harness_finish(&harness, &answers[i]);
        assert_true(answers[i].ok);
        buf_done(&answers[i].payload);
    }
    assert_int_equal(metric_shown(ENVIRONMENTS), 3);
    harness_close(&harness, 0);
    assert_int_equal(metric_shown(ENVIRONMENTS), -1);
    buf_done(&warm.payload);
}

static void a_quick_function_needs_one_environment(void **state) {
    struct answer answers[50] = {{0}}, warm = {0};
    open_with(10);
    harness_ask(&harness, "{}", &warm);
    for (size_t i = 0; i < 10; i++)
        harness_begin(&harness, "{}", &answers[i]);
    for (size_t i = 0; i < 10; i++) {
        harness_finish(&harness, &answers[i]);
        buf_done(&answers[i].payload);
    }
    assert_in_range(metric_shown(ENVIRONMENTS), 1, 3);
    harness_close(&harness, 0);
    buf_done(&warm.payload);
}

/* Quick events that never leave the queue empty, as shards that catch up submit them. */
struct chain {
    struct harness *harness;
    bool stop, over;
};

static void go_on(void *data, const struct function_result *result) {
    struct chain *chain = data;
    chain->over = chain->stop;
    if (!chain->stop)
        assert_int_equal(
            function_invoke(chain->harness->host, STR("worker"), STR("{}"), NULL, go_on, chain), 0);
}

static bool there_are_three(void *data) {
    return metric_shown(ENVIRONMENTS) == 3;
}

static void a_queue_that_is_never_empty_gets_more_environments(void **state) {
    struct chain chains[8];
    open_with(3);
    for (size_t i = 0; i < COUNT_OF(chains); i++) {
        chains[i] = (struct chain){.harness = &harness};
        go_on(&chains[i], NULL);
    }
    assert_true(loop_run_until(harness.loop, TEST_LIMIT_MS, there_are_three, NULL));
    for (size_t i = 0; i < COUNT_OF(chains); i++)
        chains[i].stop = true;
    for (size_t i = 0; i < COUNT_OF(chains); i++)
        assert_true(loop_run_until(harness.loop, TEST_LIMIT_MS, is_set, &chains[i].over));
    harness_close(&harness, 0);
}

static void what_waits_when_the_host_closes_is_told(void **state) {
    struct answer slow = {0}, waiting = {0};
    open_with(1);
    harness_begin_slow(&harness, "\"do\": \"sleep\", \"seconds\": 0.2", &slow);
    harness_begin(&harness, "{}", &waiting);
    harness_close(&harness, 5000);
    assert_true(slow.over && slow.ok);
    assert_true(waiting.over && !waiting.ok);
    assert_string_equal(waiting.error_type, "Sandbox.Stopped");
    buf_done(&slow.payload);
    buf_done(&waiting.payload);
}

static void a_halted_host_lets_what_runs_end(void **state) {
    struct answer slow = {0}, waiting = {0};
    open_with(1);
    harness_begin_slow(&harness, "\"do\": \"sleep\", \"seconds\": 0.2", &slow);
    harness_begin(&harness, "{}", &waiting);
    function_host_halt(harness.host);
    assert_true(waiting.over && !waiting.ok && !slow.over);
    assert_int_equal(function_invoke(harness.host, STR("worker"), STR("{}"), NULL, go_on, NULL),
                     ERR_CLOSED);
    harness_finish(&harness, &slow);
    assert_true(slow.ok);
    harness_close(&harness, 0);
    buf_done(&slow.payload);
    buf_done(&waiting.payload);
}

static void one_that_dies_does_not_fail_the_others(void **state) {
    struct answer hanging = {0}, dying = {0}, next = {0};
    open_with(2);
    harness_begin(&harness, "{\"do\": \"sleep\", \"seconds\": 0.5}", &hanging);
    harness_begin(&harness, "{\"do\": \"exit\", \"status\": 1}", &dying);
    harness_begin(&harness, "{}", &next);
    harness_finish(&harness, &hanging);
    harness_finish(&harness, &dying);
    harness_finish(&harness, &next);
    assert_true(hanging.ok && next.ok);
    assert_false(dying.ok);
    harness_close(&harness, 0);
    buf_done(&hanging.payload);
    buf_done(&dying.payload);
    buf_done(&next.payload);
}

static void durations_and_timeouts_are_counted(void **state) {
    struct answer answer = {0};
    open_with(1);
    harness_ask(&harness, "{\"do\": \"sleep\", \"seconds\": 0.1}", &answer);
    assert_in_range(metric_shown("weir_function_duration_ms_sum{function=\"worker\"}"), 100, 20000);
    assert_int_equal(metric_shown("weir_function_timeouts_total{function=\"worker\"}"), 0);
    harness.functions[0].timeout_ms = 200;
    harness_ask(&harness, "{\"do\": \"hang\"}", &answer);
    assert_int_equal(metric_shown("weir_function_timeouts_total{function=\"worker\"}"), 1);
    assert_int_equal(metric_shown("weir_function_errors_total{function=\"worker\"}"), 1);
    assert_int_equal(metric_shown("weir_function_invocations_total{function=\"worker\"}"), 2);
    harness_close(&harness, 0);
    buf_done(&answer.payload);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_at_once_get_environments_up_to_the_concurrency),
        cmocka_unit_test(a_quick_function_needs_one_environment),
        cmocka_unit_test(a_queue_that_is_never_empty_gets_more_environments),
        cmocka_unit_test(what_waits_when_the_host_closes_is_told),
        cmocka_unit_test(a_halted_host_lets_what_runs_end),
        cmocka_unit_test(one_that_dies_does_not_fail_the_others),
        cmocka_unit_test(durations_and_timeouts_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
