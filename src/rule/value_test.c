#include "rule/sql_test.h"

#include <math.h>

#define V1 RULE_VERSION_2015_10_08
#define V2 RULE_VERSION_2016_03_23

/* A run of which only the evaluation is used. */
static struct sql_run run;

static int setup(void **state) {
    return sql_run_init(&run, V2, "SELECT * FROM 'a'", test_message(STR("{}")));
}

static int teardown(void **state) {
    sql_run_done(&run);
    return 0;
}

static void assert_written(struct value value, const char *expected) {
    struct buf out = {0};
    rule_value_write(&run.evaluation, &out, value);
    assert_string_equal(buf_cstr(&out), expected);
    buf_done(&out);
}

static void numbers_from_text(void **state) {
    static const struct {
        const char *text;
        enum rule_version version;
        enum value_type type;
        int64_t integer;
    } cases[] = {
        {"15", V1, VALUE_INT, 15},
        {"-15", V2, VALUE_INT, -15},
        {"-0", V2, VALUE_INT, 0},
        {"10.0", V1, VALUE_DECIMAL, 0},
        {"10.0", V2, VALUE_INT, 10},
        {"1E3", V1, VALUE_DECIMAL, 0},
        {"1E3", V2, VALUE_INT, 1000},
        {"1500e-2", V2, VALUE_INT, 15},
        {"1505e-2", V2, VALUE_DECIMAL, 0},
        {"0.15e2", V2, VALUE_INT, 15},
        {"0.155e2", V2, VALUE_DECIMAL, 0},
        {"0e-5", V2, VALUE_INT, 0},
        {"0.000", V2, VALUE_INT, 0},
        {"1.0000000000000000000000000001", V2, VALUE_DECIMAL, 0},
        {"10000000000000000000000000001e-28", V2, VALUE_DECIMAL, 0},
        {"9223372036854775807", V2, VALUE_INT, INT64_MAX},
        {"-9223372036854775808", V2, VALUE_INT, INT64_MIN},
        {"1.00000000000000000000000000000000000000001", V2, VALUE_INT, 1},
        {"12345678901234567890123456789012345", V2, VALUE_DECIMAL, 0},
        {"1e999999999999", V2, VALUE_DECIMAL, 0},
        {"0.5", V2, VALUE_DECIMAL, 0},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct value value = rule_value_read_number(cases[i].version, str_of(cases[i].text));
        if (value.type != cases[i].type ||
            (value.type == VALUE_INT && (int64_t)value.number.coefficient != cases[i].integer))
            fail_msg("%s: type %d, %lld", cases[i].text, value.type,
                     (long long)value.number.coefficient);
        if (value.type == VALUE_DECIMAL)
            assert_written(value, cases[i].text);
    }
}

