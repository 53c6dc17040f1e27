/* Values: making them, converting them, going through them, writing them. The operators are in
 * operator.c. */
#include "rule/value.h"

#include "base/json_write.h"
#include "base/utf8.h"
#include "rule/evaluate.h"

struct value rule_value_of_whole(struct number number) {
    return (struct value){.type = number.exponent == 0 ? VALUE_INT : VALUE_DECIMAL,
                          .number = number};
}

struct value rule_value_of_number(enum rule_version version, struct number number) {
    struct value value = rule_value_of_whole(number);
    if (version == RULE_VERSION_2015_10_08)
        value.type = VALUE_DECIMAL;
    return value;
}

struct value rule_value_of_double(enum rule_version version, double from) {
    struct number number;
    return rule_number_from_double(from, &number) ? rule_value_of_number(version, number)
                                                  : value_undefined();
}

static bool is_digits(struct str text) {
    for (size_t i = text.len && text.at[0] == '-'; i < text.len; i++)
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
    return true;
}

struct value rule_value_read_number(enum rule_version version, struct str text) {
    struct value value = {.type = VALUE_DECIMAL, .beyond = true, .text = text};
    if (!rule_number_read(text, &value.number))
        return value;
    value.beyond = false;
    if (value.number.exponent == 0 && (version == RULE_VERSION_2016_03_23 || is_digits(text))) {
        value.type = VALUE_INT;
        value.text = (struct str){0};
    }
    return value;
}

/* Numbers of usual length are no more than a step. */
static bool spend_on_number(struct evaluation *evaluation, size_t len) {
    return len <= NUMBER_DIGITS_MAX || rule_evaluation_spend_bytes(evaluation, 3 * len);
}

/* A view, or a copy without escapes. */
static struct str string_of_json(struct evaluation *evaluation, struct json_value json) {
    const struct json_entry *entry = json_entry(json);
    if (entry->info & JSON_ESCAPED && !rule_evaluation_spend_bytes(evaluation, 2 * entry->len))
        return STR("");
    return json_str(json, evaluation->arena);
}

struct value rule_value_from_json(struct evaluation *evaluation, struct json_value json) {
    switch (json_type(json)) {
    case JSON_ABSENT:
        return value_undefined();
    case JSON_NULL:
        return value_null();
    case JSON_FALSE:
    case JSON_TRUE:
        return value_boolean(json_type(json) == JSON_TRUE);
    case JSON_NUMBER:
        if (!spend_on_number(evaluation, json_entry(json)->len))
            return value_undefined();
        return rule_value_read_number(evaluation->version, json_raw(json));
    case JSON_STRING:
        return value_string(string_of_json(evaluation, json));
    case JSON_ARRAY:
        return (struct value){.type = VALUE_ARRAY, .view = true, .json = json};
    case JSON_OBJECT:
        return (struct value){.type = VALUE_OBJECT, .view = true, .json = json};
    }
    return value_undefined();
}

bool rule_value_to_number(struct evaluation *evaluation, struct value value,
                          struct value *ret_number) {
    if (value.type == VALUE_STRING && spend_on_number(evaluation, value.text.len) &&
        rule_number_valid(value.text)) {
        value = rule_value_read_number(evaluation->version, value.text);
        /* Only what came as a number is passed on as it was written. */
        value.text = (struct str){0};
    }
    if (!value_is_number(value) || value.beyond)
        return false;
    *ret_number = value;
    return true;
}

bool rule_value_to_whole(struct evaluation *evaluation, struct value value,
                         enum number_rounding rounding, struct number *ret_whole) {
    if (value.type == VALUE_INT) {
        *ret_whole = value.number;
        return true;
    }
    bool cut = value.type == VALUE_STRING && rounding == NUMBER_NEAREST;
    if (!rule_value_to_number(evaluation, value, &value))
        return false;
    *ret_whole = rule_number_round(value.number, cut ? NUMBER_CUT : rounding, 0);
    return true;
}

bool rule_value_to_int(struct evaluation *evaluation, struct value value,
                       enum number_rounding rounding, int64_t *ret_integer) {
    struct number whole;
    if (!rule_value_to_whole(evaluation, value, rounding, &whole))
        return false;
    bool fits = whole.exponent == 0 && whole.coefficient == (int64_t)whole.coefficient;
    *ret_integer = fits                    ? (int64_t)whole.coefficient
                   : whole.coefficient < 0 ? INT64_MIN
                                           : INT64_MAX;
    return true;
}

bool rule_value_to_boolean(struct value value, bool *ret_boolean) {
    if (value.type == VALUE_BOOLEAN) {
        *ret_boolean = value.boolean;
        return true;
    }
    if (value.type != VALUE_STRING)
        return false;
    bool truth = str_eq_nocase(value.text, STR("true"));
    if (!truth && !str_eq_nocase(value.text, STR("false")))
        return false;
    *ret_boolean = truth;
    return true;
}

