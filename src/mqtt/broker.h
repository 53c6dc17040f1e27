/* The insides of the broker that its files share: the worker and the connection. All of it belongs
 * to the worker's thread. */
#ifndef MQTT_BROKER_H
#define MQTT_BROKER_H

#include <stdatomic.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/map.h"
#include "base/metric.h"
#include "io/tcp.h"
#include "mqtt/interest.h"
#include "mqtt/journal.h"
#include "mqtt/mqtt.h"
#include "mqtt/packet.h"
#include "mqtt/password_cache.h"
#include "mqtt/publication.h"
#include "mqtt/retained.h"
#include "mqtt/session.h"
#include "mqtt/share.h"
#include "mqtt/tree.h"

/* ---- metrics: member, type, name, help, labels ---- */

#define MQTT_RECEIVED "weir_mqtt_messages_received_total", "Application messages taken from clients"
#define MQTT_RECEIVED_BYTES                                                                        \
    "weir_mqtt_payload_bytes_received_total", "Payload bytes taken from clients"
#define MQTT_SENT "weir_mqtt_messages_sent_total", "Application messages sent to clients"
#define MQTT_SENT_BYTES                                                                            \
    "weir_mqtt_packet_bytes_sent_total", "Bytes of PUBLISH packets sent to clients"
#define MQTT_DROPPED                                                                               \
    "weir_mqtt_messages_dropped_total", "Messages not delivered to a subscriber, or not taken"
#define MQTT_REFUSED "weir_mqtt_connects_refused_total", "Connections refused before or at CONNECT"
#define MQTT_DENIED  "weir_mqtt_denied_total", "Requests that a policy does not allow"
#define MQTT_CLOSED  "weir_mqtt_disconnects_total", "Connections of clients that ended"

