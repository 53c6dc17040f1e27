/*
 * Patterns of Java's DateTimeFormatter (JDK 11, ofPattern), compiled to a list of elements; see
 * time_parse.c for what each does. As there, a number of fixed width that follows another number
 * takes its digits away from it, so that "yyyyMMdd" can be read.
 */
#include "rule/time_element.h"

struct compiler {
    struct jdk_pattern *pattern;
    int number; /* the element that a number of fixed width would take digits from, or -1 */
    unsigned pad, depth;
};

static struct element *add(struct compiler *compiler, enum element_kind kind) {
    struct element *element = &compiler->pattern->elements[compiler->pattern->count++];
    *element = (struct element){.kind = kind, .pad = compiler->pad};
    compiler->pad = 0;
    return element;
}

static bool add_number(struct compiler *compiler, enum jdk_field field, unsigned min, unsigned max,
                       enum element_sign sign) {
    struct jdk_pattern *pattern = compiler->pattern;
    bool fixed = min == max && sign == SIGN_NONE;
    if (compiler->pad)
        compiler->number = -1;
    struct element *element = add(compiler, ELEMENT_NUMBER);
    element->field = field;
    element->min = min;
    element->max = max;
    element->sign = sign;
    if (fixed && compiler->number >= 0)
        pattern->elements[compiler->number].following += max;
    else
        compiler->number = (int)pattern->count - 1;
    return true;
}

static bool add_other(struct compiler *compiler, enum element_kind kind, enum jdk_field field,
                      unsigned count) {
    struct element *element = add(compiler, kind);
    element->field = field;
    element->count = count;
    compiler->number = -1;
    return true;
}

static bool add_year(struct compiler *compiler, enum jdk_field field, unsigned count) {
    enum { DIGITS_MAX = 19 };
    if (count > DIGITS_MAX)
        return false;
    if (count == 2) {
        add_number(compiler, field, 2, 2, SIGN_NONE);
        compiler->pattern->elements[compiler->pattern->count - 1].two_thousand = true;
        return true;
    }
    return add_number(compiler, field, count, DIGITS_MAX, count < 4 ? SIGN_MINUS : SIGN_EXCEEDS);
}

/* n = 1: any width; 2: two digits; more is none. */
static bool add_plain(struct compiler *compiler, enum jdk_field field, unsigned count) {
    if (count > 2)
        return false;
    return count == 1 ? add_number(compiler, field, 1, 19, SIGN_MINUS)
                      : add_number(compiler, field, 2, 2, SIGN_NONE);
}

/* Numbers, from n = 3 on names. */
static bool add_named(struct compiler *compiler, enum jdk_field field, unsigned count) {
    if (count > 4)
        return false;
    return count < 3 ? add_plain(compiler, field, count)
                     : add_other(compiler, ELEMENT_NAME, field, count);
}

static bool add_fraction(struct compiler *compiler, unsigned count) {
    if (count > 9)
        return false;
    add_number(compiler, JDK_NANO, count, count, SIGN_NONE);
    compiler->pattern->elements[compiler->pattern->count - 1].fraction = true;
    return true;
}

