#include "base/test.h"

#include "base/utf8.h"

static void accepts_every_scalar_value_and_nothing_else(void **state) {
    for (uint32_t point = 1; point < 0x120000; point += point < 0x3000 ? 1 : 17) {
        char text[4];
        size_t len;
        if (point < 0x80) {
            text[0] = (char)point;
            len = 1;
        } else if (point < 0x800) {
            text[0] = (char)(0xc0 | point >> 6);
            len = 2;
        } else if (point < 0x10000) {
            text[0] = (char)(0xe0 | point >> 12);
            len = 3;
        } else {
            text[0] = (char)(0xf0 | point >> 18);
            len = 4;
        }
        for (size_t i = 1; i < len; i++)
            text[i] = (char)(0x80 | (point >> 6 * (len - 1 - i) & 0x3f));
        bool scalar = point <= 0x10ffff && !(point >= 0xd800 && point <= 0xdfff);
        assert_int_equal(utf8_valid(str_from(text, len)), scalar);
        assert_int_equal(utf8_sequence(str_from(text, len)), scalar ? len : 0);
        if (len > 1)
            assert_false(utf8_valid(str_from(text, len - 1)));
    }
}

static void refuses_overlong_forms_and_stray_bytes(void **state) {
    assert_false(utf8_valid(STR("\xc0\x80")));
    assert_false(utf8_valid(STR("\xe0\x80\xaf")));
    assert_false(utf8_valid(STR("\xf0\x80\x80\xaf")));
    assert_false(utf8_valid(STR("\x80")));
    assert_false(utf8_valid(STR("long enough for words \xff and more")));
    assert_true(utf8_valid(STR("long enough for words \xc3\xa9 and more")));
    assert_true(utf8_valid(STR("")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_every_scalar_value_and_nothing_else),
        cmocka_unit_test(refuses_overlong_forms_and_stray_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
