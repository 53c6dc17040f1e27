/*
 * SUBSCRIBE and UNSUBSCRIBE (sections 3.8, 3.10).
 *
 * A subscription takes effect on this worker at once. If it is the first here for its filter, the
 * other workers are told, and SUBACK leaves when all have confirmed, and, if the session is a stored
 * one, the journal is on disk; until then nothing more is handled for the connection, which also
 * bounds what one client can have under way. Retained
 * messages are looked up at that moment, see channel.c.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "flow/topic.h"
#include "mqtt/authorize.h"

/* An answer that waits for the other workers. */
struct answer {
    struct channel_wait wait;
    struct journal_wait journal;
    struct mqtt_connection *connection;
    uint8_t type;
    uint16_t packet_id;
    struct buf codes;
    struct buf wanted; /* struct wanted and the filter's text, one after the other */
    bool late;         /* it is not given while the packet is being handled */
};

/* A filter whose retained messages are to be sent. */
struct wanted {
    uint32_t filter_bytes, subscription_id;
    uint8_t qos;
};

/* ---- the tree ---- */

/* What a client subscribes to: a filter, or a share (section 4.8.2). */
struct target {
    struct str filter;
    struct str share_name; /* empty: no share */
    struct str share_key;  /* "NAME/FILTER" */
};

static struct subscription *find(const struct mqtt_connection *connection,
                                 const struct target *target) {
    const struct mqtt_worker *worker = connection->worker;
    if (target->share_name.len)
        return share_find(worker, connection->session, target->share_key);
    return session_find(connection->session, &worker->subscriptions, target->filter);
}

struct subscription *subscribe_add(struct mqtt_worker *worker, struct session *session,
                                   struct str text, struct str share_name) {
    metric_add(&worker->metrics.subscriptions, 1);
    if (share_name.len)
        return share_join(worker, session, share_name, text);
    bool first;
    struct subscription *subscription =
        session_subscribe(session, &worker->subscriptions, text, &first);
    const struct subscribers *subscribers = subscription->node->value;
    if (session->stored && subscribers->stored_count == 1)
        channel_send_interest(worker, INTEREST_ADD_STORED, text);
    else if (first)
        channel_send_interest(worker, INTEREST_ADD, text);
    return subscription;
}

static void unsubscribe(struct mqtt_worker *worker, struct subscription *subscription);

static uint8_t subscribe(struct mqtt_connection *connection, const struct packet_filter *filter,
                         const struct target *target, uint32_t id, bool *ret_is_new) {
    struct mqtt_worker *worker = connection->worker;
    struct subscription *subscription = find(connection, target);
    bool is_new = !subscription;
    *ret_is_new = is_new;
    if (!subscription) {
        if (connection->session->subscription_count >= worker->config->subscriptions_max)
            return PACKET_QUOTA_EXCEEDED;
        struct str text = target->share_name.len ? target->share_key : target->filter;
        subscription = subscribe_add(worker, connection->session, text, target->share_name);
    }
    subscription->id = id;
    subscription->qos = filter->qos;
    subscription->no_local = filter->no_local;
    subscription->retain_as_published = filter->retain_as_published;
    routes_expire(&worker->routes);
    if (journal_subscription(worker, subscription) == 0)
        return subscription->qos;
    if (is_new)
        unsubscribe(worker, subscription);
    return PACKET_QUOTA_EXCEEDED;
}

static void unsubscribe_filter(struct mqtt_worker *worker, struct subscription *subscription) {
    struct buf filter = {0};
    session_filter_text(subscription->node, &filter);
    const struct subscribers *subscribers = subscription->node->value;
    bool last_stored = subscription->session->stored && subscribers->stored_count == 1;
    if (session_unsubscribe(&worker->subscriptions, subscription))
        channel_send_interest(worker, INTEREST_REMOVE, buf_str(&filter));
    else if (last_stored)
        channel_send_interest(worker, INTEREST_REMOVE_STORED, buf_str(&filter));
    buf_done(&filter);
}

