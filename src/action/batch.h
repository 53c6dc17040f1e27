/*
 * The records that a runner has in hand, and what each of them waits for. Knows no log, no clock and no
 * loop; belongs to its runner. The items are views into the reader's memory, valid until its next read.
 *
 *   PENDING -> the target has it next: DONE, REFUSED, or PENDING once more
 *   REFUSED -> the error action has it next: STAGED or DONE
 *   STAGED  -> what the error action pushed is on its way to the disk: DONE, or REFUSED if it got lost
 *   DONE       nothing is left to do
 */
#ifndef ACTION_BATCH_H
#define ACTION_BATCH_H

#include "action/target.h"

enum action_item_state { ITEM_PENDING, ITEM_REFUSED, ITEM_STAGED, ITEM_DONE };

struct action_batch_item {
    struct action_item item;
    enum action_item_state state;
};

/* Zeroed is an empty one. */
struct action_batch {
    struct action_batch_item *items;
    struct action_item **pending; /* what action_batch_collect() found */
    size_t count, room;
};

/* What the target made of a send. */
struct action_tally {
    unsigned taken, failed, retried;
};

/* Makes room for `items_max` items, at the first time. */
void action_batch_reserve(struct action_batch *batch, size_t items_max);

/* Adds a record. CORRUPT: it cannot be read, and its item is DONE. */
int action_batch_take(struct action_batch *batch, const struct stream_record *record);

/* Readies all that is PENDING for `target`, in `pending`; how many. */
size_t action_batch_collect(struct action_batch *batch, struct action_target *target);

/* Moves the PENDING items on by the verdicts of the send that has ended; what has been tried too
 * often, or for too long by the wall clock `now_ms`, is REFUSED. */
struct action_tally action_batch_review(struct action_batch *batch,
                                        const struct action_settings *settings, uint64_t now_ms);

/* What was STAGED has been committed (status 0), or was not. */
void action_batch_commit(struct action_batch *batch, int status);

/* The first item in this state, or NULL. */
struct action_batch_item *action_batch_first(const struct action_batch *batch,
                                             enum action_item_state state);

/* Appends to `ret_items`, which has room for all, the REFUSED item `first` and those that were
 * refused for the same reason with it in one request; at most what one document can hold. How
 * many. */
size_t action_batch_refused(const struct action_batch *batch, struct action_batch_item *first,
                            struct action_batch_item **ret_items);

/* The counter of the first item that is not DONE, or `end`. */
uint64_t action_batch_counter(const struct action_batch *batch, uint64_t end);

/* How many are not DONE, and when the first of them came (untouched if there is none). */
size_t action_batch_waiting(const struct action_batch *batch, uint64_t *ret_arrival_ms);

/* Forgets the items and keeps the room. */
void action_batch_clear(struct action_batch *batch);
void action_batch_done(struct action_batch *batch);

#endif
