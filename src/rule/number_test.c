#include "base/test.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/random.h"
#include "rule/number.h"

static struct number number_of(const char *text) {
    struct number number;
    if (!rule_number_read(str_of(text), &number))
        fail_msg("%s is beyond the range", text);
    return number;
}

static void assert_number(struct number number, bool point, const char *expected) {
    struct buf out = {0};
    rule_number_write(&out, number, point);
    assert_string_equal(buf_cstr(&out), expected);
    buf_done(&out);
}

static void text_to_number_and_back(void **state) {
    static const struct {
        const char *text, *plain, *point;
    } cases[] = {
        {"0", "0", "0.0"},
        {"-0", "0", "0.0"},
        {"0e5", "0", "0.0"},
        {"007", "7", "7.0"},
        {"-1.50", "-1.5", "-1.5"},
        {"100e-2", "1", "1.0"},
        {"0.15e2", "15", "15.0"},
        {"1e+3", "1000", "1000.0"},
        {"123456789012345678", "123456789012345678", "123456789012345678.0"},
        {"1234567890123456789", "1234567890123456789", "1234567890123456789.0"},
        {"-0.0000001", "-0.0000001", "-0.0000001"},
        {"0.00000001", "1E-8", "1E-8"},
        {"12.5E-9", "1.25E-8", "1.25E-8"},
        {"1E33", "1000000000000000000000000000000000", "1000000000000000000000000000000000.0"},
        {"1E34", "1E34", "1E34"},
        {"9.99E999", "9.99E999", "9.99E999"},
        {"1E-999", "1E-999", "1E-999"},
        /* 34 digits, half to even */
        {"1.0000000000000000000000000000000005", "1", "1.0"},
        {"1.0000000000000000000000000000000015", "1.000000000000000000000000000000002",
         "1.000000000000000000000000000000002"},
        {"1.00000000000000000000000000000000050001", "1.000000000000000000000000000000001",
         "1.000000000000000000000000000000001"},
        {"0.99999999999999999999999999999999999", "1", "1.0"},
        {"99999999999999999999999999999999999", "1E35", "1E35"},
        {"0.00000000000000000000000000000000000000001234567890123456789012345678901234567",
         "1.234567890123456789012345678901235E-41", "1.234567890123456789012345678901235E-41"},
        {"1000000000000000000000000000000000000000000E-40", "100", "100.0"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_number(number_of(cases[i].text), false, cases[i].plain);
        assert_number(number_of(cases[i].text), true, cases[i].point);
    }
}

static void what_is_out_of_range(void **state) {
    static const char *const texts[] = {"1E1000",
                                        "-1E1000",
                                        "1E-1000",
                                        "9E-1000",
                                        "1E99999999999999999999",
                                        "1E-99999999999999999999"};
    struct number untouched = number_int(5);
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        assert_false(rule_number_read(str_of(texts[i]), &untouched));
    assert_true(untouched.coefficient == 5);
    assert_true(rule_number_read(STR("0E99999"), &untouched));
    assert_true(untouched.coefficient == 0 && untouched.exponent == 0);
}

static void the_pattern_of_strings(void **state) {
    static const char *const good[] = {"0", "007", "-1.2", "5E-12", "5e3", "1.50E2"};
    static const char *const bad[] = {"",     "-",  "+1",  ".5",  "5.",    " 5",  "5 ",
                                      "1e+3", "1e", "1e-", "0x1", "1.2.3", "abc", "--1"};
    for (size_t i = 0; i < COUNT_OF(good); i++)
        assert_true(rule_number_valid(str_of(good[i])));
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(rule_number_valid(str_of(bad[i])));
}

/* Each list ascends; equal neighbours are not in it. */
static void order(void **state) {
    static const char *const ascending[] = {
        "-9E999",
        "-1E34",
        "-1000000000000000000000000000000000",
        "-7",
        "-1.5",
        "-1.4999999999999999999999999999999",
        "-1E-999",
        "0",
        "1E-999",
        "0.1",
        "0.1000000000000000000000000000000001",
        "0.3",
        "9223372036854775807",
        "9223372036854775807.5",
        "9223372036854775808",
        "1E19",
        "9999999999999999999999999999999999",
        "1E34",
        "1.000000000000000000000000000000001E34",
        "9.99E999",
    };
    for (size_t i = 0; i < COUNT_OF(ascending); i++) {
        for (size_t j = 0; j < COUNT_OF(ascending); j++) {
            int expected = (i > j) - (i < j);
            int got = rule_number_order(number_of(ascending[i]), number_of(ascending[j]));
            if (got != expected)
                fail_msg("%s against %s: %d", ascending[i], ascending[j], got);
        }
    }
}

static void rounding_to_places(void **state) {
    static const struct {
        const char *number, *floor, *ceil, *nearest, *cut;
        unsigned places;
    } cases[] = {
        {"1.5", "1", "2", "2", "1", 0},
        {"-1.5", "-2", "-1", "-2", "-1", 0},
        {"2.5", "2", "3", "3", "2", 0},
        {"1.4999999999999999999999999999999", "1", "2", "1", "1", 0},
        {"-0.2", "-1", "0", "0", "0", 0},
        {"1E-900", "0", "1", "0", "0", 0},
        {"-1E-900", "-1", "0", "0", "0", 0},
        {"2.888", "2.88", "2.89", "2.89", "2.88", 2},
        {"7", "7", "7", "7", "7", 3},
        {"1E40", "1E40", "1E40", "1E40", "1E40", 0},
        {"0.9999999999999999999999999999999999", "0", "1", "1", "0", 0},
        {"9999999999999999999999999999999.999", "9999999999999999999999999999999.9",
         "10000000000000000000000000000000", "10000000000000000000000000000000",
         "9999999999999999999999999999999.9", 1},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct number number = number_of(cases[i].number);
        unsigned places = cases[i].places;
        assert_number(rule_number_round(number, NUMBER_FLOOR, places), false, cases[i].floor);
        assert_number(rule_number_round(number, NUMBER_CEIL, places), false, cases[i].ceil);
        assert_number(rule_number_round(number, NUMBER_NEAREST, places), false, cases[i].nearest);
        assert_number(rule_number_round(number, NUMBER_CUT, places), false, cases[i].cut);
    }
}

static void assert_double(double from, bool point, const char *expected) {
    struct number number;
    assert_true(rule_number_from_double(from, &number));
    assert_number(number, point, expected);
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
    assert_double(1e21, true, "1000000000000000000000.0");
    assert_double(1e34, true, "1E34");
    assert_double(5e-324, false, "5E-324");
    assert_double(6.156563468186638e113, false, "6.156563468186638E113");
    assert_double(0x1p-44, false, "5.684341886080802E-14");
    assert_double(2.2250738585072014e-308, false, "2.2250738585072014E-308");
    struct number untouched;
    assert_false(rule_number_from_double(NAN, &untouched));
    assert_false(rule_number_from_double(-INFINITY, &untouched));
}

/* Any double, and what a sensor would send. */
static void what_is_written_reads_as_the_same_double(void **state) {
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = random_u64();
        double number, decimal = (double)((int64_t)(bits % 2000000) - 1000000) / 1000;
        memcpy(&number, &bits, sizeof number);
        struct number made;
        if (rule_number_from_double(number, &made)) {
            assert_true(rule_number_double(made) == number);
            struct buf out = {0};
            rule_number_write(&out, made, false);
            assert_true(strtod(buf_cstr(&out), NULL) == number);
            assert_true(rule_number_valid(buf_str(&out)));
            buf_done(&out);
        }
        assert_true(rule_number_from_double(decimal, &made));
        assert_true(rule_number_double(made) == decimal);
        assert_true(made.exponent >= -3);
    }
}

static void whole_numbers(void **state) {
    static const int64_t numbers[] = {0, 7, -7, 1000000, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        struct buf out = {0};
        rule_number_write_int(&out, numbers[i]);
        assert_number(number_of(buf_cstr(&out)), false, buf_cstr(&out));
        assert_true(number_of(buf_cstr(&out)).coefficient == numbers[i]);
        buf_done(&out);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_to_number_and_back),
        cmocka_unit_test(what_is_out_of_range),
        cmocka_unit_test(the_pattern_of_strings),
        cmocka_unit_test(order),
        cmocka_unit_test(rounding_to_places),
        cmocka_unit_test(doubles_in_their_fewest_digits),
        cmocka_unit_test(what_is_written_reads_as_the_same_double),
        cmocka_unit_test(whole_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
