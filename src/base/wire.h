/*
 * A cursor over foreign bytes with a sticky error: a decoder reads field after field as the
 * specification lists them and asks once, at the end, whether all of it was there. After the first
 * read beyond the end `failed` is set and every further read gives 0 or an empty view.
 */
#ifndef BASE_WIRE_H
#define BASE_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct wire {
    const uint8_t *at, *end;
    bool failed;
};

static inline struct wire wire_over(const void *at, size_t len) {
    const uint8_t *begin = at;
    return (struct wire){begin, begin + len, false};
}

static inline size_t wire_left(const struct wire *wire) {
    return (size_t)(wire->end - wire->at);
}

/* Whether all was read and nothing failed. */
static inline bool wire_finished(const struct wire *wire) {
    return !wire->failed && wire->at == wire->end;
}

static inline const uint8_t *wire_take(struct wire *wire, size_t len) {
    if (wire->failed || wire_left(wire) < len) {
        wire->failed = true;
        return NULL;
    }
    const uint8_t *at = wire->at;
    wire->at += len;
    return at;
}

static inline uint8_t wire_u8(struct wire *wire) {
    const uint8_t *at = wire_take(wire, 1);
    return at ? at[0] : 0;
}

static inline uint16_t wire_u16be(struct wire *wire) {
    const uint8_t *at = wire_take(wire, 2);
    return at ? (uint16_t)(at[0] << 8 | at[1]) : 0;
}

static inline uint32_t wire_u32be(struct wire *wire) {
    const uint8_t *at = wire_take(wire, 4);
    return at ? (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3] : 0;
}

/* Little-endian, as Weir's own files write numbers. */
static inline uint32_t wire_u32le(struct wire *wire) {
    uint32_t value = 0;
    const uint8_t *at = wire_take(wire, sizeof value);
    if (at)
        memcpy(&value, at, sizeof value);
    return value;
}

static inline uint64_t wire_u64le(struct wire *wire) {
    uint64_t value = 0;
    const uint8_t *at = wire_take(wire, sizeof value);
    if (at)
        memcpy(&value, at, sizeof value);
    return value;
}

static inline struct str wire_bytes(struct wire *wire, size_t len) {
    const uint8_t *at = wire_take(wire, len);
    return at ? str_from(at, len) : (struct str){NULL, 0};
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "Weir's files are little-endian");

#endif