static void computed_decimals_as_text(void **state) {
    static const struct {
        double number;
        const char *new, *old;
    } cases[] = {
        {0.1, "0.1", "0.1"}, {-2.5, "-2.5", "-2.5"}, {-1.5e300, "-1.5E300", "-1.5E300"},
        {3, "3", "3.0"},     {0, "0", "0.0"},        {-120, "-120", "-120.0"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        run.evaluation.version = V2;
        assert_written(rule_value_of_double(V2, cases[i].number), cases[i].new);
        run.evaluation.version = V1;
        assert_written(rule_value_of_double(V1, cases[i].number), cases[i].old);
    }
    run.evaluation.version = V2;
    assert_int_equal(rule_value_of_double(V2, NAN).type, VALUE_UNDEFINED);
    assert_int_equal(rule_value_of_double(V1, INFINITY).type, VALUE_UNDEFINED);
}

static void strings_become_numbers_by_the_pattern(void **state) {
    struct value number;
    assert_true(rule_value_to_number(&run.evaluation, value_string(STR("5E-1")), &number));
    assert_written(number, "0.5");
    run.evaluation.version = V1;
    assert_true(rule_value_to_number(&run.evaluation, value_string(STR("7.0")), &number));
    run.evaluation.version = V2;
    assert_int_equal(number.type, VALUE_DECIMAL);
    assert_false(rule_value_to_number(&run.evaluation, value_string(STR("+1")), &number));
    assert_false(rule_value_to_number(&run.evaluation, value_string(STR("1E1000")), &number));
    assert_false(
        rule_value_to_number(&run.evaluation, rule_value_read_number(V2, STR("1E1000")), &number));
    assert_false(rule_value_to_number(&run.evaluation, value_boolean(true), &number));
    assert_false(rule_value_to_number(&run.evaluation, value_null(), &number));
}

/* Three roundings: a Decimal to the nearest, a String cut, and floor where a function says so. */
static void roundings_to_int(void **state) {
    int64_t integer;
    struct value decimal = rule_value_read_number(V2, STR("-2.7")),
                 string = value_string(STR("-2.7"));
    assert_true(rule_value_to_int(&run.evaluation, decimal, NUMBER_NEAREST, &integer));
    assert_int_equal(integer, -3);
    assert_true(rule_value_to_int(&run.evaluation, decimal, NUMBER_FLOOR, &integer));
    assert_int_equal(integer, -3);
    assert_true(rule_value_to_int(&run.evaluation, string, NUMBER_NEAREST, &integer));
    assert_int_equal(integer, -2);
    assert_true(rule_value_to_int(&run.evaluation, string, NUMBER_FLOOR, &integer));
    assert_int_equal(integer, -3);
    assert_true(
        rule_value_to_int(&run.evaluation, value_string(STR("1E30")), NUMBER_FLOOR, &integer));
    assert_true(integer == INT64_MAX);
    assert_true(
        rule_value_to_int(&run.evaluation, value_string(STR("-1E30")), NUMBER_FLOOR, &integer));
    assert_true(integer == INT64_MIN);
    assert_false(rule_value_to_int(&run.evaluation, value_boolean(true), NUMBER_FLOOR, &integer));
}

static void texts(void **state) {
    struct str text;
    assert_true(rule_value_to_string(&run.evaluation, value_int(-7), &text));
    assert_str(text, "-7");
    assert_true(rule_value_to_string(&run.evaluation, value_boolean(false), &text));
    assert_str(text, "false");
    assert_false(rule_value_to_string(&run.evaluation, value_null(), &text));
    assert_false(rule_value_to_string(&run.evaluation, value_undefined(), &text));
}

static void built_and_read_values_are_alike(void **state) {
    struct json json = {0};
    assert_int_equal(json_parse(&json, STR("{\"b\":[1,\"x\"],\"a\":null}")), 0);
    struct value read = rule_value_from_json(&run.evaluation, json_root(&json));
    struct value_array *array = rule_value_array_new(&run.evaluation, 2);
    array->items[array->count++] = value_int(1);
    array->items[array->count++] = value_string(STR("x"));
    struct value_object *object = rule_value_object_new(&run.evaluation, 2);
    rule_value_object_set(&run.evaluation, object, STR("a"), value_int(9));
    rule_value_object_set(&run.evaluation, object, STR("b"), value_of_array(array));
    rule_value_object_set(&run.evaluation, object, STR("a"), value_null());
    struct value built = value_of_object(object);
    assert_int_equal(rule_value_count(built), 2);
    assert_true(rule_value_equal(&run.evaluation, read, built));
    assert_true(rule_value_equal(&run.evaluation, built, read));
    assert_written(built, "{\"a\":null,\"b\":[1,\"x\"]}");
    assert_written(read, "{\"b\":[1,\"x\"],\"a\":null}");
    array->items[0] = value_int(2);
    assert_false(rule_value_equal(&run.evaluation, read, built));
    json_done(&json);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(numbers_from_text, setup, teardown),
        cmocka_unit_test_setup_teardown(computed_decimals_as_text, setup, teardown),
        cmocka_unit_test_setup_teardown(strings_become_numbers_by_the_pattern, setup, teardown),
        cmocka_unit_test_setup_teardown(roundings_to_int, setup, teardown),
        cmocka_unit_test_setup_teardown(texts, setup, teardown),
        cmocka_unit_test_setup_teardown(built_and_read_values_are_alike, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
