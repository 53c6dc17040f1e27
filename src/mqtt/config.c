/* The configuration under `mqtt:`: its tables, and what makes settings unsafe. */
#include "io/tcp.h"
#include "mqtt/authorize.h"
#include "mqtt/identity.h"
#include "mqtt/websocket.h"

#define KIB 1024ll
#define MIB (1024 * KIB)

static const char *const anonymous_names[] = {"auto", "false", "true", NULL};

static const char *const queue_full_names[] = {"drop_oldest", "refuse", NULL};

#define TLS(member)         offsetof(struct mqtt_tls_config, member)
#define LISTENER(member)    offsetof(struct mqtt_listener_config, member)
#define CERTIFICATE(member) offsetof(struct mqtt_certificate_config, member)
#define USER(member)        offsetof(struct mqtt_user_config, member)
#define MQTT(member)        offsetof(struct mqtt_config, member)

static const struct option tls_options[] = {
    {.key = "cert",
     .type = OPTION_STRING,
     .offset = TLS(cert),
     .help = "PEM file of the certificate, its chain behind it"},
    {.key = "key",
     .type = OPTION_STRING,
     .offset = TLS(key),
     .help = "PEM file of the private key"},
    {.key = "client_ca",
     .type = OPTION_STRING,
     .offset = TLS(client_ca),
     .help = "PEM file of the authorities whose client certificates are accepted"},
    {.key = "require_client_cert",
     .type = OPTION_BOOL,
     .offset = TLS(require_client_cert),
     .help = "refuse clients without a certificate"},
    {.key = "registered_certs",
     .type = OPTION_BOOL,
     .offset = TLS(registered_certs),
     .help =
         "accept the client certificates of `certificates` and of `weir device`, whoever signed "
         "them"},
    {0},
};

/* The bounds of what comes over a listener, whoever listens. */
#define LIMIT_OPTIONS                                                                              \
    {.key = "connections_max",                                                                     \
     .type = OPTION_INT,                                                                           \
     .offset = LISTENER(connections_max),                                                          \
     .default_text = "0",                                                                          \
     .max = 10000000,                                                                              \
     .help =                                                                                       \
         "connections of this listener; further ones are closed at once; 0: only those in all "    \
         "are limited"},                                                                           \
        {.key = "publish_rate",                                                                    \
         .type = OPTION_INT,                                                                       \
         .offset = LISTENER(publish_rate),                                                         \
         .default_text = "0",                                                                      \
         .max = 10000000,                                                                          \
         .help =                                                                                   \
             "messages a second that one connection may publish, a second's at once; beyond, its " \
             "socket is not read for so long; 0: any"},                                            \
        {.key = "publish_bytes_rate",                                                              \
         .type = OPTION_SIZE,                                                                      \
         .offset = LISTENER(publish_bytes_rate),                                                   \
         .default_text = "0",                                                                      \
         .max = 1024 * MIB,                                                                        \
         .help = "the same in bytes of PUBLISH packets"},                                          \
    {                                                                                              \
        .key = "packet_bytes_max", .type = OPTION_SIZE, .offset = LISTENER(packet_bytes_max),      \
        .default_text = "0", .max = 256 * MIB,                                                     \
        .help = "as packet_bytes_max of mqtt, if that is larger; 0: that"                          \
    }

