/*
 * Each item begins with a byte of major type (3 bits) and argument (5 bits: the value itself up to
 * 23, or 24..27: it follows in 1, 2, 4, 8 bytes, or 31: indefinite, ended by FF).
 *
 *     0 1    integers           -> JSON_NUMBER, decimal digits appended to `text`
 *     2      byte string        -> JSON_STRING | CBOR_BYTES
 *     3      text string        -> JSON_STRING, checked as UTF-8
 *     4 5    list, map          -> JSON_ARRAY, JSON_OBJECT
 *     6      tag 1 (time in ms) -> JSON_NUMBER in seconds
 *     7      false true null, floats of 16, 32, 64 bits
 *
 * Strings of indefinite length come in pieces that are joined behind the text. As the tape is filled
 * by recursion over containers only, JSON_DEPTH_MAX bounds the stack. What grows is bounded by the
 * bytes read: an item takes at least one byte and makes at most one entry of the tape and
 * NUMBER_CHARS of text.
 */
#include "aws/cbor.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/utf8.h"

enum {
    NUMBER_CHARS = 40,
    INFO_INDEFINITE = 31,
    BREAK = 0xff,
    TAG_TIME = 1,
};

struct cbor {
    struct json *json;
    struct buf *text;
    size_t at, end; /* in text: what is still to be read */
    unsigned depth;
};

struct head {
    unsigned major, info;
    uint64_t argument;
};

static uint8_t byte_at(const struct cbor *cbor, size_t at) {
    return buf_at(cbor->text)[at];
}

static int read_head(struct cbor *cbor, struct head *ret_head) {
    if (cbor->at == cbor->end)
        return ERR_INVALID;
    uint8_t first = byte_at(cbor, cbor->at++);
    struct head head = {.major = first >> 5, .info = first & 31, .argument = first & 31};
    if (head.info >= 24 && head.info <= 27) {
        size_t size = (size_t)1 << (head.info - 24);
        if (cbor->end - cbor->at < size)
            return ERR_INVALID;
        head.argument = 0;
        for (size_t i = 0; i < size; i++)
            head.argument = head.argument << 8 | byte_at(cbor, cbor->at++);
    } else if (head.info > 27 && head.info != INFO_INDEFINITE) {
        return ERR_INVALID;
    }
    *ret_head = head;
    return 0;
}

static uint32_t add_entry(struct cbor *cbor, uint32_t info, size_t at, size_t len) {
    struct json *json = cbor->json;
    if (json->count == json->cap) {
        json->cap = json->cap ? json->cap * 2 : 64;
        json->entries = xrealloc(json->entries, json->cap * sizeof *json->entries);
    }
    json->entries[json->count] = (struct json_entry){
        .at = (uint32_t)at, .len = (uint32_t)len, .next = (uint32_t)json->count + 1, .info = info};
    return (uint32_t)json->count++;
}

static void add_number(struct cbor *cbor, const char *digits, uint32_t flags) {
    size_t at = buf_len(cbor->text), len = strlen(digits);
    buf_add(cbor->text, digits, len);
    add_entry(cbor, JSON_NUMBER | flags, at, len);
}

static int read_integer(struct cbor *cbor, const struct head *head) {
    char digits[NUMBER_CHARS];
    if (head->info == INFO_INDEFINITE || (head->major == 1 && head->argument == UINT64_MAX))
        return ERR_INVALID;
    bool negative = head->major == 1;
    snprintf(digits, sizeof digits, "%s%" PRIu64, negative ? "-" : "", head->argument + negative);
    add_number(cbor, digits, 0);
    return 0;
}

static int add_double(struct cbor *cbor, double value) {
    char digits[NUMBER_CHARS];
    if (!isfinite(value))
        return ERR_INVALID;
    snprintf(digits, sizeof digits, "%.17g", value);
    add_number(cbor, digits, JSON_FRACTIONAL);
    return 0;
}

static double half_double(uint64_t bits) {
    int exponent = (int)(bits >> 10 & 31);
    double mantissa = (double)(bits & 1023);
    double value = exponent == 0    ? ldexp(mantissa, -24)
                   : exponent != 31 ? ldexp(mantissa + 1024, exponent - 25)
                                    : (double)INFINITY;
    return bits & 0x8000 ? -value : value;
}

static int read_simple(struct cbor *cbor, const struct head *head) {
    uint32_t single = (uint32_t)head->argument;
    float narrow;
    double wide;
    switch (head->info) {
    case 20:
    case 21:
        add_entry(cbor, head->info == 20 ? JSON_FALSE : JSON_TRUE, cbor->at, 0);
        return 0;
    case 22:
        add_entry(cbor, JSON_NULL, cbor->at, 0);
        return 0;
    case 25:
        return add_double(cbor, half_double(head->argument));
    case 26:
        memcpy(&narrow, &single, sizeof narrow);
        return add_double(cbor, (double)narrow);
    case 27:
        memcpy(&wide, &head->argument, sizeof wide);
        return add_double(cbor, wide);
    }
    return ERR_INVALID;
}

