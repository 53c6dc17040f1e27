/*
 * The codec. Every packet is a fixed header and a body (section 2.1):
 *
 *      byte 0          type << 4 | flags
 *      bytes 1..4      length of the body: a variable byte integer, 7 bits a byte, low bits first,
 *                      268,435,455 at most
 *      body            variable header, in 5.0 with properties, then the payload
 *
 * Properties are described by one table: what type a value has, in which packets it may stand, and
 * where it goes. What is not in the table, or stands in a packet that it does not belong to, is
 * malformed; what stands there twice is a protocol error (2.2.2.2).
 *
 * Names (client identifiers, user names, topics) with control characters or non-characters of
 * Unicode are malformed, as section 1.5.4 allows: they end up in log lines. Other texts pass as they are.
 *
 * MQTT 3.1 differs from 3.1.1 on the wire in what must be let pass: flags that 3.1.1 reserves in
 * CONNECT, and the DUP flag of SUBSCRIBE, UNSUBSCRIBE and PUBREL.
 */
#include "mqtt/packet.h"

#include "base/err.h"
#include "base/utf8.h"
#include "base/wire.h"

const char *packet_reason_text(enum packet_reason reason) {
    switch (reason) {
#define X(name, code, text)                                                                        \
    case PACKET_##name:                                                                            \
        return text;
        PACKET_REASONS(X)
#undef X
    }
    return "unknown reason";
}

/* ---- framing ---- */

int packet_find(const uint8_t *at, size_t len, size_t packet_bytes_max, struct packet *ret) {
    *ret = (struct packet){0};
    uint32_t body = 0;
    size_t header = 1;
    for (;; header++) {
        if (header == PACKET_HEADER_BYTES_MAX)
            return ERR_INVALID;
        if (header >= len)
            return ERR_AGAIN;
        body |= (uint32_t)(at[header] & 0x7f) << 7 * (header - 1);
        if (!(at[header] & 0x80))
            break;
    }
    header++;
    if (header + body > packet_bytes_max)
        return ERR_TOO_LARGE;
    ret->bytes = header + body;
    if (len < ret->bytes)
        return ERR_AGAIN;
    ret->type = at[0] >> 4;
    ret->flags = at[0] & 0x0f;
    ret->body = str_from(at + header, body);
    return 0;
}

bool packet_length_is_minimal(const struct packet *packet) {
    size_t length_bytes = packet->bytes - packet->body.len - 1;
    return length_bytes == 1 || packet->body.len >> 7 * (length_bytes - 1);
}

/* Section 1.5.5: with as few bytes as the value needs. */
static uint32_t read_varint(struct wire *wire) {
    uint32_t value = 0;
    for (unsigned shift = 0; shift < 28; shift += 7) {
        uint8_t byte = wire_u8(wire);
        value |= (uint32_t)(byte & 0x7f) << shift;
        if (byte & 0x80)
            continue;
        wire->failed |= byte == 0 && shift > 0;
        return value;
    }
    wire->failed = true;
    return 0;
}

static struct str read_binary(struct wire *wire) {
    return wire_bytes(wire, wire_u16be(wire));
}

/* Section 1.5.4: UTF-8 without U+0000. */
static struct str read_string(struct wire *wire) {
    struct str s = read_binary(wire);
    if (s.len && (memchr(s.at, '\0', s.len) || !utf8_valid(s)))
        wire->failed = true;
    return s;
}

bool packet_name_valid(struct str s) {
    for (size_t i = 0; i < s.len; i++) {
        const unsigned char *at = (const unsigned char *)s.at + i;
        bool control = at[0] < 0x20 || at[0] == 0x7f || (at[0] == 0xc2 && at[1] < 0xa0);
        bool in_plane = at[0] == 0xef && ((at[1] == 0xb7 && at[2] >= 0x90 && at[2] <= 0xaf) ||
                                          (at[1] == 0xbf && at[2] >= 0xbe));
        bool at_plane_end =
            at[0] >= 0xf0 && (at[1] & 0x0f) == 0x0f && at[2] == 0xbf && at[3] >= 0xbe;
        if (control || in_plane || at_plane_end)
            return false;
    }
    return true;
}

/* The same for a name. */
static struct str read_name(struct wire *wire) {
    struct str s = read_string(wire);
    if (!wire->failed && !packet_name_valid(s))
        wire->failed = true;
    return s;
}

