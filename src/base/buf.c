#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"

enum { BUF_CAP_MIN = 64 };

void buf_done(struct buf *buf) {
    free(buf->at);
    *buf = (struct buf){0};
}

uint8_t *buf_grow(struct buf *buf, size_t len) {
    size_t held = buf_len(buf);
    if (buf->begin && held + len <= buf->cap && buf->begin >= held) {
        memcpy(buf->at, buf->at + buf->begin, held);
    } else if (buf->cap - buf->end < len) {
        size_t cap = buf->cap ? buf->cap : BUF_CAP_MIN;
        while (cap < held + len)
            cap *= 2;
        uint8_t *bigger = xmalloc(cap);
        if (held)
            memcpy(bigger, buf->at + buf->begin, held);
        free(buf->at);
        buf->at = bigger;
        buf->cap = cap;
    } else {
        return buf->at + buf->end;
    }
    buf->begin = 0;
    buf->end = held;
    return buf->at + held;
}

void buf_add_u16be(struct buf *buf, uint16_t value) {
    uint8_t *at = buf_room(buf, 2);
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
    buf->end += 2;
}

void buf_add_u32be(struct buf *buf, uint32_t value) {
    buf_add_u16be(buf, (uint16_t)(value >> 16));
    buf_add_u16be(buf, (uint16_t)value);
}

void buf_vprintf(struct buf *buf, const char *format, va_list args) {
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    ASSERT(len >= 0);
    char *room = (char *)buf_room(buf, (size_t)len + 1);
    vsnprintf(room, (size_t)len + 1, format, again);
    va_end(again);
    buf->end += (size_t)len;
}

void buf_printf(struct buf *buf, const char *format, ...) {
    va_list args;
    va_start(args, format);
    buf_vprintf(buf, format, args);
    va_end(args);
}

void buf_consume(struct buf *buf, size_t len) {
    ASSERT(len <= buf_len(buf));
    buf->begin += len;
    if (buf->begin == buf->end)
        buf_clear(buf);
}

const char *buf_cstr(struct buf *buf) {
    *buf_room(buf, 1) = '\0';
    return (const char *)buf_at(buf);
}
