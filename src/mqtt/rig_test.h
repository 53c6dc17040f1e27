/* What the tests of the broker expect of it, in bytes. */
#ifndef MQTT_RIG_TEST_H
#define MQTT_RIG_TEST_H

#include "base/test.h"

#include "mqtt/rig.h"

static inline void print_bytes(const char *what, struct str bytes) {
    print_error("%s:", what);
    for (size_t i = 0; i < bytes.len; i++)
        print_error(" %02x", (unsigned char)bytes.at[i]);
    print_error("\n");
}

/* All that the broker has written since the last look is exactly this. */
#define assert_received(peer, hex)                                                                 \
    do {                                                                                           \
        struct buf wanted_ = {0};                                                                  \
        hex_parse(&wanted_, hex);                                                                  \
        bool same_ = str_eq(buf_str(&(peer)->in), buf_str(&wanted_));                              \
        if (!same_) {                                                                              \
            print_bytes("wanted  ", buf_str(&wanted_));                                            \
            print_bytes("received", buf_str(&(peer)->in));                                         \
        }                                                                                          \
        buf_done(&wanted_);                                                                        \
        buf_clear(&(peer)->in);                                                                    \
        assert_true(same_);                                                                        \
    } while (0)

/* Of two-character client id `id`, with CONNACK checked: 3.1.1 or 5.0, clean, no keep alive. */
static inline void peer_connect_311(struct peer *peer, struct rig *rig, const char *id) {
    char hex[64];
    peer_open(peer, rig);
    snprintf(hex, sizeof hex, "10 0e 0004'MQTT'04 02 0000 0002'%.2s'", id);
    peer_send(peer, hex);
    assert_received(peer, "20 02 00 00");
}

/*
 * receive maximum, maximum packet size, topic alias maximum, shared subscriptions
 */
#define CONNACK_5 "20 10 00 00 0d 21 0400 27 00200000 22 0010 2a 01"

static inline void peer_send_connect_5(struct peer *peer, struct rig *rig, const char *id) {
    char hex[64];
    peer_open(peer, rig);
    snprintf(hex, sizeof hex, "10 0f 0004'MQTT'05 02 0000 00 0002'%.2s'", id);
    peer_send(peer, hex);
}

static inline void peer_connect_5(struct peer *peer, struct rig *rig, const char *id) {
    peer_send_connect_5(peer, rig, id);
    assert_received(peer, CONNACK_5);
}

/* The same where the configuration makes another CONNACK. */
static inline void peer_begin_5(struct peer *peer, struct rig *rig, const char *id) {
    peer_send_connect_5(peer, rig, id);
    buf_clear(&peer->in);
}

/* Makes the client of an open connection another principal's. */
static inline void peer_set_principal(struct peer *peer, enum principal_kind kind,
                                      struct str principal) {
    struct mqtt_connection *connection = peer->connection;
    struct map *clients = &connection->worker->clients;
    map_remove(clients, connection_client_id(connection));
    connect_set_principal(connection, kind, principal);
    map_put(clients, connection_client_id(connection), connection);
}

#endif