/* ---- properties ---- */

enum kind {
    KIND_NONE,
    KIND_FLAG,
    KIND_U16,
    KIND_U32,
    KIND_VARINT,
    KIND_STRING,
    KIND_BINARY,
    KIND_PAIR
};

#define IN(type)   (1u << PACKET_##type)
#define AT(member) offsetof(struct packet_properties, member)
#define IN_ANY_ACK (IN(PUBACK) | IN(PUBREC) | IN(PUBREL) | IN(PUBCOMP))
#define IN_USER_PAIR                                                                               \
    (IN(CONNECT) | IN(WILL) | IN(PUBLISH) | IN_ANY_ACK | IN(SUBSCRIBE) | IN(UNSUBSCRIBE) |         \
     IN(DISCONNECT) | IN(AUTH))

/* Section 2.2.2.2, table 2-4, as far as clients send them: the others are malformed from a client. */
static const struct property {
    enum kind kind;
    uint32_t packets;
    size_t at;
    bool not_zero;
} properties[] = {
    [PROPERTY_PAYLOAD_FORMAT] = {KIND_FLAG, IN(PUBLISH) | IN(WILL), AT(payload_format), false},
    [PROPERTY_MESSAGE_EXPIRY] = {KIND_U32, IN(PUBLISH) | IN(WILL), AT(message_expiry_s), false},
    [PROPERTY_CONTENT_TYPE] = {KIND_STRING, IN(PUBLISH) | IN(WILL), AT(content_type), false},
    [PROPERTY_RESPONSE_TOPIC] = {KIND_STRING, IN(PUBLISH) | IN(WILL), AT(response_topic), false},
    [PROPERTY_CORRELATION_DATA] = {KIND_BINARY, IN(PUBLISH) | IN(WILL), AT(correlation_data),
                                   false},
    [PROPERTY_SUBSCRIPTION_ID] = {KIND_VARINT, IN(SUBSCRIBE), AT(subscription_id), true},
    [PROPERTY_SESSION_EXPIRY] = {KIND_U32, IN(CONNECT) | IN(DISCONNECT), AT(session_expiry_s),
                                 false},
    [PROPERTY_AUTH_METHOD] = {KIND_STRING, IN(CONNECT) | IN(AUTH), AT(auth_method), false},
    [PROPERTY_AUTH_DATA] = {KIND_BINARY, IN(CONNECT) | IN(AUTH), AT(auth_data), false},
    [PROPERTY_REQUEST_PROBLEM] = {KIND_FLAG, IN(CONNECT), AT(request_problem), false},
    [PROPERTY_WILL_DELAY] = {KIND_U32, IN(WILL), AT(will_delay_s), false},
    [PROPERTY_REQUEST_RESPONSE] = {KIND_FLAG, IN(CONNECT), AT(request_response), false},
    [PROPERTY_REASON_TEXT] = {KIND_STRING, IN_ANY_ACK | IN(DISCONNECT) | IN(AUTH), AT(reason_text),
                              false},
    [PROPERTY_RECEIVE_MAX] = {KIND_U16, IN(CONNECT), AT(receive_max), true},
    [PROPERTY_TOPIC_ALIAS_MAX] = {KIND_U16, IN(CONNECT), AT(topic_alias_max), false},
    [PROPERTY_TOPIC_ALIAS] = {KIND_U16, IN(PUBLISH), AT(topic_alias), false},
    [PROPERTY_USER] = {KIND_PAIR, IN_USER_PAIR, 0, false},
    [PROPERTY_PACKET_BYTES_MAX] = {KIND_U32, IN(CONNECT), AT(packet_bytes_max), true},
};

enum { PROPERTY_COUNT = sizeof properties / sizeof properties[0] };

/* Reads one value into its member; the number it has (1 for texts) comes back for the range checks. */
static uint32_t read_value(struct wire *wire, const struct property *property, void *member) {
    uint32_t number = 1;
    switch (property->kind) {
    case KIND_FLAG:
        number = *(uint8_t *)member = wire_u8(wire);
        break;
    case KIND_U16:
        number = *(uint16_t *)member = wire_u16be(wire);
        break;
    case KIND_U32:
        number = *(uint32_t *)member = wire_u32be(wire);
        break;
    case KIND_VARINT:
        number = *(uint32_t *)member = read_varint(wire);
        break;
    case KIND_STRING:
        *(struct str *)member = read_string(wire);
        break;
    case KIND_BINARY:
        *(struct str *)member = read_binary(wire);
        break;
    case KIND_PAIR:
        read_string(wire);
        read_string(wire);
        break;
    case KIND_NONE:
        wire->failed = true;
    }
    return number;
}

