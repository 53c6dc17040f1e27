/*
 * Connections.
 *
 * In: libuv reads into the one read buffer of the loop, and on_read sees the bytes there. Under TLS
 * they pass through tls_feed() into the loop's buffer of plain text first. A connection owns no
 * input buffer.
 *
 * Out: the first tcp_out() of a turn borrows a buffer from the loop's cache and enters the
 * connection in the loop's flush list. When the turn ends every connection of the list gets one
 * write of all it gathered, and the buffer goes back. If the kernel takes less, the rest moves into
 * a write request, and output gathers in a new buffer until that request is done. So an idle
 * connection holds no buffer at all. Under TLS the gathered plain text is sealed into the loop's
 * cipher buffer at the flush, and that is what is written.
 *
 * Invariants
 *   - While `write` is set nothing else writes to the socket; cipher text that TLS makes meanwhile
 *     waits in the request's `queued`, and goes before whatever is sealed later.
 *   - A connection in the flush list is connected and has no `write`.
 *   - Once `closing` or `shut_after_flush` is set, output goes to a buffer that is thrown away.
 *   - Everything that needs the loop's part is given back in tcp_close(); the close callback
 *     touches only the connection.
 *
 * Ends: EPIPE and ECONNRESET of a write only mark the connection as broken: what the peer sent
 * before it went is still in the socket, and the end comes from the read side, behind it.
 * tcp_close_after_flush() sends, shuts the sending side, and then discards what still arrives until
 * the peer's FIN: closing a socket with unread bytes would make the kernel send a reset, which can
 * destroy the last reply on its way.
 */
#include "io/tcp.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/tcp_internal.h"

enum {
    READ_BYTES = 64 * 1024,
    OUT_BYTES_FIRST =
        512, /* a new out buffer: one message to all makes as many as there are connections */
    CACHED_BYTES_MAX = 16 * 1024, /* larger buffers are freed when empty, not kept */
    CACHED_MAX = 256,
    FLUSH_MS_MAX = 5000, /* tcp_close_after_flush(): for sending */
    FIN_MS_MAX = 1000,   /* and then for the peer's FIN */
    LINGER_TICK_MS = 250,
};

struct tcp_loop {
    struct loop_part part;
    struct loop *loop;
    struct link flush;     /* connections with output */
    struct link mark;      /* while the turn ends: what entered the list before it */
    struct link lingering; /* connections after tcp_close_after_flush() */
    struct timer linger_tick;
    struct task again; /* wakes the loop for output that on_drain wrote */
    bool again_posted;
    unsigned cached;
    struct buf cache[CACHED_MAX];
    struct buf plain, cipher, nowhere;
    uint8_t read[READ_BYTES];
};

struct write_request {
    uv_write_t uv;
    struct tcp *tcp;
    struct buf bytes;  /* being written */
    struct buf queued; /* cipher text to be written next */
};

static void flush_now(struct tcp *tcp);
static void shut(struct tcp *tcp);

static uv_stream_t *stream_of(struct tcp *tcp) {
    return (uv_stream_t *)&tcp->uv;
}

/* The loop's part. */

static void on_part_closed(struct timer *timer) {
    free(CONTAINER_OF(timer, struct tcp_loop, linger_tick));
}

static void free_part(struct loop_part *part) {
    struct tcp_loop *home = CONTAINER_OF(part, struct tcp_loop, part);
    for (unsigned i = 0; i < home->cached; i++)
        buf_done(&home->cache[i]);
    buf_done(&home->plain);
    buf_done(&home->cipher);
    buf_done(&home->nowhere);
    timer_close(&home->linger_tick, on_part_closed);
}

static void on_again(struct task *task) {
    CONTAINER_OF(task, struct tcp_loop, again)->again_posted = false;
}

static void tell_if_drained(struct tcp *tcp) {
    if (!tcp->was_full || tcp->closing || tcp->shut_after_flush ||
        tcp_pending(tcp) >= TCP_LOW_WATER)
        return;
    tcp->was_full = false;
    if (tcp->events->on_drain)
        tcp->events->on_drain(tcp);
}

