/*
 * nghttp2 does framing, header compression and flow control; here its streams become exchanges.
 *
 *     frames in    HEADERS -> a stream with its exchange; DATA -> exchange->body; the end of the
 *                  stream -> the handler
 *     answers      headers are submitted to nghttp2, the body waits in stream->out until nghttp2 asks
 *                  for it (read_out), which it does as the peer's windows allow
 *     frames out   whatever nghttp2 has to send goes to the connection's out buffer, as long as that
 *                  is not full
 *
 * nghttp2 calls back from inside of nghttp2_session_mem_recv() and _mem_send() and must not be entered
 * again from there: `is_inside` puts off sending until it has returned. A stream is freed only by
 * nghttp2's word (on_stream_close) or with the session.
 *
 * A peer cannot make more grow than H2_STREAMS_MAX streams, each with a head of READER_HEAD_BYTES_MAX,
 * and H2_BODIES_BYTES_MAX of bodies; a stream that goes beyond is reset.
 */
#include "http/h2.h"

#include <nghttp2/nghttp2.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/mem.h"

enum {
    STREAM_WINDOW_BYTES = 1024 * 1024,
    CONNECTION_WINDOW_BYTES = 8 * 1024 * 1024,
    BYTES_PER_PERIOD_MIN = 16 * 1024,
    ANSWER_HEADERS_MAX = 24,
};

struct h2_stream {
    struct link link; /* in h2->streams */
    struct h2 *h2;
    int32_t id;
    struct exchange *exchange; /* until it is answered */
    struct arena arena;        /* texts of the head */
    size_t head_bytes;
    bool is_handed, is_ended, was_full;
    struct str authority;
    struct buf out;
};

struct h2 {
    struct connection *connection;
    nghttp2_session *session;
    struct link streams;
    size_t bodies_bytes; /* of requests that come in */
    size_t period_bytes; /* arrived since the last look of the timer */
    size_t last_to_send;
    bool is_inside;
};

int h2_is_preface(const uint8_t *at, size_t len) {
    size_t compared = len < H2_PREFACE_BYTES ? len : H2_PREFACE_BYTES;
    if (memcmp(at, NGHTTP2_CLIENT_MAGIC, compared) != 0)
        return 0;
    return len < H2_PREFACE_BYTES ? -1 : 1;
}

/* ---- streams ---- */

static struct h2_stream *stream_new(struct h2 *h2, int32_t id) {
    struct h2_stream *stream = xcalloc(1, sizeof *stream);
    stream->h2 = h2;
    stream->id = id;
    stream->exchange = exchange_new();
    stream->exchange->owner = h2->connection;
    stream->exchange->stream = stream;
    stream->exchange->keep_alive = true;
    stream->exchange->request.peer = h2->connection->peer;
    list_push_back(&h2->streams, &stream->link);
    return stream;
}

static void drop_exchange(struct h2_stream *stream) {
    struct exchange *exchange = stream->exchange;
    if (!exchange)
        return;
    if (!stream->is_handed)
        stream->h2->bodies_bytes -= buf_len(&exchange->body);
    stream->exchange = NULL;
    exchange_free(exchange);
    arena_done(&stream->arena);
}

static void stream_free(struct h2_stream *stream) {
    if (stream->exchange && stream->is_handed && stream->exchange->request.on_abort)
        stream->exchange->request.on_abort(&stream->exchange->request);
    drop_exchange(stream);
    list_remove(&stream->link);
    buf_done(&stream->out);
    free(stream);
}

/* ---- requests ---- */

static struct str keep(struct h2_stream *stream, const uint8_t *at, size_t len) {
    stream->head_bytes += len;
    return (struct str){arena_strdup(&stream->arena, str_from(at, len)), len};
}

static void add_header(struct exchange *exchange, struct str name, struct str value) {
    size_t count = exchange->request.header_count;
    if (count == exchange->header_cap) {
        exchange->header_cap = count ? count * 2 : 16;
        exchange->headers =
            xrealloc(exchange->headers, exchange->header_cap * sizeof *exchange->headers);
    }
    exchange->headers[count] = (struct http_header){name, value};
    exchange->request.headers = exchange->headers;
    exchange->request.header_count++;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *data) {
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    struct h2_stream *stream = stream_new(data, frame->hd.stream_id);
    nghttp2_session_set_stream_user_data(session, stream->id, stream);
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *data) {
    struct h2_stream *stream = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (!stream || !stream->exchange || stream->is_handed)
        return 0;
    struct http_request *request = &stream->exchange->request;
    if (stream->head_bytes + name_len + value_len > READER_HEAD_BYTES_MAX ||
        request->header_count == READER_HEADER_COUNT_MAX)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    struct str key = keep(stream, name, name_len), text = keep(stream, value, value_len);
    if (str_eq(key, STR(":method")))
        request->method = text;
    else if (str_eq(key, STR(":path")))
        request->target = text;
    else if (str_eq(key, STR(":authority")))
        stream->authority = text;
    else if (!str_starts(key, STR(":")))
        add_header(stream->exchange, key, text);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *at,
                   size_t len, void *data) {
    struct h2 *h2 = data;
    struct h2_stream *stream = nghttp2_session_get_stream_user_data(session, id);
    if (!stream || !stream->exchange || stream->exchange->request.is_too_large)
        return 0;
    struct exchange *exchange = stream->exchange;
    if (buf_len(&exchange->body) + len > h2->connection->server->body_bytes_max) {
        h2->bodies_bytes -= buf_len(&exchange->body);
        buf_done(&exchange->body);
        exchange->request.is_too_large = true;
        return 0;
    }
    if (h2->bodies_bytes + len > H2_BODIES_BYTES_MAX)
        return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, NGHTTP2_ENHANCE_YOUR_CALM);
    buf_add(&exchange->body, at, len);
    h2->bodies_bytes += len;
    return 0;
}