static void unsubscribe(struct mqtt_worker *worker, struct subscription *subscription) {
    if (subscription->share)
        share_leave(worker, subscription);
    else
        unsubscribe_filter(worker, subscription);
    metric_add(&worker->metrics.subscriptions, -1);
    routes_expire(&worker->routes);
}

void subscribe_remove_all(struct mqtt_worker *worker, struct session *session) {
    LIST_EACH(item, &session->subscriptions) {
        unsubscribe(worker, LIST_ITEM(item, struct subscription, link));
    }
}

/* ---- the answer ---- */

static void answer_free(struct answer *answer) {
    buf_done(&answer->codes);
    buf_done(&answer->wanted);
    free(answer);
}

struct search {
    struct mqtt_connection *connection;
    struct wanted wanted;
};

static void want_retained(void *data, struct kept *retained) {
    struct search *search = data;
    struct mqtt_worker *worker = search->connection->worker;
    struct session *session = search->connection->session;
    uint8_t qos = retained->publication.message.qos;
    struct session_retained waiting = {.retained = retained,
                                       .subscription_id = search->wanted.subscription_id,
                                       .qos = qos < search->wanted.qos ? qos : search->wanted.qos};
    journal_retained_for(worker, session, &waiting);
    if (session_retained_push(session, &waiting, (size_t)worker->config->retained_max))
        return;
    metric_add(&worker->metrics.dropped_queue_full, 1);
}

static void find_retained(const struct answer *answer) {
    struct mqtt_worker *worker = answer->connection->worker;
    struct search search = {.connection = answer->connection};
    for (struct str rest = buf_str(&answer->wanted); rest.len;) {
        memcpy(&search.wanted, rest.at, sizeof search.wanted);
        rest = str_skip(rest, sizeof search.wanted);
        retained_find(&worker->retained, str_from(rest.at, search.wanted.filter_bytes),
                      worker->wall_ms, want_retained, &search);
        rest = str_skip(rest, search.wanted.filter_bytes);
    }
}

static void give_answer(const struct answer *answer) {
    struct mqtt_connection *connection = answer->connection;
    packet_write_suback(connection_out(connection), answer->type, connection->version,
                        answer->packet_id, buf_str(&answer->codes));
    deliver_waiting(connection);
}

static void end_answer(struct answer *answer, int status) {
    struct mqtt_connection *connection = answer->connection;
    if (connection->state == CONNECTION_OPEN && status) {
        connection_end(connection, PACKET_QUOTA_EXCEEDED);
    } else if (connection->state == CONNECTION_OPEN) {
        connection->waiting = false;
        give_answer(answer);
        if (answer->late) {
            connection_end_if_stopping(connection);
            connection_resume(connection);
        }
    }
    connection_unref(connection);
    answer_free(answer);
}

static void on_durable(struct journal_wait *wait, int status) {
    struct answer *answer = CONTAINER_OF(wait, struct answer, journal);
    answer->late = true;
    end_answer(answer, status);
}

/* All workers know: what remains is the disk, if the session is to be there again after a crash. */
static void answer_when_durable(struct answer *answer) {
    struct mqtt_connection *connection = answer->connection;
    bool open = connection->state == CONNECTION_OPEN;
    if (open)
        find_retained(answer);
    if (!open || !connection->session->stored ||
        !journal_wait(connection->worker, &answer->journal, on_durable))
        end_answer(answer, 0);
}

static void on_confirmed(struct channel_wait *wait) {
    struct answer *answer = CONTAINER_OF(wait, struct answer, wait);
    answer->late = true;
    answer_when_durable(answer);
}

static void answer_when_confirmed(struct answer *answer) {
    struct mqtt_connection *connection = answer->connection;
    connection_ref(connection);
    connection->waiting = true;
    if (!channel_wait(connection->worker, &answer->wait, on_confirmed))
        answer_when_durable(answer);
}

/* ---- the packets ---- */

static uint8_t code_for(const struct mqtt_connection *connection, enum packet_reason reason) {
    bool v5 = connection->version == PACKET_VERSION_5;
    return (uint8_t)(v5 || reason < PACKET_UNSPECIFIED ? reason : PACKET_UNSPECIFIED);
}

