/* What is asked of the tape that the reader (json.c) has made: members and items, texts, numbers. */
#include <math.h>
#include <stdlib.h>

#include "base/json.h"

struct json_value json_root(const struct json *json) {
    return (struct json_value){json->count ? json : NULL, 0};
}

size_t json_count(struct json_value value) {
    return value.json ? json_entry(value)->info / JSON_ONE : 0;
}

struct json_cursor json_each(struct json_value value) {
    enum json_type type = json_type(value);
    if (type != JSON_ARRAY && type != JSON_OBJECT)
        return (struct json_cursor){.next = 0, .end = 0};
    return (struct json_cursor){.value = {value.json, value.index},
                                .next = value.index + 1,
                                .end = json_entry(value)->next,
                                .keyed = type == JSON_OBJECT};
}

bool json_next(struct json_cursor *cursor) {
    if (cursor->next >= cursor->end)
        return false;
    cursor->value.index = cursor->next;
    if (cursor->keyed) {
        cursor->key = cursor->value;
        cursor->value.index++;
    }
    cursor->next = json_entry(cursor->value)->next;
    return true;
}

static bool same_key(const struct json *json, const struct json_entry *name, struct str key) {
    if (name->info & JSON_ESCAPED)
        return json_str_eq((struct json_value){json, (uint32_t)(name - json->entries)}, key);
    return name->len == key.len &&
           (key.len == 0 || memcmp(json->text.at + name->at, key.at, key.len) == 0);
}

/* On the way of every message: over the tape itself, and most keys are passed by for their length. */
struct json_value json_member(struct json_value value, struct str key) {
    if (json_type(value) != JSON_OBJECT)
        return (struct json_value){0};
    const struct json_entry *entries = value.json->entries, *found = NULL;
    const struct json_entry *end = entries + entries[value.index].next;
    for (const struct json_entry *name = entries + value.index + 1; name < end;
         name = entries + name[1].next)
        if ((name->len == key.len || name->info & JSON_ESCAPED) && same_key(value.json, name, key))
            found = name;
    return found ? (struct json_value){value.json, (uint32_t)(found + 1 - entries)}
                 : (struct json_value){0};
}

struct json_value json_item(struct json_value value, size_t n) {
    struct json_value none = {0};
    if (json_type(value) != JSON_ARRAY || n >= json_count(value))
        return none;
    struct json_cursor cursor = json_each(value);
    for (size_t i = 0; i <= n; i++)
        json_next(&cursor);
    return cursor.value;
}

struct str json_raw(struct json_value value) {
    if (!value.json)
        return (struct str){0};
    const struct json_entry *entry = json_entry(value);
    const char *at = value.json->text.at + entry->at;
    return json_entry_type(entry) == JSON_STRING ? str_from(at - 1, entry->len + 2)
                                                 : str_from(at, entry->len);
}

static struct str string_text(struct json_value value) {
    const struct json_entry *entry = json_entry(value);
    return str_from(value.json->text.at + entry->at, entry->len);
}

static unsigned hex4(const char *at) {
    unsigned value = 0;
    for (int i = 0; i < 4; i++) {
        unsigned char c = (unsigned char)at[i];
        value = value << 4 | (c <= '9' ? c - 0x30u : (c | 0x20u) - 0x57u);
    }
    return value;
}

