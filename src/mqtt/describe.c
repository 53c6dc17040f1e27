#include "mqtt/describe.h"

#include "base/base64.h"
#include "base/clock.h"
#include "base/json_write.h"
#include "base/utf8.h"
#include "mqtt/lifecycle.h"
#include "mqtt/stored.h"

enum { FILTERS_SHOWN_MAX = 1000 }; /* the list of subscriptions has them all, in pages */

static void add_time(struct buf *out, const char *key, uint64_t wall_ms) {
    char text[CLOCK_RFC3339_BYTES];
    clock_rfc3339(wall_ms, text);
    json_write_text(out, key, str_of(text));
}

static void add_base64(struct buf *out, const char *key, struct str bytes) {
    json_write_key(out, key);
    buf_add_u8(out, '"');
    base64_write(out, bytes);
    buf_add_u8(out, '"');
}

/* ---- clients ---- */

struct str describe_client_id(const struct session *session) {
    return session->connection ? connection_client_id(session->connection)
                               : session->stored->client_id;
}

static struct str protocol_of(const struct mqtt_connection *connection) {
    switch (connection->version) {
    case PACKET_VERSION_3_1:
        return STR("MQTT 3.1");
    case PACKET_VERSION_3_1_1:
        return STR("MQTT 3.1.1");
    default:
        return STR("MQTT 5.0");
    }
}

static const char *transport_of(const struct mqtt_connection *connection) {
    if (!connection->tcp)
        return "websocket";
    return connection->tcp->tls ? "tls" : "tcp";
}

static void add_connection(struct buf *out, const struct mqtt_connection *connection) {
    json_write_text(out, "protocol", protocol_of(connection));
    json_write_text(out, "transport", str_of(transport_of(connection)));
    json_write_text(out, "address", str_of(connection->peer));
    json_write_text(out, "principal", connection_principal(connection));
    add_time(out, "connected_since", connection->connected_ms);
}

/* Seconds until the session of a client that is away ends; none if it never does. */
static void add_end(struct buf *out, const struct mqtt_worker *worker,
                    const struct stored *stored) {
    uint32_t now_s = worker->wheel.now_s;
    if (stored->ends_at_s != SESSION_NEVER_EXPIRES)
        json_write_int(out, "ends_in_s", stored->ends_at_s > now_s ? stored->ends_at_s - now_s : 0);
}

static void add_will(struct buf *out, const struct will *will) {
    const struct message *message = &will->publication.message;
    json_write_key(out, "will");
    buf_add_u8(out, '{');
    json_write_text(out, "topic", message->topic);
    json_write_int(out, "qos", message->qos);
    json_write_bool(out, "retain", message->retain);
    json_write_int(out, "delay_s", will->delay_s);
    json_write_int(out, "payload_bytes", message->payload.len);
    buf_add_u8(out, '}');
}

static void add_counts(struct buf *out, const struct connection_counts *counts) {
    json_write_int(out, "messages_received", counts->received);
    json_write_int(out, "payload_bytes_received", counts->received_bytes);
    json_write_int(out, "messages_sent", counts->sent);
    json_write_int(out, "packet_bytes_sent", counts->sent_bytes);
    json_write_int(out, "messages_dropped", counts->dropped);
}

static void add_connection_details(struct buf *out, const struct mqtt_connection *connection) {
    struct buf session_id = {0};
    lifecycle_session_id(connection, &session_id);
    json_write_text(out, "session_identifier", buf_str(&session_id));
    buf_done(&session_id);
    json_write_int(out, "keep_alive_s", connection->keep_alive_s);
    json_write_bool(out, "clean_start", connection->clean_start);
    json_write_bool(out, "waits_for_room", list_linked(&connection->parked));
    json_write_int(out, "unsent_bytes", connection_pending(connection));
    add_counts(out, &connection->counts);
    if (connection->will)
        add_will(out, connection->will);
}

static void add_filters(struct buf *out, const struct session *session) {
    size_t count = 0;
    json_write_key(out, "filters");
    buf_add_u8(out, '[');
    LIST_EACH(item, &session->subscriptions) {
        if (count++ == FILTERS_SHOWN_MAX)
            break;
        json_write_comma(out);
        describe_subscription(out, LIST_ITEM(item, struct subscription, link), false);
    }
    buf_add_u8(out, ']');
}

