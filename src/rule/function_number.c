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
    if (!rule_value_to_number(evaluation, args[0], &number))
        return value_undefined();
    return rule_value_of_double(evaluation->version, f(rule_number_double(number.number)));
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
    if (!rule_value_to_number(evaluation, args[0], &a) ||
        !rule_value_to_number(evaluation, args[1], &b))
        return value_undefined();
    return rule_value_of_double(evaluation->version,
                                f(rule_number_double(a.number), rule_number_double(b.number)));
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

static struct value to_whole(struct evaluation *evaluation, const struct value *args,
                             enum number_rounding how) {
    struct value number;
    if (!rule_value_to_number(evaluation, args[0], &number))
        return value_undefined();
    return rule_value_of_whole(rule_number_round(number.number, how, 0));
}

struct value rule_function_ceil(struct evaluation *evaluation, const struct value *args,
                                size_t count) {
    return to_whole(evaluation, args, NUMBER_CEIL);
}

struct value rule_function_floor(struct evaluation *evaluation, const struct value *args,
                                 size_t count) {
    return to_whole(evaluation, args, NUMBER_FLOOR);
}

/* Halves away from zero. */
struct value rule_function_round(struct evaluation *evaluation, const struct value *args,
                                 size_t count) {
    return to_whole(evaluation, args, NUMBER_NEAREST);
}

struct value rule_function_sign(struct evaluation *evaluation, const struct value *args,
                                size_t count) {
    struct value number;
    if (!rule_value_to_number(evaluation, args[0], &number))
        return value_undefined();
    return value_int((number.number.coefficient > 0) - (number.number.coefficient < 0));
}

struct value rule_function_abs(struct evaluation *evaluation, const struct value *args,
                               size_t count) {
    struct value number;
    if (!rule_value_to_number(evaluation, args[0], &number))
        return value_undefined();
    number.number = number.number.coefficient < 0 ? number_negate(number.number) : number.number;
    number.text = (struct str){0};
    return number;
}

struct value rule_function_mod(struct evaluation *evaluation, const struct value *args,
                               size_t count) {
    return rule_value_arithmetic(evaluation, VALUE_MODULO, args[0], args[1]);
}

/* trunc(x, n): n places, floored and clamped to 0..34; a String for n is Undefined. */
struct value rule_function_trunc(struct evaluation *evaluation, const struct value *args,
                                 size_t count) {
    enum { PLACES_MAX = 34 };
    struct value number;
    int64_t places;
    if (!value_is_number(args[1]) ||
        !rule_value_to_int(evaluation, args[1], NUMBER_FLOOR, &places) ||
        !rule_value_to_number(evaluation, args[0], &number))
        return value_undefined();
    places = places < 0 ? 0 : places > PLACES_MAX ? PLACES_MAX : places;
    return rule_value_of_whole(rule_number_round(number.number, NUMBER_CUT, (unsigned)places));
}

/* --- bits: both arguments rounded down, in two's complement of 128 bits --- */

static bool to_bits(struct evaluation *evaluation, struct value value, __int128 *ret_bits) {
    struct number whole;
    if (!rule_value_to_whole(evaluation, value, NUMBER_FLOOR, &whole) || whole.exponent != 0)
        return false;
    *ret_bits = whole.coefficient;
    return true;
}

/* The bits of two numbers of 34 digits may make one of 35. */
static struct value of_bits(__int128 bits) {
    struct number number = {.coefficient = bits}, limit = {.coefficient = 1};
    for (int i = 0; i < NUMBER_DIGITS_MAX; i++)
        limit.coefficient *= 10;
    bool fits = bits < limit.coefficient && bits > -limit.coefficient;
    return fits ? rule_value_of_whole(number) : value_undefined();
}

struct value rule_function_bitand(struct evaluation *evaluation, const struct value *args,
                                  size_t count) {
    __int128 a, b;
    return to_bits(evaluation, args[0], &a) && to_bits(evaluation, args[1], &b) ? of_bits(a & b)
                                                                                : value_undefined();
}

struct value rule_function_bitor(struct evaluation *evaluation, const struct value *args,
                                 size_t count) {
    __int128 a, b;
    return to_bits(evaluation, args[0], &a) && to_bits(evaluation, args[1], &b) ? of_bits(a | b)
                                                                                : value_undefined();
}

struct value rule_function_bitxor(struct evaluation *evaluation, const struct value *args,
                                  size_t count) {
    __int128 a, b;
    return to_bits(evaluation, args[0], &a) && to_bits(evaluation, args[1], &b) ? of_bits(a ^ b)
                                                                                : value_undefined();
}

/* AWS's page prints bitnot(13) = 2, which no width that it names would give. */
struct value rule_function_bitnot(struct evaluation *evaluation, const struct value *args,
                                  size_t count) {
    __int128 a;
    return to_bits(evaluation, args[0], &a) ? of_bits(~a) : value_undefined();
}

/* --- the rest --- */

struct value rule_function_nanvl(struct evaluation *evaluation, const struct value *args,
                                 size_t count) {
    bool missing = args[0].type == VALUE_UNDEFINED || args[0].type == VALUE_NULL;
    return missing ? args[1] : args[0];
}

struct value rule_function_rand(struct evaluation *evaluation, const struct value *args,
                                size_t count) {
    return rule_value_of_double(evaluation->version,
                                evaluation->environment->random(evaluation->environment));
}