static enum packet_reason read_property(struct wire *wire, enum packet_type type,
                                        struct packet_properties *ret) {
    int32_t begin = (int32_t)(wire->at - (const uint8_t *)ret->raw.at);
    uint32_t id = read_varint(wire);
    if (wire->failed || id >= PROPERTY_COUNT || properties[id].kind == KIND_NONE)
        return PACKET_MALFORMED;
    const struct property *property = &properties[id];
    if (!(property->packets >> type & 1)) /* In a PUBLISH it is the server's [MQTT-3.3.4-6]. */
        return id == PROPERTY_SUBSCRIPTION_ID && type == PACKET_PUBLISH ? PACKET_PROTOCOL_ERROR
                                                                        : PACKET_MALFORMED;
    if (property->kind != KIND_PAIR && packet_has(ret, id))
        return PACKET_PROTOCOL_ERROR;
    if (id == PROPERTY_MESSAGE_EXPIRY)
        ret->expiry_at = begin + 1;
    if (id == PROPERTY_TOPIC_ALIAS)
        ret->alias_at = begin;
    if (id == PROPERTY_WILL_DELAY)
        ret->delay_at = begin;
    ret->present |= 1ull << id;
    uint32_t number = read_value(wire, property, (char *)ret + property->at);
    if (wire->failed)
        return PACKET_MALFORMED;
    bool in_range = property->kind == KIND_FLAG ? number <= 1 : number != 0 || !property->not_zero;
    return in_range ? PACKET_NORMAL : PACKET_PROTOCOL_ERROR;
}

/* Section 3.3.2.3.5: a response topic is a topic name. */
static bool response_topic_valid(const struct packet_properties *ret) {
    struct str topic = ret->response_topic;
    return !packet_has(ret, PROPERTY_RESPONSE_TOPIC) ||
           (topic.len && !memchr(topic.at, '+', topic.len) && !memchr(topic.at, '#', topic.len));
}

enum packet_reason packet_read_properties(struct str raw, enum packet_type type,
                                          struct packet_properties *ret) {
    *ret = (struct packet_properties){.raw = raw, .expiry_at = -1, .alias_at = -1, .delay_at = -1};
    struct wire wire = wire_over(raw.at, raw.len);
    while (wire_left(&wire)) {
        enum packet_reason reason = read_property(&wire, type, ret);
        if (reason)
            return reason;
    }
    if (!response_topic_valid(ret))
        return PACKET_PROTOCOL_ERROR;
    return PACKET_NORMAL;
}

/* The length and the properties of a packet of version 5; nothing in one of 3.1.1. */
static enum packet_reason take_properties(struct wire *wire, uint8_t version, enum packet_type type,
                                          struct packet_properties *ret) {
    *ret = (struct packet_properties){.expiry_at = -1, .alias_at = -1, .delay_at = -1};
    if (version != PACKET_VERSION_5)
        return PACKET_NORMAL;
    struct str raw = wire_bytes(wire, read_varint(wire));
    if (wire->failed)
        return PACKET_MALFORMED;
    return raw.len ? packet_read_properties(raw, type, ret) : PACKET_NORMAL;
}

/* ---- CONNECT, section 3.1 ---- */

enum {
    CONNECT_RESERVED = 0x01,
    CONNECT_CLEAN = 0x02,
    CONNECT_WILL = 0x04,
    CONNECT_WILL_QOS = 0x18,
    CONNECT_WILL_RETAIN = 0x20,
    CONNECT_PASSWORD = 0x40,
    CONNECT_USER = 0x80
};

/* "MQTT" with level 4 or 5, "MQIsdp" with level 3; other levels are told apart so that the answer
 * can name them. */