static bool too_deep(const struct mqtt_connection *connection, struct str filter) {
    struct str ignored;
    return topic_level(filter, (unsigned)connection->worker->config->topic_levels_max + 1,
                       &ignored);
}

/* False if it is neither a valid filter nor a valid share. */
static bool parse_target(struct str text, struct target *ret) {
    *ret = (struct target){.filter = text};
    if (topic_share_parse(text, &ret->share_name, &ret->filter)) {
        ret->share_key = str_skip(text, sizeof "$share/" - 1);
        return true;
    }
    return topic_filter_valid(text) && !str_starts(text, STR("$share/"));
}

static enum packet_reason subscribe_one(struct answer *answer, const struct packet_filter *filter,
                                        uint32_t id) {
    struct mqtt_connection *connection = answer->connection;
    struct target target;
    if (!parse_target(filter->filter, &target))
        return PACKET_TOPIC_FILTER_INVALID;
    if (!authorize_subscribe(connection, filter->filter, target.filter))
        return PACKET_NOT_AUTHORIZED;
    if (too_deep(connection, target.filter))
        return PACKET_QUOTA_EXCEEDED;
    bool is_new;
    uint8_t code = subscribe(connection, filter, &target, id, &is_new);
    /* Retain handling (section 3.8.3.1): 0 always, 1 if the subscription is new, 2 never; a share
     * gets none (section 4.8.2). */
    bool wants = filter->retain_handling == 0 || (filter->retain_handling == 1 && is_new);
    if (code < PACKET_UNSPECIFIED && wants && !target.share_name.len) {
        struct wanted wanted = {(uint32_t)filter->filter.len, id, code};
        buf_add(&answer->wanted, &wanted, sizeof wanted);
        buf_add_str(&answer->wanted, filter->filter);
    }
    return code;
}

static enum packet_reason unsubscribe_one(struct answer *answer,
                                          const struct packet_filter *filter) {
    struct target target;
    if (!parse_target(filter->filter, &target))
        return PACKET_TOPIC_FILTER_INVALID;
    struct subscription *subscription = find(answer->connection, &target);
    if (!subscription)
        return PACKET_NO_SUBSCRIPTION_EXISTED;
    if (journal_unsubscription(answer->connection->worker, subscription))
        return PACKET_UNSPECIFIED;
    unsubscribe(answer->connection->worker, subscription);
    return PACKET_NORMAL;
}

static enum packet_reason take_filters(struct answer *answer, const struct packet *packet) {
    struct mqtt_connection *connection = answer->connection;
    struct packet_filters filters;
    enum packet_reason reason = packet_read_filters(packet, connection->version, &filters);
    answer->packet_id = filters.packet_id;
    for (bool more = true; !reason;) {
        struct packet_filter filter;
        reason = packet_next_filter(&filters, &filter, &more);
        if (reason || !more)
            return reason;
        enum packet_reason code = packet->type == PACKET_SUBSCRIBE
                                      ? subscribe_one(answer, &filter, filters.subscription_id)
                                      : unsubscribe_one(answer, &filter);
        buf_add_u8(&answer->codes, code_for(connection, code));
    }
    return reason;
}

static void take(struct mqtt_connection *connection, const struct packet *packet,
                 uint8_t answer_type) {
    struct answer *answer = xcalloc(1, sizeof *answer);
    answer->connection = connection;
    answer->type = answer_type;
    enum packet_reason reason = take_filters(answer, packet);
    if (reason) {
        connection_fail(connection, reason, "%s: %s",
                        packet->type == PACKET_SUBSCRIBE ? "SUBSCRIBE" : "UNSUBSCRIBE",
                        packet_reason_text(reason));
        answer_free(answer);
        return;
    }
    answer_when_confirmed(answer);
}

void subscribe_take(struct mqtt_connection *connection, const struct packet *packet) {
    take(connection, packet, PACKET_SUBACK);
}

void unsubscribe_take(struct mqtt_connection *connection, const struct packet *packet) {
    take(connection, packet, PACKET_UNSUBACK);
}
