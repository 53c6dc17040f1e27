/*
 * CONNECT (section 3.1): checks, credentials, the client id, its session, CONNACK.
 *
 * A password is verified on the pool, because it is slow on purpose. Then the connection claims its
 * client id (claim.c), which ends another connection of the same id and brings the stored session
 * of the client here, if there is one. CONNACK leaves when the claim is granted, so no two
 * connections of one id are served at once.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "flow/topic.h"
#include "mqtt/alias.h"
#include "mqtt/authorize.h"
#include "mqtt/claim.h"
#include "mqtt/identity.h"
#include "mqtt/lifecycle.h"
#include "mqtt/password.h"
#include "mqtt/scram.h"
#include "mqtt/stored.h"

/* ---- CONNACK ---- */

static struct packet_connack connack_for(const struct mqtt_connection *connection,
                                         bool session_present) {
    const struct mqtt_config *config = connection->worker->config;
    return (struct packet_connack){
        /* 3.1 has no such flag. */
        .session_present = session_present && connection->version != PACKET_VERSION_3_1,
        .retain_unavailable = config->retained_max == 0,
        .session_expiry = connection->expiry_capped,
        .session_expiry_s = connection->session_expiry_s,
        .receive_max = (uint16_t)config->inflight_max,
        .topic_alias_max = (uint16_t)config->topic_alias_max,
        .packet_bytes_max = (uint32_t)connection_packet_bytes_max(connection),
        .server_keep_alive = connection->keep_alive_set,
        .server_keep_alive_s = connection->keep_alive_s,
        .assigned_client_id =
            connection->id_assigned ? connection_client_id(connection) : (struct str){NULL, 0},
        .auth_method = str_of(connection->by_scram ? SCRAM_METHOD : NULL),
        .auth_data = auth_data(connection),
    };
}

/* What has to be said is larger than the client takes: nothing can be said. */
static void refuse_small_packets(struct mqtt_connection *connection) {
    metric_add(&connection->worker->metrics.refused_protocol, 1);
    connection_retire(connection, false);
    connection_close(connection);
}

static void open_connection(struct mqtt_connection *connection, bool session_present) {
    connection->state = CONNECTION_OPEN;
    connection->waiting = false;
    connection_settle(connection);
    struct packet_connack connack = connack_for(connection, session_present);
    struct buf *out = connection_out(connection);
    size_t before = buf_len(out);
    packet_write_connack(out, connection->version, &connack);
    auth_free(connection);
    if (connection->packet_bytes_max && buf_len(out) - before > connection->packet_bytes_max) {
        out->end = out->begin + before; /* [MQTT-3.1.2-24] */
        refuse_small_packets(connection);
        return;
    }
    wheel_add(connection);
    connection->connected_ms = clock_wall_ms();
    metric_add(&connection->worker->metrics.clients, 1);
    metric_add(&connection->worker->metrics.connects, 1);
    lifecycle_connected(connection);
    connection_end_if_stopping(connection);
}

/* ---- the client id and its session ---- */

void connect_taken_over(struct mqtt_connection *connection) {
    metric_add(&connection->worker->metrics.closed_taken_over, 1);
    connection_end(connection, PACKET_TAKEN_OVER);
}

static int attach(struct mqtt_connection *connection, struct session *session) {
    struct mqtt_worker *worker = connection->worker;
    if (!session) {
        session = session_new(connection);
        session->queued_bytes = &worker->mqtt->queued_bytes;
    }
    if (!session->stored && connection->session_expiry_s)
        stored_begin(worker, session, connection_client_id(connection));
    if (session->stored)
        session->stored->expiry_s = connection->session_expiry_s;
    connection->session = session;
    map_put(&worker->clients, connection_client_id(connection), connection);
    stored_go_online(session, connection);
    if (session->stored)
        return journal_session(worker, session);
    return connection->after_end ? journal_nothing(worker) : 0;
}