static const struct option listener_options[] = {
    {.key = "bind",
     .type = OPTION_STRING,
     .offset = LISTENER(bind),
     .required = true,
     .help = "address and port, \"127.0.0.1:1883\"; port 0 takes a free one"},
    {.key = "tls",
     .type = OPTION_STRUCT,
     .offset = LISTENER(tls),
     .fields = tls_options,
     .item_size = sizeof(struct mqtt_tls_config),
     .help = "absent: a plain listener"},
    {.key = "anonymous",
     .type = OPTION_ENUM,
     .offset = LISTENER(anonymous),
     .default_text = "auto",
     .names = anonymous_names,
     .help = "whether clients may connect without credentials; auto: on loopback, if there are no "
             "users"},
    {.key = "plaintext",
     .type = OPTION_BOOL,
     .offset = LISTENER(plaintext),
     .help = "allow a listener beyond loopback without TLS"},
    {.key = "policy",
     .type = OPTION_STRING,
     .offset = LISTENER(policy),
     .help = "name of one of the policies: what clients without a user name may do, those with a "
             "certificate and anonymous ones; absent: everything"},
    {.key = "websocket",
     .type = OPTION_STRING,
     .offset = LISTENER(websocket),
     .default_text = "false",
     .help = "MQTT over WebSocket: true is at /mqtt, or the path"},
    {.key = "proxy_protocol",
     .type = OPTION_BOOL,
     .offset = LISTENER(proxy_protocol),
     .help = "every connection begins with a PROXY protocol header of version 2, whose source is "
             "taken as the client's address; only for listeners that a balancer alone reaches"},
    {.key = "connect_rate",
     .type = OPTION_INT,
     .offset = LISTENER(connect_rate),
     .default_text = "0",
     .max = 1000000,
     .help = "connections accepted a second; further ones wait in the system's queue; 0: any"},
    LIMIT_OPTIONS,
    {0},
};

static const struct option web_options[] = {
    {.key = "anonymous",
     .type = OPTION_ENUM,
     .offset = LISTENER(anonymous),
     .default_text = "auto",
     .names = anonymous_names,
     .help = "whether clients may connect without credentials; auto: where the web listener is on "
             "loopback, if there are no users"},
    {.key = "policy",
     .type = OPTION_STRING,
     .offset = LISTENER(policy),
     .help = "what clients without a user name may do; absent: everything"},
    LIMIT_OPTIONS,
    {0},
};

static const struct option certificate_options[] = {
    {.key = "fingerprint",
     .type = OPTION_STRING,
     .offset = CERTIFICATE(fingerprint),
     .help = "SHA-256 of the certificate, as `openssl x509 -fingerprint -sha256` shows it; or"},
    {.key = "pem", .type = OPTION_STRING, .offset = CERTIFICATE(pem), .help = "its file"},
    {.key = "policy",
     .type = OPTION_STRING,
     .offset = CERTIFICATE(policy),
     .help = "name of one of the policies; absent: the listener's"},
    {.key = "active",
     .type = OPTION_BOOL,
     .offset = CERTIFICATE(active),
     .default_text = "true",
     .help = "false: refused, whoever signed it"},
    {0},
};

static const struct option user_options[] = {
    {.key = "password_hash",
     .type = OPTION_SECRET,
     .offset = USER(password_hash),
     .required = true,
     .help = "what `weir passwd` prints; $scram-sha-256$... is for passwords and SCRAM, "
             "$pbkdf2-sha256$... for passwords alone"},
    {.key = "policy",
     .type = OPTION_STRING,
     .offset = USER(policy),
     .help = "name of one of the policies: what the user may do; absent: everything"},
    {0},
};