static size_t utf8_put(char to[4], unsigned code) {
    if (code < 0x80) {
        to[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        to[0] = (char)(0xc0 | code >> 6);
        to[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        to[0] = (char)(0xe0 | code >> 12);
        to[1] = (char)(0x80 | (code >> 6 & 0x3f));
        to[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    to[0] = (char)(0xf0 | code >> 18);
    to[1] = (char)(0x80 | (code >> 12 & 0x3f));
    to[2] = (char)(0x80 | (code >> 6 & 0x3f));
    to[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

/* A code point from "uXXXX" or a pair of them; surrogates that stand alone are U+FFFD. Returns how
 * much of `s` it took. */
static size_t unescape_unicode(struct str s, unsigned *ret_code) {
    unsigned code = hex4(s.at + 1);
    if (code < 0xd800 || code > 0xdfff) {
        *ret_code = code;
        return 5;
    }
    *ret_code = 0xfffd;
    if (code >= 0xdc00 || s.len < 11 || s.at[5] != '\\' || s.at[6] != 'u')
        return 5;
    unsigned low = hex4(s.at + 7);
    if (low < 0xdc00 || low > 0xdfff)
        return 5;
    *ret_code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    return 11;
}

/*
 * The next piece of a string's text: a run without escapes (a view), or one escape, decoded into
 * `room`. Takes it off *rest.
 */
static struct str next_piece(struct str *rest, char room[4]) {
    size_t run = str_find(*rest, '\\');
    if (run) {
        struct str piece = {rest->at, run};
        *rest = str_skip(*rest, run);
        return piece;
    }
    struct str s = str_skip(*rest, 1);
    static const char names[] = "bfnrt", bytes[] = "\b\f\n\r\t";
    unsigned code = (unsigned char)s.at[0];
    size_t taken = 1;
    const char *name = strchr(names, s.at[0]);
    if (s.at[0] == 'u')
        taken = unescape_unicode(s, &code);
    else if (name)
        code = (unsigned char)bytes[name - names];
    *rest = str_skip(s, taken);
    return str_from(room, utf8_put(room, code));
}

bool json_str_eq(struct json_value value, struct str text) {
    if (json_type(value) != JSON_STRING)
        return false;
    if (!(json_entry(value)->info & JSON_ESCAPED))
        return str_eq(string_text(value), text);
    char room[4];
    for (struct str rest = string_text(value); rest.len;) {
        struct str piece = next_piece(&rest, room);
        if (!str_starts(text, piece))
            return false;
        text = str_skip(text, piece.len);
    }
    return text.len == 0;
}

bool json_str_add(struct json_value value, struct buf *out) {
    if (json_type(value) != JSON_STRING)
        return false;
    char room[4];
    for (struct str rest = string_text(value); rest.len;)
        buf_add_str(out, next_piece(&rest, room));
    return true;
}

struct str json_str(struct json_value value, struct arena *arena) {
    if (json_type(value) != JSON_STRING)
        return (struct str){0};
    struct str rest = string_text(value);
    if (!(json_entry(value)->info & JSON_ESCAPED))
        return rest;
    /* No escape is shorter than what it stands for. */
    char *copy = arena_alloc(arena, rest.len + 1), *to = copy, room[4];
    while (rest.len) {
        struct str piece = next_piece(&rest, room);
        memcpy(to, piece.at, piece.len);
        to += piece.len;
    }
    *to = '\0';
    return str_from(copy, (size_t)(to - copy));
}

bool json_bool(struct json_value value, bool *ret_bool) {
    enum json_type type = json_type(value);
    if (type != JSON_TRUE && type != JSON_FALSE)
        return false;
    *ret_bool = type == JSON_TRUE;
    return true;
}

bool json_int(struct json_value value, int64_t *ret_number) {
    if (json_type(value) != JSON_NUMBER || (json_entry(value)->info & JSON_FRACTIONAL))
        return false;
    struct str text = json_raw(value);
    bool negative = text.at[0] == '-';
    uint64_t magnitude;
    if (!str_to_u64(str_skip(text, negative), &magnitude) ||
        magnitude > (uint64_t)INT64_MAX + negative)
        return false;
    *ret_number = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}

/* Up to 15 digits and a power of ten up to 22 are exact doubles, so that one operation rounds once
 * (Clinger 1990). */
static bool number_fast(struct str text, double *ret_number) {
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    uint64_t digits = 0;
    size_t count = 0, fraction = 0;
    bool point = false, negative = text.len && text.at[0] == '-';
    for (size_t i = negative; i < text.len; i++) {
        if (text.at[i] == '.' && !point) {
            point = true;
            continue;
        }
        if (text.at[i] < '0' || text.at[i] > '9' || ++count > 15)
            return false;
        digits = digits * 10 + (uint64_t)(text.at[i] - '0');
        fraction += point;
    }
    double value = (double)digits / powers[fraction];
    *ret_number = negative ? -value : value;
    return count > 0;
}

double json_number_double(struct str text) {
    enum { ROOM = 64 };
    double value;
    if (number_fast(text, &value))
        return value;
    char room[ROOM];
    if (text.len < ROOM) {
        memcpy(room, text.at, text.len);
        room[text.len] = '\0';
        return strtod(room, NULL);
    }
    char *copy = str_dup(text);
    value = strtod(copy, NULL);
    free(copy);
    return value;
}

bool json_double(struct json_value value, double *ret_number) {
    if (json_type(value) != JSON_NUMBER)
        return false;
    double number = json_number_double(json_raw(value));
    if (isinf(number))
        return false;
    *ret_number = number;
    return true;
}
