/*
 * Asks the policies about what clients do.
 *
 * A request is built from the connection and decided by policy_decide(). Decisions about publishing
 * to and receiving from a topic are remembered in the connection by the topic's route, in the slot
 * that the route's address gives: a client that stays with few topics is decided about once each.
 * Routes are freed all at once, with a change of their epoch; then, and when policies are replaced,
 * the decisions are forgotten. A topic without a route is decided about each time, so that refused
 * publishes put nothing into the route cache.
 */
#include "mqtt/authorize.h"

#include <stdlib.h>

#include "base/mem.h"
#include "mqtt/identity.h"

static void forget(struct authority *authority, const struct mqtt_worker *worker) {
    memset(authority->decisions, 0, sizeof authority->decisions);
    authority->routes_epoch = worker->routes.epoch;
}

/* ---- which policy ---- */

const char *authorize_listener_policy(const struct mqtt_connection *connection) {
    return connection->listener ? connection->listener->policy : NULL;
}

static struct authority *authority_new(const struct mqtt_connection *connection) {
    struct authority *authority = xcalloc(1, sizeof *authority);
    const struct tls *tls = connection_tls(connection);
    if (!tls || !tls_peer(tls, &authority->certificate))
        authority->certificate = (struct tls_peer){.verified = false};
    return authority;
}

void authorize_begin(struct mqtt_connection *connection, const char *policy_name) {
    if (!policy_name) {
        free(connection->authority);
        connection->authority = NULL;
        return;
    }
    if (!connection->authority)
        connection->authority = authority_new(connection);
    struct authority *authority = connection->authority;
    authority->policy_name = policy_name;
    authority->policy = policies_find(connection->worker->policies, str_of(policy_name));
    forget(authority, connection->worker);
}

struct mqtt_policies *mqtt_policies_new(const struct mqtt_config *config) {
    struct mqtt_policies *policies;
    struct err err;
    int failed = policies_compile(config->policies, &policies, &err);
    ASSERT(!failed);
    return policies;
}

void mqtt_policies_unref(struct mqtt_policies *policies) {
    policies_unref(policies);
}

static void take_policy(struct mqtt_connection *connection) {
    struct authority *authority = connection->authority;
    if (!authority || connection->state == CONNECTION_ENDED)
        return;
    authority->policy = policies_find(connection->worker->policies, str_of(authority->policy_name));
    forget(authority, connection->worker);
}

void mqtt_worker_set_policies(struct mqtt_worker *worker, struct mqtt_policies *policies) {
    struct mqtt_policies *old = worker->policies;
    worker->policies = policies_ref(policies);
    LIST_EACH(item, &worker->newcomers) {
        take_policy(LIST_ITEM(item, struct mqtt_connection, link));
    }
    LIST_EACH(item, &worker->connections) {
        take_policy(LIST_ITEM(item, struct mqtt_connection, link));
    }
    policies_unref(old);
}

/* ---- who ---- */

/* Whether the client may stay, as what it came; its policy is *ret_policy from now on. */
static bool still_known(const struct mqtt_connection *connection, const char **ret_policy) {
    const struct mqtt_identities *identities = connection->worker->identities;
    struct str principal = connection_principal(connection);
    *ret_policy = authorize_listener_policy(connection);
    if (connection->principal_kind == PRINCIPAL_USER) {
        const struct identity_user *user = identity_user(identities, principal);
        *ret_policy = user ? user->policy : NULL;
        return user != NULL;
    }
    if (connection->principal_kind != PRINCIPAL_CERTIFICATE)
        return true;
    const struct identity_certificate *certificate = identity_certificate(identities, principal);
    if (certificate && certificate->policy)
        *ret_policy = certificate->policy;
    return certificate ? certificate->active : connection->ca_verified;
}

static void renew(struct mqtt_connection *connection) {
    const char *policy;
    bool is_settled =
        connection->state == CONNECTION_JOINING || connection->state == CONNECTION_OPEN;
    if (!is_settled)
        return;
    if (still_known(connection, &policy)) {
        authorize_begin(connection, policy);
        return;
    }
    metric_add(&connection->worker->metrics.closed_identity, 1);
    log_info("mqtt", "client \"%.*s\" at %s closed: its user or certificate is gone",
             STR_ARG(connection_client_id(connection)), connection->peer);
    connection_end(connection, PACKET_NOT_AUTHORIZED);
}