#define MQTT_METRICS(X)                                                                            \
    X(clients, GAUGE, "weir_mqtt_clients", "Clients that are connected", NULL)                     \
    X(accepted, COUNTER, "weir_mqtt_connections_total", "Connections that came", NULL)             \
    X(connects, COUNTER, "weir_mqtt_connects_total", "CONNECTs that were accepted", NULL)          \
    X(packets_received, COUNTER, "weir_mqtt_packets_received_total", "MQTT packets received",      \
      NULL)                                                                                        \
    X(packets_sent, COUNTER, "weir_mqtt_packets_sent_total", "MQTT packets sent", NULL)            \
    X(bytes_received, COUNTER, "weir_mqtt_bytes_received_total",                                   \
      "Bytes received from clients, without TLS and WebSocket framing", NULL)                      \
    X(bytes_sent, COUNTER, "weir_mqtt_bytes_sent_total",                                           \
      "Bytes sent to clients, without TLS and WebSocket framing", NULL)                            \
    X(events, COUNTER, "weir_mqtt_lifecycle_events_total", "Lifecycle events published", NULL)     \
    X(dropped_events, COUNTER, "weir_mqtt_lifecycle_events_dropped_total",                         \
      "Lifecycle events that could not be kept", NULL)                                             \
    X(connections, GAUGE, "weir_mqtt_connections", "Connections, not yet accepted ones included",  \
      NULL)                                                                                        \
    X(subscriptions, GAUGE, "weir_mqtt_subscriptions", "Subscriptions of connected clients", NULL) \
    X(shared_subscriptions, GAUGE, "weir_mqtt_shared_subscriptions", "Those among them to shares", \
      NULL)                                                                                        \
    X(sessions_away, GAUGE, "weir_mqtt_stored_sessions_away",                                      \
      "Stored sessions whose client is not connected", NULL)                                       \
    X(sessions, GAUGE, "weir_mqtt_stored_sessions", "Sessions that outlive their connection",      \
      NULL)                                                                                        \
    X(sessions_expired, COUNTER, "weir_mqtt_stored_sessions_expired_total",                        \
      "Stored sessions that ended because their client stayed away", NULL)                         \
    X(parked, GAUGE, "weir_mqtt_parked_connections", "Publishers that wait for room", NULL)        \
    X(crowded, GAUGE, "weir_mqtt_crowded_subscribers",                                             \
      "Subscribers whose queue makes publishers wait", NULL)                                       \
    X(routes, GAUGE, "weir_mqtt_routes", "Topics in the route cache", NULL)                        \
    X(retained_count, GAUGE, "weir_mqtt_retained_messages", "Retained messages", NULL)             \
    X(retained_bytes, GAUGE, "weir_mqtt_retained_bytes", "Memory of retained messages", NULL)      \
    X(received_qos0, COUNTER, MQTT_RECEIVED, "qos=\"0\"")                                          \
    X(received_qos1, COUNTER, MQTT_RECEIVED, "qos=\"1\"")                                          \
    X(received_qos2, COUNTER, MQTT_RECEIVED, "qos=\"2\"")                                          \
    X(received_bytes_qos0, COUNTER, MQTT_RECEIVED_BYTES, "qos=\"0\"")                              \
    X(received_bytes_qos1, COUNTER, MQTT_RECEIVED_BYTES, "qos=\"1\"")                              \
    X(received_bytes_qos2, COUNTER, MQTT_RECEIVED_BYTES, "qos=\"2\"")                              \
    X(sent_qos0, COUNTER, MQTT_SENT, "qos=\"0\"")                                                  \
    X(sent_qos1, COUNTER, MQTT_SENT, "qos=\"1\"")                                                  \
    X(sent_qos2, COUNTER, MQTT_SENT, "qos=\"2\"")                                                  \
    X(sent_bytes_qos0, COUNTER, MQTT_SENT_BYTES, "qos=\"0\"")                                      \
    X(sent_bytes_qos1, COUNTER, MQTT_SENT_BYTES, "qos=\"1\"")                                      \
    X(sent_bytes_qos2, COUNTER, MQTT_SENT_BYTES, "qos=\"2\"")                                      \
    X(dropped_slow, COUNTER, MQTT_DROPPED, "cause=\"slow_subscriber\"")                            \
    X(dropped_queue_full, COUNTER, MQTT_DROPPED, "cause=\"queue_full\"")                           \
    X(dropped_too_large, COUNTER, MQTT_DROPPED, "cause=\"too_large_for_subscriber\"")              \
    X(dropped_expired, COUNTER, MQTT_DROPPED, "cause=\"expired\"")                                 \
    X(dropped_refused, COUNTER, MQTT_DROPPED, "cause=\"cannot_be_kept\"")                          \
    X(dropped_left, COUNTER, MQTT_DROPPED, "cause=\"no_member_left\"")                             \
    X(refused_limit, COUNTER, MQTT_REFUSED, "reason=\"connections_max\"")                          \
    X(refused_listener, COUNTER, MQTT_REFUSED, "reason=\"listener_connections_max\"")              \
    X(refused_connecting, COUNTER, MQTT_REFUSED, "reason=\"connecting_max\"")                      \
    X(refused_timeout, COUNTER, MQTT_REFUSED, "reason=\"connect_timeout\"")                        \
    X(refused_proxy, COUNTER, MQTT_REFUSED, "reason=\"proxy_protocol\"")                           \
    X(refused_certificate, COUNTER, MQTT_REFUSED, "reason=\"certificate\"")                        \
    X(connects_delayed, COUNTER, "weir_mqtt_connects_delayed_total",                               \
      "Times that a listener's connect_rate made arrivals wait", NULL)                             \
    X(connecting, GAUGE, "weir_mqtt_connecting", "Connections whose CONNECT is not answered",      \
      NULL)                                                                                        \
    X(paced, COUNTER, "weir_mqtt_paced_total",                                                     \
      "Times that a publish_rate or publish_bytes_rate made a publisher wait", NULL)               \
    X(password_hits, COUNTER, "weir_mqtt_passwords_verified_total", "Passwords that were right",   \
      "by=\"cache\"")                                                                              \
    X(password_hashed, COUNTER, "weir_mqtt_passwords_verified_total", "Passwords that were right", \
      "by=\"hash\"")                                                                               \
    X(closed_identity, COUNTER, MQTT_CLOSED, "reason=\"credentials_withdrawn\"")                   \
    X(closed_auth, COUNTER, MQTT_CLOSED, "reason=\"reauthentication\"")                            \
    X(refused_credentials, COUNTER, MQTT_REFUSED, "reason=\"credentials\"")                        \
    X(refused_protocol, COUNTER, MQTT_REFUSED, "reason=\"protocol\"")                              \
    X(refused_policy, COUNTER, MQTT_REFUSED, "reason=\"policy\"")                                  \
    X(refused_unavailable, COUNTER, MQTT_REFUSED, "reason=\"unavailable\"")                        \
    X(closed_protocol, COUNTER, MQTT_CLOSED, "reason=\"protocol\"")                                \
    X(closed_keep_alive, COUNTER, MQTT_CLOSED, "reason=\"keep_alive\"")                            \
    X(closed_taken_over, COUNTER, MQTT_CLOSED, "reason=\"taken_over\"")                            \
    X(closed_policy, COUNTER, MQTT_CLOSED, "reason=\"policy\"")                                    \
    X(closed_by_client, COUNTER, MQTT_CLOSED, "reason=\"client\"")                                 \
    X(closed_lost, COUNTER, MQTT_CLOSED, "reason=\"connection_lost\"")                             \
    X(closed_kicked, COUNTER, MQTT_CLOSED, "reason=\"administrative\"")                            \
    X(closed_stopping, COUNTER, MQTT_CLOSED, "reason=\"shutting_down\"")                           \
    X(denied_connect, COUNTER, MQTT_DENIED, "action=\"connect\"")                                  \
    X(denied_publish, COUNTER, MQTT_DENIED, "action=\"publish\"")                                  \
    X(denied_retain_publish, COUNTER, MQTT_DENIED, "action=\"retain_publish\"")                    \
    X(denied_subscribe, COUNTER, MQTT_DENIED, "action=\"subscribe\"")                              \
    X(denied_receive, COUNTER, MQTT_DENIED, "action=\"receive\"")                                  \
    X(closed_not_kept, COUNTER, MQTT_CLOSED, "reason=\"cannot_be_kept\"")

