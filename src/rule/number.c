/* Numbers: text in and out, order, and what integers can compute exactly; see number.h. */
#include "rule/number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* 10^0 .. 10^18: what fits into 64 bits with a sign. */
enum { SMALL_DIGITS = 18 };
static const uint64_t small_powers[SMALL_DIGITS + 1] = {1ull,
                                                        10ull,
                                                        100ull,
                                                        1000ull,
                                                        10000ull,
                                                        100000ull,
                                                        1000000ull,
                                                        10000000ull,
                                                        100000000ull,
                                                        1000000000ull,
                                                        10000000000ull,
                                                        100000000000ull,
                                                        1000000000000ull,
                                                        10000000000000ull,
                                                        100000000000000ull,
                                                        1000000000000000ull,
                                                        10000000000000000ull,
                                                        100000000000000000ull,
                                                        1000000000000000000ull};

/* 10^n, n up to 36. */
static __int128 power_of_ten(unsigned n) {
    return n <= SMALL_DIGITS
               ? (__int128)small_powers[n]
               : (__int128)small_powers[SMALL_DIGITS] * small_powers[n - SMALL_DIGITS];
}

static __int128 magnitude_of(__int128 coefficient) {
    return coefficient < 0 ? -coefficient : coefficient;
}

static bool is_small(__int128 coefficient) {
    return coefficient == (int64_t)coefficient;
}

/* Whether the dialect has room for the digits. */
static bool has_room(__int128 coefficient) {
    return magnitude_of(coefficient) < power_of_ten(NUMBER_DIGITS_MAX);
}

static int count_of_digits(__int128 coefficient) {
    __int128 magnitude = magnitude_of(coefficient);
    unsigned count = 1;
    while (count < NUMBER_DIGITS_MAX && magnitude >= power_of_ten(count))
        count++;
    return (int)count;
}

/* --- the one form --- */

static void strip_zeros(__int128 *coefficient, int *exponent) {
    if (is_small(*coefficient)) {
        int64_t small = (int64_t)*coefficient;
        for (; *exponent < 0 && small % 10 == 0; ++*exponent)
            small /= 10;
        *coefficient = small;
        return;
    }
    for (; *exponent < 0 && *coefficient % 10 == 0; ++*exponent)
        *coefficient /= 10;
}

bool rule_number_make(__int128 coefficient, int exponent, struct number *ret_number) {
    if (coefficient == 0)
        exponent = 0;
    if (exponent < 0)
        strip_zeros(&coefficient, &exponent);
    /* Anything between cannot leave the range. */
    if (exponent > 0 || exponent < NUMBER_DIGITS_MAX - NUMBER_EXPONENT_MAX) {
        int digits = count_of_digits(coefficient), highest = digits - 1 + exponent;
        if (highest < -NUMBER_EXPONENT_MAX || highest > NUMBER_EXPONENT_MAX)
            return false;
        if (exponent > 0) {
            int room = NUMBER_DIGITS_MAX - digits;
            int taken = exponent < room ? exponent : room;
            coefficient *= power_of_ten((unsigned)taken);
            exponent -= taken;
        }
    }
    *ret_number = (struct number){coefficient, exponent};
    return true;
}

/* --- reading --- */

static size_t count_digits(struct str s) {
    size_t count = 0;
    while (count < s.len && s.at[count] >= '0' && s.at[count] <= '9')
        count++;
    return count;
}

bool rule_number_valid(struct str s) {
    if (s.len && s.at[0] == '-')
        s = str_skip(s, 1);
    size_t digits = count_digits(s);
    if (digits == 0)
        return false;
    s = str_skip(s, digits);
    if (s.len && s.at[0] == '.') {
        digits = count_digits(str_skip(s, 1));
        if (digits == 0)
            return false;
        s = str_skip(s, 1 + digits);
    }
    if (s.len && (s.at[0] | 0x20) == 'e') {
        s = str_skip(s, 1);
        if (s.len && s.at[0] == '-')
            s = str_skip(s, 1);
        digits = count_digits(s);
        if (digits == 0)
            return false;
        s = str_skip(s, digits);
    }
    return s.len == 0;
}

/* What stands behind the E; far exponents are cut short, since zeros before them may bring the
 * number back into the range. */
static int read_exponent(struct str text) {
    enum { FAR = 100000000 };
    bool negative = text.len && text.at[0] == '-';
    int value = 0;
    for (size_t i = 0; i < text.len && value < FAR; i++)
        if (text.at[i] >= '0' && text.at[i] <= '9')
            value = value * 10 + (text.at[i] - '0');
    return negative ? -value : value;
}

