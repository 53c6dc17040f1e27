#include "base/test.h"

#include "aws/input.h"
#include "base/mem.h"

static bool is_word(struct str text) {
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] < 'a' || text.at[i] > 'z')
            return false;
    return text.len > 0;
}

static const struct aws_pattern pattern = {"[a-z]+", is_word};
static const char *const kinds[] = {"A", "B", NULL};
static const struct aws_shape name = {.type = AWS_STRING, .pattern = &pattern, .min = 1, .max = 4};
static const struct aws_shape kind = {.type = AWS_STRING, .values = kinds};
static const struct aws_shape count = {.type = AWS_INTEGER, .min = 1, .max = 3};
static const struct aws_shape flag = {.type = AWS_BOOLEAN};
static const struct aws_shape when = {.type = AWS_TIME};
static const struct aws_member item_members[] = {{"Key", &name, true}, {0}};
static const struct aws_shape item = {.type = AWS_STRUCT, .members = item_members};
static const struct aws_shape items = {.type = AWS_LIST, .min = 1, .max = 2, .item = &item};
static const struct aws_shape tags = {
    .type = AWS_MAP, .min = 0, .max = 1, .key = &name, .item = &name};
static const struct aws_member members[] = {{"StreamName", &name, true},
                                            {"Kind", &kind},
                                            {"Count", &count},
                                            {"Flag", &flag},
                                            {"At", &when},
                                            {"Items", &items},
                                            {"Tags", &tags},
                                            {0}};

static const char *check(const char *text, struct buf *message) {
    struct json json = {0};
    assert_int_equal(json_parse(&json, str_of(text)), 0);
    buf_clear(message);
    const char *type = aws_input_check(json_root(&json), members, message);
    json_done(&json);
    return type;
}

static void what_fits_is_taken(void **state) {
    static const char *const good[] = {
        "{\"StreamName\":\"s\"}",
        ("{\"StreamName\":\"s\",\"Unknown\":[1,{}],\"Kind\":null,\"Count\":3,\"Flag\":false,"
         "\"At\":1.5,\"Items\":[{\"Key\":\"a\"},{\"Key\":\"b\"}],\"Tags\":{\"a\":\"b\"}}"),
        "{\"Str\\u0065amName\":\"\\u0073\"}",
    };
    struct buf message = {0};
    for (size_t i = 0; i < COUNT_OF(good); i++)
        if (check(good[i], &message))
            fail_msg("%s: %s", good[i], buf_cstr(&message));
    buf_done(&message);
}

#define REFUSED(n, what) n " validation error" what " detected: "
#define FAILED(value, at, constraint)                                                              \
    "Value " value " at '" at "' failed to satisfy constraint: Member must " constraint

static void constraints_are_told_in_awss_words(void **state) {
    static const struct {
        const char *input, *message;
    } cases[] = {
        {"{}", (REFUSED("1", "") FAILED("null", "streamName", "not be null"))},
        {"{\"StreamName\":null}", (REFUSED("1", "") FAILED("null", "streamName", "not be null"))},
        {"{\"StreamName\":\"\"}",
         (REFUSED("2", "s")
              FAILED("''", "streamName", "satisfy regular expression pattern: [a-z]+") "; " FAILED(
                  "''", "streamName", "have length greater than or equal to 1"))},
        {"{\"StreamName\":\"abcde\"}",
         (REFUSED("1", "") FAILED("'abcde'", "streamName", "have length less than or equal to 4"))},
        {"{\"StreamName\":\"s\",\"Kind\":\"C\",\"Count\":0}",
         (REFUSED("2", "s") FAILED("'C'", "kind", "satisfy enum value set: [A, B]") "; " FAILED(
             "'0'", "count", "have value greater than or equal to 1"))},
        {"{\"StreamName\":\"s\",\"Count\":4}",
         (REFUSED("1", "") FAILED("'4'", "count", "have value less than or equal to 3"))},
        {"{\"StreamName\":\"s\",\"Items\":[]}",
         (REFUSED("1", "") FAILED("'[]'", "items", "have length greater than or equal to 1"))},
        {"{\"StreamName\":\"s\",\"Items\":[{\"Key\":\"a\"},{}]}",
         (REFUSED("1", "") FAILED("null", "items.2.member.key", "not be null"))},
    };
    struct buf message = {0};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const char *type = check(cases[i].input, &message);
        assert_non_null(type);
        assert_string_equal(type, "ValidationException");
        assert_string_equal(buf_cstr(&message), cases[i].message);
    }
    buf_done(&message);
}

static void types_are_told_before_constraints(void **state) {
    static const char *const wrong[] = {
        "{\"StreamName\":1}",
        "{\"StreamName\":\"\",\"Count\":\"1\"}",
        "{\"StreamName\":\"s\",\"Count\":1.5}",
        "{\"StreamName\":\"s\",\"Count\":99999999999}",
        "{\"StreamName\":\"s\",\"Flag\":\"true\"}",
        "{\"StreamName\":\"s\",\"At\":\"1\"}",
        "{\"StreamName\":\"s\",\"Items\":{}}",
        "{\"StreamName\":\"s\",\"Items\":[1]}",
        "{\"StreamName\":\"s\",\"Tags\":[]}",
        "{\"StreamName\":\"s\",\"Tags\":{\"a\":1}}",
    };
    struct buf message = {0};
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        const char *type = check(wrong[i], &message);
        if (!type || strcmp(type, "SerializationException") != 0)
            fail_msg("%s", wrong[i]);
        assert_true(buf_len(&message) > 0);
    }
    buf_done(&message);
}

static void ten_are_printed_and_all_are_counted(void **state) {
    struct buf input = {0}, message = {0};
    buf_add_str(&input, STR("{\"Items\":["));
    for (int i = 0; i < 20; i++)
        buf_printf(&input, "%s{}", i ? "," : "");
    buf_add_str(&input, STR("]}"));
    assert_string_equal(check(buf_cstr(&input), &message), "ValidationException");
    assert_true(str_starts(buf_str(&message), STR("22 validation errors detected: ")));
    unsigned printed = 0;
    for (const char *at = buf_cstr(&message); (at = strstr(at, "Member must")); at++)
        printed++;
    assert_int_equal(printed, 10);
    buf_done(&input);
    buf_done(&message);
}

static int64_t time_of(const char *text) {
    struct json json = {0};
    assert_int_equal(json_parse(&json, str_of(text)), 0);
    int64_t ms = aws_input_time_ms(json_root(&json));
    json_done(&json);
    return ms;
}

static void times_are_seconds_with_milliseconds(void **state) {
    assert_true(time_of("1704067200.123") == 1704067200123);
    assert_true(time_of("1704067200") == 1704067200000);
    assert_true(time_of("1.4599259E9") == 1459925900000);
    assert_true(time_of("-1.5") == -1500);
    assert_true(time_of("1e300") == 9000000000000000);
}

static void characters_are_code_points(void **state) {
    assert_int_equal(aws_input_chars(STR("")), 0);
    assert_int_equal(aws_input_chars(STR("a\xc3\xa9\xe3\x83\x91\xf0\x9f\x98\x80")), 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_fits_is_taken),
        cmocka_unit_test(constraints_are_told_in_awss_words),
        cmocka_unit_test(types_are_told_before_constraints),
        cmocka_unit_test(ten_are_printed_and_all_are_counted),
        cmocka_unit_test(times_are_seconds_with_milliseconds),
        cmocka_unit_test(characters_are_code_points),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
