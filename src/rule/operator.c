/*
 * The operators of the dialect, by the tables of the AWS IoT Core Developer Guide ("SQL reference",
 * "Operators" and "Data types"). What a table does not list is Undefined.
 */
#include <math.h>

#include "rule/evaluate.h"
#include "rule/value.h"

/* -1, 0, 1; exact also between an Int beyond 2^53 and a Decimal. */
static int order_numbers(struct value a, struct value b) {
    if (a.type == VALUE_INT && b.type == VALUE_INT)
        return (a.integer > b.integer) - (a.integer < b.integer);
    /* The mantissa of long double holds any int64 wherever Weir runs: 64 bits on x86-64, 113 on
     * AArch64. */
    long double left = a.type == VALUE_INT ? (long double)a.integer : (long double)a.decimal;
    long double right = b.type == VALUE_INT ? (long double)b.integer : (long double)b.decimal;
    return (left > right) - (left < right);
}

static bool equal_arrays(struct evaluation *evaluation, struct value a, struct value b) {
    if (rule_value_count(a) != rule_value_count(b))
        return false;
    struct value_cursor left = rule_value_each(a), right = rule_value_each(b);
    while (rule_value_next(evaluation, &left) && rule_value_next(evaluation, &right))
        if (!rule_value_equal(evaluation, left.value, right.value))
            return false;
    return true;
}

/* Each member of `a` is in `b` and equal. */
static bool contained(struct evaluation *evaluation, struct value a, struct value b) {
    for (struct value_cursor left = rule_value_each(a); rule_value_next(evaluation, &left);) {
        struct value other = rule_value_member(evaluation, b, left.key);
        if (!rule_value_equal(evaluation, rule_value_member(evaluation, a, left.key), other))
            return false;
    }
    return true;
}

bool rule_value_equal(struct evaluation *evaluation, struct value a, struct value b) {
    if (!rule_evaluation_spend(evaluation, 1))
        return false;
    if (value_is_number(a) && value_is_number(b))
        return order_numbers(a, b) == 0;
    if (a.type != b.type)
        return false;
    switch (a.type) {
    case VALUE_BOOLEAN:
        return a.boolean == b.boolean;
    case VALUE_STRING:
        return str_eq(a.text, b.text);
    case VALUE_ARRAY:
        return equal_arrays(evaluation, a, b);
    case VALUE_OBJECT:
        return contained(evaluation, a, b) && contained(evaluation, b, a);
    default:
        return true;
    }
}

static bool comparable(struct value value) {
    return value_is_number(value) || value.type == VALUE_STRING;
}

struct value rule_value_compare(struct evaluation *evaluation, enum value_comparison how,
                                struct value a, struct value b) {
    if (!comparable(a) || !comparable(b) || !rule_value_to_number(evaluation->version, a, &a) ||
        !rule_value_to_number(evaluation->version, b, &b))
        return value_undefined();
    int order = order_numbers(a, b);
    switch (how) {
    case VALUE_LESS:
        return value_boolean(order < 0);
    case VALUE_LESS_EQUAL:
        return value_boolean(order <= 0);
    case VALUE_GREATER:
        return value_boolean(order > 0);
    case VALUE_GREATER_EQUAL:
        return value_boolean(order >= 0);
    }
    return value_undefined();
}

static struct value concatenate(struct evaluation *evaluation, struct value a, struct value b) {
    struct str left, right;
    if (!rule_value_to_string(evaluation, a, &left) || !rule_value_to_string(evaluation, b, &right))
        return value_undefined();
    char *joined = rule_evaluation_alloc(evaluation, left.len + right.len);
    if (!joined)
        return value_undefined();
    memcpy(joined, left.at ? left.at : "", left.len);
    memcpy(joined + left.len, right.at ? right.at : "", right.len);
    return value_string(str_from(joined, left.len + right.len));
}

struct value rule_value_add(struct evaluation *evaluation, struct value a, struct value b) {
    if (a.type == VALUE_STRING || b.type == VALUE_STRING)
        return concatenate(evaluation, a, b);
    if (!value_is_number(a) || !value_is_number(b))
        return value_undefined();
    int64_t sum;
    if (a.type == VALUE_INT && b.type == VALUE_INT &&
        !__builtin_add_overflow(a.integer, b.integer, &sum))
        return value_int(sum);
    return rule_value_decimal(evaluation->version, rule_value_double(a) + rule_value_double(b));
}

