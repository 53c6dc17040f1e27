/*
 * A frame, numbers big-endian:
 *
 *     offset        size
 *     0             4     length of the whole
 *     4             4     length of the headers, H
 *     8             4     CRC-32 of the eight bytes before
 *     12            H     headers: length of the name 1, name, type 1, value
 *     12 + H              payload
 *     length - 4    4     CRC-32 of everything before
 *
 * All headers here are strings (type 7): length 2, bytes.
 */
#include "aws/event_stream.h"

#include <libdeflate.h>

#include "base/mem.h"

enum { PRELUDE_BYTES = 8, HEADER_STRING = 7 };

struct header {
    const char *name, *value;
};

static uint32_t crc32_of(const struct buf *buf, size_t from) {
    return libdeflate_crc32(0, buf_at(buf) + from, buf_len(buf) - from);
}

static size_t header_bytes(const struct header *header) {
    return 1 + strlen(header->name) + 1 + 2 + strlen(header->value);
}

static void add_header(struct buf *out, const struct header *header) {
    buf_add_u8(out, (uint8_t)strlen(header->name));
    buf_add_str(out, str_of(header->name));
    buf_add_u8(out, HEADER_STRING);
    buf_add_u16be(out, (uint16_t)strlen(header->value));
    buf_add_str(out, str_of(header->value));
}

static void add_frame(struct buf *out, const struct header *headers, size_t count,
                      struct str payload) {
    size_t begin = buf_len(out), bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += header_bytes(&headers[i]);
    buf_add_u32be(out, (uint32_t)(PRELUDE_BYTES + 4 + bytes + payload.len + 4));
    buf_add_u32be(out, (uint32_t)bytes);
    buf_add_u32be(out, crc32_of(out, begin));
    for (size_t i = 0; i < count; i++)
        add_header(out, &headers[i]);
    buf_add_str(out, payload);
    buf_add_u32be(out, crc32_of(out, begin));
}

void aws_frame_event(struct buf *out, const char *event_type, const char *content_type,
                     struct str payload) {
    const struct header headers[] = {
        {":event-type", event_type}, {":content-type", content_type}, {":message-type", "event"}};
    add_frame(out, headers, COUNT_OF(headers), payload);
}

void aws_frame_exception(struct buf *out, const char *exception_type, const char *content_type,
                         struct str payload) {
    const struct header headers[] = {{":exception-type", exception_type},
                                     {":content-type", content_type},
                                     {":message-type", "exception"}};
    add_frame(out, headers, COUNT_OF(headers), payload);
}
