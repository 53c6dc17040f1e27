#include "mqtt/publication.h"

#include "mqtt/packet.h"

bool publication_from_message(const struct message *message, struct publication *ret) {
    *ret = (struct publication){.message = *message, .expiry_at = -1};
    if (message->properties.len == 0)
        return true;
    struct packet_properties parsed;
    if (packet_read_properties(message->properties, PACKET_PUBLISH, &parsed) ||
        parsed.alias_at >= 0)
        return false;
    ret->expiry_at = parsed.expiry_at;
    return true;
}

uint32_t publication_expiry_s(const struct publication *publication) {
    const uint8_t *at =
        (const uint8_t *)publication->message.properties.at + publication->expiry_at;
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

bool publication_expiry_left(uint32_t expiry_s, uint64_t received_ms, uint64_t now_ms,
                             uint32_t *ret_left_s) {
    uint64_t waited_s = now_ms > received_ms ? (now_ms - received_ms) / 1000 : 0;
    if (waited_s > 0 && waited_s >= expiry_s)
        return false;
    *ret_left_s = expiry_s - (uint32_t)waited_s;
    return true;
}

void publication_expiry_patch(uint8_t *at, uint32_t expiry_s) {
    for (int i = 3; i >= 0; i--, expiry_s >>= 8)
        at[i] = (uint8_t)expiry_s;
}
