#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "result.h"

static void expect_error(const struct lambda_result *result, const char *expected) {
    struct lambda_buf buf = {0};
    lambda_result_write_error(result, &buf);
    assert_string_equal(buf.data, expected);
    lambda_buf_done(&buf);
}

static void the_last_answer_counts(void **state) {
    struct lambda_result result = {0};
    lambda_result_begin(&result);
    assert_false(result.answered);
    assert_string_equal(result.content_type, "application/json");
    lambda_respond_format(&result, "{\"n\":%d}", 5);
    assert_string_equal(result.body.data, "{\"n\":5}");
    lambda_respond(&result, "a\0b", 3);
    lambda_respond_type(&result, "application/octet-stream");
    assert_true(result.answered);
    assert_int_equal(result.body.size, 3);
    assert_memory_equal(result.body.data, "a\0b", 3);
    assert_string_equal(result.content_type, "application/octet-stream");
    lambda_result_begin(&result);
    assert_false(result.answered);
    assert_string_equal(result.content_type, "application/json");
    lambda_result_done(&result);
}

static void an_error_becomes_json(void **state) {
    struct lambda_result result = {0};
    lambda_result_begin(&result);
    assert_int_equal(lambda_fail(&result, "Function.Bad", "no \"%s\"", "file"), -1);
    expect_error(&result, "{\"errorMessage\":\"no \\\"file\\\"\",\"errorType\":\"Function.Bad\","
                          "\"stackTrace\":[]}");
    lambda_result_explain(&result, "handler", 3);
    assert_string_equal(result.error_type, "Function.Bad");
    lambda_result_done(&result);
}

static void an_unexplained_error_is_explained(void **state) {
    struct lambda_result result = {0};
    lambda_result_begin(&result);
    lambda_result_explain(&result, "handler", -7);
    expect_error(&result, "{\"errorMessage\":\"the handler returned -7\","
                          "\"errorType\":\"Function.Failed\",\"stackTrace\":[]}");
    lambda_result_done(&result);
}

static void long_errors_are_cut(void **state) {
    struct lambda_result result = {0};
    char type[300];
    memset(type, 'T', sizeof type - 1);
    type[sizeof type - 1] = '\0';
    lambda_result_begin(&result);
    lambda_fail(&result, type, "%0*d", LAMBDA_ERROR_MESSAGE_BYTES_MAX + 9, 1);
    assert_int_equal(strlen(result.error_type), 127);
    assert_int_equal(result.error_message.size, LAMBDA_ERROR_MESSAGE_BYTES_MAX);
    lambda_result_done(&result);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_answer_counts),
        cmocka_unit_test(an_error_becomes_json),
        cmocka_unit_test(an_unexplained_error_is_explained),
        cmocka_unit_test(long_errors_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
