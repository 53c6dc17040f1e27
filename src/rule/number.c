/* Numbers between text and machine words; see number.h. */
#include "rule/number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"

enum { DIGITS_MAX = 17 }; /* of a double */

bool rule_number_to_int(struct str text, int64_t *ret_integer) {
    bool negative = text.len && text.at[0] == '-';
    uint64_t magnitude;
    if (!str_to_u64(str_skip(text, negative), &magnitude) ||
        magnitude > (uint64_t)INT64_MAX + negative)
        return false;
    *ret_integer = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}

/* The exponent of a number as text, 0 without one; far ones are cut short. */
static int exponent_of(struct str exponent) {
    bool negative = exponent.len && exponent.at[0] == '-';
    int value = 0;
    for (size_t i = 0; i < exponent.len && value < 100000; i++)
        if (exponent.at[i] >= '0' && exponent.at[i] <= '9')
            value = value * 10 + (exponent.at[i] - '0');
    return negative ? -value : value;
}

bool rule_number_is_whole(struct str text) {
    /* Where the last digit that is not 0 stands: behind the point 1, 2, ...; before it 0, -1, ... */
    int place = 0, last = 0, zeros = 0;
    bool point = false, zero = true;
    size_t i = 0;
    for (; i < text.len && (text.at[i] | 0x20) != 'e'; i++) {
        char c = text.at[i];
        point = point || c == '.';
        place += point && c != '.';
        if (!point)
            zeros = c == '0' ? zeros + 1 : 0;
        if (c >= '1' && c <= '9') {
            zero = false;
            last = place;
        }
    }
    if (last == 0)
        last = -zeros;
    return zero || last <= exponent_of(str_skip(text, i + 1));
}

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

void rule_number_write_int(struct buf *out, int64_t integer) {
    char room[24], *at = room + sizeof room;
    uint64_t rest = integer < 0 ? 0 - (uint64_t)integer : (uint64_t)integer;
    do
        *--at = (char)('0' + rest % 10);
    while (rest /= 10);
    if (integer < 0)
        *--at = '-';
    buf_add(out, at, (size_t)(room + sizeof room - at));
}

/* A positive double in its fewest digits: d.ddd times ten to the exponent. */
struct digits {
    char text[DIGITS_MAX + 8];
    int count, exponent;
};

static void strip_zeros(struct digits *digits) {
    while (digits->count > 1 && digits->text[digits->count - 1] == '0')
        digits->count--;
}

/*
 * Whatever has at most 15 digits: scaled to a whole number below 10^15, which is exact up to rounding, and back, which
 * rounds once; if that gives the same double, the digits are right.
 */
static bool digits_fast(double number, struct digits *digits) {
    enum { PLACES = 15 };
    static const double powers[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    int before = 0; /* digits before the point */
    if (number >= powers[PLACES])
        return false;
    while (number >= powers[before])
        before++;
    double scale = powers[PLACES - before];
    uint64_t scaled = (uint64_t)(number * scale + 0.5);
    if (scaled == 0 || (double)scaled / scale != number)
        return false;
    digits->count = snprintf(digits->text, sizeof digits->text, "%llu", (unsigned long long)scaled);
    digits->exponent = digits->count - 1 - (PLACES - before);
    strip_zeros(digits);
    return true;
}

static void digits_slow(double number, struct digits *digits) {
    char room[DIGITS_MAX + 16];
    for (int count = 15; count <= DIGITS_MAX; count++) {
        snprintf(room, sizeof room, "%.*e", count - 1, number);
        if (strtod(room, NULL) == number)
            break;
    }
    digits->count = 0;
    for (const char *at = room; *at != 'e'; at++)
        if (*at != '.')
            digits->text[digits->count++] = *at;
    digits->exponent = atoi(strchr(room, 'e') + 1);
    strip_zeros(digits);
}

static void add_zeros(struct buf *out, int count) {
    for (; count > 0; count--)
        buf_add_u8(out, '0');
}

void rule_number_write_double(struct buf *out, double number, bool point) {
    struct digits digits = {.text = "0", .count = 1};
    if (signbit(number))
        buf_add_u8(out, '-');
    number = fabs(number);
    if (number != 0 && !digits_fast(number, &digits))
        digits_slow(number, &digits);
    int exponent = digits.exponent, count = digits.count;
    const char *text = digits.text;
    if (exponent < -7 || exponent >= 21) {
        buf_printf(out, "%c%s%.*sE%d", text[0], count > 1 ? "." : "", count - 1, text + 1,
                   exponent);
    } else if (exponent < 0) {
        buf_add_str(out, STR("0."));
        add_zeros(out, -exponent - 1);
        buf_add(out, text, (size_t)count);
    } else if (count <= exponent + 1) {
        buf_add(out, text, (size_t)count);
        add_zeros(out, exponent + 1 - count);
        buf_add_str(out, point ? STR(".0") : STR(""));
    } else {
        buf_add(out, text, (size_t)exponent + 1);
        buf_add_u8(out, '.');
        buf_add(out, text + exponent + 1, (size_t)(count - exponent - 1));
    }
}
