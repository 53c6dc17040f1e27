/* PUBLISH in: from the packet to rules, retained store, subscribers here and on other workers, and
 * the acknowledgement. */
#include <stdlib.h>

#include "flow/topic.h"
#include "mqtt/alias.h"
#include "mqtt/authorize.h"
#include "mqtt/crowd.h"
#include "mqtt/stored.h"

void publish_keep(struct mqtt_worker *worker, struct kept *retained) {
    struct retained_store *store = &worker->retained;
    retained_put(store, retained, loop_now_ms(worker->loop));
    if (worker->index == 0) { /* Replicas are alike: one of them is counted. */
        metric_set(&worker->metrics.retained_count, (int64_t)store->count);
        metric_set(&worker->metrics.retained_bytes, (int64_t)store->bytes);
    }
}

static int keep_everywhere(struct mqtt_worker *worker, const struct publication *publication) {
    uint64_t version = atomic_fetch_add(&worker->mqtt->retained_version, 1) + 1;
    struct kept *retained = kept_new(publication, version);
    int status = journal_retained(worker, retained);
    if (!status) {
        publish_keep(worker, retained);
        channel_send_retained(worker, retained);
    }
    kept_unref(retained);
    return status;
}

/* Whether stored sessions wait for it, here or elsewhere. */
static bool is_durable(const struct mqtt_worker *worker, const struct route *route,
                       const struct message *message) {
    bool stored = route->stored_targets || route->stored_workers || route->stored_shares;
    return stored && message->qos && worker->journal.journal;
}

/* Writes the message down; `ret_kept` has it then. What a client has published with QoS 2 is written
 * together with it, so that a crash keeps both or none. */
static int write_down(struct mqtt_worker *worker, const struct route *route,
                      const struct publication *publication, struct kept **ret_kept) {
    struct publication numbered = *publication;
    struct journal_pending pending = {.workers = route->stored_workers,
                                      .shares = route->shares,
                                      .share_count = route->share_count,
                                      .publisher = publication->publisher,
                                      .packet_id = publication->packet_id};
    if (route->stored_targets)
        pending.workers |= 1ull << worker->index;
    numbered.id = journal_number(worker);
    struct kept *kept = kept_new(&numbered, 0);
    int status = journal_message(worker, kept, &pending);
    if (status)
        kept_unref(kept);
    else
        *ret_kept = kept;
    return status;
}

/* To whom it may concern, here and elsewhere. */
static void fan_out(struct mqtt_worker *worker, const struct route *route,
                    const struct publication *publication, const struct session *from) {
    uint64_t kept_for = publication->kept ? route->stored_workers : 0;
    if (route->target_count)
        deliver(worker, route, publication, from, worker->index);
    if (route->workers & ~kept_for)
        channel_send_publication(worker, route->workers & ~kept_for, publication);
    if (kept_for)
        channel_send_kept(worker, kept_for, publication->kept);
    for (uint32_t i = 0; i < route->share_count; i++)
        share_publish(worker, route->shares[i], publication);
}

/* What a request or a rule published meanwhile may have emptied the cache. */
static const struct route *find_again(struct mqtt_worker *worker, struct str topic,
                                      const struct route *route, uint64_t *epoch) {
    if (*epoch == worker->routes.epoch)
        return route;
    *epoch = worker->routes.epoch;
    return route_find(worker, topic);
}

