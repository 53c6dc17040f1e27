/*
 * PUBLISH out. A message is encoded once per form that its subscribers need (protocol version, QoS,
 * RETAIN), and copied into each one's output with its own packet identifier. Only subscribers with
 * subscription identifiers get an encoding of their own.
 *
 * Subscribers that take topic aliases get one too.
 *
 * A subscriber that does not keep up: QoS 0 is dropped while more than out_bytes_max bytes wait for
 * its socket. QoS 1 and 2 wait in the session's queue while too much is unacknowledged or unsent;
 * its publishers are made to wait (crowd.c), and messages dropped when it is full (stored.c).
 * Retained messages that a new subscription asked for go before what has been queued, so that they
 * are not overtaken by what is published later [MQTT-4.6.0-5]. What waits is copied once per
 * message, however many wait for it; so is what a stored session is sent, because it may have to be
 * sent again. Packets that are larger than the client's Maximum Packet Size are dropped as if they
 * had been sent (section 3.1.2.11.4).
 */
#include "base/clock.h"
#include "mqtt/alias.h"
#include "mqtt/authorize.h"
#include "mqtt/crowd.h"
#include "mqtt/stored.h"

/* An encoding; marks.bytes is 0 until it is made. */
struct copy {
    uint32_t at; /* in the worker's scratch buffer */
    struct packet_marks marks;
};

/* One message on its way to many. */
struct fan_out {
    struct mqtt_worker *worker;
    const struct publication *publication;
    struct str share;            /* through which it comes, "NAME/FILTER"; or empty */
    struct kept *kept;           /* made by the first that has to wait or to be known */
    struct copy copies[2][3][2]; /* version 5, QoS, RETAIN */
    uint64_t sent[3], sent_bytes[3];
};

static uint32_t in_flight_max(const struct mqtt_connection *connection) {
    int64_t most = connection->worker->config->inflight_max;
    return connection->receive_max < most ? connection->receive_max : (uint32_t)most;
}

static bool is_slow(const struct mqtt_connection *connection) {
    return connection_pending(connection) > (size_t)connection->worker->config->out_bytes_max;
}

static void log_drop(struct mqtt_connection *connection, struct metric *metric, const char *why) {
    unsigned missed;
    connection->counts.dropped++;
    metric_add(metric, 1);
    if (log_limit_pass(&connection->worker->log_slow, 10000, &missed))
        log_warn("mqtt", "client \"%.*s\" at %s: message dropped: %s (%u more like this)",
                 STR_ARG(connection_client_id(connection)), connection->peer, why, missed);
}

static void encode(struct buf *out, const struct publication *publication,
                   const struct packet_form *form, struct copy *copy) {
    copy->at = (uint32_t)buf_len(out);
    packet_write_publish(out, &publication->message, form, &copy->marks);
}

static const struct copy *copy_for(struct fan_out *fan, uint8_t version, uint8_t qos, bool retain) {
    bool v5 = version == PACKET_VERSION_5;
    struct copy *copy = &fan->copies[v5][qos][retain];
    if (copy->marks.bytes == 0) {
        struct packet_form form = {.version = version, .qos = qos, .retain = retain};
        encode(&fan->worker->scratch, fan->publication, &form, copy);
    }
    return copy;
}

/* Where the bytes of the expiry interval are in an encoded packet; 0: nowhere. */
static uint32_t expiry_in_packet(const struct publication *publication,
                                 const struct packet_marks *marks) {
    bool there = publication->expiry_at >= 0 && marks->properties_at;
    return there ? (uint32_t)(marks->properties_at + (size_t)publication->expiry_at) : 0;
}

static void patch_id(uint8_t *at, uint16_t packet_id) {
    at[0] = (uint8_t)(packet_id >> 8);
    at[1] = (uint8_t)packet_id;
}

