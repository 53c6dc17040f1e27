#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "http/http.h"

static void expect_decoded(const char *text, const char *expected) {
    struct buf out = {0};
    assert_true(http_percent_decode(str_of(text), &out));
    assert_string_equal(buf_cstr(&out), expected);
    buf_done(&out);
}

static void escapes_are_decoded(void **state) {
    expect_decoded("", "");
    expect_decoded("a%20b%2fc%2F", "a b/c/");
    expect_decoded("a+b", "a+b");
    expect_decoded("%e2%82%AC", "\xe2\x82\xac");
}

static void bad_escapes_are_refused(void **state) {
    static const char *const bad[] = {"%", "%1", "a%2", "%zz", "%2g", "%%20"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct buf out = {0};
        assert_false(http_percent_decode(str_of(bad[i]), &out));
        buf_done(&out);
    }
}

static void all_but_unreserved_is_encoded(void **state) {
    struct buf out = {0};
    http_percent_encode(&out, STR("aZ09-._~/ \xff%"), false);
    assert_string_equal(buf_cstr(&out), "aZ09-._~%2F%20%FF%25");
    buf_clear(&out);
    http_percent_encode(&out, STR("a/b c"), true);
    assert_string_equal(buf_cstr(&out), "a/b%20c");
    buf_done(&out);
}

static void parameters_are_found_and_decoded(void **state) {
    struct http_request request = {.query = STR("x=1&na%6De=a%20b&empty=&flag&bad=%zz&x=2")};
    struct buf value = {0};
    assert_true(http_query(&request, "name", &value));
    assert_string_equal(buf_cstr(&value), "a b");
    buf_clear(&value);
    assert_true(http_query(&request, "x", &value));
    assert_string_equal(buf_cstr(&value), "1");
    buf_clear(&value);
    assert_true(http_query(&request, "empty", &value));
    assert_true(http_query(&request, "flag", &value));
    assert_int_equal(buf_len(&value), 0);
    assert_false(http_query(&request, "bad", &value));
    assert_false(http_query(&request, "nam", &value));
    buf_done(&value);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escapes_are_decoded),
        cmocka_unit_test(bad_escapes_are_refused),
        cmocka_unit_test(all_but_unreserved_is_encoded),
        cmocka_unit_test(parameters_are_found_and_decoded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