/* [MQTT-3.1.3-9]: the will of a connection that could not be stays unsaid. */
static void refuse_session(struct mqtt_connection *connection) {
    metric_add(&connection->worker->metrics.refused_limit, 1);
    log_warn("mqtt", "client \"%.*s\" at %s refused: sessions_max is reached",
             STR_ARG(connection_client_id(connection)), connection->peer);
    connection_end(connection, PACKET_QUOTA_EXCEEDED);
}

static void finish(struct mqtt_connection *connection) {
    open_connection(connection, connection->session_present);
    deliver_waiting(connection);
    if (connection->worker->joining != connection)
        connection_resume(connection);
}

/* A CONNACK that waits for the journal. */
struct opening {
    struct journal_wait wait;
    struct mqtt_connection *connection;
};

static void on_durable(struct journal_wait *wait, int status) {
    struct opening *opening = CONTAINER_OF(wait, struct opening, wait);
    struct mqtt_connection *connection = opening->connection;
    if (connection->state == CONNECTION_JOINING && status)
        connection_end(connection, PACKET_QUOTA_EXCEEDED);
    else if (connection->state == CONNECTION_JOINING)
        finish(connection);
    connection_unref(connection);
    free(opening);
}

static void open_when_durable(struct mqtt_connection *connection) {
    struct opening *opening = xcalloc(1, sizeof *opening);
    opening->connection = connection;
    connection_ref(connection);
    if (!journal_wait(connection->worker, &opening->wait, on_durable))
        on_durable(&opening->wait, 0);
}

void connect_granted(struct mqtt_connection *connection, struct session *session) {
    struct mqtt_worker *worker = connection->worker;
    if (connection->state != CONNECTION_JOINING)
        return;
    if (!session && connection->session_expiry_s && !stored_has_room(worker)) {
        refuse_session(connection);
        return;
    }
    connection->session_present = session != NULL;
    if (attach(connection, session)) {
        connection_end(connection, PACKET_QUOTA_EXCEEDED);
        return;
    }
    if (connection->session->stored || connection->after_end)
        open_when_durable(connection);
    else
        finish(connection);
}

/* Returns with the connection open, or waiting for other workers. */
static void join(struct mqtt_connection *connection) {
    connection->state = CONNECTION_JOINING;
    connection->waiting = true;
    connection->worker->joining = connection;
    claim_begin(connection);
    connection->worker->joining = NULL;
}

/* With credentials that are good: what remains is whether the policy lets it in. */
void connect_admit(struct mqtt_connection *connection) {
    if (authorize_connect(connection)) {
        join(connection);
        return;
    }
    metric_add(&connection->worker->metrics.refused_policy, 1);
    lifecycle_refused(connection);
    connection_end(connection, PACKET_NOT_AUTHORIZED);
}

/* ---- credentials ---- */

struct verification {
    struct work work;
    struct mqtt_connection *connection;
    struct mqtt_identities *identities; /* that `hash` is of */
    const char *hash;
    struct str password;
    struct password_tag tag;
    bool matches, user_exists;
};

static void run_verification(struct work *work) {
    struct verification *verification = CONTAINER_OF(work, struct verification, work);
    verification->matches = mqtt_password_verify(verification->password, verification->hash);
}

void connect_refuse(struct mqtt_connection *connection, enum packet_reason reason,
                    const char *what) {
    struct mqtt_worker *worker = connection->worker;
    unsigned missed;
    bool busy = reason == PACKET_SERVER_BUSY;
    metric_add(busy ? &worker->metrics.refused_unavailable : &worker->metrics.refused_credentials,
               1);
    if (log_limit_pass(&worker->log_protocol, 1000, &missed))
        log_warn("mqtt", "client \"%.*s\" at %s refused: %s (%u more like this)",
                 STR_ARG(connection_client_id(connection)), connection->peer, what, missed);
    connection_end(connection, reason);
}