struct worker_metrics {
#define X(member, ...) struct metric member;
    MQTT_METRICS(X)
#undef X
};

/* ---- the broker ---- */

/* What $SYS/broker tells beside the counters; written by the first worker, clients_max and heap_max
 * by whoever looks. */
enum { SYS_RATES = 11, SYS_SPANS = 3 };

struct sys_state {
    _Atomic int64_t clients_max, heap_max;
    _Atomic int64_t loads[SYS_RATES * SYS_SPANS]; /* hundredths */
};

struct mqtt {
    const struct mqtt_config *config;
    unsigned worker_count;
    uint64_t instance; /* by chance, of this run */
    uint64_t started_ns;
    struct sys_state sys;
    struct mqtt_identities *identities;     /* the users of the configuration */
    struct mqtt_policies *policies;         /* of the configuration */
    struct listener_state *listener_states; /* of the configuration's listeners, then of `web` */
    uint8_t secret[32]; /* random: what nobody else shall be able to calculate */
    struct mqtt_worker *workers[MQTT_WORKERS_MAX];
    _Atomic uint64_t retained_version; /* drawn by publishers of retained messages */
    _Atomic int64_t session_count;     /* of stored sessions */
    _Atomic int64_t queued_bytes;      /* what waits in all sessions */
    _Atomic uint64_t crowded;          /* the workers with a held session: bit per index, crowd.c */
    _Atomic int64_t claims_under_way;
    _Atomic uint64_t journal_number;     /* the last one given out, see journal_number() */
    _Atomic int64_t journal_bytes;       /* written since the last rewriting */
    _Atomic uint32_t journal_generation; /* see rewrite.c */
    int64_t journal_live_bytes;          /* of them, what was rewritten; of worker 0 */
    _Atomic bool restoring;              /* not all workers have what the journal holds */
    _Atomic bool rewriting, rewrite_failed;
    _Atomic int64_t moving_count; /* sessions on their way from one worker to another */
    _Atomic int64_t connection_count;
    _Atomic uint64_t connection_number; /* of the last connection */
};

/* Whether a connection to a listener may come without credentials, if there are users or not. */
bool listener_is_anonymous(const struct mqtt_listener_config *listener, bool has_users);

/* ---- routes, route.c ---- */

enum { ROUTES_MAX = 65536, ROUTES_BYTES_MAX = 64 * 1024 * 1024 };

struct route_target {
    struct session *session;
    uint32_t *ids; /* subscription identifiers; in route.ids */
    uint32_t id_count;
    uint8_t qos;
    bool no_local; /* not for the session's own messages */
    bool only_own; /* for none but them */
    bool has_no_local, retain_as_published;
};