/* ---- strings ---- */

static int add_string(struct cbor *cbor, unsigned major, size_t at, size_t len) {
    bool is_text = major == 3;
    if (is_text && !utf8_valid(str_from(buf_at(cbor->text) + at, len)))
        return ERR_INVALID;
    add_entry(cbor, is_text ? JSON_STRING : JSON_STRING | CBOR_BYTES, at, len);
    return 0;
}

/* Pieces of known length and the same type up to FF; they are joined behind the text. */
static int read_pieces(struct cbor *cbor, unsigned major) {
    size_t joined = buf_len(cbor->text);
    struct head piece;
    for (;;) {
        if (cbor->at < cbor->end && byte_at(cbor, cbor->at) == BREAK) {
            cbor->at++;
            return add_string(cbor, major, joined, buf_len(cbor->text) - joined);
        }
        int status = read_head(cbor, &piece);
        if (status || piece.major != major || piece.info == INFO_INDEFINITE ||
            piece.argument > cbor->end - cbor->at)
            return ERR_INVALID;
        size_t len = (size_t)piece.argument;
        buf_room(cbor->text, len + 1); /* It may move the text: only then is its place taken. */
        buf_add(cbor->text, buf_at(cbor->text) + cbor->at, len);
        cbor->at += len;
    }
}

static int read_string(struct cbor *cbor, const struct head *head) {
    if (head->info == INFO_INDEFINITE)
        return read_pieces(cbor, head->major);
    if (head->argument > cbor->end - cbor->at)
        return ERR_INVALID;
    size_t at = cbor->at;
    cbor->at += (size_t)head->argument;
    return add_string(cbor, head->major, at, (size_t)head->argument);
}

/* ---- containers and tags ---- */

static int read_item(struct cbor *cbor);

static int read_key(struct cbor *cbor) {
    struct head head;
    int status = read_head(cbor, &head);
    if (status || head.major != 3)
        return ERR_INVALID;
    return read_string(cbor, &head);
}

static bool is_over(struct cbor *cbor, const struct head *head, uint64_t count) {
    if (head->info != INFO_INDEFINITE)
        return count == head->argument;
    bool over = cbor->at < cbor->end && byte_at(cbor, cbor->at) == BREAK;
    cbor->at += over;
    return over;
}

static int read_container(struct cbor *cbor, const struct head *head) {
    bool is_map = head->major == 5;
    uint32_t index = add_entry(cbor, is_map ? JSON_OBJECT : JSON_ARRAY, cbor->at - 1, 0);
    uint64_t count = 0;
    if (++cbor->depth > JSON_DEPTH_MAX)
        return ERR_TOO_LARGE;
    for (; !is_over(cbor, head, count); count++) {
        int status = is_map ? read_key(cbor) : 0;
        if (!status)
            status = read_item(cbor);
        if (status)
            return status;
    }
    cbor->depth--;
    struct json_entry *entry = &cbor->json->entries[index];
    entry->info |= (uint32_t)count * JSON_ONE;
    entry->next = (uint32_t)cbor->json->count;
    return 0;
}

static int read_time(struct cbor *cbor) {
    struct head head;
    char digits[NUMBER_CHARS];
    int status = read_head(cbor, &head);
    if (status || head.major > 1 || head.info == INFO_INDEFINITE || head.argument > INT64_MAX)
        return ERR_INVALID;
    uint64_t ms = head.argument + head.major; /* -1 - n */
    snprintf(digits, sizeof digits, "%s%" PRIu64 ".%03u", head.major ? "-" : "", ms / 1000,
             (unsigned)(ms % 1000));
    add_number(cbor, digits, JSON_FRACTIONAL);
    return 0;
}

static int read_item(struct cbor *cbor) {
    struct head head;
    int status = read_head(cbor, &head);
    if (status)
        return status;
    switch (head.major) {
    case 0:
    case 1:
        return read_integer(cbor, &head);
    case 2:
    case 3:
        return read_string(cbor, &head);
    case 4:
    case 5:
        return read_container(cbor, &head);
    case 6:
        return head.argument == TAG_TIME ? read_time(cbor) : ERR_INVALID;
    }
    return read_simple(cbor, &head);
}

int cbor_read(struct json *json, struct buf *text, struct str bytes) {
    if (bytes.len > JSON_BYTES_MAX)
        return ERR_TOO_LARGE;
    buf_clear(text);
    buf_add_str(text, bytes);
    json->count = 0;
    struct cbor cbor = {.json = json, .text = text, .end = bytes.len};
    int status = read_item(&cbor);
    if (!status && cbor.at != cbor.end)
        status = ERR_INVALID;
    json->text = buf_str(text);
    if (status)
        json->count = 0;
    return status;
}
