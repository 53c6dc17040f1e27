/*
 * What a client says about messages under way: PUBACK, PUBREC and PUBCOMP about those that it was
 * sent, PUBREL about those that it published with QoS 2 (sections 3.4 to 3.7, 4.3).
 *
 *      to the client      PUBLISH -> PUBREC -> PUBREL -> PUBCOMP     the session's flight
 *      from the client    PUBLISH -> PUBREC -> PUBREL -> PUBCOMP     the session's received
 *
 * PUBREL and PUBREC for an identifier that is not in use are answered all the same, in 5.0 with
 * reason 0x92: that is how both sides get rid of what only one of them remembers. An answer of the
 * wrong kind to a message that is under way (PUBACK to one of QoS 2, PUBREC to one of QoS 1, PUBCOMP
 * before PUBREL) is a protocol error.
 */
#include "mqtt/broker.h"

/* `note`: what the answer makes certain, so that it waits until that is on disk. */
static void answer(struct mqtt_connection *connection, enum packet_type type, uint16_t packet_id,
                   bool found, enum note_type note) {
    bool tells = !found && connection->version == PACKET_VERSION_5;
    bool waits = connection->session->stored;
    if (found && journal_packet(connection->worker, note, connection->session, packet_id)) {
        connection_end(connection, PACKET_QUOTA_EXCEEDED);
        return;
    }
    packet_write_ack(waits ? journal_out(connection) : connection_out(connection), type, packet_id,
                     tells ? PACKET_ID_NOT_FOUND : PACKET_NORMAL);
}

/* The client has the message, or does not want it. */
static void complete(struct mqtt_connection *connection, uint16_t packet_id,
                     enum flight_state state) {
    struct session *session = connection->session;
    const struct delivery *delivery = session_delivery(session, packet_id);
    if (session_state(session, packet_id) != state)
        return;
    if (session->stored && (state == FLIGHT_PUBCOMP || (delivery && delivery->id)))
        journal_packet(connection->worker, NOTE_COMPLETE, session, packet_id);
    else if (delivery)
        journal_delivery(connection->worker, NOTE_DROPPED, session, delivery, 0);
    session_acknowledge(session, packet_id, state);
}

/* A refusal ends the exchange; there is no PUBREL then [MQTT-4.3.3-4]. */
static void take_pubrec(struct mqtt_connection *connection, uint16_t packet_id, uint8_t reason) {
    if (reason >= PACKET_UNSPECIFIED)
        complete(connection, packet_id, FLIGHT_PUBREC);
    else
        answer(connection, PACKET_PUBREL, packet_id,
               session_advance(connection->session, packet_id), NOTE_RECEIVED);
}

static bool is_of_wrong_kind(const struct session *session, enum packet_type type,
                             uint16_t packet_id) {
    enum flight_state awaited = session_awaits(session, packet_id);
    if (type == PACKET_PUBREL || awaited == FLIGHT_FREE)
        return false;
    if (type == PACKET_PUBREC)
        return awaited == FLIGHT_PUBACK;
    return awaited != (type == PACKET_PUBACK ? FLIGHT_PUBACK : FLIGHT_PUBCOMP);
}

void ack_take(struct mqtt_connection *connection, const struct packet *packet) {
    uint16_t packet_id;
    uint8_t said;
    enum packet_reason reason = packet_read_ack(packet, connection->version, &packet_id, &said);
    if (!reason && is_of_wrong_kind(connection->session, packet->type, packet_id))
        reason = PACKET_PROTOCOL_ERROR;
    if (reason) {
        connection_fail(connection, reason, "PUBACK, PUBREC, PUBREL or PUBCOMP: %s",
                        packet_reason_text(reason));
        return;
    }
    struct session *session = connection->session;
    if (packet->type == PACKET_PUBACK)
        complete(connection, packet_id, FLIGHT_PUBACK);
    else if (packet->type == PACKET_PUBREC)
        take_pubrec(connection, packet_id, said);
    else if (packet->type == PACKET_PUBCOMP)
        complete(connection, packet_id, FLIGHT_PUBCOMP);
    else
        answer(connection, PACKET_PUBCOMP, packet_id, session_release(session, packet_id),
               NOTE_RELEASED);
    deliver_waiting(connection);
}
