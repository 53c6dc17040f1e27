/*
 * Functions on strings. Arguments are converted to String first (numbers and Booleans as text,
 * arrays and objects as JSON); Null and Undefined make the call Undefined. Characters are code
 * points.
 */
#include <stdlib.h>
#include <unicase.h>

#include "base/utf8.h"
#include "rule/evaluate.h"
#include "rule/function.h"

bool rule_function_str(struct evaluation *evaluation, struct value value, struct str *ret_text) {
    return rule_value_to_string(evaluation, value, ret_text);
}

static bool two_strs(struct evaluation *evaluation, const struct value *args, struct str *a,
                     struct str *b) {
    return rule_function_str(evaluation, args[0], a) && rule_function_str(evaluation, args[1], b);
}

struct value rule_function_chr(struct evaluation *evaluation, const struct value *args,
                               size_t count) {
    int64_t code;
    if (!rule_value_to_int(evaluation, args[0], NUMBER_FLOOR, &code) || code < 0 || code > 127)
        return value_undefined();
    char *text = rule_evaluation_alloc(evaluation, 1);
    if (!text)
        return value_undefined();
    *text = (char)code;
    return value_string(str_from(text, 1));
}

/* Any array among the arguments: one array of all, with the items of the arrays in their places. */
static struct value concat_arrays(struct evaluation *evaluation, const struct value *args,
                                  size_t count) {
    size_t cap = 0;
    for (size_t i = 0; i < count; i++)
        cap += args[i].type == VALUE_ARRAY ? rule_value_count(args[i]) : 1;
    struct value_array *array = rule_value_array_new(evaluation, cap);
    for (size_t i = 0; array && i < count; i++) {
        if (args[i].type != VALUE_ARRAY) {
            if (args[i].type != VALUE_UNDEFINED)
                array->items[array->count++] = args[i];
            continue;
        }
        for (struct value_cursor cursor = rule_value_each(args[i]);
             rule_value_next(evaluation, &cursor);)
            array->items[array->count++] = cursor.value;
    }
    return value_of_array(array);
}

struct value rule_function_concat(struct evaluation *evaluation, const struct value *args,
                                  size_t count) {
    bool string = false;
    for (size_t i = 0; i < count; i++) {
        if (args[i].type == VALUE_ARRAY && count > 1)
            return concat_arrays(evaluation, args, count);
        string = string || args[i].type == VALUE_STRING;
    }
    if (count == 1)
        return args[0];
    struct value joined = value_string((struct str){0});
    for (size_t i = 0; string && i < count && joined.type == VALUE_STRING; i++)
        joined = rule_value_add(evaluation, joined, args[i]);
    return string ? joined : value_undefined();
}

struct value rule_function_startswith(struct evaluation *evaluation, const struct value *args,
                                      size_t count) {
    struct str text, part;
    if (!two_strs(evaluation, args, &text, &part))
        return value_undefined();
    return value_boolean(str_starts(text, part));
}

struct value rule_function_endswith(struct evaluation *evaluation, const struct value *args,
                                    size_t count) {
    struct str text, part;
    if (!two_strs(evaluation, args, &text, &part))
        return value_undefined();
    return value_boolean(text.len >= part.len && str_eq(str_skip(text, text.len - part.len), part));
}

static size_t characters(struct str text) {
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += ((unsigned char)text.at[i] & 0xc0) != 0x80;
    return count;
}

/* Where `part` begins in `text`, or text.len + 1. */
static size_t find(struct str text, struct str part) {
    if (part.len == 0)
        return 0;
    const char *hit = text.len ? memmem(text.at, text.len, part.at, part.len) : NULL;
    return hit ? (size_t)(hit - text.at) : text.len + 1;
}

struct value rule_function_indexof(struct evaluation *evaluation, const struct value *args,
                                   size_t count) {
    struct str text, part;
    if (args[0].type == VALUE_ARRAY || !two_strs(evaluation, args, &text, &part))
        return value_undefined();
    size_t at = find(text, part);
    return value_int(at > text.len ? -1 : (int64_t)characters(str_from(text.at, at)));
}

struct value rule_function_length(struct evaluation *evaluation, const struct value *args,
                                  size_t count) {
    struct str text;
    if (!rule_function_str(evaluation, args[0], &text))
        return value_undefined();
    return value_int((int64_t)characters(text));
}

struct value rule_function_numbytes(struct evaluation *evaluation, const struct value *args,
                                    size_t count) {
    struct str text;
    if (!rule_function_str(evaluation, args[0], &text))
        return value_undefined();
    return value_int((int64_t)text.len);
}

static bool is_ascii(struct str text) {
    unsigned char all = 0;
    for (size_t i = 0; i < text.len; i++)
        all |= (unsigned char)text.at[i];
    return all < 0x80;
}

static struct value fold_ascii(struct evaluation *evaluation, struct str text, bool upper) {
    char *copy = rule_evaluation_alloc(evaluation, text.len);
    if (!copy)
        return value_undefined();
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        bool folds = upper ? c >= 'a' && c <= 'z' : c >= 'A' && c <= 'Z';
        copy[i] = folds ? c ^ 0x20 : c;
    }
    return value_string(str_from(copy, text.len));
}

