/*
 * Constraints are checked in the order in which AWS reports them: presence, pattern, least length,
 * greatest length, enumeration; a value may break several. Ten are printed, all are counted:
 *
 *     2 validation errors detected: Value '' at 'streamName' failed to satisfy constraint: Member must
 *     satisfy regular expression pattern: [a-zA-Z0-9_.-]+; Value '' at 'streamName' failed to ...
 *
 * A path is put together only when something is wrong: each level of the walk leaves its place on the
 * stack.
 */
#include "aws/input.h"

#include <inttypes.h>

#include "aws/cbor.h"
#include "base/base64.h"
#include "base/err.h"

static const double time_ms_max = 9e15;
enum { PRINTED_MAX = 10, VALUE_CHARS_MAX = 2048 };

struct place {
    const struct place *outer;
    const char *name;
    size_t item; /* 1-based; 0: a member */
};

struct checker {
    struct buf *failures;
    unsigned failure_count;
    struct buf path;
    struct arena arena; /* of unescaped strings */
};

/* ---- reporting ---- */

static void add_path(struct buf *out, const struct place *place) {
    if (!place)
        return;
    add_path(out, place->outer);
    if (buf_len(out))
        buf_add_u8(out, '.');
    if (place->item)
        buf_printf(out, "%zu.member", place->item);
    else
        buf_printf(out, "%c%s", place->name[0] | 0x20, place->name + 1);
}

static void begin_failure(struct checker *checker, const struct place *place,
                          struct json_value value) {
    struct buf *out = checker->failures;
    buf_add_str(out, checker->failure_count > 1 ? STR("; Value ") : STR("Value "));
    struct str text = json_str(value, &checker->arena);
    switch (json_type(value)) {
    case JSON_ABSENT:
    case JSON_NULL:
        buf_add_str(out, STR("null"));
        break;
    case JSON_STRING:
        buf_printf(out, "'%.*s'", (int)(text.len < VALUE_CHARS_MAX ? text.len : VALUE_CHARS_MAX),
                   text.at ? text.at : "");
        break;
    case JSON_ARRAY:
        buf_add_str(out, json_count(value) ? STR("'[...]'") : STR("'[]'"));
        break;
    case JSON_OBJECT:
        buf_add_str(out, json_count(value) ? STR("'{...}'") : STR("'{}'"));
        break;
    default:
        buf_printf(out, "'%.*s'", STR_ARG(json_raw(value)));
    }
    buf_clear(&checker->path);
    add_path(&checker->path, place);
    buf_printf(out, " at '%.*s' failed to satisfy constraint: Member must ",
               STR_ARG(buf_str(&checker->path)));
}

static void fail(struct checker *checker, const struct place *place, struct json_value value,
                 const char *format, ...) __attribute__((format(printf, 4, 5)));

static void fail(struct checker *checker, const struct place *place, struct json_value value,
                 const char *format, ...) {
    if (++checker->failure_count > PRINTED_MAX)
        return;
    begin_failure(checker, place, value);
    va_list args;
    va_start(args, format);
    buf_vprintf(checker->failures, format, args);
    va_end(args);
}

static void fail_enum(struct checker *checker, const struct place *place, struct json_value value,
                      const char *const *values) {
    struct buf list = {0};
    for (size_t i = 0; values[i]; i++)
        buf_printf(&list, "%s%s", i ? ", " : "", values[i]);
    fail(checker, place, value, "satisfy enum value set: [%.*s]", STR_ARG(buf_str(&list)));
    buf_done(&list);
}

/* ---- one value; false when its type is wrong, which ends the walk ---- */

static bool mistyped(struct checker *checker, const struct place *place, const char *expected) {
    struct buf *out = checker->failures;
    buf_clear(out);
    buf_clear(&checker->path);
    add_path(&checker->path, place);
    buf_printf(out, "'%.*s' must be %s", STR_ARG(buf_str(&checker->path)), expected);
    return false;
}

static void check_bounds(struct checker *checker, const struct place *place,
                         struct json_value value, const struct aws_shape *shape, int64_t size,
                         const char *what) {
    if (size < shape->min)
        fail(checker, place, value, "have %s greater than or equal to %" PRId64, what, shape->min);
    if (shape->max && size > shape->max)
        fail(checker, place, value, "have %s less than or equal to %" PRId64, what, shape->max);
}

static bool is_one_of(struct str text, const char *const *values) {
    for (; *values; values++)
        if (str_eq(text, str_of(*values)))
            return true;
    return false;
}

size_t aws_input_chars(struct str text) {
    size_t chars = 0;
    for (size_t i = 0; i < text.len; i++)
        chars += ((unsigned char)text.at[i] & 0xc0) != 0x80;
    return chars;
}

static void check_text(struct checker *checker, const struct place *place, struct json_value value,
                       const struct aws_shape *shape) {
    struct str text = json_str(value, &checker->arena);
    if (shape->pattern && !shape->pattern->matches(text))
        fail(checker, place, value, "satisfy regular expression pattern: %s", shape->pattern->text);
    if (shape->min || shape->max)
        check_bounds(checker, place, value, shape, (int64_t)aws_input_chars(text), "length");
    if (shape->values && !is_one_of(text, shape->values))
        fail_enum(checker, place, value, shape->values);
}

static bool check_string(struct checker *checker, const struct place *place,
                         struct json_value value, const struct aws_shape *shape) {
    if (json_type(value) != JSON_STRING || cbor_is_bytes(value))
        return mistyped(checker, place, "a string");
    check_text(checker, place, value, shape);
    return true;
}

