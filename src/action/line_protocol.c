#include "action/line_protocol.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/json.h"

enum { NS_PER_MS = 1000000, NAME_BYTES_MAX = 1024, FIELD_BYTES_MAX = 65536 };

#define TAG   STR("tag.")
#define FIELD STR("field.")

/* ---- names and values ---- */

static bool has_break(struct str text) {
    return str_find(text, '\n') < text.len || str_find(text, '\r') < text.len;
}

/* Measurements, keys and tag values: what would end them stands behind a backslash. One at the very
 * end would hide the separator, so nothing can follow it: it is left out. */
static int add_name(struct buf *out, struct str text, const char *ends, struct err *err) {
    if (has_break(text))
        return err_set(err, ERR_INVALID, "a line break in \"%.*s\"", STR_ARG(text));
    if (text.len > NAME_BYTES_MAX)
        return err_set(err, ERR_INVALID, "a name or tag of %zu bytes; at most %d can be", text.len,
                       NAME_BYTES_MAX);
    while (text.len && text.at[text.len - 1] == '\\')
        text.len--;
    for (size_t i = 0; i < text.len; i++) {
        if (strchr(ends, text.at[i]))
            buf_add_u8(out, '\\');
        buf_add_u8(out, (uint8_t)text.at[i]);
    }
    return 0;
}

static int add_text(struct buf *out, struct str text, struct err *err) {
    if (text.len > FIELD_BYTES_MAX)
        return err_set(err, ERR_INVALID, "a field of %zu bytes; at most %d can be", text.len,
                       FIELD_BYTES_MAX);
    buf_add_u8(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] == '"' || text.at[i] == '\\')
            buf_add_u8(out, '\\');
        buf_add_u8(out, (uint8_t)text.at[i]);
    }
    buf_add_u8(out, '"');
    return 0;
}

static bool is_integer(struct str text) {
    size_t i = text.len && text.at[0] == '-' ? 1 : 0;
    if (i == text.len)
        return false;
    for (; i < text.len; i++)
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
    return true;
}

static bool is_bare(struct str text) {
    if (str_eq(text, STR("true")) || str_eq(text, STR("false")))
        return true;
    if (text.len > 1 && text.at[text.len - 1] == 'i')
        return is_integer(str_from(text.at, text.len - 1));
    struct json json = {.depth_max = 1};
    bool is_number = json_parse(&json, text) == 0 && json_type(json_root(&json)) == JSON_NUMBER;
    json_done(&json);
    return is_number;
}

/* ---- tags ---- */

static int add_tags(struct buf *out, const struct action_params *params, struct err *err) {
    struct action_place place = {0};
    struct action_param param;
    int code = 0;
    while (!code && action_param_next(params, &place, &param)) {
        if (!str_starts(param.name, TAG) || !param.value.len)
            continue;
        buf_add_u8(out, ',');
        code = add_name(out, str_skip(param.name, TAG.len), ",= ", err);
        buf_add_u8(out, '=');
        if (!code)
            code = add_name(out, param.value, ",= ", err);
    }
    return code;
}

/* ---- fields ---- */

struct fields {
    struct buf *out;
    size_t count;
    struct json_value left_out; /* absent: none */
    struct err *err;
};

static int add_field_key(struct fields *fields, struct str key) {
    buf_add_u8(fields->out, fields->count++ ? ',' : ' ');
    int code = add_name(fields->out, key, ",= ", fields->err);
    buf_add_u8(fields->out, '=');
    return code;
}

static int add_field_params(struct fields *fields, const struct action_params *params,
                            bool *ret_any) {
    struct action_place place = {0};
    struct action_param param;
    int code = 0;
    *ret_any = false;
    while (!code && action_param_next(params, &place, &param)) {
        if (!str_starts(param.name, FIELD))
            continue;
        *ret_any = true;
        if (!param.value.len)
            continue;
        code = add_field_key(fields, str_skip(param.name, FIELD.len));
        if (!code && is_bare(param.value))
            buf_add_str(fields->out, param.value);
        else if (!code)
            code = add_text(fields->out, param.value, fields->err);
    }
    return code;
}

static int add_object(struct fields *fields, struct buf *path, struct json_value object);

static int add_value(struct fields *fields, struct buf *path, struct json_value value) {
    struct buf text = {0};
    int code = 0;
    switch (json_type(value)) {
    case JSON_OBJECT:
        buf_add_u8(path, '.');
        return add_object(fields, path, value);
    case JSON_TRUE:
    case JSON_FALSE:
    case JSON_NUMBER:
        code = add_field_key(fields, buf_str(path));
        buf_add_str(fields->out, json_raw(value));
        return code;
    case JSON_STRING:
    case JSON_ARRAY:
        code = add_field_key(fields, buf_str(path));
        if (!json_str_add(value, &text))
            buf_add_str(&text, json_raw(value));
        if (!code)
            code = add_text(fields->out, buf_str(&text), fields->err);
        buf_done(&text);
        return code;
    case JSON_NULL:
    case JSON_ABSENT:
        break;
    }
    return 0;
}

