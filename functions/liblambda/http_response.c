/*
 * The states of an answer, in the order in which they come (RFC 9112, sections 4 to 7):
 *
 *     HEAD         the status line and the fields, kept until the empty line, then cut up in place
 *     LENGTH       Content-Length bytes
 *     CHUNK_LINE   a chunk's size in hexadecimal, then perhaps an extension, which is ignored
 *     CHUNK_DATA   that many bytes
 *     CHUNK_END    the line end behind them
 *     TRAILER      fields behind the last chunk, which are ignored, up to the empty line
 *     UNTIL_CLOSE  neither length nor chunks: the body ends with the connection
 *     DONE, BROKEN
 *
 * Interim answers (1xx) are passed over. Of answers whose length could be read in two ways nothing
 * is believed: differing Content-Length fields, or one together with chunks, are broken.
 */
#include "http_response.h"

#include <string.h>
#include <strings.h>

#define CHUNK_LINE_BYTES_MAX 1024

enum state {
    STATE_HEAD,
    STATE_LENGTH,
    STATE_CHUNK_LINE,
    STATE_CHUNK_DATA,
    STATE_CHUNK_END,
    STATE_TRAILER,
    STATE_UNTIL_CLOSE,
    STATE_DONE,
    STATE_BROKEN,
};

static void fail(struct lambda_http_response *response, const char *problem) {
    response->state = STATE_BROKEN;
    response->problem = problem;
    response->keep_alive = false;
}

void lambda_http_response_done(struct lambda_http_response *response) {
    lambda_buf_done(&response->head);
    lambda_buf_done(&response->body);
    *response = (struct lambda_http_response){0};
}

static void begin_head(struct lambda_http_response *response) {
    response->state = STATE_HEAD;
    response->status = 0;
    response->line_start = 0;
    response->header_count = 0;
    lambda_buf_clear(&response->head);
}

void lambda_http_response_begin(struct lambda_http_response *response) {
    begin_head(response);
    response->keep_alive = false;
    response->closed = false;
    response->problem = NULL;
    response->body_left = 0;
    lambda_buf_clear(&response->body);
}

const char *lambda_http_response_header(const struct lambda_http_response *response,
                                        const char *name) {
    for (size_t i = 0; i < response->header_count; i++) {
        if (strcasecmp(response->headers[i].name, name) == 0)
            return response->headers[i].value;
    }
    return NULL;
}

static bool is_digit(char byte) {
    return byte >= '0' && byte <= '9';
}

/* `HTTP/1.1 200 OK`, the reason may be missing. An HTTP/1.0 peer closes unless it says otherwise.
 */
static bool parse_status_line(struct lambda_http_response *response, const char *line) {
    if (strncmp(line, "HTTP/1.", 7) != 0 || !is_digit(line[7]) || line[8] != ' ')
        return false;
    for (int i = 9; i < 12; i++) {
        if (!is_digit(line[i]))
            return false;
        response->status = response->status * 10 + (line[i] - '0');
    }
    response->keep_alive = line[7] != '0';
    return response->status >= 100 && (line[12] == ' ' || line[12] == '\0');
}

static bool is_name(const char *name) {
    for (const char *at = name; *at; at++) {
        if ((unsigned char)*at <= ' ' || (unsigned char)*at >= 0x7f)
            return false;
    }
    return *name != '\0';
}

static bool parse_field(struct lambda_http_response *response, char *line) {
    char *colon = strchr(line, ':');
    if (!colon || response->header_count == LAMBDA_HTTP_HEADERS_MAX)
        return false;
    char *value = colon + 1, *end = value + strlen(value);
    *colon = '\0';
    value += strspn(value, " \t");
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        *--end = '\0';
    response->headers[response->header_count++] = (struct lambda_http_header){line, value};
    return is_name(line);
}