static void split_target(struct http_request *request) {
    struct str path = str_cut(request->target, '#', &(struct str){0});
    request->path = str_cut(path, '?', &request->query);
}

static void hand_over(struct h2_stream *stream) {
    struct http_server *server = stream->h2->connection->server;
    struct http_request *request = &stream->exchange->request;
    bool is_refused = request->is_too_large && !server->hand_over_too_large;
    if (stream->authority.len && !http_header(request, "host").len)
        add_header(stream->exchange, STR("host"), stream->authority);
    request->body = buf_str(&stream->exchange->body);
    stream->h2->bodies_bytes -= request->body.len;
    stream->is_handed = true;
    split_target(request);
    metric_add(is_refused ? &server->requests_rejected : &server->requests, 1);
    if (is_refused)
        http_respond(request, 413, "text/plain", STR("413 Content Too Large\n"), NULL, 0);
    else
        server->handler(request, server->data);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *data) {
    bool is_body = frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS;
    if (!is_body || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        return 0;
    struct h2_stream *stream = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (stream && stream->exchange && !stream->is_handed)
        hand_over(stream);
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t error, void *data) {
    struct h2_stream *stream = nghttp2_session_get_stream_user_data(session, id);
    if (stream)
        stream_free(stream);
    return 0;
}

/* ---- frames out ---- */

static void flush(struct h2 *h2) {
    const uint8_t *at;
    ssize_t len = 1;
    if (h2->is_inside)
        return;
    h2->is_inside = true;
    while (len > 0 && !tcp_is_full(&h2->connection->tcp)) {
        len = nghttp2_session_mem_send(h2->session, &at);
        if (len > 0)
            tcp_write(&h2->connection->tcp, at, (size_t)len);
    }
    h2->is_inside = false;
    if (len < 0 ||
        (!nghttp2_session_want_read(h2->session) && !nghttp2_session_want_write(h2->session)))
        http_connection_finish(h2->connection);
}

/* Streams whose handlers wait for room. What they call sends nothing before all were told. */
static void tell_drained(struct h2 *h2) {
    h2->is_inside = true;
    LIST_EACH(item, &h2->streams) {
        struct h2_stream *stream = LIST_ITEM(item, struct h2_stream, link);
        if (!stream->was_full || buf_len(&stream->out) > H2_STREAM_HIGH_WATER / 4)
            continue;
        stream->was_full = false;
        if (stream->exchange && stream->exchange->request.on_drain)
            stream->exchange->request.on_drain(&stream->exchange->request);
    }
    h2->is_inside = false;
}

static void send_all(struct h2 *h2) {
    if (h2->is_inside)
        return;
    flush(h2);
    tell_drained(h2);
    flush(h2);
}

static ssize_t read_out(nghttp2_session *session, int32_t id, uint8_t *to, size_t room,
                        uint32_t *flags, nghttp2_data_source *source, void *data) {
    struct h2_stream *stream = source->ptr;
    size_t len = buf_len(&stream->out) < room ? buf_len(&stream->out) : room;
    if (!len && !stream->is_ended)
        return NGHTTP2_ERR_DEFERRED;
    if (len) {
        memcpy(to, buf_at(&stream->out), len);
        buf_consume(&stream->out, len);
    }
    if (stream->is_ended && !buf_len(&stream->out))
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)len;
}

/* ---- answers ---- */

static struct h2_stream *stream_of(const struct http_request *request) {
    return CONTAINER_OF(request, const struct exchange, request)->stream;
}

struct fields {
    nghttp2_nv items[ANSWER_HEADERS_MAX];
    size_t count;
    struct arena arena;
};

/* Names are in lower case in HTTP/2. nghttp2 copies when they are submitted. */
static void add_field(struct fields *fields, struct str name, struct str value) {
    ASSERT(fields->count < ANSWER_HEADERS_MAX);
    char *lower = arena_strdup(&fields->arena, name);
    for (size_t i = 0; i < name.len; i++)
        if (lower[i] >= 'A' && lower[i] <= 'Z')
            lower[i] += 'a' - 'A';
    fields->items[fields->count++] = (nghttp2_nv){.name = (uint8_t *)lower,
                                                  .namelen = name.len,
                                                  .value = (uint8_t *)value.at,
                                                  .valuelen = value.len};
}

