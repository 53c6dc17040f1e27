#include "json.h"

#include <stdint.h>
#include <string.h>

static bool fail(struct lambda_json *json) {
    json->failed = true;
    return false;
}

char lambda_json_peek(struct lambda_json *json) {
    if (json->failed)
        return 0;
    while (json->at < json->end && memchr(" \t\r\n", *json->at, 4))
        json->at++;
    return json->at < json->end ? *json->at : 0;
}

bool lambda_json_at_end(struct lambda_json *json) {
    lambda_json_peek(json);
    return !json->failed && json->at == json->end;
}

bool lambda_json_take(struct lambda_json *json, char byte) {
    if (lambda_json_peek(json) != byte || json->failed || json->at == json->end)
        return fail(json);
    json->at++;
    return true;
}

/* Takes the closing byte if the walk is over, else the comma before all but the first. */
static bool step(struct lambda_json *json, bool *first, char close) {
    if (lambda_json_peek(json) == close) {
        lambda_json_take(json, close);
        return false;
    }
    if (!*first && !lambda_json_take(json, ','))
        return false;
    *first = false;
    return lambda_json_peek(json) != 0 || fail(json);
}

bool lambda_json_member(struct lambda_json *json, bool *first, struct lambda_bytes *ret_name) {
    return step(json, first, '}') && lambda_json_string(json, ret_name) &&
           lambda_json_take(json, ':');
}

bool lambda_json_element(struct lambda_json *json, bool *first) {
    return step(json, first, ']');
}

