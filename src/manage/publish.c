/*
 * Publishing over HTTP (AWS IoT Core Developer Guide, "Publish", HTTPS): what the request says about
 * MQTT 5 becomes properties of the message.
 *
 *      query     qos 0|1, retain, contentType, responseTopic, messageExpiry in seconds
 *      header    x-amz-mqtt5-user-properties               base64 of [{"name":"value"}, ...]
 *                x-amz-mqtt5-payload-format-indicator      UNSPECIFIED_BYTES | UTF8_DATA
 *                x-amz-mqtt5-correlation-data              base64
 *      body      the payload
 *
 * QoS 1 is answered when all that the rules have staged of the message is on disk, QoS 0 when it
 * has been taken. What cannot be kept fails: 429 while there is no room, 503 if the disk is full.
 */
#include <stdlib.h>

#include "base/base64.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "flow/property.h"
#include "flow/topic.h"
#include "io/tcp.h"
#include "manage/call.h"

enum { EXPIRY_S_MAX = UINT32_MAX, STRING_BYTES_MAX = 65535 };

/* ---- into the broker ---- */

struct pending {
    struct link link;
    uint64_t ticket;
    struct rest_call *call;
    void (*done)(struct rest_call *call);
};

static void fail_publish(struct rest_call *call, int code) {
    metric_add(&manage_of(call)->publish_failures, 1);
    if (code == ERR_INVALID)
        rest_fail(call, 400, "InvalidRequestException", "The topic or a property is not valid.");
    else if (code == ERR_DENIED)
        rest_fail(call, 401, "UnauthorizedException", "Nobody may publish on this reserved topic.");
    else if (code == ERR_UNSUPPORTED)
        rest_fail(call, 400, "InvalidRequestException", "Nothing is retained on a reserved topic.");
    else if (code == ERR_FULL)
        rest_fail(call, 429, "ThrottlingException",
                  "The message cannot be kept: too much waits, or too much is retained.");
    else
        rest_fail(call, code == ERR_NO_SPACE ? 503 : 500,
                  code == ERR_NO_SPACE ? "ServiceUnavailableException" : "InternalFailureException",
                  "The message cannot be kept: %s.", err_text(code));
}

static void succeed(struct rest_call *call, void (*done)(struct rest_call *call)) {
    metric_add(&manage_of(call)->published, 1);
    done(call);
}

void manage_on_commit(struct sink_gate_listener *listener, uint64_t ticket, int status) {
    struct manage *manage = CONTAINER_OF(listener, struct manage, gate);
    while (!list_empty(&manage->committing)) {
        struct pending *pending = LIST_ITEM(manage->committing.next, struct pending, link);
        if (pending->ticket > ticket)
            return;
        list_remove(&pending->link);
        if (status)
            fail_publish(pending->call, status);
        else
            succeed(pending->call, pending->done);
        free(pending);
    }
}

void manage_publish(struct rest_call *call, const struct message *message,
                    void (*done)(struct rest_call *call)) {
    struct manage *manage = manage_of(call);
    struct message_publisher *publisher = mqtt_worker_publisher(manage->config.worker);
    uint64_t ticket = sink_gate_ticket(manage->config.gate);
    int result = publisher->publish(publisher, message);
    if (result < 0) {
        fail_publish(call, result);
    } else if (result == MESSAGE_STAGED && message->qos) {
        struct pending *pending = xcalloc(1, sizeof *pending);
        *pending = (struct pending){.ticket = ticket, .call = call, .done = done};
        list_push_back(&manage->committing, &pending->link);
    } else {
        succeed(call, done);
    }
}

/* ---- properties ---- */

static bool refuse(struct rest_call *call, const char *what) {
    rest_fail(call, 400, "InvalidRequestException", "%s", what);
    return false;
}

static void put_string(struct buf *out, struct str text) {
    buf_add_u16be(out, (uint16_t)text.len);
    buf_add_str(out, text);
}

static bool is_string(struct str text) {
    return text.len <= STRING_BYTES_MAX && utf8_valid(text) && !memchr(text.at, 0, text.len);
}

static bool add_format(struct rest_call *call, struct buf *out) {
    struct str format = http_header(call->request, "x-amz-mqtt5-payload-format-indicator");
    bool is_text = str_eq(format, STR("UTF8_DATA"));
    if (!format.len)
        return true;
    if (!is_text && !str_eq(format, STR("UNSPECIFIED_BYTES")))
        return refuse(call, "payloadFormatIndicator must be UNSPECIFIED_BYTES or UTF8_DATA.");
    buf_add_u8(out, PROPERTY_PAYLOAD_FORMAT);
    buf_add_u8(out, is_text);
    return true;
}

static bool add_expiry(struct rest_call *call, struct buf *out) {
    struct str ignored;
    uint64_t expiry_s;
    if (!rest_query_number(call, "messageExpiry", 0, EXPIRY_S_MAX, 0, &expiry_s))
        return false;
    if (!rest_query(call, "messageExpiry", &ignored))
        return true;
    buf_add_u8(out, PROPERTY_MESSAGE_EXPIRY);
    buf_add_u32be(out, (uint32_t)expiry_s);
    return true;
}

