/*
 * Arbitrary bytes as the stream of a connection, through the reader, request after request. The
 * first byte chooses the size of the pieces; whatever it is, the requests that come out must be the
 * same as from one piece.
 */
#include <stddef.h>
#include <stdint.h>

#include "http/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

enum { BODY_BYTES_MAX = 4096, REQUESTS_MAX = 20 };

/* Writes down what the stream says; ends at the first failure. */
static void read_stream(struct str stream, size_t step, struct buf *ret_notes) {
    struct reader reader;
    struct exchange *exchange = exchange_new();
    for (int i = 0; i < REQUESTS_MAX && stream.len; i++) {
        exchange_reset(exchange);
        reader_begin(&reader, exchange, BODY_BYTES_MAX);
        while (stream.len && reader.state < READER_DONE) {
            size_t piece = stream.len < step ? stream.len : step;
            size_t taken = reader_feed(&reader, (const uint8_t *)stream.at, piece);
            ASSERT(taken == piece || reader.state >= READER_DONE);
            stream = str_skip(stream, taken);
        }
        buf_printf(ret_notes, "%d %d\n", reader.state >= READER_DONE ? (int)reader.state : 0,
                   reader.status);
        if (reader.state != READER_DONE)
            break;
        const struct http_request *request = &exchange->request;
        ASSERT(request->body.len <= BODY_BYTES_MAX);
        ASSERT(reader.head_bytes <= READER_HEAD_BYTES_MAX);
        ASSERT(request->header_count <= READER_HEADER_COUNT_MAX);
        buf_add_str(ret_notes, request->method);
        buf_add_str(ret_notes, request->target);
        buf_add_str(ret_notes, request->path);
        buf_add_str(ret_notes, request->query);
        for (size_t j = 0; j < request->header_count; j++) {
            buf_add_str(ret_notes, request->headers[j].name);
            buf_add_str(ret_notes, request->headers[j].value);
        }
        buf_add_str(ret_notes, request->body);
        struct buf value = {0};
        http_query(request, "a", &value);
        buf_done(&value);
    }
    exchange_free(exchange);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len) {
    if (len < 2)
        return 0;
    struct str stream = str_from(at + 1, len - 1);
    struct buf whole = {0}, pieces = {0};
    read_stream(stream, stream.len, &whole);
    read_stream(stream, 1 + at[0] % 64, &pieces);
    ASSERT(str_eq(buf_str(&whole), buf_str(&pieces)));
    buf_done(&whole);
    buf_done(&pieces);
    return 0;
}
