/*
 * Reading HTTP/1.1 requests (RFC 9112).
 *
 * http-parser splits a request into target, headers and body. Debian builds it without its strict
 * mode, so it lets pass what a proxy in front may read differently; two readings of one stream are
 * how requests are smuggled. Hence the stream is fed to it in pieces that are looked at first:
 *
 *     READER_HEAD, TRAILERS   line by line: bounded as a whole; CR only before LF; no folded lines
 *     READER_CHUNK_SIZE       line by line: CR only before LF
 *     READER_BODY             as many bytes as the length says
 *     READER_CHUNK_END        CR LF, exactly
 *
 * And when the headers are complete: no blank in a header's name, one Host, one Transfer-Encoding
 * and it is "chunked". That Content-Length comes once, is a number, and does not stand beside
 * Transfer-Encoding is checked by http-parser.
 *
 * The parser is paused at the end of a message, so a pipelined request behind it stays untouched.
 */
#include "http/reader.h"

#include <stdlib.h>

#include "base/mem.h"

/* ---- exchange ---- */

struct exchange *exchange_new(void) {
    return xcalloc(1, sizeof(struct exchange));
}

void exchange_free(struct exchange *exchange) {
    if (!exchange)
        return;
    buf_done(&exchange->text);
    buf_done(&exchange->body);
    free(exchange->headers);
    free(exchange);
}

static void buf_reset(struct buf *buf) {
    if (buf->cap > EXCHANGE_KEPT_BYTES)
        buf_done(buf);
    else
        buf_clear(buf);
}

void exchange_reset(struct exchange *exchange) {
    buf_reset(&exchange->text);
    buf_reset(&exchange->body);
    *exchange = (struct exchange){
        .text = exchange->text,
        .body = exchange->body,
        .headers = exchange->headers,
        .header_cap = exchange->header_cap,
    };
}

/* ---- what http-parser says ---- */

static int fail(struct reader *reader, int status) {
    if (reader->state != READER_FAILED) {
        reader->state = READER_FAILED;
        reader->status = status;
    }
    return -1;
}

static int on_url(http_parser *parser, const char *at, size_t len) {
    struct reader *reader = parser->data;
    for (size_t i = 0; i < len; i++)
        if ((uint8_t)at[i] <= ' ' || at[i] == 0x7f)
            return fail(reader, 400);
    buf_add(&reader->exchange->text, at, len);
    reader->exchange->target_len += len;
    return 0;
}

static struct http_header *next_header(struct exchange *exchange) {
    size_t count = exchange->request.header_count;
    if (count == exchange->header_cap) {
        exchange->header_cap = count ? count * 2 : 16;
        exchange->headers =
            xrealloc(exchange->headers, exchange->header_cap * sizeof *exchange->headers);
    }
    exchange->headers[count] = (struct http_header){0};
    exchange->request.header_count++;
    return &exchange->headers[count];
}

static struct http_header *last_header(struct exchange *exchange) {
    return &exchange->headers[exchange->request.header_count - 1];
}

static int on_header_field(http_parser *parser, const char *at, size_t len) {
    struct reader *reader = parser->data;
    struct exchange *exchange = reader->exchange;
    if (reader->value_open || !exchange->request.header_count) {
        if (exchange->request.header_count == READER_HEADER_COUNT_MAX)
            return fail(reader, 431);
        next_header(exchange);
        reader->value_open = false;
    }
    if (memchr(at, ' ', len))
        return fail(reader, 400);
    buf_add(&exchange->text, at, len);
    last_header(exchange)->name.len += len;
    return 0;
}

static int on_header_value(http_parser *parser, const char *at, size_t len) {
    struct reader *reader = parser->data;
    reader->value_open = true;
    buf_add(&reader->exchange->text, at, len);
    last_header(reader->exchange)->value.len += len;
    return 0;
}

/* Gives the views their addresses, now that the text does not move any more. */
static void resolve(struct exchange *exchange) {
    struct http_request *request = &exchange->request;
    const char *at = (const char *)buf_at(&exchange->text);
    request->target = (struct str){at, exchange->target_len};
    at += exchange->target_len;
    for (size_t i = 0; i < request->header_count; i++) {
        struct http_header *header = &exchange->headers[i];
        header->name.at = at;
        header->value.at = at += header->name.len;
        at += header->value.len;
    }
    request->headers = exchange->headers;
}