/*
 * Two Ints to an Int; false if it is none or too large. The table gives Int / Int an Int, AWS's own
 * examples a fraction where there is one; like those we divide exactly.
 */
static bool int_arithmetic(enum value_arithmetic how, int64_t a, int64_t b, int64_t *ret_integer) {
    switch (how) {
    case VALUE_SUBTRACT:
        return !__builtin_sub_overflow(a, b, ret_integer);
    case VALUE_MULTIPLY:
        return !__builtin_mul_overflow(a, b, ret_integer);
    case VALUE_DIVIDE:
        if ((a == INT64_MIN && b == -1) || a % b != 0)
            return false;
        *ret_integer = a / b;
        return true;
    case VALUE_MODULO:
        *ret_integer = b == -1 ? 0 : a % b;
        return true;
    }
    return false;
}

static double double_arithmetic(enum value_arithmetic how, double a, double b) {
    switch (how) {
    case VALUE_SUBTRACT:
        return a - b;
    case VALUE_MULTIPLY:
        return a * b;
    case VALUE_DIVIDE:
        return a / b;
    case VALUE_MODULO:
        return fmod(a, b);
    }
    return NAN;
}

struct value rule_value_arithmetic(struct evaluation *evaluation, enum value_arithmetic how,
                                   struct value a, struct value b) {
    if (!rule_value_to_number(evaluation->version, a, &a) ||
        !rule_value_to_number(evaluation->version, b, &b))
        return value_undefined();
    bool divides = how == VALUE_DIVIDE || how == VALUE_MODULO;
    if (divides && rule_value_double(b) == 0)
        return value_undefined();
    int64_t integer;
    if (a.type == VALUE_INT && b.type == VALUE_INT &&
        int_arithmetic(how, a.integer, b.integer, &integer))
        return value_int(integer);
    return rule_value_decimal(evaluation->version,
                              double_arithmetic(how, rule_value_double(a), rule_value_double(b)));
}

struct value rule_value_negate(struct evaluation *evaluation, struct value value) {
    return rule_value_arithmetic(evaluation, VALUE_SUBTRACT, value_int(0), value);
}

struct value rule_value_in(struct evaluation *evaluation, struct value value, struct value array) {
    if (value.type == VALUE_UNDEFINED || array.type != VALUE_ARRAY)
        return value_undefined();
    for (struct value_cursor cursor = rule_value_each(array); rule_value_next(evaluation, &cursor);)
        if (rule_value_equal(evaluation, value, cursor.value))
            return value_boolean(true);
    return value_boolean(false);
}

static struct value cast_int(struct value value) {
    int64_t integer;
    if (value.type == VALUE_BOOLEAN)
        return value_int(value.boolean);
    return rule_value_to_int(value, VALUE_FLOOR, &integer) ? value_int(integer) : value_undefined();
}

static struct value cast_decimal(struct evaluation *evaluation, struct value value) {
    struct value number;
    if (value.type == VALUE_BOOLEAN)
        return rule_value_decimal(evaluation->version, value.boolean);
    return rule_value_to_number(evaluation->version, value, &number) ? number : value_undefined();
}

static struct value cast_boolean(struct value value) {
    bool boolean;
    if (value_is_number(value))
        return value_boolean(rule_value_double(value) != 0);
    return rule_value_to_boolean(value, &boolean) ? value_boolean(boolean) : value_undefined();
}

struct value rule_value_cast(struct evaluation *evaluation, enum value_cast type,
                             struct value value) {
    struct str text;
    switch (type) {
    case VALUE_CAST_STRING:
        return rule_value_to_string(evaluation, value, &text) ? value_string(text)
                                                              : value_undefined();
    case VALUE_CAST_INT:
        return cast_int(value);
    case VALUE_CAST_DECIMAL:
        return cast_decimal(evaluation, value);
    case VALUE_CAST_BOOLEAN:
        return cast_boolean(value);
    }
    return value_undefined();
}