const struct option mqtt_options[] = {
    {.key = "listeners",
     .type = OPTION_LIST,
     .offset = MQTT(listeners),
     .fields = listener_options,
     .item_size = sizeof(struct mqtt_listener_config),
     .help = "where clients connect"},
    {.key = "web",
     .type = OPTION_STRUCT,
     .offset = MQTT(web),
     .fields = web_options,
     .item_size = sizeof(struct mqtt_listener_config),
     .help = "MQTT over WebSocket at /mqtt of the web listener"},
    {.key = "users",
     .type = OPTION_MAP,
     .offset = MQTT(users),
     .fields = user_options,
     .item_size = sizeof(struct mqtt_user_config),
     .help = "who may connect"},
    {.key = "certificates",
     .type = OPTION_MAP,
     .offset = MQTT(certificates),
     .fields = certificate_options,
     .item_size = sizeof(struct mqtt_certificate_config),
     .help = "client certificates that may connect where registered_certs is set, without a common "
             "CA; and what those of a CA may do"},
    {.key = "policies",
     .type = OPTION_CONF,
     .offset = MQTT(policies),
     .help =
         "map, NAME to AWS IoT policy: statement: [ { effect: Allow|Deny, action: "
         "\"iot:Connect|Publish|RetainPublish|Subscribe|Receive\", resource: "
         "\"client/ID|topic/TOPIC|topicfilter/FILTER\", condition: {...} } ], or AWS's own JSON. "
         "Who has a policy may do only what it allows; who has none may do everything"},
    {.key = "packet_bytes_max",
     .type = OPTION_SIZE,
     .offset = MQTT(packet_bytes_max),
     .default_text = "2MiB",
     .min = KIB,
     .max = 256 * MIB,
     .help = "largest packet of a client; a larger one ends its connection (0x95)"},
    {.key = "connections_max",
     .type = OPTION_INT,
     .offset = MQTT(connections_max),
     .default_text = "100000",
     .min = 1,
     .max = 10000000,
     .help = "connections in all; further ones are closed at once"},
    {.key = "subscriptions_max",
     .type = OPTION_INT,
     .offset = MQTT(subscriptions_max),
     .default_text = "1000",
     .min = 1,
     .max = 1000000,
     .help = "subscriptions per client; further ones are refused (0x97)"},
    {.key = "inflight_max",
     .type = OPTION_INT,
     .offset = MQTT(inflight_max),
     .default_text = "1024",
     .min = 1,
     .max = 32768,
     .help = "QoS 1 and 2 messages unacknowledged per client, in each direction (Receive Maximum)"},
    {.key = "out_bytes_max",
     .type = OPTION_SIZE,
     .offset = MQTT(out_bytes_max),
     .default_text = "1MiB",
     .min = TCP_HIGH_WATER,
     .max = 1024 * MIB,
     .help = "what may wait in the socket of a subscriber that does not read; then messages of QoS "
             "0 for it are dropped and those of QoS 1 and 2 queued"},
    {.key = "retained_max",
     .type = OPTION_INT,
     .offset = MQTT(retained_max),
     .default_text = "100000",
     .min = 0,
     .max = 100000000,
     .help = "retained messages; further ones are refused (0x97)"},
    {.key = "retained_bytes_max",
     .type = OPTION_SIZE,
     .offset = MQTT(retained_bytes_max),
     .default_text = "256MiB",
     .help = "memory of retained messages; further ones are refused (0x97)"},
    {.key = "topic_alias_max",
     .type = OPTION_INT,
     .offset = MQTT(topic_alias_max),
     .default_text = "16",
     .min = 0,
     .max = 1024,
     .help = "topic aliases that a client may use"},
    {.key = "topic_levels_max",
     .type = OPTION_INT,
     .offset = MQTT(topic_levels_max),
     .default_text = "128",
     .min = 1,
     .max = 65535,
     .help = "levels of a topic or a filter; AWS: 8. More are refused: a PUBLISH (0x90), a filter "
             "(0x97)"},
    {.key = "topic_bytes_max",
     .type = OPTION_SIZE,
     .offset = MQTT(topic_bytes_max),
     .default_text = "65535",
     .min = 1,
     .max = 65535,
     .help = "the same for their bytes; AWS: 256"},
    {.key = "client_id_bytes_max",
     .type = OPTION_SIZE,
     .offset = MQTT(client_id_bytes_max),
     .default_text = "1024",
     .min = 23,
     .max = 65535,
     .help = "bytes of a client identifier; AWS: 128. A longer one is refused (0x85)"},
    {.key = "keep_alive_max",
     .type = OPTION_DURATION,
     .offset = MQTT(keep_alive_max_ms),
     .default_text = "0ms",
     .max = 65535000,
     .help = "longest keep alive of MQTT 5 clients, who are told (Server Keep Alive); 0: as the "
             "client wishes"},
    {.key = "session_expiry_max",
     .type = OPTION_DURATION,
     .offset = MQTT(session_expiry_max_ms),
     .default_text = "168h",
     .min = 0,
     .max = 4294967294000,
     .help = "longest time for which a session waits for its client; MQTT 5 clients are told, a "
             "session of 3.1.1 without clean session gets it; 0: no session outlives its "
             "connection"},
    {.key = "sessions_max",
     .type = OPTION_INT,
     .offset = MQTT(sessions_max),
     .default_text = "100000",
     .min = 0,
     .max = 10000000,
     .help = "sessions that outlive their connection; a CONNECT for one more is refused (0x97)"},
    {.key = "queue_max",
     .type = OPTION_INT,
     .offset = MQTT(queue_max),
     .default_text = "100000",
     .min = 1,
     .max = 100000000,
     .help = "messages of QoS 1 and 2 that wait in one such session"},
    {.key = "queue_bytes_max",
     .type = OPTION_SIZE,
     .offset = MQTT(queue_bytes_max),
     .default_text = "16MiB",
     .min = KIB,
     .max = 1024 * 1024 * MIB,
     .help = "their memory, in one session"},
    {.key = "clean_queue_max",
     .type = OPTION_INT,
     .offset = MQTT(clean_queue_max),
     .default_text = "100000",
     .min = 1,
     .max = 100000000,
     .help =
         "messages of QoS 1 and 2 that wait, in a session that ends with its connection, for the "
         "client's acknowledgements; further ones are dropped"},
    {.key = "clean_queue_bytes_max",
     .type = OPTION_SIZE,
     .offset = MQTT(clean_queue_bytes_max),
     .default_text = "8MiB",
     .min = KIB,
     .max = 1024 * 1024 * MIB,
     .help = "their memory, in one such session"},
    {.key = "queue_total_bytes_max",
     .type = OPTION_SIZE,
     .offset = MQTT(queue_total_bytes_max),
     .default_text = "256MiB",
     .min = KIB,
     .max = 1024 * 1024 * MIB,
     .help = "memory of waiting messages, in all sessions of both kinds"},
    {.key = "journal_bytes_min",
     .type = OPTION_SIZE,
     .offset = MQTT(journal_bytes_min),
     .default_text = "64MiB",
     .min = 256 * KIB,
     .max = 1024 * 1024 * MIB,
     .help =
         "sessions and retained messages are written anew, and what was written before goes, when "
         "their log has grown by as much as they need, and by this at least"},
    {.key = "queue_full",
     .type = OPTION_ENUM,
     .offset = MQTT(queue_full),
     .default_text = "drop_oldest",
     .names = queue_full_names,
     .help = "what happens when that is full: the session's oldest message is dropped, or the "
             "publisher's is refused (0x97)"},
    {.key = "lifecycle_events",
     .type = OPTION_BOOL,
     .offset = MQTT(lifecycle_events),
     .default_text = "true",
     .help =
         "whether $aws/events/presence/... and $aws/events/subscriptions/... tell of clients, as "
         "AWS IoT does"},
    {.key = "sys_interval",
     .type = OPTION_DURATION,
     .offset = MQTT(sys_interval_ms),
     .default_text = "10s",
     .min = 0,
     .max = 3600000,
     .help = "how often $SYS/broker/... tells what has changed, in whole seconds; 0: there is no "
             "$SYS"},
    {.key = "connect_timeout",
     .type = OPTION_DURATION,
     .offset = MQTT(connect_timeout_ms),
     .default_text = "10s",
     .min = 1000,
     .max = 3600000,
     .help = "until when a connection must have been answered with CONNACK: TLS, WebSocket and "
             "AUTH included; and before that, until when its PROXY header must have come"},
    {.key = "connect_bytes_max",
     .type = OPTION_SIZE,
     .offset = MQTT(connect_bytes_max),
     .default_text = "128KiB",
     .min = KIB,
     .max = MIB,
     .help = "largest packet of a client that is not connected yet (0x95)"},
    {.key = "connecting_max",
     .type = OPTION_INT,
     .offset = MQTT(connecting_max),
     .default_text = "10000",
     .min = 1,
     .max = 1000000,
     .help = "connections without CONNACK, per worker; one more ends the oldest of them (0x89)"},
    {.key = "password_cache",
     .type = OPTION_INT,
     .offset = MQTT(password_cache),
     .default_text = "4096",
     .max = 1000000,
     .help = "passwords per worker that are known to be right without their slow hash; 0: none"},
    {0},
};