static int publish_now(struct mqtt_worker *worker, const struct publication *publication,
                       const struct session *from) {
    const struct message *message = &publication->message;
    const struct route *route = route_find(worker, message->topic);
    if (!route) /* no name at all, or one beyond topic_bytes_max or topic_levels_max */
        return topic_name_valid(message->topic) && packet_name_valid(message->topic) ? ERR_TOO_LARGE
                                                                                     : ERR_INVALID;
    if (message->retain && !retained_has_room(&worker->retained, message, worker->wall_ms))
        return ERR_FULL;
    if (message->qos && stored_must_refuse(worker, route))
        return ERR_FULL;
    int asked = MESSAGE_TAKEN, result = MESSAGE_TAKEN;
    uint64_t epoch = worker->routes.epoch;
    if (route->request) {
        asked = worker->requests->push(worker->requests, route->request, message);
        if (asked < 0)
            return asked;
        route = find_again(worker, message->topic, route, &epoch);
    }
    if (route->rules) {
        result = worker->rules->push(worker->rules, route->rules, message);
        if (result < 0)
            return result;
        route = find_again(worker, message->topic, route, &epoch);
    }
    struct kept *kept = NULL;
    int status = 0;
    if (is_durable(worker, route, message))
        status = write_down(worker, route, publication, &kept);
    else if (publication->packet_id)
        status = journal_packet(worker, NOTE_TAKEN, from, publication->packet_id);
    if (!status && message->retain)
        status = keep_everywhere(worker, publication);
    if (!status)
        fan_out(worker, route, kept ? &kept->publication : publication, from);
    kept_unref(kept);
    if (status)
        return status;
    bool waits = kept || asked == MESSAGE_STAGED ||
                 (worker->journal.journal && (message->retain || publication->packet_id));
    return waits ? MESSAGE_STAGED : result;
}

/* Nothing is posted meanwhile: that would seal, and what one message stages would have two tickets. */
int publish(struct mqtt_worker *worker, const struct publication *publication,
            const struct session *from) {
    worker->publish_depth++;
    int result = publish_now(worker, publication, from);
    if (--worker->publish_depth == 0 && worker->posts_late)
        channels_post_full(worker);
    return result;
}

/* ---- from a client ---- */

static void count_received(struct worker_metrics *metrics, const struct packet_publish *in) {
    struct metric *const counts[] = {&metrics->received_qos0, &metrics->received_qos1,
                                     &metrics->received_qos2};
    struct metric *const bytes[] = {&metrics->received_bytes_qos0, &metrics->received_bytes_qos1,
                                    &metrics->received_bytes_qos2};
    metric_add(counts[in->qos], 1);
    metric_add(bytes[in->qos], (int64_t)in->payload.len);
}

static enum packet_type ack_for(uint8_t qos) {
    return qos == 2 ? PACKET_PUBREC : PACKET_PUBACK;
}

/* A message of QoS 2 that came before and is not released (section 4.3.3). */
static bool is_repeated(const struct mqtt_connection *connection, const struct packet_publish *in) {
    return in->qos == 2 && session_has_received(connection->session, in->packet_id);
}

/* Whether the client has sent more than it was told it may (section 3.3.4). In 3.1.1, where there is
 * no such maximum, the connection was parked before. */
static bool is_too_many(const struct mqtt_connection *connection, const struct packet_publish *in) {
    if (in->qos == 0 || connection->version != PACKET_VERSION_5)
        return false;
    uint32_t count = hold_puback_count(connection) + session_received_count(connection->session);
    return count >= connection->worker->config->inflight_max && !is_repeated(connection, in);
}

static enum packet_reason read_in(struct mqtt_connection *connection, const struct packet *packet,
                                  struct packet_publish *ret) {
    enum packet_reason reason = packet_read_publish(packet, connection->version, ret);
    if (reason)
        return reason;
    if (is_too_many(connection, ret))
        return PACKET_RECEIVE_MAXIMUM;
    reason = ret->topic_alias ? alias_resolve(connection, ret) : PACKET_NORMAL;
    bool retains = ret->retain && connection->worker->config->retained_max == 0;
    return !reason && retains ? PACKET_RETAIN_UNSUPPORTED : reason;
}

/* A policy does not allow it, or nobody may. Where nothing can say so about this message alone, the connection ends. */
static void deny(struct mqtt_connection *connection, const struct packet_publish *in) {
    if (connection->version == PACKET_VERSION_5 && in->qos) {
        hold_ack(connection, ack_for(in->qos), in->packet_id, PACKET_NOT_AUTHORIZED, false, 0);
        return;
    }
    metric_add(&connection->worker->metrics.closed_policy, 1);
    connection_end(connection, PACKET_NOT_AUTHORIZED);
}

const char *publish_refusal(int code) {
    switch (code) {
    case ERR_DENIED:
        return "the topic is reserved, and nobody may publish there";
    case ERR_UNSUPPORTED:
        return "nothing is retained on a reserved topic";
    default:
        return err_text(code);
    }
}

