/*
 * A request's body against the shape of its operation: types (SerializationException) and constraints
 * (ValidationException), with the texts that AWS's services print. One table per operation says what
 * it takes; handlers then read members that are known to be right.
 */
#ifndef AWS_INPUT_H
#define AWS_INPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/json.h"

enum aws_type {
    AWS_STRING,
    AWS_BLOB, /* base64 in JSON, a byte string in CBOR; that base64 is right is seen when it is read */
    AWS_INTEGER,
    AWS_BOOLEAN,
    AWS_TIME, /* seconds since 1970, with a fraction or without */
    AWS_LIST,
    AWS_MAP, /* strings to strings */
    AWS_STRUCT,
};

struct aws_pattern {
    const char *text; /* as error messages show it */
    bool (*matches)(struct str value);
};

struct aws_shape {
    enum aws_type type;
    int64_t min,
        max; /* of an integer's value, a string's characters, a list's or map's items; max 0:
                         none */
    const struct aws_pattern *pattern;
    const char *const *values;          /* of an enumeration, NULL-terminated, sorted */
    const struct aws_member *members;   /* AWS_STRUCT */
    const struct aws_shape *item, *key; /* AWS_LIST and AWS_MAP: of items, of keys */
};

struct aws_member {
    const char *name; /* NULL ends a table */
    const struct aws_shape *shape;
    bool required;
};

enum { AWS_MEMBERS_MAX = 16, AWS_NO_MIN = INT32_MIN };

/*
 * NULL when `value` fits; else the error's type, and its text is appended to `text`. Members that the
 * table does not know are passed over; null is as good as absent.
 */
const char *aws_input_check(struct json_value value, const struct aws_member *members,
                            struct buf *text);

/* The member of that name unless it is null. */
struct json_value aws_input(struct json_value value, struct str name);

/* Milliseconds of an AWS_TIME, rounded; negative before 1970, cut at the bounds of the type. */
int64_t aws_input_time_ms(struct json_value value);

/* Appends a blob's bytes; false when its base64 is none. */
bool aws_input_blob(struct json_value value, struct buf *out, struct arena *arena);

/* Characters (code points) of valid UTF-8. */
size_t aws_input_chars(struct str text);

#endif
