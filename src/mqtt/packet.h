/*
 * MQTT control packets on the wire: MQTT 3.1, 3.1.1 and 5.0, section numbers are those of 5.0. Pure
 * functions over bytes, without state; the views that a decoder gives look into the packet.
 *
 * Decoders return 0 or the reason code that the connection has to end with (PACKET_MALFORMED where
 * bytes are not as the specification lays them out, PACKET_PROTOCOL_ERROR and others where they
 * are, but say something forbidden).
 */
#ifndef MQTT_PACKET_H
#define MQTT_PACKET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"
#include "flow/message.h"
#include "flow/property.h"

/* Section 2.1.2. */
enum packet_type {
    PACKET_CONNECT = 1,
    PACKET_CONNACK,
    PACKET_PUBLISH,
    PACKET_PUBACK,
    PACKET_PUBREC,
    PACKET_PUBREL,
    PACKET_PUBCOMP,
    PACKET_SUBSCRIBE,
    PACKET_SUBACK,
    PACKET_UNSUBSCRIBE,
    PACKET_UNSUBACK,
    PACKET_PINGREQ,
    PACKET_PINGRESP,
    PACKET_DISCONNECT,
    PACKET_AUTH,
    PACKET_WILL, /* not a packet: the will properties inside CONNECT, for the property table */
};

/* Section 2.4: name, code, text for people. */
#define PACKET_REASONS(X)                                                                          \
    X(NORMAL, 0x00, "normal")                                                                      \
    X(DISCONNECT_WITH_WILL, 0x04, "disconnect with will message")                                  \
    X(NO_SUBSCRIBERS, 0x10, "no matching subscribers")                                             \
    X(NO_SUBSCRIPTION_EXISTED, 0x11, "no subscription existed")                                    \
    X(CONTINUE_AUTHENTICATION, 0x18, "continue authentication")                                    \
    X(REAUTHENTICATE, 0x19, "re-authenticate")                                                     \
    X(UNSPECIFIED, 0x80, "unspecified error")                                                      \
    X(MALFORMED, 0x81, "malformed packet")                                                         \
    X(PROTOCOL_ERROR, 0x82, "protocol error")                                                      \
    X(IMPLEMENTATION, 0x83, "implementation specific error")                                       \
    X(UNSUPPORTED_VERSION, 0x84, "unsupported protocol version")                                   \
    X(CLIENT_ID_INVALID, 0x85, "client identifier not valid")                                      \
    X(BAD_CREDENTIALS, 0x86, "bad user name or password")                                          \
    X(NOT_AUTHORIZED, 0x87, "not authorized")                                                      \
    X(SERVER_UNAVAILABLE, 0x88, "server unavailable")                                              \
    X(SERVER_BUSY, 0x89, "server busy")                                                            \
    X(BANNED, 0x8a, "banned")                                                                      \
    X(SHUTTING_DOWN, 0x8b, "server shutting down")                                                 \
    X(BAD_AUTHENTICATION_METHOD, 0x8c, "bad authentication method")                                \
    X(KEEP_ALIVE_TIMEOUT, 0x8d, "keep alive timeout")                                              \
    X(TAKEN_OVER, 0x8e, "session taken over")                                                      \
    X(TOPIC_FILTER_INVALID, 0x8f, "topic filter invalid")                                          \
    X(TOPIC_NAME_INVALID, 0x90, "topic name invalid")                                              \
    X(ID_IN_USE, 0x91, "packet identifier in use")                                                 \
    X(ID_NOT_FOUND, 0x92, "packet identifier not found")                                           \
    X(RECEIVE_MAXIMUM, 0x93, "receive maximum exceeded")                                           \
    X(TOPIC_ALIAS_INVALID, 0x94, "topic alias invalid")                                            \
    X(TOO_LARGE, 0x95, "packet too large")                                                         \
    X(RATE_TOO_HIGH, 0x96, "message rate too high")                                                \
    X(QUOTA_EXCEEDED, 0x97, "quota exceeded")                                                      \
    X(ADMINISTRATIVE_ACTION, 0x98, "administrative action")                                        \
    X(PAYLOAD_FORMAT_INVALID, 0x99, "payload format invalid")                                      \
    X(RETAIN_UNSUPPORTED, 0x9a, "retain not supported")                                            \
    X(QOS_UNSUPPORTED, 0x9b, "qos not supported")                                                  \
    X(USE_ANOTHER_SERVER, 0x9c, "use another server")                                              \
    X(SERVER_MOVED, 0x9d, "server moved")                                                          \
    X(SHARED_UNSUPPORTED, 0x9e, "shared subscriptions not supported")                              \
    X(CONNECTION_RATE, 0x9f, "connection rate exceeded")                                           \
    X(MAXIMUM_CONNECT_TIME, 0xa0, "maximum connect time")                                          \
    X(IDS_UNSUPPORTED, 0xa1, "subscription identifiers not supported")                             \
    X(WILDCARDS_UNSUPPORTED, 0xa2, "wildcard subscriptions not supported")

