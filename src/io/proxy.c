/*
 * The header of version 2:
 *
 *      0    12 bytes   0d 0a 0d 0a 00 0d 0a 51 55 49 54 0a
 *      12   1          version (2) << 4 | command: 0 LOCAL, 1 PROXY
 *      13   1          address family << 4 | protocol: 0x11 TCP over IPv4, 0x21 TCP over IPv6, 0x31
 *                      a UNIX stream, 0x00 not told
 *      14   2          bytes behind this, big-endian
 *      16              source and destination address, source and destination port, then TLVs
 *
 * LOCAL is the balancer's own connection (a health check), and a family without IP addresses tells
 * nothing of use: both keep the address of the socket. TLVs are passed over. Version 1, which is a
 * line of text, is refused: it cannot be told from a client's bytes as surely, and whoever speaks it
 * speaks version 2 as well.
 */
#include "io/proxy.h"

#include <string.h>

#include "base/err.h"

enum { COMMAND_LOCAL = 0x20, COMMAND_PROXY = 0x21, ADDRESSES_V4 = 12, ADDRESSES_V6 = 36 };

static const uint8_t signature[] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
                                    0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};

static int refuse(struct proxy_header *ret, int code, const char *why) {
    ret->error = why;
    return code;
}

static int check_signature(const uint8_t *at, size_t len, struct proxy_header *ret) {
    size_t have = len < sizeof signature ? len : sizeof signature;
    if (have == 0 || memcmp(at, signature, have) == 0)
        return 0;
    bool v1 = memcmp(at, "PROXY ", have < 6 ? have : 6) == 0;
    return refuse(ret, ERR_INVALID,
                  v1 ? "PROXY protocol version 1; only version 2 is spoken here"
                     : "no PROXY protocol header");
}

static void take_v4(const uint8_t *at, struct proxy_header *ret) {
    struct sockaddr_in *source = (struct sockaddr_in *)&ret->source;
    source->sin_family = AF_INET;
    memcpy(&source->sin_addr, at, sizeof source->sin_addr);
    memcpy(&source->sin_port, at + 8, sizeof source->sin_port);
    ret->has_source = true;
}

static void take_v6(const uint8_t *at, struct proxy_header *ret) {
    struct sockaddr_in6 *source = (struct sockaddr_in6 *)&ret->source;
    source->sin6_family = AF_INET6;
    memcpy(&source->sin6_addr, at, sizeof source->sin6_addr);
    memcpy(&source->sin6_port, at + 32, sizeof source->sin6_port);
    ret->has_source = true;
}

static int take_addresses(const uint8_t *at, struct proxy_header *ret) {
    size_t bytes = ret->bytes - PROXY_HEAD_BYTES;
    uint8_t family = at[13];
    at += PROXY_HEAD_BYTES;
    switch (family) {
    case 0x00:
    case 0x31:
        return 0;
    case 0x11:
        if (bytes < ADDRESSES_V4)
            break;
        take_v4(at, ret);
        return 0;
    case 0x21:
        if (bytes < ADDRESSES_V6)
            break;
        take_v6(at, ret);
        return 0;
    default:
        return refuse(ret, ERR_INVALID, "PROXY header of a protocol other than TCP");
    }
    return refuse(ret, ERR_INVALID, "PROXY header too short for its addresses");
}

int proxy_read(const uint8_t *at, size_t len, struct proxy_header *ret) {
    *ret = (struct proxy_header){.bytes = PROXY_HEAD_BYTES};
    int failed = check_signature(at, len, ret);
    if (failed)
        return failed;
    if (len < PROXY_HEAD_BYTES)
        return ERR_AGAIN;
    if (at[12] != COMMAND_LOCAL && at[12] != COMMAND_PROXY)
        return refuse(ret, ERR_INVALID, "PROXY header of another version or command");
    size_t behind = (size_t)at[14] << 8 | at[15];
    if (behind > PROXY_BYTES_MAX)
        return refuse(ret, ERR_TOO_LARGE, "PROXY header too large");
    ret->bytes += behind;
    if (len < ret->bytes)
        return ERR_AGAIN;
    return at[12] == COMMAND_PROXY ? take_addresses(at, ret) : 0;
}
