/*
 * Who gets the messages of a topic: the route cache of a worker, one entry per topic that was published
 * to. A change of subscriptions, interests or rules makes all entries old; each is made anew when its
 * topic comes again. Belongs to the worker's thread.
 */
#ifndef MQTT_ROUTE_H
#define MQTT_ROUTE_H

#include "base/map.h"
#include "base/str.h"

struct mqtt_worker;
struct session;
struct share;
struct subscription;

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

#endif
