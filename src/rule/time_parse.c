/*
 * Reading by a pattern and making an instant of what was read, as DateTimeFormatter.parse() does
 * (JDK 11; case counts, numbers have the widths that the pattern says). An optional part that does
 * not fit is skipped with all that it had set.
 */
#include "rule/time_parse.h"

#include "base/mem.h"
#include "rule/calendar.h"
#include "rule/time_element.h"

struct reading {
    struct str rest;
    struct jdk_parsed parsed;
};

/* What is said twice must be the same. */
static bool say(struct reading *reading, enum jdk_field field, int64_t value) {
    int64_t *said = &reading->parsed.fields[field];
    bool same = *said == JDK_UNSAID || *said == value;
    *said = value;
    return same;
}

/* --- numbers --- */

static size_t count_digits(struct str text, size_t max) {
    size_t count = 0;
    while (count < text.len && count < max && text.at[count] >= '0' && text.at[count] <= '9')
        count++;
    return count;
}

/* Up to 18 digits; more is beyond any field. */
static bool digits_value(struct str digits, int64_t *ret_value) {
    int64_t value = 0;
    if (digits.len > 18)
        return false;
    for (size_t i = 0; i < digits.len; i++)
        value = value * 10 + (digits.at[i] - '0');
    *ret_value = value;
    return true;
}

static int64_t to_nanos(int64_t value, size_t digits) {
    for (; digits < 9; digits++)
        value *= 10;
    return value;
}

static bool read_number(struct reading *reading, const struct element *element) {
    bool minus = false, plus = false;
    if (element->sign != SIGN_NONE && reading->rest.len) {
        minus = reading->rest.at[0] == '-';
        plus = element->sign == SIGN_EXCEEDS && reading->rest.at[0] == '+';
        reading->rest = str_skip(reading->rest, minus || plus);
    }
    size_t digits = count_digits(reading->rest, element->max + element->following);
    if (element->following) {
        size_t left = digits > element->following ? digits - element->following : 0;
        digits = left > element->min ? left : count_digits(reading->rest, element->min);
    }
    int64_t value;
    if (digits < element->min || digits > element->max ||
        !digits_value(str_from(reading->rest.at, digits), &value))
        return false;
    if (element->sign == SIGN_EXCEEDS && !minus && plus != (digits > element->min))
        return false;
    reading->rest = str_skip(reading->rest, digits);
    value = element->fraction ? to_nanos(value, digits) : value;
    value += element->two_thousand ? 2000 : 0;
    return say(reading, element->field, minus ? -value : value);
}

/* --- names --- */

static bool take(struct reading *reading, struct str text) {
    if (!str_starts(reading->rest, text))
        return false;
    reading->rest = str_skip(reading->rest, text.len);
    return true;
}

/* The names of a field by its value; false if there is no such value. */
static bool name_of(enum jdk_field field, int64_t value, bool full, struct str *ret_name) {
    static const struct str eras[] = {{"BC", 2}, {"AD", 2}},
                            full_eras[] = {{"Before Christ", 13}, {"Anno Domini", 11}},
                            halves[] = {{"AM", 2}, {"PM", 2}},
                            quarters[] = {{"", 0}, {"Q1", 2}, {"Q2", 2}, {"Q3", 2}, {"Q4", 2}},
                            full_quarters[] = {{"", 0},
                                               {"1st quarter", 11},
                                               {"2nd quarter", 11},
                                               {"3rd quarter", 11},
                                               {"4th quarter", 11}};
    static const struct {
        enum jdk_field field;
        const struct str *shorts, *fulls;
        int64_t first, last;
    } tables[] = {
        {JDK_ERA, eras, full_eras, 0, 1},
        {JDK_HALF, halves, halves, 0, 1},
        {JDK_QUARTER, quarters, full_quarters, 1, 4},
        {JDK_MONTH, calendar_months, calendar_months, 1, 12},
        {JDK_WEEKDAY, calendar_weekdays, calendar_weekdays, 1, 7},
    };
    for (size_t i = 0; i < COUNT_OF(tables); i++) {
        if (tables[i].field != field)
            continue;
        if (value < tables[i].first || value > tables[i].last)
            return false;
        bool cut = !full && (field == JDK_MONTH || field == JDK_WEEKDAY);
        *ret_name = full ? tables[i].fulls[value] : tables[i].shorts[value];
        ret_name->len = cut ? 3 : ret_name->len;
        return true;
    }
    return false;
}

static bool read_name(struct reading *reading, const struct element *element) {
    bool from_zero = element->field == JDK_ERA || element->field == JDK_HALF;
    struct str name;
    for (int64_t value = !from_zero; name_of(element->field, value, element->count == 4, &name);
         value++)
        if (take(reading, name))
            return say(reading, element->field, value);
    return false;
}

/* --- zones and offsets --- */

/* What a name of a zone may be made of, as far as it goes. */
static bool read_zone(struct reading *reading) {
    struct str rest = reading->rest;
    size_t len = 0;
    for (; len < rest.len; len++) {
        char c = rest.at[len], letter = c | 0x20;
        bool good =
            (letter >= 'a' && letter <= 'z') || (c >= '0' && c <= '9') || (c && strchr("_/+-:", c));
        if (!good)
            break;
    }
    reading->parsed.zone = str_from(rest.at, len);
    reading->rest = str_skip(rest, len);
    return len > 0;
}

