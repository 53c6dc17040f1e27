/*
 * How far one shard of a delivery stream has come: a reader, and the range of records that the next
 * object holds. The range grows while it is gathered; then its intent stands in the ledger until the
 * object is safe, and a restart takes it up again. Embedded in its delivery stream; belongs to its loop.
 */
#ifndef DELIVERY_PROGRESS_H
#define DELIVERY_PROGRESS_H

#include "delivery/ledger.h"
#include "delivery/meter.h"
#include "stream/stream.h"

/* The owner sets the first two and zeroes the rest. */
struct progress {
    struct loop *loop;
    struct ledger ledger;
    struct stream_reader *reader;
    struct intent intent; /* `key` is empty while the range is gathered */
    uint64_t gathering_since_ms;
    uint64_t seen_records, seen_bytes; /* since the start: for the size of what was not read yet */
};

/*
 * Goes on where the ledger says; of a group's share, at `counter`, with the group's `note`.
 * `is_unfinished`: an object was about to be written, and `intent` says which; the reader stands
 * anywhere. Otherwise nothing is gathered. `on_ready` as stream_reader_open() says.
 */
int progress_open(struct progress *progress, uint64_t counter, struct str note,
                  void (*on_ready)(struct stream_reader *reader, void *data), void *data,
                  bool *ret_is_unfinished, struct err *err);

/* Counts records up to the one with which the range has `bytes_max`; true then. Records that others have written into
 * a topic may be larger than ours: before one for which an object has no room the range ends as well. */
bool progress_count(struct progress *progress, const struct stream_batch *batch,
                    uint64_t bytes_max);

/* Since the first gathered record arrived; since it was seen when the wall clock went back. */
uint64_t progress_age_ms(const struct progress *progress);

/* The range ends here. */
void progress_cut(struct progress *progress);

/* The ledger has the end of the range: the stream may drop its records, and the next one begins. */
void progress_pass(struct progress *progress);

/* Sets the gauges. */
void progress_show(const struct progress *progress, struct meter *meter);

void progress_done(struct progress *progress);

#endif
