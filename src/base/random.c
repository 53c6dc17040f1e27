#include "base/random.h"

#include <string.h>
#include <sys/random.h>

#include "base/err.h"

enum { BLOCK_BYTES = 4096, GETRANDOM_WHOLE = 256 };

static _Thread_local struct {
    uint8_t bytes[BLOCK_BYTES];
    size_t left;
} block;

static void refill(void) {
    /* Requests of up to 256 bytes are never cut short (getrandom(2)). */
    for (size_t at = 0; at < BLOCK_BYTES; at += GETRANDOM_WHOLE) {
        ssize_t got = getrandom(block.bytes + at, GETRANDOM_WHOLE, 0);
        ASSERT(got == GETRANDOM_WHOLE);
    }
    block.left = BLOCK_BYTES;
}

void random_bytes(void *at, size_t len) {
    uint8_t *to = at;
    while (len) {
        if (block.left == 0)
            refill();
        size_t step = len < block.left ? len : block.left;
        block.left -= step;
        memcpy(to, block.bytes + block.left, step);
        memset(block.bytes + block.left, 0, step);
        to += step;
        len -= step;
    }
}

uint64_t random_u64(void) {
    uint64_t value;
    random_bytes(&value, sizeof value);
    return value;
}

void random_uuid(char ret_text[UUID_CHARS]) {
    static const char hex[] = "0123456789abcdef";
    uint8_t bytes[16];
    random_bytes(bytes, sizeof bytes);
    bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x40);
    bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
    char *to = ret_text;
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *to++ = '-';
        *to++ = hex[bytes[i] >> 4];
        *to++ = hex[bytes[i] & 15];
    }
}