void h2_respond_begin(struct http_request *request, int status, const char *content_type,
                      const size_t *body_bytes, const struct http_header *extra,
                      size_t extra_count) {
    struct h2_stream *stream = stream_of(request);
    struct h2 *h2 = stream->h2;
    struct fields fields = {0};
    char status_text[16], length_text[24];
    snprintf(status_text, sizeof status_text, "%03d", status);
    add_field(&fields, STR(":status"), str_of(status_text));
    add_field(&fields, STR("date"),
              str_of(answer_date_text(&h2->connection->server->date, clock_wall_ms())));
    if (content_type)
        add_field(&fields, STR("content-type"), str_of(content_type));
    if (body_bytes && answer_has_body(status)) {
        snprintf(length_text, sizeof length_text, "%zu", *body_bytes);
        add_field(&fields, STR("content-length"), str_of(length_text));
    }
    for (size_t i = 0; i < extra_count; i++)
        add_field(&fields, extra[i].name, extra[i].value);
    nghttp2_data_provider provider = {.source.ptr = stream, .read_callback = read_out};
    nghttp2_submit_response(h2->session, stream->id, fields.items, fields.count, &provider);
    arena_done(&fields.arena);
    send_all(h2);
}

void h2_respond_chunk(struct http_request *request, struct str bytes) {
    struct h2_stream *stream = stream_of(request);
    buf_add_str(&stream->out, bytes);
    stream->was_full |= h2_respond_is_full(request);
    nghttp2_session_resume_data(stream->h2->session, stream->id);
    send_all(stream->h2);
}

bool h2_respond_is_full(const struct http_request *request) {
    return buf_len(&stream_of(request)->out) > H2_STREAM_HIGH_WATER;
}

void h2_respond_end(struct http_request *request) {
    struct h2_stream *stream = stream_of(request);
    struct h2 *h2 = stream->h2;
    stream->is_ended = true;
    drop_exchange(stream);
    nghttp2_session_resume_data(h2->session, stream->id);
    send_all(h2);
}

/* ---- the connection ---- */

static nghttp2_session_callbacks *callbacks_new(void) {
    nghttp2_session_callbacks *callbacks;
    int failed = nghttp2_session_callbacks_new(&callbacks);
    ASSERT(!failed);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    return callbacks;
}

struct h2 *h2_new(struct connection *connection) {
    static const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, H2_STREAMS_MAX},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW_BYTES},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, READER_HEAD_BYTES_MAX},
    };
    struct h2 *h2 = xcalloc(1, sizeof *h2);
    nghttp2_session_callbacks *callbacks = callbacks_new();
    h2->connection = connection;
    list_init(&h2->streams);
    int failed = nghttp2_session_server_new(&h2->session, callbacks, h2);
    ASSERT(!failed);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(h2->session, NGHTTP2_FLAG_NONE, settings, COUNT_OF(settings));
    nghttp2_session_set_local_window_size(h2->session, NGHTTP2_FLAG_NONE, 0,
                                          CONNECTION_WINDOW_BYTES);
    return h2;
}

void h2_feed(struct h2 *h2, const uint8_t *at, size_t len) {
    h2->period_bytes += len;
    h2->is_inside = true;
    ssize_t taken = nghttp2_session_mem_recv(h2->session, at, len);
    h2->is_inside = false;
    if (taken < 0)
        http_connection_finish(h2->connection);
    else
        send_all(h2);
}

void h2_on_drain(struct h2 *h2) {
    send_all(h2);
}

static bool has_handed(const struct h2 *h2) {
    LIST_EACH(item, &h2->streams) {
        const struct h2_stream *stream = LIST_ITEM(item, struct h2_stream, link);
        if (stream->is_handed && stream->exchange)
            return true;
    }
    return false;
}

bool h2_made_progress(struct h2 *h2) {
    size_t to_send = tcp_pending(&h2->connection->tcp);
    bool is_stuck = to_send && to_send >= h2->last_to_send && h2->last_to_send;
    bool is_idle = !to_send && !has_handed(h2) && h2->period_bytes < BYTES_PER_PERIOD_MIN;
    h2->last_to_send = to_send;
    h2->period_bytes = 0;
    return !is_stuck && !is_idle;
}

void h2_say_goodbye(struct h2 *h2) {
    nghttp2_session_terminate_session(h2->session, NGHTTP2_NO_ERROR);
    flush(h2);
}

void h2_free(struct h2 *h2) {
    h2->is_inside = true;
    LIST_EACH(item, &h2->streams) {
        stream_free(LIST_ITEM(item, struct h2_stream, link));
    }
    nghttp2_session_del(h2->session);
    free(h2);
}
