/*
 * The MQTT broker: MQTT 3.1, 3.1.1 and 5.0, QoS 0 to 2, stored sessions, retained messages,
 * wills, shared subscriptions.
 *
 * There is one `struct mqtt` and, on each loop that has MQTT connections or publishes internally,
 * one `struct mqtt_worker`. A worker owns its connections, their sessions and its tree of
 * subscriptions; workers tell each other which filters have subscribers and send each other
 * messages, in batches, through the loops' task queues. Nothing is locked.
 *
 * Set-up and tear-down: make all workers, on any thread, before the first of them listens, attaches
 * or publishes; then use each worker on its loop's thread only. Stop all workers; free them when
 * every one of them has reported that it is done, and only then stop the loops. A worker must be
 * made before other parts add turn hooks to its loop.
 *
 * A PUBACK or PUBREC leaves when the rules have taken the message (MESSAGE_TAKEN) or the gate has committed
 * it (MESSAGE_STAGED), in the order of the PUBLISHes. What cannot be kept is refused: reason 0x97
 * in 5.0, a closed connection in 3.1.1.
 *
 * Bounds and what happens at them: see mqtt_options. Metrics: weir_mqtt_*.
 */
#ifndef MQTT_MQTT_H
#define MQTT_MQTT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/option.h"
#include "flow/journal.h"
#include "flow/message.h"
#include "flow/sink.h"
#include "io/loop.h"
#include "io/tls.h"

struct mqtt;
struct mqtt_worker;
struct mqtt_connection;

/* ---- configuration: the map under `mqtt:` ---- */

enum mqtt_anonymous { MQTT_ANONYMOUS_AUTO, MQTT_ANONYMOUS_FALSE, MQTT_ANONYMOUS_TRUE };

enum mqtt_queue_full { MQTT_QUEUE_DROP_OLDEST, MQTT_QUEUE_REFUSE };

struct mqtt_tls_config {
    struct option_head head; /* head.conf is NULL when the listener is plain */
    const char *cert, *key, *client_ca;
    bool require_client_cert, registered_certs;
};

struct mqtt_listener_config {
    struct option_head head;
    const char *bind;
    struct mqtt_tls_config tls;
    int anonymous; /* enum mqtt_anonymous; auto: on loopback, if there are no users */
    bool plaintext, proxy_protocol;
    const char *policy;    /* of clients that come without a user name */
    const char *websocket; /* NULL or "false": MQTT itself; "true" or a path */
    /* 0: without a limit of its own */
    int64_t connections_max, connect_rate, publish_rate, publish_bytes_rate, packet_bytes_max;
};

struct mqtt_user_config {
    struct option_head head; /* head.name is the user name */
    const char *password_hash, *policy;
};

struct mqtt_certificate_config {
    struct option_head head; /* head.name is for people */
    const char *fingerprint, *pem, *policy;
    bool active;
};

struct mqtt_config {
    struct option_head head;
    struct option_items listeners;    /* struct mqtt_listener_config */
    struct mqtt_listener_config web;  /* of /mqtt on the web listener; app sets `bind` */
    struct option_items users;        /* struct mqtt_user_config */
    struct option_items certificates; /* struct mqtt_certificate_config */
    const struct conf *policies;
    int64_t packet_bytes_max, connections_max, subscriptions_max, inflight_max, out_bytes_max;
    int64_t retained_max, retained_bytes_max, topic_alias_max, topic_levels_max, topic_bytes_max;
    int64_t keep_alive_max_ms, connect_timeout_ms, connect_bytes_max, connecting_max;
    int64_t client_id_bytes_max, password_cache;
    int64_t session_expiry_max_ms, sessions_max;
    int64_t queue_max, queue_bytes_max, queue_total_bytes_max, journal_bytes_min;
    int64_t clean_queue_max, clean_queue_bytes_max;
    int queue_full; /* enum mqtt_queue_full */
    bool lifecycle_events;
    int64_t sys_interval_ms;
};

extern const struct option mqtt_options[];

/*
 * Whether the settings are safe and possible: addresses, TLS files named, credentials where they
 * are needed, password hashes well formed, policies right and those that are named there. mqtt_new() asserts nothing that this has not checked.
 */
int mqtt_config_check(const struct mqtt_config *config, struct err *err);

/* The TLS settings of a listener for tls_server_context(). */
struct tls_server_config mqtt_listener_tls(const struct mqtt_listener_config *listener);

/* ---- life ---- */

enum { MQTT_WORKERS_MAX = 64 };

/* `config` was checked and must outlive the broker. `worker_count` counts all workers, that of the
 * service loop too. */
struct mqtt *mqtt_new(const struct mqtt_config *config, unsigned worker_count);

/* When all workers are freed. NULL is fine. */
void mqtt_free(struct mqtt *mqtt);

struct mqtt_worker *mqtt_worker_new(struct mqtt *mqtt, unsigned index, struct loop *loop);

