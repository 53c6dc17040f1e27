#include "base/test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"

static struct json json;
static struct arena arena;

static struct json_value parse(const char *text) {
    if (json_parse(&json, str_of(text)) < 0)
        fail_msg("%s: %s at %zu", text, json.error_text, json.error_at);
    return json_root(&json);
}

static int teardown(void **state) {
    json_done(&json);
    arena_done(&arena);
    return 0;
}

static void scalars(void **state) {
    int64_t integer;
    double number;
    bool truth;
    assert_int_equal(json_type(parse("null")), JSON_NULL);
    assert_true(json_bool(parse(" true "), &truth) && truth);
    assert_true(json_bool(parse("false"), &truth) && !truth);
    assert_true(json_int(parse("-42"), &integer));
    assert_int_equal(integer, -42);
    assert_true(json_double(parse("-1.5e3"), &number));
    assert_true(number == -1500);
    assert_str(json_str(parse("\"text\""), &arena), "text");
    assert_str(json_raw(parse("\"te\\nxt\"")), "\"te\\nxt\"");
    assert_str(json_raw(parse(" 1.50 ")), "1.50");
}

static void numbers(void **state) {
    int64_t integer = 7;
    double number;
    assert_true(json_int(parse("9223372036854775807"), &integer) && integer == INT64_MAX);
    assert_true(json_int(parse("-9223372036854775808"), &integer) && integer == INT64_MIN);
    assert_false(json_int(parse("9223372036854775808"), &integer));
    assert_false(json_int(parse("1.0"), &integer));
    assert_false(json_int(parse("1e2"), &integer));
    assert_int_equal(integer, INT64_MIN);
    static const char *const texts[] = {
        "0",
        "-0.0",
        "0.1",
        "123456.789",
        "1e22",
        "1e23",
        "4.9e-324",
        "1.7976931348623157e308",
        "0.30000000000000004",
        "123456789012345678901234567890",
        "523496474.603100760", /* rounded once, not twice */
        "97566.1658138199226",
        "750514990709.312692",
        "2.2250738585072014e-308",
        "1E-5",
        "0.000000000000000000000000000000000000000000000000000000000000000000001"};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        double expected;
        assert_int_equal(sscanf(texts[i], "%lf", &expected), 1);
        assert_true(json_double(parse(texts[i]), &number));
        assert_true(number == expected);
    }
    assert_false(json_double(parse("1e400"), &number));
    assert_true(isinf(json_number_double(STR("-1e400"))));
}

static void members_and_items(void **state) {
    struct json_value root = parse("{\"a\":{\"b\":[10,{\"c\":20},[]]},\"d\":{},\"a b\":\"x\"}");
    int64_t integer;
    assert_int_equal(json_count(root), 3);
    struct json_value list = json_member(json_member(root, STR("a")), STR("b"));
    assert_int_equal(json_count(list), 3);
    assert_true(json_int(json_item(list, 0), &integer) && integer == 10);
    assert_true(json_int(json_member(json_item(list, 1), STR("c")), &integer) && integer == 20);
    assert_int_equal(json_type(json_item(list, 2)), JSON_ARRAY);
    assert_int_equal(json_type(json_item(list, 3)), JSON_ABSENT);
    assert_int_equal(json_type(json_member(root, STR("d"))), JSON_OBJECT);
    assert_str(json_str(json_member(root, STR("a b")), &arena), "x");
    assert_str(json_raw(json_member(root, STR("a"))), "{\"b\":[10,{\"c\":20},[]]}");
    /* Lookups go through what is absent. */
    struct json_value none = json_member(json_item(json_member(root, STR("x")), 3), STR("y"));
    assert_int_equal(json_type(none), JSON_ABSENT);
    assert_int_equal(json_count(none), 0);
    assert_str(json_str(none, &arena), "");
    assert_str(json_raw(none), "");
    assert_false(json_int(none, &integer));
    assert_int_equal(json_type(json_member(list, STR("a"))), JSON_ABSENT);
    assert_int_equal(json_type(json_item(root, 0)), JSON_ABSENT);
}

