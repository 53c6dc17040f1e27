#include "base/random.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/err.h"

enum { BLOCK_BYTES = 4096 };

static _Thread_local struct {
    uint8_t bytes[BLOCK_BYTES];
    size_t left;
} block;

static void refill(void) {
    for (size_t at = 0; at < BLOCK_BYTES;) {
        /* A signal may cut it short (getrandom(2)). */
        ssize_t got = getrandom(block.bytes + at, BLOCK_BYTES - at, 0);
        ASSERT(got > 0 || errno == EINTR);
        at += got > 0 ? (size_t)got : 0;
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

void random_uuid_from(const uint64_t bits[2], char ret_text[UUID_CHARS]) {
    static const char hex[] = "0123456789abcdef";
    static const uint8_t place[16] = {0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34};
    uint8_t bytes[16];
    memcpy(bytes, bits, sizeof bytes);
    bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x40);
    bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
    for (int i = 0; i < 16; i++) {
        ret_text[place[i]] = hex[bytes[i] >> 4];
        ret_text[place[i] + 1] = hex[bytes[i] & 15];
    }
    ret_text[8] = ret_text[13] = ret_text[18] = ret_text[23] = '-';
}

void random_uuid(char ret_text[UUID_CHARS]) {
    uint64_t bits[2];
    random_bytes(bits, sizeof bits);
    random_uuid_from(bits, ret_text);
}