static bool take_two(struct str *rest, int64_t *ret_number) {
    if (count_digits(*rest, 2) < 2)
        return false;
    digits_value(str_from(rest->at, 2), ret_number);
    *rest = str_skip(*rest, 2);
    return true;
}

/* A part of an offset behind the hours; it may be missing unless it is `wanted`. */
static bool take_part(struct str *rest, bool colon, bool wanted, int64_t *ret_number) {
    struct str behind = *rest;
    bool there = !colon || (behind.len && behind.at[0] == ':');
    if (there && colon)
        behind = str_skip(behind, 1);
    there = there && take_two(&behind, ret_number);
    if (there)
        *rest = behind;
    return there || !wanted;
}

/* By the count of letters: 1 +hh[mm], 2 +hhmm, 3 +hh:mm, 4 +hhmm[ss], 5 +hh:mm[:ss]. */
static bool read_offset(struct reading *reading, unsigned count) {
    struct str rest = reading->rest;
    int64_t hours, minutes = 0, seconds = 0;
    if (rest.len == 0 || (rest.at[0] != '+' && rest.at[0] != '-'))
        return false;
    bool negative = rest.at[0] == '-', colon = count == 3 || count == 5;
    rest = str_skip(rest, 1);
    if (!take_two(&rest, &hours) || !take_part(&rest, colon, count > 1, &minutes) ||
        (count >= 4 && !take_part(&rest, colon, false, &seconds)))
        return false;
    int64_t offset = (hours * 60 + minutes) * 60 + seconds;
    if (minutes > 59 || seconds > 59 || offset > ZONE_OFFSET_SECONDS_MAX)
        return false;
    reading->rest = rest;
    return say(reading, JDK_OFFSET, negative ? -offset : offset);
}

/* GMT, alone or with +h[:mm[:ss]] (count 1) or +hh:mm[:ss] (count 4). */
static bool read_gmt_offset(struct reading *reading, unsigned count) {
    if (!take(reading, STR("GMT")))
        return false;
    struct str rest = reading->rest;
    if (rest.len == 0 || (rest.at[0] != '+' && rest.at[0] != '-'))
        return say(reading, JDK_OFFSET, 0);
    size_t digits = count_digits(str_skip(rest, 1), 2), len = 1 + digits;
    if (digits == 0 || (count == 4 && digits != 2))
        return false;
    while (len + 2 < rest.len && rest.at[len] == ':' &&
           count_digits(str_skip(rest, len + 1), 2) == 2)
        len += 3;
    int offset;
    if ((count == 4 && len < 6) || !zone_offset_read(str_from(rest.at, len), &offset))
        return false;
    reading->rest = str_skip(rest, len);
    return say(reading, JDK_OFFSET, offset);
}

/* --- elements --- */

static bool read_element(struct reading *reading, const struct element *element) {
    switch (element->kind) {
    case ELEMENT_TEXT:
        return take(reading, element->text);
    case ELEMENT_NUMBER:
        return read_number(reading, element);
    case ELEMENT_NAME:
        return read_name(reading, element);
    case ELEMENT_ZONE:
        return read_zone(reading);
    case ELEMENT_OFFSET_OR_Z:
        if (take(reading, STR("Z")))
            return say(reading, JDK_OFFSET, 0);
        return read_offset(reading, element->count);
    case ELEMENT_OFFSET:
        return read_offset(reading, element->count);
    case ELEMENT_GMT_OFFSET:
        return read_gmt_offset(reading, element->count);
    default:
        return true;
    }
}

/* An element in a field of so many characters, with blanks before it. */
static bool read_padded(struct reading *reading, const struct element *element) {
    if (element->pad == 0)
        return read_element(reading, element);
    if (reading->rest.len < element->pad)
        return false;
    struct str behind = str_skip(reading->rest, element->pad);
    reading->rest.len = element->pad;
    while (reading->rest.len && reading->rest.at[0] == ' ')
        reading->rest = str_skip(reading->rest, 1);
    bool good = read_element(reading, element) && reading->rest.len == 0;
    reading->rest = behind;
    return good;
}

/* The index of the end that belongs to the bracket at `at`. */
static size_t end_of_optional(const struct jdk_pattern *pattern, size_t at) {
    unsigned depth = 0;
    for (;; at++) {
        enum element_kind kind = pattern->elements[at].kind;
        depth += kind == ELEMENT_OPTIONAL;
        depth -= kind == ELEMENT_OPTIONAL_END;
        if (depth == 0)
            return at;
    }
}

static bool read_elements(const struct jdk_pattern *pattern, size_t from, size_t end,
                          struct reading *reading) {
    for (size_t i = from; i < end; i++) {
        const struct element *element = &pattern->elements[i];
        if (element->kind == ELEMENT_OPTIONAL) {
            size_t closing = end_of_optional(pattern, i);
            struct reading tried = *reading;
            if (read_elements(pattern, i + 1, closing, &tried))
                *reading = tried;
            i = closing;
        } else if (!read_padded(reading, element)) {
            return false;
        }
    }
    return true;
}

bool jdk_parse(const struct jdk_pattern *pattern, struct str text, struct jdk_parsed *ret_parsed) {
    struct reading reading = {.rest = text};
    for (int i = 0; i < JDK_FIELDS; i++)
        reading.parsed.fields[i] = JDK_UNSAID;
    if (!read_elements(pattern, 0, pattern->count, &reading) || reading.rest.len)
        return false;
    *ret_parsed = reading.parsed;
    return true;
}
