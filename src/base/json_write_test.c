#include "base/test.h"

#include "base/json_write.h"

static void check(struct str in, const char *expected) {
    struct buf out = {0};
    json_write_string(&out, in);
    assert_str(buf_str(&out), expected);
    buf_done(&out);
}

static void escapes_what_must_be_escaped(void **state) {
    check(STR(""), "\"\"");
    check(STR("plain"), "\"plain\"");
    check(STR("a\"b\\c"), "\"a\\\"b\\\\c\"");
    check(STR("\n\r\t\b\f"), "\"\\n\\r\\t\\b\\f\"");
    check(str_from("\0\x1f\x7f", 3), "\"\\u0000\\u001f\\u007f\"");
    check(STR("</script>"), "\"<\\/script>\"");
    check(STR("\xe2\x82\xac"), "\"\xe2\x82\xac\"");
}

static void plain_strings_escape_no_more_than_they_must(void **state) {
    struct buf out = {0};
    json_write_plain_string(&out, STR("</a>\x7f\n\"\xff"));
    assert_str(buf_str(&out), "\"</a>\x7f\\n\\\"\xef\xbf\xbd\"");
    buf_done(&out);
}

static void replaces_each_byte_that_is_not_utf8(void **state) {
    check(STR("a\xff\xc0z"), "\"a\xef\xbf\xbd\xef\xbf\xbdz\"");
    check(STR("\xe2\x82"), "\"\xef\xbf\xbd\xef\xbf\xbd\"");
    check(STR("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
}

static void commas_stand_between_items_only(void **state) {
    struct buf out = {0};
    buf_add(&out, "{", 1);
    json_write_key(&out, "a");
    buf_add(&out, "1", 1);
    json_write_key(&out, "b");
    buf_add(&out, "[", 1);
    for (int i = 0; i < 3; i++) {
        json_write_comma(&out);
        buf_printf(&out, "%d", i);
    }
    buf_add(&out, "]}", 2);
    assert_str(buf_str(&out), "{\"a\":1,\"b\":[0,1,2]}");
    buf_done(&out);
}

static void members_are_written_whole(void **state) {
    struct buf out = {0};
    buf_add(&out, "{", 1);
    json_write_text(&out, "a", STR("\"x"));
    json_write_bool(&out, "b", true);
    json_write_bool(&out, "c", false);
    json_write_int(&out, "d", INT64_MIN);
    assert_str(buf_str(&out), "{\"a\":\"\\\"x\",\"b\":true,\"c\":false,"
                              "\"d\":-9223372036854775808");
    buf_done(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escapes_what_must_be_escaped),
        cmocka_unit_test(plain_strings_escape_no_more_than_they_must),
        cmocka_unit_test(replaces_each_byte_that_is_not_utf8),
        cmocka_unit_test(commas_stand_between_items_only),
        cmocka_unit_test(members_are_written_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