static enum packet_reason read_version(struct wire *wire, struct packet_connect *ret) {
    struct str name = read_binary(wire);
    uint8_t level = wire_u8(wire);
    if (wire->failed)
        return PACKET_MALFORMED;
    bool is_old = str_eq(name, STR("MQIsdp"));
    if (!is_old && !str_eq(name, STR("MQTT")))
        return PACKET_PROTOCOL_ERROR;
    if (is_old)
        ret->version = PACKET_VERSION_3_1;
    else
        ret->version = level >= PACKET_VERSION_5 ? PACKET_VERSION_5 : PACKET_VERSION_3_1_1;
    return level == ret->version ? PACKET_NORMAL : PACKET_UNSUPPORTED_VERSION;
}

static enum packet_reason check_flags(uint8_t flags, uint8_t version) {
    bool will = flags & CONNECT_WILL;
    bool reserved = flags & CONNECT_RESERVED && version != PACKET_VERSION_3_1;
    if (reserved || (flags & CONNECT_WILL_QOS) == CONNECT_WILL_QOS)
        return PACKET_MALFORMED;
    if (!will && flags & (CONNECT_WILL_QOS | CONNECT_WILL_RETAIN))
        return PACKET_MALFORMED;
    if (version != PACKET_VERSION_5 && flags & CONNECT_PASSWORD && !(flags & CONNECT_USER))
        return PACKET_MALFORMED; /* [MQTT-3.1.2-22] of 3.1.1 */
    return PACKET_NORMAL;
}

static enum packet_reason read_will(struct wire *wire, uint8_t version, uint8_t flags,
                                    struct packet_will *will) {
    if (!(flags & CONNECT_WILL))
        return PACKET_NORMAL;
    enum packet_reason reason = take_properties(wire, version, PACKET_WILL, &will->properties);
    if (reason)
        return reason;
    will->present = true;
    will->qos = (flags & CONNECT_WILL_QOS) >> 3;
    will->retain = flags & CONNECT_WILL_RETAIN;
    will->topic = read_name(wire);
    will->payload = read_binary(wire);
    return PACKET_NORMAL;
}

enum packet_reason packet_read_connect(const struct packet *packet, struct packet_connect *ret) {
    *ret = (struct packet_connect){.version = PACKET_VERSION_3_1_1};
    struct wire wire = wire_over(packet->body.at, packet->body.len);
    enum packet_reason reason = read_version(&wire, ret);
    if (reason)
        return reason;
    if (packet->flags && ret->version != PACKET_VERSION_3_1)
        return PACKET_MALFORMED;
    uint8_t flags = wire_u8(&wire);
    ret->keep_alive_s = wire_u16be(&wire);
    if (wire.failed)
        return PACKET_MALFORMED;
    if ((reason = check_flags(flags, ret->version)))
        return reason;
    if ((reason = take_properties(&wire, ret->version, PACKET_CONNECT, &ret->properties)))
        return reason;
    ret->client_id = read_name(&wire);
    if ((reason = read_will(&wire, ret->version, flags, &ret->will)))
        return reason;
    ret->clean_start = flags & CONNECT_CLEAN;
    if ((ret->has_user = flags & CONNECT_USER))
        ret->user = read_name(&wire);
    if ((ret->has_password = flags & CONNECT_PASSWORD))
        ret->password = read_binary(&wire);
    return wire_finished(&wire) ? PACKET_NORMAL : PACKET_MALFORMED;
}

/* ---- PUBLISH, section 3.3 ---- */

enum packet_reason packet_read_publish(const struct packet *packet, uint8_t version,
                                       struct packet_publish *ret) {
    *ret = (struct packet_publish){.expiry_at = -1, .alias_at = -1};
    ret->retain = packet->flags & 1;
    ret->qos = packet->flags >> 1 & 3;
    ret->duplicate = packet->flags >> 3;
    if (ret->qos == 3 || (ret->qos == 0 && ret->duplicate))
        return PACKET_MALFORMED;
    struct wire wire = wire_over(packet->body.at, packet->body.len);
    ret->topic = read_binary(&wire);
    if (ret->qos) {
        ret->packet_id = wire_u16be(&wire);
        if (!wire.failed && ret->packet_id == 0)
            return PACKET_PROTOCOL_ERROR;
    }
    if (version == PACKET_VERSION_5) {
        struct str raw = wire_bytes(&wire, read_varint(&wire));
        if (!wire.failed && raw.len) {
            struct packet_properties parsed;
            enum packet_reason reason = packet_read_properties(raw, PACKET_PUBLISH, &parsed);
            if (reason)
                return reason;
            if (parsed.alias_at >= 0 && parsed.topic_alias == 0)
                return PACKET_TOPIC_ALIAS_INVALID;
            ret->properties = raw;
            ret->topic_alias = parsed.topic_alias;
            ret->expiry_at = parsed.expiry_at;
            ret->alias_at = parsed.alias_at;
        }
    }
    ret->payload = wire_bytes(&wire, wire_left(&wire));
    return wire.failed ? PACKET_MALFORMED : PACKET_NORMAL;
}

