/*
 * A prefix is text with expressions !{namespace:value}:
 *
 *   !{timestamp:PATTERN}            the instant, time_pattern.c
 *   !{firehose:random-string}       11 random characters, new for each occurrence and object
 *   !{firehose:error-output-type}   only in error_output_prefix
 *   !{partitionKeyFrom...:NAME}     dynamic partitioning: refused
 *
 * and what is appended to it:
 *
 *   no prefix                       yyyy/MM/dd/HH/
 *   text without an expression      the text, yyyy/MM/dd/HH/   (no slash between)
 *   any expression                  nothing
 *
 * Checking is evaluating. Whether a prefix is valid does not depend on the instant; how long it gets
 * does, and is longest on some Wednesday just before midnight.
 */
#include "delivery/object_key.h"

#include <limits.h>

#include "base/random.h"
#include "delivery/time_pattern.h"

#define DATE_PATTERN STR("yyyy/MM/dd/HH/")
#define NAME_PATTERN STR("yyyy-MM-dd-HH-mm-ss")

enum { RANDOM_STRING_CHARS = 11, EXTENSION_BYTES_MAX = 128, WEEKS = 52 };

/* 2026-01-14T23:59:59.999Z, a Wednesday; and how far the next one is. */
#define WEDNESDAY_MS UINT64_C(1768435199999)
#define WEEK_MS      (7 * UINT64_C(86400000))

enum prefix_kind { PREFIX_OBJECTS, PREFIX_ERRORS };

struct prefix {
    enum prefix_kind kind;
    uint64_t instant_ms;
    size_t expressions; /* met so far */
    bool has_error_type;
};

static void add_random_string(struct buf *out) {
    static const char characters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    for (int i = 0; i < RANDOM_STRING_CHARS; i++)
        buf_add_u8(out, (uint8_t)characters[random_u64() % (sizeof characters - 1)]);
}

static int expand_firehose(struct buf *out, struct prefix *prefix, struct str value,
                           struct err *err) {
    if (str_eq(value, STR("random-string"))) {
        add_random_string(out);
        return 0;
    }
    if (!str_eq(value, STR("error-output-type")))
        return err_set(err, ERR_INVALID,
                       "!{firehose:%.*s} is not known; there are random-string and, for errors, "
                       "error-output-type",
                       STR_ARG(value));
    if (prefix->kind != PREFIX_ERRORS)
        return err_set(err, ERR_INVALID,
                       "!{firehose:error-output-type} belongs into error_output_prefix");
    prefix->has_error_type = true;
    buf_add_str(out, STR("processing-failed"));
    return 0;
}

static int expand_one(struct buf *out, struct prefix *prefix, struct str expression,
                      struct err *err) {
    struct str value, space = str_cut(expression, ':', &value);
    prefix->expressions++;
    if (str_eq(space, STR("timestamp")) && value.len)
        return time_pattern_write(out, value, prefix->instant_ms, err);
    if (str_eq(space, STR("firehose")))
        return expand_firehose(out, prefix, value, err);
    if (str_eq(space, STR("partitionKeyFromQuery")) || str_eq(space, STR("partitionKeyFromLambda")))
        return err_set(err, ERR_UNSUPPORTED,
                       "!{%.*s:...} needs dynamic partitioning, which is not part of this version",
                       STR_ARG(space));
    return err_set(err, ERR_INVALID,
                   "!{%.*s} is not known; there are !{timestamp:PATTERN} and !{firehose:NAME}",
                   STR_ARG(expression));
}

static int expand(struct buf *out, struct prefix *prefix, struct str text, struct err *err) {
    while (text.len) {
        if (!str_starts(text, STR("!{"))) {
            buf_add_u8(out, (uint8_t)text.at[0]);
            text = str_skip(text, 1);
            continue;
        }
        text = str_skip(text, 2);
        size_t end = str_find(text, '}');
        if (end == text.len)
            return err_set(err, ERR_INVALID, "an expression !{ is not closed by }");
        int code = expand_one(out, prefix, str_from(text.at, end), err);
        if (code)
            return code;
        text = str_skip(text, end + 1);
    }
    return 0;
}

