/* Functions on arrays and objects, tests for Null and Undefined, and base64. */
#include "base/base64.h"
#include "base/utf8.h"
#include "rule/evaluate.h"
#include "rule/function.h"

struct value rule_function_get(struct evaluation *evaluation, const struct value *args,
                               size_t count) {
    int64_t index;
    if (args[0].type == VALUE_OBJECT)
        return args[1].type == VALUE_STRING ? rule_value_member(evaluation, args[0], args[1].text)
                                            : value_undefined();
    if (!rule_value_to_int(evaluation, args[1], NUMBER_NEAREST, &index))
        return value_undefined();
    return rule_value_item(evaluation, args[0], index);
}

/* What can fail outright, and not only be Undefined, are functions that call other services. */
struct value rule_function_get_or_default(struct evaluation *evaluation, const struct value *args,
                                          size_t count) {
    if (args[0].type != VALUE_UNDEFINED && args[0].type != VALUE_NULL)
        return args[0];
    return count == 2 ? args[1] : value_undefined();
}

struct value rule_function_isnull(struct evaluation *evaluation, const struct value *args,
                                  size_t count) {
    return value_boolean(args[0].type == VALUE_NULL);
}

struct value rule_function_isundefined(struct evaluation *evaluation, const struct value *args,
                                       size_t count) {
    return value_boolean(args[0].type == VALUE_UNDEFINED);
}

/* transform('enrichArray', object, array): each element with the object's members added; those of
 * the object win. AWS bounds the result. */
struct value rule_function_transform(struct evaluation *evaluation, const struct value *args,
                                     size_t count) {
    bool mode = args[0].type == VALUE_STRING && str_eq(args[0].text, STR("enrichArray"));
    if (!mode || args[1].type != VALUE_OBJECT || args[2].type != VALUE_ARRAY)
        return value_undefined();
    struct value_array *array = rule_value_array_new(evaluation, rule_value_count(args[2]));
    struct value_cursor element = rule_value_each(args[2]);
    while (array && rule_value_next(evaluation, &element)) {
        if (element.value.type != VALUE_OBJECT)
            return value_undefined();
        size_t cap = rule_value_count(element.value) + rule_value_count(args[1]);
        struct value_object *object = rule_value_object_new(evaluation, cap);
        if (!object)
            return value_undefined();
        for (struct value_cursor member = rule_value_each(element.value);
             rule_value_next(evaluation, &member);)
            rule_value_object_set(evaluation, object, member.key, member.value);
        for (struct value_cursor member = rule_value_each(args[1]);
             rule_value_next(evaluation, &member);)
            rule_value_object_set(evaluation, object, member.key, member.value);
        array->items[array->count++] = value_of_object(object);
    }
    struct value made = value_of_array(array);
    if (rule_evaluation_measure(evaluation, made) > EVALUATION_VALUE_BYTES_MAX)
        evaluation->exhausted = true;
    return made;
}

/* The scheme is checked when the rule is compiled. encode(*, ...) comes here as the bytes of the
 * payload. */
struct value rule_function_encode(struct evaluation *evaluation, const struct value *args,
                                  size_t count) {
    struct str text;
    if (!rule_function_str(evaluation, args[0], &text))
        return value_undefined();
    base64_write(evaluation->scratch, text);
    return rule_evaluation_take_scratch(evaluation);
}

/* Base64 into the scratch buffer. The padding may be left out, as readers in Java have it. */
static bool read_base64(struct evaluation *evaluation, struct str text) {
    enum { QUAD = 4 };
    size_t missing = (QUAD - text.len % QUAD) % QUAD;
    if (missing == 0)
        return base64_read(evaluation->scratch, text);
    char *padded = rule_evaluation_alloc(evaluation, text.len + missing);
    if (!padded || text.at[text.len - 1] == '=')
        return false;
    memcpy(padded, text.at, text.len);
    memset(padded + text.len, '=', missing);
    return base64_read(evaluation->scratch, str_from(padded, text.len + missing));
}

/* Bytes of what might have become a character and did not (Unicode 15 section 3.9, "maximal subpart"). */
static size_t broken_bytes(struct str text) {
    for (size_t count = 3; count > 1; count--) {
        char probe[5] = {0};
        if (count > text.len)
            continue;
        memcpy(probe, text.at, count);
        memset(probe + count, 0x80, 2);
        if (utf8_sequence(str_from(probe, count + 2)) > count)
            return count;
    }
    return 1;
}

/* The text, with U+FFFD for what is no UTF-8: so Java makes a String of bytes. */
static struct value as_text(struct evaluation *evaluation, struct value value) {
    if (value.type != VALUE_STRING || utf8_valid(value.text))
        return value;
    struct buf *out = evaluation->scratch;
    for (struct str rest = value.text; rest.len;) {
        size_t step = utf8_sequence(rest);
        if (step)
            buf_add(out, rest.at, step);
        else
            buf_add_str(out, STR("\xef\xbf\xbd"));
        rest = str_skip(rest, step ? step : broken_bytes(rest));
    }
    return rule_evaluation_take_scratch(evaluation);
}

/*
 * What is JSON becomes that value, other text a String, and what is no base64 Null. The tape of a
 * JSON value lives in the arena as long as the evaluation.
 */
struct value rule_function_decode(struct evaluation *evaluation, const struct value *args,
                                  size_t count) {
    if (args[0].type != VALUE_STRING)
        return value_undefined();
    if (!rule_evaluation_spend_bytes(evaluation, 2 * args[0].text.len))
        return value_undefined();
    if (!read_base64(evaluation, args[0].text))
        return value_null();
    struct value text = as_text(evaluation, rule_evaluation_take_scratch(evaluation));
    if (text.type != VALUE_STRING)
        return text;
    struct json json = {0};
    struct value decoded = text;
    if (json_parse(&json, text.text) == 0) {
        size_t size = json.count * sizeof *json.entries;
        struct json *kept = rule_evaluation_alloc(evaluation, sizeof *kept + size);
        if (kept) {
            *kept = json;
            kept->entries = memcpy(kept + 1, json.entries, size);
            decoded = rule_value_from_json(evaluation, json_root(kept));
        }
    }
    json_done(&json);
    return decoded;
}