/* `path` is the prefix of the members' names; it comes back as it was. JSON's bounded depth bounds
 * this one. */
static int add_object(struct fields *fields, struct buf *path, struct json_value object) {
    size_t len = buf_len(path);
    int code = 0;
    for (struct json_cursor cursor = json_each(object); !code && json_next(&cursor);) {
        bool is_left_out = fields->left_out.json && cursor.value.index == fields->left_out.index;
        json_str_add(cursor.key, path);
        if (buf_len(path) > len && !is_left_out)
            code = add_value(fields, path, cursor.value);
        buf_truncate(path, len);
    }
    return code;
}

/* ---- time ---- */

struct line {
    const struct action_record *record;
    enum line_time_unit unit;
    uint64_t counter, index; /* of the record in its log, and of the point in the record */
};

static int add_stamp(struct buf *out, struct str text, enum line_time_unit unit, struct err *err) {
    static const int64_t ns_per_unit[] = {1000000000, 1000000, 1000, 1};
    char digits[24];
    int64_t ns;
    if (!is_integer(text) || text.len >= sizeof digits)
        return err_set(err, ERR_INVALID, "timestamp \"%.*s\" is no whole number", STR_ARG(text));
    memcpy(digits, text.at, text.len);
    digits[text.len] = '\0';
    if (__builtin_mul_overflow(strtoll(digits, NULL, 10), ns_per_unit[unit], &ns))
        return err_set(err, ERR_INVALID,
                       "timestamp %s is beyond what nanoseconds can say; is timestamp_unit right?",
                       digits);
    buf_printf(out, " %lld\n", (long long)ns);
    return 0;
}

/* `stamp` may be empty. */
static int add_time(struct buf *out, const struct line *line, struct str stamp, struct err *err) {
    if (stamp.len)
        return add_stamp(out, stamp, line->unit, err);
    uint64_t ns =
        line->record->received_ms * NS_PER_MS + line->counter % 1000 * 1000 + line->index % 1000;
    buf_printf(out, " %llu\n", (unsigned long long)ns);
    return 0;
}

/* ---- lines ---- */

static int add_head(struct buf *out, const struct line *line, struct err *err) {
    struct str measurement = action_param_get(&line->record->params, "measurement");
    if (!measurement.len)
        return err_set(err, ERR_INVALID, "measurement is empty");
    int code = add_name(out, measurement, ", ", err);
    return code ? code : add_tags(out, &line->record->params, err);
}

static int add_tail(const struct fields *fields, const struct line *line, struct str stamp) {
    if (!fields->count)
        return err_set(fields->err, ERR_INVALID, "no field has a value");
    return add_time(fields->out, line, stamp, fields->err);
}

static int add_object_line(struct buf *out, const struct line *line, struct json_value object,
                           struct err *err) {
    struct str stamp = action_param_get(&line->record->params, "timestamp");
    struct json_value member = json_member(object, STR("timestamp"));
    struct fields fields = {.out = out, .err = err};
    struct buf path = {0};
    int64_t ignored;
    if (!stamp.len && json_int(member, &ignored)) {
        stamp = json_raw(member);
        fields.left_out = member;
    }
    int code = add_head(out, line, err);
    if (!code)
        code = add_object(&fields, &path, object);
    if (!code)
        code = add_tail(&fields, line, stamp);
    buf_done(&path);
    return code;
}

static int add_payload_lines(struct buf *out, struct line *line, struct err *err) {
    struct json json = {0};
    int code = json_parse(&json, line->record->payload);
    struct json_value root = json_root(&json);
    if (!code && json_type(root) == JSON_ARRAY && json_count(root)) {
        for (struct json_cursor cursor = json_each(root); !code && json_next(&cursor);
             line->index++)
            code = add_object_line(out, line, cursor.value, err);
    } else if (!code && json_type(root) == JSON_OBJECT) {
        code = add_object_line(out, line, root, err);
    } else {
        code = err_set(err, ERR_INVALID,
                       "the payload is no JSON object and the action names no fields");
    }
    json_done(&json);
    return code;
}

static int add_lines(struct buf *out, struct line *line, struct err *err) {
    struct fields fields = {.out = out, .err = err};
    size_t before = buf_len(out);
    bool any;
    int code = add_head(out, line, err);
    if (!code)
        code = add_field_params(&fields, &line->record->params, &any);
    if (!code && any)
        return add_tail(&fields, line, action_param_get(&line->record->params, "timestamp"));
    buf_truncate(out, before);
    return code ? code : add_payload_lines(out, line, err);
}

int line_protocol_write(struct buf *out, const struct action_record *record,
                        enum line_time_unit unit, uint64_t counter, struct err *err) {
    struct line line = {record, unit, counter, 0};
    size_t before = buf_len(out);
    int code = add_lines(out, &line, err);
    if (code)
        buf_truncate(out, before);
    return code;
}