/* What is to be done with the messages of one topic. */
struct route {
    uint64_t generation, rules_generation;
    const void *rules;       /* of the rule engine; NULL: none */
    const void *request;     /* of what answers to this topic; NULL: nothing does */
    uint64_t workers;        /* which other workers have subscribers: bit per index */
    uint64_t stored_workers; /* those among them that have stored sessions */
    uint64_t full_workers;   /* and those where the queue of one is full, see stored_is_full() */
    bool stored_targets, stored_shares; /* whether there are stored sessions among them */
    struct route_target *targets;
    uint32_t *ids;
    struct share **shares;
    uint32_t target_count, share_count;
    uint32_t topic_bytes;
    size_t bytes; /* of memory */
    char topic[];
};

struct routes {
    struct map map;
    struct route *last;  /* that was looked up */
    size_t bytes;        /* of memory of all routes */
    uint64_t generation; /* routes of an older one are made anew when they are looked up */
    uint64_t epoch;      /* changes when routes are freed */
    struct subscription **matches;
    uint32_t match_count, match_cap;
    struct share **shares; /* that matched */
    uint32_t share_count, share_cap;
};

/* NULL: the topic is no valid topic name. Valid until routes.epoch changes. */
struct route *route_find(struct mqtt_worker *worker, struct str topic);

/* The same, or NULL if the topic has none yet: nothing is made. */
const struct route *route_peek(struct mqtt_worker *worker, struct str topic);

/* Whether a subscriber or a rule would get a message of this topic. Makes no route: for topics of
 * which there are many and that come seldom. */
bool route_is_wanted(struct mqtt_worker *worker, struct str topic);

/* A subscription, an interest or the rules have changed. */
static inline void routes_expire(struct routes *routes) {
    routes->generation++;
}

void routes_done(struct routes *routes);

/* ---- channels between workers, channel.c ---- */

enum { CHANNEL_BATCH_BYTES = 256 * 1024, CHANNEL_BATCHES_MAX = 8 };

struct batch;

struct channel {
    struct mqtt_worker *from;
    struct batch *filling, *spare;
    unsigned under_way;
    bool full; /* publishers are to wait */
};

/* Something that runs on another worker, in its place among all that is sent there. It belongs to
 * that worker from now on. */
struct call {
    void (*run)(struct mqtt_worker *worker, struct call *call);
};

/* Something that goes on when all other workers have applied what they were sent before. */
struct channel_wait {
    unsigned left;
    void (*done)(struct channel_wait *wait);
};

void channels_init(struct mqtt_worker *worker);
void channels_done(struct mqtt_worker *worker);

/* Posts what has gathered; at the end of each turn. */
void channels_flush(struct mqtt_worker *worker);

/* Posts those that have gathered enough; at the end of each publish(). */
void channels_post_full(struct mqtt_worker *worker);
bool channels_idle(const struct mqtt_worker *worker);

/* As the others; `message` is in the journal, and they write who waits for it. */
void channel_send_kept(struct mqtt_worker *worker, uint64_t workers, struct kept *message);
void channel_send_publication(struct mqtt_worker *worker, uint64_t workers,
                              const struct publication *publication);
void channel_send_retained(struct mqtt_worker *worker, struct kept *retained);

/* Subscribers to a filter on a worker: there are some; there are stored sessions among them; these
 * are gone; all are gone; the queue of one is full, and its message has to be refused; none is. */
enum interest_change {
    INTEREST_ADD,
    INTEREST_ADD_STORED,
    INTEREST_REMOVE_STORED,
    INTEREST_REMOVE,
    INTEREST_FULL,
    INTEREST_NOT_FULL
};
void channel_send_interest(struct mqtt_worker *worker, enum interest_change change,
                           struct str filter);

/* How many members of a share are here. */
void channel_send_share(struct mqtt_worker *worker, struct str key, struct share_count count);

/* A message for one member of a share on the worker `to`. */
void channel_send_shared(struct mqtt_worker *worker, unsigned to, struct str key,
                         const struct publication *publication, uint8_t hops);

/* To oneself: runs before this returns. */
void channel_send_call(struct mqtt_worker *worker, unsigned to, struct call *call);

/* False when there is nothing to wait for; otherwise `done` will run once. */
bool channel_wait(struct mqtt_worker *worker, struct channel_wait *wait,
                  void (*done)(struct channel_wait *wait));

/* What arrives, interest.c and others. */
void interest_apply(struct mqtt_worker *worker, unsigned from, enum interest_change change,
                    struct str filter);

/* Workers with subscribers; with stored sessions among them; with such that are full. */
struct interested {
    uint64_t workers, stored, full;
};
struct interested interest_match(struct mqtt_worker *worker, struct str topic);

