/*
 * The numbers of the dialect: decimals of 34 digits, from 1E-999 to 9.99...E999 (AWS IoT Core
 * Developer Guide, "Data types"). 0.1 + 0.2 is 0.3.
 *
 * A number is coefficient * 10^exponent, and each value has one form only, so that numbers are
 * equal exactly when their fields are:
 *
 *   whole, below 10^34      exponent 0
 *   whole, from 10^34 on    exponent above 0, a coefficient of 34 digits
 *   with a fraction         exponent below 0, a coefficient that does not end in 0
 *
 * Operations whose exact result has at most 34 digits are done here on integers; where digits must
 * be rounded (half to even) the work goes to Intel's decimal library, in decimal.c. Pure functions.
 */
#ifndef RULE_NUMBER_H
#define RULE_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

enum { NUMBER_DIGITS_MAX = 34, NUMBER_EXPONENT_MAX = 999 };

/* An ordinary __int128 would want 16 bytes of alignment and make each value larger. */
typedef __int128 number_coefficient __attribute__((aligned(8)));

struct number {
    number_coefficient coefficient;
    int exponent;
};

static inline struct number number_int(int64_t integer) {
    return (struct number){.coefficient = integer};
}

/* The form above of coefficient * 10^exponent, where |coefficient| < 10^34. False outside of the
 * range. */
bool rule_number_make(__int128 coefficient, int exponent, struct number *ret_number);

/* The pattern by which the dialect converts a String: ^-?\d+(\.\d+)?(E-?\d+)?$ with E in either
 * case. */
bool rule_number_valid(struct str text);

/* A number as JSON or the dialect writes it, rounded to 34 digits. False outside of the range. */
bool rule_number_read(struct str text, struct number *ret_number);

/* Plain from 1E-7 to below 10^34, else "1.5E-9"; both are numbers for JSON and for the dialect's own
 * pattern. With `point` a whole one ends in ".0". */
void rule_number_write(struct buf *out, struct number number, bool point);
void rule_number_write_int(struct buf *out, int64_t integer);

/* The nearest double; and a double's fewest digits that give it back. False if it is not finite. */
double rule_number_double(struct number number);
bool rule_number_from_double(double from, struct number *ret_number);

/* -1, 0, 1 */
int rule_number_order(struct number a, struct number b);

/* False outside of the range, and for a divisor of 0. The remainder has the sign of `a`. */
bool rule_number_add(struct number a, struct number b, struct number *ret_sum);
bool rule_number_multiply(struct number a, struct number b, struct number *ret_product);
bool rule_number_divide(struct number a, struct number b, struct number *ret_quotient);
bool rule_number_modulo(struct number a, struct number b, struct number *ret_remainder);

static inline struct number number_negate(struct number number) {
    number.coefficient = -number.coefficient;
    return number;
}

/* To so many decimal places. NEAREST takes halves away from zero. */
enum number_rounding { NUMBER_FLOOR, NUMBER_CEIL, NUMBER_NEAREST, NUMBER_CUT };
struct number rule_number_round(struct number number, enum number_rounding how, unsigned places);

/* Rounded results of two numbers in form, by Intel's library (decimal.c). False if the library's own
 * range is passed; else a coefficient and exponent for rule_number_make(). */
enum number_operation { NUMBER_ADD, NUMBER_MULTIPLY, NUMBER_DIVIDE, NUMBER_MODULO };
bool rule_decimal_operate(enum number_operation operation, struct number a, struct number b,
                          struct number *ret_number);

#endif
