/*
 * A client's connection: its transport, what came and was not handled yet, what the CONNECT said, and its
 * end. Belongs to its worker's thread.
 */
#ifndef MQTT_CONNECTION_H
#define MQTT_CONNECTION_H

#include "io/tcp.h"
#include "mqtt/journal.h"
#include "mqtt/mqtt.h"
#include "mqtt/packet.h"
#include "mqtt/publication.h"

struct mqtt_worker;
struct session;
struct held;

enum connection_state {
    CONNECTION_NEW,            /* CONNECT is due */
    CONNECTION_AUTHENTICATING, /* by AUTH packets; auth.c */
    CONNECTION_JOINING,        /* CONNECT came; credentials or take-over are under way */
    CONNECTION_OPEN,
    CONNECTION_ENDED, /* the transport may still be there, and references */
};

/* Bytes that came and could not be handled yet: a split packet, or all while the connection is
 * parked. */
struct inbox {
    struct buf bytes;
    size_t scanned;          /* PINGREQs before this have been answered */
    uint32_t pings_answered; /* and are to be skipped when their turn comes */
};

struct will {
    struct publication publication; /* views into `bytes` */
    uint32_t delay_s;
    char bytes[];
};

struct authority;
struct auth;
struct pace;

/* What the principal of a connection is. */
enum principal_kind { PRINCIPAL_NONE, PRINCIPAL_USER, PRINCIPAL_CERTIFICATE };
struct aliases_told;

/* What a client has published and was sent, for people. */
struct connection_counts {
    uint64_t received, received_bytes, sent, sent_bytes, dropped;
};

/* What a connection over a foreign transport has in place of `tcp`. */
struct foreign {
    struct link writing; /* in the worker's list of those with gathered bytes */
    struct mqtt_connection *connection;
    const struct mqtt_transport_ops *ops;
    void *transport;
    struct buf gather; /* what leaves at the end of the turn */
};

struct mqtt_connection {
    struct mqtt_worker *worker;
    struct link link, parked, wheel;
    struct tcp *tcp; /* or `foreign` */
    struct foreign *foreign;
    const struct mqtt_listener_config *listener; /* NULL: none, a foreign transport */
    struct authority *authority;                 /* NULL: it may do everything; authorize.h */
    struct auth *auth;                           /* an exchange of AUTH packets; or NULL */
    struct pace *pace;                           /* NULL: no rates; limits.h */
    struct session *session;                     /* while OPEN */
    struct inbox *inbox;
    struct held *held;
    struct journal_output *output;     /* the newest that waits for the journal */
    struct str *aliases;               /* the client's, topic_alias_max + 1 of them; alias.h */
    struct aliases_told *aliases_told; /* the broker's; NULL: the client takes none */
    struct will *will;
    char *names;      /* client id, principal and peer, one behind the other */
    const char *peer; /* "127.0.0.1:1234", in `names` */
    struct connection_counts counts;
    uint64_t number;       /* of all connections of this run */
    uint64_t connected_ms; /* wall time; since it is OPEN */
    uint32_t session_expiry_s;
    uint32_t references;
    uint32_t seen_s;           /* wheel time of the last bytes */
    uint32_t connect_due_s;    /* wheel time until which the client must be connected */
    uint32_t packet_bytes_max; /* the client's; 0: no limit */
    uint16_t client_id_bytes, principal_bytes;
    uint16_t keep_alive_s, receive_max;
    uint8_t ip_at, ip_bytes; /* the address in `peer`, without port and brackets */
    uint8_t version;         /* 0 before CONNECT */
    uint8_t state;
    uint8_t principal_kind;
    uint8_t end_reason; /* why the broker has ended it; 0: it has not */
    bool ended_by_client : 1;
    /* What the CONNACK says or the client may do. */
    bool anonymous : 1, id_assigned : 1, clean_start : 1, wants_expiry : 1, expiry_capped : 1,
        keep_alive_set : 1;
    bool
        waiting : 1; /* for credentials, a take-over or an interest: nothing is handled meanwhile */
    bool fed_crowd : 1;       /* it published to a session that makes publishers wait; crowd.c */
    bool reading_stopped : 1; /* too much waits in the inbox, or to be sent */
    bool peer_ended : 1; /* the client has closed its side: the end comes when the inbox is empty */
    bool closing : 1, detached : 1;
    bool session_present : 1;
    bool
        after_end : 1; /* a session of the client has just ended: CONNACK waits until that is certain */
    bool settled : 1;     /* in the worker's list of connections, not of newcomers */
    bool by_scram : 1;    /* CONNECT named the method */
    bool ca_verified : 1; /* the certificate, by the listener's CA */
};