static bool add_letter(struct compiler *compiler, char letter, unsigned count) {
    switch (letter) {
    case 'G':
        return count <= 4 && add_other(compiler, ELEMENT_NAME, JDK_ERA, count);
    case 'u':
        return add_year(compiler, JDK_YEAR, count);
    case 'y':
        return add_year(compiler, JDK_YEAR_OF_ERA, count);
    case 'Q':
    case 'q':
        return add_named(compiler, JDK_QUARTER, count);
    case 'M':
    case 'L':
        return add_named(compiler, JDK_MONTH, count);
    case 'w':
        return add_plain(compiler, JDK_WEEK, count);
    case 'E':
        return count <= 4 && add_other(compiler, ELEMENT_NAME, JDK_WEEKDAY, count);
    case 'e':
        return add_named(compiler, JDK_WEEKDAY, count);
    case 'd':
        return add_plain(compiler, JDK_DAY, count);
    case 'D':
        return count == 1
                   ? add_plain(compiler, JDK_DAY_OF_YEAR, 1)
                   : count <= 3 && add_number(compiler, JDK_DAY_OF_YEAR, count, 3, SIGN_NONE);
    case 'a':
        return count == 1 && add_other(compiler, ELEMENT_NAME, JDK_HALF, count);
    case 'K':
        return add_plain(compiler, JDK_HOUR_OF_HALF, count);
    case 'h':
        return add_plain(compiler, JDK_CLOCK_HOUR_OF_HALF, count);
    case 'H':
        return add_plain(compiler, JDK_HOUR, count);
    case 'k':
        return add_plain(compiler, JDK_CLOCK_HOUR, count);
    case 'm':
        return add_plain(compiler, JDK_MINUTE, count);
    case 's':
        return add_plain(compiler, JDK_SECOND, count);
    case 'S':
        return add_fraction(compiler, count);
    case 'A':
        return count <= 19 && add_number(compiler, JDK_MILLI_OF_DAY, count, 19, SIGN_NONE);
    case 'N':
        return count <= 19 && add_number(compiler, JDK_NANO_OF_DAY, count, 19, SIGN_NONE);
    case 'n':
        return count <= 19 && add_number(compiler, JDK_NANO, count, 19, SIGN_NONE);
    case 'V':
        return count == 2 && add_other(compiler, ELEMENT_ZONE, JDK_OFFSET, count);
    case 'z':
        return count <= 3 && add_other(compiler, ELEMENT_ZONE, JDK_OFFSET, count);
    case 'O':
        return (count == 1 || count == 4) &&
               add_other(compiler, ELEMENT_GMT_OFFSET, JDK_OFFSET, count);
    case 'X':
        return count <= 5 && add_other(compiler, ELEMENT_OFFSET_OR_Z, JDK_OFFSET, count);
    case 'x':
        return count <= 5 && add_other(compiler, ELEMENT_OFFSET, JDK_OFFSET, count);
    case 'Z':
        if (count == 4)
            return add_other(compiler, ELEMENT_GMT_OFFSET, JDK_OFFSET, 4);
        return count <= 5 && (count == 5 ? add_other(compiler, ELEMENT_OFFSET_OR_Z, JDK_OFFSET, 5)
                                         : add_other(compiler, ELEMENT_OFFSET, JDK_OFFSET, 2));
    default:
        return false;
    }
}

static bool add_text(struct compiler *compiler, struct str text) {
    add_other(compiler, ELEMENT_TEXT, JDK_YEAR, 0);
    compiler->pattern->elements[compiler->pattern->count - 1].text = text;
    return true;
}

/* '...', where '' is a quote; '' alone is one too. */
static bool add_quoted(struct compiler *compiler, struct arena *arena, struct str *rest) {
    char *copy = arena_alloc(arena, rest->len), *to = copy;
    size_t i = 1;
    for (;; i++) {
        if (i == rest->len)
            return false;
        bool pair = rest->at[i] == '\'' && i + 1 < rest->len && rest->at[i + 1] == '\'';
        if (rest->at[i] == '\'' && !pair)
            break;
        *to++ = rest->at[i];
        i += pair;
    }
    if (i == 1)
        *to++ = '\'';
    *rest = str_skip(*rest, i + 1);
    return add_text(compiler, str_from(copy, (size_t)(to - copy)));
}

/* The closing bracket takes the numbers inside out of reach for those behind it. */
static bool add_bracket(struct compiler *compiler, bool open) {
    if (!open && compiler->depth == 0)
        return false;
    compiler->depth += open ? 1 : -1u;
    if (compiler->depth > ELEMENT_DEPTH_MAX)
        return false;
    return add_other(compiler, open ? ELEMENT_OPTIONAL : ELEMENT_OPTIONAL_END, JDK_YEAR, 0);
}

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* One letter in a row, or one other character. `p` pads the element that follows it. */
static bool add_next(struct compiler *compiler, struct arena *arena, struct str *rest) {
    char first = rest->at[0];
    size_t len = 1;
    if (first == '\'')
        return add_quoted(compiler, arena, rest);
    while (is_letter(first) && len < rest->len && rest->at[len] == first)
        len++;
    struct str run = str_from(rest->at, len);
    *rest = str_skip(*rest, len);
    if (first == 'p') {
        bool letter = rest->len && is_letter(rest->at[0]) && rest->at[0] != 'p';
        compiler->pad = (unsigned)len;
        return letter;
    }
    if (is_letter(first))
        return add_letter(compiler, first, (unsigned)len);
    if (first == '[' || first == ']')
        return add_bracket(compiler, first == '[');
    return first != '{' && first != '}' && first != '#' && add_text(compiler, run);
}

const struct jdk_pattern *jdk_compile(struct arena *arena, struct str text) {
    /* No element is shorter than a byte; closing brackets may be left out at the end. */
    size_t cap = text.len + ELEMENT_DEPTH_MAX;
    struct jdk_pattern *pattern =
        arena_alloc(arena, sizeof *pattern + cap * sizeof pattern->elements[0]);
    pattern->count = 0;
    struct compiler compiler = {.pattern = pattern, .number = -1};
    if (text.len == 0)
        return NULL;
    while (text.len)
        if (!add_next(&compiler, arena, &text))
            return NULL;
    while (compiler.depth)
        add_bracket(&compiler, false);
    return pattern;
}
