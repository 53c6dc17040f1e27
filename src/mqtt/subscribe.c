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
#include "mqtt/lifecycle.h"
#include "mqtt/stored.h"
#include "mqtt/sys_topics.h"

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
    bool no_local;
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
    metric_add(&worker->metrics.shared_subscriptions, share_name.len > 0);
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
        stored_not_full(worker, connection->session);
        subscription = subscribe_add(worker, connection->session, text, target->share_name);
        stored_queue_changed(worker, connection->session);
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
    stored_not_full(worker,
                    subscription->session); /* Of any filter, until it is looked at again. */
    metric_add(&worker->metrics.shared_subscriptions, subscription->share ? -1 : 0);
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
    const struct message *message = &retained->publication.message;
    if (search->wanted.no_local &&
        str_eq(message->client_id, connection_client_id(search->connection)))
        return;
    struct session_retained waiting = {
        .retained = retained,
        .subscription_id = search->wanted.subscription_id,
        .qos = message->qos < search->wanted.qos ? message->qos : search->wanted.qos};
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
        struct str filter = str_from(rest.at, search.wanted.filter_bytes);
        retained_find(&worker->retained, filter, worker->wall_ms, want_retained, &search);
        sys_topics_find(worker, filter, want_retained, &search);
        rest = str_skip(rest, search.wanted.filter_bytes);
    }
}

static void give_answer(const struct answer *answer) {
    struct mqtt_connection *connection = answer->connection;
    struct buf *out = connection_out(connection);
    size_t before = buf_len(out);
    packet_write_suback(out, answer->type, connection->version, answer->packet_id,
                        buf_str(&answer->codes));
    if (connection->packet_bytes_max && buf_len(out) - before > connection->packet_bytes_max) {
        out->end = out->begin + before; /* [MQTT-3.1.2-24] */
        connection_fail(connection, PACKET_TOO_LARGE,
                        "its answer is larger than the client's Maximum Packet Size");
        return;
    }
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

static bool too_long(const struct mqtt_connection *connection, struct str filter) {
    const struct mqtt_config *config = connection->worker->config;
    struct str ignored;
    return filter.len > (size_t)config->topic_bytes_max ||
           topic_level(filter, (unsigned)config->topic_levels_max + 1, &ignored);
}

/*
 * What breaks the rules of filters is malformed (section 4.7). What does not, but begins as a share and
 * is none (section 4.8.2), is refused for itself.
 */
static enum packet_reason parse_target(struct str text, struct target *ret) {
    *ret = (struct target){.filter = text};
    if (topic_share_parse(text, &ret->share_name, &ret->filter)) {
        ret->share_key = str_skip(text, sizeof "$share/" - 1);
        return PACKET_NORMAL;
    }
    if (str_starts(text, STR("$share/")) || str_eq(text, STR("$share")))
        return PACKET_TOPIC_FILTER_INVALID;
    return topic_filter_valid(text) ? PACKET_NORMAL : PACKET_MALFORMED;
}

static enum packet_reason subscribe_one(struct answer *answer, const struct packet_filter *filter,
                                        uint32_t id) {
    struct mqtt_connection *connection = answer->connection;
    struct target target;
    enum packet_reason reason = parse_target(filter->filter, &target);
    if (reason)
        return reason;
    if (!authorize_subscribe(connection, filter->filter, target.filter))
        return PACKET_NOT_AUTHORIZED;
    if (too_long(connection, target.filter))
        return PACKET_QUOTA_EXCEEDED;
    bool is_new;
    uint8_t code = subscribe(connection, filter, &target, id, &is_new);
    /* Retain handling (section 3.8.3.1): 0 always, 1 if the subscription is new, 2 never; a share
     * gets none (section 4.8.2). */
    bool wants = filter->retain_handling == 0 || (filter->retain_handling == 1 && is_new);
    if (code < PACKET_UNSPECIFIED && wants && !target.share_name.len) {
        struct wanted wanted = {(uint32_t)filter->filter.len, id, code, filter->no_local};
        buf_add(&answer->wanted, &wanted, sizeof wanted);
        buf_add_str(&answer->wanted, filter->filter);
    }
    return code;
}

static enum packet_reason unsubscribe_one(struct answer *answer,
                                          const struct packet_filter *filter) {
    struct target target;
    enum packet_reason reason = parse_target(filter->filter, &target);
    if (reason)
        return reason;
    struct subscription *subscription = find(answer->connection, &target);
    if (!subscription)
        return PACKET_NO_SUBSCRIPTION_EXISTED;
    if (journal_unsubscription(answer->connection->worker, subscription))
        return PACKET_UNSPECIFIED;
    unsubscribe(answer->connection->worker, subscription);
    stored_queue_changed(answer->connection->worker, answer->connection->session);
    return PACKET_NORMAL;
}

/* A packet that is not right as a whole changes nothing. */
static enum packet_reason check_filters(struct packet_filters filters) {
    for (;;) {
        struct packet_filter filter;
        struct target ignored;
        bool more;
        enum packet_reason reason = packet_next_filter(&filters, &filter, &more);
        if (reason || !more)
            return reason;
        if (parse_target(filter.filter, &ignored) == PACKET_MALFORMED)
            return PACKET_MALFORMED;
    }
}

static enum packet_reason take_filters(struct answer *answer, const struct packet *packet) {
    struct mqtt_connection *connection = answer->connection;
    struct packet_filters filters;
    struct packet_filter filter;
    enum packet_reason reason = packet_read_filters(packet, connection->version, &filters);
    reason = reason ? reason : check_filters(filters);
    if (reason)
        return reason;
    answer->packet_id = filters.packet_id;
    for (bool more; !packet_next_filter(&filters, &filter, &more) && more;) {
        enum packet_reason code = packet->type == PACKET_SUBSCRIBE
                                      ? subscribe_one(answer, &filter, filters.subscription_id)
                                      : unsubscribe_one(answer, &filter);
        buf_add_u8(&answer->codes, code_for(connection, code));
        if (code < PACKET_UNSPECIFIED && code != PACKET_NO_SUBSCRIPTION_EXISTED)
            lifecycle_filter(connection->worker, filter.filter);
    }
    return PACKET_NORMAL;
}

static void take(struct mqtt_connection *connection, const struct packet *packet,
                 uint8_t answer_type) {
    struct answer *answer = xcalloc(1, sizeof *answer);
    answer->connection = connection;
    answer->type = answer_type;
    lifecycle_filters_begin(connection, packet->type);
    enum packet_reason reason = take_filters(answer, packet);
    if (reason) {
        connection_fail(connection, reason, "%s: %s",
                        packet->type == PACKET_SUBSCRIBE ? "SUBSCRIBE" : "UNSUBSCRIBE",
                        packet_reason_text(reason));
        answer_free(answer);
        return;
    }
    lifecycle_filters_end(connection, packet->type);
    answer_when_confirmed(answer);
}

void subscribe_take(struct mqtt_connection *connection, const struct packet *packet) {
    take(connection, packet, PACKET_SUBACK);
}

void unsubscribe_take(struct mqtt_connection *connection, const struct packet *packet) {
    take(connection, packet, PACKET_UNSUBACK);
}