/* Any count of digits: the first 34 that count are kept, the others round them. */
static bool read_long(struct str text, bool negative, struct number *ret_number) {
    __int128 coefficient = 0;
    int digits = 0, exponent = 0, first_dropped = -1;
    bool point = false, rest = false;
    size_t i = negative;
    for (; i < text.len && (text.at[i] | 0x20) != 'e'; i++) {
        if (text.at[i] == '.') {
            point = true;
            continue;
        }
        int digit = text.at[i] - '0';
        exponent -= point;
        if (digits < NUMBER_DIGITS_MAX) {
            coefficient = coefficient * 10 + digit;
            digits += coefficient != 0;
            continue;
        }
        exponent++;
        rest = rest || (first_dropped >= 0 && digit);
        first_dropped = first_dropped < 0 ? digit : first_dropped;
    }
    if (first_dropped > 5 || (first_dropped == 5 && (rest || coefficient % 2)))
        coefficient++;
    exponent += read_exponent(str_skip(text, i + 1));
    if (!has_room(coefficient)) {
        coefficient /= 10;
        exponent++;
    }
    return rule_number_make(negative ? -coefficient : coefficient, exponent, ret_number);
}

bool rule_number_read(struct str text, struct number *ret_number) {
    bool negative = text.len && text.at[0] == '-';
    if (text.len > SMALL_DIGITS)
        return read_long(text, negative, ret_number);
    int64_t coefficient = 0;
    size_t i = negative, point = text.len;
    for (; i < text.len; i++) {
        unsigned digit = (unsigned)(text.at[i] - '0');
        if (digit <= 9)
            coefficient = coefficient * 10 + digit;
        else if (text.at[i] == '.')
            point = i;
        else
            break;
    }
    int exponent = point < i ? -(int)(i - point - 1) : 0;
    if (i < text.len)
        exponent += read_exponent(str_skip(text, i + 1));
    coefficient = negative ? -coefficient : coefficient;
    if (exponent == 0) {
        *ret_number = number_int(coefficient);
        return true;
    }
    return rule_number_make(coefficient, exponent, ret_number);
}

/* --- writing --- */

/* The digits up to `end`, two at a time; returns where they begin. */
static char *put_digits(char *end, uint64_t number) {
    static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                                "25262728293031323334353637383940414243444546474849"
                                "50515253545556575859606162636465666768697071727374"
                                "75767778798081828384858687888990919293949596979899";
    for (; number >= 100; number /= 100)
        memcpy(end -= 2, pairs + 2 * (number % 100), 2);
    if (number >= 10)
        return memcpy(end - 2, pairs + 2 * number, 2);
    *--end = (char)('0' + number);
    return end;
}

void rule_number_write_int(struct buf *out, int64_t integer) {
    char room[24], *end = room + sizeof room;
    char *at = put_digits(end, integer < 0 ? 0 - (uint64_t)integer : (uint64_t)integer);
    if (integer < 0)
        *--at = '-';
    buf_add(out, at, (size_t)(end - at));
}

static char *put_wide_digits(char *end, __int128 magnitude) {
    if (is_small(magnitude))
        return put_digits(end, (uint64_t)magnitude);
    char *begin = end - SMALL_DIGITS;
    for (char *at = put_digits(end, (uint64_t)(magnitude % small_powers[SMALL_DIGITS]));
         at > begin;)
        *--at = '0';
    return put_digits(begin, (uint64_t)(magnitude / small_powers[SMALL_DIGITS]));
}

static void add_zeros(struct buf *out, int count) {
    for (; count > 0; count--)
        buf_add_u8(out, '0');
}

/* d.dddE-n */
static void write_scientific(struct buf *out, struct str digits, int highest) {
    while (digits.len > 1 && digits.at[digits.len - 1] == '0')
        digits.len--;
    buf_add_u8(out, (uint8_t)digits.at[0]);
    if (digits.len > 1)
        buf_add_u8(out, '.');
    buf_add_str(out, str_skip(digits, 1));
    buf_add_u8(out, 'E');
    rule_number_write_int(out, highest);
}