/* Unicode's full mapping, which may change the length (as in Java); bytes that are no UTF-8 stay. */
static struct value fold_wide(struct evaluation *evaluation, struct str text, bool upper) {
    size_t len;
    if (!rule_evaluation_spend(evaluation, text.len))
        return value_undefined();
    uint8_t *folded =
        (upper ? u8_toupper : u8_tolower)((const uint8_t *)text.at, text.len, "", NULL, NULL, &len);
    if (!folded)
        return value_string(text);
    char *copy = rule_evaluation_alloc(evaluation, len);
    if (copy)
        memcpy(copy, folded, len);
    free(folded);
    return copy ? value_string(str_from(copy, len)) : value_undefined();
}

static struct value fold(struct evaluation *evaluation, struct value value, bool upper) {
    struct str text;
    if (!rule_function_str(evaluation, value, &text))
        return value_undefined();
    return is_ascii(text) ? fold_ascii(evaluation, text, upper)
                          : fold_wide(evaluation, text, upper);
}

struct value rule_function_lower(struct evaluation *evaluation, const struct value *args,
                                 size_t count) {
    return fold(evaluation, args[0], false);
}

struct value rule_function_upper(struct evaluation *evaluation, const struct value *args,
                                 size_t count) {
    return fold(evaluation, args[0], true);
}

/* The number is a count of blanks, not a width. */
static struct value pad(struct evaluation *evaluation, const struct value *args, bool left) {
    enum { BLANKS_MAX = 1000 };
    struct str text;
    int64_t blanks;
    if (!rule_function_str(evaluation, args[0], &text) ||
        !rule_value_to_int(evaluation, args[1], NUMBER_FLOOR, &blanks))
        return value_undefined();
    blanks = blanks < 0 ? 0 : blanks > BLANKS_MAX ? BLANKS_MAX : blanks;
    char *padded = rule_evaluation_alloc(evaluation, text.len + (size_t)blanks);
    if (!padded)
        return value_undefined();
    memset(padded + (left ? 0 : text.len), ' ', (size_t)blanks);
    memcpy(padded + (left ? (size_t)blanks : 0), text.at ? text.at : "", text.len);
    return value_string(str_from(padded, text.len + (size_t)blanks));
}

struct value rule_function_lpad(struct evaluation *evaluation, const struct value *args,
                                size_t count) {
    return pad(evaluation, args, true);
}

struct value rule_function_rpad(struct evaluation *evaluation, const struct value *args,
                                size_t count) {
    return pad(evaluation, args, false);
}

/* ltrim and rtrim take off blanks and tabs, trim all white space. */
static struct value strip(struct evaluation *evaluation, struct value value, const char *what,
                          bool left, bool right) {
    struct str text;
    if (!rule_function_str(evaluation, value, &text))
        return value_undefined();
    size_t len = text.len;
    while (left && text.len && text.at[0] && strchr(what, text.at[0]))
        text = str_skip(text, 1);
    while (right && text.len && text.at[text.len - 1] && strchr(what, text.at[text.len - 1]))
        text.len--;
    rule_evaluation_spend_bytes(evaluation, 4 * (len - text.len));
    return value_string(text);
}

struct value rule_function_ltrim(struct evaluation *evaluation, const struct value *args,
                                 size_t count) {
    return strip(evaluation, args[0], " \t", true, false);
}

struct value rule_function_rtrim(struct evaluation *evaluation, const struct value *args,
                                 size_t count) {
    return strip(evaluation, args[0], " \t", false, true);
}

struct value rule_function_trim(struct evaluation *evaluation, const struct value *args,
                                size_t count) {
    return strip(evaluation, args[0], " \t\r\n\f\v", true, true);
}

/* All occurrences, from left to right. An empty `what` is found nowhere. */
struct value rule_function_replace(struct evaluation *evaluation, const struct value *args,
                                   size_t count) {
    struct str text, what, with;
    if (!two_strs(evaluation, args, &text, &what) || !rule_function_str(evaluation, args[2], &with))
        return value_undefined();
    if (what.len == 0)
        return value_string(text);
    struct buf *out = evaluation->scratch;
    for (size_t at; (at = find(text, what)) <= text.len && !evaluation->exhausted;) {
        buf_add(out, text.at, at);
        buf_add_str(out, with);
        text = str_skip(text, at + what.len);
        if (buf_len(out) > EVALUATION_MEMORY_BYTES_MAX)
            evaluation->exhausted = true;
    }
    buf_add_str(out, text);
    return rule_evaluation_take_scratch(evaluation);
}

/* substring(text, from [, to]): characters from..to-1, counted from 0, clamped to what there is. */
struct value rule_function_substring(struct evaluation *evaluation, const struct value *args,
                                     size_t count) {
    struct str text;
    int64_t from, to = INT64_MAX;
    if (!rule_function_str(evaluation, args[0], &text) ||
        !rule_value_to_int(evaluation, args[1], NUMBER_FLOOR, &from) ||
        (count == 3 && !rule_value_to_int(evaluation, args[2], NUMBER_FLOOR, &to)))
        return value_undefined();
    size_t begin = text.len, end = text.len, at = 0;
    from = from < 0 ? 0 : from;
    for (int64_t i = 0; at < text.len; i++) {
        begin = i == from ? at : begin;
        end = i == to ? at : end;
        size_t step = utf8_sequence(str_skip(text, at));
        at += step ? step : 1;
    }
    rule_evaluation_spend_bytes(evaluation, 2 * at);
    if (begin >= end || to <= from)
        return value_string((struct str){0});
    return value_string(str_from(text.at + begin, end - begin));
}
