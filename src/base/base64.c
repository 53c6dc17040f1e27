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

static int digit_value(char c) {
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Four characters to three bytes; `pad` of them are '='. False if one is no digit or the unused
 * bits are set. */
static bool read_quad(const char *from, int pad, uint8_t to[3]) {
    uint32_t bits = 0;
    for (int i = 0; i < 4; i++) {
        int value = i < 4 - pad ? digit_value(from[i]) : 0;
        if (value < 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
    }
    to[0] = (uint8_t)(bits >> 16);
    to[1] = (uint8_t)(bits >> 8);
    to[2] = (uint8_t)bits;
    return (pad < 1 || to[2] == 0) && (pad < 2 || to[1] == 0);
}

bool base64_read(struct buf *out, struct str text) {
    if (text.len % 4)
        return false;
    size_t before = out->end - out->begin;
    for (size_t i = 0; i < text.len; i += 4) {
        const char *from = text.at + i;
        bool last = i + 4 == text.len;
        int pad = !last || from[3] != '=' ? 0 : from[2] == '=' ? 2 : 1;
        uint8_t to[3];
        if (!read_quad(from, pad, to)) {
            out->end = out->begin + before;
            return false;
        }
        buf_add(out, to, (size_t)(3 - pad));
    }
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
