/*
 * A set of packet identifiers: those of the QoS 2 messages that a client has published and not yet
 * released (MQTT 5.0 section 4.3.3). Zeroed is valid and empty; an empty set holds no memory.
 */
#ifndef MQTT_PACKET_IDS_H
#define MQTT_PACKET_IDS_H

#include <stdbool.h>
#include <stdint.h>

struct packet_ids {
    uint16_t *slots; /* 0: free */
    uint32_t count, slot_count;
};

void packet_ids_done(struct packet_ids *ids);

/* `id` is not 0. */
bool packet_ids_has(const struct packet_ids *ids, uint16_t id);

/* False if it is there already. */
bool packet_ids_add(struct packet_ids *ids, uint16_t id);

/* False if it was not there. */
bool packet_ids_remove(struct packet_ids *ids, uint16_t id);

#endif