static struct delivery *delivery_for(struct fan_out *fan, const struct route_target *target,
                                     uint8_t qos, bool retain) {
    if (!fan->kept && fan->publication->kept)
        kept_ref(fan->publication->kept);
    if (!fan->kept)
        fan->kept = fan->publication->kept ? fan->publication->kept : kept_new(fan->publication, 0);
    return delivery_new(fan->kept, qos, retain, target->ids, target->id_count, fan->share);
}

static struct note_target note_for(const struct publication *publication,
                                   const struct route_target *target) {
    const struct message *message = &publication->message;
    return (struct note_target){.number =
                                    target->session->stored ? target->session->stored->number : 0,
                                .qos = message->qos < target->qos ? message->qos : target->qos,
                                .retain = target->retain_as_published && message->retain,
                                .id_count = target->id_count};
}

/* The session does not get the message after all. */
static void forgo(const struct fan_out *fan, const struct session *session, uint8_t qos) {
    bool is_noted = session->stored || fan->share.len;
    if (qos && fan->publication->id && is_noted)
        journal_dropped(fan->worker, session, fan->publication->id, fan->share);
}

static void queue(struct fan_out *fan, const struct route_target *target, uint8_t qos,
                  bool retain) {
    stored_queue(fan->worker, target->session, delivery_for(fan, target, qos, retain));
}

/* The session's connection, if packets for the client may be written already. */
static struct mqtt_connection *open_connection(const struct session *session) {
    struct mqtt_connection *connection = session->connection;
    return connection && connection->state == CONNECTION_OPEN ? connection : NULL;
}

bool deliver_can_take(const struct session *session) {
    const struct mqtt_connection *connection = open_connection(session);
    return connection && !is_slow(connection) && session_queue_is_empty(session) &&
           !session_retained_first(session) && session_may_send(session, in_flight_max(connection));
}

/* Notes that the message goes to the client under the next identifier. False: of QoS 2 that has to be
 * kept, and cannot be at present. `delivery` may be NULL. */
static bool note_sending(const struct mqtt_connection *connection,
                         const struct delivery *delivery) {
    const struct session *session = connection->session;
    if (!delivery || !delivery->id || !session->stored)
        return true;
    int status = journal_delivery(connection->worker, NOTE_SENT, session, delivery,
                                  session_next_id(session));
    return !status || delivery->qos < 2;
}

/* A client may forget a message of QoS 2 as soon as it has answered, so the packet waits until it is
 * certain that the message will not come under another identifier. */
static bool must_wait(const struct session *session, uint64_t id, uint8_t qos) {
    return id && qos == 2 && session->stored;
}

/* Nothing overtakes what waits: neither a message, nor a topic alias its introduction. */
static struct buf *sending_out(struct mqtt_connection *connection,
                               const struct delivery *delivery) {
    bool waits = delivery && must_wait(connection->session, delivery->id, delivery->qos);
    return waits ? journal_out(connection) : journal_out_behind(connection);
}

static bool takes(const struct mqtt_connection *connection, size_t bytes) {
    return connection->packet_bytes_max == 0 || bytes <= connection->packet_bytes_max;
}

/* True if it has been written, false if it waits or is dropped. */
static bool send_copy(struct fan_out *fan, const struct route_target *target, uint8_t qos,
                      bool retain, const struct copy *copy) {
    struct session *session = target->session;
    struct mqtt_connection *connection = session->connection;
    size_t bytes = copy->marks.bytes;
    if (!takes(connection, bytes)) {
        metric_add(&fan->worker->metrics.dropped_too_large, 1);
        forgo(fan, session, qos);
        return false;
    }
    if (qos == 0 && is_slow(connection)) {
        log_drop(connection, &fan->worker->metrics.dropped_slow, "it reads too slowly");
        return false;
    }
    if (qos && !deliver_can_take(session)) {
        queue(fan, target, qos, retain);
        return false;
    }
    bool is_known = qos && (session->stored || fan->share.len);
    struct delivery *known = is_known ? delivery_for(fan, target, qos, retain) : NULL;
    if (!note_sending(connection, known)) {
        stored_queue(fan->worker, session, known);
        return false;
    }
    uint16_t packet_id = qos ? session_take_id(session, qos, known) : 0;
    struct buf *out = sending_out(connection, known);
    uint8_t *room = buf_room(out, bytes);
    memcpy(room, buf_at(&fan->worker->scratch) + copy->at, bytes);
    if (qos)
        patch_id(room + copy->marks.packet_id_at, packet_id);
    buf_added(out, bytes);
    connection->counts.sent++;
    connection->counts.sent_bytes += bytes;
    fan->sent[qos]++;
    fan->sent_bytes[qos] += bytes;
    return true;
}

