/*
 * Two ways to the same number: the SSE 4.2 instruction where the processor has it, else a table.
 * The instruction has a latency of three cycles, so three independent streams run side by side over
 * blocks of LANE_BYTES and are joined by a shift over the length of a lane (precomputed tables).
 */
#include "base/crc.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

enum { POLYNOMIAL = (int)0x82f63b78u, LANE_BYTES = 1024 };

static uint32_t byte_table[256];
/* A CRC advanced over LANE_BYTES zero bytes, one table per byte of it. */
static uint32_t shift_table[4][256];
static bool have_sse42;

static uint32_t table_step(uint32_t crc, const uint8_t *at, size_t len) {
    for (size_t i = 0; i < len; i++)
        crc = byte_table[(crc ^ at[i]) & 0xff] ^ crc >> 8;
    return crc;
}

/* Advancing is linear: what holds for single bits holds for their sums. */
static void set_up_shift(uint32_t *table, int part) {
    static const uint8_t zeros[LANE_BYTES];
    for (uint32_t i = 1; i < 256; i++) {
        uint32_t bit = i & -i;
        table[i] =
            i == bit ? table_step(i << 8 * part, zeros, LANE_BYTES) : table[bit] ^ table[i ^ bit];
    }
}

static void set_up(void) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ (uint32_t)POLYNOMIAL : crc >> 1;
        byte_table[i] = crc;
    }
    for (int part = 0; part < 4; part++)
        set_up_shift(shift_table[part], part);
#if defined(__x86_64__)
    have_sse42 = __builtin_cpu_supports("sse4.2");
#endif
}

#if defined(__x86_64__)
static uint32_t shift_lane(uint32_t crc) {
    return shift_table[0][crc & 0xff] ^ shift_table[1][crc >> 8 & 0xff] ^
           shift_table[2][crc >> 16 & 0xff] ^ shift_table[3][crc >> 24];
}

static uint64_t load64(const uint8_t *at) {
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

__attribute__((target("sse4.2"))) static uint32_t hardware(uint32_t start, const uint8_t *at,
                                                           size_t len) {
    uint64_t crc = start;
    for (; len >= 3 * LANE_BYTES; at += 3 * LANE_BYTES, len -= 3 * LANE_BYTES) {
        uint64_t second = 0, third = 0;
        for (size_t i = 0; i < LANE_BYTES; i += 8) {
            crc = __builtin_ia32_crc32di(crc, load64(at + i));
            second = __builtin_ia32_crc32di(second, load64(at + LANE_BYTES + i));
            third = __builtin_ia32_crc32di(third, load64(at + 2 * LANE_BYTES + i));
        }
        crc = shift_lane((uint32_t)crc) ^ second;
        crc = shift_lane((uint32_t)crc) ^ third;
    }
    for (; len >= 8; at += 8, len -= 8)
        crc = __builtin_ia32_crc32di(crc, load64(at));
    uint32_t tail = (uint32_t)crc;
    for (; len; at++, len--)
        tail = __builtin_ia32_crc32qi(tail, *at);
    return tail;
}
#endif

uint32_t crc32c(uint32_t crc, const void *at, size_t len) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, set_up);
#if defined(__x86_64__)
    if (have_sse42)
        return ~hardware(~crc, at, len);
#endif
    return ~table_step(~crc, at, len);
}
