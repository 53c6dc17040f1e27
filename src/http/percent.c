/* Percent-encoding (RFC 3986 section 2) and query strings. */
#include "base/buf.h"
#include "http/http.h"

static int hex_value(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool http_percent_decode(struct str text, struct buf *out) {
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] != '%') {
            buf_add_u8(out, (uint8_t)text.at[i]);
            continue;
        }
        int high = i + 2 < text.len ? hex_value(text.at[i + 1]) : -1;
        int low = i + 2 < text.len ? hex_value(text.at[i + 2]) : -1;
        if (high < 0 || low < 0)
            return false;
        buf_add_u8(out, (uint8_t)(high << 4 | low));
        i += 2;
    }
    return true;
}

static bool is_unreserved(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

void http_percent_encode(struct buf *out, struct str text, bool keep_slash) {
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = (uint8_t)text.at[i];
        if (is_unreserved(text.at[i]) || (c == '/' && keep_slash)) {
            buf_add_u8(out, c);
        } else {
            const char escape[3] = {'%', digits[c >> 4], digits[c & 15]};
            buf_add(out, escape, sizeof escape);
        }
    }
}

static bool is_name(struct str encoded, struct str name) {
    struct buf decoded = {0};
    bool same = http_percent_decode(encoded, &decoded) && str_eq(buf_str(&decoded), name);
    buf_done(&decoded);
    return same;
}

bool http_query(const struct http_request *request, const char *name, struct buf *ret_value) {
    for (struct str rest = request->query; rest.len;) {
        struct str value, encoded = str_cut(str_cut(rest, '&', &rest), '=', &value);
        if (is_name(encoded, str_of(name)))
            return http_percent_decode(value, ret_value);
    }
    return false;
}