static int expand_prefix(struct buf *out, struct prefix *prefix, const char *text,
                         struct err *err) {
    int code = expand(out, prefix, str_of(text), err);
    if (!code && !prefix->expressions && prefix->kind == PREFIX_OBJECTS)
        code = time_pattern_write(out, DATE_PATTERN, prefix->instant_ms, err);
    return code;
}

/* ---- checking ---- */

static int check_prefix(const struct delivery_config *config, const char *key, const char *text,
                        struct prefix *prefix, struct err *err) {
    struct buf out = {0};
    struct err why = {0};
    int code = expand_prefix(&out, prefix, text, &why);
    if (!code && buf_len(&out) > OBJECT_PREFIX_BYTES_MAX)
        code = err_set(&why, ERR_TOO_LARGE, "longer than %d bytes when evaluated",
                       OBJECT_PREFIX_BYTES_MAX);
    buf_done(&out);
    return code ? option_error(&config->head, key, err, code, "%s: %s", key, why.text) : 0;
}

static bool is_extension(struct str text) {
    if (text.len < 2 || text.len > EXTENSION_BYTES_MAX || text.at[0] != '.')
        return false;
    for (size_t i = 1; i < text.len; i++) {
        char c = text.at[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || memchr("!-_.*'()", c, 8)))
            return false;
    }
    return true;
}

/* Stores that keep objects as files refuse the same names as a directory does. */
static int check_name(const struct delivery_config *config, uint64_t instant_ms, struct err *err) {
    struct buf key = {0};
    struct err why;
    object_key_make(&key, config, instant_ms);
    int code = bucket_path_check(buf_str(&key), &why);
    if (code)
        option_error(&config->head, "prefix", err, code, "prefix: %s", why.text);
    buf_done(&key);
    return code;
}

static int check_lengths(const struct delivery_config *config, struct err *err) {
    int code = 0;
    for (int week = 0; !code && week < WEEKS; week++) {
        struct prefix prefix = {.instant_ms = WEDNESDAY_MS + week * WEEK_MS};
        code = check_prefix(config, "prefix", config->prefix, &prefix, err);
        if (!code)
            code = check_name(config, prefix.instant_ms, err);
    }
    return code;
}

int object_key_check(const struct delivery_config *config, struct err *err) {
    struct prefix objects = {.kind = PREFIX_OBJECTS}, errors = {.kind = PREFIX_ERRORS};
    bool has_error_prefix = config->error_output_prefix && config->error_output_prefix[0];
    int code = check_prefix(config, "prefix", config->prefix, &objects, err);
    if (!code)
        code =
            check_prefix(config, "error_output_prefix", config->error_output_prefix, &errors, err);
    if (code)
        return code;
    if (objects.expressions && !has_error_prefix)
        return option_error(
            &config->head, "prefix", err, ERR_INVALID,
            "prefix: with expressions in it error_output_prefix is wanted too, such "
            "as errors/!{firehose:error-output-type}/");
    if (errors.expressions && !errors.has_error_type)
        return option_error(&config->head, "error_output_prefix", err, ERR_INVALID,
                            "error_output_prefix: with expressions in it one has to be "
                            "!{firehose:error-output-type}");
    struct str extension = str_of(config->file_extension);
    if (extension.len && !is_extension(extension))
        return option_error(&config->head, "file_extension", err, ERR_INVALID,
                            "file_extension: a dot and up to 127 of 0-9 a-z ! - _ . * ' ( ) are "
                            "wanted");
    return check_lengths(config, err);
}

/* ---- making ---- */

void object_key_make(struct buf *out, const struct delivery_config *config, uint64_t instant_ms) {
    struct prefix prefix = {.kind = PREFIX_OBJECTS, .instant_ms = instant_ms};
    char uuid[UUID_CHARS];
    random_uuid(uuid);
    int code = expand_prefix(out, &prefix, config->prefix, NULL);
    ASSERT(!code);
    buf_printf(out, "%s-1-", config->head.name);
    code = time_pattern_write(out, NAME_PATTERN, instant_ms, NULL);
    ASSERT(!code);
    buf_add_u8(out, '-');
    buf_add(out, uuid, sizeof uuid);
    if (config->file_extension && config->file_extension[0])
        buf_add_str(out, str_of(config->file_extension));
    else if (delivery_compression(config) == DELIVERY_GZIP)
        buf_add_str(out, STR(".gz"));
}
