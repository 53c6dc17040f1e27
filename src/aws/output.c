/* CBOR by RFC 8949; AWS's own reading of tag 1 counts milliseconds where the RFC counts seconds. */
#include "aws/output.h"

#include <inttypes.h>

#include "base/base64.h"
#include "base/json_write.h"

/* Initial bytes and major types of CBOR (RFC 8949 section 3). */
enum {
    MAJOR_UNSIGNED = 0,
    MAJOR_NEGATIVE = 1,
    MAJOR_BYTES = 2,
    MAJOR_TEXT = 3,
    MAJOR_TAG = 6,
    LIST_BEGIN = 0x9f,
    MAP_BEGIN = 0xbf,
    FALSE_BYTE = 0xf4,
    TRUE_BYTE = 0xf5,
    BREAK = 0xff,
    TAG_TIME = 1,
};

void aws_output_done(struct aws_output *output) {
    buf_done(&output->buf);
}

/* An initial byte and its argument in the shortest form. */
static void write_head(struct buf *out, unsigned major, uint64_t argument) {
    unsigned size = argument < 24            ? 0
                    : argument <= UINT8_MAX  ? 1
                    : argument <= UINT16_MAX ? 2
                    : argument <= UINT32_MAX ? 4
                                             : 8;
    unsigned info = size == 0   ? (unsigned)argument
                    : size == 1 ? 24
                    : size == 2 ? 25
                    : size == 4 ? 26
                                : 27;
    buf_add_u8(out, (uint8_t)(major << 5 | info));
    for (unsigned i = size; i > 0; i--)
        buf_add_u8(out, (uint8_t)(argument >> (8 * (i - 1))));
}

static void write_bytes(struct buf *out, unsigned major, struct str bytes) {
    write_head(out, major, bytes.len);
    buf_add_str(out, bytes);
}

/* Before each value; after a key there is no comma. */
static void begin_value(struct aws_output *output) {
    if (!output->cbor)
        json_write_comma(&output->buf);
}

static void begin(struct aws_output *output, uint8_t cbor, char json) {
    begin_value(output);
    buf_add_u8(&output->buf, output->cbor ? cbor : (uint8_t)json);
}

static void end(struct aws_output *output, char json) {
    buf_add_u8(&output->buf, output->cbor ? BREAK : (uint8_t)json);
}

void aws_map_begin(struct aws_output *output) {
    begin(output, MAP_BEGIN, '{');
}

void aws_map_end(struct aws_output *output) {
    end(output, '}');
}

void aws_list_begin(struct aws_output *output) {
    begin(output, LIST_BEGIN, '[');
}

void aws_list_end(struct aws_output *output) {
    end(output, ']');
}

void aws_key(struct aws_output *output, const char *name) {
    if (output->cbor)
        write_bytes(&output->buf, MAJOR_TEXT, str_of(name));
    else
        json_write_key(&output->buf, name);
}

void aws_string(struct aws_output *output, struct str text) {
    begin_value(output);
    if (output->cbor)
        write_bytes(&output->buf, MAJOR_TEXT, text);
    else
        json_write_string(&output->buf, text);
}

void aws_int(struct aws_output *output, int64_t value) {
    begin_value(output);
    if (!output->cbor)
        buf_printf(&output->buf, "%" PRId64, value);
    else if (value < 0)
        write_head(&output->buf, MAJOR_NEGATIVE, (uint64_t)~value);
    else
        write_head(&output->buf, MAJOR_UNSIGNED, (uint64_t)value);
}

void aws_bool(struct aws_output *output, bool value) {
    begin_value(output);
    if (output->cbor)
        buf_add_u8(&output->buf, value ? TRUE_BYTE : FALSE_BYTE);
    else
        buf_add_str(&output->buf, value ? STR("true") : STR("false"));
}

void aws_blob(struct aws_output *output, struct str bytes) {
    begin_value(output);
    if (output->cbor) {
        write_bytes(&output->buf, MAJOR_BYTES, bytes);
        return;
    }
    buf_add_u8(&output->buf, '"');
    base64_write(&output->buf, bytes);
    buf_add_u8(&output->buf, '"');
}

void aws_time(struct aws_output *output, uint64_t wall_ms) {
    begin_value(output);
    if (output->cbor) {
        write_head(&output->buf, MAJOR_TAG, TAG_TIME);
        write_head(&output->buf, MAJOR_UNSIGNED, wall_ms);
    } else {
        buf_printf(&output->buf, "%" PRIu64 ".%03u", wall_ms / 1000, (unsigned)(wall_ms % 1000));
    }
}

void aws_member_string(struct aws_output *output, const char *name, struct str text) {
    aws_key(output, name);
    aws_string(output, text);
}

void aws_member_int(struct aws_output *output, const char *name, int64_t value) {
    aws_key(output, name);
    aws_int(output, value);
}

void aws_member_bool(struct aws_output *output, const char *name, bool value) {
    aws_key(output, name);
    aws_bool(output, value);
}

void aws_member_time(struct aws_output *output, const char *name, uint64_t wall_ms) {
    aws_key(output, name);
    aws_time(output, wall_ms);
}