/* ---- PUBACK and its kin, section 3.4 ---- */

/* The flags that a packet has to have whose second bit is set; in 3.1 it may be a repeated one. */
static bool flags_valid(const struct packet *packet, uint8_t version) {
    enum { REQUIRED = 0x02, DUPLICATE = 0x08 };
    uint8_t ignored = version == PACKET_VERSION_3_1 ? DUPLICATE : 0;
    return (packet->flags & ~ignored) == REQUIRED;
}

/* Sections 3.4.2.1, 3.5.2.1, 3.6.2.1 and 3.7.2.1: what a client may say. */
static bool ack_reason_valid(enum packet_type type, uint8_t reason) {
    static const uint8_t of_receiver[] = {
        PACKET_NORMAL,         PACKET_NO_SUBSCRIBERS, PACKET_UNSPECIFIED,
        PACKET_IMPLEMENTATION, PACKET_NOT_AUTHORIZED, PACKET_TOPIC_NAME_INVALID,
        PACKET_ID_IN_USE,      PACKET_QUOTA_EXCEEDED, PACKET_PAYLOAD_FORMAT_INVALID};
    if (type == PACKET_PUBREL || type == PACKET_PUBCOMP)
        return reason == PACKET_NORMAL || reason == PACKET_ID_NOT_FOUND;
    return memchr(of_receiver, reason, sizeof of_receiver);
}

enum packet_reason packet_read_ack(const struct packet *packet, uint8_t version,
                                   uint16_t *ret_packet_id, uint8_t *ret_reason) {
    bool flagged =
        packet->type == PACKET_PUBREL ? flags_valid(packet, version) : packet->flags == 0;
    struct wire wire = wire_over(packet->body.at, packet->body.len);
    *ret_packet_id = wire_u16be(&wire);
    *ret_reason = 0;
    if (wire.failed || !flagged)
        return PACKET_MALFORMED;
    if (*ret_packet_id == 0)
        return PACKET_PROTOCOL_ERROR;
    if (version == PACKET_VERSION_5 && wire_left(&wire)) {
        *ret_reason = wire_u8(&wire);
        struct packet_properties ignored;
        enum packet_reason reason = PACKET_NORMAL;
        if (wire_left(&wire))
            reason = take_properties(&wire, version, packet->type, &ignored);
        if (reason)
            return reason;
        if (!ack_reason_valid(packet->type, *ret_reason))
            return PACKET_PROTOCOL_ERROR;
    }
    return wire_finished(&wire) ? PACKET_NORMAL : PACKET_MALFORMED;
}

/* ---- SUBSCRIBE and UNSUBSCRIBE, sections 3.8 and 3.10 ---- */

enum packet_reason packet_read_filters(const struct packet *packet, uint8_t version,
                                       struct packet_filters *ret) {
    *ret = (struct packet_filters){.version = version, .type = packet->type};
    struct wire wire = wire_over(packet->body.at, packet->body.len);
    ret->packet_id = wire_u16be(&wire);
    if (wire.failed || !flags_valid(packet, version))
        return PACKET_MALFORMED;
    if (ret->packet_id == 0)
        return PACKET_PROTOCOL_ERROR;
    struct packet_properties parsed;
    enum packet_reason reason = take_properties(&wire, version, packet->type, &parsed);
    if (reason)
        return reason;
    ret->subscription_id = parsed.subscription_id;
    ret->rest = wire_bytes(&wire, wire_left(&wire));
    return ret->rest.len ? PACKET_NORMAL : PACKET_PROTOCOL_ERROR;
}

