/*
 * Tags of rules. The book keeps them as one JSON object, {"key":"value"}; here they are a list in
 * the order in which they came.
 */
#include "aws/input.h"
#include "aws/iot_internal.h"
#include "base/json_write.h"

enum { TAGS_MAX = 50, KEY_CHARS_MAX = 128, VALUE_CHARS_MAX = 256 };

struct tags {
    struct tag {
        struct str key, value; /* in the call's arena */
    } items[TAGS_MAX];
    size_t count;
};

static void set(struct tags *tags, struct str key, struct str value) {
    size_t i = 0;
    while (i < tags->count && !str_eq(tags->items[i].key, key))
        i++;
    tags->items[i] = (struct tag){key, value};
    tags->count += i == tags->count;
}

static void unset(struct tags *tags, struct str key) {
    for (size_t i = 0; i < tags->count; i++) {
        if (!str_eq(tags->items[i].key, key))
            continue;
        tags->count--;
        memmove(&tags->items[i], &tags->items[i + 1], (tags->count - i) * sizeof tags->items[0]);
        return;
    }
}

/* False, and the call has failed. */
static bool add(struct rest_call *call, struct tags *tags, struct str key, struct str value) {
    size_t chars = aws_input_chars(key);
    if (chars < 1 || chars > KEY_CHARS_MAX || aws_input_chars(value) > VALUE_CHARS_MAX) {
        rest_fail(call, 400, "InvalidRequestException",
                  "A tag has a key of 1 to %d characters and a value of at most %d", KEY_CHARS_MAX,
                  VALUE_CHARS_MAX);
        return false;
    }
    bool is_new = true;
    for (size_t i = 0; i < tags->count; i++)
        is_new = is_new && !str_eq(tags->items[i].key, key);
    if (is_new && tags->count == TAGS_MAX) {
        rest_fail(call, 410, "LimitExceededException", "A rule has at most %d tags", TAGS_MAX);
        return false;
    }
    set(tags, key, value);
    return true;
}

static void write_kept(struct buf *out, const struct tags *tags) {
    buf_add_u8(out, '{');
    for (size_t i = 0; i < tags->count; i++) {
        json_write_comma(out);
        json_write_string(out, tags->items[i].key);
        buf_add_u8(out, ':');
        json_write_string(out, tags->items[i].value);
    }
    buf_add_u8(out, '}');
}

static struct str copy(struct rest_call *call, struct str text) {
    return str_from(arena_strdup(&call->arena, text), text.len);
}

static void read_kept(struct rest_call *call, struct str kept, struct tags *tags) {
    struct json json = {0};
    if (json_parse(&json, kept) == 0)
        for (struct json_cursor cursor = json_each(json_root(&json));
             tags->count < TAGS_MAX && json_next(&cursor);)
            set(tags, copy(call, json_str(cursor.key, &call->arena)),
                copy(call, json_str(cursor.value, &call->arena)));
    json_done(&json);
}

/* One text of a form: '+' is a blank there. */
static bool decode(struct rest_call *call, struct str text, struct str *ret_text) {
    char *plain = arena_strdup(&call->arena, text);
    for (char *c = plain; *c; c++)
        if (*c == '+')
            *c = ' ';
    struct buf out = {0};
    bool valid = http_percent_decode(str_from(plain, text.len), &out);
    *ret_text = copy(call, buf_str(&out));
    buf_done(&out);
    return valid;
}

bool iot_read_tag_header(struct rest_call *call, struct buf *ret_tags) {
    struct tags tags = {0};
    struct str rest = http_header(call->request, "x-amz-tagging");
    while (rest.len) {
        struct str value, key = str_cut(str_cut(rest, '&', &rest), '=', &value);
        if (!decode(call, key, &key) || !decode(call, value, &value)) {
            rest_fail(call, 400, "InvalidRequestException", "x-amz-tagging is badly encoded");
            return false;
        }
        if (!add(call, &tags, key, value))
            return false;
    }
    write_kept(ret_tags, &tags);
    return true;
}

/* The rule whose ARN it is; NULL, and the call has failed. */
static const struct rule_entry *find(struct rest_call *call, struct str arn) {
    struct buf wanted = {0};
    iot_add_rule_arn(iot_of(call), &wanted, (struct str){0});
    struct str prefix = buf_str(&wanted);
    const struct rule_entry *entry =
        str_starts(arn, prefix) ? rule_book_find(iot_book(call), str_skip(arn, prefix.len)) : NULL;
    buf_done(&wanted);
    if (!entry)
        rest_fail(call, 404, "ResourceNotFoundException", "There is no rule %.*s", STR_ARG(arn));
    return entry;
}

static void keep(struct rest_call *call, struct str name, const struct tags *tags) {
    struct buf kept = {0};
    struct err err;
    write_kept(&kept, tags);
    int code = rule_book_set_tags(iot_book(call), name, buf_str(&kept), &err);
    buf_done(&kept);
    if (code) {
        iot_fail_book(call, code, &err);
        return;
    }
    buf_add_str(&call->output, STR("{}"));
    rest_answer(call, 200);
}

/* The rule that the body names, with the tags it has. NULL: the call has failed. */
static const struct rule_entry *begin_change(struct rest_call *call, struct json_value *ret_root,
                                             struct tags *ret_tags) {
    if (!iot_may_change(call) || !rest_read_json(call, ret_root))
        return NULL;
    const struct rule_entry *entry =
        find(call, json_str(json_member(*ret_root, STR("resourceArn")), &call->arena));
    if (entry)
        read_kept(call, entry->tags, ret_tags);
    return entry;
}

void iot_tag(struct rest_call *call) {
    struct json_value root;
    struct tags tags = {0};
    const struct rule_entry *entry = begin_change(call, &root, &tags);
    if (!entry)
        return;
    for (struct json_cursor cursor = json_each(json_member(root, STR("tags"))); json_next(&cursor);)
        if (!add(call, &tags, json_str(json_member(cursor.value, STR("Key")), &call->arena),
                 json_str(json_member(cursor.value, STR("Value")), &call->arena)))
            return;
    keep(call, entry->name, &tags);
}

void iot_untag(struct rest_call *call) {
    struct json_value root;
    struct tags tags = {0};
    const struct rule_entry *entry = begin_change(call, &root, &tags);
    if (!entry)
        return;
    for (struct json_cursor cursor = json_each(json_member(root, STR("tagKeys")));
         json_next(&cursor);)
        unset(&tags, json_str(cursor.value, &call->arena));
    keep(call, entry->name, &tags);
}

/* All on one page: there are at most TAGS_MAX. */
void iot_list_tags(struct rest_call *call) {
    struct str arn = {0};
    struct tags tags = {0};
    rest_query(call, "resourceArn", &arn);
    const struct rule_entry *entry = find(call, arn);
    if (!entry)
        return;
    read_kept(call, entry->tags, &tags);
    struct buf *out = &call->output;
    buf_add_str(out, STR("{\"tags\":["));
    for (size_t i = 0; i < tags.count; i++) {
        json_write_comma(out);
        buf_add_u8(out, '{');
        json_write_text(out, "Key", tags.items[i].key);
        json_write_text(out, "Value", tags.items[i].value);
        buf_add_u8(out, '}');
    }
    buf_add_str(out, STR("]}"));
    rest_answer(call, 200);
}
