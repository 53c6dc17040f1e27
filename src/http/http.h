/*
 * HTTP/1.1 on a loop: a server with WebSocket upgrade and, if asked for, HTTP/2, and a client. Each
 * object belongs to the loop it was made for; everything is called and calls back on that thread.
 *
 * The server parses with http-parser and frames WebSockets with wslay (docs/decisions). It reads a
 * request whole (body bounded by body_bytes_max, chunked bodies and trailers included) and then
 * calls the handler once.
 */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "io/loop.h"
#include "io/tcp.h"

/* ---- server ---- */

struct http_server;
struct http_request;

struct http_header {
    struct str name, value;
};

/* Those of a request in the making; views. */
enum { HTTP_HEADERS_MAX = 32 };
struct http_headers {
    struct http_header items[HTTP_HEADERS_MAX];
    size_t count;
};

static inline void http_headers_add(struct http_headers *headers, struct str name,
                                    struct str value) {
    ASSERT(headers->count < HTTP_HEADERS_MAX);
    headers->items[headers->count++] = (struct http_header){name, value};
}

/*
 * A request is whole. The handler answers with http_respond() at once or later, from the same
 * thread; until then, or until on_abort, the request and its views stay valid.
 */
typedef void http_handler(struct http_request *request, void *data);

struct http_request {
    struct str method; /* "GET" */
    struct str target; /* as received: path and query */
    struct str path;   /* as received, not decoded, without the query */
    struct str query;  /* behind '?', may be empty */
    struct str body;
    /* in order of arrival; trailers of a chunked body follow them */
    const struct http_header *headers;
    size_t header_count;
    struct sockaddr_storage peer;
    bool is_too_large; /* see http_server_config.hand_over_too_large; the body is empty then */
    /* The peer went away (or closed its sending side), or the server is being closed, before an
     * answer was given: the request is freed behind this call. May be set by the handler. */
    void (*on_abort)(struct http_request *request);
    /* After http_respond_begin(): the peer has taken so much that http_respond_is_full() is false
     * again. May be NULL. */
    void (*on_drain)(struct http_request *request);
    void *data; /* the handler's own */
};

struct http_server_config {
    const struct sockaddr_storage *address;
    struct tls_context *tls; /* NULL: plain */
    http_handler *handler;
    void *data;
    size_t body_bytes_max;    /* 0: 1 MiB; beyond: 413 */
    bool hand_over_too_large; /* the handler gets the head of such a request and answers it; the
                                 connection ends after that */
    bool http2;               /* also HTTP/2 with prior knowledge, told by its preface */
    unsigned connections_max; /* 0: 1024; beyond: refused and counted */
    unsigned idle_timeout_ms; /* between requests and while a request comes in; 0: 60 s. No time-out
                                 while a handler works */
    unsigned ping_interval_ms; /* of WebSockets; a peer not heard of between two pings is dropped;
                                  0: 30 s */
    const char *name;          /* for metrics and the log: "web", "api", "runtime" */
};

/* `ret_address` gets the real port. */
int http_server_open(struct loop *loop, const struct http_server_config *config,
                     struct sockaddr_storage *ret_address, struct http_server **ret_server,
                     struct err *err);

/* Stops accepting, lets answers that were given go out, closes every connection, then `closed` (may
 * be NULL) and the memory is gone. */
void http_server_close(struct http_server *server, void (*closed)(void *data), void *data);

/* Value of the first header of this name (any case), or empty. */
struct str http_header(const struct http_request *request, const char *name);

/* Value of a query parameter, percent-decoded into `ret_value`; false if absent or badly encoded. */
bool http_query(const struct http_request *request, const char *name, struct buf *ret_value);

/* Percent-decodes; false on a bad escape. '+' stays. */
bool http_percent_decode(struct str text, struct buf *out);

/* Appends with everything but A-Z a-z 0-9 - . _ ~ encoded; '/' too unless keep_slash. */
void http_percent_encode(struct buf *out, struct str text, bool keep_slash);

/*
 * Answers; the body is copied. Content-Length and Date are added; `content_type` may be NULL.
 * `extra` are further headers, names and values free of CR and LF (asserted). HEAD answers drop the
 * body. The request is freed behind this call.
 */
void http_respond(struct http_request *request, int status, const char *content_type,
                  struct str body, const struct http_header *extra, size_t extra_count);

