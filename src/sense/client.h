/*
 * A small MQTT 3.1.1 publisher: connects, publishes with QoS 1, counts what is acknowledged,
 * reconnects with back-off. One loop, one thread. Messages that were under way when a connection
 * broke are sent again with DUP on the next (MQTT 3.1.1 section 4.4); at most CLIENT_INFLIGHT_MAX
 * wait for their PUBACK.
 */
#ifndef SENSE_CLIENT_H
#define SENSE_CLIENT_H

#include <stdbool.h>

#include "base/str.h"
#include "io/tcp.h"

struct sense_client;

enum { CLIENT_INFLIGHT_MAX = 256 };

struct sense_client_config {
    struct sockaddr_storage address;
    struct tls_context *tls; /* NULL: plain */
    const char *host;        /* for TLS */
    const char *client_id;
    const char *user, *password; /* NULL: none */
    void (*on_fatal)(void *data,
                     const char *why); /* refused for good: bad credentials, bad client id */
    void *data;
};

struct sense_client *sense_client_new(struct loop *loop, const struct sense_client_config *config);

/* Sends DISCONNECT, closes; asynchronous, then the memory is gone and `closed` runs. */
void sense_client_close(struct sense_client *client, void (*closed)(void *data), void *data);

/* False when not connected or when CLIENT_INFLIGHT_MAX are under way: nothing is kept. */
bool sense_client_publish(struct sense_client *client, struct str topic, struct str payload);

/* Acknowledged so far; under way now. */
uint64_t sense_client_acknowledged(const struct sense_client *client);
unsigned sense_client_inflight(const struct sense_client *client);

#endif