/* What on_drain adds behind the mark waits for the next turn, so that a fast peer cannot hold the
 * loop here. */
static void on_turn_end(struct loop_part *part) {
    struct tcp_loop *home = CONTAINER_OF(part, struct tcp_loop, part);
    struct link *item;
    list_push_back(&home->flush, &home->mark);
    while ((item = list_pop_front(&home->flush)) != &home->mark) {
        struct tcp *tcp = LIST_ITEM(item, struct tcp, flush);
        flush_now(tcp);
        tell_if_drained(tcp);
    }
    if (!list_empty(&home->flush) && !home->again_posted) {
        home->again_posted = true;
        loop_post(home->loop, &home->again);
    }
}

static struct tcp_loop *make_part(struct loop *loop) {
    struct tcp_loop *home = xcalloc(1, sizeof *home);
    home->part = (struct loop_part){.turn_end = on_turn_end, .free = free_part};
    home->loop = loop;
    home->again.run = on_again;
    list_init(&home->flush);
    list_init(&home->lingering);
    loop_part_set(loop, &home->part);
    return home;
}

static struct tcp_loop *home_of(const struct tcp *tcp) {
    return CONTAINER_OF(loop_part(tcp->loop), struct tcp_loop, part);
}

static struct buf take_buffer(struct tcp_loop *home) {
    if (home->cached)
        return home->cache[--home->cached];
    struct buf fresh = {0};
    buf_room(&fresh, OUT_BYTES_FIRST);
    return fresh;
}

static void give_back(struct tcp_loop *home, struct buf *buf) {
    if (!buf->at)
        return;
    if (buf->cap > CACHED_BYTES_MAX || home->cached == CACHED_MAX) {
        buf_done(buf);
        return;
    }
    buf_clear(buf);
    home->cache[home->cached++] = *buf;
    *buf = (struct buf){0};
}

/* Ends. */

static int reason_of(int uv_status) {
    switch (uv_status) {
    case UV_EOF:
    case UV_EPIPE:
    case UV_ECONNRESET:
        return ERR_CLOSED;
    case UV_ECONNREFUSED:
        return ERR_REFUSED;
    case UV_ETIMEDOUT:
        return ERR_TIMEOUT;
    case UV_EACCES:
    case UV_EPERM:
        return ERR_DENIED;
    default:
        return ERR_IO;
    }
}

static void end_with(struct tcp *tcp, int reason, const char *text) {
    if (!tcp->closing) {
        tcp->reason = reason;
        tcp->error_text = text;
    }
    tcp_close(tcp);
}

static void fail(struct tcp *tcp, int uv_status) {
    end_with(tcp, reason_of(uv_status), uv_strerror(uv_status));
}

static void on_closed(uv_handle_t *uv) {
    struct tcp *tcp = CONTAINER_OF(uv, struct tcp, uv);
    struct tls *tls = tcp->tls; /* It owns the error text, and `tcp` is gone after on_close. */
    tcp->events->on_close(tcp, tcp->reason);
    tls_free(tls);
}

void tcp_close(struct tcp *tcp) {
    ASSERT(tcp->loop);
    if (tcp->closing)
        return;
    tcp->closing = true;
    tcp->reading = false;
    list_remove(&tcp->flush);
    give_back(home_of(tcp), &tcp->out);
    uv_close((uv_handle_t *)&tcp->uv, on_closed);
}

/* Out. */

static void on_written(uv_write_t *uv, int status);

/* Takes the bytes out of `bytes`. */
static void write_rest(struct tcp *tcp, struct buf *bytes) {
    struct write_request *request = xcalloc(1, sizeof *request);
    request->tcp = tcp;
    request->bytes = *bytes;
    *bytes = (struct buf){0};
    tcp->write = &request->uv;
    uv_buf_t part = {.base = (char *)buf_at(&request->bytes), .len = buf_len(&request->bytes)};
    int failed = uv_write(&request->uv, stream_of(tcp), &part, 1, on_written);
    ASSERT(!failed); /* It fails only for a handle that is not open. */
}

