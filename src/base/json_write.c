#include "base/json_write.h"

#include "base/utf8.h"

/* What stands behind the backslash; 'u' means \u00XX; 0 means the byte goes out as it is. LOOK: that
 * depends on what stands beside it. */
enum { LOOK = 1, DELETE = 0x7f };
static const char escapes[256] = {
    ['\b'] = 'b',
    ['\t'] = 't',
    ['\n'] = 'n',
    ['\f'] = 'f',
    ['\r'] = 'r',
    ['"'] = '"',
    ['\\'] = '\\',
    [0] = 'u',
    [1] = 'u',
    [2] = 'u',
    [3] = 'u',
    [4] = 'u',
    [5] = 'u',
    [6] = 'u',
    [7] = 'u',
    [11] = 'u',
    [14] = 'u',
    [15] = 'u',
    [16] = 'u',
    [17] = 'u',
    [18] = 'u',
    [19] = 'u',
    [20] = 'u',
    [21] = 'u',
    [22] = 'u',
    [23] = 'u',
    [24] = 'u',
    [25] = 'u',
    [26] = 'u',
    [27] = 'u',
    [28] = 'u',
    [29] = 'u',
    [30] = 'u',
    [31] = 'u',
    [DELETE] = 'u',
    ['/'] = LOOK,
    [0x80 ... 0xff] = LOOK,
};

static void write_escape(struct buf *out, unsigned char c) {
    if (escapes[c] == 'u') {
        buf_printf(out, "\\u%04x", c);
    } else {
        buf_add_u8(out, '\\');
        buf_add_u8(out, (uint8_t)escapes[c]);
    }
}

/* Bytes at `i` that need no change; 0: it must be escaped or replaced. */
static size_t plain_step(struct str s, size_t i, bool page) {
    unsigned char c = (unsigned char)s.at[i];
    if (c >= 0x80)
        return utf8_sequence(str_skip(s, i));
    if (c == '/')
        return !page || i == 0 || s.at[i - 1] != '<';
    return c == DELETE && !page;
}

/* Length of the run at the beginning that needs no change. */
static inline size_t plain_run(struct str s, bool page) {
    for (size_t i = 0;;) {
        while (i < s.len && !escapes[(unsigned char)s.at[i]])
            i++;
        size_t step = i < s.len ? plain_step(s, i, page) : 0;
        if (step == 0)
            return i;
        i += step;
    }
}

static inline void write_string(struct buf *out, struct str s, bool page) {
    buf_add_u8(out, '"');
    while (s.len) {
        size_t run = plain_run(s, page);
        buf_add(out, s.at, run);
        if (run == s.len)
            break;
        unsigned char c = (unsigned char)s.at[run];
        if (c == '/')
            buf_add(out, "\\/", 2);
        else if (c < 0x80)
            write_escape(out, c);
        else
            buf_add(out, "\xef\xbf\xbd", 3);
        s = str_skip(s, run + 1);
    }
    buf_add_u8(out, '"');
}

void json_write_string(struct buf *out, struct str s) {
    write_string(out, s, true);
}

void json_write_plain_string(struct buf *out, struct str s) {
    write_string(out, s, false);
}

void json_write_comma(struct buf *out) {
    uint8_t last = buf_len(out) ? out->at[out->end - 1] : '{';
    if (last != '{' && last != '[' && last != ':')
        buf_add_u8(out, ',');
}

void json_write_key(struct buf *out, const char *key) {
    json_write_comma(out);
    json_write_string(out, str_of(key));
    buf_add_u8(out, ':');
}

void json_write_text(struct buf *out, const char *key, struct str text) {
    json_write_key(out, key);
    json_write_string(out, text);
}

void json_write_int(struct buf *out, const char *key, int64_t number) {
    json_write_key(out, key);
    buf_printf(out, "%lld", (long long)number);
}

void json_write_bool(struct buf *out, const char *key, bool value) {
    json_write_key(out, key);
    buf_add_str(out, value ? STR("true") : STR("false"));
}
