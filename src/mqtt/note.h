/*
 * What the broker writes into its journal (flow/journal.h): one note for each thing that a session
 * must know again after a crash. journal.c says when which note is written, restore.c what is made of
 * them.
 *
 *      note     struct note_head, then by type, numbers little-endian:
 *      SESSION          u64 away_ms, u64 will_due_ms, u32 client id bytes, u32 will delay, client id,
 *                       and the will as a message if NOTE_WILL is set
 *      SUBSCRIPTION     "FILTER" or "NAME/FILTER"; `value` is the subscription identifier
 *      UNSUBSCRIPTION   the same
 *      RETAINED         the publisher's client id, `value` bytes, and a message; `id` is its version;
 *                       without payload: there is none any more
 *      MESSAGE          u64 pending, u64 publisher, u32 shares' bytes, (u16 bytes, key) of each share
 *                       that has to choose a member, a message
 *      TARGETS          struct note_target, u32 identifiers, share, one after the other
 *      PART             a piece of a note that is larger than an entry; NOTE_LAST: the last one
 *      others           nothing
 *
 *      message  u64 received_ms, i32 expiry_at, u32 topic bytes, u32 property bytes, topic,
 *               properties, payload
 *
 * Views only; nothing here owns bytes.
 */
#ifndef MQTT_NOTE_H
#define MQTT_NOTE_H

#include "base/buf.h"
#include "base/wire.h"
#include "mqtt/publication.h"

enum note_type {
    NOTE_NOTHING = 1, /* is written to have something to wait for */
    NOTE_PART,
    NOTE_SESSION,        /* it began, or something of it changed */
    NOTE_END,            /* of the session */
    NOTE_SUBSCRIPTION,   /* new, or with other options */
    NOTE_UNSUBSCRIPTION, /* */
    NOTE_RETAINED,       /* the topic's message from now on */
    NOTE_MESSAGE,        /* sessions wait for it; TARGETS tell which */
    NOTE_TARGETS,  /* of message `id` on `worker`; NOTE_LAST: all those that subscribe to it */
    NOTE_SENT,     /* message `id` went to the session as `packet_id`; without an id: one that
                            was, and need not be known any more; `packet_id` is the tag then */
    NOTE_RECEIVED, /* the client has answered `packet_id` with PUBREC */
    NOTE_COMPLETE, /* `packet_id` is acknowledged */
    NOTE_DROPPED,  /* the session does not get message `id` */
    NOTE_TAKEN,    /* the client has published `packet_id` with QoS 2 */
    NOTE_RELEASED, /* and released it */
    NOTE_TYPES
};

enum { NOTE_RETAIN = 1, NOTE_NO_LOCAL = 2, NOTE_AS_PUBLISHED = 4, NOTE_WILL = 8, NOTE_LAST = 16 };

/* Every note begins with it; what a type has no use for is 0. */
struct note_head {
    uint8_t type, qos, flags, worker;
    uint16_t packet_id;
    uint16_t share_name_bytes; /* of a subscription; 0: no share */
    uint32_t tag;              /* of the share through which the message comes, see note_tag() */
    uint32_t value;  /* expiry of a session; identifier of a subscription; bytes of a client id */
    uint64_t number; /* of the session */
    uint64_t id;     /* of the message */
};

/* A session that waits for a message. */
struct note_target {
    uint64_t number; /* 0: a member of the share whose session ends with its connection */
    uint8_t qos;
    bool retain;
    uint16_t share_bytes;
    uint32_t id_count;
};

struct note {
    struct note_head head;
    uint64_t away_ms, will_due_ms;
    uint32_t will_delay_s;
    struct str client_id;
    struct str text;                /* of a subscription; the bytes of a part */
    uint64_t pending;               /* workers that are to write TARGETS; bit per index */
    uint64_t publisher;             /* number of its session, or 0 */
    struct str shares;              /* see note_next_share() */
    struct str targets;             /* see note_next_target() */
    struct publication publication; /* SESSION with NOTE_WILL, RETAINED, MESSAGE */
};

/* The text behind NAME/FILTER, as few bytes; 0 for none. The same in every process. */
uint32_t note_tag(struct str share);

/* False if it is not one. */
bool note_read(struct str entry, struct note *ret);

/* Takes the next one off; false behind the last, or if the rest is none. */
bool note_next_share(struct str *rest, struct str *ret_key);
bool note_next_target(struct str *rest, struct note_target *ret, struct str *ret_ids,
                      struct str *ret_share);

/* ---- writing: each appends to `out` ---- */

void note_write_head(struct buf *out, const struct note_head *head);
void note_write_message(struct buf *out, const struct publication *publication);

/* What stands in `note` besides the views of lists. */
void note_write_session(struct buf *out, const struct note *note);

/* Behind the head and `publisher`: the shares and the message follow. */
void note_write_pending(struct buf *out, uint64_t pending, uint64_t publisher,
                        uint32_t shares_bytes);
void note_write_share(struct buf *out, struct str key);
enum { NOTE_SHARE_BYTES = 2 }; /* beside the key */

void note_write_target(struct buf *out, const struct note_target *target, const uint32_t *ids,
                       struct str share);

#endif
