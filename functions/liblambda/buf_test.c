#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "buf.h"

static void grows_and_stays_terminated(void **state) {
    struct lambda_buf buf = {0};
    for (int i = 0; i < 5000; i++) {
        lambda_buf_append_byte(&buf, (char)('a' + i % 26));
        assert_int_equal(buf.data[buf.size], '\0');
    }
    assert_int_equal(buf.size, 5000);
    assert_int_equal(buf.data[4999], 'a' + 4999 % 26);
    lambda_buf_done(&buf);
    assert_null(buf.data);
}

static void formats_behind_what_is_there(void **state) {
    struct lambda_buf buf = {0};
    lambda_buf_append(&buf, "x=", 2);
    lambda_buf_format(&buf, "%d;%s", 7, "y");
    assert_string_equal(buf.data, "x=7;y");
    assert_int_equal(buf.size, 5);
    lambda_buf_done(&buf);
}

static void formats_more_than_its_room(void **state) {
    struct lambda_buf buf = {0};
    lambda_buf_append(&buf, "12", 2);
    lambda_buf_format(&buf, "%01000d", 3);
    assert_int_equal(buf.size, 1002);
    assert_int_equal(buf.data[1001], '3');
    lambda_buf_done(&buf);
}

static void empty_append_gives_an_empty_text(void **state) {
    struct lambda_buf buf = {0};
    lambda_buf_clear(&buf);
    assert_null(buf.data);
    lambda_buf_append(&buf, NULL, 0);
    assert_string_equal(buf.data, "");
    lambda_buf_append(&buf, "abc", 3);
    lambda_buf_clear(&buf);
    assert_int_equal(buf.size, 0);
    assert_string_equal(buf.data, "");
    lambda_buf_done(&buf);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_and_stays_terminated),
        cmocka_unit_test(formats_behind_what_is_there),
        cmocka_unit_test(formats_more_than_its_room),
        cmocka_unit_test(empty_append_gives_an_empty_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