/* Chooses the topic alias. One that the client has not been told yet makes the packet larger: the caller
 * goes without (`may_tell` false) if that is too much. */
static struct alias_choice set_alias(const struct mqtt_connection *connection, struct str topic,
                                     bool may_tell, struct packet_form *form) {
    struct alias_choice choice = alias_choose(connection, topic);
    if (!choice.known && !may_tell)
        choice = (struct alias_choice){0};
    form->topic_alias = choice.alias;
    form->topic_left_out = choice.known;
    return choice;
}

/* An encoding for this one client: with its subscription identifiers, and its topic alias. */
static void send_own(struct fan_out *fan, const struct route_target *target, uint8_t qos,
                     bool retain) {
    struct mqtt_connection *connection = target->session->connection;
    struct buf *scratch = &fan->worker->scratch;
    struct str topic = fan->publication->message.topic;
    struct packet_form form = {.version = connection->version,
                               .qos = qos,
                               .retain = retain,
                               .subscription_ids = target->ids,
                               .subscription_id_count = target->id_count};
    bool is_late = must_wait(target->session, fan->publication->id, qos);
    struct alias_choice choice = {0};
    if (!is_late) /* What else leaves before it may make the alias another topic's. */
        choice = set_alias(connection, topic, true, &form);
    struct copy own;
    encode(scratch, fan->publication, &form, &own);
    if (!takes(connection, own.marks.bytes) && choice.alias) {
        choice = set_alias(connection, topic, false, &form);
        scratch->end = scratch->begin + own.at;
        encode(scratch, fan->publication, &form, &own);
    }
    if (send_copy(fan, target, qos, retain, &own))
        alias_told(connection, topic, choice);
    scratch->end = scratch->begin + own.at;
}

static void send_to(struct fan_out *fan, const struct route_target *target) {
    const struct message *message = &fan->publication->message;
    const struct mqtt_connection *connection = open_connection(target->session);
    uint8_t qos = message->qos < target->qos ? message->qos : target->qos;
    bool retain = target->retain_as_published && message->retain;
    if (!connection) {
        if (qos) /* QoS 0 does not wait for the client [MQTT-3.1.2-5 of 3.1.1]. */
            queue(fan, target, qos, retain);
        return;
    }
    uint8_t version = connection->version;
    bool is_late = must_wait(target->session, fan->publication->id, qos);
    bool is_alike = target->id_count == 0 && (!connection->aliases_told || is_late);
    if (is_alike || version != PACKET_VERSION_5)
        send_copy(fan, target, qos, retain, copy_for(fan, version, qos, retain));
    else
        send_own(fan, target, qos, retain);
}

static void count_sent(struct worker_metrics *metrics, unsigned qos, uint64_t sent,
                       uint64_t bytes) {
    struct metric *const counts[] = {&metrics->sent_qos0, &metrics->sent_qos1, &metrics->sent_qos2};
    struct metric *const sizes[] = {&metrics->sent_bytes_qos0, &metrics->sent_bytes_qos1,
                                    &metrics->sent_bytes_qos2};
    if (sent == 0)
        return;
    metric_add(counts[qos], (int64_t)sent);
    metric_add(sizes[qos], (int64_t)bytes);
}