static void of_equal_keys_the_last_counts(void **state) {
    int64_t integer;
    struct json_value root = parse("{\"a\":1,\"\\u0061\":2,\"b\":3}");
    assert_true(json_int(json_member(root, STR("a")), &integer) && integer == 2);
}

static void each_visits_all_in_order(void **state) {
    struct json_value root = parse("{\"a\":[1,[2],3],\"b\":{\"c\":4},\"d\":5}");
    const char *keys[] = {"a", "b", "d"}, *raws[] = {"[1,[2],3]", "{\"c\":4}", "5"};
    size_t i = 0;
    for (struct json_cursor cursor = json_each(root); json_next(&cursor); i++) {
        assert_true(json_str_eq(cursor.key, str_of(keys[i])));
        assert_str(json_raw(cursor.value), raws[i]);
    }
    assert_int_equal(i, 3);
    i = 0;
    for (struct json_cursor cursor = json_each(json_member(root, STR("a"))); json_next(&cursor);
         i++)
        assert_int_equal(json_type(cursor.key), JSON_ABSENT);
    assert_int_equal(i, 3);
    struct json_cursor nothing = json_each(json_member(root, STR("d")));
    assert_false(json_next(&nothing));
}

static void strings_are_unescaped(void **state) {
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"\"\"", ""},
        {"\"a\\\"\\\\\\/\\b\\f\\n\\r\\tz\"", "a\"\\/\b\f\n\r\tz"},
        {"\"\\u0041\\u00e4\\u20ac\"", "A\xc3\xa4\xe2\x82\xac"},
        {"\"\\ud83d\\ude00!\"", "\xf0\x9f\x98\x80!"},
        {"\"\\ud83d\"", "\xef\xbf\xbd"},
        {"\"\\ud83dx\"", "\xef\xbf\xbdx"},
        {"\"\\ude00\\ud83d\"", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\"\\ude00\\ude00\"", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\"\\ud83d\\u0041\"", "\xef\xbf\xbd"
                               "A"},
        {"\"gr\xc3\xbc\xc3\x9f\"", "gr\xc3\xbc\xc3\x9f"},
        {"\"0123456789\xe2\x82\xac\"", "0123456789\xe2\x82\xac"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct json_value value = parse(cases[i].text);
        struct buf out = {0};
        assert_str(json_str(value, &arena), cases[i].expected);
        assert_true(json_str_add(value, &out));
        assert_str(buf_str(&out), cases[i].expected);
        assert_true(json_str_eq(value, str_of(cases[i].expected)));
        assert_false(json_str_eq(value, STR("something else")));
        buf_done(&out);
    }
    assert_false(json_str_eq(parse("\"\\n\""), STR("\nx")));
    assert_false(json_str_eq(parse("5"), STR("5")));
    /* U+0000 is a character like any other. */
    struct str zero = json_str(parse("\"a\\u0000b\""), &arena);
    assert_int_equal(zero.len, 3);
    assert_memory_equal(zero.at, "a\0b", 3);
}

