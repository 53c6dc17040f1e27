/*
 * Enhanced authentication (MQTT 5.0 section 4.12) with the one method SCRAM-SHA-256:
 *
 *      CONNECT method, client-first  ->   AUTH 0x18 server-first
 *      AUTH 0x18 client-final        ->   CONNACK server-final, or CONNACK 0x86
 *
 * and, on a connection that stands, begun by the client at any time:
 *
 *      AUTH 0x19 client-first        ->   AUTH 0x18 server-first
 *      AUTH 0x18 client-final        ->   AUTH 0x00 server-final, or DISCONNECT 0x87
 *
 * The user of the second must be that of the first. Everything else goes on meanwhile. The user's
 * policy and the existence of the user are looked up when the exchange ends, so a reload in between
 * counts.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "base/random.h"
#include "mqtt/authorize.h"
#include "mqtt/identity.h"
#include "mqtt/scram.h"

struct auth {
    struct scram *scram; /* NULL: it is over */
    struct buf final;    /* what CONNACK is to bring */
};

void auth_free(struct mqtt_connection *connection) {
    struct auth *auth = connection->auth;
    if (!auth)
        return;
    scram_free(auth->scram);
    buf_done(&auth->final);
    free(auth);
    connection->auth = NULL;
}

struct str auth_data(const struct mqtt_connection *connection) {
    return connection->auth ? buf_str(&connection->auth->final) : (struct str){NULL, 0};
}

static void write_auth(struct mqtt_connection *connection, enum packet_reason reason,
                       const struct buf *data) {
    packet_write_auth(connection_out(connection), reason, STR(SCRAM_METHOD), buf_str(data));
}

/* Answers client-first with server-first; false if it is none. */
static bool challenge(struct mqtt_connection *connection, struct str data) {
    struct mqtt_worker *worker = connection->worker;
    struct scram *scram;
    if (scram_begin(data, &scram))
        return false;
    struct password_secret secret;
    const struct identity_user *user = identity_user(worker->identities, scram_user(scram));
    bool known = user && password_read(user->secret, &secret, NULL) == 0;
    uint8_t nonce[SCRAM_NONCE_BYTES];
    random_bytes(nonce, sizeof nonce);
    struct buf first = {0};
    struct scram_pretence pretence = {.iterations = worker->identities->scram_iterations};
    memcpy(pretence.key, worker->mqtt->secret, sizeof pretence.key);
    scram_challenge(scram, known ? &secret : NULL, &pretence, nonce, &first);
    connection->auth = xcalloc(1, sizeof *connection->auth);
    connection->auth->scram = scram;
    write_auth(connection, PACKET_CONTINUE_AUTHENTICATION, &first);
    buf_done(&first);
    return true;
}

void auth_begin(struct mqtt_connection *connection, struct str data) {
    connection->state = CONNECTION_AUTHENTICATING;
    connection->by_scram = true;
    if (!challenge(connection, data))
        connect_refuse(connection, PACKET_NOT_AUTHORIZED, "no proper SCRAM message");
}

/* ---- the proof ---- */

/* The user if the client has proven to be one who exists still; or NULL. */
static const struct identity_user *proven_user(struct mqtt_connection *connection,
                                               struct str data) {
    struct auth *auth = connection->auth;
    const struct mqtt_identities *identities = connection->worker->identities;
    if (scram_finish(auth->scram, data, &auth->final))
        return NULL;
    return identity_user(identities, scram_user(auth->scram));
}

static void finish_connect(struct mqtt_connection *connection, struct str data) {
    const struct identity_user *user = proven_user(connection, data);
    if (!user) {
        connect_refuse(connection, PACKET_BAD_CREDENTIALS, "SCRAM: bad user name or password");
        return;
    }
    scram_free(connection->auth->scram);
    connection->auth->scram = NULL;
    connect_set_principal(connection, PRINCIPAL_USER, str_of(user->name));
    authorize_begin(connection, user->policy);
    connect_admit(connection);
}

static void finish_again(struct mqtt_connection *connection, struct str data) {
    const struct identity_user *user = proven_user(connection, data);
    if (!user || !str_eq(str_of(user->name), connection_principal(connection))) {
        metric_add(&connection->worker->metrics.closed_auth, 1);
        log_warn("mqtt", "client \"%.*s\" at %s closed: it could not authenticate again",
                 STR_ARG(connection_client_id(connection)), connection->peer);
        connection_end(connection, PACKET_NOT_AUTHORIZED);
        return;
    }
    write_auth(connection, PACKET_NORMAL, &connection->auth->final);
    auth_free(connection);
}

/* ---- the packet ---- */

static bool is_method(const struct packet_properties *properties) {
    return packet_has(properties, PROPERTY_AUTH_METHOD) &&
           str_eq(properties->auth_method, STR(SCRAM_METHOD));
}

static void take_step(struct mqtt_connection *connection, uint8_t step, struct str data) {
    bool is_open = connection->state == CONNECTION_OPEN, under_way = connection->auth != NULL;
    if (step == PACKET_CONTINUE_AUTHENTICATION && under_way) {
        if (is_open)
            finish_again(connection, data);
        else
            finish_connect(connection, data);
    } else if (step != PACKET_REAUTHENTICATE || !is_open || under_way) {
        connection_fail(connection, PACKET_PROTOCOL_ERROR, "AUTH out of turn");
    } else if (!challenge(connection, data)) {
        metric_add(&connection->worker->metrics.closed_auth, 1);
        connection_end(connection, PACKET_NOT_AUTHORIZED);
    }
}

void auth_take(struct mqtt_connection *connection, const struct packet *packet) {
    uint8_t step;
    struct packet_properties properties;
    enum packet_reason reason = packet_read_auth(packet, connection->version, &step, &properties);
    if (!reason && !connection->by_scram)
        reason = PACKET_PROTOCOL_ERROR; /* [MQTT-4.12.0-6] */
    if (!reason && !is_method(&properties))
        reason = PACKET_BAD_AUTHENTICATION_METHOD;
    if (reason)
        connection_fail(connection, reason, "AUTH: %s", packet_reason_text(reason));
    else
        take_step(connection, step, properties.auth_data);
}