/* After mqtt_worker_stop() is done; the loop may be stopped, but not freed. NULL is fine. */
void mqtt_worker_free(struct mqtt_worker *worker);

/*
 * The rules that see every message published on this worker (NULL: none), and the gate through
 * which they stage. Rules may be replaced at any time outside of their own calls; the gate stays
 * the same once it is given.
 */
void mqtt_worker_set_rules(struct mqtt_worker *worker, struct message_sink *rules,
                           struct sink_gate *gate);

/*
 * What answers to topics of its own (NULL: nothing), beside the rules and asked before them: messages of a
 * topic for which its route() is not NULL are pushed into it, staging through the same gate, and reach rules and subscribers all
 * the same. `generation` stays as it is. A push that says DENIED refuses the message as a policy does; UNSUPPORTED:
 * it may not be retained, which is a protocol error (5.0: 0x9A). Wills that it would refuse are refused with their CONNECT.
 */
void mqtt_worker_set_requests(struct mqtt_worker *worker, struct message_sink *requests);

/*
 * ---- what outlives the process ----
 *
 * Each worker gets its journal before the first of them is used. Then, before anybody listens or
 * publishes: mqtt_restore_read() on the thread of one of them; mqtt_restore_apply() on each, and a
 * wait until all are done; mqtt_restore_end() on each. Without a journal sessions
 * and retained messages end with the process.
 */
void mqtt_worker_set_journal(struct mqtt_worker *worker, struct journal *journal);

struct mqtt_restore;
int mqtt_restore_read(struct mqtt_worker *worker, struct mqtt_restore **ret_restore,
                      struct err *err);

/* The sessions that are at home here. `done` runs on the loop when the other workers know of them,
 * maybe before this returns. */
void mqtt_restore_apply(struct mqtt_worker *worker, struct mqtt_restore *restore,
                        void (*done)(void *data), void *data);

/* Ends what was over while the process was down, and gives what members of shares have left to others.
 * The last one frees. */
void mqtt_restore_end(struct mqtt_worker *worker, struct mqtt_restore *restore);

/*
 * What clients may do. mqtt_new() makes the policies of its configuration, and they are in force from the
 * start; others, of a configuration that was checked, may take their place on each worker at any
 * time. Users and listeners keep the names of their policies; one that is gone allows nothing.
 * Counted by references: mqtt_policies_new() gives one, each worker takes its own.
 */
struct mqtt_policies;
struct mqtt_policies *mqtt_policies_new(const struct mqtt_config *config);
void mqtt_policies_unref(struct mqtt_policies *policies); /* any thread; NULL is fine */
void mqtt_worker_set_policies(struct mqtt_worker *worker, struct mqtt_policies *policies);

/*
 * Who may connect, in the same way: mqtt_new() makes those of the users of its configuration; those of
 * a whole configuration, with its certificates and with devices registered elsewhere, take their
 * place on each worker, and may do so again. Then connections of users and certificates that are
 * gone or no longer active are ended, and those that stay get the policy that is theirs now.
 */
struct mqtt_identities;

struct mqtt_device {
    const char *fingerprint, *policy; /* policy NULL: the listener's */
    bool active;
};

struct mqtt_identities *mqtt_identities_of_users(const struct mqtt_config *config);

/* Reads the certificates' files; fails if one cannot be read. An entry of `config` counts before a
 * device of the same fingerprint. */
int mqtt_identities_new(const struct mqtt_config *config, const struct mqtt_device *devices,
                        size_t device_count, struct mqtt_identities **ret_identities,
                        struct err *err);
void mqtt_identities_unref(struct mqtt_identities *identities); /* any thread; NULL is fine */
void mqtt_worker_set_identities(struct mqtt_worker *worker, struct mqtt_identities *identities);

/*
 * Listens at `address` (port 0 becomes the real one). `tls` as `config` says, NULL for a plain
 * listener; both must outlive the worker.
 */
int mqtt_worker_listen(struct mqtt_worker *worker, const struct mqtt_listener_config *config,
                       struct sockaddr_storage *address, struct tls_context *tls, struct err *err);

/*
 * For publishing on this worker's thread. A message without received_ms gets the present time. One of depth 0 is
 * refused with ERR_FULL while there is no room (the publisher should try again later), a republished one (depth > 0)
 * never is. ERR_INVALID: topic or properties are not valid.
 */
struct message_publisher *mqtt_worker_publisher(struct mqtt_worker *worker);

/*
 * Stops accepting and reading, finishes what was read, and closes each connection with DISCONNECT 0x8B (5.0) as soon as its pending
 * acknowledgements are committed and written. `done` runs on the loop, not before this returns;
 * after MQTT_STOP_MS what is left is closed as it is. Committing must go on meanwhile, and so must
 * the loops of all other workers until all are done.
 */
enum { MQTT_STOP_MS = 5000 };
void mqtt_worker_stop(struct mqtt_worker *worker, void (*done)(void *data), void *data);

/* ---- other transports: MQTT over WebSocket (MQTT 5.0 section 6) ---- */