enum packet_reason {
#define X(name, code, text) PACKET_##name = code,
    PACKET_REASONS(X)
#undef X
};

const char *packet_reason_text(enum packet_reason reason);

enum {
    PACKET_VERSION_3_1 = 3,
    PACKET_VERSION_3_1_1 = 4,
    PACKET_VERSION_5 = 5,
    PACKET_HEADER_BYTES_MAX = 5
};

/* A packet as it stands in the read buffer. */
struct packet {
    uint8_t type, flags;
    struct str body;
    size_t bytes; /* header and body */
};

/*
 * Looks for a packet at the beginning of the bytes. 0: it is there, whole. ERR_AGAIN: more bytes
 * are needed (ret->bytes is its size if the header already tells it, else 0). ERR_TOO_LARGE: its
 * header announces more than `packet_bytes_max`. ERR_INVALID: the length is no variable byte
 * integer (section 1.5.5).
 */
int packet_find(const uint8_t *at, size_t len, size_t packet_bytes_max, struct packet *ret);

/* Whether UTF-8 that was found valid holds no control characters and no non-characters of Unicode. */
bool packet_name_valid(struct str s);

/* Whether the packet's length was written with as few bytes as it can be: 5.0 demands it
 * [MQTT-1.5.5-1], the versions before do not. */
bool packet_length_is_minimal(const struct packet *packet);

/* All properties of section 2.2.2.2 that a client may send. `present` tells which were there: bit n
 * for identifier n. */
struct packet_properties {
    uint64_t present;
    uint8_t payload_format, request_problem, request_response;
    uint16_t receive_max, topic_alias_max, topic_alias;
    uint32_t message_expiry_s, session_expiry_s, will_delay_s, packet_bytes_max, subscription_id;
    struct str content_type, response_topic, correlation_data, auth_method, auth_data, reason_text;
    struct str raw; /* all of them as on the wire, without the length */
    /* where in `raw` the four bytes of the message expiry interval stand, or -1 */
    int32_t expiry_at;
    int32_t alias_at; /* where in `raw` the topic alias property (three bytes) begins, or -1 */
    int32_t delay_at; /* where in `raw` the will delay property (five bytes) begins, or -1 */
};

static inline bool packet_has(const struct packet_properties *properties, enum mqtt_property id) {
    return properties->present >> id & 1;
}

/* Reads properties without their length, as they may stand in a packet of `type` (PACKET_WILL for
 * those of a will). */
enum packet_reason packet_read_properties(struct str raw, enum packet_type type,
                                          struct packet_properties *ret);

struct packet_will {
    bool present, retain;
    uint8_t qos;
    struct str topic, payload;
    struct packet_properties properties;
};

struct packet_connect {
    uint8_t version; /* set as soon as it is known, also when decoding fails behind it */
    bool clean_start, has_user, has_password;
    uint16_t keep_alive_s;
    struct str client_id, user, password;
    struct packet_will will;
    struct packet_properties properties;
};

enum packet_reason packet_read_connect(const struct packet *packet, struct packet_connect *ret);

