#include "function/settings.h"

#include "base/mem.h"
#include "base/test.h"

static void times_are_read(void **state) {
    static const struct {
        const char *text;
        uint64_t ms;
    } times[] = {
        {"0", 0},
        {"1795414500", 1795414500000},
        {"1545084650.987", 1545084650987},
        {"1545084650.9879", 1545084650987},
        {"1970-01-01T00:00:00Z", 0},
        {"2018-12-17T22:10:50.987Z", 1545084650987},
        {"2018-12-17t23:10:50.987+01:00", 1545084650987},
        {"2018-12-17 20:40:50-01:30", 1545084650000},
        {"2024-02-29T00:00:00Z", 1709164800000},
    };
    for (size_t i = 0; i < COUNT_OF(times); i++) {
        uint64_t ms = 1;
        assert_int_equal(function_timestamp_parse(str_of(times[i].text), &ms), 0);
        assert_int_equal(ms, times[i].ms);
    }
}

static void what_is_no_time_is_refused(void **state) {
    static const char *const texts[] = {"",
                                        "now",
                                        "-1",
                                        "1.",
                                        "1.5x",
                                        "123456789012",
                                        "2018-12-17",
                                        "2018-12-17T22:10:50",
                                        "2018-12-17T22:10:50.Z",
                                        "2018-12-17T22:10:60Z",
                                        "2018-12-17T25:10:50Z",
                                        "2018-02-29T00:00:00Z",
                                        "2018-13-01T00:00:00Z",
                                        "2018-12-17T22:10:50+1:00",
                                        "2018-12-17T22:10:50Zx",
                                        "1969-12-31T23:59:59Z",
                                        "1970-01-01T00:00:00+01:00"};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        uint64_t ms = 1;
        assert_int_equal(function_timestamp_parse(str_of(texts[i]), &ms), ERR_INVALID);
        assert_int_equal(ms, 1);
    }
}

/* A map of plain values. */
struct file {
    struct conf map, values[8], *items[8];
    struct conf_key keys[8];
};

static const struct conf *file_of(struct file *file, size_t count, const char *const texts[][2]) {
    *file = (struct file){.map = {.type = CONF_MAP, .count = count, .file = "f", .line = 1}};
    for (size_t i = 0; i < count; i++) {
        file->values[i] = (struct conf){
            .type = CONF_SCALAR, .text = texts[i][1], .file = "f", .line = (int)i + 2};
        file->items[i] = &file->values[i];
        file->keys[i].text = texts[i][0];
    }
    file->map.items = file->items;
    file->map.keys = file->keys;
    return &file->map;
}

static void a_mapping_has_the_defaults_of_aws(void **state) {
    static const char *const texts[][2] = {
        {"stream", "s"}, {"function", "f"}, {"starting_position", "LATEST"}};
    struct function_mapping_config config = {0};
    struct arena arena = {0};
    struct file file;
    assert_int_equal(
        option_load(&arena, function_mapping_options, file_of(&file, 3, texts), &config, NULL), 0);
    assert_true(config.enabled);
    assert_int_equal(config.batch_size, 100);
    assert_int_equal(config.batching_window_ms, 0);
    assert_int_equal(config.starting_position, FUNCTION_LATEST);
    assert_int_equal(config.maximum_retry_attempts, -1);
    assert_int_equal(config.maximum_record_age_ms, 0);
    assert_false(config.bisect_batch_on_function_error);
    arena_done(&arena);
}

static void a_mapping_needs_a_starting_position(void **state) {
    static const char *const texts[][2] = {{"stream", "s"}, {"function", "f"}};
    struct function_mapping_config config = {0};
    struct arena arena = {0};
    struct file file;
    struct err err;
    assert_int_equal(
        option_load(&arena, function_mapping_options, file_of(&file, 2, texts), &config, &err),
        ERR_INVALID);
    assert_non_null(strstr(err.text, "starting_position"));
    arena_done(&arena);
}

static int check(struct function_mapping_config *config, struct stream_position *position) {
    struct err err;
    bool reports_failures = false;
    int failed = function_mapping_config_check(config, position, &reports_failures, &err);
    if (!failed)
        assert_int_equal(reports_failures, config->function_response_types.count != 0);
    return failed;
}

static void a_timestamp_belongs_to_at_timestamp_alone(void **state) {
    struct function_mapping_config config = {.starting_position = FUNCTION_AT_TIMESTAMP};
    struct stream_position position;
    assert_int_equal(check(&config, &position), ERR_INVALID);
    config.starting_position_timestamp = "1545084650.5";
    assert_int_equal(check(&config, &position), 0);
    assert_int_equal(position.from, STREAM_AT_TIMESTAMP);
    assert_int_equal(position.timestamp_ms, 1545084650500);
    config.starting_position_timestamp = "9999-01-01T00:00:00Z";
    assert_int_equal(check(&config, &position), ERR_INVALID);
    config.starting_position_timestamp = "then";
    assert_int_equal(check(&config, &position), ERR_INVALID);
    config = (struct function_mapping_config){.starting_position = FUNCTION_LATEST,
                                              .starting_position_timestamp = "1"};
    assert_int_equal(check(&config, &position), ERR_INVALID);
}

static void the_only_response_type_is_batch_item_failures(void **state) {
    const char *good[] = {"ReportBatchItemFailures"}, *bad[] = {"ReportBatchItemFailure"};
    struct function_mapping_config config = {.function_response_types = {good, 1}};
    struct stream_position position;
    assert_int_equal(check(&config, &position), 0);
    assert_int_equal(position.from, STREAM_TRIM_HORIZON);
    config.function_response_types.items = bad;
    assert_int_equal(check(&config, &position), ERR_INVALID);
}

static int check_function(const char *name, const char *variable) {
    const char *command[] = {"/bin/true"};
    struct option_pair pair = {variable, "x"};
    struct function_config config = {
        .head = {.name = name}, .command = {command, 1}, .environment = {&pair, variable ? 1 : 0}};
    return function_config_check(&config, NULL);
}

static void names_and_variables_of_a_function_are_checked(void **state) {
    assert_int_equal(check_function("sensor-counter_1", NULL), 0);
    assert_int_equal(check_function("sensor.counter", NULL), ERR_INVALID);
    assert_int_equal(check_function("", NULL), ERR_INVALID);
    assert_int_equal(check_function("f", "redis_url"), 0);
    assert_int_equal(check_function("f", "AWS_ACCESS_KEY_ID"), 0);
    assert_int_equal(check_function("f", "AWS_LAMBDA_RUNTIME_API"), ERR_INVALID);
    assert_int_equal(check_function("f", "_HANDLER"), ERR_INVALID);
    assert_int_equal(check_function("f", "a=b"), ERR_INVALID);
    assert_int_equal(check_function("f", ""), ERR_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_read),
        cmocka_unit_test(what_is_no_time_is_refused),
        cmocka_unit_test(a_mapping_has_the_defaults_of_aws),
        cmocka_unit_test(a_mapping_needs_a_starting_position),
        cmocka_unit_test(a_timestamp_belongs_to_at_timestamp_alone),
        cmocka_unit_test(the_only_response_type_is_batch_item_failures),
        cmocka_unit_test(names_and_variables_of_a_function_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