static void on_verified(struct work *work) {
    struct verification *verification = CONTAINER_OF(work, struct verification, work);
    struct mqtt_connection *connection = verification->connection;
    bool ok = verification->matches && verification->user_exists;
    struct mqtt_worker *worker = connection->worker;
    worker->auth_under_way--;
    if (ok) {
        metric_add(&worker->metrics.password_hashed, 1);
        if (verification->identities == worker->identities)
            password_cache_add(&worker->passwords, &verification->tag);
    }
    explicit_bzero((char *)verification->password.at, verification->password.len);
    free((char *)verification->password.at);
    mqtt_identities_unref(verification->identities);
    free(verification);
    if (connection->state == CONNECTION_JOINING) {
        connection->waiting = false;
        if (ok) {
            connect_admit(connection);
            connection_resume(connection);
        } else {
            connect_refuse(connection, PACKET_BAD_CREDENTIALS, "bad user name or password");
        }
    }
    connection_unref(connection);
}

/* An unknown user costs as much time as a wrong password. */
static void hash_password(struct mqtt_connection *connection, const struct packet_connect *in,
                          const char *hash, const struct password_tag *tag) {
    struct mqtt_worker *worker = connection->worker;
    if (worker->auth_under_way >= AUTH_UNDER_WAY_MAX) {
        connect_refuse(connection, PACKET_SERVER_BUSY, "too many passwords are being verified");
        return;
    }
    struct verification *verification = xcalloc(1, sizeof *verification);
    verification->connection = connection;
    verification->identities = identities_ref(worker->identities);
    verification->user_exists = hash != NULL;
    verification->hash = hash ? hash : password_nobody;
    verification->tag = *tag;
    verification->password = str_from(str_dup(in->password), in->password.len);
    connection->state = CONNECTION_JOINING;
    connection->waiting = true;
    connection_ref(connection);
    worker->auth_under_way++;
    loop_work(worker->loop, &verification->work, run_verification, on_verified);
}

static void verify(struct mqtt_connection *connection, const struct packet_connect *in) {
    struct mqtt_worker *worker = connection->worker;
    const struct identity_user *user = identity_user(worker->identities, in->user);
    const char *hash = user ? user->secret : NULL;
    struct password_tag tag =
        password_cache_tag(&worker->passwords, in->user, str_of(hash), in->password);
    if (user && password_cache_has(&worker->passwords, &tag)) {
        metric_add(&worker->metrics.password_hits, 1);
        connect_admit(connection);
    } else {
        hash_password(connection, in, hash, &tag);
    }
}

/* ---- the packet ---- */

static struct str copy_to(char **at, struct str s) {
    struct str copy = str_from(*at, s.len);
    if (s.len)
        memcpy(*at, s.at, s.len);
    *at += s.len;
    return copy;
}

static struct will *will_new(const struct packet_will *in) {
    struct will *will =
        xcalloc(1, sizeof *will + in->topic.len + in->payload.len + in->properties.raw.len);
    char *at = will->bytes;
    will->publication.message.topic = copy_to(&at, in->topic);
    will->publication.message.payload = copy_to(&at, in->payload);
    will->publication.message.qos = in->qos;
    will->publication.message.retain = in->retain;
    will->delay_s = in->properties.will_delay_s; /* not passed on */
    struct str raw = in->properties.raw;
    size_t delay_at = in->properties.delay_at >= 0 ? (size_t)in->properties.delay_at : raw.len;
    enum { DELAY_PROPERTY_BYTES = 5 };
    struct str before = copy_to(&at, str_from(raw.at, delay_at));
    struct str behind = copy_to(&at, str_skip(raw, delay_at + DELAY_PROPERTY_BYTES));
    will->publication.message.properties = str_from(before.at, before.len + behind.len);
    will->publication.expiry_at = in->properties.expiry_at;
    if (in->properties.expiry_at > in->properties.delay_at && in->properties.delay_at >= 0)
        will->publication.expiry_at -= DELAY_PROPERTY_BYTES;
    return will;
}