static void what_is_no_json_is_refused(void **state) {
    static const struct {
        const char *text;
        size_t at;
    } cases[] = {
        {"", 0},
        {" ", 1},
        {"{", 1},
        {"[", 1},
        {"]", 0},
        {"[1,]", 3},
        {"[1 2]", 3},
        {"{\"a\"}", 4},
        {"{\"a\":}", 5},
        {"{\"a\":1,}", 7},
        {"{a:1}", 1},
        {"{'a':1}", 1},
        {"[1}", 2},
        {"{\"a\":1]", 6},
        {"1 2", 2},
        {"{}x", 2},
        {"nul", 0},
        {"True", 0},
        {"01", 0},
        {"-", 0},
        {"+1", 0},
        {".5", 0},
        {"5.", 0},
        {"1e", 0},
        {"1e+", 0},
        {"0x1", 1},
        {"NaN", 0},
        {"Infinity", 0},
        {"\"abc", 0},
        {"\"a\\x\"", 2},
        {"\"\\u12\"", 1},
        {"\"\\u12g4\"", 1},
        {"\"\n\"", 1},
        {"\"\xff\"", 1},
        {"\"a\xc3\"", 1},
        {"\"\xed\xa0\x80\"", 1},
        {"\"\\", 1},
        {"[[]", 3},
        {"{\"a\":{}", 7},
        {"//x", 0},
        {"1,2", 1},
        {"\xef\xbb\xbf{}", 0},
        {"\"01234567\x01\"", 9},
        {"-01", 0},
        {"[\"a\",", 5},
        {"{\"a\" 1}", 5},
        {"{,}", 1},
        {"[-]", 1},
        {"[1.]", 1},
        {"[1e]", 1},
        {"[1e-]", 1},
        {"[01]", 1},
        {"[tru]", 1},
        {"[\"a]", 1},
        {"{\"a}", 1},
        {"{\"a\":1}}", 7},
        {"[[1]", 4},
        {"[[1] \n", 4},
        {"[{}", 3},
        {"[1 ]]", 4},
        {"}", 0},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        /* A block of its own, so that reading behind the end is seen. */
        size_t len = strlen(cases[i].text);
        char *text = malloc(len + !len);
        memcpy(text, cases[i].text, len);
        assert_int_equal(json_parse(&json, str_from(text, len)), ERR_INVALID);
        free(text);
        if (json.error_at != cases[i].at)
            fail_msg("%s: error at %zu (%s)", cases[i].text, json.error_at, json.error_text);
        assert_non_null(json.error_text);
        assert_int_equal(json_type(json_root(&json)), JSON_ABSENT);
    }
    /* A NUL byte is not the end. */
    assert_int_equal(json_parse(&json, str_from("1\0", 2)), ERR_INVALID);
    assert_int_equal(json_parse(&json, str_from("\"\\\0\"", 4)), ERR_INVALID);
}

static void depth_and_size_are_bounded(void **state) {
    char text[400];
    memset(text, '[', 200);
    memset(text + 200, ']', 200);
    assert_int_equal(json_parse(&json, str_from(text + 136, 128)), 0);
    assert_int_equal(json_parse(&json, str_from(text + 135, 130)), ERR_TOO_LARGE);
    assert_int_equal(json.error_at, 64);
    json.depth_max = 200;
    assert_int_equal(json_parse(&json, str_from(text, 400)), 0);
    json.bytes_max = 399;
    assert_int_equal(json_parse(&json, str_from(text, 400)), ERR_TOO_LARGE);
    json.depth_max = 0;
    json.bytes_max = 0;
}

static void one_tape_serves_many_texts(void **state) {
    struct buf text = {0};
    buf_add_u8(&text, '[');
    for (int i = 0; i < 1000; i++)
        buf_printf(&text, "%s{\"k%d\":%d}", i ? ", " : "", i, i);
    buf_add_u8(&text, ']');
    assert_int_equal(json_parse(&json, buf_str(&text)), 0);
    int64_t integer;
    assert_int_equal(json_count(json_root(&json)), 1000);
    assert_true(json_int(json_member(json_item(json_root(&json), 999), STR("k999")), &integer));
    assert_int_equal(integer, 999);
    struct json_entry *entries = json.entries;
    assert_int_equal(json_type(parse("[true]")), JSON_ARRAY);
    assert_ptr_equal(json.entries, entries);
    buf_done(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalars),
        cmocka_unit_test(numbers),
        cmocka_unit_test(members_and_items),
        cmocka_unit_test(of_equal_keys_the_last_counts),
        cmocka_unit_test(each_visits_all_in_order),
        cmocka_unit_test(strings_are_unescaped),
        cmocka_unit_test(what_is_no_json_is_refused),
        cmocka_unit_test(depth_and_size_are_bounded),
        cmocka_unit_test(one_tape_serves_many_texts),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