/* How long it may be depends on the stream and is not of the shape. */
static bool check_blob(struct checker *checker, const struct place *place,
                       struct json_value value) {
    if (json_type(value) != JSON_STRING)
        return mistyped(checker, place, "a blob");
    return true;
}

static bool check_integer(struct checker *checker, const struct place *place,
                          struct json_value value, const struct aws_shape *shape) {
    int64_t number;
    if (!json_int(value, &number) || number > INT32_MAX || number < INT32_MIN)
        return mistyped(checker, place, "an integer");
    check_bounds(checker, place, value, shape, number, "value");
    return true;
}

/* ---- structures ---- */

static bool check_value(struct checker *checker, const struct place *place, struct json_value value,
                        const struct aws_shape *shape);

static bool check_list(struct checker *checker, const struct place *place, struct json_value value,
                       const struct aws_shape *shape) {
    if (json_type(value) != JSON_ARRAY)
        return mistyped(checker, place, "a list");
    check_bounds(checker, place, value, shape, (int64_t)json_count(value), "length");
    size_t item = 0;
    for (struct json_cursor cursor = json_each(value); json_next(&cursor);) {
        struct place here = {.outer = place, .item = ++item};
        if (json_type(cursor.value) == JSON_NULL)
            fail(checker, &here, cursor.value, "not be null");
        else if (!check_value(checker, &here, cursor.value, shape->item))
            return false;
    }
    return true;
}

static bool check_map(struct checker *checker, const struct place *place, struct json_value value,
                      const struct aws_shape *shape) {
    if (json_type(value) != JSON_OBJECT)
        return mistyped(checker, place, "a map");
    check_bounds(checker, place, value, shape, (int64_t)json_count(value), "length");
    for (struct json_cursor cursor = json_each(value); json_next(&cursor);) {
        check_text(checker, place, cursor.key, shape->key);
        if (json_type(cursor.value) != JSON_NULL &&
            !check_value(checker, place, cursor.value, shape->item))
            return false;
    }
    return true;
}

static void check_present(struct checker *checker, const struct place *outer,
                          const struct aws_member *members, unsigned seen) {
    for (unsigned i = 0; members[i].name; i++) {
        struct place here = {.outer = outer, .name = members[i].name};
        if (members[i].required && !(seen & 1u << i))
            fail(checker, &here, (struct json_value){0}, "not be null");
    }
}

static bool check_struct(struct checker *checker, const struct place *place,
                         struct json_value value, const struct aws_member *members) {
    unsigned seen = 0;
    if (json_type(value) != JSON_OBJECT)
        return mistyped(checker, place, "a structure");
    for (struct json_cursor cursor = json_each(value); json_next(&cursor);) {
        for (unsigned i = 0; members[i].name; i++) {
            if (!json_str_eq(cursor.key, str_of(members[i].name)))
                continue;
            struct place here = {.outer = place, .name = members[i].name};
            if (json_type(cursor.value) == JSON_NULL)
                break;
            seen |= 1u << i;
            if (!check_value(checker, &here, cursor.value, members[i].shape))
                return false;
            break;
        }
    }
    check_present(checker, place, members, seen);
    return true;
}

static bool check_value(struct checker *checker, const struct place *place, struct json_value value,
                        const struct aws_shape *shape) {
    enum json_type type = json_type(value);
    switch (shape->type) {
    case AWS_STRING:
        return check_string(checker, place, value, shape);
    case AWS_BLOB:
        return check_blob(checker, place, value);
    case AWS_INTEGER:
        return check_integer(checker, place, value, shape);
    case AWS_BOOLEAN:
        return type == JSON_TRUE || type == JSON_FALSE || mistyped(checker, place, "a boolean");
    case AWS_TIME:
        return type == JSON_NUMBER || mistyped(checker, place, "a timestamp");
    case AWS_LIST:
        return check_list(checker, place, value, shape);
    case AWS_MAP:
        return check_map(checker, place, value, shape);
    case AWS_STRUCT:
        return check_struct(checker, place, value, shape->members);
    }
    return false;
}

const char *aws_input_check(struct json_value value, const struct aws_member *members,
                            struct buf *text) {
    struct buf failures = {0};
    struct checker checker = {.failures = &failures};
    const char *type = NULL;
    if (!check_struct(&checker, NULL, value, members)) {
        type = "SerializationException";
        buf_add_str(text, buf_str(&failures));
    } else if (checker.failure_count) {
        type = "ValidationException";
        buf_printf(text, "%u validation error%s detected: ", checker.failure_count,
                   checker.failure_count > 1 ? "s" : "");
        buf_add_str(text, buf_str(&failures));
    }
    buf_done(&failures);
    buf_done(&checker.path);
    arena_done(&checker.arena);
    return type;
}

/* ---- reading what fits ---- */

struct json_value aws_input(struct json_value value, struct str name) {
    struct json_value member = json_member(value, name);
    return json_type(member) == JSON_NULL ? (struct json_value){0} : member;
}

int64_t aws_input_time_ms(struct json_value value) {
    double seconds = 0;
    if (!json_double(value, &seconds))
        return 0;
    double ms = seconds * 1000 + (seconds < 0 ? -0.5 : 0.5);
    return ms > time_ms_max    ? (int64_t)time_ms_max
           : ms < -time_ms_max ? (int64_t)-time_ms_max
                               : (int64_t)ms;
}

bool aws_input_blob(struct json_value value, struct buf *out, struct arena *arena) {
    struct str text = json_str(value, arena);
    if (!cbor_is_bytes(value))
        return base64_read(out, text);
    buf_add_str(out, text);
    return true;
}
