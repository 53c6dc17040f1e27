/*
 * The codec: the first byte chooses the version, the rest is a stream of packets. What is read
 * must lie inside the packet.
 */
#include <stdlib.h>

#include "base/err.h"
#include "mqtt/packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void inside(const struct packet *packet, struct str view) {
    ASSERT(view.len == 0 || (view.at >= packet->body.at &&
                             view.at + view.len <= packet->body.at + packet->body.len));
}

/* A PUBLISH that was read is written as it was, and read again as it is. */
static void write_again(const struct packet_publish *in, uint8_t version) {
    struct message message = {
        .topic = in->topic, .payload = in->payload, .properties = in->properties};
    struct packet_form form = {
        .version = version, .qos = in->qos > 1 ? 1 : in->qos, .retain = in->retain, .packet_id = 1};
    struct packet_marks marks;
    struct buf out = {0};
    struct packet packet;
    struct packet_publish again;
    packet_write_publish(&out, &message, &form, &marks);
    ASSERT(packet_find(buf_at(&out), buf_len(&out), SIZE_MAX, &packet) == 0 &&
           packet.bytes == marks.bytes);
    ASSERT(packet_read_publish(&packet, version, &again) == PACKET_NORMAL);
    ASSERT(str_eq(again.topic, in->topic) && str_eq(again.payload, in->payload));
    ASSERT(str_eq(again.properties, in->properties) && again.expiry_at == in->expiry_at);
    buf_done(&out);
}

static void read_publish(const struct packet *packet, uint8_t version) {
    struct packet_publish in;
    if (packet_read_publish(packet, version, &in))
        return;
    inside(packet, in.topic);
    inside(packet, in.payload);
    inside(packet, in.properties);
    ASSERT(in.expiry_at < 0 || (size_t)in.expiry_at + 4 <= in.properties.len);
    ASSERT(in.alias_at < 0 || (size_t)in.alias_at + 3 <= in.properties.len);
    write_again(&in, version);
}

static void read_connect(const struct packet *packet) {
    struct packet_connect in;
    if (packet_read_connect(packet, &in))
        return;
    inside(packet, in.client_id);
    inside(packet, in.user);
    inside(packet, in.password);
    inside(packet, in.will.topic);
    inside(packet, in.will.payload);
    inside(packet, in.will.properties.raw);
    if (!in.will.present)
        return;
    ASSERT(in.will.properties.delay_at < 0 ||
           (size_t)in.will.properties.delay_at + 5 <= in.will.properties.raw.len);
}

static void read_filters(const struct packet *packet, uint8_t version) {
    struct packet_filters filters;
    struct packet_filter filter;
    bool more = packet_read_filters(packet, version, &filters) == PACKET_NORMAL;
    while (more && packet_next_filter(&filters, &filter, &more) == PACKET_NORMAL)
        inside(packet, filter.filter);
}

static void read_packet(const struct packet *packet, uint8_t version) {
    uint16_t id;
    uint8_t reason;
    struct packet_properties properties;
    switch (packet->type) {
    case PACKET_CONNECT:
        read_connect(packet);
        break;
    case PACKET_PUBLISH:
        read_publish(packet, version);
        break;
    case PACKET_SUBSCRIBE:
    case PACKET_UNSUBSCRIBE:
        read_filters(packet, version);
        break;
    case PACKET_DISCONNECT:
        packet_read_disconnect(packet, version, &reason, &properties);
        break;
    default:
        packet_read_ack(packet, version, &id, &reason);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    uint8_t version = data[0] & 1 ? PACKET_VERSION_5 : PACKET_VERSION_3_1_1;
    struct packet packet;
    for (data++, size--; packet_find(data, size, 1 << 20, &packet) == 0;
         data += packet.bytes, size -= packet.bytes)
        read_packet(&packet, version);
    return 0;
}