void describe_client(struct buf *out, const struct mqtt_worker *worker,
                     const struct session *session, bool whole) {
    const struct mqtt_connection *connection = session->connection;
    buf_add_u8(out, '{');
    json_write_text(out, "client_id", describe_client_id(session));
    json_write_bool(out, "connected", connection);
    if (connection)
        add_connection(out, connection);
    else
        add_end(out, worker, session->stored);
    json_write_int(out, "session_expiry_s", session->stored ? session->stored->expiry_s : 0);
    json_write_int(out, "subscriptions", session->subscription_count);
    json_write_int(out, "in_flight", session_in_flight(session));
    json_write_int(out, "queued", session_queue_count(session));
    json_write_int(out, "queued_bytes", session_queue_bytes(session));
    if (whole && connection)
        add_connection_details(out, connection);
    if (whole) {
        json_write_int(out, "worker", worker->index);
        add_filters(out, session);
    }
    buf_add_u8(out, '}');
}

/* ---- subscriptions ---- */

void describe_filter(struct buf *out, const struct subscription *subscription) {
    if (subscription->share) {
        buf_add_str(out, STR("$share/"));
        buf_add_str(out, subscription->share->key);
    } else {
        session_filter_text(subscription->node, out);
    }
}

void describe_subscription(struct buf *out, const struct subscription *subscription,
                           bool with_client) {
    struct buf filter = {0};
    describe_filter(&filter, subscription);
    buf_add_u8(out, '{');
    if (with_client)
        json_write_text(out, "client_id", describe_client_id(subscription->session));
    json_write_text(out, "filter", buf_str(&filter));
    json_write_int(out, "qos", subscription->qos);
    json_write_bool(out, "no_local", subscription->no_local);
    json_write_bool(out, "retain_as_published", subscription->retain_as_published);
    if (subscription->id)
        json_write_int(out, "identifier", subscription->id);
    buf_add_u8(out, '}');
    buf_done(&filter);
}

/* ---- retained messages ---- */

/* A length and as many bytes (section 1.5.4). */
static struct str take_string(struct str *rest) {
    size_t len = (size_t)((uint8_t)rest->at[0] << 8 | (uint8_t)rest->at[1]);
    struct str text = str_from(rest->at + 2, len);
    *rest = str_skip(*rest, 2 + len);
    return text;
}

/* Those of a PUBLISH; they were valid when it came. [{"name":"value"}, ...] */
static void add_user_properties(struct buf *out, struct str rest) {
    json_write_key(out, "user_properties");
    buf_add_u8(out, '[');
    while (rest.len) {
        uint8_t id = (uint8_t)rest.at[0];
        rest = str_skip(rest, 1);
        if (id == PROPERTY_PAYLOAD_FORMAT) {
            rest = str_skip(rest, 1);
        } else if (id == PROPERTY_MESSAGE_EXPIRY) {
            rest = str_skip(rest, 4);
        } else if (id == PROPERTY_USER) {
            struct str name = take_string(&rest);
            json_write_comma(out);
            buf_add_u8(out, '{');
            json_write_string(out, name);
            buf_add_u8(out, ':');
            json_write_string(out, take_string(&rest));
            buf_add_u8(out, '}');
        } else {
            take_string(&rest);
        }
    }
    buf_add_u8(out, ']');
}

static void add_properties(struct buf *out, struct str raw) {
    struct packet_properties properties;
    if (!raw.len || packet_read_properties(raw, PACKET_PUBLISH, &properties))
        return;
    if (packet_has(&properties, PROPERTY_PAYLOAD_FORMAT))
        json_write_int(out, "payload_format_indicator", properties.payload_format);
    if (packet_has(&properties, PROPERTY_CONTENT_TYPE))
        json_write_text(out, "content_type", properties.content_type);
    if (packet_has(&properties, PROPERTY_RESPONSE_TOPIC))
        json_write_text(out, "response_topic", properties.response_topic);
    if (packet_has(&properties, PROPERTY_CORRELATION_DATA))
        add_base64(out, "correlation_data_base64", properties.correlation_data);
    if (packet_has(&properties, PROPERTY_USER))
        add_user_properties(out, raw);
}

static void add_payload(struct buf *out, struct str payload) {
    if (utf8_valid(payload))
        json_write_text(out, "payload", payload);
    else
        add_base64(out, "payload_base64", payload);
}

void describe_retained(struct buf *out, const struct kept *kept, uint64_t now_ms, bool whole) {
    const struct message *message = &kept->publication.message;
    uint32_t left_s;
    buf_add_u8(out, '{');
    json_write_text(out, "topic", message->topic);
    json_write_int(out, "qos", message->qos);
    json_write_int(out, "payload_bytes", message->payload.len);
    add_time(out, "modified", message->received_ms);
    json_write_int(out, "modified_ms", message->received_ms);
    if (kept->publication.expiry_at >= 0 && kept_expiry_left(kept, now_ms, &left_s))
        json_write_int(out, "expires_in_s", left_s);
    if (whole) {
        add_properties(out, message->properties);
        add_payload(out, message->payload);
    }
    buf_add_u8(out, '}');
}
