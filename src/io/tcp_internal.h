/* What the halves of TCP (connections in tcp.c, listeners and addresses in tcp_listen.c) share. */
#ifndef IO_TCP_INTERNAL_H
#define IO_TCP_INTERNAL_H

#include "io/tcp.h"

/* Begins the life of an accepted connection; takes `fd`, which does not block. */
void tcp_open_accepted(struct loop *loop, struct tcp *tcp, int fd, struct tls_context *tls);

#endif