/* Ending a connection moves it to the end of the other list at most. */
void mqtt_worker_set_identities(struct mqtt_worker *worker, struct mqtt_identities *identities) {
    struct mqtt_identities *old = worker->identities;
    worker->identities = identities_ref(identities);
    password_cache_clear(&worker->passwords);
    LIST_EACH(item, &worker->newcomers) {
        renew(LIST_ITEM(item, struct mqtt_connection, link));
    }
    LIST_EACH(item, &worker->connections) {
        renew(LIST_ITEM(item, struct mqtt_connection, link));
    }
    mqtt_identities_unref(old);
}

/* ---- decisions ---- */

static void count_denial(struct mqtt_worker *worker, enum policy_action action) {
    struct worker_metrics *metrics = &worker->metrics;
    struct metric *const counts[] = {
        [POLICY_CONNECT] = &metrics->denied_connect,
        [POLICY_PUBLISH] = &metrics->denied_publish,
        [POLICY_RETAIN_PUBLISH] = &metrics->denied_retain_publish,
        [POLICY_SUBSCRIBE] = &metrics->denied_subscribe,
        [POLICY_RECEIVE] = &metrics->denied_receive,
    };
    metric_add(counts[action], 1);
}

static const char *resource_kind(enum policy_action action) {
    return action == POLICY_CONNECT     ? "client/"
           : action == POLICY_SUBSCRIBE ? "topicfilter/"
                                        : "topic/";
}

static void note_denial(struct mqtt_connection *connection, enum policy_action action,
                        struct str name) {
    enum { NAME_CHARS_MAX = 200 };
    unsigned missed;
    count_denial(connection->worker, action);
    if (!log_limit_pass(&connection->worker->log_denied, 1000, &missed))
        return;
    struct str shown = str_from(name.at, name.len < NAME_CHARS_MAX ? name.len : NAME_CHARS_MAX);
    log_warn("mqtt",
             "client \"%.*s\" at %s: policy \"%s\" denies %s on \"%s%.*s\" (%u more like this)",
             STR_ARG(connection_client_id(connection)), connection->peer,
             connection->authority->policy_name, policy_action_text(action), resource_kind(action),
             STR_ARG(shown), missed);
}

static enum policy_decision decide(struct mqtt_connection *connection, enum policy_action action,
                                   struct str name) {
    struct mqtt_worker *worker = connection->worker;
    const struct authority *authority = connection->authority;
    if (!authority->policy)
        return POLICY_IMPLICIT_DENY;
    struct buf *resource = &worker->resource;
    buf_clear(resource);
    buf_add_str(resource, str_of(resource_kind(action)));
    buf_add_str(resource, name);
    bool stays = !connection->clean_start || connection->wants_expiry;
    unsigned persistent = stays ? POLICY_PERSISTENT_CONNECT : 0;
    struct policy_request request = {
        .action = action,
        .resource = buf_str(resource),
        .values = {[POLICY_CLIENT_ID] = connection_client_id(connection),
                   [POLICY_SOURCE_IP] = connection_ip(connection),
                   [POLICY_COMMON_NAME] = str_of(authority->certificate.common_name),
                   [POLICY_CERTIFICATE_ID] = str_of(authority->certificate.fingerprint)},
        .connect_attributes = (uint8_t)(persistent | (connection->will ? POLICY_LAST_WILL : 0)),
    };
    return policy_decide(authority->policy, &request, &worker->expanded);
}

static bool allows(struct mqtt_connection *connection, enum policy_action action, struct str name) {
    return decide(connection, action, name) == POLICY_ALLOW;
}

static bool permit(struct mqtt_connection *connection, enum policy_action action, struct str name) {
    bool allowed = allows(connection, action, name);
    if (!allowed)
        note_denial(connection, action, name);
    return allowed;
}

/* ---- remembered ---- */

