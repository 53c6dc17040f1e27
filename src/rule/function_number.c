/*
 * Functions on numbers. Arguments are converted as the reference says: an Int or Decimal as it is,
 * a String by the number pattern; everything else makes the call Undefined. So do results that are
 * not finite.
 */
#include <math.h>

#include "rule/evaluate.h"
#include "rule/function.h"

/* --- functions on double precision: f(x) --- */

static struct value on_double(struct evaluation *evaluation, const struct value *args,
                              double (*f)(double)) {
    struct value number;
    if (!rule_value_to_number(evaluation->version, args[0], &number))
        return value_undefined();
    return rule_value_decimal(evaluation->version, f(rule_value_double(number)));
}

#define ON_DOUBLE(name, f)                                                                         \
    struct value rule_function_##name(struct evaluation *evaluation, const struct value *args,     \
                                      size_t count) {                                              \
        return on_double(evaluation, args, f);                                                     \
    }

ON_DOUBLE(acos, acos)
ON_DOUBLE(asin, asin)
ON_DOUBLE(atan, atan)
ON_DOUBLE(cos, cos)
ON_DOUBLE(cosh, cosh)
ON_DOUBLE(exp, exp)
ON_DOUBLE(ln, log)
ON_DOUBLE(log, log10)
ON_DOUBLE(sin, sin)
ON_DOUBLE(sinh, sinh)
ON_DOUBLE(sqrt, sqrt)
ON_DOUBLE(tan, tan)
ON_DOUBLE(tanh, tanh)

static struct value on_doubles(struct evaluation *evaluation, const struct value *args,
                               double (*f)(double, double)) {
    struct value a, b;
    if (!rule_value_to_number(evaluation->version, args[0], &a) ||
        !rule_value_to_number(evaluation->version, args[1], &b))
        return value_undefined();
    return rule_value_decimal(evaluation->version, f(rule_value_double(a), rule_value_double(b)));
}

struct value rule_function_atan2(struct evaluation *evaluation, const struct value *args,
                                 size_t count) {
    return on_doubles(evaluation, args, atan2);
}

struct value rule_function_power(struct evaluation *evaluation, const struct value *args,
                                 size_t count) {
    return on_doubles(evaluation, args, pow);
}

/* --- to whole numbers --- */

/* An Int stays; a Decimal goes through `f`. What leaves the range of int64 stays a Decimal. */
static struct value to_whole(struct evaluation *evaluation, const struct value *args,
                             double (*f)(double)) {
    struct value number;
    if (!rule_value_to_number(evaluation->version, args[0], &number))
        return value_undefined();
    if (number.type == VALUE_INT)
        return number;
    return rule_value_decimal(RULE_VERSION_2016_03_23, f(number.decimal));
}

struct value rule_function_ceil(struct evaluation *evaluation, const struct value *args,
                                size_t count) {
    return to_whole(evaluation, args, ceil);
}

struct value rule_function_floor(struct evaluation *evaluation, const struct value *args,
                                 size_t count) {
    return to_whole(evaluation, args, floor);
}

/* Halves away from zero. */
struct value rule_function_round(struct evaluation *evaluation, const struct value *args,
                                 size_t count) {
    return to_whole(evaluation, args, round);
}

struct value rule_function_sign(struct evaluation *evaluation, const struct value *args,
                                size_t count) {
    struct value number;
    if (!rule_value_to_number(evaluation->version, args[0], &number))
        return value_undefined();
    double x = rule_value_double(number);
    return value_int((x > 0) - (x < 0));
}

struct value rule_function_abs(struct evaluation *evaluation, const struct value *args,
                               size_t count) {
    struct value number;
    if (!rule_value_to_number(evaluation->version, args[0], &number))
        return value_undefined();
    return rule_value_double(number) < 0 ? rule_value_negate(evaluation, number) : number;
}

struct value rule_function_mod(struct evaluation *evaluation, const struct value *args,
                               size_t count) {
    return rule_value_arithmetic(evaluation, VALUE_MODULO, args[0], args[1]);
}

/* The first `places` decimals of a Decimal: cut in its text, since 2.3 times ten is not 23 in
 * binary. */
static double cut_decimals(struct evaluation *evaluation, struct value number, size_t places) {
    struct buf *scratch = evaluation->scratch;
    number.text = (struct str){0};
    rule_value_write(evaluation, scratch, number);
    struct str text = buf_str(scratch);
    double cut = number.decimal;
    size_t point = str_find(text, '.');
    if (str_find(text, 'E') < text.len) {
        cut = fabs(cut) < 1 && places < 7 ? 0 : cut; /* 1E-8 has no digit among the first seven */
    } else if (point < text.len) {
        size_t len = point + (places ? 1 + places : 0);
        cut = json_number_double(str_from(text.at, len < text.len ? len : text.len));
    }
    buf_clear(scratch);
    return cut;
}

/* trunc(x, n): n places, floored and clamped to 0..34; a String for n is Undefined. */
struct value rule_function_trunc(struct evaluation *evaluation, const struct value *args,
                                 size_t count) {
    enum { PLACES_MAX = 34 };
    struct value number;
    int64_t places;
    if (!value_is_number(args[1]) || !rule_value_to_int(args[1], VALUE_FLOOR, &places) ||
        !rule_value_to_number(evaluation->version, args[0], &number))
        return value_undefined();
    if (number.type == VALUE_INT)
        return number;
    places = places < 0 ? 0 : places > PLACES_MAX ? PLACES_MAX : places;
    return rule_value_decimal(RULE_VERSION_2016_03_23,
                              cut_decimals(evaluation, number, (size_t)places));
}

/* --- bits: both arguments rounded down --- */

static bool two_ints(const struct value *args, int64_t *a, int64_t *b) {
    return rule_value_to_int(args[0], VALUE_FLOOR, a) && rule_value_to_int(args[1], VALUE_FLOOR, b);
}

struct value rule_function_bitand(struct evaluation *evaluation, const struct value *args,
                                  size_t count) {
    int64_t a, b;
    return two_ints(args, &a, &b) ? value_int(a & b) : value_undefined();
}

struct value rule_function_bitor(struct evaluation *evaluation, const struct value *args,
                                 size_t count) {
    int64_t a, b;
    return two_ints(args, &a, &b) ? value_int(a | b) : value_undefined();
}

struct value rule_function_bitxor(struct evaluation *evaluation, const struct value *args,
                                  size_t count) {
    int64_t a, b;
    return two_ints(args, &a, &b) ? value_int(a ^ b) : value_undefined();
}

/* Two's complement; AWS's page prints bitnot(13) = 2, which no width that it names would give. */
struct value rule_function_bitnot(struct evaluation *evaluation, const struct value *args,
                                  size_t count) {
    int64_t a;
    return rule_value_to_int(args[0], VALUE_FLOOR, &a) ? value_int(~a) : value_undefined();
}

/* --- the rest --- */

struct value rule_function_nanvl(struct evaluation *evaluation, const struct value *args,
                                 size_t count) {
    bool missing = args[0].type == VALUE_UNDEFINED || args[0].type == VALUE_NULL;
    return missing ? args[1] : args[0];
}

struct value rule_function_rand(struct evaluation *evaluation, const struct value *args,
                                size_t count) {
    return rule_value_decimal(evaluation->version,
                              evaluation->environment->random(evaluation->environment));
}
