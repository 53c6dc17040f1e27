/* What the notes of the journal come to: sessions, the messages that they wait for, retained messages.
 * It is filled by one thread; then all workers read it, each its own part of the sessions. */
#ifndef MQTT_RESTORE_H
#define MQTT_RESTORE_H

#include "base/map.h"
#include "mqtt/broker.h"

struct old_message {
    uint64_t id;
    struct kept *kept; /* NULL: only others have mentioned it */
    uint64_t pending;  /* workers that have not said who waits for it */
    uint64_t publisher;
    struct buf shares; /* struct old_share and the key, one after the other */
};

/* A share that has not chosen a member. */
struct old_share {
    uint32_t tag, key_bytes;
};

/* A message for a session. */
struct old_delivery {
    uint64_t id; /* with the tag: the key */
    uint32_t tag;
    uint16_t packet_id; /* in flight; 0: it waits */
    uint8_t qos, state; /* enum flight_state; FLIGHT_FREE: it waits */
    bool retain, over;
    uint16_t share_bytes;
    uint64_t order; /* of those in flight */
    uint32_t id_count;
    uint32_t *ids;
    char *share;
};

struct old_subscription {
    struct note_head head;
    uint32_t key_bytes;
    char key[]; /* two bytes of share name's length, then the text */
};

struct old_session {
    uint64_t number;
    bool known, ended;
    uint64_t order; /* of its last SESSION */
    uint64_t away_ms, will_due_ms;
    uint32_t expiry_s;
    struct will *will;
    char *client_id;
    struct map deliveries, by_packet, subscriptions;
    struct packet_ids received;
};

struct mqtt_restore {
    struct map messages, sessions, parts;
    struct old_session unstored; /* what members of shares had whose sessions were not stored */
    struct retained_store retained;
    struct map by_client_id; /* the sessions that there are, once all is read */
    uint64_t order, number_max, version_max;
    int64_t bytes;
    _Atomic unsigned users; /* workers that have not ended with it */
    size_t damaged;         /* entries that are no notes */
};

struct mqtt_restore *restore_new(void);
void restore_free(struct mqtt_restore *restore);

/* One entry of the journal; `data` is the restore. As journal.replay() wants it. */
int restore_take(void *data, struct str entry, uint64_t wall_ms);

/* All was read. */
void restore_settle(struct mqtt_restore *restore);

struct old_delivery *restore_find(const struct old_session *session, uint64_t id, uint32_t tag);
struct old_message *restore_message(const struct mqtt_restore *restore, uint64_t id);
struct old_session *restore_session(const struct mqtt_restore *restore, uint64_t number);

#endif
