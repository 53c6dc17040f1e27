/* The public face: opening, invoking, closing. */
#include "function/world_test.h"

#include "base/metric_rig.h"

static void nothing(void *data, const struct function_result *result) {}

static int invoke(struct harness *harness, const char *name, const char *event) {
    return function_invoke(harness->host, str_of(name), str_of(event), NULL, nothing, NULL);
}

static void functions_are_found_by_name(void **state) {
    struct harness harness = {
        .functions = {function_config_for_test("one", 4), function_config_for_test("two", 4)}};
    struct answer answer = {0};
    harness_open(&harness, 2);
    assert_int_equal(invoke(&harness, "three", "{}"), ERR_NOT_FOUND);
    assert_int_equal(function_invoke(harness.host, STR("two"), STR("{\"do\": \"variables\"}"), NULL,
                                     answer_take, &answer),
                     0);
    harness_finish(&harness, &answer);
    assert_non_null(strstr(buf_cstr(&answer.payload), "\"AWS_LAMBDA_FUNCTION_NAME\": \"two\""));
    harness_close(&harness, 0);
    buf_done(&answer.payload);
}

static void count_begin(void *data) {
    ++*(unsigned *)data;
}

static void ignore_result(void *data, const struct function_result *result) {}

static void an_event_begins_when_a_process_gets_it(void **state) {
    struct harness harness = {.functions = {function_config_for_test("one", 4)}};
    struct answer answer = {0};
    unsigned begun = 0;
    harness_open(&harness, 1);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(function_invoke(harness.host, STR("one"), STR("{\"do\": \"where\"}"),
                                         count_begin, ignore_result, &begun),
                         0);
    assert_int_equal(begun, 0);
    harness_ask(&harness, "{\"do\": \"where\"}", &answer);
    assert_int_equal(begun, 2);
    assert_int_equal(function_invoke(harness.host, STR("one"), STR("{\"do\": \"where\"}"),
                                     count_begin, ignore_result, &begun),
                     0);
    harness_ask(&harness, "{\"do\": \"where\"}", &answer);
    assert_int_equal(begun, 3);
    harness_close(&harness, 0);
    buf_done(&answer.payload);
}

static void the_program_gets_its_environment_and_directory(void **state) {
    struct option_pair own = {"colour", "blue"}, given[] = {{"redis_port", "6379"}};
    struct option_pairs given_pairs = {given, 1};
    struct harness harness = {.functions = {function_config_for_test("one", 4)},
                              .config.default_environment = &given_pairs};
    struct answer answer = {0};
    harness.functions[0].environment = (struct option_pairs){&own, 1};
    harness.functions[0].directory = "/usr";
    harness_open(&harness, 1);
    const char *variables = harness_ask(&harness, "{\"do\": \"variables\"}", &answer);
    assert_non_null(strstr(variables, "\"colour\": \"blue\""));
    assert_non_null(strstr(variables, "\"redis_port\": \"6379\""));
    assert_non_null(strstr(variables, "\"AWS_REGION\": \"eu-central-1\""));
    assert_non_null(strstr(variables, "\"LAMBDA_TASK_ROOT\": \"/usr\""));
    assert_string_equal(harness_ask(&harness, "{\"do\": \"where\"}", &answer), "\"/usr\"");
    harness_close(&harness, 0);
    buf_done(&answer.payload);
}

static void too_many_that_wait_are_refused(void **state) {
    struct harness harness = {.functions = {function_config_for_test("one", 4)}};
    int accepted = 0, status;
    harness_open(&harness, 1);
    while ((status = invoke(&harness, "one", "{}")) == 0)
        accepted++;
    assert_int_equal(status, ERR_FULL);
    assert_int_equal(accepted, 1000);
    assert_int_equal(metric_shown("weir_function_throttles_total{function=\"one\"}"), 1);
    harness_close(&harness, 0);
}

static void an_event_that_is_too_large_is_refused(void **state) {
    struct harness harness = {.functions = {function_config_for_test("one", 4)}};
    size_t len = 6291557;
    char *event = xcalloc(1, len);
    harness_open(&harness, 1);
    assert_int_equal(
        function_invoke(harness.host, STR("one"), str_from(event, len), NULL, nothing, NULL),
        ERR_TOO_LARGE);
    harness_close(&harness, 0);
    free(event);
}

static void a_bad_configuration_is_refused(void **state) {
    struct loop *loop = loop_new();
    struct function_config functions[2] = {function_config_for_test("one", 4),
                                           function_config_for_test("one", 4)};
    struct option_items items = {functions, 2};
    struct function_host_config config = {
        .functions = &items, .region = "r", .account = "000000000000"};
    struct function_host *host;
    struct err err;
    assert_int_equal(function_host_open(loop, &config, &host, &err), ERR_EXISTS);
    functions[1].head.name = "a.b";
    assert_int_equal(function_host_open(loop, &config, &host, &err), ERR_INVALID);
    loop_free(loop);
}

static void a_host_without_functions_opens_and_closes(void **state) {
    struct harness harness = {0};
    harness_open(&harness, 0);
    assert_int_equal(invoke(&harness, "one", "{}"), ERR_NOT_FOUND);
    harness_close(&harness, 0);
}

static void much_output_does_not_hold_the_function_up(void **state) {
    struct harness harness = {.functions = {function_config_for_test("one", 4)}};
    struct answer answer = {0};
    harness_open(&harness, 1);
    harness_ask(&harness, "{\"do\": \"say\", \"lines\": 3000}", &answer);
    assert_true(answer.ok);
    bool over = false;
    for (int i = 0; i < 100 && !over; i++) {
        loop_run_until(harness.loop, 20, is_never, NULL);
        over = metric_shown("weir_function_log_lines_suppressed_total{function=\"one\"}") >= 1000;
    }
    assert_true(over);
    harness_close(&harness, 0);
    buf_done(&answer.payload);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_are_found_by_name),
        cmocka_unit_test(an_event_begins_when_a_process_gets_it),
        cmocka_unit_test(the_program_gets_its_environment_and_directory),
        cmocka_unit_test(too_many_that_wait_are_refused),
        cmocka_unit_test(an_event_that_is_too_large_is_refused),
        cmocka_unit_test(a_bad_configuration_is_refused),
        cmocka_unit_test(a_host_without_functions_opens_and_closes),
        cmocka_unit_test(much_output_does_not_hold_the_function_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