static bool add_content_type(struct rest_call *call, struct buf *out) {
    struct str type;
    if (!rest_query(call, "contentType", &type))
        return true;
    if (!is_string(type))
        return refuse(call, "contentType must be UTF-8.");
    buf_add_u8(out, PROPERTY_CONTENT_TYPE);
    put_string(out, type);
    return true;
}

static bool add_response_topic(struct rest_call *call, struct buf *out) {
    struct str topic;
    if (!rest_query(call, "responseTopic", &topic))
        return true;
    if (!topic_name_valid(topic))
        return refuse(call, "responseTopic must be a topic name without wildcards.");
    buf_add_u8(out, PROPERTY_RESPONSE_TOPIC);
    put_string(out, topic);
    return true;
}

static bool add_correlation(struct rest_call *call, struct buf *out) {
    struct str text = http_header(call->request, "x-amz-mqtt5-correlation-data");
    struct buf data = {0};
    if (!text.len)
        return true;
    bool ok = base64_read(&data, text) && buf_len(&data) <= STRING_BYTES_MAX;
    if (ok) {
        buf_add_u8(out, PROPERTY_CORRELATION_DATA);
        put_string(out, buf_str(&data));
    }
    buf_done(&data);
    return ok || refuse(call, "correlationData must be base64.");
}

/* ---- user properties ---- */

static const char user_properties_form[] =
    "userProperties must be base64 of a JSON list of objects with texts: "
    "[{\"name\":\"value\"}, ...].";

static bool add_user_property(struct rest_call *call, struct json_value pair, struct buf *out) {
    for (struct json_cursor cursor = json_each(pair); json_next(&cursor);) {
        struct str name = json_str(cursor.key, &call->arena);
        struct str value = json_str(cursor.value, &call->arena);
        if (json_type(cursor.value) != JSON_STRING || !is_string(name) || !is_string(value))
            return false;
        buf_add_u8(out, PROPERTY_USER);
        put_string(out, name);
        put_string(out, value);
    }
    return json_type(pair) == JSON_OBJECT;
}

/* The SDKs encode what they are given as JSON: a list, or a text that already is one. */
static bool parse_user_properties(struct rest_call *call, struct str text) {
    if (json_parse(&call->json, text))
        return false;
    if (json_type(json_root(&call->json)) != JSON_STRING)
        return true;
    struct str inner = json_str(json_root(&call->json), &call->arena);
    return !json_parse(&call->json, str_from(arena_strdup(&call->arena, inner), inner.len));
}

static bool read_user_properties(struct rest_call *call, struct str text, struct buf *out) {
    if (!parse_user_properties(call, text))
        return false;
    struct json_value list = json_root(&call->json);
    for (struct json_cursor cursor = json_each(list); json_next(&cursor);)
        if (!add_user_property(call, cursor.value, out))
            return false;
    return json_type(list) == JSON_ARRAY;
}

static bool add_user_properties(struct rest_call *call, struct buf *out) {
    struct str encoded = http_header(call->request, "x-amz-mqtt5-user-properties");
    struct buf text = {0};
    if (!encoded.len)
        return true;
    bool ok = base64_read(&text, encoded) && read_user_properties(call, buf_str(&text), out);
    buf_done(&text);
    return ok || refuse(call, user_properties_form);
}

/* ---- POST /topics/{topic} ---- */

struct str manage_peer_ip(const struct rest_call *call, char room[MANAGE_PEER_CHARS]) {
    tcp_address_text(&call->request->peer, room);
    struct str text = str_of(room);
    const char *colon = strrchr(room, ':');
    if (colon)
        text.len = (size_t)(colon - room);
    bool bracketed = str_starts(text, STR("["));
    return bracketed ? str_from(text.at + 1, text.len - 2) : text;
}

static void answer_ok(struct rest_call *call) {
    buf_printf(&call->output, "{\"message\":\"OK\",\"traceId\":\"%.*s\"}", (int)sizeof call->id,
               call->id);
    rest_answer(call, 200);
}

static bool read_properties(struct rest_call *call, struct buf *out) {
    return add_format(call, out) && add_expiry(call, out) && add_content_type(call, out) &&
           add_response_topic(call, out) && add_correlation(call, out) &&
           add_user_properties(call, out);
}

static bool check_message(struct rest_call *call, struct message *message) {
    uint64_t qos;
    if (!topic_name_valid(message->topic))
        return refuse(call, "The topic must be a topic name without wildcards.");
    if (message->payload.len > manage_of(call)->config.payload_bytes_max) {
        rest_fail(call, 413, "RequestEntityTooLargeException",
                  "The payload is larger than %zu bytes.",
                  manage_of(call)->config.payload_bytes_max);
        return false;
    }
    if (!rest_query_number(call, "qos", 0, 1, 0, &qos))
        return false;
    message->qos = (uint8_t)qos;
    return rest_query_bool(call, "retain", &message->retain);
}

void manage_post_topic(struct rest_call *call) {
    char peer[MANAGE_PEER_CHARS];
    struct buf properties = {0};
    struct message message = {.topic = call->labels[0],
                              .payload = call->request->body,
                              .principal = str_of(call->caller),
                              .source_ip = manage_peer_ip(call, peer)};
    if (check_message(call, &message) && read_properties(call, &properties)) {
        message.properties = buf_str(&properties);
        manage_publish(call, &message, answer_ok);
    }
    buf_done(&properties);
}
