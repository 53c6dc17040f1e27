/*
 * The data plane of AWS IoT over HTTP (AWS IoT Data Plane API reference, 2015-05-28): Publish,
 * GetRetainedMessage, ListRetainedMessages, DeleteConnection, in the words and forms of its model.
 */

#include "base/base64.h"
#include "base/json_write.h"
#include "flow/topic.h"
#include "manage/call.h"

enum { LIST_MAX = 200 };

/* ---- retained messages ---- */

static void copy_number(struct buf *out, const char *name, struct json_value from,
                        const char *member) {
    int64_t number = 0;
    json_int(json_member(from, str_of(member)), &number);
    json_write_int(out, name, number);
}

static void add_base64(struct buf *out, const char *name, struct str bytes) {
    json_write_key(out, name);
    buf_add_u8(out, '"');
    base64_write(out, bytes);
    buf_add_u8(out, '"');
}

static void write_message(struct rest_call *call, struct json_value message) {
    struct buf *out = &call->output;
    struct json_value text = json_member(message, STR("payload"));
    struct json_value properties = json_member(message, STR("user_properties"));
    buf_add_str(out, STR("{\"topic\":"));
    json_write_string(out, call->labels[0]);
    if (json_type(text) == JSON_STRING) {
        add_base64(out, "payload", json_str(text, &call->arena));
    } else {
        json_write_key(out, "payload");
        buf_add_str(out, json_raw(json_member(message, STR("payload_base64"))));
    }
    copy_number(out, "qos", message, "qos");
    copy_number(out, "lastModifiedTime", message, "modified_ms");
    if (json_type(properties) == JSON_ARRAY) {
        add_base64(out, "userProperties", json_raw(properties));
    } else {
        json_write_key(out, "userProperties");
        buf_add_str(out, STR("null"));
    }
    buf_add_u8(out, '}');
}

static void answer_retained(struct rest_call *call, struct mqtt_inquiry *inquiry) {
    if (!inquiry->count || json_parse(&call->json, buf_str(&inquiry->items))) {
        rest_fail(call, 404, "ResourceNotFoundException",
                  "No retained message was found for the topic %.*s.", STR_ARG(call->labels[0]));
        return;
    }
    write_message(call, json_root(&call->json));
    rest_answer(call, 200);
}

static void get_retained(struct rest_call *call) {
    const struct mqtt_inquiry inquiry = {.question = MQTT_SHOW_RETAINED, .text = call->labels[0]};
    if (topic_name_valid(call->labels[0]))
        manage_ask(call, &inquiry, answer_retained);
    else
        rest_fail(call, 400, "InvalidRequestException",
                  "The topic must be a topic name without wildcards.");
}

static void write_summary(struct buf *out, struct json_value message) {
    json_write_comma(out);
    buf_add_str(out, STR("{\"topic\":"));
    buf_add_str(out, json_raw(json_member(message, STR("topic"))));
    copy_number(out, "payloadSize", message, "payload_bytes");
    copy_number(out, "qos", message, "qos");
    copy_number(out, "lastModifiedTime", message, "modified_ms");
    buf_add_u8(out, '}');
}

static void answer_list(struct rest_call *call, struct mqtt_inquiry *inquiry) {
    struct buf *out = &call->output, list = {0};
    buf_printf(&list, "[%.*s]", STR_ARG(buf_str(&inquiry->items)));
    buf_add_str(out, STR("{\"retainedTopics\":["));
    if (!json_parse(&call->json, buf_str(&list)))
        for (struct json_cursor cursor = json_each(json_root(&call->json)); json_next(&cursor);)
            write_summary(out, cursor.value);
    buf_add_u8(out, ']');
    if (buf_len(&inquiry->next)) {
        json_write_key(out, "nextToken");
        buf_add_u8(out, '"');
        manage_token_write(out, buf_str(&inquiry->next));
        buf_add_u8(out, '"');
    }
    buf_add_u8(out, '}');
    rest_answer(call, 200);
    buf_done(&list);
}

static void list_retained(struct rest_call *call) {
    struct mqtt_inquiry inquiry = {.question = MQTT_LIST_RETAINED};
    uint64_t limit;
    if (!rest_query_number(call, "maxResults", 1, LIST_MAX, LIST_MAX, &limit) ||
        !manage_token_read(call, "nextToken", &inquiry.after))
        return;
    inquiry.limit = (unsigned)limit;
    manage_ask(call, &inquiry, answer_list);
}

/* ---- connections ---- */

static void answer_deleted(struct rest_call *call, struct mqtt_inquiry *inquiry) {
    if (inquiry->count)
        rest_answer(call, 200);
    else
        rest_fail(call, 404, "ResourceNotFoundException", "There is no connection of %.*s.",
                  STR_ARG(call->labels[0]));
}

static void delete_connection(struct rest_call *call) {
    struct mqtt_inquiry inquiry = {.question = MQTT_END_CLIENT, .text = call->labels[0]};
    if (rest_query_bool(call, "cleanSession", &inquiry.end_session) &&
        rest_query_bool(call, "preventWillMessage", &inquiry.prevent_will))
        manage_ask(call, &inquiry, answer_deleted);
}

const struct rest_route manage_iot_routes[] = {
    {"POST", "/topics/{topic+}", manage_post_topic},
    {"GET", "/retainedMessage", list_retained},
    {"GET", "/retainedMessage/{topic+}", get_retained},
    {"DELETE", "/connections/{clientId}", delete_connection},
    {0}};