/* Blanks behind a value are no part of it. Not before all headers are read: resolve() counts their
 * bytes. */
static void trim_values(struct exchange *exchange) {
    for (size_t i = 0; i < exchange->request.header_count; i++)
        exchange->headers[i].value = str_trim(exchange->headers[i].value);
}

/* The target is a path, "*", or (towards a proxy) a whole URL. */
static int split_target(struct http_request *request) {
    struct str path = request->target;
    if (!path.len)
        return ERR_INVALID;
    if (path.at[0] != '/' && !str_eq(path, STR("*"))) {
        struct http_parser_url url;
        http_parser_url_init(&url);
        if (path.len > UINT16_MAX || http_parser_parse_url(path.at, path.len, 0, &url) != 0)
            return ERR_INVALID;
        bool has_path = url.field_set & 1 << UF_PATH;
        path = has_path ? str_skip(path, url.field_data[UF_PATH].off) : STR("/");
    }
    path = str_cut(path, '#', &(struct str){0});
    request->path = str_cut(path, '?', &request->query);
    return 0;
}

/* The one value of a header that may come once; `ret_count` tells how often it came. */
static struct str single(const struct http_request *request, const char *name, size_t *ret_count) {
    struct str value = {0};
    *ret_count = 0;
    for (size_t i = 0; i < request->header_count; i++) {
        if (str_eq_nocase(request->headers[i].name, str_of(name))) {
            value = str_trim(request->headers[i].value);
            ++*ret_count;
        }
    }
    return value;
}

/* 0, or the status that refuses the request for its head. */
static int check_head(struct reader *reader, http_parser *parser) {
    struct exchange *exchange = reader->exchange;
    size_t hosts, encodings;
    single(&exchange->request, "Host", &hosts);
    struct str encoding = single(&exchange->request, "Transfer-Encoding", &encodings);
    if (parser->http_major != 1)
        return 505;
    if (parser->method == HTTP_CONNECT)
        return 405;
    if (hosts > 1 || (hosts == 0 && !exchange->is_http_1_0) || split_target(&exchange->request))
        return 400;
    if (encodings > 1 || (encodings && exchange->is_http_1_0))
        return 400;
    if (encodings && !str_eq_nocase(encoding, STR("chunked")))
        return 501;
    return 0;
}

static int check_expect(struct reader *reader) {
    struct exchange *exchange = reader->exchange;
    size_t count;
    struct str expect = single(&exchange->request, "Expect", &count);
    if (!count || exchange->is_http_1_0)
        return 0;
    reader->expects_continue = str_eq_nocase(expect, STR("100-continue"));
    return reader->expects_continue ? 0 : 417;
}

static int too_large(struct reader *reader) {
    reader->state = READER_TOO_LARGE;
    reader->status = 413;
    buf_clear(&reader->exchange->body);
    trim_values(reader->exchange);
    return -1;
}

static int on_headers_complete(http_parser *parser) {
    struct reader *reader = parser->data;
    struct exchange *exchange = reader->exchange;
    exchange->is_http_1_0 = parser->http_minor == 0;
    exchange->keep_alive = http_should_keep_alive(parser);
    exchange->is_upgrade = parser->upgrade;
    exchange->request.method = str_of(http_method_str((enum http_method)parser->method));
    resolve(exchange);
    int status = check_head(reader, parser);
    if (!status)
        status = check_expect(reader);
    if (status)
        return fail(reader, status);
    reader->is_chunked = parser->flags & F_CHUNKED;
    reader->remaining = parser->flags & F_CONTENTLENGTH ? parser->content_length : 0;
    reader->state = reader->is_chunked ? READER_CHUNK_SIZE : READER_BODY;
    return reader->remaining > reader->body_bytes_max ? too_large(reader) : 0;
}

