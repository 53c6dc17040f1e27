/*
 * Addresses, and listeners. A listener polls its socket and accepts until the kernel has no more,
 * but at most ACCEPT_TURN_MAX per turn so that the connections that exist get their share. When the
 * process has no descriptor left, or the owner says so (delay_ms), it stops accepting for a moment;
 * the peers wait in the kernel's queue meanwhile.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "io/tcp_internal.h"

enum {
    BACKLOG = 4096, /* the kernel takes no more than net.core.somaxconn */
    ACCEPT_TURN_MAX = 256,
    ACCEPT_PAUSE_MS = 100,
    ACCEPT_LOG_INTERVAL_MS = 10000,
};

struct tcp_listener {
    uv_poll_t poll;
    struct timer pause;
    struct loop *loop;
    struct tcp_listen_options options;
    struct tcp_lobby *lobby; /* NULL: without PROXY protocol */
    tcp_accept_cb *on_accept;
    void *data;
    struct log_limit log_limit;
    int fd; /* -1: closing */
};

static bool parse_host(struct str host, uint16_t port, struct sockaddr_storage *ret_address) {
    char text[INET6_ADDRSTRLEN];
    bool bracketed = host.len > 2 && host.at[0] == '[' && host.at[host.len - 1] == ']';
    if (bracketed)
        host = str_from(host.at + 1, host.len - 2);
    else if (str_eq(host, STR("localhost")))
        host = STR("127.0.0.1");
    if (host.len >= sizeof text)
        return false;
    memcpy(text, host.at, host.len);
    text[host.len] = '\0';
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    struct sockaddr_storage address = {0};
    if (bracketed ? inet_pton(AF_INET6, text, &v6.sin6_addr) != 1
                  : inet_pton(AF_INET, text, &v4.sin_addr) != 1)
        return false;
    memcpy(&address, bracketed ? (void *)&v6 : (void *)&v4, bracketed ? sizeof v6 : sizeof v4);
    *ret_address = address;
    return true;
}

int tcp_address(const char *text, struct sockaddr_storage *ret_address, struct err *err) {
    const char *colon = strrchr(text, ':');
    uint64_t port;
    if (!colon || !str_to_u64(str_of(colon + 1), &port) || port > UINT16_MAX)
        return err_set(err, ERR_INVALID,
                       "address \"%s\": a port from 0 to 65535 must follow the last colon", text);
    if (!parse_host(str_from(text, (size_t)(colon - text)), (uint16_t)port, ret_address))
        return err_set(
            err, ERR_INVALID,
            "address \"%s\": the host must be an IPv4 address, an IPv6 address in brackets, "
            "or localhost",
            text);
    return 0;
}

bool tcp_address_is_loopback(const struct sockaddr_storage *address) {
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
        return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
    }
    const struct in6_addr *v6 = &((const struct sockaddr_in6 *)address)->sin6_addr;
    return address->ss_family == AF_INET6 &&
           (IN6_IS_ADDR_LOOPBACK(v6) || (IN6_IS_ADDR_V4MAPPED(v6) && v6->s6_addr[12] == 127));
}

static socklen_t address_len(const struct sockaddr_storage *address) {
    return address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                          : sizeof(struct sockaddr_in);
}

int tcp_address_probe(const struct sockaddr_storage *address, struct err *err) {
    int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_set_errno(err, errno, "socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    int failed = bind(fd, (const struct sockaddr *)address, address_len(address));
    int why = errno;
    close(fd);
    if (!failed)
        return 0;
    char text[TCP_ADDRESS_CHARS];
    tcp_address_text(address, text);
    if (why == EADDRINUSE)
        return err_set(err, ERR_EXISTS, "%s: another program listens there", text);
    return err_set_errno(err, why, "%s", text);
}

void tcp_address_text(const struct sockaddr_storage *address, char ret_text[TCP_ADDRESS_CHARS]) {
    char host[INET6_ADDRSTRLEN];
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
        inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
        snprintf(ret_text, TCP_ADDRESS_CHARS, "%s:%u", host, ntohs(v4->sin_port));
    } else {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
        inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
        snprintf(ret_text, TCP_ADDRESS_CHARS, "[%s]:%u", host, ntohs(v6->sin6_port));
    }
}

static void on_acceptable(uv_poll_t *poll, int status, int events);

static void watch(struct tcp_listener *listener) {
    int failed = uv_poll_start(&listener->poll, UV_READABLE, on_acceptable);
    ASSERT(!failed);
}

static void on_pause_over(struct timer *timer) {
    watch(CONTAINER_OF(timer, struct tcp_listener, pause));
}

static void pause_accepting(struct tcp_listener *listener, unsigned pause_ms) {
    uv_poll_stop(&listener->poll);
    timer_start(listener->loop, &listener->pause, pause_ms, 0, on_pause_over);
}