static struct authority_decision *decision_slot(struct mqtt_connection *connection,
                                                const struct route *route) {
    struct authority *authority = connection->authority;
    if (authority->routes_epoch != connection->worker->routes.epoch)
        forget(authority, connection->worker);
    uintptr_t address = (uintptr_t)route;
    struct authority_decision *slot =
        &authority->decisions[(address >> 5 ^ address >> 9) % AUTHORITY_DECISIONS];
    if (slot->route != route)
        *slot = (struct authority_decision){.route = route};
    return slot;
}

static bool permit_topic(struct mqtt_connection *connection, enum policy_action action,
                         struct str topic, const struct route *route) {
    if (!route)
        return permit(connection, action, topic);
    struct authority_decision *slot = decision_slot(connection, route);
    uint8_t bit = (uint8_t)(1u << action);
    if (!(slot->known & bit)) {
        slot->known |= bit;
        slot->allowed |= allows(connection, action, topic) ? bit : 0;
    }
    if (slot->allowed & bit)
        return true;
    note_denial(connection, action, topic);
    return false;
}

/* ---- the questions ---- */

static bool may_publish(struct mqtt_connection *connection, struct str topic, bool retain,
                        const struct route *route) {
    return permit_topic(connection, POLICY_PUBLISH, topic, route) &&
           (!retain || permit_topic(connection, POLICY_RETAIN_PUBLISH, topic, route));
}

bool authorize_connect(struct mqtt_connection *connection) {
    if (!connection->authority)
        return true;
    if (!permit(connection, POLICY_CONNECT, connection_client_id(connection)))
        return false;
    const struct will *will = connection->will;
    return !will || may_publish(connection, will->publication.message.topic,
                                will->publication.message.retain, NULL);
}

bool authority_may_publish(struct mqtt_connection *connection, struct str topic, bool retain) {
    return may_publish(connection, topic, retain, route_peek(connection->worker, topic));
}

bool authority_may_receive(struct mqtt_connection *connection, struct str topic,
                           const struct route *route) {
    if (!route)
        route = route_peek(connection->worker, topic);
    return permit_topic(connection, POLICY_RECEIVE, topic, route);
}

/* A share may be allowed by its filter or by its full text, and denied by either. */
bool authority_may_subscribe(struct mqtt_connection *connection, struct str filter,
                             struct str inner) {
    enum policy_decision decision = decide(connection, POLICY_SUBSCRIBE, inner);
    if (inner.len != filter.len && decision != POLICY_EXPLICIT_DENY) {
        enum policy_decision whole = decide(connection, POLICY_SUBSCRIBE, filter);
        decision = whole == POLICY_IMPLICIT_DENY ? decision : whole;
    }
    if (decision != POLICY_ALLOW)
        note_denial(connection, POLICY_SUBSCRIBE, filter);
    return decision == POLICY_ALLOW;
}

/* ---- the configuration ---- */

static int check_name(const struct mqtt_policies *policies, const struct option_head *head,
                      const char *name, struct err *err) {
    if (!name || policies_find(policies, str_of(name)))
        return 0;
    const struct conf *value = conf_get(head->conf, "policy");
    return value ? conf_error(value, err, ERR_INVALID, "there is no policy \"%.60s\" in policies",
                              name)
                 : err_set(err, ERR_INVALID, "there is no policy \"%.60s\" in policies", name);
}

int authorize_check(const struct mqtt_config *config, struct err *err) {
    struct mqtt_policies *policies;
    int failed = policies_compile(config->policies, &policies, err);
    if (failed)
        return failed;
    for (size_t i = 0; !failed && i < config->users.count; i++) {
        const struct mqtt_user_config *user = OPTION_AT(config->users, struct mqtt_user_config, i);
        failed = check_name(policies, &user->head, user->policy, err);
    }
    for (size_t i = 0; !failed && i < config->listeners.count; i++) {
        const struct mqtt_listener_config *listener =
            OPTION_AT(config->listeners, struct mqtt_listener_config, i);
        failed = check_name(policies, &listener->head, listener->policy, err);
    }
    for (size_t i = 0; !failed && i < config->certificates.count; i++) {
        const struct mqtt_certificate_config *certificate =
            OPTION_AT(config->certificates, struct mqtt_certificate_config, i);
        failed = check_name(policies, &certificate->head, certificate->policy, err);
    }
    if (!failed)
        failed = check_name(policies, &config->web.head, config->web.policy, err);
    policies_unref(policies);
    return failed;
}
