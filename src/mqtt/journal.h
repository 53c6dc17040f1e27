/*
 * What a worker writes into the journal, and what waits until it is on disk. docs/decisions/
 * 2026-11-23-durable-sessions.md proves that nothing acknowledged is lost by it.
 *
 * Without a journal (tests of the broker alone) nothing is written, nobody waits, and all numbers
 * and ids are 0. All of it belongs to the worker's thread.
 */
#ifndef MQTT_JOURNAL_H
#define MQTT_JOURNAL_H

#include "flow/journal.h"
#include "mqtt/note.h"

struct mqtt_worker;
struct mqtt_connection;
struct session;
struct subscription;
struct delivery;
struct kept;
struct session_retained;
struct share;

struct journal_wait {
    struct link link;
    uint64_t ticket;
    void (*run)(struct journal_wait *wait, int status);
};

struct worker_journal {
    struct journal *journal;  /* NULL: there is none */
    struct buf note, targets; /* that are being written */
    uint64_t last, committed; /* tickets: of the last note, and up to which all are on disk */
    bool unsealed;            /* notes were appended since the last seal */
    struct link waits;        /* struct journal_wait, in the order of their tickets */
};

void journal_init(struct mqtt_worker *worker);
void journal_done(struct mqtt_worker *worker);

/* A number that nothing else has had; 0 without a journal. */
uint64_t journal_number(struct mqtt_worker *worker);

/* ---- waiting ---- */

/* Whether notes of this worker are on their way. */
bool journal_is_pending(const struct mqtt_worker *worker);

/* `run` follows, with the status of their ticket, when all notes that this worker has written are on
 * disk. False: they are, and it does not. */
bool journal_wait(struct mqtt_worker *worker, struct journal_wait *wait,
                  void (*run)(struct journal_wait *wait, int status));

/* Nobody waits any more: what is on its way counts as failed. */
void journal_give_up(struct mqtt_worker *worker);

void journal_commit(struct mqtt_worker *worker, uint64_t ticket, int status);

/* What this worker has written comes before what others write because of what it sends now. */
void journal_seal(struct mqtt_worker *worker);

/*
 * Where bytes for the client go that may leave only when all notes of this worker are on disk.
 * Valid until the next turn. If they cannot be kept, the connection ends.
 */
struct buf *journal_out(struct mqtt_connection *connection);

/* Where bytes go that need not wait, but may not overtake what does. Valid until the next turn. */
struct buf *journal_out_behind(struct mqtt_connection *connection);

/* ---- notes: 0, or why it cannot be kept ---- */

int journal_nothing(struct mqtt_worker *worker);

/* As the session is now. */
int journal_session(struct mqtt_worker *worker, const struct session *session);
int journal_end(struct mqtt_worker *worker, const struct session *session);
int journal_subscription(struct mqtt_worker *worker, const struct subscription *subscription);
int journal_unsubscription(struct mqtt_worker *worker, const struct subscription *subscription);
int journal_retained(struct mqtt_worker *worker, const struct kept *retained);

/* The text of a subscription: "FILTER", or "NAME/FILTER" with so many bytes of name. */
uint16_t journal_subscription_text(const struct subscription *subscription, struct buf *out);

/* Anything about `packet_id` of the session: RECEIVED, COMPLETE, TAKEN, RELEASED. */
int journal_packet(struct mqtt_worker *worker, enum note_type type, const struct session *session,
                   uint16_t packet_id);

/* SENT and RECEIVED, of a message that need not be known any more. */
int journal_received(struct mqtt_worker *worker, const struct session *session, uint16_t packet_id);

/* SENT (as `packet_id`), DROPPED. */
int journal_delivery(struct mqtt_worker *worker, enum note_type type, const struct session *session,
                     const struct delivery *delivery, uint16_t packet_id);

/* `session` NULL: no member of the share is left. */
int journal_dropped(struct mqtt_worker *worker, const struct session *session, uint64_t id,
                    struct str share);

/* ---- messages ---- */

/* What has to happen with a message besides that its TARGETS are written. */
struct journal_pending {
    uint64_t workers; /* which write them */
    struct share *const *shares;
    uint32_t share_count; /* of those only the ones with members in the journal count */
    uint64_t publisher;
    uint16_t packet_id; /* of QoS 2 */
};

int journal_message(struct mqtt_worker *worker, struct kept *message,
                    const struct journal_pending *pending);

/* A retained message that the session waits for, if it is a stored one: gets an id of its own then. When
 * too much is under way it gets none, and would not be sent any more after a crash. */
void journal_retained_for(struct mqtt_worker *worker, const struct session *session,
                          struct session_retained *waiting);

/* A message that goes on, to another worker through `share` or (NULL) to a session: it is written
 * anew if what was written before is about to be released. `message` may be NULL. */
int journal_refresh(struct mqtt_worker *worker, struct kept *message, struct share *share);

/* The message and the one session that waits for it. */
int journal_directed(struct mqtt_worker *worker, const struct session *session,
                     const struct publication *publication, const struct note_target *target,
                     const uint32_t *ids, struct str share, uint64_t id);

/* Targets here, `all` that subscribe, or some; in between nothing else is written. */
void journal_targets_begin(struct mqtt_worker *worker, uint64_t id, bool all);
void journal_targets_add(struct mqtt_worker *worker, const struct note_target *target,
                         const uint32_t *ids, struct str share);
int journal_targets_end(struct mqtt_worker *worker);

#endif