bool listener_is_anonymous(const struct mqtt_listener_config *listener, bool has_users) {
    struct sockaddr_storage address;
    if (listener->anonymous != MQTT_ANONYMOUS_AUTO)
        return listener->anonymous == MQTT_ANONYMOUS_TRUE;
    return !has_users && tcp_address(listener->bind, &address, NULL) == 0 &&
           tcp_address_is_loopback(&address);
}

static int fail(const struct option_head *head, struct err *err, int code, const char *text) {
    return head->conf ? conf_error(head->conf, err, code, "%s", text)
                      : err_set(err, code, "%s", text);
}

static int check_tls(const struct mqtt_listener_config *listener, struct err *err) {
    const struct mqtt_tls_config *tls = &listener->tls;
    if (!tls->cert || !tls->key)
        return fail(&tls->head, err, ERR_INVALID, "tls needs both cert and key");
    if (tls->require_client_cert && !tls->client_ca && !tls->registered_certs)
        return fail(&tls->head, err, ERR_INVALID,
                    "require_client_cert needs client_ca or registered_certs");
    return 0;
}

/* Law 8: beyond loopback nothing is open, and nothing is plain, unless somebody wrote that it shall
 * be. */
static int check_listener(const struct mqtt_config *config,
                          const struct mqtt_listener_config *listener, struct err *err) {
    struct sockaddr_storage address;
    struct err why;
    if (tcp_address(listener->bind, &address, &why))
        return fail(&listener->head, err, ERR_INVALID, why.text);
    bool has_tls = listener->tls.head.conf != NULL;
    if (has_tls && check_tls(listener, err))
        return ERR_INVALID;
    bool has_users = config->users.count > 0;
    bool has_certificates = has_tls && (listener->tls.client_ca || listener->tls.registered_certs);
    if (!has_users && !has_certificates && !listener_is_anonymous(listener, false))
        return fail(&listener->head, err, ERR_INVALID,
                    "nobody could connect: add users, tls with client_ca or registered_certs, or "
                    "anonymous: true");
    const char *path = websocket_path(listener);
    if (path && path[0] != '/')
        return fail(&listener->head, err, ERR_INVALID,
                    "websocket is true, false, or a path that begins with /");
    if (!has_tls && !listener->plaintext && !tcp_address_is_loopback(&address))
        return fail(&listener->head, err, ERR_INVALID,
                    "a listener beyond loopback needs tls, or plaintext: true");
    return 0;
}