struct packet_publish {
    uint8_t qos;
    bool retain, duplicate;
    uint16_t packet_id; /* 0 for QoS 0 */
    struct str topic;   /* not yet validated: see topic_name_valid() */
    struct str payload;
    struct str properties; /* raw; still with the topic alias, if alias_at >= 0 */
    uint16_t topic_alias;  /* 0: none */
    int32_t expiry_at, alias_at;
};

enum packet_reason packet_read_publish(const struct packet *packet, uint8_t version,
                                       struct packet_publish *ret);

/* PUBACK and its kin: the identifier and the reason (0 when left out). */
enum packet_reason packet_read_ack(const struct packet *packet, uint8_t version,
                                   uint16_t *ret_packet_id, uint8_t *ret_reason);

/* Options of one filter of a SUBSCRIBE (section 3.8.3.1). */
struct packet_filter {
    struct str filter;
    uint8_t qos, retain_handling;
    bool no_local, retain_as_published;
};

/* SUBSCRIBE and UNSUBSCRIBE: the header first, then filter after filter. */
struct packet_filters {
    uint8_t version, type;
    uint16_t packet_id;
    uint32_t subscription_id; /* 0: none */
    struct str rest;
};

enum packet_reason packet_read_filters(const struct packet *packet, uint8_t version,
                                       struct packet_filters *ret);

/* The next filter; *ret_more is false behind the last. Filters are UTF-8, but not yet known to be
 * valid filters. */
enum packet_reason packet_next_filter(struct packet_filters *filters, struct packet_filter *ret,
                                      bool *ret_more);

enum packet_reason packet_read_disconnect(const struct packet *packet, uint8_t version,
                                          uint8_t *ret_reason, struct packet_properties *ret);

/* AUTH (section 3.15). Its short form is a success without a method. */
enum packet_reason packet_read_auth(const struct packet *packet, uint8_t version,
                                    uint8_t *ret_reason, struct packet_properties *ret);

/* What a CONNACK says; zero or empty members are left out. One that refuses says nothing but its
 * reason and where to go instead. */
struct packet_connack {
    uint8_t reason;
    bool session_present, session_expiry; /* the latter: session_expiry_s is told */
    bool retain_unavailable;
    uint32_t session_expiry_s;
    uint16_t receive_max, topic_alias_max, server_keep_alive_s;
    bool server_keep_alive;
    uint32_t packet_bytes_max;
    struct str assigned_client_id;
    struct str auth_method, auth_data; /* data only with a method */
};

void packet_write_connack(struct buf *out, uint8_t version, const struct packet_connack *connack);

/* PUBACK, PUBREC, PUBREL, PUBCOMP. Five bytes at most. A reason other than 0 is for version 5 only. */
enum { PACKET_ACK_BYTES = 4, PACKET_ACK_REASON_BYTES = 5 };
void packet_write_ack(struct buf *out, enum packet_type type, uint16_t packet_id, uint8_t reason);

/* SUBACK and UNSUBACK; version 3.1.1 has no codes in UNSUBACK. */
void packet_write_suback(struct buf *out, enum packet_type type, uint8_t version,
                         uint16_t packet_id, struct str codes);

void packet_write_auth(struct buf *out, enum packet_reason reason, struct str method,
                       struct str data);

void packet_write_disconnect(struct buf *out, enum packet_reason reason);
void packet_write_pingresp(struct buf *out);

/* How a message goes to one subscriber, or to all that take it in the same form. */
struct packet_form {
    uint8_t version, qos;
    bool retain, duplicate;
    bool topic_left_out; /* the client knows it by the alias */
    uint16_t packet_id;
    uint16_t topic_alias; /* 0: none */
    const uint32_t *subscription_ids;
    unsigned subscription_id_count;
};

/* Where in the written packet stands what may differ from one copy to the next; 0: it is not there. */
struct packet_marks {
    uint32_t bytes, packet_id_at, properties_at;
};

void packet_write_publish(struct buf *out, const struct message *message,
                          const struct packet_form *form, struct packet_marks *ret);

#endif
