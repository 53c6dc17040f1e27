/*
 * Where accepted connections of a listener with PROXY protocol wait for their header, before they
 * are a `struct tcp` to anybody: the owner is asked only when the address is known. Exactly the
 * header is read from the socket; what follows, TLS or not, stays in the kernel.
 *
 * Bounds: LOBBY_MAX connections wait, each with at most a header's bytes and for at most timeout_ms
 * (looked at every LOBBY_TICK_MS). What is over is closed and reported.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/proxy.h"
#include "io/tcp_internal.h"

enum { LOBBY_MAX = 1024, LOBBY_TICK_MS = 250 };

struct tcp_lobby {
    struct loop *loop;
    struct tcp_lobby_config config;
    struct link guests; /* the longest waiting first */
    unsigned count;
    struct timer tick;
};

struct guest {
    uv_poll_t poll; /* once it has to wait */
    struct link link;
    struct tcp_lobby *lobby;
    struct sockaddr_storage peer;
    struct buf bytes;
    uint64_t due_ms;
    int fd;
    bool polled;
};

static void on_poll_closed(uv_handle_t *uv) {
    free(CONTAINER_OF(uv, struct guest, poll));
}

/* Ends the guest but for its descriptor, which is the caller's now. */
static int leave(struct guest *guest) {
    int fd = guest->fd;
    list_remove(&guest->link);
    if (--guest->lobby->count == 0)
        timer_stop(&guest->lobby->tick);
    buf_done(&guest->bytes);
    if (guest->polled)
        uv_close((uv_handle_t *)&guest->poll, on_poll_closed);
    else
        free(guest);
    return fd;
}

static void turn_away(struct guest *guest, const char *why) {
    struct tcp_lobby *lobby = guest->lobby;
    struct sockaddr_storage peer = guest->peer;
    close(leave(guest));
    lobby->config.on_refused(lobby->config.data, &peer, why);
}

static void let_in(struct guest *guest, const struct proxy_header *header) {
    struct tcp_lobby *lobby = guest->lobby;
    struct sockaddr_storage peer = header->has_source ? header->source : guest->peer;
    int fd = leave(guest);
    lobby->config.on_arrival(lobby->config.data, fd, &peer);
}

static void on_readable(uv_poll_t *poll, int status, int events);

static void wait_on(struct guest *guest) {
    if (guest->polled)
        return;
    int failed = uv_poll_init(loop_uv(guest->lobby->loop), &guest->poll, guest->fd);
    ASSERT(!failed);
    guest->polled = true;
    failed = uv_poll_start(&guest->poll, UV_READABLE, on_readable);
    ASSERT(!failed);
}

/* Reads as far as the header goes. */
static void read_on(struct guest *guest) {
    for (;;) {
        struct proxy_header header;
        int code = proxy_read(buf_at(&guest->bytes), buf_len(&guest->bytes), &header);
        if (code == 0) {
            let_in(guest, &header);
            return;
        }
        if (code != ERR_AGAIN) {
            turn_away(guest, header.error);
            return;
        }
        size_t wanted = header.bytes - buf_len(&guest->bytes);
        ssize_t len = recv(guest->fd, buf_room(&guest->bytes, wanted), wanted, 0);
        if (len <= 0) {
            if (len < 0 && errno == EAGAIN)
                wait_on(guest);
            else
                turn_away(guest, "closed before its PROXY header");
            return;
        }
        buf_added(&guest->bytes, (size_t)len);
    }
}

static void on_readable(uv_poll_t *poll, int status, int events) {
    read_on(CONTAINER_OF(poll, struct guest, poll));
}

static void on_tick(struct timer *timer) {
    struct tcp_lobby *lobby = CONTAINER_OF(timer, struct tcp_lobby, tick);
    uint64_t now_ms = loop_now_ms(lobby->loop);
    while (!list_empty(&lobby->guests)) {
        struct guest *first = LIST_ITEM(lobby->guests.next, struct guest, link);
        if (first->due_ms > now_ms)
            return;
        turn_away(first, "no PROXY header in time");
    }
}

struct tcp_lobby *tcp_lobby_new(struct loop *loop, const struct tcp_lobby_config *config) {
    struct tcp_lobby *lobby = xcalloc(1, sizeof *lobby);
    lobby->loop = loop;
    lobby->config = *config;
    list_init(&lobby->guests);
    return lobby;
}

void tcp_lobby_enter(struct tcp_lobby *lobby, int fd, const struct sockaddr_storage *peer) {
    struct guest *guest = xcalloc(1, sizeof *guest);
    guest->lobby = lobby;
    guest->fd = fd;
    guest->peer = *peer;
    guest->due_ms = loop_now_ms(lobby->loop) + lobby->config.timeout_ms;
    list_push_back(&lobby->guests, &guest->link);
    if (lobby->count++ == 0)
        timer_start(lobby->loop, &lobby->tick, LOBBY_TICK_MS, LOBBY_TICK_MS, on_tick);
    if (lobby->count > LOBBY_MAX)
        turn_away(guest, "too many connections wait for their PROXY header");
    else
        read_on(guest);
}

static void on_tick_closed(struct timer *timer) {
    free(CONTAINER_OF(timer, struct tcp_lobby, tick));
}

void tcp_lobby_close(struct tcp_lobby *lobby) {
    if (!lobby)
        return;
    while (!list_empty(&lobby->guests))
        close(leave(LIST_ITEM(lobby->guests.next, struct guest, link)));
    timer_close(&lobby->tick, on_tick_closed);
}