static int check_user(const struct mqtt_user_config *user, struct err *err) {
    struct err why;
    if (mqtt_password_hash_check(user->password_hash, &why))
        return fail(&user->head, err, ERR_INVALID, why.text);
    return 0;
}

int mqtt_config_check(const struct mqtt_config *config, struct err *err) {
    int failed = authorize_check(config, err);
    if (!failed)
        failed = identities_check(config, err);
    for (size_t i = 0; !failed && i < config->users.count; i++)
        failed = check_user(OPTION_AT(config->users, struct mqtt_user_config, i), err);
    for (size_t i = 0; !failed && i < config->listeners.count; i++)
        failed = check_listener(config,
                                OPTION_AT(config->listeners, struct mqtt_listener_config, i), err);
    return failed;
}

/* AWS's devices ask for one of the first two on port 443 ("Device communication protocols"). */
struct tls_server_config mqtt_listener_tls(const struct mqtt_listener_config *listener) {
    static const char *const alpn[] = {"x-amzn-mqtt-ca", "mqtt", NULL};
    static const char *const alpn_of_websocket[] = {"http/1.1", "mqtt", NULL};
    return (struct tls_server_config){
        .cert_path = listener->tls.cert,
        .key_path = listener->tls.key,
        .client_ca_path = listener->tls.client_ca,
        .require_client_cert = listener->tls.require_client_cert,
        .accept_unknown_certs = listener->tls.registered_certs,
        .alpn = websocket_path(listener) ? alpn_of_websocket : alpn,
    };
}
