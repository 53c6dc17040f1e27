/* The packets that the server sends. */
#include "mqtt/packet.h"

static void write_varint(struct buf *out, uint32_t value) {
    do {
        uint8_t byte = value & 0x7f;
        value >>= 7;
        buf_add_u8(out, byte | (value ? 0x80 : 0));
    } while (value);
}

static size_t varint_bytes(uint32_t value) {
    return value < 1u << 7 ? 1 : value < 1u << 14 ? 2 : value < 1u << 21 ? 3 : 4;
}

static void write_string(struct buf *out, struct str s) {
    buf_add_u16be(out, (uint16_t)s.len);
    buf_add_str(out, s);
}

static void write_u16_property(struct buf *out, enum mqtt_property id, uint16_t value) {
    buf_add_u8(out, id);
    buf_add_u16be(out, value);
}

static void write_auth_properties(struct buf *out, struct str method, struct str data) {
    buf_add_u8(out, PROPERTY_AUTH_METHOD);
    write_string(out, method);
    if (data.len) {
        buf_add_u8(out, PROPERTY_AUTH_DATA);
        write_string(out, data);
    }
}

static void write_connack_properties(struct buf *out, const struct packet_connack *connack) {
    if (connack->session_expiry) {
        buf_add_u8(out, PROPERTY_SESSION_EXPIRY);
        buf_add_u32be(out, connack->session_expiry_s);
    }
    if (connack->retain_unavailable) {
        buf_add_u8(out, PROPERTY_RETAIN_AVAILABLE);
        buf_add_u8(out, 0);
    }
    if (connack->receive_max)
        write_u16_property(out, PROPERTY_RECEIVE_MAX, connack->receive_max);
    if (connack->packet_bytes_max) {
        buf_add_u8(out, PROPERTY_PACKET_BYTES_MAX);
        buf_add_u32be(out, connack->packet_bytes_max);
    }
    if (connack->assigned_client_id.len) {
        buf_add_u8(out, PROPERTY_ASSIGNED_CLIENT_ID);
        write_string(out, connack->assigned_client_id);
    }
    if (connack->topic_alias_max)
        write_u16_property(out, PROPERTY_TOPIC_ALIAS_MAX, connack->topic_alias_max);
    buf_add_u8(out, PROPERTY_SHARED_AVAILABLE);
    buf_add_u8(out, 1);
    if (connack->server_keep_alive)
        write_u16_property(out, PROPERTY_SERVER_KEEP_ALIVE, connack->server_keep_alive_s);
    if (connack->auth_method.len)
        write_auth_properties(out, connack->auth_method, connack->auth_data);
}

void packet_write_connack(struct buf *out, uint8_t version, const struct packet_connack *connack) {
    struct buf extra = {0};
    if (version == PACKET_VERSION_5 && connack->reason == 0)
        write_connack_properties(&extra, connack);
    size_t length = buf_len(&extra);
    buf_add_u8(out, PACKET_CONNACK << 4);
    write_varint(
        out, (uint32_t)(2 + (version == PACKET_VERSION_5 ? varint_bytes((uint32_t)length) + length
                                                         : 0)));
    buf_add_u8(out, connack->session_present);
    buf_add_u8(out, connack->reason);
    if (version == PACKET_VERSION_5) {
        write_varint(out, (uint32_t)length);
        buf_add_str(out, buf_str(&extra));
    }
    buf_done(&extra);
}

void packet_write_ack(struct buf *out, enum packet_type type, uint16_t packet_id, uint8_t reason) {
    uint8_t *at = buf_room(out, PACKET_ACK_REASON_BYTES);
    at[0] = (uint8_t)(type << 4 | (type == PACKET_PUBREL ? 2 : 0)); /* [MQTT-3.6.1-1] */
    at[1] = reason ? 3 : 2;
    at[2] = (uint8_t)(packet_id >> 8);
    at[3] = (uint8_t)packet_id;
    at[4] = reason;
    buf_added(out, reason ? PACKET_ACK_REASON_BYTES : PACKET_ACK_BYTES);
}

void packet_write_suback(struct buf *out, enum packet_type type, uint8_t version,
                         uint16_t packet_id, struct str codes) {
    bool v5 = version == PACKET_VERSION_5;
    if (!v5 && type == PACKET_UNSUBACK)
        codes.len = 0;
    buf_add_u8(out, (uint8_t)(type << 4));
    write_varint(out, (uint32_t)(2 + v5 + codes.len));
    buf_add_u16be(out, packet_id);
    if (v5)
        buf_add_u8(out, 0);
    buf_add_str(out, codes);
}

void packet_write_auth(struct buf *out, enum packet_reason reason, struct str method,
                       struct str data) {
    struct buf properties = {0};
    write_auth_properties(&properties, method, data);
    uint32_t length = (uint32_t)buf_len(&properties);
    buf_add_u8(out, PACKET_AUTH << 4);
    write_varint(out, (uint32_t)(1 + varint_bytes(length) + length));
    buf_add_u8(out, (uint8_t)reason);
    write_varint(out, length);
    buf_add_str(out, buf_str(&properties));
    buf_done(&properties);
}

void packet_write_disconnect(struct buf *out, enum packet_reason reason) {
    buf_add_u8(out, PACKET_DISCONNECT << 4);
    buf_add_u8(out, 1);
    buf_add_u8(out, (uint8_t)reason);
}

void packet_write_pingresp(struct buf *out) {
    buf_add_u8(out, PACKET_PINGRESP << 4);
    buf_add_u8(out, 0);
}

static uint32_t form_properties_bytes(const struct message *message,
                                      const struct packet_form *form) {
    size_t bytes = message->properties.len + (form->topic_alias ? 3u : 0u);
    for (unsigned i = 0; i < form->subscription_id_count; i++)
        bytes += 1 + varint_bytes(form->subscription_ids[i]);
    return (uint32_t)bytes;
}

void packet_write_publish(struct buf *out, const struct message *message,
                          const struct packet_form *form, struct packet_marks *ret) {
    bool v5 = form->version == PACKET_VERSION_5;
    struct str topic = form->topic_left_out ? (struct str){NULL, 0} : message->topic;
    uint32_t properties_bytes = v5 ? form_properties_bytes(message, form) : 0;
    size_t body = 2 + topic.len + (form->qos ? 2 : 0) + message->payload.len;
    if (v5)
        body += varint_bytes(properties_bytes) + properties_bytes;
    size_t bytes = 1 + varint_bytes((uint32_t)body) + body;
    buf_room(out, bytes);
    size_t begin = buf_len(out);
    *ret = (struct packet_marks){.bytes = (uint32_t)bytes};
    buf_add_u8(
        out, (uint8_t)(PACKET_PUBLISH << 4 | form->duplicate << 3 | form->qos << 1 | form->retain));
    write_varint(out, (uint32_t)body);
    write_string(out, topic);
    if (form->qos) {
        ret->packet_id_at = (uint32_t)(buf_len(out) - begin);
        buf_add_u16be(out, form->packet_id);
    }
    if (v5) {
        write_varint(out, properties_bytes);
        if (form->topic_alias)
            write_u16_property(out, PROPERTY_TOPIC_ALIAS, form->topic_alias);
        for (unsigned i = 0; i < form->subscription_id_count; i++) {
            buf_add_u8(out, PROPERTY_SUBSCRIPTION_ID);
            write_varint(out, form->subscription_ids[i]);
        }
        ret->properties_at = (uint32_t)(buf_len(out) - begin);
        buf_add_str(out, message->properties);
    }
    buf_add_str(out, message->payload);
}