static void fan_out_done(struct fan_out *fan) {
    for (unsigned qos = 0; qos <= 2; qos++)
        count_sent(&fan->worker->metrics, qos, fan->sent[qos], fan->sent_bytes[qos]);
    kept_unref(fan->kept);
}

static bool is_for(const struct route_target *target, const struct session *from, unsigned origin) {
    bool is_left_out = target->session == from ? target->no_local : target->only_own;
    return !is_left_out && stored_takes(target->session, origin);
}

/* Writes down who waits for the message here. If that cannot be kept, a start after a crash finds it
 * out from the subscriptions. */
static void note_targets(const struct fan_out *fan, const struct route *route,
                         const struct session *from, unsigned origin) {
    struct mqtt_worker *worker = fan->worker;
    journal_refresh(worker, fan->publication->kept, NULL);
    journal_targets_begin(worker, fan->publication->id, true);
    for (uint32_t i = 0; route && i < route->target_count; i++) {
        const struct route_target *target = &route->targets[i];
        struct note_target note = note_for(fan->publication, target);
        if (note.number && note.qos && is_for(target, from, origin))
            journal_targets_add(worker, &note, target->ids, (struct str){NULL, 0});
    }
    journal_targets_end(worker);
}

void deliver(struct mqtt_worker *worker, const struct route *route,
             const struct publication *publication, const struct session *from, unsigned origin) {
    struct fan_out fan = {.worker = worker, .publication = publication};
    buf_clear(&worker->scratch);
    bool is_durable =
        publication->id && (!route || route->stored_targets || origin != worker->index);
    if (is_durable)
        note_targets(&fan, route, from, origin);
    for (uint32_t i = 0; route && i < route->target_count; i++) {
        const struct route_target *target = &route->targets[i];
        if (!is_for(target, from, origin))
            continue;
        if (authorize_receive(target->session->connection, publication->message.topic, route))
            send_to(&fan, target);
        else
            forgo(&fan, target->session, target->qos);
    }
    fan_out_done(&fan);
}

/* Of a message of QoS 2 to a member whose session ends with its connection nothing is to be done
 * after a crash [MQTT-4.8.2-5], nor of one that no member waits for. */
static void note_member(const struct fan_out *fan, const struct route_target *target) {
    struct mqtt_worker *worker = fan->worker;
    struct note_target note = note_for(fan->publication, target);
    note.share_bytes = (uint16_t)fan->share.len;
    journal_refresh(worker, fan->publication->kept, NULL);
    journal_targets_begin(worker, fan->publication->id, false);
    journal_targets_add(worker, &note, target->ids, fan->share);
    journal_targets_end(worker);
    if (note.qos == 0 || (note.qos == 2 && note.number == 0))
        journal_dropped(worker, target->session, fan->publication->id, fan->share);
}

void deliver_shared(struct mqtt_worker *worker, const struct subscription *member,
                    const struct publication *publication) {
    struct fan_out fan = {
        .worker = worker, .publication = publication, .share = member->share->key};
    uint32_t id = member->id;
    struct route_target target = {.session = member->session,
                                  .ids = &id,
                                  .id_count = id != 0,
                                  .qos = member->qos,
                                  .retain_as_published = member->retain_as_published};
    if (publication->id)
        note_member(&fan, &target);
    buf_clear(&worker->scratch);
    if (authorize_receive(member->session->connection, publication->message.topic, NULL))
        send_to(&fan, &target);
    else
        forgo(&fan, member->session, target.qos);
    fan_out_done(&fan);
}

/* ---- what waits ---- */

/* A kept message on its way to one client. */
struct parcel {
    const struct kept *message;
    struct packet_form form;
    uint32_t left_s; /* of its interval */
    bool is_late;    /* it leaves later than what is written after it: without a topic alias */
};