/* ---- keep alive, keepalive.c ---- */

enum { WHEEL_SLOTS = 256, WHEEL_TICK_MS = 1000 };

struct wheel {
    struct timer timer;
    struct link slots[WHEEL_SLOTS];
    uint32_t now_s; /* ticks since the start */
};

void wheel_start(struct mqtt_worker *worker);

/* Looks at the connection again when its deadline has come. */
void wheel_add(struct mqtt_connection *connection);

/* One second has passed. */
void wheel_tick(struct mqtt_worker *worker);

/* ---- acknowledgements that wait for the disk, hold.c ---- */

struct hold {
    uint64_t ticket;
    struct mqtt_connection *connection;
    uint64_t end; /* of the bytes that this ticket releases, counted from the connection's first
                     held byte ever */
};

/* A ring of holds in the order of their tickets. */
struct holds {
    struct hold *items;
    uint64_t begin, end; /* absolute; index = number & (cap - 1) */
    size_t cap;
};

struct held {
    struct buf bytes;
    uint64_t begin;               /* absolute position of the first byte in `bytes` */
    uint64_t last_hold;           /* absolute index of this connection's newest hold */
    uint32_t count, puback_count; /* acknowledgements in `bytes`, and PUBACKs among them */
    /* When the connection has ended and its session has not: the session, and the link in its
     * list, until no PUBREC is held any more. */
    struct session *unsettled;
    struct link unsettling;
};

/* Sends PUBACK or PUBREC (`type`), or keeps it back: until `ticket` commits, or, if nothing was
 * staged, until those before it have left. */
void hold_ack(struct mqtt_connection *connection, enum packet_type type, uint16_t packet_id,
              uint8_t reason, bool staged, uint64_t ticket);
uint32_t hold_count(const struct mqtt_connection *connection);

/* Those among them that are PUBACKs. */
uint32_t hold_puback_count(const struct mqtt_connection *connection);

/* Frees what is held, unsent. */
void hold_forget(struct mqtt_connection *connection);
void holds_commit(struct mqtt_worker *worker, uint64_t ticket, int status);
void holds_done(struct mqtt_worker *worker);

/* ---- the worker, worker.c ---- */

enum { AUTH_UNDER_WAY_MAX = 64, PARKED_BYTES_MAX = 64 * 1024 };

struct mqtt_worker {
    struct mqtt *mqtt;
    const struct mqtt_config *config;
    unsigned index;
    struct loop *loop;
    struct turn_hook turn_end;
    struct message_publisher publisher;

    struct message_sink *rules, *requests;
    struct sink_gate *gate;
    struct sink_gate_listener gate_listener;

    struct tree subscriptions; /* filter -> struct subscribers */
    struct interests stored_interests,
        full_interests;         /* of stored sessions; of those that are full */
    struct interests interests; /* of other workers */
    struct shares shares;
    struct retained_store retained;
    struct routes routes;
    struct channel *channels; /* one per worker; that to itself is unused */
    unsigned channels_full;

    struct map clients; /* client id -> struct mqtt_connection */
    struct map stored;  /* client id -> struct session, those of clients that are away too */
    struct map owners;  /* client id -> struct owner, of those at home here; claim.c */
    struct mqtt_connection *joining;        /* whose claim is being made */
    struct link session_slots[WHEEL_SLOTS]; /* struct stored, see stored_tick() */
    struct link connections;                /* all that are not freed, but for newcomers */
    struct link newcomers; /* those whose CONNECT is not answered, the oldest first */
    unsigned newcomer_count;
    struct link paced; /* those that have published too much, see limits.c */
    struct timer pace_timer;
    struct link parked;  /* those that wait for room, the longest first */
    struct link writing; /* those with gathered bytes for a foreign transport */
    struct wheel wheel;
    struct holds holds;
    struct worker_journal journal;
    unsigned publish_depth;      /* calls of publish() within each other */
    bool posts_late;             /* a batch is full meanwhile */
    struct rewriting *rewriting; /* of the journal; at worker 0, while it is under way */
    struct rewrite_part *rewrite_part;
    struct link listeners;
    unsigned auth_under_way;
    struct link crowd;  /* struct session, those that make publishers wait */
    bool fed_crowd : 1; /* a message has just been queued for one of them */
    bool crowd_eased;   /* crowd_task is posted */
    struct task crowd_task;

