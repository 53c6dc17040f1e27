#include "base/test.h"

#include <stdlib.h>

#include "base/mem.h"
#include "rule/number.h"

typedef bool operation(struct number a, struct number b, struct number *ret_number);

struct operation_case {
    const char *a, *b, *expected; /* NULL: outside of the range */
};

static void check(operation *operate, const struct operation_case *cases, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct number a, b, result;
        struct buf out = {0};
        assert_true(rule_number_read(str_of(cases[i].a), &a));
        assert_true(rule_number_read(str_of(cases[i].b), &b));
        bool done = operate(a, b, &result);
        if (done)
            rule_number_write(&out, result, false);
        const char *got = done ? buf_cstr(&out) : "nothing";
        const char *expected = cases[i].expected ? cases[i].expected : "nothing";
        if (strcmp(got, expected) != 0)
            fail_msg("%s and %s give %s, not %s", cases[i].a, cases[i].b, got, expected);
        buf_done(&out);
    }
}

static void sums(void **state) {
    static const struct operation_case cases[] = {
        {"0.1", "0.2", "0.3"},
        {"1.10", "2.20", "3.3"},
        {"9223372036854775807", "1", "9223372036854775808"},
        {"-9223372036854775808", "-1", "-9223372036854775809"},
        {"9999999999999999999999999999999999", "1", "1E34"},
        {"9999999999999999999999999999999999", "0.5", "1E34"},
        {"9999999999999999999999999999999998", "0.5", "9999999999999999999999999999999998"},
        {"1", "1E-33", "1.000000000000000000000000000000001"},
        {"1", "1E-40", "1"},
        {"1E33", "-1", "999999999999999999999999999999999"},
        {"5E999", "5E999", NULL},
        {"-1.5", "1.5", "0"},
        {"1E500", "-1E500", "0"},
        {"1E-999", "-1.1E-998", "-1E-998"},
    };
    check(rule_number_add, cases, COUNT_OF(cases));
}

static void products(void **state) {
    static const struct operation_case cases[] = {
        {"0.1", "0.1", "0.01"},
        {"9223372036854775807", "9223372036854775807", "8.50705917302346158473969077842325E37"},
        {"9223372036854775807", "-2", "-18446744073709551614"},
        {"1.000000000000000000000000000000001", "1.000000000000000000000000000000001",
         "1.000000000000000000000000000000002"},
        {"1E500", "1E499", "1E999"},
        {"1E500", "1E500", NULL},
        {"1E-500", "1E-500", NULL},
        {"1E-500", "0", "0"},
        {"2.5", "4", "10"},
    };
    check(rule_number_multiply, cases, COUNT_OF(cases));
}

static void quotients(void **state) {
    static const struct operation_case cases[] = {
        {"90", "9", "10"},
        {"215", "9", "23.88888888888888888888888888888889"},
        {"5", "2", "2.5"},
        {"1", "3", "0.3333333333333333333333333333333333"},
        {"2", "3", "0.6666666666666666666666666666666667"},
        {"-9223372036854775808", "-1", "9223372036854775808"},
        {"1", "0", NULL},
        {"0", "0", NULL},
        {"0", "-7", "0"},
        {"1E999", "0.1", NULL},
        {"1E-999", "10", NULL},
        {"1700000000123", "1000", "1700000000.123"},
        {"1E33", "0.01", "1E35"},
    };
    check(rule_number_divide, cases, COUNT_OF(cases));
}

/* With the sign of the dividend. */
static void remainders(void **state) {
    static const struct operation_case cases[] = {
        {"8", "3", "2"},     {"-7", "3", "-1"},      {"7", "-3", "1"},
        {"7.5", "2", "1.5"}, {"1", "0", NULL},       {"-9223372036854775808", "-1", "0"},
        {"1E999", "7", "6"}, {"1E33", "1E-33", "0"}, {"5", "1E999", "5"},
        {"0.3", "0.1", "0"},
    };
    check(rule_number_modulo, cases, COUNT_OF(cases));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums),
        cmocka_unit_test(products),
        cmocka_unit_test(quotients),
        cmocka_unit_test(remainders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
