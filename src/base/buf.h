/*
 * A growable byte buffer: append at the end, consume at the front. A zeroed struct is a valid empty
 * buffer. Not shared between threads.
 *
 *      at           at+begin            at+end            at+cap
 *      |  consumed  |  buf_len() bytes  |  room to grow   |
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/str.h"

struct buf {
    uint8_t *at;
    size_t begin, end, cap;
};

void buf_done(struct buf *buf);

static inline size_t buf_len(const struct buf *buf) {
    return buf->end - buf->begin;
}

static inline uint8_t *buf_at(const struct buf *buf) {
    return buf->at ? buf->at + buf->begin : NULL;
}

static inline struct str buf_str(const struct buf *buf) {
    return str_from(buf_at(buf), buf_len(buf));
}

static inline void buf_clear(struct buf *buf) {
    buf->begin = buf->end = 0;
}

/* Only the first `len` bytes stay. */
static inline void buf_truncate(struct buf *buf, size_t len) {
    if (buf_len(buf) > len)
        buf->end = buf->begin + len;
}

/* Makes room for `len` more bytes behind the end and returns where they go; buf_added() then counts
 * them. */
uint8_t *buf_grow(struct buf *buf, size_t len);

static inline uint8_t *buf_room(struct buf *buf, size_t len) {
    return buf->cap - buf->end >= len ? buf->at + buf->end : buf_grow(buf, len);
}

static inline void buf_added(struct buf *buf, size_t len) {
    buf->end += len;
}

static inline void buf_add(struct buf *buf, const void *at, size_t len) {
    if (len) {
        memcpy(buf_room(buf, len), at, len);
        buf->end += len;
    }
}

static inline void buf_add_str(struct buf *buf, struct str s) {
    buf_add(buf, s.at, s.len);
}

static inline void buf_add_u8(struct buf *buf, uint8_t value) {
    *buf_room(buf, 1) = value;
    buf->end++;
}

/* Big-endian, as MQTT and HTTP/2 write numbers. */
void buf_add_u16be(struct buf *buf, uint16_t value);
void buf_add_u32be(struct buf *buf, uint32_t value);

void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *buf, const char *format, va_list args);

/* Drops `len` bytes at the front (len <= buf_len). */
void buf_consume(struct buf *buf, size_t len);

/* The text as a C string: writes a NUL behind the end without counting it. */
const char *buf_cstr(struct buf *buf);

#endif