/* False if it is larger than the client takes: then it counts as sent, and nothing is. */
static bool write_parcel(struct mqtt_connection *connection, const struct parcel *parcel,
                         struct buf *out) {
    struct mqtt_worker *worker = connection->worker;
    const struct message *message = &parcel->message->publication.message;
    struct packet_form form = parcel->form;
    struct packet_marks marks;
    struct alias_choice choice = {0};
    if (!parcel->is_late)
        choice = set_alias(connection, message->topic, true, &form);
    packet_write_publish(out, message, &form, &marks);
    if (!takes(connection, marks.bytes) && choice.alias) {
        out->end -= marks.bytes;
        choice = set_alias(connection, message->topic, false, &form);
        packet_write_publish(out, message, &form, &marks);
    }
    if (!takes(connection, marks.bytes)) {
        out->end -= marks.bytes;
        metric_add(&worker->metrics.dropped_too_large, 1);
        return false;
    }
    alias_told(connection, message->topic, choice);
    uint32_t expiry_at = expiry_in_packet(&parcel->message->publication, &marks);
    if (expiry_at)
        publication_expiry_patch(out->at + out->end - marks.bytes + expiry_at, parcel->left_s);
    count_sent(&worker->metrics, parcel->form.qos, 1, marks.bytes);
    connection->counts.sent++;
    connection->counts.sent_bytes += marks.bytes;
    return true;
}

static enum flight_state awaited(uint8_t qos) {
    return qos == 2 ? FLIGHT_PUBREC : FLIGHT_PUBACK;
}

static struct parcel parcel_for(const struct mqtt_connection *connection,
                                const struct delivery *delivery, uint32_t left_s) {
    return (struct parcel){.message = delivery->message,
                           .form = {.version = connection->version,
                                    .qos = delivery->qos,
                                    .retain = delivery->retain,
                                    .subscription_ids = delivery->ids,
                                    .subscription_id_count = delivery->id_count},
                           .left_s = left_s};
}

/* It has its identifier; `delivery` is NULL if it need not be known. */
static void send_known(struct mqtt_connection *connection, const struct delivery *delivery,
                       struct parcel *parcel) {
    struct session *session = connection->session;
    uint16_t packet_id = parcel->form.packet_id;
    parcel->is_late = delivery && must_wait(session, delivery->id, delivery->qos);
    if (write_parcel(connection, parcel, sending_out(connection, delivery)))
        return;
    journal_packet(connection->worker, NOTE_COMPLETE, session, packet_id);
    session_acknowledge(session, packet_id, awaited(parcel->form.qos));
}

static void send_delivery(struct mqtt_connection *connection, struct delivery *delivery,
                          uint32_t left_s) {
    struct session *session = connection->session;
    struct parcel parcel = parcel_for(connection, delivery, left_s);
    parcel.form.packet_id = session_take_id(session, delivery->qos, delivery);
    send_known(connection, delivery, &parcel);
}

/* Section 4.4: in the order of before, with DUP, however long ago their interval ended
 * [MQTT-4.3.3-7]. */
static bool send_again(struct mqtt_connection *connection) {
    struct session *session = connection->session;
    struct resend next;
    if (is_slow(connection) || !session_resend_first(session, in_flight_max(connection), &next))
        return false;
    session_resent(session);
    if (next.state == FLIGHT_PUBCOMP) {
        packet_write_ack(connection_out(connection), PACKET_PUBREL, next.packet_id, 0);
        return true;
    }
    uint32_t left_s;
    if (!kept_expiry_left(next.delivery->message, connection->worker->wall_ms, &left_s))
        left_s = 0;
    struct parcel parcel = parcel_for(connection, next.delivery, left_s);
    parcel.form.packet_id = next.packet_id;
    parcel.form.duplicate = true;
    if (!write_parcel(connection, &parcel, connection_out(connection))) {
        journal_packet(connection->worker, NOTE_COMPLETE, session, next.packet_id);
        session_acknowledge(session, next.packet_id, next.state);
    }
    return true;
}

