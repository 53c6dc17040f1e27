/*
 * The PROXY protocol, version 2 (haproxy.org/download/2.8/doc/proxy-protocol.txt, section 2.2): what
 * a balancer says about a connection before the connection's own first byte. Pure functions over
 * bytes.
 */
#ifndef IO_PROXY_H
#define IO_PROXY_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* PROXY_BYTES_MAX: addresses and TLVs of a header; a longer one is refused. */
enum { PROXY_HEAD_BYTES = 16, PROXY_BYTES_MAX = 4096 };

struct proxy_header {
    /* of the whole header; while only its beginning is there, those needed to go on */
    size_t bytes;
    bool has_source; /* false: LOCAL, or an address family without addresses: the socket's peer
                        counts */
    struct sockaddr_storage source;
    const char *error; /* static; what is wrong with it */
};

/*
 * Reads a header from its beginning. 0: it is whole. ERR_AGAIN: ret->bytes of it are needed.
 * ERR_INVALID or ERR_TOO_LARGE: ret->error says why; told as soon as it can be known.
 */
int proxy_read(const uint8_t *at, size_t len, struct proxy_header *ret);

#endif
