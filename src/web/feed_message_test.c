#include "base/test.h"

#include <stdlib.h>

#include "base/mem.h"
#include "web/feed_message.h"

static void check(struct str latest, struct str count, uint64_t updated_ms, const char *expected) {
    struct buf out = {0};
    web_feed_message(&out, latest, count, updated_ms);
    assert_str(buf_str(&out), expected);
    buf_done(&out);
}

static void members_are_as_the_page_expects(void **state) {
    const struct str none = {0};
    check(none, none, 0, "{\"latest\":null,\"count\":\"0\",\"updated\":null}");
    check(STR("hi"), STR("12"), 1795500900123,
          "{\"latest\":\"hi\",\"count\":\"12\",\"updated\":\"2026-11-24T06:15:00.123Z\"}");
    check(STR(""), STR("0"), 0, "{\"latest\":\"\",\"count\":\"0\",\"updated\":null}");
}

static void text_is_escaped(void **state) {
    check(STR("{\"a\": \"x\\y\"}\n\t\x01</script>\xe2\x80\xa8\xc3\xa4"), STR("1"), 0,
          "{\"latest\":\"{\\\"a\\\": \\\"x\\\\y\\\"}\\n\\t\\u0001<\\/script>\xe2\x80\xa8\xc3\xa4\","
          "\"count\":\"1\",\"updated\":null}");
}

static void bytes_that_are_no_text_come_whole_too(void **state) {
    check(STR("a\xff\x00"), STR("1"), 0,
          "{\"latest\":\"a\xef\xbf\xbd\\u0000\",\"latest_base64\":\"Yf8A\","
          "\"count\":\"1\",\"updated\":null}");
}

static void what_is_no_count_is_not_shown_as_one(void **state) {
    static const char *const counts[] = {
        "", "-1", "1e3", " 1", "seven", "12345678901234567890123456789012345678901"};
    for (size_t i = 0; i < COUNT_OF(counts); i++)
        check((struct str){0}, str_of(counts[i]), 0,
              "{\"latest\":null,\"count\":null,\"updated\":null}");
    check((struct str){0}, STR("1234567890123456789012345678901234567890"), 0,
          "{\"latest\":null,\"count\":\"1234567890123456789012345678901234567890\","
          "\"updated\":null}");
}

/* Cut between characters: no replacement, no base64. */
static void a_payload_beyond_the_bound_is_cut(void **state) {
    size_t len = FEED_LATEST_BYTES_MAX + 100;
    char *text = xmalloc(len);
    for (size_t i = 0; i + 3 <= len; i += 3)
        memcpy(text + i, "\xe2\x82\xac", 3);
    struct buf out = {0};
    web_feed_message(&out, str_from(text, len / 3 * 3), STR("1"), 0);
    size_t whole = FEED_LATEST_BYTES_MAX / 3 * 3;
    assert_int_equal(buf_len(&out),
                     whole + strlen("{\"latest\":\"\",\"count\":\"1\",\"updated\":null}"));
    assert_null(strstr(buf_cstr(&out), "base64"));
    buf_done(&out);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_as_the_page_expects),
        cmocka_unit_test(text_is_escaped),
        cmocka_unit_test(bytes_that_are_no_text_come_whole_too),
        cmocka_unit_test(what_is_no_count_is_not_shown_as_one),
        cmocka_unit_test(a_payload_beyond_the_bound_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