static void on_write_failed(struct tcp *tcp, int status) {
    bool peer_gone = status == UV_EPIPE || status == UV_ECONNRESET;
    if (!peer_gone || tcp->shut_after_flush || tcp->ended)
        fail(tcp, status);
    else
        tcp->broken = true;
}

/* Writes `bytes`, or as much as the kernel takes now and the rest later. Leaves it empty. */
static void send_bytes(struct tcp *tcp, struct buf *bytes) {
    if (tcp->broken) {
        buf_clear(bytes);
        return;
    }
    uv_buf_t part = {.base = (char *)buf_at(bytes), .len = buf_len(bytes)};
    int taken = uv_try_write(stream_of(tcp), &part, 1);
    if (taken < 0 && taken != UV_EAGAIN) {
        buf_clear(bytes);
        on_write_failed(tcp, taken);
        return;
    }
    if (taken > 0)
        buf_consume(bytes, (size_t)taken);
    if (buf_len(bytes))
        write_rest(tcp, bytes);
}

/* What TLS made of its own accord: handshake, alerts. Goes out at once, in the order in which it
 * was made. */
static void send_cipher(struct tcp *tcp) {
    struct buf *cipher = &home_of(tcp)->cipher;
    if (buf_len(cipher) == 0)
        return;
    if (tcp->write) {
        struct write_request *request = CONTAINER_OF(tcp->write, struct write_request, uv);
        buf_add_str(&request->queued, buf_str(cipher));
        buf_clear(cipher);
    } else {
        send_bytes(tcp, cipher);
    }
}

static void seal_and_send(struct tcp *tcp) {
    struct buf *cipher = &home_of(tcp)->cipher;
    buf_clear(cipher);
    int failed = tls_seal(tcp->tls, buf_at(&tcp->out), buf_len(&tcp->out), cipher);
    if (failed)
        end_with(tcp, failed, tls_error(tcp->tls));
    else
        send_cipher(tcp);
}

static void flush_now(struct tcp *tcp) {
    if (!tcp->connected || tcp->write || tcp->closing || buf_len(&tcp->out) == 0)
        return;
    if (buf_len(&tcp->out) > TCP_HIGH_WATER)
        tcp->was_full = true;
    if (tcp->sent)
        metric_add(tcp->sent, (int64_t)buf_len(&tcp->out));
    if (tcp->tls)
        seal_and_send(tcp);
    else
        send_bytes(tcp, &tcp->out);
    give_back(home_of(tcp), &tcp->out);
}

static void on_written(uv_write_t *uv, int status) {
    struct write_request *request = CONTAINER_OF(uv, struct write_request, uv);
    struct tcp *tcp = request->tcp;
    struct buf queued = request->queued;
    /* The most that the owner can have seen at any moment of this write, when it asked
     * tcp_is_full(). */
    size_t most = buf_len(&request->bytes) + buf_len(&queued) + buf_len(&tcp->out);
    buf_done(&request->bytes);
    free(request);
    tcp->write = NULL;
    if (!tcp->closing) {
        tcp->was_full = tcp->was_full || most > TCP_HIGH_WATER;
        if (status < 0)
            on_write_failed(tcp, status);
        else if (buf_len(&queued))
            send_bytes(tcp, &queued);
        flush_now(tcp);
        if (tcp->shut_after_flush && !tcp->write && !tcp->closing)
            shut(tcp);
        tell_if_drained(tcp);
    }
    buf_done(&queued);
}

static void schedule(struct tcp *tcp) {
    if (tcp->connected && !tcp->write && !list_linked(&tcp->flush))
        list_push_back(&home_of(tcp)->flush, &tcp->flush);
}

struct buf *tcp_out(struct tcp *tcp) {
    ASSERT(tcp->loop);
    struct tcp_loop *home = home_of(tcp);
    if (tcp->closing || tcp->shut_after_flush || tcp->broken) {
        buf_clear(&home->nowhere);
        return &home->nowhere;
    }
    if (!tcp->out.at)
        tcp->out = take_buffer(home);
    schedule(tcp);
    return &tcp->out;
}