void rule_number_write(struct buf *out, struct number number, bool point) {
    enum { PLAIN_EXPONENT_MIN = -7 };
    char room[48], *end = room + sizeof room;
    char *at = put_wide_digits(end, magnitude_of(number.coefficient));
    struct str digits = str_from(at, (size_t)(end - at));
    int highest = (int)digits.len - 1 + number.exponent;
    if (number.coefficient < 0)
        buf_add_u8(out, '-');
    if (number.exponent > 0 || highest < PLAIN_EXPONENT_MIN) {
        write_scientific(out, digits, highest);
    } else if (number.exponent == 0) {
        buf_add_str(out, digits);
        buf_add_str(out, point ? STR(".0") : STR(""));
    } else if (highest < 0) {
        buf_add_str(out, STR("0."));
        add_zeros(out, -highest - 1);
        buf_add_str(out, digits);
    } else {
        buf_add(out, digits.at, (size_t)highest + 1);
        buf_add_u8(out, '.');
        buf_add_str(out, str_skip(digits, (size_t)highest + 1));
    }
}

/* --- doubles --- */

double rule_number_double(struct number number) {
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    /* Two exact doubles and one operation: rounded once. */
    if (magnitude_of(number.coefficient) <= 1ll << 53 && number.exponent <= 0 &&
        number.exponent >= -22)
        return (double)(int64_t)number.coefficient / powers[-number.exponent];
    char room[64], *end = room + 40;
    char *at = put_wide_digits(end, magnitude_of(number.coefficient));
    if (number.coefficient < 0)
        *--at = '-';
    snprintf(end, sizeof room - 40, "e%d", number.exponent);
    return strtod(at, NULL);
}

/*
 * Whatever has at most 15 digits: scaled to a whole number below 10^15, which is exact up to
 * rounding, and back, which rounds once; if that gives the same double, the digits are right.
 */
static bool few_digits(double from, __int128 *ret_coefficient, int *ret_exponent) {
    enum { PLACES = 15 };
    int before = 0; /* digits before the point */
    if (from >= (double)small_powers[PLACES])
        return false;
    while (from >= (double)small_powers[before])
        before++;
    double scale = (double)small_powers[PLACES - before];
    uint64_t scaled = (uint64_t)(from * scale + 0.5);
    if (scaled == 0 || (double)scaled / scale != from)
        return false;
    *ret_coefficient = scaled;
    *ret_exponent = before - PLACES;
    return true;
}

/* `count` digits of a double: coefficient * 10^exponent, rounded to the nearest. */
static void take_digits(double from, int count, int64_t *ret_coefficient, int *ret_exponent) {
    char room[48];
    snprintf(room, sizeof room, "%.*e", count - 1, from);
    *ret_coefficient = 0;
    *ret_exponent = 0;
    const char *at = room;
    for (; *at != 'e'; at++) {
        if (*at == '.')
            continue;
        *ret_coefficient = *ret_coefficient * 10 + (*at - '0');
        --*ret_exponent;
    }
    *ret_exponent += 1 + atoi(at + 1);
}

static bool reads_as(int64_t coefficient, int exponent, double expected) {
    char room[48];
    snprintf(room, sizeof room, "%llde%d", (long long)coefficient, exponent);
    return strtod(room, NULL) == expected;
}

/* A power of two has more room above than below: there the digits next to the nearest may do where
 * the nearest do not. */
static void fewest_digits(double from, __int128 *ret_coefficient, int *ret_exponent) {
    enum { DIGITS_MAX = 17, DIGITS_OF_NORMAL = 15 };
    int64_t digits = 0;
    bool found = false;
    for (int count = isnormal(from) ? DIGITS_OF_NORMAL : 1; !found && count <= DIGITS_MAX;
         count++) {
        take_digits(from, count, &digits, ret_exponent);
        found = reads_as(digits, *ret_exponent, from);
        if (!found && reads_as(digits + 1, *ret_exponent, from)) {
            digits++;
            found = true;
        }
    }
    *ret_coefficient = digits;
}

bool rule_number_from_double(double from, struct number *ret_number) {
    __int128 coefficient = 0;
    int exponent = 0;
    if (!isfinite(from))
        return false;
    double magnitude = fabs(from);
    if (magnitude != 0 && !few_digits(magnitude, &coefficient, &exponent))
        fewest_digits(magnitude, &coefficient, &exponent);
    return rule_number_make(from < 0 ? -coefficient : coefficient, exponent, ret_number);
}

/* --- order and arithmetic --- */

/* Both coefficients for the lower of the two exponents, which is returned in *ret_exponent. False
 * where that might take more than 128 bits. */