/* Cuts the head into lines and these into names and values. False if it is no HTTP/1 head. */
static bool parse_head(struct lambda_http_response *response) {
    char *line = response->head.data;
    bool status_line = true;
    if (memchr(line, '\0', response->head.size))
        return false;
    for (char *end; (end = strchr(line, '\n')); line = end + 1) {
        *end = '\0';
        if (end > line && end[-1] == '\r')
            end[-1] = '\0';
        if (*line == '\0')
            break;
        if (status_line ? !parse_status_line(response, line) : !parse_field(response, line))
            return false;
        status_line = false;
    }
    return !status_line;
}

static bool parse_length(const char *text, uint64_t *ret_length) {
    uint64_t length = 0;
    for (const char *at = text; *at; at++) {
        if (!is_digit(*at) || at - text > 15)
            return false;
        length = length * 10 + (uint64_t)(*at - '0');
    }
    *ret_length = length;
    return *text != '\0';
}

/* The Content-Length that all such fields agree upon; ret_known is false without any. */
static bool agreed_length(const struct lambda_http_response *response, uint64_t *ret_length,
                          bool *ret_known) {
    *ret_known = false;
    for (size_t i = 0; i < response->header_count; i++) {
        uint64_t length;
        if (strcasecmp(response->headers[i].name, "Content-Length") != 0)
            continue;
        if (!parse_length(response->headers[i].value, &length) ||
            (*ret_known && length != *ret_length))
            return false;
        *ret_length = length;
        *ret_known = true;
    }
    return true;
}

static void begin_chunk_line(struct lambda_http_response *response) {
    response->state = STATE_CHUNK_LINE;
    response->chunk_line_size = 0;
    response->chunk_extension = false;
}

static void begin_body(struct lambda_http_response *response) {
    const char *coding = lambda_http_response_header(response, "Transfer-Encoding");
    uint64_t length = 0;
    bool length_known;
    if (!agreed_length(response, &length, &length_known)) {
        fail(response, "bad Content-Length");
    } else if (coding && (length_known || strcasecmp(coding, "chunked") != 0)) {
        fail(response, "unknown body length");
    } else if (length > LAMBDA_HTTP_BODY_BYTES_MAX) {
        fail(response, "body too large");
    } else if (response->status == 204 || response->status == 304 || (length_known && !length)) {
        response->state = STATE_DONE;
    } else if (coding) {
        begin_chunk_line(response);
    } else {
        response->keep_alive = response->keep_alive && length_known;
        response->body_left = length;
        response->state = length_known ? STATE_LENGTH : STATE_UNTIL_CLOSE;
    }
}

static void finish_head(struct lambda_http_response *response) {
    if (!parse_head(response)) {
        fail(response, "bad HTTP head");
        return;
    }
    if (response->status == 101) {
        fail(response, "unwanted protocol switch");
        return;
    }
    if (response->status < 200) {
        begin_head(response);
        return;
    }
    const char *connection = lambda_http_response_header(response, "Connection");
    if (connection && strcasecmp(connection, "close") == 0)
        response->keep_alive = false;
    else if (connection && strcasecmp(connection, "keep-alive") == 0)
        response->keep_alive = true;
    begin_body(response);
}

static void take_head_byte(struct lambda_http_response *response, char byte) {
    if (response->head.size == LAMBDA_HTTP_HEAD_BYTES_MAX) {
        fail(response, "head too large");
        return;
    }
    lambda_buf_append_byte(&response->head, byte);
    if (byte != '\n')
        return;
    const char *line = response->head.data + response->line_start;
    response->line_start = response->head.size;
    if (line[0] == '\n' || (line[0] == '\r' && line[1] == '\n'))
        finish_head(response);
}