static void set_names(struct mqtt_connection *connection, struct str client_id,
                      struct str principal) {
    struct str peer = str_of(connection->peer);
    char *names = xcalloc(1, client_id.len + principal.len + peer.len + 1), *at = names;
    copy_to(&at, client_id);
    copy_to(&at, principal);
    connection->peer = copy_to(&at, peer).at;
    free(connection->names);
    connection->names = names;
    connection->client_id_bytes = (uint16_t)client_id.len;
    connection->principal_bytes = (uint16_t)principal.len;
}

void connect_set_principal(struct mqtt_connection *connection, enum principal_kind kind,
                           struct str principal) {
    ASSERT(map_get(&connection->worker->clients, connection_client_id(connection)) != connection);
    connection->principal_kind = (uint8_t)kind;
    set_names(connection, connection_client_id(connection), principal);
}

static void set_keep_alive(struct mqtt_connection *connection, uint16_t wanted_s) {
    int64_t most_s = connection->worker->config->keep_alive_max_ms / 1000;
    connection->keep_alive_s = wanted_s;
    bool too_long = most_s && (wanted_s == 0 || wanted_s > most_s);
    if (!too_long || connection->version != PACKET_VERSION_5) /* 3.1.1 cannot be told. */
        return;
    connection->keep_alive_s = (uint16_t)most_s;
    connection->keep_alive_set = true;
}

/* How long the session outlives the connection; in 3.1.1 as long as may be, unless it is clean. */
static void set_expiry(struct mqtt_connection *connection, const struct packet_connect *in) {
    uint32_t most_s = (uint32_t)(connection->worker->config->session_expiry_max_ms / 1000);
    bool v5 = in->version == PACKET_VERSION_5;
    uint32_t wanted_s = v5 ? in->properties.session_expiry_s : in->clean_start ? 0 : most_s;
    connection->clean_start = in->clean_start;
    connection->wants_expiry = wanted_s != 0;
    connection->expiry_capped = wanted_s > most_s;
    connection->session_expiry_s = wanted_s < most_s ? wanted_s : most_s;
}

static bool names_method(const struct packet_connect *in) {
    return packet_has(&in->properties, PROPERTY_AUTH_METHOD);
}

static enum packet_reason check(const struct mqtt_config *config, const struct packet_connect *in) {
    bool v5 = in->version == PACKET_VERSION_5;
    bool may_be_empty = v5 || (in->version == PACKET_VERSION_3_1_1 && in->clean_start);
    if (in->client_id.len > (size_t)config->client_id_bytes_max ||
        (in->client_id.len == 0 && !may_be_empty))
        return PACKET_CLIENT_ID_INVALID;
    if (names_method(in) && !str_eq(in->properties.auth_method, STR(SCRAM_METHOD)))
        return PACKET_BAD_AUTHENTICATION_METHOD;
    if (packet_has(&in->properties, PROPERTY_AUTH_DATA) && !names_method(in))
        return PACKET_PROTOCOL_ERROR; /* section 3.1.2.11.10 */
    if (in->will.present && !topic_name_valid(in->will.topic))
        return PACKET_TOPIC_NAME_INVALID;
    if (in->will.retain && config->retained_max == 0)
        return PACKET_RETAIN_UNSUPPORTED; /* [MQTT-3.2.2-13] */
    return PACKET_NORMAL;
}

/* A will that could never be published is refused while its client can hear of it. True: it has been. */
static bool refuse_will(struct mqtt_connection *connection, const struct packet_will *will) {
    struct message_sink *requests = connection->worker->requests;
    int code = will->present && requests && requests->check
                   ? requests->check(requests, will->topic, will->retain)
                   : 0;
    if (!code)
        return false;
    connection_fail(connection,
                    code == ERR_UNSUPPORTED ? PACKET_RETAIN_UNSUPPORTED : PACKET_NOT_AUTHORIZED,
                    "CONNECT: a will to \"%.*s\": %s", STR_ARG(will->topic), publish_refusal(code));
    return true;
}

