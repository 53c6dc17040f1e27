/* For tests: frames as a client sends them (RFC 6455 section 5.2), masked. */
#ifndef HTTP_TEST_FRAMES_H
#define HTTP_TEST_FRAMES_H

#include "base/buf.h"

enum {
    FRAME_MORE = 0,
    FRAME_TEXT = 1,
    FRAME_BINARY = 2,
    FRAME_CLOSE = 8,
    FRAME_PING = 9,
    FRAME_PONG = 10
};

static inline void frame_add(struct buf *out, int opcode, bool is_final, struct str payload) {
    static const uint8_t mask[4] = {0x12, 0x34, 0x56, 0x78};
    buf_add_u8(out, (uint8_t)(opcode | (is_final ? 0x80 : 0)));
    if (payload.len < 126) {
        buf_add_u8(out, (uint8_t)(0x80 | payload.len));
    } else if (payload.len <= UINT16_MAX) {
        buf_add_u8(out, 0x80 | 126);
        buf_add_u16be(out, (uint16_t)payload.len);
    } else {
        buf_add_u8(out, 0x80 | 127);
        buf_add_u32be(out, 0);
        buf_add_u32be(out, (uint32_t)payload.len);
    }
    buf_add(out, mask, sizeof mask);
    for (size_t i = 0; i < payload.len; i++)
        buf_add_u8(out, (uint8_t)payload.at[i] ^ mask[i % 4]);
}

#endif
