#include "base/test.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/random.h"
#include "rule/number.h"

static void assert_double(double number, bool point, const char *expected) {
    struct buf out = {0};
    rule_number_write_double(&out, number, point);
    assert_string_equal(buf_cstr(&out), expected);
    buf_done(&out);
}

static void doubles_in_their_fewest_digits(void **state) {
    assert_double(0.1, false, "0.1");
    assert_double(21.5, true, "21.5");
    assert_double(100, false, "100");
    assert_double(100, true, "100.0");
    assert_double(0, true, "0.0");
    assert_double(-0.5, false, "-0.5");
    assert_double(1.0 / 3, false, "0.3333333333333333");
    assert_double(123456789.125, false, "123456789.125");
    assert_double(999999999999999, false, "999999999999999");
    assert_double(1e15, false, "1000000000000000");
    assert_double(9007199254740993e3, false, "9007199254740993000");
    assert_double(0.0000001, false, "0.0000001");
    assert_double(0.00000001, false, "1E-8");
    assert_double(1e21, true, "1E21");
}

/* Any double, and what a sensor would send. */
static void what_is_written_reads_as_the_same_double(void **state) {
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = random_u64();
        double number, decimal = (double)((int64_t)(bits % 2000000) - 1000000) / 1000;
        memcpy(&number, &bits, sizeof number);
        struct buf out = {0};
        if (isfinite(number)) {
            rule_number_write_double(&out, number, false);
            assert_true(strtod(buf_cstr(&out), NULL) == number);
            assert_true(rule_number_valid(buf_str(&out)));
            buf_clear(&out);
        }
        rule_number_write_double(&out, decimal, false);
        assert_true(strtod(buf_cstr(&out), NULL) == decimal);
        assert_true(buf_len(&out) <= 9);
        buf_done(&out);
    }
}

static void whole_is_told_from_the_digits(void **state) {
    static const char *const whole[] = {"1",        "-10",   "1.0",       "1.50e1", "100e-2",
                                        "100.0e-2", "0.5e1", "0e-9",      "0.000",  "12e300",
                                        "1E3",      "1e+3",  "1200.00e-2"};
    static const char *const broken[] = {"0.5",
                                         "1.5e0",
                                         "15e-1",
                                         "101e-2",
                                         "100.1e-2",
                                         "0.05e1",
                                         "1e-1",
                                         "1.00001",
                                         "10e-2",
                                         "1e-400",
                                         "0.00000000000000000000000000001"};
    for (size_t i = 0; i < COUNT_OF(whole); i++)
        assert_true(rule_number_is_whole(str_of(whole[i])));
    for (size_t i = 0; i < COUNT_OF(broken); i++)
        assert_false(rule_number_is_whole(str_of(broken[i])));
}

static void whole_numbers(void **state) {
    static const int64_t numbers[] = {0, 7, -7, 1000000, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        struct buf out = {0};
        int64_t back;
        rule_number_write_int(&out, numbers[i]);
        assert_true(rule_number_to_int(buf_str(&out), &back));
        assert_int_equal(back, numbers[i]);
        buf_done(&out);
    }
    int64_t untouched = 5;
    assert_false(rule_number_to_int(STR("9223372036854775808"), &untouched));
    assert_false(rule_number_to_int(STR("-9223372036854775809"), &untouched));
    assert_false(rule_number_to_int(STR("-"), &untouched));
    assert_false(rule_number_to_int(STR("1.0"), &untouched));
    assert_int_equal(untouched, 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(doubles_in_their_fewest_digits),
        cmocka_unit_test(what_is_written_reads_as_the_same_double),
        cmocka_unit_test(whole_is_told_from_the_digits),
        cmocka_unit_test(whole_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
