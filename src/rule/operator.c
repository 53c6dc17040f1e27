/*
 * The operators of the dialect, by the tables of the AWS IoT Core Developer Guide ("SQL reference",
 * "Operators" and "Data types"). What a table does not list is Undefined.
 */
#include "rule/evaluate.h"
#include "rule/value.h"

static bool equal_numbers(struct value a, struct value b) {
    if (a.beyond || b.beyond)
        return a.beyond && b.beyond && str_eq(a.text, b.text);
    return rule_number_order(a.number, b.number) == 0;
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

/* The counts alone do not tell: the payload may have a key twice. */
static bool has_keys_of(struct evaluation *evaluation, struct value a, struct value b) {
    for (struct value_cursor right = rule_value_each(b); rule_value_next(evaluation, &right);)
        if (rule_value_member(evaluation, a, right.key).type == VALUE_UNDEFINED)
            return false;
    return true;
}

bool rule_value_equal(struct evaluation *evaluation, struct value a, struct value b) {
    if (!rule_evaluation_spend(evaluation, 1))
        return false;
    if (value_is_number(a) && value_is_number(b))
        return equal_numbers(a, b);
    if (a.type != b.type)
        return false;
    switch (a.type) {
    case VALUE_BOOLEAN:
        return a.boolean == b.boolean;
    case VALUE_STRING:
        return a.text.len == b.text.len && rule_evaluation_spend_bytes(evaluation, a.text.len) &&
               str_eq(a.text, b.text);
    case VALUE_ARRAY:
        return equal_arrays(evaluation, a, b);
    case VALUE_OBJECT:
        return contained(evaluation, a, b) && has_keys_of(evaluation, a, b);
    default:
        return true;
    }
}

/* Numbers, and strings by the pattern. */
static bool comparable(struct evaluation *evaluation, struct value *value) {
    if (value_is_number(*value))
        return !value->beyond;
    return value->type == VALUE_STRING && rule_value_to_number(evaluation, *value, value);
}

struct value rule_value_compare(struct evaluation *evaluation, enum value_comparison how,
                                struct value a, struct value b) {
    if (!comparable(evaluation, &a) || !comparable(evaluation, &b))
        return value_undefined();
    int order = rule_number_order(a.number, b.number);
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

/* Two Ints give an Int where they can. */
static struct value of_operands(struct evaluation *evaluation, struct value a, struct value b,
                                struct number result) {
    return a.type == VALUE_INT && b.type == VALUE_INT
               ? rule_value_of_whole(result)
               : rule_value_of_number(evaluation->version, result);
}

struct value rule_value_add(struct evaluation *evaluation, struct value a, struct value b) {
    if (a.type == VALUE_STRING || b.type == VALUE_STRING)
        return concatenate(evaluation, a, b);
    if (!value_is_number(a) || !value_is_number(b))
        return value_undefined();
    struct number sum;
    if (a.beyond || b.beyond || !rule_number_add(a.number, b.number, &sum))
        return value_undefined();
    return of_operands(evaluation, a, b, sum);
}

static bool operate(enum value_arithmetic how, struct number a, struct number b,
                    struct number *ret_number) {
    switch (how) {
    case VALUE_SUBTRACT:
        return rule_number_add(a, number_negate(b), ret_number);
    case VALUE_MULTIPLY:
        return rule_number_multiply(a, b, ret_number);
    case VALUE_DIVIDE:
        return rule_number_divide(a, b, ret_number);
    case VALUE_MODULO:
        return rule_number_modulo(a, b, ret_number);
    }
    return false;
}

/* The table gives Int / Int an Int, AWS's own examples a fraction where there is one; like those we
 * divide exactly. */
struct value rule_value_arithmetic(struct evaluation *evaluation, enum value_arithmetic how,
                                   struct value a, struct value b) {
    struct number result;
    if (!rule_value_to_number(evaluation, a, &a) || !rule_value_to_number(evaluation, b, &b) ||
        !operate(how, a.number, b.number, &result))
        return value_undefined();
    return of_operands(evaluation, a, b, result);
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

static struct value cast_int(struct evaluation *evaluation, struct value value) {
    struct number whole;
    if (value.type == VALUE_BOOLEAN)
        return value_int(value.boolean);
    return rule_value_to_whole(evaluation, value, NUMBER_FLOOR, &whole) ? rule_value_of_whole(whole)
                                                                        : value_undefined();
}

static struct value cast_decimal(struct evaluation *evaluation, struct value value) {
    struct value number;
    if (value.type == VALUE_BOOLEAN)
        return rule_value_of_number(evaluation->version, number_int(value.boolean));
    return rule_value_to_number(evaluation, value, &number) ? number : value_undefined();
}

/* A Decimal that went through double precision; Ints stay. */
static struct value cast_double(struct evaluation *evaluation, struct value value) {
    value = cast_decimal(evaluation, value);
    if (value.type != VALUE_DECIMAL)
        return value;
    return rule_value_of_double(evaluation->version, rule_number_double(value.number));
}

static struct value cast_boolean(struct value value) {
    bool boolean;
    if (value_is_number(value))
        return value.beyond ? value_undefined() : value_boolean(value.number.coefficient != 0);
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
        return cast_int(evaluation, value);
    case VALUE_CAST_DECIMAL:
        return cast_decimal(evaluation, value);
    case VALUE_CAST_DOUBLE:
        return cast_double(evaluation, value);
    case VALUE_CAST_BOOLEAN:
        return cast_boolean(value);
    }
    return value_undefined();
}