/*
 * The same in pieces, for an answer whose length is not known when it begins (chunked; to an HTTP/1.0
 * peer, ended by closing). Between begin and end the request stays as it is with its handler: on_abort
 * may come. Chunks are copied; an empty one is nothing. A producer asks http_respond_is_full() and goes
 * on in on_drain; what is sent beyond is kept all the same. Not for HEAD (asserted).
 */
void http_respond_begin(struct http_request *request, int status, const char *content_type,
                        const struct http_header *extra, size_t extra_count);
void http_respond_chunk(struct http_request *request, struct str bytes);
bool http_respond_is_full(const struct http_request *request);
void http_respond_end(struct http_request *request); /* the request is freed behind this call */

/* Reason phrase of a status. */
const char *http_status_text(int status);

/* ---- WebSocket (RFC 6455) on the server ---- */

struct http_ws;

struct http_ws_events {
    /* A whole message (fragments joined, at most message_bytes_max of http_ws_accept). Valid during
     * the call. */
    void (*on_message)(struct http_ws *ws, bool is_text, struct str message, void *data);
    /* The send buffer fell below its low mark after http_ws_pending() was above TCP_HIGH_WATER. May
     * be NULL. */
    void (*on_drain)(struct http_ws *ws, void *data);
    /* The end; exactly once, never from inside a call of these functions; the ws is freed behind
     * it. */
    void (*on_close)(struct http_ws *ws, void *data);
};

/*
 * Turns a GET with Upgrade: websocket into a WebSocket; answers 101 (or 400/426 and NULL when it is
 * no such request). The request is freed behind this call. `subprotocol` NULL: none; else it must
 * be among those offered (MQTT 5.0 section 6: "mqtt").
 */
struct http_ws *http_ws_accept(struct http_request *request, const char *subprotocol,
                               const struct http_ws_events *events, size_t message_bytes_max,
                               void *data);

/* Queues a message (copied). Nothing happens after http_ws_close(). */
void http_ws_send(struct http_ws *ws, bool is_text, struct str message);
size_t http_ws_pending(const struct http_ws *ws);

/*
 * Back-pressure towards the peer. Messages of up to 4 KiB together that were read already may still
 * come after a stop; none comes from inside a start. While stopped, a dead peer goes unnoticed.
 */
void http_ws_read_stop(struct http_ws *ws);
void http_ws_read_start(struct http_ws *ws);

/* Sends a close frame (1000, 1001, 1008, 1009, 1011); no message comes any more. The peer has 5 s
 * to send its own, then on_close follows, never from inside this call. */
void http_ws_close(struct http_ws *ws, int code);

/* ---- client (libcurl multi on the loop) ---- */

struct http_client;
struct http_call;

/* libcurl is set up when the first client is made. The proxy variables of the environment hold for
 * all addresses but loopback. */
struct http_client *http_client_new(struct loop *loop);
/* Aborts what is under way (no callbacks), closes connections; asynchronous, then `closed` (may be
 * NULL). */
void http_client_close(struct http_client *client, void (*closed)(void *data), void *data);

struct http_call_config {
    const char *method; /* "PUT" */
    /* http:// or https://, already encoded; sent as it is (no dot segments removed) */
    const char *url;
    const struct http_header *headers;
    size_t header_count;
    struct str body;             /* borrowed until the call ends */
    unsigned connect_timeout_ms; /* 0: 10 s */
    unsigned stall_timeout_ms;   /* less than 1 byte/s for so long ends it; 0: 30 s */
    unsigned timeout_ms;         /* of the whole call; 0: none */
    size_t answer_bytes_max;     /* 0: 1 MiB; the rest is cut */
    const char *ca_path;         /* NULL: the system's */
};

struct http_answer {
    int status; /* 0 when there was no answer: `error` says why */
    const char *error;
    bool is_late, is_host_unknown; /* status 0 because of that */
    struct str body;
    const struct http_header *headers;
    size_t header_count;
};

/* `on_answer` runs exactly once, never before this returns, unless the call is cancelled. The texts
 * of config are copied, the body is not. */
struct http_call *http_client_send(struct http_client *client,
                                   const struct http_call_config *config,
                                   void (*on_answer)(void *data, const struct http_answer *answer),
                                   void *data);
/* The call ends without on_answer. Not from on_answer of this very call (asserted). */
void http_call_cancel(struct http_call *call);

#endif
