/*
 * JSON in (RFC 8259, strict). The writer is json_write.h.
 *
 * json_parse() reads a text in one pass into a tape: one entry of 16 bytes per value and per key,
 * in the order of the text, each with its place in the text and the index of what follows it.
 * Nothing is copied or converted: strings are unescaped and numbers computed when they are asked
 * for, and then only if need be. A struct json is reused for text after text and so allocates
 * nothing in the steady state.
 *
 * A json_value is a view into the tape; it lives until the next json_parse() or json_done() and as
 * long as the text. Accessors take any value, the absent one included, so that lookups may be
 * chained:
 *
 *     json_int(json_member(json_member(json_root(&json), STR("batch")), STR("size")), &size)
 *
 * Not shared between threads.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

enum {
    JSON_DEPTH_MAX = 64,                /* default of depth_max */
    JSON_BYTES_MAX = 16 * 1024 * 1024,  /* default of bytes_max */
    JSON_BYTES_LIMIT = 64 * 1024 * 1024 /* what bytes_max may be at most */
};

enum json_type {
    JSON_ABSENT,
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT
};

/* On the tape an object is followed by a string (the key) and the value for each member, an array
 * by its items. */
struct json_entry {
    uint32_t at;   /* where it begins in the text; a string behind its quote */
    uint32_t len;  /* in the text; a string without its quotes */
    uint32_t next; /* index of the first entry behind it and all that it contains */
    /* enum json_type, JSON_ flags, and times JSON_ONE the count of members or items */
    uint32_t info;
};

enum {
    JSON_TYPE_MASK = 7,
    JSON_ESCAPED = 8 /* holds a backslash */,
    JSON_FRACTIONAL = 16 /* or an exponent */,
    JSON_ONE = 32
};

static inline enum json_type json_entry_type(const struct json_entry *entry) {
    return (enum json_type)(entry->info & JSON_TYPE_MASK);
}

/* Zeroed is valid. */
struct json {
    unsigned depth_max; /* 0: JSON_DEPTH_MAX; arrays and objects within one another */
    size_t bytes_max;   /* 0: JSON_BYTES_MAX */
    struct str text;
    struct json_entry *entries;
    size_t count, cap;
    size_t error_at;        /* after a failed json_parse(): byte offset */
    const char *error_text; /* and what was wrong there, static */
};

struct json_value {
    const struct json *json; /* NULL: absent */
    uint32_t index;
};

void json_done(struct json *json);

/* 0; INVALID: no JSON (error_at, error_text say more); TOO_LARGE: a bound is passed. The text is
 * kept as a view. */
int json_parse(struct json *json, struct str text);

/* The whole; absent if nothing has been parsed. */
struct json_value json_root(const struct json *json);

static inline const struct json_entry *json_entry(struct json_value value) {
    return &value.json->entries[value.index];
}

static inline enum json_type json_type(struct json_value value) {
    return value.json ? json_entry_type(json_entry(value)) : JSON_ABSENT;
}

/* Members of an object or items of an array; else 0. */
size_t json_count(struct json_value value);

/* The member of that name; of several the last one. Looks at each member once. Absent if there is
 * none or it is no object. */
struct json_value json_member(struct json_value value, struct str key);

/* The n-th item of an array, from 0; absent if there is none. Steps over those before it. */
struct json_value json_item(struct json_value value, size_t n);

/* A number without fraction and exponent that fits; false otherwise and *ret_number untouched. */
bool json_int(struct json_value value, int64_t *ret_number);

/* The nearest double; false if it is no number or beyond the range of doubles. */
bool json_double(struct json_value value, double *ret_number);

bool json_bool(struct json_value value, bool *ret_bool);

/* The text of a string: a view into the JSON text, or, if it had to be unescaped, a copy in
 * `arena`. Empty if it is no string. A lone surrogate (\ud800) becomes U+FFFD. */
struct str json_str(struct json_value value, struct arena *arena);

/* Appends the text of a string. False if it is no string. */
bool json_str_add(struct json_value value, struct buf *out);

/* Whether it is a string with this text; allocates nothing. */
bool json_str_eq(struct json_value value, struct str text);

/* As it stands in the text; a string with its quotes. */
struct str json_raw(struct json_value value);

/*
 * All that an array or object holds; over anything else none:
 *     for (struct json_cursor cursor = json_each(value); json_next(&cursor);)
 *         use(cursor.key, cursor.value);
 * In an array `key` is absent.
 */
struct json_cursor {
    struct json_value key, value;
    uint32_t next, end;
    bool keyed;
};

struct json_cursor json_each(struct json_value value);
bool json_next(struct json_cursor *cursor);

/* The double nearest to the text of a number in JSON's form; an infinity beyond the range. */
double json_number_double(struct str text);

#endif
