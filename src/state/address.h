/* Where a Redis is and how to be let in, read from its URL. */
#ifndef STATE_ADDRESS_H
#define STATE_ADDRESS_H

#include <stdint.h>

#include "base/err.h"

struct state_address {
    char *path; /* of a unix socket; NULL: TCP */
    char *host; /* name or number, an IPv6 address without its brackets; NULL with `path` */
    uint16_t port;
    char *user, *password; /* NULL: none */
    unsigned database;
    char *place; /* for people: "127.0.0.1:6379" or the path; holds no secret */
};

/*
 * redis://[[user]:password@]host[:port][/database], the password percent-encoded where it must be,
 * or unix:///path. The port is 6379 when absent. `err` never shows user or password.
 */
int state_address_parse(const char *url, struct state_address *ret_address, struct err *err);

/* The address of a socket. */
struct state_address state_address_unix(const char *path);

/* Zeroed is fine. */
void state_address_done(struct state_address *address);

#endif
