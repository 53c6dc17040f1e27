/* Kinesis sequence numbers as decimal text, without a stream at hand. The layout is told in
 * sequence.c. */
#ifndef STREAM_SEQUENCE_H
#define STREAM_SEQUENCE_H

#include <stdint.h>

#include "base/str.h"
#include "stream/stream.h"

struct sequence {
    uint64_t created_s; /* of the shard; 36 bits */
    uint64_t counter;
    uint64_t arrival_s; /* 36 bits */
    uint32_t shard;
};

void sequence_write(const struct sequence *sequence, char ret_text[STREAM_SEQUENCE_CHARS]);

/* INVALID if the text is no number of this layout. */
int sequence_read(struct str text, struct sequence *ret_sequence);

/* The counter in the text. INVALID as well if it is not of this shard. */
int sequence_counter(struct str text, uint32_t shard, uint64_t created_s, uint64_t *ret_counter);

#endif
