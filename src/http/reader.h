/*
 * Reads requests out of a byte stream, without any socket: the protocol half of a server
 * connection. http-parser does the tokenising. Belongs to one connection.
 */
#ifndef HTTP_READER_H
#define HTTP_READER_H

#include <http_parser.h>

#include "base/buf.h"
#include "base/list.h"
#include "http/http.h"

enum {
    READER_HEAD_BYTES_MAX = 64 * 1024, /* request line, headers and trailers; beyond: 431 */
    READER_HEADER_COUNT_MAX = 256,     /* trailers included; beyond: 431 */
};

/*
 * A request and the memory that its views look into. It is recycled from request to request,
 * whatever connection that comes from (see server.c), so that neither a busy connection allocates
 * nor an idle one holds.
 */
struct exchange {
    struct http_request request;
    void *owner;              /* the connection */
    struct h2_stream *stream; /* of HTTP/2; NULL: HTTP/1 */
    struct buf text; /* target, then name and value of each header, without anything between */
    struct buf body;
    struct http_header *headers; /* while reading only the lengths are set: `text` may still move */
    size_t header_cap, target_len;
    bool keep_alive, is_http_1_0, is_upgrade;
    bool is_streaming; /* http_respond_begin() was called */
    struct link link;  /* in the server's list of spare ones */
};

struct exchange *exchange_new(void);
void exchange_free(struct exchange *exchange);

/* Ready for the next request; memory beyond EXCHANGE_KEPT_BYTES per buffer goes back to the system. */
enum { EXCHANGE_KEPT_BYTES = 16 * 1024 };
void exchange_reset(struct exchange *exchange);

enum reader_state {
    READER_HEAD,
    READER_CHUNK_SIZE,
    READER_BODY, /* `remaining` bytes, or of this chunk */
    READER_CHUNK_END,
    READER_TRAILERS,
    READER_DONE,   /* exchange->request is whole */
    READER_FAILED, /* `status` says with what to answer; nothing more can be read from this stream
                    */
    READER_TOO_LARGE, /* as failed with 413, but exchange->request has its head */
};

struct reader {
    http_parser parser;
    struct exchange *exchange;
    size_t body_bytes_max;
    size_t head_bytes;
    uint64_t remaining;
    enum reader_state state;
    int status;
    bool line_begins, request_line_seen, after_cr, value_open, is_chunked;
    bool expects_continue; /* the head is read, and the peer waits for "100 Continue": whoever sends
                              it clears this */
};

/* Begins a request, which is read into `exchange` (borrowed). */
void reader_begin(struct reader *reader, struct exchange *exchange, size_t body_bytes_max);

/* Reads on; returns how many bytes were taken, which is all of them unless the state is one of the
 * last three. */
size_t reader_feed(struct reader *reader, const uint8_t *at, size_t len);

#endif