size_t tcp_pending(const struct tcp *tcp) {
    size_t pending = buf_len(&tcp->out);
    if (tcp->write) {
        const struct write_request *request = CONTAINER_OF(tcp->write, struct write_request, uv);
        pending += uv_stream_get_write_queue_size((const uv_stream_t *)&tcp->uv);
        pending += buf_len(&request->queued);
    }
    return pending;
}

bool tcp_is_full(const struct tcp *tcp) {
    return tcp_pending(tcp) > TCP_HIGH_WATER;
}

/* Lingering. */

static void on_linger_tick(struct timer *timer) {
    struct tcp_loop *home = CONTAINER_OF(timer, struct tcp_loop, linger_tick);
    uint64_t now_ms = loop_now_ms(home->loop);
    LIST_EACH(item, &home->lingering) {
        struct tcp *tcp = LIST_ITEM(item, struct tcp, flush);
        if (now_ms >= tcp->linger_until_ms)
            tcp_close(tcp);
    }
    if (list_empty(&home->lingering))
        timer_stop(timer);
}

static void linger(struct tcp *tcp) {
    struct tcp_loop *home = home_of(tcp);
    tcp->linger_until_ms = loop_now_ms(tcp->loop) + FLUSH_MS_MAX;
    list_remove(&tcp->flush);
    list_push_back(&home->lingering, &tcp->flush);
    if (!timer_running(&home->linger_tick))
        timer_start(tcp->loop, &home->linger_tick, LINGER_TICK_MS, LINGER_TICK_MS, on_linger_tick);
}

void tcp_close_after_flush(struct tcp *tcp) {
    ASSERT(tcp->loop);
    if (tcp->closing || tcp->shut_after_flush)
        return;
    if (!tcp->connected || tcp->broken) {
        tcp_close(tcp);
        return;
    }
    tcp_read_stop(tcp);
    tcp->shut_after_flush = true;
    linger(tcp);
    flush_now(tcp);
    if (!tcp->write && !tcp->closing)
        shut(tcp);
}

/* In. */

static void on_room_wanted(uv_handle_t *uv, size_t suggested, uv_buf_t *ret_room) {
    struct tcp_loop *home = home_of(CONTAINER_OF(uv, struct tcp, uv));
    *ret_room = (uv_buf_t){.base = (char *)home->read, .len = READ_BYTES};
}

/* Connected and, under TLS, the handshake is finished: from now on output flows. */
static void establish(struct tcp *tcp) {
    tcp->connected = true;
    if (buf_len(&tcp->out))
        schedule(tcp);
    if (tcp->outgoing && tcp->events->on_connect)
        tcp->events->on_connect(tcp);
}

static void on_peer_end(struct tcp *tcp) {
    tcp_read_stop(tcp);
    tcp->ended = true;
    if (tcp->events->on_end && tcp->connected && !tcp->broken) {
        tcp->events->on_end(tcp);
        return;
    }
    tcp->reason = ERR_CLOSED;
    tcp->error_text =
        tcp->connected ? "closed by the peer" : "closed by the peer during the handshake";
    tcp_close_after_flush(tcp);
}

static bool is_ending(const struct tcp *tcp) {
    return tcp->closing || tcp->shut_after_flush;
}

static void read_tls(struct tcp *tcp, const uint8_t *at, size_t len) {
    struct tcp_loop *home = home_of(tcp);
    buf_clear(&home->plain);
    buf_clear(&home->cipher);
    int failed = tls_feed(tcp->tls, at, len, &home->plain, &home->cipher);
    send_cipher(tcp);
    if (!tcp->connected && !is_ending(tcp) && tls_established(tcp->tls))
        establish(tcp);
    if (buf_len(&home->plain) && !is_ending(tcp))
        tcp->events->on_read(tcp, buf_at(&home->plain), buf_len(&home->plain));
    if (!failed || is_ending(tcp))
        return;
    if (failed == ERR_CLOSED)
        on_peer_end(tcp);
    else
        end_with(tcp, failed, tls_error(tcp->tls));
}

