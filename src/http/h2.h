/*
 * HTTP/2 on a server connection (RFC 9113, by nghttp2): with prior knowledge, recognised by the
 * preface that begins such a connection, plain or under TLS. Handlers see the same requests and answer
 * by the same calls as with HTTP/1.1; ":authority" is given to them as the header "host".
 */
#ifndef HTTP_H2_H
#define HTTP_H2_H

#include "http/server.h"

enum {
    H2_STREAMS_MAX = 128,                   /* per connection, at once */
    H2_BODIES_BYTES_MAX = 64 * 1024 * 1024, /* of all requests of a connection that come in */
    H2_PREFACE_BYTES = 24,
    H2_STREAM_HIGH_WATER = 256 * 1024, /* http_respond_is_full() beyond it */
};

/* Whether the first bytes of a connection are the preface: 1 yes, 0 no, -1 they may become it. */
int h2_is_preface(const uint8_t *at, size_t len);

/* Turns the connection into one of HTTP/2; what it reads goes to h2_feed() from the preface on. */
struct h2 *h2_new(struct connection *connection);
void h2_feed(struct h2 *h2, const uint8_t *at, size_t len);
void h2_on_drain(struct h2 *h2);

/* The end of a period of idle_timeout_ms: false if the connection is idle or stuck. */
bool h2_made_progress(struct h2 *h2);

/* Tells the peer that nothing more is taken. */
void h2_say_goodbye(struct h2 *h2);

/* The connection is gone: requests under way are aborted, the memory is freed. */
void h2_free(struct h2 *h2);

/* http_respond() and its kin, for a request of a stream (exchange->stream). */
void h2_respond_begin(struct http_request *request, int status, const char *content_type,
                      const size_t *body_bytes, const struct http_header *extra,
                      size_t extra_count);
void h2_respond_chunk(struct http_request *request, struct str bytes);
bool h2_respond_is_full(const struct http_request *request);
void h2_respond_end(struct http_request *request);

#endif