static int on_chunk_header(http_parser *parser) {
    struct reader *reader = parser->data;
    reader->remaining = parser->content_length;
    reader->state = reader->remaining ? READER_BODY : READER_TRAILERS;
    size_t held = buf_len(&reader->exchange->body);
    return reader->remaining > reader->body_bytes_max - held ? too_large(reader) : 0;
}

static int on_body(http_parser *parser, const char *at, size_t len) {
    struct reader *reader = parser->data;
    buf_add(&reader->exchange->body, at, len);
    return 0;
}

static int on_message_complete(http_parser *parser) {
    struct reader *reader = parser->data;
    resolve(reader->exchange); /* Trailers may have moved the text. */
    split_target(&reader->exchange->request);
    trim_values(reader->exchange);
    reader->exchange->request.body = buf_str(&reader->exchange->body);
    reader->state = READER_DONE;
    http_parser_pause(parser, 1);
    return 0;
}

static const http_parser_settings callbacks = {
    .on_url = on_url,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_headers_complete = on_headers_complete,
    .on_chunk_header = on_chunk_header,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

/* ---- what it is given ---- */

void reader_begin(struct reader *reader, struct exchange *exchange, size_t body_bytes_max) {
    *reader = (struct reader){
        .exchange = exchange,
        .body_bytes_max = body_bytes_max,
        .line_begins = true,
    };
    http_parser_init(&reader->parser, HTTP_REQUEST);
    reader->parser.data = reader;
}

/* At most one line, and whether it may stand there. */
static size_t take_line(struct reader *reader, const uint8_t *at, size_t len) {
    const uint8_t *end = memchr(at, '\n', len);
    size_t line = end ? (size_t)(end - at) + 1 : len;
    const uint8_t *cr = memchr(at, '\r', line);
    bool folded = reader->line_begins && reader->request_line_seen && (*at == ' ' || *at == '\t');
    bool lone_cr = (reader->after_cr && *at != '\n') || (cr && cr + 1 < at + line && cr + 1 != end);
    if (folded || lone_cr)
        fail(reader, 400);
    reader->after_cr = at[line - 1] == '\r';
    reader->line_begins = end != NULL;
    if (reader->state != READER_CHUNK_SIZE) {
        reader->head_bytes += line;
        if (reader->head_bytes > READER_HEAD_BYTES_MAX)
            fail(reader, 431);
    }
    return line;
}

static size_t take(struct reader *reader, const uint8_t *at, size_t len) {
    switch (reader->state) {
    case READER_BODY:
        return len < reader->remaining ? len : (size_t)reader->remaining;
    case READER_CHUNK_END:
        if (*at != (reader->after_cr ? '\n' : '\r'))
            fail(reader, 400);
        reader->after_cr = *at == '\r';
        return 1;
    default:
        return take_line(reader, at, len);
    }
}

static void parse(struct reader *reader, const uint8_t *at, size_t len) {
    size_t parsed = http_parser_execute(&reader->parser, &callbacks, (const char *)at, len);
    enum http_errno error = HTTP_PARSER_ERRNO(&reader->parser);
    if (reader->state >= READER_DONE)
        return;
    if (error != HPE_OK || parsed != len)
        fail(reader, error == HPE_HEADER_OVERFLOW ? 431 : 400);
}

/* A chunk's data has ended, or its line end has. */
static void advance(struct reader *reader, enum reader_state before, size_t len) {
    if (reader->state != before)
        return;
    if (before == READER_HEAD)
        reader->request_line_seen |= reader->exchange->target_len && reader->line_begins;
    if (before == READER_BODY && !(reader->remaining -= len))
        reader->state = READER_CHUNK_END;
    else if (before == READER_CHUNK_END && !reader->after_cr)
        reader->state = READER_CHUNK_SIZE;
}

size_t reader_feed(struct reader *reader, const uint8_t *at, size_t len) {
    size_t taken = 0;
    while (taken < len && reader->state < READER_DONE) {
        enum reader_state before = reader->state;
        size_t piece = take(reader, at + taken, len - taken);
        if (reader->state == READER_FAILED)
            break;
        parse(reader, at + taken, piece);
        advance(reader, before, piece);
        taken += piece;
    }
    return taken;
}
