/* The insides of the broker that its files share: the broker, the worker, and the way of a packet through
 * its files. All of it but the broker's atomic numbers belongs to the worker's thread. */
#ifndef MQTT_BROKER_H
#define MQTT_BROKER_H

#include <stdatomic.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/map.h"
#include "mqtt/channel.h"
#include "mqtt/connection.h"
#include "mqtt/hold.h"
#include "mqtt/interest.h"
#include "mqtt/journal.h"
#include "mqtt/keepalive.h"
#include "mqtt/metrics.h"
#include "mqtt/mqtt.h"
#include "mqtt/packet.h"
#include "mqtt/password_cache.h"
#include "mqtt/publication.h"
#include "mqtt/retained.h"
#include "mqtt/route.h"
#include "mqtt/session.h"
#include "mqtt/share.h"
#include "mqtt/tree.h"

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

/* Removes and closes all listeners; listener.c. */
void listeners_close(struct mqtt_worker *worker);

/* ---- publishing, publish.c and deliver.c ---- */

/*
 * Runs rules, keeps retained, delivers here and sends on. Returns as message_sink.push(); `from`
 * (may be NULL) does not get what its No Local subscriptions exclude.
 */
int publish(struct mqtt_worker *worker, const struct publication *publication,
            const struct session *from);

/* Why it refuses a message, for the log. */
const char *publish_refusal(int code);

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

void publish_take(struct mqtt_connection *connection, const struct packet *packet);

/* PUBACK, PUBREC, PUBREL and PUBCOMP; ack.c. */
void ack_take(struct mqtt_connection *connection, const struct packet *packet);

/* ---- CONNECT and AUTH, connect.c and auth.c ---- */

void connect_take(struct mqtt_connection *connection, const struct packet *packet);

/* The client is who it says: the policy decides, then it joins. */
void connect_admit(struct mqtt_connection *connection);

/* It is not; or the server is busy. */
void connect_refuse(struct mqtt_connection *connection, enum packet_reason reason,
                    const char *what);

/* What the principal is named; before the client joins, since the list of clients views its names. */
void connect_set_principal(struct mqtt_connection *connection, enum principal_kind kind,
                           struct str principal);

/* The client id is the connection's, and its stored session (or NULL) is here. The connection may
 * have ended meanwhile. */
void connect_granted(struct mqtt_connection *connection, struct session *session);

/* A new connection of the same client id ends this one. */
void connect_taken_over(struct mqtt_connection *connection);

/* CONNECT named a method that is known; `data` is client-first. */
void auth_begin(struct mqtt_connection *connection, struct str data);
void auth_take(struct mqtt_connection *connection, const struct packet *packet);

/* What CONNACK brings the client, or empty. */
struct str auth_data(const struct mqtt_connection *connection);

void auth_free(struct mqtt_connection *connection);

/* ---- SUBSCRIBE and UNSUBSCRIBE, subscribe.c ---- */

void subscribe_take(struct mqtt_connection *connection, const struct packet *packet);
void unsubscribe_take(struct mqtt_connection *connection, const struct packet *packet);

/* Subscribes a session that is not subscribed yet: to a filter, or (`share_name` not empty) to the
 * share with the key `text`. */
struct subscription *subscribe_add(struct mqtt_worker *worker, struct session *session,
                                   struct str text, struct str share_name);

/* Removes all subscriptions of a session. */
void subscribe_remove_all(struct mqtt_worker *worker, struct session *session);

#endif
