#include "function/variables.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/test.h"

static struct option_pair defaults[] = {{"redis_url", "127.0.0.1"}, {"AWS_REGION", "mars"}};
static struct option_pair own[] = {{"redis_url", "other"}, {"TZ", "Europe/Berlin"}};
static struct option_pairs default_pairs = {defaults, 2};

static struct function_variables fill(void) {
    struct function_variables variables = {0};
    struct function_host_config host = {
        .region = "eu-central-1", .account = "000000000000", .default_environment = &default_pairs};
    struct function_config config = {.head = {.name = "counter"},
                                     .handler = "index.handler",
                                     .memory_bytes = (int64_t)256 << 20,
                                     .directory = "/",
                                     .environment = {own, 2}};
    function_variables_fill(&variables, &host, &config, "127.0.0.1:9001");
    return variables;
}

/* As a process finds it, or NULL. */
static const char *value_of(const struct function_variables *variables, const char *name) {
    size_t len = strlen(name);
    for (size_t i = 0; i < variables->count; i++)
        if (strncmp(variables->items[i], name, len) == 0 && variables->items[i][len] == '=')
            return variables->items[i] + len + 1;
    return NULL;
}

static void a_runtime_finds_what_it_needs(void **state) {
    static const char *const expected[][2] = {
        {"AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001"},
        {"_HANDLER", "index.handler"},
        {"AWS_LAMBDA_FUNCTION_NAME", "counter"},
        {"AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"},
        {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"},
        {"AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"},
        {"AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/counter"},
        {"LAMBDA_TASK_ROOT", "/"},
        {"LANG", "en_US.UTF-8"},
        {"AWS_DEFAULT_REGION", "eu-central-1"},
    };
    struct function_variables variables = fill();
    for (size_t i = 0; i < COUNT_OF(expected); i++)
        assert_string_equal(value_of(&variables, expected[i][0]), expected[i][1]);
    assert_non_null(value_of(&variables, "PATH"));
    assert_non_null(value_of(&variables, "AWS_SECRET_ACCESS_KEY"));
    const char *log_stream = value_of(&variables, "AWS_LAMBDA_LOG_STREAM_NAME");
    assert_int_equal(strlen(log_stream), strlen("2026/11/23/[$LATEST]") + 32);
    function_variables_done(&variables);
}

static void later_ones_win(void **state) {
    struct function_variables variables = fill();
    assert_string_equal(value_of(&variables, "redis_url"), "other");
    assert_string_equal(value_of(&variables, "TZ"), "Europe/Berlin");
    assert_string_equal(value_of(&variables, "AWS_REGION"), "mars");
    function_variables_done(&variables);
}

static void nothing_else_is_inherited(void **state) {
    setenv("WEIR_SECRET", "x", 1);
    setenv("TMPDIR", "/tmp/elsewhere", 1);
    struct function_variables variables = fill();
    assert_null(value_of(&variables, "WEIR_SECRET"));
    assert_string_equal(value_of(&variables, "TMPDIR"), "/tmp/elsewhere");
    function_variables_done(&variables);
}

static void each_name_stands_once_and_the_list_ends(void **state) {
    struct function_variables variables = fill();
    assert_null(variables.items[variables.count]);
    for (size_t i = 0; i < variables.count; i++) {
        struct str rest, name = str_cut(str_of(variables.items[i]), '=', &rest);
        for (size_t j = 0; j < i; j++) {
            struct str other = str_cut(str_of(variables.items[j]), '=', &rest);
            assert_false(str_eq(name, other));
        }
    }
    function_variables_done(&variables);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_runtime_finds_what_it_needs),
        cmocka_unit_test(later_ones_win),
        cmocka_unit_test(nothing_else_is_inherited),
        cmocka_unit_test(each_name_stands_once_and_the_list_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
