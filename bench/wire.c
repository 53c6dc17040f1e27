#include "wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>

enum { KEEP_ALIVE_SECONDS = 600, PROTOCOL_LEVEL_3_1_1 = 4, PROTOCOL_LEVEL_5 = 5, CLEAN_START = 2 };

size_t wire_put_head(uint8_t *at, uint8_t head, uint32_t body_bytes) {
    uint8_t *start = at;
    *at++ = head;
    do {
        uint8_t digit = body_bytes & 0x7f;
        body_bytes >>= 7;
        *at++ = digit | (body_bytes ? 0x80 : 0);
    } while (body_bytes);
    return (size_t)(at - start);
}

static uint8_t *put_bytes(uint8_t *at, const void *data, size_t bytes) {
    memcpy(at, data, bytes);
    return at + bytes;
}

static uint8_t *put_string(uint8_t *at, const char *text) {
    size_t bytes = strlen(text);
    wire_put_u16(at, (uint16_t)bytes);
    return put_bytes(at + 2, text, bytes);
}

size_t wire_put_connect(uint8_t *at, const char *client_id, bool v5) {
    uint8_t *start = at;
    at += wire_put_head(at, WIRE_CONNECT, (uint32_t)(12 + v5 + strlen(client_id)));
    at = put_string(at, "MQTT");
    *at++ = v5 ? PROTOCOL_LEVEL_5 : PROTOCOL_LEVEL_3_1_1;
    *at++ = CLEAN_START;
    wire_put_u16(at, KEEP_ALIVE_SECONDS);
    at += 2;
    if (v5)
        *at++ = 0; /* no properties */
    at = put_string(at, client_id);
    return (size_t)(at - start);
}

size_t wire_put_subscribe(uint8_t *at, const char *filter, uint8_t qos, bool v5) {
    uint8_t *start = at;
    at += wire_put_head(at, WIRE_SUBSCRIBE, (uint32_t)(5 + v5 + strlen(filter)));
    wire_put_u16(at, 1);
    at += 2;
    if (v5)
        *at++ = 0;
    at = put_string(at, filter);
    *at++ = qos;
    return (size_t)(at - start);
}

size_t wire_put_publish(uint8_t *at, const struct wire_publish *publish, bool v5,
                        size_t *ret_id_at) {
    uint8_t *start = at;
    size_t id_bytes = publish->qos ? 2 : 0;
    size_t body_bytes = 2 + publish->topic_bytes + id_bytes + v5 + publish->payload_bytes;
    at += wire_put_head(at, (uint8_t)(WIRE_PUBLISH | publish->qos << 1), (uint32_t)body_bytes);
    wire_put_u16(at, publish->topic_bytes);
    at = put_bytes(at + 2, publish->topic, publish->topic_bytes);
    if (ret_id_at)
        *ret_id_at = (size_t)(at - start);
    if (publish->qos) {
        wire_put_u16(at, publish->id);
        at += 2;
    }
    if (v5)
        *at++ = 0;
    at = put_bytes(at, publish->payload, publish->payload_bytes);
    return (size_t)(at - start);
}

long wire_read(int fd, struct wire_tail *tail, uint8_t *buffer) {
    size_t kept = tail->bytes;
    /* A kept tail is shorter than one packet, and no packet is longer than the buffer: there is
     * always room for a byte. */
    if (kept)
        memcpy(buffer, tail->data, kept);
    ssize_t n = recv(fd, buffer + kept, WIRE_READ_BYTES_MAX - kept, MSG_DONTWAIT);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    if (n == 0)
        return -1;
    tail->bytes = 0;
    return (long)kept + n;
}

void wire_tail_keep(struct wire_tail *tail, const uint8_t *rest, size_t bytes) {
    if (bytes > tail->room) {
        tail->data = wire_alloc(tail->data, bytes);
        tail->room = bytes;
    }
    if (bytes)
        memcpy(tail->data, rest, bytes);
    tail->bytes = bytes;
}

void wire_tail_done(struct wire_tail *tail) {
    free(tail->data);
    *tail = (struct wire_tail){0};
}

void *wire_alloc(void *old, size_t bytes) {
    void *memory = realloc(old, bytes);
    if (!memory) {
        fprintf(stderr, "out of memory\n");
        abort();
    }
    return memory;
}

void wire_raise_file_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}