static bool align(struct number *a, struct number *b, int *ret_exponent) {
    struct number *higher = a->exponent > b->exponent ? a : b;
    struct number *lower = higher == a ? b : a;
    unsigned distance = (unsigned)higher->exponent - (unsigned)lower->exponent;
    *ret_exponent = lower->exponent;
    if (distance == 0)
        return true;
    if (distance > SMALL_DIGITS || !is_small(higher->coefficient))
        return false;
    higher->coefficient *= power_of_ten(distance);
    return true;
}

static int order(__int128 a, __int128 b) {
    return (a > b) - (a < b);
}

int rule_number_order(struct number a, struct number b) {
    int ignored;
    bool negative = a.coefficient < 0;
    if (negative != (b.coefficient < 0) || a.coefficient == 0 || b.coefficient == 0)
        return order(a.coefficient, b.coefficient);
    if (align(&a, &b, &ignored))
        return order(a.coefficient, b.coefficient);
    int left = count_of_digits(a.coefficient) + a.exponent;
    int right = count_of_digits(b.coefficient) + b.exponent;
    if (left != right)
        return (left > right) == negative ? -1 : 1;
    /* As many digits before the point: for the lower exponent both have 34 digits at most. */
    if (a.exponent > b.exponent)
        a.coefficient *= power_of_ten((unsigned)(a.exponent - b.exponent));
    else
        b.coefficient *= power_of_ten((unsigned)(b.exponent - a.exponent));
    return order(a.coefficient, b.coefficient);
}

static bool operate(enum number_operation operation, struct number a, struct number b,
                    struct number *ret_number) {
    struct number rounded;
    return rule_decimal_operate(operation, a, b, &rounded) &&
           rule_number_make(rounded.coefficient, rounded.exponent, ret_number);
}

bool rule_number_add(struct number a, struct number b, struct number *ret_sum) {
    struct number left = a, right = b;
    int exponent;
    if (align(&left, &right, &exponent) && has_room(left.coefficient + right.coefficient))
        return rule_number_make(left.coefficient + right.coefficient, exponent, ret_sum);
    return operate(NUMBER_ADD, a, b, ret_sum);
}

bool rule_number_multiply(struct number a, struct number b, struct number *ret_product) {
    if (is_small(a.coefficient) && is_small(b.coefficient) &&
        has_room(a.coefficient * b.coefficient))
        return rule_number_make(a.coefficient * b.coefficient, a.exponent + b.exponent,
                                ret_product);
    return operate(NUMBER_MULTIPLY, a, b, ret_product);
}

bool rule_number_divide(struct number a, struct number b, struct number *ret_quotient) {
    if (b.coefficient == 0)
        return false;
    if (is_small(a.coefficient) && is_small(b.coefficient)) {
        int64_t dividend = (int64_t)a.coefficient, divisor = (int64_t)b.coefficient;
        if (divisor != -1 && dividend % divisor == 0)
            return rule_number_make(dividend / divisor, a.exponent - b.exponent, ret_quotient);
    }
    return operate(NUMBER_DIVIDE, a, b, ret_quotient);
}

bool rule_number_modulo(struct number a, struct number b, struct number *ret_remainder) {
    struct number left = a, right = b;
    int exponent;
    if (b.coefficient == 0)
        return false;
    if (align(&left, &right, &exponent))
        return rule_number_make(left.coefficient % right.coefficient, exponent, ret_remainder);
    return operate(NUMBER_MODULO, a, b, ret_remainder);
}

struct number rule_number_round(struct number number, enum number_rounding how, unsigned places) {
    int drop = -number.exponent - (int)places;
    if (drop <= 0)
        return number;
    bool negative = number.coefficient < 0;
    __int128 kept = 0, dropped = number.coefficient, one = negative ? -1 : 1;
    bool half = false;
    if (drop <= NUMBER_DIGITS_MAX) {
        __int128 power = power_of_ten((unsigned)drop);
        kept = number.coefficient / power;
        dropped = number.coefficient % power;
        half = magnitude_of(dropped) >= power / 2;
    }
    bool away =
        dropped != 0 && ((how == NUMBER_FLOOR && negative) || (how == NUMBER_CEIL && !negative) ||
                         (how == NUMBER_NEAREST && half));
    struct number rounded = {0};
    rule_number_make(away ? kept + one : kept, -(int)places, &rounded);
    return rounded;
}