/* Sends or drops the first queued message; false if it has to go on waiting. */
static bool send_queued(struct mqtt_connection *connection) {
    struct session *session = connection->session;
    struct mqtt_worker *worker = connection->worker;
    if (is_slow(connection) || session_queue_is_empty(session) ||
        !session_may_send(session, in_flight_max(connection)))
        return false;
    struct delivery *delivery = session_queue_first(session);
    uint32_t left_s;
    bool expired = !kept_expiry_left(delivery->message, worker->wall_ms, &left_s);
    if (!expired &&
        authorize_receive(connection, delivery->message->publication.message.topic, NULL)) {
        if (!note_sending(connection, delivery))
            return false;
        send_delivery(connection, session_queue_pop(session), left_s);
        return true;
    }
    session_queue_pop(session);
    metric_add(&worker->metrics.dropped_expired, expired);
    journal_delivery(worker, NOTE_DROPPED, session, delivery, 0);
    delivery_free(delivery);
    return true;
}

static bool send_retained_now(struct mqtt_connection *connection,
                              const struct session_retained *waiting, uint8_t qos,
                              uint32_t left_s) {
    struct session *session = connection->session;
    struct parcel parcel = {.message = waiting->retained,
                            .form = {.version = connection->version,
                                     .qos = qos,
                                     .retain = true,
                                     .subscription_ids = &waiting->subscription_id,
                                     .subscription_id_count = waiting->subscription_id != 0},
                            .left_s = left_s};
    struct delivery *known = NULL;
    if (qos && session->stored) {
        known = delivery_new(waiting->retained, qos, true, &waiting->subscription_id,
                             waiting->subscription_id != 0, (struct str){NULL, 0});
        known->id = waiting->id;
    }
    if (!note_sending(connection, known)) {
        delivery_free(known);
        return false;
    }
    if (qos)
        parcel.form.packet_id = session_take_id(session, qos, known);
    if (qos)
        send_known(connection, known, &parcel);
    else
        write_parcel(connection, &parcel, journal_out_behind(connection));
    return true;
}

/* The client does not get it. */
static void drop_retained(struct mqtt_connection *connection,
                          const struct session_retained *waiting) {
    const struct str no_share = {NULL, 0};
    if (waiting->id)
        journal_dropped(connection->worker, connection->session, waiting->id, no_share);
}

static bool send_retained(struct mqtt_connection *connection) {
    struct session *session = connection->session;
    const struct session_retained *waiting = session_retained_first(session);
    if (!waiting || is_slow(connection))
        return false;
    const struct message *message = &waiting->retained->publication.message;
    uint8_t qos = message->qos < waiting->qos ? message->qos : waiting->qos;
    if (!authorize_receive(connection, message->topic, NULL)) {
        drop_retained(connection, waiting);
        session_retained_pop(session);
        return true;
    }
    if (qos && !session_may_send(session, in_flight_max(connection)))
        return false;
    uint32_t left_s;
    bool expired = !kept_expiry_left(waiting->retained, connection->worker->wall_ms, &left_s);
    if (!expired && !send_retained_now(connection, waiting, qos, left_s))
        return false;
    metric_add(&connection->worker->metrics.dropped_expired, expired);
    if (expired)
        drop_retained(connection, waiting);
    session_retained_pop(session);
    return true;
}

void deliver_waiting(struct mqtt_connection *connection) {
    if (connection->state != CONNECTION_OPEN || !session_has_waiting(connection->session))
        return;
    connection->worker->wall_ms = clock_wall_ms();
    while (send_again(connection)) {
    }
    while (send_retained(connection)) {
    }
    while (send_queued(connection)) {
    }
    crowd_drained(connection->worker, connection->session);
    stored_queue_changed(connection->worker, connection->session);
}