static void take_settings(struct mqtt_connection *connection, const struct packet_connect *in) {
    const struct packet_properties *properties = &in->properties;
    connection->packet_bytes_max = properties->packet_bytes_max;
    connection->receive_max =
        packet_has(properties, PROPERTY_RECEIVE_MAX) ? properties->receive_max : UINT16_MAX;
    int64_t aliases_max = connection->worker->config->topic_alias_max;
    alias_allow(connection, properties->topic_alias_max < aliases_max ? properties->topic_alias_max
                                                                      : (uint16_t)aliases_max);
    set_keep_alive(connection, in->keep_alive_s);
    set_expiry(connection, in);
    if (in->will.present)
        connection->will = will_new(&in->will);
    struct str client_id = in->client_id;
    char made[sizeof "auto-" - 1 + UUID_CHARS] = "auto-";
    if (client_id.len == 0) {
        random_uuid(made + sizeof "auto-" - 1);
        client_id = str_from(made, sizeof made);
        connection->id_assigned = true;
    }
    set_names(connection, client_id, (struct str){NULL, 0});
}

/* ---- who ---- */

/* A certificate is accepted when it is registered and active, or when the listener's CA vouches for it
 * and it is not registered as inactive. False: the connection has ended. */
static bool take_certificate(struct mqtt_connection *connection) {
    struct tls_peer peer;
    const struct tls *tls = connection_tls(connection);
    if (!tls || !tls_peer(tls, &peer))
        return true;
    const struct identity_certificate *certificate =
        identity_certificate(connection->worker->identities, str_of(peer.fingerprint));
    connection->ca_verified = peer.verified;
    if (certificate ? !certificate->active : !peer.verified) {
        metric_add(&connection->worker->metrics.refused_certificate, 1);
        connect_refuse(connection, PACKET_NOT_AUTHORIZED,
                       certificate ? "its certificate is not active"
                                   : "its certificate is not registered");
        return false;
    }
    bool has_policy = certificate && certificate->policy;
    connect_set_principal(connection, PRINCIPAL_CERTIFICATE, str_of(peer.fingerprint));
    authorize_begin(connection,
                    has_policy ? certificate->policy : authorize_listener_policy(connection));
    connection->anonymous = true;
    return true;
}

static void take_user(struct mqtt_connection *connection, const struct packet_connect *in) {
    const struct identity_user *user = identity_user(connection->worker->identities, in->user);
    connect_set_principal(connection, PRINCIPAL_USER, in->user);
    authorize_begin(connection, user ? user->policy : authorize_listener_policy(connection));
    verify(connection, in);
}

static void identify(struct mqtt_connection *connection, const struct packet_connect *in) {
    bool has_users = connection->worker->identities->users.count > 0;
    authorize_begin(connection, authorize_listener_policy(connection));
    if (!take_certificate(connection))
        return;
    if (names_method(in))
        auth_begin(connection, in->properties.auth_data);
    else if (in->has_user && has_users)
        take_user(connection, in);
    else if (connection->anonymous)
        connect_admit(connection);
    else
        connect_refuse(connection, PACKET_NOT_AUTHORIZED,
                       "no credentials, and the listener is not anonymous");
}

void connect_take(struct mqtt_connection *connection, const struct packet *packet) {
    struct mqtt_worker *worker = connection->worker;
    if (connection->state != CONNECTION_NEW) {
        connection_fail(connection, PACKET_PROTOCOL_ERROR, "a second CONNECT");
        return;
    }
    struct packet_connect in;
    enum packet_reason reason = packet_read_connect(packet, &in);
    if (in.version == PACKET_VERSION_5 && !packet_length_is_minimal(packet))
        reason = PACKET_MALFORMED;
    bool named = reason != PACKET_MALFORMED || in.version == PACKET_VERSION_5;
    connection->version = named ? in.version : 0;
    reason = reason ? reason : check(worker->config, &in);
    if (reason) {
        connection_fail(connection, reason, "CONNECT: %s", packet_reason_text(reason));
        return;
    }
    take_settings(connection, &in);
    if (!refuse_will(connection, &in.will))
        identify(connection, &in);
}