static void on_read(uv_stream_t *uv, ssize_t len, const uv_buf_t *room) {
    struct tcp *tcp = CONTAINER_OF(uv, struct tcp, uv);
    if (len == 0)
        return;
    if (tcp->shut_after_flush) {
        if (len < 0)
            tcp_close(tcp);
    } else if (len == UV_EOF) {
        on_peer_end(tcp);
    } else if (len < 0) {
        fail(tcp, (int)len);
    } else if (tcp->tls) {
        read_tls(tcp, (const uint8_t *)room->base, (size_t)len);
    } else {
        tcp->events->on_read(tcp, (const uint8_t *)room->base, (size_t)len);
    }
}

void tcp_read_stop(struct tcp *tcp) {
    if (tcp->reading)
        uv_read_stop(stream_of(tcp));
    tcp->reading = false;
}

void tcp_read_start(struct tcp *tcp) {
    if (tcp->reading || tcp->ended || is_ending(tcp))
        return;
    tcp->reading = true;
    int failed = uv_read_start(stream_of(tcp), on_room_wanted, on_read);
    if (failed)
        fail(tcp, failed);
}

/* All is sent: says so to the peer, and waits a while for its FIN. */
static void shut(struct tcp *tcp) {
    if (tcp->tls) {
        struct buf *cipher = &home_of(tcp)->cipher;
        buf_clear(cipher);
        tls_finish(tcp->tls, cipher); /* Makes nothing when it was called before. */
        send_cipher(tcp);
        if (tcp->write || tcp->closing)
            return;
    }
    int fd = -1;
    uv_fileno((const uv_handle_t *)&tcp->uv, &fd);
    if (tcp->ended || shutdown(fd, SHUT_WR) != 0 ||
        uv_read_start(stream_of(tcp), on_room_wanted, on_read) != 0)
        tcp_close(tcp);
    else
        tcp->linger_until_ms = loop_now_ms(tcp->loop) + FIN_MS_MAX;
}

/* Beginnings. */

static void begin(struct loop *loop, struct tcp *tcp) {
    if (!loop_part(loop))
        make_part(loop);
    ASSERT(tcp->events && tcp->events->on_read && tcp->events->on_close);
    tcp->loop = loop;
    int failed = uv_tcp_init(loop_uv(loop), &tcp->uv);
    ASSERT(!failed);
}

void tcp_open_accepted(struct loop *loop, struct tcp *tcp, int fd, struct tls_context *tls) {
    begin(loop, tcp);
    int failed = uv_tcp_open(&tcp->uv, fd);
    if (failed) {
        close(fd);
        fail(tcp, failed);
        return;
    }
    if (tls)
        tcp->tls = tls_new_server(tls);
    else
        establish(tcp);
    tcp_read_start(tcp);
}

static void on_connected(uv_connect_t *request, int status) {
    struct tcp *tcp = CONTAINER_OF(request->handle, struct tcp, uv);
    free(request);
    if (tcp->closing)
        return;
    if (status < 0) {
        fail(tcp, status);
        return;
    }
    tcp_read_start(tcp);
    if (!tcp->tls) {
        establish(tcp);
        return;
    }
    struct buf *cipher = &home_of(tcp)->cipher;
    buf_clear(cipher);
    int failed = tls_start(tcp->tls, cipher);
    if (failed)
        end_with(tcp, failed, tls_error(tcp->tls));
    else
        send_cipher(tcp);
}

void tcp_connect(struct loop *loop, struct tcp *tcp, const struct sockaddr_storage *address,
                 struct tls_context *tls, const char *host) {
    begin(loop, tcp);
    tcp->outgoing = true;
    if (tls)
        tcp->tls = tls_new_client(tls, host);
    uv_tcp_nodelay(&tcp->uv, 1);
    uv_connect_t *request = xcalloc(1, sizeof *request);
    int failed = uv_tcp_connect(request, &tcp->uv, (const struct sockaddr *)address, on_connected);
    if (failed) {
        free(request);
        fail(tcp, failed);
    }
}
