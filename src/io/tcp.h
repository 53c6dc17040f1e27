/*
 * TCP connections, plain or under TLS, on one loop.
 *
 * A `struct tcp` is embedded in its owner. What is written gathers in its out buffer and leaves
 * with one system call at the end of the loop turn; under TLS it is encrypted then. All of it
 * belongs to the loop's thread.
 *
 * Life: tcp_listen() gives connections through on_accept, tcp_connect() makes one. tcp_close() (or
 * the peer, or an error) ends it; on_close runs exactly once, last, never before the call that
 * caused it returns, and only then is the memory the owner's again.
 */
#ifndef IO_TCP_H
#define IO_TCP_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/metric.h"
#include "io/loop.h"
#include "io/tls.h"

struct tcp;

struct tcp_events {
    /* Bytes arrived (decrypted). They are valid only during the call. The handler may call
     * tcp_close() and tcp_read_stop(). */
    void (*on_read)(struct tcp *tcp, const uint8_t *at, size_t len);
    /* The out buffer fell below TCP_LOW_WATER after having stood above TCP_HIGH_WATER
     * (tcp_is_full). May be NULL. */
    void (*on_drain)(struct tcp *tcp);
    /* The end. `reason`: 0 closed by tcp_close(), ERR_CLOSED by the peer, else what failed (err.h);
     * tcp->error_text says more. */
    void (*on_close)(struct tcp *tcp, int reason);
    /* tcp_connect() only: connected and, under TLS, verified. A failure comes as on_close. */
    void (*on_connect)(struct tcp *tcp);
    /* The peer will send nothing more (its FIN came). NULL: the connection is closed with
     * ERR_CLOSED after what is in the out buffer was sent. */
    void (*on_end)(struct tcp *tcp);
};

enum { TCP_HIGH_WATER = 256 * 1024, TCP_LOW_WATER = 64 * 1024 };

struct tcp {
    uv_tcp_t uv;
    struct loop *loop;
    const struct tcp_events *events;
    struct tls *tls; /* NULL: plain */
    struct buf out; /* not yet handed to the kernel (plain text also under TLS); freed when empty */
    /* in the loop's list of connections with something to send, or that linger */
    struct link flush;
    struct uv_write_s *write; /* the kernel's buffer was full: the rest is under way */
    struct metric *sent; /* counts the bytes (plain ones under TLS) that leave; NULL: nobody does */
    const char *error_text;   /* why it ended, for the log; valid until on_close returns */
    uint64_t linger_until_ms; /* after tcp_close_after_flush(): closed then at the latest */
    int reason;
    bool outgoing;  /* made by tcp_connect() */
    bool connected; /* and, under TLS, the handshake is finished */
    bool ended;     /* the peer's FIN came */
    bool broken;    /* a write failed because the peer is gone; what it sent before is still read */
    bool reading, closing, shut_after_flush, was_full;
};

/* An address as configuration writes it: "127.0.0.1:1883", "[::1]:0", "localhost:80" (numeric or
 * localhost only). */
int tcp_address(const char *text, struct sockaddr_storage *ret_address, struct err *err);
bool tcp_address_is_loopback(const struct sockaddr_storage *address);

/* "127.0.0.1:1883" */
enum { TCP_ADDRESS_CHARS = 64 };
void tcp_address_text(const struct sockaddr_storage *address, char ret_text[TCP_ADDRESS_CHARS]);

/*
 * EXISTS if somebody listens at the address already: SO_REUSEPORT would let a second program of the
 * same user share the port unnoticed, so it is asked once before a process listens. Port 0 is
 * always free.
 */
int tcp_address_probe(const struct sockaddr_storage *address, struct err *err);

struct tcp_listener;

/*
 * A connection arrived: the owner returns its embedded, zeroed `struct tcp` (its `events` set), or
 * NULL to refuse. `peer` is valid during the call. Reading starts by itself; under TLS after the
 * handshake.
 */
typedef struct tcp *tcp_accept_cb(void *data, const struct sockaddr_storage *peer);

/* All members may be zero. */
struct tcp_listen_options {
    struct tls_context *tls; /* must outlive the listener */
    bool proxy_protocol; /* each connection begins with a PROXY header (proxy.h), before TLS; the
                                address that it names is the peer of on_accept */
    unsigned proxy_timeout_ms; /* until when it must have come */
    /* A connection ended before its header was read. May be NULL. */
    void (*on_refused)(void *data, const struct sockaddr_storage *peer, const char *why);
    /* Asked before a connection is accepted: 0, or for how many milliseconds all that arrive are to
     * wait in the kernel's queue. May be NULL. */
    unsigned (*delay_ms)(void *data);
};

/*
 * Listens with SO_REUSEPORT, so that each worker may have its own listener on the same port;
 * `address` gets the real port when it was 0. `data` is given to all callbacks.
 */
int tcp_listen_with(struct loop *loop, struct sockaddr_storage *address,
                    const struct tcp_listen_options *options, tcp_accept_cb *on_accept, void *data,
                    struct tcp_listener **ret_listener, struct err *err);

/* The same with nothing but `tls`, which may be NULL. */
int tcp_listen(struct loop *loop, struct sockaddr_storage *address, struct tls_context *tls,
               tcp_accept_cb *on_accept, void *data, struct tcp_listener **ret_listener,
               struct err *err);

/* Stops accepting; existing connections live on. Frees the listener by itself, later. NULL is fine. */
void tcp_listener_close(struct tcp_listener *listener);

/* Begins to connect; `tcp` is zeroed but for events. `host` is for TLS verification and SNI.
 * Failure comes by on_close. */
void tcp_connect(struct loop *loop, struct tcp *tcp, const struct sockaddr_storage *address,
                 struct tls_context *tls, const char *host);

/*
 * The out buffer, to encode straight into; it is sent at the end of the turn, or when the
 * connection stands. After tcp_close() or tcp_close_after_flush() it is a buffer that is thrown
 * away. The pointer is valid until the handler returns, and not beyond a close.
 */
struct buf *tcp_out(struct tcp *tcp);

static inline void tcp_write(struct tcp *tcp, const void *at, size_t len) {
    buf_add(tcp_out(tcp), at, len);
}

/* Bytes not yet taken by the kernel. */
size_t tcp_pending(const struct tcp *tcp);

/* Above TCP_HIGH_WATER: the owner should stop producing until on_drain. */
bool tcp_is_full(const struct tcp *tcp);

/* Back-pressure: nothing is read until tcp_read_start(). A peer that vanishes meanwhile is noticed
 * when reading again. */
void tcp_read_stop(struct tcp *tcp);
void tcp_read_start(struct tcp *tcp);

/* Closes at once; what is in the out buffer is dropped. May be called again; only the first counts. */
void tcp_close(struct tcp *tcp);

/*
 * Sends what is in the out buffer (for at most 5 s), ends the sending side, waits at most 1 s for
 * the peer's end so that no reset overtakes the last bytes, then closes. Nothing more is read or
 * taken for sending. Closes at once when the connection does not stand yet.
 */
void tcp_close_after_flush(struct tcp *tcp);

#endif
