#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "json.h"

static char text[4096];

static struct lambda_json over(const char *source) {
    size_t size = strlen(source);
    memcpy(text, source, size + 1);
    return (struct lambda_json){.at = text, .end = text + size};
}

static bool is_document(const char *source) {
    struct lambda_json json = over(source);
    return lambda_json_skip(&json) && lambda_json_at_end(&json);
}

static void accepts_what_rfc_8259_accepts(void **state) {
    static const char *const good[] = {
        "{}",
        "[]",
        " [ 1 , -0.5e+10 , 0 ] ",
        "\"\\u00e4\\n\\/\"",
        "true",
        "false",
        "null",
        "{\"a\":{\"b\":[{}]}}",
        "1E5",
        "\"\xff\x80\"",
        "\t\r\n{\"a\" : \"}\" , \"\":1}",
        "-12.25",
        "\"\"",
        "\"\\\\\"",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        if (!is_document(good[i]))
            fail_msg("refused: %s", good[i]);
    }
}

static void refuses_what_is_no_json(void **state) {
    static const char *const bad[] = {
        "",          "{",      "[1,]", "{\"a\":1,}", "{a:1}",   "01",
        "1.",        ".5",     "-",    "1e",         "\"",      "\"\\x\"",
        "\"\\u12\"", "\"\n\"", "tru",  "nullx",      "[1 2]",   "{\"a\" 1}",
        "{\"a\":}",  "]",      "[}",   "{]",         "1 2",     "\"\\",
        "\"\\u\"",   "{,}",    "[,1]", "+1",         "{\"a\"}", "\"\\u00g0\"",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (is_document(bad[i]))
            fail_msg("accepted: %s", bad[i]);
    }
}

static void nests_up_to_its_bound(void **state) {
    char deep[2 * LAMBDA_JSON_DEPTH_MAX + 3];
    memset(deep, '[', LAMBDA_JSON_DEPTH_MAX);
    memset(deep + LAMBDA_JSON_DEPTH_MAX, ']', LAMBDA_JSON_DEPTH_MAX);
    deep[2 * LAMBDA_JSON_DEPTH_MAX] = '\0';
    assert_true(is_document(deep));
    memset(deep, '[', LAMBDA_JSON_DEPTH_MAX + 1);
    memset(deep + LAMBDA_JSON_DEPTH_MAX + 1, ']', LAMBDA_JSON_DEPTH_MAX + 1);
    deep[2 * LAMBDA_JSON_DEPTH_MAX + 2] = '\0';
    assert_false(is_document(deep));
}

static void expect_text(const char *source, const char *expected, size_t size) {
    struct lambda_json json = over(source);
    struct lambda_bytes string;
    assert_true(lambda_json_string(&json, &string));
    assert_int_equal(string.size, size);
    assert_memory_equal(string.data, expected, size);
    assert_int_equal(string.data[size], '\0');
    assert_true(lambda_json_at_end(&json));
}

static void unescapes_strings_in_place(void **state) {
    expect_text("\"plain\"", "plain", 5);
    expect_text("\"\"", "", 0);
    expect_text("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8);
    expect_text("\"a\\u0000b\"", "a\0b", 3);
    expect_text("\"\\u00e4\\u20AC\"", "\xc3\xa4\xe2\x82\xac", 5);
    expect_text("\"\\ud83d\\ude00!\"", "\xf0\x9f\x98\x80!", 5);
    expect_text("\"\\ud83dx\"", "\xef\xbf\xbdx", 4);
    expect_text("\"\\ude00\"", "\xef\xbf\xbd", 3);
    expect_text("\"\\ud83d\\u0041\"",
                "\xef\xbf\xbd"
                "A",
                4);
    expect_text("\"\\ud83d\\ud83d\\ude00\"", "\xef\xbf\xbd\xf0\x9f\x98\x80", 7);
}

static void walks_objects_and_arrays(void **state) {
    struct lambda_json json = over("{\"a\":[1,22],\"b\":\"c\"}");
    struct lambda_bytes name, value;
    bool first = true, first_element = true;
    assert_true(lambda_json_take(&json, '{'));
    assert_true(lambda_json_member(&json, &first, &name));
    assert_string_equal(name.data, "a");
    assert_true(lambda_json_take(&json, '['));
    assert_true(lambda_json_element(&json, &first_element));
    assert_true(lambda_json_number(&json, &value));
    assert_true(lambda_json_element(&json, &first_element));
    assert_true(lambda_json_number(&json, &value));
    assert_int_equal(value.size, 2);
    assert_false(lambda_json_element(&json, &first_element));
    assert_true(lambda_json_member(&json, &first, &name));
    assert_string_equal(name.data, "b");
    assert_true(lambda_json_string(&json, &value));
    assert_string_equal(value.data, "c");
    assert_false(lambda_json_member(&json, &first, &name));
    assert_true(lambda_json_at_end(&json));
}

static void an_error_stays(void **state) {
    struct lambda_json json = over("x{}");
    struct lambda_bytes string;
    assert_false(lambda_json_take(&json, '{'));
    assert_true(json.failed);
    json.at++;
    assert_false(lambda_json_take(&json, '{'));
    assert_false(lambda_json_skip(&json));
    assert_false(lambda_json_string(&json, &string));
    assert_false(lambda_json_number(&json, &string));
    assert_false(lambda_json_at_end(&json));
    assert_int_equal(lambda_json_peek(&json), 0);
}

static void expect_written(const char *bytes, size_t size, const char *expected) {
    struct lambda_buf buf = {0};
    lambda_json_write_string(&buf, bytes, size);
    assert_string_equal(buf.data, expected);
    lambda_buf_done(&buf);
}

static void writes_any_bytes_as_a_string(void **state) {
    expect_written("a\"b\\c\n\0d", 8, "\"a\\\"b\\\\c\\u000a\\u0000d\"");
    expect_written("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 9,
                   "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"");
    expect_written("\xff"
                   "a",
                   2,
                   "\"\xef\xbf\xbd"
                   "a\"");
    expect_written("\xc3", 1, "\"\xef\xbf\xbd\"");
    expect_written("\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    expect_written("\xc0\x80", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\"");
    expect_written(NULL, 0, "\"\"");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_what_rfc_8259_accepts),
        cmocka_unit_test(refuses_what_is_no_json),
        cmocka_unit_test(nests_up_to_its_bound),
        cmocka_unit_test(unescapes_strings_in_place),
        cmocka_unit_test(walks_objects_and_arrays),
        cmocka_unit_test(an_error_stays),
        cmocka_unit_test(writes_any_bytes_as_a_string),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
