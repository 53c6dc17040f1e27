/*
 * What the client of a connection may do, by the policy of its user or listener. A client for which
 * no policy is named may do everything, and costs one look at a pointer. All of it belongs to the
 * worker's thread.
 *
 * Each check that fails is counted by action and logged, at most once a second, with client, action
 * and resource. What then happens to the client is the caller's business.
 */
#ifndef MQTT_AUTHORIZE_H
#define MQTT_AUTHORIZE_H

#include "mqtt/broker.h"
#include "mqtt/policy.h"

/* How many decisions about topics a connection remembers. */
enum { AUTHORITY_DECISIONS = 16 };

/* What a connection with a policy has. */
struct authority {
    const char *policy_name;     /* of the listener, or of the worker's identities */
    const struct policy *policy; /* NULL: there is none of that name any more */
    uint64_t routes_epoch;       /* whose routes the decisions are about */
    struct authority_decision {
        const struct route *route;
        uint8_t known, allowed; /* bit per enum policy_action */
    } decisions[AUTHORITY_DECISIONS];
    struct tls_peer certificate; /* its names are empty without one */
};

/* Of clients that come without a user name; NULL: they may do everything. */
const char *authorize_listener_policy(const struct mqtt_connection *connection);

/* Gives the connection the authority of a policy, in place of the one that it has, or (NULL) none. */
void authorize_begin(struct mqtt_connection *connection, const char *policy_name);

/* Whether it may connect, with its client id and its will. */
bool authorize_connect(struct mqtt_connection *connection);

/* Whether it may subscribe; of a shared subscription `inner` is the filter in it. */
bool authority_may_subscribe(struct mqtt_connection *connection, struct str filter,
                             struct str inner);
bool authority_may_publish(struct mqtt_connection *connection, struct str topic, bool retain);
bool authority_may_receive(struct mqtt_connection *connection, struct str topic,
                           const struct route *route);

/* `route`: that of the topic, where it is at hand; or NULL. A session without
 * a connection receives nothing now: its messages are asked about when they leave. */
static inline bool authorize_receive(struct mqtt_connection *connection, struct str topic,
                                     const struct route *route) {
    return !connection || !connection->authority || authority_may_receive(connection, topic, route);
}

static inline bool authorize_publish(struct mqtt_connection *connection, struct str topic,
                                     bool retain) {
    return !connection->authority || authority_may_publish(connection, topic, retain);
}

static inline bool authorize_subscribe(struct mqtt_connection *connection, struct str filter,
                                       struct str inner) {
    return !connection->authority || authority_may_subscribe(connection, filter, inner);
}

/* Whether every policy that the configuration names is one of `policies`. */
int authorize_check(const struct mqtt_config *config, struct err *err);

#endif