struct mqtt_transport_ops {
    /* Sends bytes (copies them). Called at the end of a turn, once with all that gathered. */
    void (*write)(void *transport, const uint8_t *at, size_t len);
    /* Sends what was written, then closes. mqtt_connection_detach() must follow, not before this
     * returns. */
    void (*close)(void *transport);
    /* Back-pressure. */
    void (*read_stop)(void *transport);
    void (*read_start)(void *transport);
    /* Bytes written and not yet taken by the network. */
    size_t (*pending)(void *transport);
    /* NULL, or what the connection is protected by (NULL: nothing). */
    struct tls *(*tls)(void *transport);
};

/*
 * A new connection from `peer` ("127.0.0.1:1234"; copied) over a foreign transport; NULL when the
 * worker is stopping. `anonymous`: whether it may connect without credentials. It lives until
 * mqtt_connection_detach().
 */
struct mqtt_connection *mqtt_worker_attach(struct mqtt_worker *worker,
                                           const struct mqtt_transport_ops *ops, void *transport,
                                           const char *peer, bool anonymous);

/* Whether a client of the listener may come without credentials now. */
bool mqtt_worker_is_anonymous(const struct mqtt_worker *worker,
                              const struct mqtt_listener_config *listener);

/* Whose policy and limits count for the connection; before the first bytes. `listener` must outlive
 * the worker. False: the listener has as many connections as it may. */
bool mqtt_connection_set_listener(struct mqtt_connection *connection,
                                  const struct mqtt_listener_config *listener);

/* Bytes from the client, cut anyhow. May call the transport's operations. */
void mqtt_connection_feed(struct mqtt_connection *connection, const uint8_t *at, size_t len);

/* pending() has become small again. */
void mqtt_connection_drained(struct mqtt_connection *connection);

/* The transport is gone; neither side uses the other from now on. */
void mqtt_connection_detach(struct mqtt_connection *connection);

/* ---- looking in ---- */

/*
 * A question about what all workers hold. It goes from worker to worker as a task, so it takes a
 * turn of each and sees each at another moment: who moves from one to another meanwhile may be
 * missed, or be told of twice under one key, of which the first stays. Looking for the first
 * clients of a page costs each worker a comparison per client, and nothing else grows with them.
 *
 * Its answer is a list of JSON objects, sorted by bytes: of clients by their id, of subscriptions by
 * client id and filter, of retained messages by topic; or none.
 */
enum mqtt_question {
    MQTT_LIST_CLIENTS,       /* whose id begins with `text` */
    MQTT_SHOW_CLIENT,        /* the one with the id `text`, with all that there is to tell */
    MQTT_LIST_SUBSCRIPTIONS, /* of the client `text`; empty: of all */
    MQTT_LIST_RETAINED,      /* whose topic the filter `text` matches; empty: all */
    MQTT_SHOW_RETAINED,      /* that of the topic `text`, with its payload */
    MQTT_END_CLIENT,         /* ends the connection of `text` (DISCONNECT 0x98) */
};

enum { MQTT_PAGE_MAX = 1000 };

struct mqtt_inquiry {
    enum mqtt_question question;
    struct str text, after; /* `after`: where the last page ended; views that live until `done` */
    unsigned limit;         /* of a list, 1 to MQTT_PAGE_MAX */
    bool connected_only;    /* of MQTT_LIST_CLIENTS */
    bool end_session;       /* of MQTT_END_CLIENT: its stored session too, also when it is away */
    bool prevent_will;      /* and its will stays unsaid */
    void (*done)(struct mqtt_inquiry *inquiry);
    /* The answer, when `done` runs. */
    struct buf items; /* JSON objects with commas between them */
    size_t count;
    struct buf next; /* `after` of the next page; empty: this is the last one */
};

/* Asks, from the thread of a worker's loop, on which `done` runs later. The loops of all workers
 * must be running until then. */
void mqtt_inquire(struct mqtt_worker *worker, struct mqtt_inquiry *inquiry);

/* Frees the answer. */
void mqtt_inquiry_done(struct mqtt_inquiry *inquiry);

/* ---- passwords ---- */

enum {
    MQTT_PASSWORD_HASH_CHARS = 192,
    MQTT_PASSWORD_ITERATIONS = 100000,
    MQTT_PASSWORD_ITERATIONS_MAX = 10000000
};

/* "$scram-sha-256$ITERATIONS$SALT$STORED_KEY$SERVER_KEY" (base64) with a new salt, for the
 * configuration. Slow on purpose. Any thread. */
void mqtt_password_hash(struct str password, unsigned iterations,
                        char ret_hash[MQTT_PASSWORD_HASH_CHARS]);

/* ERR_INVALID if `hash` has not that form; says what is wrong. */
int mqtt_password_hash_check(const char *hash, struct err *err);

/* Slow on purpose, and takes the same time whether it matches or not. Any thread. */
bool mqtt_password_verify(struct str password, const char *hash);

#endif