    struct buf scratch;    /* encoded messages for fan-out */
    struct buf properties; /* of a PUBLISH whose topic alias was cut out */
    uint64_t wall_ms;      /* read once per feed */

    struct map presences; /* client id -> struct presence, of those at home here; lifecycle.c */
    struct buf event_topic, event_filters; /* of the SUBSCRIBE that is being handled */
    bool event_wanted;
    struct sys_topics *sys_topics; /* of the first worker; sys_topics.c */

    struct mqtt_identities *identities;
    struct password_cache passwords;
    struct mqtt_policies *policies;
    struct buf resource, expanded; /* of a request to them */

    struct worker_metrics metrics;
    struct log_limit log_protocol, log_slow, log_keep, log_denied;

    bool stopping, stop_checked, stopped;
    struct timer stop_timer;
    void (*on_stopped)(void *data);
    void *on_stopped_data;
};

/* Whether the next PUBLISH may be taken. */
bool worker_has_room(struct mqtt_worker *worker);

/* Lets parked connections go on as long as there is room. */
void worker_unpark(struct mqtt_worker *worker);

/* A connection has ended or a batch has come home: maybe the worker is done stopping. */
void worker_check_stopped(struct mqtt_worker *worker);

/* Removes and closes all listeners; listener.c. */
void listeners_close(struct mqtt_worker *worker);

/* ---- publishing, publish.c and deliver.c ---- */

/*
 * Runs rules, keeps retained, delivers here and sends on. Returns as message_sink.push(); `from`
 * (may be NULL) does not get what its No Local subscriptions exclude.
 */
int publish(struct mqtt_worker *worker, const struct publication *publication,
            const struct session *from);

/* To the subscribers of this worker only; `origin` is the worker that it was published on. */
void deliver(struct mqtt_worker *worker, const struct route *route,
             const struct publication *publication, const struct session *from, unsigned origin);

/* To a member of a share, on this worker. */
void deliver_shared(struct mqtt_worker *worker, const struct subscription *member,
                    const struct publication *publication);

/* Whether a message for the session would leave at once. */
bool deliver_can_take(const struct session *session);

/* Takes a retained message into the replica; for one's own and those that arrive. */
void publish_keep(struct mqtt_worker *worker, struct kept *retained);

/* Sends what waits for the client, as far as it may. */
void deliver_waiting(struct mqtt_connection *connection);

/* ---- the connection, connection.c and input.c ---- */

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

/* ---- packets: connect.c, publish.c, ack.c, subscribe.c ---- */

void connect_take(struct mqtt_connection *connection, const struct packet *packet);
void auth_take(struct mqtt_connection *connection, const struct packet *packet);
void publish_take(struct mqtt_connection *connection, const struct packet *packet);
void ack_take(struct mqtt_connection *connection, const struct packet *packet);
void subscribe_take(struct mqtt_connection *connection, const struct packet *packet);
void unsubscribe_take(struct mqtt_connection *connection, const struct packet *packet);

/* The client is who it says: the policy decides, then it joins. */
void connect_admit(struct mqtt_connection *connection);

/* It is not; or the server is busy. */
void connect_refuse(struct mqtt_connection *connection, enum packet_reason reason,
                    const char *what);

/* What the principal is named; before the client joins, since the list of clients views its names. */
void connect_set_principal(struct mqtt_connection *connection, enum principal_kind kind,
                           struct str principal);

/* ---- AUTH, auth.c ---- */

/* CONNECT named a method that is known; `data` is client-first. */
void auth_begin(struct mqtt_connection *connection, struct str data);

/* What CONNACK brings the client, or empty. */
struct str auth_data(const struct mqtt_connection *connection);

void auth_free(struct mqtt_connection *connection);

/* The client id is the connection's, and its stored session (or NULL) is here. The connection may
 * have ended meanwhile. */
void connect_granted(struct mqtt_connection *connection, struct session *session);

/* A new connection of the same client id ends this one. */
void connect_taken_over(struct mqtt_connection *connection);

/* Subscribes a session that is not subscribed yet: to a filter, or (`share_name` not empty) to the
 * share with the key `text`. */
struct subscription *subscribe_add(struct mqtt_worker *worker, struct session *session,
                                   struct str text, struct str share_name);

/* Removes all subscriptions of a session. */
void subscribe_remove_all(struct mqtt_worker *worker, struct session *session);

/* Publishes a will and frees it. */
void will_publish(struct mqtt_worker *worker, struct will *will, struct str client_id);

#endif
