/* What the parts of TCP (connections in tcp.c, listeners and addresses in tcp_listen.c, connections
 * whose PROXY header has not come in tcp_lobby.c) share. */
#ifndef IO_TCP_INTERNAL_H
#define IO_TCP_INTERNAL_H

#include "io/tcp.h"

/* Begins the life of an accepted connection; takes `fd`, which does not block. */
void tcp_open_accepted(struct loop *loop, struct tcp *tcp, int fd, struct tls_context *tls);

/* ---- tcp_lobby.c ---- */

struct tcp_lobby;

struct tcp_lobby_config {
    unsigned timeout_ms;
    /* The header is read: takes `fd`. May close the lobby. */
    void (*on_arrival)(void *data, int fd, const struct sockaddr_storage *peer);
    /* The connection was closed; `peer` is the socket's. */
    void (*on_refused)(void *data, const struct sockaddr_storage *peer, const char *why);
    void *data;
};

struct tcp_lobby *tcp_lobby_new(struct loop *loop, const struct tcp_lobby_config *config);

/* Takes `fd`, which does not block. */
void tcp_lobby_enter(struct tcp_lobby *lobby, int fd, const struct sockaddr_storage *peer);

/* Closes all that wait, without on_refused. NULL is fine. */
void tcp_lobby_close(struct tcp_lobby *lobby);

#endif
