/* Tags of streams and consumers, by the older calls that name a stream and the newer ones that name a
 * resource. */
#include "aws/kinesis.h"

enum { TAGS_PAGE = 50 };

/* What carries tags, and the stream with whose settings they are written. */
struct tagged {
    struct catalog_stream *target;
    struct catalog_tags *tags;
};

static bool find_stream(struct call *call, struct tagged *ret_tagged) {
    struct catalog_stream *target = call_readable_stream(call);
    if (target)
        *ret_tagged = (struct tagged){target, &target->tags};
    return target;
}

static bool find_resource(struct call *call, struct tagged *ret_tagged) {
    struct str arn = call_string(call, "ResourceARN");
    struct catalog_stream *target;
    if (memmem(arn.at, arn.len, "/consumer/", 10)) {
        struct catalog_consumer *consumer = kinesis_consumer_of_arn(call, arn, &target);
        if (consumer)
            *ret_tagged = (struct tagged){target, &consumer->tags};
        return consumer;
    }
    target = call_stream_of_arn(call, arn);
    if (target && target->status == CATALOG_CREATING) {
        call_fail(call, "ResourceInUseException",
                  "Stream %s under account %s not ACTIVE, instead in state CREATING", target->name,
                  call->aws->config->account);
        return false;
    }
    if (target)
        *ret_tagged = (struct tagged){target, &target->tags};
    return target;
}

/* Letters and digits of any script, blank and _.:/=+-@ (Kinesis developer guide, "Tag restrictions"). */
static bool is_tag_text(struct str text) {
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && c < 0x80 && (c == 0 || !strchr(" _.:/=+-@", c)))
            return false;
    }
    return true;
}

static bool check_tags(struct call *call, const struct catalog_tags *tags, struct json_value map) {
    size_t added = 0;
    for (struct json_cursor cursor = json_each(map); json_next(&cursor);) {
        struct str key = json_str(cursor.key, &call->arena);
        if (!is_tag_text(key) || !is_tag_text(json_str(cursor.value, &call->arena))) {
            call_fail(call, "InvalidArgumentException",
                      "Some tags contain invalid characters. Valid characters: Unicode letters, "
                      "digits, white space, _ . / = + - : @.");
            return false;
        }
        added += !catalog_tag_find(tags, key);
    }
    if (tags->count + added <= CATALOG_TAGS_MAX)
        return true;
    call_fail(call, "InvalidArgumentException",
              "Failed to add tags: a resource cannot have more than %d tags associated with it.",
              CATALOG_TAGS_MAX);
    return false;
}

bool kinesis_tags_add(struct call *call, struct catalog_tags *tags, struct json_value map) {
    if (!check_tags(call, tags, map))
        return false;
    for (struct json_cursor cursor = json_each(map); json_next(&cursor);)
        catalog_tag_set(tags, json_str(cursor.key, &call->arena),
                        json_str(cursor.value, &call->arena));
    return true;
}

static void save_and_answer(struct call *call, const struct tagged *tagged) {
    struct err err = {0};
    int status = catalog_save(&call->aws->catalog, tagged->target, &err);
    if (status)
        call_fail_code(call, status, &err);
    else
        call_answer_empty(call);
}

static void add(struct call *call, const struct tagged *tagged) {
    if (kinesis_tags_add(call, tagged->tags, call_value(call, "Tags")))
        save_and_answer(call, tagged);
}

static void drop(struct call *call, const struct tagged *tagged) {
    for (struct json_cursor cursor = json_each(call_value(call, "TagKeys")); json_next(&cursor);)
        catalog_tag_remove(tagged->tags, json_str(cursor.value, &call->arena));
    save_and_answer(call, tagged);
}

void kinesis_add_tags(struct call *call) {
    struct tagged tagged;
    if (find_stream(call, &tagged))
        add(call, &tagged);
}

void kinesis_remove_tags(struct call *call) {
    struct tagged tagged;
    if (find_stream(call, &tagged))
        drop(call, &tagged);
}

void kinesis_tag_resource(struct call *call) {
    struct tagged tagged;
    if (find_resource(call, &tagged))
        add(call, &tagged);
}

void kinesis_untag_resource(struct call *call) {
    struct tagged tagged;
    if (find_resource(call, &tagged))
        drop(call, &tagged);
}

/* Those behind `after`, `limit` of them; true if there are more. */
static bool put_tags(struct aws_output *output, const struct catalog_tags *tags, struct str after,
                     size_t limit) {
    bool more = false;
    aws_key(output, "Tags");
    aws_list_begin(output);
    for (size_t i = 0; i < tags->count; i++) {
        if (after.len && str_compare(str_of(tags->items[i].key), after) <= 0)
            continue;
        if (limit-- == 0) {
            more = true;
            break;
        }
        aws_map_begin(output);
        aws_member_string(output, "Key", str_of(tags->items[i].key));
        aws_member_string(output, "Value", str_of(tags->items[i].value));
        aws_map_end(output);
    }
    aws_list_end(output);
    return more;
}

void kinesis_list_tags(struct call *call) {
    struct tagged tagged;
    if (!find_stream(call, &tagged))
        return;
    aws_map_begin(&call->output);
    bool more = put_tags(&call->output, tagged.tags, call_string(call, "ExclusiveStartTagKey"),
                         (size_t)call_integer(call, "Limit", TAGS_PAGE));
    aws_member_bool(&call->output, "HasMoreTags", more);
    aws_map_end(&call->output);
    call_answer(call);
}

void kinesis_list_resource_tags(struct call *call) {
    struct tagged tagged;
    if (!find_resource(call, &tagged))
        return;
    aws_map_begin(&call->output);
    put_tags(&call->output, tagged.tags, (struct str){0}, CATALOG_TAGS_MAX);
    aws_map_end(&call->output);
    call_answer(call);
}