static void refuse(struct mqtt_connection *connection, const struct packet_publish *in, int code) {
    struct mqtt_worker *worker = connection->worker;
    if (code == ERR_INVALID) {
        connection_fail(connection, in->topic.len ? PACKET_MALFORMED : PACKET_PROTOCOL_ERROR,
                        "PUBLISH to a topic that is empty, not UTF-8, or holds '+', '#' or control "
                        "characters");
        return;
    }
    if (code == ERR_UNSUPPORTED) {
        connection_fail(connection, PACKET_RETAIN_UNSUPPORTED, "PUBLISH: %s",
                        publish_refusal(code));
        return;
    }
    if (code == ERR_DENIED) {
        deny(connection, in);
        return;
    }
    unsigned missed;
    metric_add(&worker->metrics.dropped_refused, 1);
    if (log_limit_pass(&worker->log_keep, 10000, &missed))
        log_warn("mqtt",
                 "client \"%.*s\" at %s: message to \"%.*s\" refused: %s (%u more like this)",
                 STR_ARG(connection_client_id(connection)), connection->peer, STR_ARG(in->topic),
                 err_text(code), missed);
    if (in->qos == 0)
        return;
    if (connection->version == PACKET_VERSION_5) {
        uint8_t reason = code == ERR_TOO_LARGE ? PACKET_TOPIC_NAME_INVALID : PACKET_QUOTA_EXCEEDED;
        hold_ack(connection, ack_for(in->qos), in->packet_id, reason, false, 0);
    } else {
        metric_add(&worker->metrics.closed_not_kept, 1);
        connection_end(connection, PACKET_QUOTA_EXCEEDED);
    }
}

/* What the client's last connection published may still wait for the disk: the present ticket
 * commits after it. */
static void repeat_pubrec(struct mqtt_connection *connection, uint16_t packet_id) {
    const struct mqtt_worker *worker = connection->worker;
    const struct stored *stored = connection->session->stored;
    bool unsettled = stored && !list_empty(&stored->unsettled);
    uint64_t ticket = unsettled ? sink_gate_ticket(worker->gate) : 0;
    if (journal_is_pending(worker) && !unsettled)
        ticket = worker->journal.last;
    hold_ack(connection, PACKET_PUBREC, packet_id, 0, ticket != 0, ticket);
}

void publish_take(struct mqtt_connection *connection, const struct packet *packet) {
    struct mqtt_worker *worker = connection->worker;
    struct packet_publish in;
    enum packet_reason reason = read_in(connection, packet, &in);
    if (reason) {
        connection_fail(connection, reason, "PUBLISH: %s", packet_reason_text(reason));
        return;
    }
    if (is_repeated(connection, &in)) {
        repeat_pubrec(connection, in.packet_id);
        return;
    }
    if (!authorize_publish(connection, in.topic, in.retain)) {
        deny(connection, &in);
        return;
    }
    struct publication publication = {
        .message = {.topic = in.topic,
                    .payload = in.payload,
                    .properties = in.properties,
                    .client_id = connection_client_id(connection),
                    .principal = connection_principal(connection),
                    .source_ip = connection_ip(connection),
                    .received_ms = worker->wall_ms,
                    .qos = in.qos,
                    .retain = in.retain},
        .expiry_at = in.expiry_at,
    };
    const struct stored *stored = connection->session->stored;
    publication.publisher = stored ? stored->number : 0;
    publication.packet_id = publication.publisher && in.qos == 2 ? in.packet_id : 0;
    uint64_t ticket = worker->gate ? sink_gate_ticket(worker->gate) : 0;
    worker->fed_crowd = false; /* What others have published does not count. */
    int result = publish(worker, &publication, connection->session);
    if (ticket < worker->journal.last)
        ticket = worker->journal.last;
    if (result < 0) {
        refuse(connection, &in, result);
        return;
    }
    count_received(&worker->metrics, &in);
    if (in.qos)
        crowd_published(connection, in.topic);
    connection->counts.received++;
    connection->counts.received_bytes += in.payload.len;
    if (in.qos == 2)
        session_receive(connection->session, in.packet_id);
    if (in.qos)
        hold_ack(connection, ack_for(in.qos), in.packet_id, 0, result == MESSAGE_STAGED, ticket);
}
