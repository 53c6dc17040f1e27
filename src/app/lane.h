/*
 * A lane: one loop thread with everything that a reading needs on its way from the socket to the
 * log: the broker's worker, the rule engine, the stream writer. The worker threads are lanes; the
 * service thread is one too, for MQTT over WebSocket and for what parts publish themselves.
 *
 * lane_* functions are called by main and run their work on the lane's thread, waiting for it.
 */
#ifndef APP_LANE_H
#define APP_LANE_H

#include "io/loop.h"
#include "mqtt/mqtt.h"
#include "rule/rule.h"
#include "stream/stream.h"
#include "things/things.h"

struct lane {
    struct loop_thread thread;
    struct mqtt_worker *worker;
    struct stream_writer *writer;
    struct journal *journal;  /* of the broker's sessions */
    struct journal *requests; /* to the part that answers to topics of its own */
    struct things_intake *intake;
    struct rule_engine *engine;
    struct rule_engine *next_engine; /* made by lane_prepare_rules() */
    struct rule_environment environment;
    struct things_reader *things; /* for the environment */
};

/* What all lanes have in common; all of it outlives them. */
struct lane_common {
    struct mqtt *mqtt;
    struct stream_log *log;
    const char *account;                /* what accountid() says */
    struct stream *sessions, *requests; /* in which there are the journals */
    struct things *things;
};

/* Starts the thread called `name` and makes worker number `index`, the writer, and the journals. */
void lane_start(struct lane *lane, const char *name, unsigned index,
                const struct lane_common *common);

/* Brings back what the journal holds, on all lanes; they have their rules, and nobody listens. */
int lanes_restore(struct lane *lanes, unsigned count, struct err *err);

/* Makes an engine for the rules; the old ones stay in force until lane_commit_rules(). */
int lane_prepare_rules(struct lane *lane, struct rule_set *set, struct err *err);

/* Puts the prepared engine in force, or (`take` false) drops it. */
void lane_commit_rules(struct lane *lane, bool take);

/* Both at once, on the lane's own thread. On failure the old rules stay. */
int lane_replace_rules(struct lane *lane, struct rule_set *set, struct err *err);

/* Puts other policies in force; they may have been compiled on any thread. */
void lane_set_policies(struct lane *lane, struct mqtt_policies *policies);

/* The same for who may connect. */
void lane_set_identities(struct lane *lane, struct mqtt_identities *identities);

int lane_listen(struct lane *lane, const struct mqtt_listener_config *config,
                struct sockaddr_storage *address, struct tls_context *tls, struct err *err);

/* Waits until all that was staged is committed, at most some seconds. The broker's worker has
 * stopped. */
void lane_drain(struct lane *lane);

/* Frees what the lane holds and ends its thread. Nothing of it runs any more. */
void lane_stop(struct lane *lane);

#endif