static void write_number(struct evaluation *evaluation, struct buf *out, struct value value) {
    bool old = evaluation->version == RULE_VERSION_2015_10_08;
    if (value.text.len)
        buf_add_str(out, value.text);
    else
        rule_number_write(out, value.number, old && value.type == VALUE_DECIMAL);
}

void rule_value_add_text(struct evaluation *evaluation, struct buf *out, struct value value) {
    if (value.type == VALUE_STRING && buf_len(out) > EVALUATION_OUTPUT_BYTES_MAX)
        evaluation->exhausted = true;
    else if (value.type == VALUE_STRING)
        buf_add_str(out, value.text);
    else if (value.type != VALUE_NULL)
        rule_value_write(evaluation, out, value);
}

bool rule_value_to_string(struct evaluation *evaluation, struct value value, struct str *ret_text) {
    if (value.type == VALUE_NULL || value.type == VALUE_UNDEFINED)
        return false;
    if (value.type != VALUE_STRING) {
        rule_value_write(evaluation, evaluation->scratch, value);
        value = rule_evaluation_take_scratch(evaluation);
        if (value.type != VALUE_STRING)
            return false;
    }
    *ret_text = value.text.at ? value.text : STR("");
    return rule_evaluation_spend_bytes(evaluation, value.text.len);
}

struct value_cursor rule_value_each(struct value value) {
    struct value_cursor cursor = {.key_of = value};
    if (value.view)
        cursor.json = json_each(value.json);
    return cursor;
}

bool rule_value_next(struct evaluation *evaluation, struct value_cursor *cursor) {
    struct value over = cursor->key_of;
    if (!rule_evaluation_spend(evaluation, 1))
        return false;
    if (over.view) {
        if (!json_next(&cursor->json))
            return false;
        if (json_type(cursor->json.key) == JSON_STRING)
            cursor->key = string_of_json(evaluation, cursor->json.key);
        cursor->value = rule_value_from_json(evaluation, cursor->json.value);
        return true;
    }
    if (cursor->next >= rule_value_count(over))
        return false;
    if (over.type == VALUE_ARRAY) {
        cursor->value = over.array->items[cursor->next++];
    } else {
        cursor->key = over.object->members[cursor->next].key;
        cursor->value = over.object->members[cursor->next++].value;
    }
    return true;
}

size_t rule_value_count(struct value value) {
    if (value.type != VALUE_ARRAY && value.type != VALUE_OBJECT)
        return 0;
    if (value.view)
        return json_count(value.json);
    return value.type == VALUE_ARRAY ? value.array->count : value.object->count;
}

struct value_array *rule_value_array_new(struct evaluation *evaluation, size_t cap) {
    struct value_array *array =
        rule_evaluation_alloc(evaluation, sizeof *array + cap * sizeof array->items[0]);
    if (array)
        array->count = 0;
    return array;
}

struct value_object *rule_value_object_new(struct evaluation *evaluation, size_t cap) {
    struct value_object *object =
        rule_evaluation_alloc(evaluation, sizeof *object + cap * sizeof object->members[0]);
    if (object)
        *object = (struct value_object){.cap = cap};
    return object;
}

/* Steps of looking for a key among others, which may all be as long. */
static size_t keys_cost(size_t count, struct str key) {
    enum { KEYS_PER_STEP = 8, BYTES_AS_CHEAP_AS_A_KEY = 64 };
    return count * (1 + key.len / BYTES_AS_CHEAP_AS_A_KEY) / KEYS_PER_STEP + 1;
}

void rule_value_object_set(struct evaluation *evaluation, struct value_object *object,
                           struct str key, struct value value) {
    rule_evaluation_spend(evaluation, keys_cost(object->count, key));
    struct value_member *member = object->members, *end = object->members + object->count;
    while (member < end && !str_eq(member->key, key))
        member++;
    if (member == end) {
        ASSERT(object->count < object->cap);
        object->count++;
    }
    *member = (struct value_member){key, value};
}

struct value rule_value_member(struct evaluation *evaluation, struct value value, struct str key) {
    if (value.type != VALUE_OBJECT ||
        !rule_evaluation_spend(evaluation, keys_cost(rule_value_count(value), key)))
        return value_undefined();
    if (value.view)
        return rule_value_from_json(evaluation, json_member(value.json, key));
    for (size_t i = 0; i < value.object->count; i++)
        if (str_eq(value.object->members[i].key, key))
            return value.object->members[i].value;
    return value_undefined();
}

