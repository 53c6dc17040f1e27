/*
 * The intent of a delivery: the object that is about to be written, on disk (table "intent", key
 * "delivery/NAME") before its first byte is written anywhere. It goes away in the transaction that
 * moves the checkpoint, which the stream keeps under the same name.
 */
#ifndef DELIVERY_INTENT_H
#define DELIVERY_INTENT_H

#include "delivery/object_key.h"
#include "io/facts.h"

/* What a range of records amounts to: how it is seen that they are the same again. Packed ones count as
 * the stream has them, also if the object has them taken apart. */
struct tally {
    uint64_t records, bytes;
    uint32_t crc; /* CRC-32C of the records' data, one behind the other */
};

void tally_add(struct tally *tally, struct str record);
bool tally_equal(const struct tally *a, const struct tally *b);

struct intent {
    uint64_t stream_created_s; /* the counters mean nothing in another stream of that name */
    uint32_t shard;
    uint64_t first, end; /* counters: first <= counter < end */
    uint64_t instant_ms; /* arrival of the oldest record */
    struct tally tally;
    enum delivery_compression compression;
    bool deaggregates; /* the object holds packed records taken apart */
    struct buf key;    /* of the object; owned */
};

void intent_done(struct intent *intent);

/* The stored form, for the tests and the fuzzer. CORRUPT: it is none that this version writes. */
void intent_encode(struct buf *out, const struct intent *intent);
int intent_decode(struct str value, struct intent *ret_intent);

/* NOT_FOUND: there is none. CORRUPT. */
int intent_get(struct facts *facts, const char *name, struct intent *ret_intent);

/* On disk when it returns 0. */
int intent_set(struct facts *facts, const char *name, const struct intent *intent, struct err *err);

/* One transaction: the checkpoint moves to intent->end, and the stored intent goes. */
int intent_commit(struct facts *facts, const struct stream *stream, const char *name,
                  const struct intent *intent, struct err *err);

/* How far the delivery has come: the next record's counter, 0 at first. */
int intent_checkpoint(struct facts *facts, const struct stream *stream, const char *name,
                      uint64_t *ret_counter, struct err *err);

#endif