static enum packet_reason read_filter_options(uint8_t options, uint8_t version,
                                              struct packet_filter *ret) {
    ret->qos = options & 3;
    ret->no_local = options >> 2 & 1;
    ret->retain_as_published = options >> 3 & 1;
    ret->retain_handling = options >> 4 & 3;
    bool reserved = options & (version == PACKET_VERSION_5 ? 0xc0 : 0xfc);
    if (reserved || ret->qos == 3)
        return PACKET_MALFORMED;
    if (ret->retain_handling == 3)
        return PACKET_PROTOCOL_ERROR;
    /* No Local on a shared subscription [MQTT-3.8.3-4]. */
    bool shared = str_starts(ret->filter, STR("$share/"));
    return ret->no_local && shared ? PACKET_PROTOCOL_ERROR : PACKET_NORMAL;
}

enum packet_reason packet_next_filter(struct packet_filters *filters, struct packet_filter *ret,
                                      bool *ret_more) {
    *ret = (struct packet_filter){0};
    *ret_more = filters->rest.len > 0;
    if (!*ret_more)
        return PACKET_NORMAL;
    struct wire wire = wire_over(filters->rest.at, filters->rest.len);
    ret->filter = read_name(&wire);
    uint8_t options = filters->type == PACKET_SUBSCRIBE ? wire_u8(&wire) : 0;
    if (wire.failed)
        return PACKET_MALFORMED;
    filters->rest = wire_bytes(&wire, wire_left(&wire));
    return read_filter_options(options, filters->version, ret);
}

/* ---- DISCONNECT, section 3.14 ---- */

/* Section 3.14.2.1: what a client may say. */
static bool disconnect_reason_valid(uint8_t reason) {
    static const uint8_t valid[] = {PACKET_NORMAL,
                                    PACKET_DISCONNECT_WITH_WILL,
                                    PACKET_UNSPECIFIED,
                                    PACKET_MALFORMED,
                                    PACKET_PROTOCOL_ERROR,
                                    PACKET_IMPLEMENTATION,
                                    PACKET_BAD_AUTHENTICATION_METHOD,
                                    PACKET_TOPIC_NAME_INVALID,
                                    PACKET_RECEIVE_MAXIMUM,
                                    PACKET_TOPIC_ALIAS_INVALID,
                                    PACKET_TOO_LARGE,
                                    PACKET_RATE_TOO_HIGH,
                                    PACKET_QUOTA_EXCEEDED,
                                    PACKET_ADMINISTRATIVE_ACTION,
                                    PACKET_PAYLOAD_FORMAT_INVALID};
    return memchr(valid, reason, sizeof valid);
}

enum packet_reason packet_read_disconnect(const struct packet *packet, uint8_t version,
                                          uint8_t *ret_reason, struct packet_properties *ret) {
    struct wire wire = wire_over(packet->body.at, packet->body.len);
    *ret_reason = 0;
    *ret = (struct packet_properties){.expiry_at = -1, .alias_at = -1, .delay_at = -1};
    if (packet->flags != 0)
        return PACKET_MALFORMED;
    if (version == PACKET_VERSION_5 && wire_left(&wire)) {
        *ret_reason = wire_u8(&wire);
        if (wire_left(&wire)) {
            enum packet_reason reason = take_properties(&wire, version, PACKET_DISCONNECT, ret);
            if (reason)
                return reason;
        }
        if (!disconnect_reason_valid(*ret_reason))
            return PACKET_PROTOCOL_ERROR;
    }
    return wire_finished(&wire) ? PACKET_NORMAL : PACKET_MALFORMED;
}

/* ---- AUTH, section 3.15 ---- */

enum packet_reason packet_read_auth(const struct packet *packet, uint8_t version,
                                    uint8_t *ret_reason, struct packet_properties *ret) {
    struct wire wire = wire_over(packet->body.at, packet->body.len);
    *ret_reason = 0;
    *ret = (struct packet_properties){.expiry_at = -1, .alias_at = -1, .delay_at = -1};
    if (packet->flags != 0)
        return PACKET_MALFORMED;
    if (version != PACKET_VERSION_5)
        return PACKET_PROTOCOL_ERROR;
    if (wire_left(&wire)) {
        *ret_reason = wire_u8(&wire);
        enum packet_reason reason = take_properties(&wire, version, PACKET_AUTH, ret);
        if (reason)
            return reason;
    }
    return wire_finished(&wire) ? PACKET_NORMAL : PACKET_MALFORMED;
}