static void say_exhausted(struct tcp_listener *listener, int errno_value) {
    unsigned missed;
    if (log_limit_pass(&listener->log_limit, ACCEPT_LOG_INTERVAL_MS, &missed))
        log_warn("io", "cannot accept connections: %s (%u more like this); they wait",
                 strerror(errno_value), missed);
}

static void on_arrival(void *data, int fd, const struct sockaddr_storage *peer) {
    struct tcp_listener *listener = data;
    struct tls_context *tls = listener->options.tls;
    struct loop *loop = listener->loop;
    struct tcp *tcp = listener->on_accept(listener->data, peer);
    if (tcp)
        tcp_open_accepted(loop, tcp, fd, tls);
    else
        close(fd);
}

static void on_refused(void *data, const struct sockaddr_storage *peer, const char *why) {
    struct tcp_listener *listener = data;
    if (listener->options.on_refused)
        listener->options.on_refused(listener->data, peer, why);
}

static bool must_wait(struct tcp_listener *listener) {
    unsigned pause_ms = listener->options.delay_ms ? listener->options.delay_ms(listener->data) : 0;
    if (pause_ms)
        pause_accepting(listener, pause_ms);
    return pause_ms != 0;
}

static void on_acceptable(uv_poll_t *poll, int status, int events) {
    struct tcp_listener *listener = CONTAINER_OF(poll, struct tcp_listener, poll);
    for (int i = 0; i < ACCEPT_TURN_MAX && listener->fd >= 0 && !must_wait(listener); i++) {
        struct sockaddr_storage peer = {0};
        socklen_t size = sizeof peer;
        int fd =
            accept4(listener->fd, (struct sockaddr *)&peer, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0 && listener->lobby) {
            tcp_lobby_enter(listener->lobby, fd, &peer);
        } else if (fd >= 0) {
            on_arrival(listener, fd, &peer);
        } else if (errno == EAGAIN) {
            return;
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            say_exhausted(listener, errno);
            pause_accepting(listener, ACCEPT_PAUSE_MS);
            return;
        } /* Any other error is that of one connection that ended in the queue: the next one. */
    }
}

/* Connections inherit TCP_NODELAY from the socket that they came through. */
static int open_listening(struct sockaddr_storage *address, int *ret_fd) {
    int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    int on = 1;
    socklen_t size = address_len(address);
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
        bind(fd, (const struct sockaddr *)address, size) != 0 || listen(fd, BACKLOG) != 0 ||
        getsockname(fd, (struct sockaddr *)address, &size) != 0) {
        int errno_value = errno;
        close(fd);
        return errno_value;
    }
    *ret_fd = fd;
    return 0;
}

static struct tcp_lobby *make_lobby(struct tcp_listener *listener) {
    const struct tcp_lobby_config config = {.timeout_ms = listener->options.proxy_timeout_ms,
                                            .on_arrival = on_arrival,
                                            .on_refused = on_refused,
                                            .data = listener};
    return tcp_lobby_new(listener->loop, &config);
}

int tcp_listen_with(struct loop *loop, struct sockaddr_storage *address,
                    const struct tcp_listen_options *options, tcp_accept_cb *on_accept, void *data,
                    struct tcp_listener **ret_listener, struct err *err) {
    int fd = -1;
    int errno_value = open_listening(address, &fd);
    if (errno_value) {
        char text[TCP_ADDRESS_CHARS];
        tcp_address_text(address, text);
        return err_set_errno(err, errno_value, "cannot listen on %s", text);
    }
    struct tcp_listener *listener = xcalloc(1, sizeof *listener);
    listener->loop = loop;
    listener->fd = fd;
    listener->options = *options;
    if (options->proxy_protocol)
        listener->lobby = make_lobby(listener);
    listener->on_accept = on_accept;
    listener->data = data;
    int failed = uv_poll_init(loop_uv(loop), &listener->poll, fd);
    ASSERT(!failed);
    watch(listener);
    *ret_listener = listener;
    return 0;
}

int tcp_listen(struct loop *loop, struct sockaddr_storage *address, struct tls_context *tls,
               tcp_accept_cb *on_accept, void *data, struct tcp_listener **ret_listener,
               struct err *err) {
    const struct tcp_listen_options options = {.tls = tls};
    return tcp_listen_with(loop, address, &options, on_accept, data, ret_listener, err);
}

static void on_pause_closed(struct timer *timer) {
    free(CONTAINER_OF(timer, struct tcp_listener, pause));
}

static void on_poll_closed(uv_handle_t *uv) {
    timer_close(&CONTAINER_OF(uv, struct tcp_listener, poll)->pause, on_pause_closed);
}

void tcp_listener_close(struct tcp_listener *listener) {
    if (!listener)
        return;
    timer_stop(&listener->pause);
    tcp_lobby_close(listener->lobby);
    listener->lobby = NULL;
    uv_close((uv_handle_t *)&listener->poll, on_poll_closed);
    close(listener->fd);
    listener->fd = -1;
}
