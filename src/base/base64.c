#include "base/base64.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_write(struct buf *out, struct str bytes) {
    char *to = (char *)buf_room(out, (bytes.len + 2) / 3 * 4 + 1);
    const uint8_t *from = (const uint8_t *)bytes.at;
    char *begin = to;
    size_t left = bytes.len;
    for (; left >= 3; from += 3, left -= 3) {
        *to++ = digits[from[0] >> 2];
        *to++ = digits[(from[0] & 3) << 4 | from[1] >> 4];
        *to++ = digits[(from[1] & 15) << 2 | from[2] >> 6];
        *to++ = digits[from[2] & 63];
    }
    if (left) {
        uint8_t second = left == 2 ? from[1] : 0;
        *to++ = digits[from[0] >> 2];
        *to++ = digits[(from[0] & 3) << 4 | second >> 4];
        *to++ = left == 2 ? digits[(second & 15) << 2] : '=';
        *to++ = '=';
    }
    buf_added(out, (size_t)(to - begin));
}

/* Value of each character as a digit; BAD for all others. */
enum { BAD = 0xff };
#define BAD_4  BAD, BAD, BAD, BAD
#define BAD_16 BAD_4, BAD_4, BAD_4, BAD_4
/* clang-format off */
static const uint8_t values[256] = {
    BAD_16, BAD_16,                                                  /* 00 */
    BAD_4, BAD_4, BAD, BAD, BAD, 62, BAD, BAD, BAD, 63,              /* 20 */
    52, 53, 54, 55, 56, 57, 58, 59, 60, 61, BAD, BAD, BAD_4,         /* 30 */
    BAD, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,           /* 40 */
    15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, BAD, BAD_4,          /* 50 */
    BAD, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, /* 60 */
    41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, BAD, BAD_4,          /* 70 */
    BAD_16, BAD_16, BAD_16, BAD_16, BAD_16, BAD_16, BAD_16, BAD_16,  /* 80 */
};
/* clang-format on */

/* Four characters to 24 bits; false if one is no digit. */
static inline bool read_quad(const char *from, uint32_t *ret_bits) {
    uint32_t a = values[(uint8_t)from[0]], b = values[(uint8_t)from[1]];
    uint32_t c = values[(uint8_t)from[2]], d = values[(uint8_t)from[3]];
    *ret_bits = a << 18 | b << 12 | c << 6 | d;
    return (a | b | c | d) < 64;
}

/* The last four, of which up to two are '='. Returns the bytes, or -1; unused bits must be zero. */
static int read_last(const char *from, uint8_t to[3]) {
    int pad = from[3] != '=' ? 0 : from[2] == '=' ? 2 : 1;
    const char padded[4] = {from[0], from[1], pad > 1 ? 'A' : from[2], pad ? 'A' : from[3]};
    uint32_t bits;
    if (!read_quad(padded, &bits) || (bits & ((1u << (8 * pad)) - 1)))
        return -1;
    to[0] = (uint8_t)(bits >> 16);
    to[1] = (uint8_t)(bits >> 8);
    to[2] = (uint8_t)bits;
    return 3 - pad;
}

bool base64_read(struct buf *out, struct str text) {
    if (text.len % 4)
        return false;
    if (!text.len)
        return true;
    const char *from = text.at, *last = text.at + text.len - 4;
    uint8_t *begin = buf_room(out, text.len / 4 * 3), *to = begin;
    uint32_t bits;
    for (; from < last; from += 4, to += 3) {
        if (!read_quad(from, &bits))
            return false;
        to[0] = (uint8_t)(bits >> 16);
        to[1] = (uint8_t)(bits >> 8);
        to[2] = (uint8_t)bits;
    }
    int count = read_last(last, to);
    if (count < 0)
        return false;
    buf_added(out, (size_t)(to + count - begin));
    return true;
}

void hex_write(struct buf *out, struct str bytes) {
    static const char hex[] = "0123456789abcdef";
    char *to = (char *)buf_room(out, bytes.len * 2 + 1);
    for (size_t i = 0; i < bytes.len; i++) {
        uint8_t byte = (uint8_t)bytes.at[i];
        to[2 * i] = hex[byte >> 4];
        to[2 * i + 1] = hex[byte & 15];
    }
    buf_added(out, bytes.len * 2);
}