static int hex_value(char byte) {
    if (is_digit(byte))
        return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

static void finish_chunk_line(struct lambda_http_response *response) {
    response->trailer_size = 0;
    response->trailer_line_size = 0;
    response->state = response->body_left > 0 ? STATE_CHUNK_DATA : STATE_TRAILER;
}

/* Digits from the first byte on, then perhaps an extension, then the line end. */
static void take_chunk_line_byte(struct lambda_http_response *response, char byte) {
    int digit = response->chunk_extension ? -1 : hex_value(byte);
    if (response->chunk_line_size++ == CHUNK_LINE_BYTES_MAX) {
        fail(response, "chunk line too large");
    } else if (digit >= 0) {
        response->body_left = response->body_left << 4 | (uint64_t)digit;
        if (response->body.size + response->body_left > LAMBDA_HTTP_BODY_BYTES_MAX)
            fail(response, "body too large");
    } else if (response->chunk_line_size == 1) {
        fail(response, "bad chunk size");
    } else if (byte == '\n') {
        finish_chunk_line(response);
    } else if (response->chunk_extension || memchr("\r; \t", byte, 4)) {
        response->chunk_extension = true;
    } else {
        fail(response, "bad chunk size");
    }
}

static void take_chunk_end_byte(struct lambda_http_response *response, char byte) {
    if (byte == '\n')
        begin_chunk_line(response);
    else if (byte != '\r')
        fail(response, "bad chunk end");
}

/* A line without bytes other than its carriage return ends the trailer, and the answer. */
static void take_trailer_byte(struct lambda_http_response *response, char byte) {
    if (++response->trailer_size > LAMBDA_HTTP_HEAD_BYTES_MAX)
        fail(response, "trailer too large");
    else if (byte == '\n' && response->trailer_line_size == 0)
        response->state = STATE_DONE;
    else if (byte == '\n')
        response->trailer_line_size = 0;
    else if (byte != '\r')
        response->trailer_line_size++;
}

static size_t take_body(struct lambda_http_response *response, const char *bytes, size_t size) {
    if (response->state == STATE_UNTIL_CLOSE) {
        if (response->body.size + size > LAMBDA_HTTP_BODY_BYTES_MAX)
            fail(response, "body too large");
        else
            lambda_buf_append(&response->body, bytes, size);
        return size;
    }
    if (size > response->body_left)
        size = (size_t)response->body_left;
    lambda_buf_append(&response->body, bytes, size);
    response->body_left -= size;
    if (response->body_left == 0)
        response->state = response->state == STATE_LENGTH ? STATE_DONE : STATE_CHUNK_END;
    return size;
}

static size_t take(struct lambda_http_response *response, const char *bytes, size_t size) {
    switch (response->state) {
    case STATE_HEAD:
        take_head_byte(response, *bytes);
        return 1;
    case STATE_CHUNK_LINE:
        take_chunk_line_byte(response, *bytes);
        return 1;
    case STATE_CHUNK_END:
        take_chunk_end_byte(response, *bytes);
        return 1;
    case STATE_TRAILER:
        take_trailer_byte(response, *bytes);
        return 1;
    default:
        return take_body(response, bytes, size);
    }
}

static enum lambda_http_step step_of(const struct lambda_http_response *response) {
    if (response->state == STATE_BROKEN)
        return LAMBDA_HTTP_BROKEN;
    return response->state == STATE_DONE ? LAMBDA_HTTP_DONE : LAMBDA_HTTP_MORE;
}

enum lambda_http_step lambda_http_response_feed(struct lambda_http_response *response,
                                                const char *bytes, size_t size, size_t *ret_used) {
    size_t used = 0;
    while (used < size && step_of(response) == LAMBDA_HTTP_MORE)
        used += take(response, bytes + used, size - used);
    *ret_used = used;
    return step_of(response);
}

enum lambda_http_step lambda_http_response_end(struct lambda_http_response *response) {
    if (response->state == STATE_UNTIL_CLOSE)
        response->state = STATE_DONE;
    if (step_of(response) == LAMBDA_HTTP_MORE) {
        fail(response, "connection closed before the answer was whole");
        response->closed = true;
    }
    return step_of(response);
}
