/*
 * Retained messages (MQTT 5.0 section 3.3.1.3): the newest per topic. Every worker holds a full
 * replica, so that a SUBSCRIBE is answered without asking anyone. The messages themselves are
 * immutable and shared between the replicas; a replica belongs to its worker's thread.
 *
 * Which message is the newest is decided by a version that is drawn once, where it was published:
 * whatever the order in which replicas hear of two messages, the higher version stays. A deletion
 * (empty payload) stays for a minute as a tombstone, so that an older message that arrives behind
 * it is known to be older.
 */
#ifndef MQTT_RETAINED_H
#define MQTT_RETAINED_H

#include <stddef.h>

#include "mqtt/kept.h"
#include "mqtt/tree.h"

enum { RETAINED_TOMBSTONES_MAX = 65536, RETAINED_TOMBSTONE_MS = 60000 };

struct retained_store {
    struct tree tree; /* topic -> struct kept, tombstones included */
    size_t count_max, bytes_max;
    size_t count, bytes; /* without tombstones */
    bool alone;          /* there is no other replica: no tombstones are needed */
    struct retained_tombstone {
        struct kept *retained;
        uint64_t since_ms;
    } * tombstones; /* a ring, oldest first */
    size_t tombstone_begin, tombstone_count;
};

void retained_store_init(struct retained_store *store, size_t count_max, size_t bytes_max,
                         bool alone);
void retained_store_done(struct retained_store *store);

/* Whether one more message, replacing the one that the topic has, fits the bounds. Deletions always
 * fit. */
bool retained_has_room(struct retained_store *store, const struct message *message,
                       uint64_t now_ms);

/* Keeps the message (taking a reference of its own) unless the topic has a newer one. */
void retained_put(struct retained_store *store, struct kept *retained, uint64_t now_ms);

typedef void retained_visit(void *data, struct kept *retained);

/* All that `filter` matches and that have not expired. The store must not be changed meanwhile. */
void retained_find(struct retained_store *store, struct str filter, uint64_t now_ms,
                   retained_visit *visit, void *data);

/* Forgets tombstones that are old enough. */
void retained_tick(struct retained_store *store, uint64_t now_ms);

#endif