/* Bytes of the character at the beginning; a byte that begins none counts as one. */
static size_t character(struct str text) {
    size_t step = utf8_sequence(text);
    return step ? step : 1;
}

struct value rule_value_item(struct evaluation *evaluation, struct value value, int64_t index) {
    if (index < 0)
        return value_undefined();
    if (value.type == VALUE_STRING) {
        struct str rest = value.text;
        for (; index && rest.len; index--)
            rest = str_skip(rest, character(rest));
        rule_evaluation_spend(evaluation, (value.text.len - rest.len) / 8);
        return rest.len ? value_string(str_from(rest.at, character(rest))) : value_undefined();
    }
    if (value.type != VALUE_ARRAY || (uint64_t)index >= rule_value_count(value))
        return value_undefined();
    if (!value.view)
        return value.array->items[index];
    rule_evaluation_spend(evaluation, (size_t)index / 8 + 1);
    return rule_value_from_json(evaluation, json_item(value.json, (size_t)index));
}

/* Bytes that an entry takes by itself where there is no white space: without what it contains. */
static size_t minified_bytes(const struct json_entry *entry) {
    size_t count = entry->info / JSON_ONE;
    switch (json_entry_type(entry)) {
    case JSON_STRING:
        return entry->len + 2;
    case JSON_ARRAY: /* brackets and commas */
        return count ? count + 1 : 2;
    case JSON_OBJECT: /* and colons */
        return count ? 2 * count + 1 : 2;
    default:
        return entry->len;
    }
}

/*
 * Whether what the payload has is written as it would be here: no white space, no escapes, no -0, and
 * in 2016-03-23 no whole number with a fraction or an exponent. So the text of a value, its length
 * and its digest do not depend on how the device wrote it.
 */
static bool goes_unchanged(struct evaluation *evaluation, struct json_value json) {
    const struct json_entry *entry = json_entry(json), *end = json.json->entries + entry->next;
    bool whole_are_ints = evaluation->version == RULE_VERSION_2016_03_23;
    struct number number;
    size_t bytes = 0;
    rule_evaluation_spend(evaluation, (size_t)(end - entry) / 4);
    for (; entry < end; entry++) {
        bytes += minified_bytes(entry);
        const char *at = json.json->text.at + entry->at;
        bool minus_zero = entry->len == 2 && at[0] == '-' && at[1] == '0';
        if (entry->info & JSON_ESCAPED || minus_zero)
            return false;
        if (!whole_are_ints || !(entry->info & JSON_FRACTIONAL))
            continue;
        struct str text = str_from(at, entry->len);
        spend_on_number(evaluation, text.len);
        if (rule_number_read(text, &number) && number.exponent == 0)
            return false;
    }
    return bytes == json_raw(json).len;
}

void rule_value_write_json(struct evaluation *evaluation, struct buf *out, struct json_value json) {
    if (goes_unchanged(evaluation, json) && buf_len(out) <= EVALUATION_OUTPUT_BYTES_MAX)
        buf_add_str(out, json_raw(json));
    else
        rule_value_write(evaluation, out, rule_value_from_json(evaluation, json));
}

static void write_items(struct evaluation *evaluation, struct buf *out, struct value value) {
    bool keyed = value.type == VALUE_OBJECT, first = true;
    buf_add_u8(out, keyed ? '{' : '[');
    for (struct value_cursor cursor = rule_value_each(value);
         rule_value_next(evaluation, &cursor);) {
        if (!first)
            buf_add_u8(out, ',');
        first = false;
        if (keyed) {
            json_write_plain_string(out, cursor.key);
            buf_add_u8(out, ':');
        }
        rule_value_write(evaluation, out, cursor.value);
    }
    buf_add_u8(out, keyed ? '}' : ']');
}

void rule_value_write(struct evaluation *evaluation, struct buf *out, struct value value) {
    if (buf_len(out) > EVALUATION_OUTPUT_BYTES_MAX)
        evaluation->exhausted = true;
    if (evaluation->exhausted)
        return;
    switch (value.type) {
    case VALUE_UNDEFINED:
        break;
    case VALUE_NULL:
        buf_add_str(out, STR("null"));
        break;
    case VALUE_BOOLEAN:
        buf_add_str(out, value.boolean ? STR("true") : STR("false"));
        break;
    case VALUE_INT:
    case VALUE_DECIMAL:
        write_number(evaluation, out, value);
        break;
    case VALUE_STRING:
        json_write_plain_string(out, value.text);
        break;
    case VALUE_ARRAY:
    case VALUE_OBJECT:
        if (value.view && goes_unchanged(evaluation, value.json))
            buf_add_str(out, json_raw(value.json));
        else
            write_items(evaluation, out, value);
        break;
    }
}