/* NULL when connections_max is reached. The caller sets `tcp`, or calls connection_set_transport();
 * the one reference is the transport's. */
struct mqtt_connection *connection_new(struct mqtt_worker *worker, const char *peer,
                                       bool anonymous);
void connection_set_transport(struct mqtt_connection *connection,
                              const struct mqtt_transport_ops *ops, void *transport);
void connection_ref(struct mqtt_connection *connection);
void connection_unref(struct mqtt_connection *connection);

static inline struct str connection_client_id(const struct mqtt_connection *connection) {
    return str_from(connection->names, connection->client_id_bytes);
}

static inline struct str connection_principal(const struct mqtt_connection *connection) {
    return str_from(connection->names + connection->client_id_bytes, connection->principal_bytes);
}

/* The connection has been answered, or has ended: it is no newcomer any more. */
void connection_settle(struct mqtt_connection *connection);

/* Of the packets that the client may send now. */
size_t connection_packet_bytes_max(const struct mqtt_connection *connection);

/* NULL: it is not protected. */
const struct tls *connection_tls(const struct mqtt_connection *connection);

/* Where packets for the client are written. Valid until the next turn. */
struct buf *connection_out(struct mqtt_connection *connection);
size_t connection_pending(const struct mqtt_connection *connection);

void connection_free_inbox(struct mqtt_connection *connection);

/* Out of the worker's list of those that wait for room, if it is there. */
void connection_unpark(struct mqtt_connection *connection);

/* Sends what was written, then closes the transport. Only the first call counts. */
void connection_close(struct mqtt_connection *connection);

/* Hands gathered bytes to the foreign transport. */
void connection_write_gathered(struct mqtt_connection *connection);

static inline struct str connection_ip(const struct mqtt_connection *connection) {
    return str_from(connection->peer + connection->ip_at, connection->ip_bytes);
}

/* The client has closed its side of the connection: what it sent before is still handled. */
void connection_peer_ended(struct mqtt_connection *connection);

/* Reads from the client, or does not, as bounds and stopping want it. */
void input_update_reading(struct mqtt_connection *connection);

/* Goes on with what the inbox holds. */
void connection_resume(struct mqtt_connection *connection);

/*
 * The end, from the broker's side: tells the client why (5.0; before CONNECT was answered as
 * CONNACK) and closes. The will is published. Nothing happens when it has ended already.
 */
void connection_end(struct mqtt_connection *connection, enum packet_reason reason);

/* The same for what the client did wrong, with a line in the log that names it. */
void connection_fail(struct mqtt_connection *connection, enum packet_reason reason,
                     const char *format, ...) __attribute__((format(printf, 3, 4)));

/* While the worker stops: when nothing that the client waits for is under way any more. */
void connection_end_if_stopping(struct mqtt_connection *connection);

/* Removes everything that the broker keeps for the connection. `with_will`: unless the client said
 * good-bye. */
void connection_retire(struct mqtt_connection *connection, bool with_will);

/* Publishes a will and frees it. */
void will_publish(struct mqtt_worker *worker, struct will *will, struct str client_id);

#endif