static int hex_value(char digit) {
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

/* Four hexadecimal digits at the cursor, or -1. */
static int32_t take_hex4(struct lambda_json *json) {
    int32_t value = 0;
    if (json->end - json->at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int digit = hex_value(json->at[i]);
        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    json->at += 4;
    return value;
}

static char *put_utf8(char *out, uint32_t code) {
    if (code < 0x80) {
        *out++ = (char)code;
        return out;
    }
    if (code < 0x800) {
        *out++ = (char)(0xc0 | code >> 6);
    } else {
        if (code < 0x10000) {
            *out++ = (char)(0xe0 | code >> 12);
        } else {
            *out++ = (char)(0xf0 | code >> 18);
            *out++ = (char)(0x80 | (code >> 12 & 0x3f));
        }
        *out++ = (char)(0x80 | (code >> 6 & 0x3f));
    }
    *out++ = (char)(0x80 | (code & 0x3f));
    return out;
}

/* The code point of the escape whose `\u` was taken. A low half that is no pair stays untaken. */
static int32_t take_code_point(struct lambda_json *json) {
    int32_t code = take_hex4(json);
    if (code < 0xd800 || code > 0xdfff)
        return code;
    if (code < 0xdc00 && json->end - json->at >= 6 && json->at[0] == '\\' && json->at[1] == 'u') {
        struct lambda_json ahead = {.at = json->at + 2, .end = json->end};
        int32_t low = take_hex4(&ahead);
        if (low >= 0xdc00 && low <= 0xdfff) {
            json->at = ahead.at;
            return 0x10000 + (code - 0xd800) * 0x400 + (low - 0xdc00);
        }
    }
    return 0xfffd;
}

/* Decodes one escape to *out, which moves on by no more bytes than the escape has. */
static bool take_escape(struct lambda_json *json, char **out) {
    static const char names[] = "\"\\/bfnrt";
    static const char values[] = "\"\\/\b\f\n\r\t";
    if (json->end - json->at < 2)
        return fail(json);
    char name = json->at[1];
    json->at += 2;
    if (name == 'u') {
        int32_t code = take_code_point(json);
        if (code < 0)
            return fail(json);
        *out = put_utf8(*out, (uint32_t)code);
        return true;
    }
    const char *found = name ? strchr(names, name) : NULL;
    if (!found)
        return fail(json);
    *(*out)++ = values[found - names];
    return true;
}

/* Passes over bytes that stand for themselves. */
static void pass_plain(struct lambda_json *json) {
    while (json->at < json->end && *json->at != '"' && *json->at != '\\' &&
           (unsigned char)*json->at >= 0x20)
        json->at++;
}

bool lambda_json_string(struct lambda_json *json, struct lambda_bytes *ret_text) {
    if (!lambda_json_take(json, '"'))
        return false;
    char *start = json->at;
    pass_plain(json);
    char *out = json->at;
    while (json->at < json->end && *json->at != '"') {
        if ((unsigned char)*json->at < 0x20)
            return fail(json);
        if (*json->at == '\\') {
            if (!take_escape(json, &out))
                return false;
            continue;
        }
        *out++ = *json->at++;
    }
    if (json->at == json->end)
        return fail(json);
    json->at++;
    *out = '\0';
    *ret_text = (struct lambda_bytes){start, (size_t)(out - start)};
    return true;
}

static bool skip_string(struct lambda_json *json) {
    if (!lambda_json_take(json, '"'))
        return false;
    for (;;) {
        char scratch[4], *out = scratch;
        pass_plain(json);
        if (json->at == json->end || (unsigned char)*json->at < 0x20)
            return fail(json);
        if (*json->at == '"') {
            json->at++;
            return true;
        }
        if (!take_escape(json, &out))
            return false;
    }
}

static size_t pass_digits(struct lambda_json *json) {
    char *start = json->at;
    while (json->at < json->end && *json->at >= '0' && *json->at <= '9')
        json->at++;
    return (size_t)(json->at - start);
}

static bool pass_byte(struct lambda_json *json, char byte) {
    if (json->at == json->end || *json->at != byte)
        return false;
    json->at++;
    return true;
}

bool lambda_json_number(struct lambda_json *json, struct lambda_bytes *ret_text) {
    lambda_json_peek(json);
    if (json->failed)
        return false;
    char *start = json->at;
    pass_byte(json, '-');
    if (!pass_byte(json, '0') && pass_digits(json) == 0)
        return fail(json);
    if (pass_byte(json, '.') && pass_digits(json) == 0)
        return fail(json);
    if (pass_byte(json, 'e') || pass_byte(json, 'E')) {
        if (!pass_byte(json, '+'))
            pass_byte(json, '-');
        if (pass_digits(json) == 0)
            return fail(json);
    }
    *ret_text = (struct lambda_bytes){start, (size_t)(json->at - start)};
    return true;
}

static bool skip_word(struct lambda_json *json, const char *word) {
    size_t size = strlen(word);
    if ((size_t)(json->end - json->at) < size || memcmp(json->at, word, size) != 0)
        return fail(json);
    json->at += size;
    return true;
}

static bool skip_value(struct lambda_json *json, int depth);

static bool skip_object(struct lambda_json *json, int depth) {
    bool first = true;
    lambda_json_take(json, '{');
    while (step(json, &first, '}')) {
        if (!skip_string(json) || !lambda_json_take(json, ':') || !skip_value(json, depth))
            return false;
    }
    return !json->failed;
}

static bool skip_array(struct lambda_json *json, int depth) {
    bool first = true;
    lambda_json_take(json, '[');
    while (step(json, &first, ']')) {
        if (!skip_value(json, depth))
            return false;
    }
    return !json->failed;
}

static bool skip_value(struct lambda_json *json, int depth) {
    struct lambda_bytes number;
    char byte = lambda_json_peek(json);
    if (json->failed || ((byte == '{' || byte == '[') && depth == LAMBDA_JSON_DEPTH_MAX))
        return fail(json);
    switch (byte) {
    case '{':
        return skip_object(json, depth + 1);
    case '[':
        return skip_array(json, depth + 1);
    case '"':
        return skip_string(json);
    case 't':
        return skip_word(json, "true");
    case 'f':
        return skip_word(json, "false");
    case 'n':
        return skip_word(json, "null");
    default:
        return lambda_json_number(json, &number);
    }
}

bool lambda_json_skip(struct lambda_json *json) {
    return skip_value(json, 0);
}

/* The size of the well-formed UTF-8 sequence at text (RFC 3629, table 3-7 of Unicode), or 0. */
static size_t utf8_size(const unsigned char *text, size_t size) {
    unsigned char low = 0x80, high = 0xbf, lead = text[0];
    size_t need = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (need == 0 || lead > 0xf4 || need > size)
        return 0;
    if (lead == 0xe0)
        low = 0xa0;
    else if (lead == 0xed)
        high = 0x9f;
    else if (lead == 0xf0)
        low = 0x90;
    else if (lead == 0xf4)
        high = 0x8f;
    for (size_t i = 1; i < need; i++, low = 0x80, high = 0xbf) {
        if (text[i] < low || text[i] > high)
            return 0;
    }
    return need;
}

void lambda_json_write_string(struct lambda_buf *buf, const char *text, size_t size) {
    lambda_buf_append_byte(buf, '"');
    while (size > 0) {
        size_t unit = utf8_size((const unsigned char *)text, size);
        if (unit == 0)
            lambda_buf_append(buf, "\xef\xbf\xbd", 3);
        else if (*text == '"' || *text == '\\')
            lambda_buf_format(buf, "\\%c", *text);
        else if ((unsigned char)*text < 0x20)
            lambda_buf_format(buf, "\\u%04x", (unsigned)*text);
        else
            lambda_buf_append(buf, text, unit);
        text += unit ? unit : 1;
        size -= unit ? unit : 1;
    }
    lambda_buf_append_byte(buf, '"');
}
