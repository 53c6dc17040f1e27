/*
 * The few MQTT packets that the floor server and the load generator exchange, for protocol levels 4
 * (3.1.1) and 5 (5.0).
 *
 * Shared by both ends of a measurement and by nothing else: neither links a library of Weir, so
 * that a mistake in Weir's own codec cannot hide itself in the yardstick. Decoders work in place
 * and never copy; encoders write to memory of the caller, who has made room for WIRE_HEAD_BYTES_MAX
 * + body. The decoders are inline because both programs live in them.
 */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* First byte of a packet, type and fixed flags (MQTT 5.0 section 2.1.2). */
enum wire_type {
    WIRE_CONNECT = 0x10,
    WIRE_CONNACK = 0x20,
    WIRE_PUBLISH = 0x30,
    WIRE_PUBACK = 0x40,
    WIRE_SUBSCRIBE = 0x82,
    WIRE_SUBACK = 0x90,
    WIRE_PINGREQ = 0xc0,
    WIRE_PINGRESP = 0xd0,
    WIRE_DISCONNECT = 0xe0,
};

enum {
    WIRE_HEAD_BYTES_MAX = 5,
    WIRE_PUBACK_BYTES = 4,
    WIRE_ID_MAX = 65535,
    /* One read takes at most this much; a packet that is longer is refused. */
    WIRE_READ_BYTES_MAX = 256 * 1024,
};

/* One whole packet in somebody's buffer. */
struct wire_frame {
    uint8_t head;
    const uint8_t *body;
    uint32_t body_bytes;
    size_t bytes; /* head and body */
};

/* The parts of a PUBLISH body; they point into it. `id` is 0 for QoS 0. */
struct wire_publish {
    const uint8_t *topic;
    const uint8_t *payload;
    uint32_t payload_bytes;
    uint16_t topic_bytes;
    uint16_t id;
    uint8_t qos;
};

/* The start of a packet whose end has not arrived. Zeroed is empty; wire_tail_done() frees it. */
struct wire_tail {
    uint8_t *data;
    size_t bytes;
    size_t room;
};

static inline uint16_t wire_get_u16(const uint8_t *at) {
    return (uint16_t)(at[0] << 8 | at[1]);
}

static inline void wire_put_u16(uint8_t *at, uint16_t value) {
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

/* Decodes a variable byte integer (MQTT 5.0 section 1.5.5). Returns its bytes, 0 if more are
 * needed, -1 if it has a fifth byte. */
static inline int wire_get_varint(const uint8_t *at, size_t bytes, uint32_t *ret_value) {
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        if ((size_t)i == bytes)
            return 0;
        value |= (uint32_t)(at[i] & 0x7f) << (7 * i);
        if (!(at[i] & 0x80)) {
            *ret_value = value;
            return i + 1;
        }
    }
    return -1;
}

/* Finds the packet that begins at `at`. Returns 1 if it is whole, 0 if more bytes are needed, -1 if
 * it cannot become one. */
static inline int wire_frame(const uint8_t *at, size_t bytes, struct wire_frame *ret_frame) {
    if (bytes < 2)
        return 0;
    uint32_t body_bytes;
    int length_bytes = wire_get_varint(at + 1, bytes - 1, &body_bytes);
    if (length_bytes <= 0)
        return length_bytes;
    size_t head_bytes = 1 + (size_t)length_bytes;
    if (head_bytes + body_bytes > WIRE_READ_BYTES_MAX)
        return -1;
    if (bytes < head_bytes + body_bytes)
        return 0;
    *ret_frame = (struct wire_frame){at[0], at + head_bytes, body_bytes, head_bytes + body_bytes};
    return 1;
}

/* Takes a PUBLISH apart (MQTT 5.0 section 3.3). Returns 0, or -1 if it is malformed. */
static inline int wire_publish(const struct wire_frame *frame, bool v5, struct wire_publish *ret) {
    uint8_t qos = (frame->head >> 1) & 3;
    if (frame->body_bytes < 2)
        return -1;
    uint16_t topic_bytes = wire_get_u16(frame->body);
    size_t at = 2 + (size_t)topic_bytes;
    size_t id_bytes = qos ? 2 : 0;
    if (qos == 3 || frame->body_bytes < at + id_bytes)
        return -1;
    uint16_t id = qos ? wire_get_u16(frame->body + at) : 0;
    at += id_bytes;
    if (v5) {
        uint32_t properties_bytes;
        int n = wire_get_varint(frame->body + at, frame->body_bytes - at, &properties_bytes);
        if (n <= 0 || frame->body_bytes - at - (size_t)n < properties_bytes)
            return -1;
        at += (size_t)n + properties_bytes;
    }
    *ret = (struct wire_publish){
        frame->body + 2, frame->body + at, (uint32_t)(frame->body_bytes - at), topic_bytes, id, qos,
    };
    return 0;
}

static inline uint8_t *wire_put_puback(uint8_t *at, uint16_t id) {
    at[0] = WIRE_PUBACK;
    at[1] = 2;
    wire_put_u16(at + 2, id);
    return at + WIRE_PUBACK_BYTES;
}

/* Encodes first byte and length. Returns the bytes written. */
size_t wire_put_head(uint8_t *at, uint8_t head, uint32_t body_bytes);

/* Encodes a CONNECT with a clean session and a keep alive of ten minutes. Returns the bytes
 * written: at most 32 + id. */
size_t wire_put_connect(uint8_t *at, const char *client_id, bool v5);

/* Encodes a SUBSCRIBE to one filter with packet id 1. Returns the bytes written: at most 16 +
 * filter. */
size_t wire_put_subscribe(uint8_t *at, const char *filter, uint8_t qos, bool v5);

/*
 * Encodes a PUBLISH of `publish` (its QoS and id count too). Returns the bytes written: at most 16
 * + topic + payload. `ret_id_at`, if given, takes the offset of the packet id.
 */
size_t wire_put_publish(uint8_t *at, const struct wire_publish *publish, bool v5,
                        size_t *ret_id_at);

/*
 * Reads once from a non-blocking socket behind whatever `tail` has kept, into `buffer` of
 * WIRE_READ_BYTES_MAX. Returns the bytes in `buffer`; 0 if there is nothing to read now; -1 if the
 * peer is gone.
 */
long wire_read(int fd, struct wire_tail *tail, uint8_t *buffer);

/* Keeps what is left behind the last whole packet for the next wire_read(). Copies. */
void wire_tail_keep(struct wire_tail *tail, const uint8_t *rest, size_t bytes);

void wire_tail_done(struct wire_tail *tail);

/* malloc and realloc that end the program when there is no memory: neither program has anything to
 * save. */
void *wire_alloc(void *old, size_t bytes);

/* Thousands of connections need more descriptors than a login shell grants: takes all that may be
 * had. */
void wire_raise_file_limit(void);

#endif
