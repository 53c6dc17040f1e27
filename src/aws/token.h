/*
 * What a client keeps for the server and hands back unchanged: shard iterators and paging tokens.
 * Opaque, bound to the moment of their making, and made unforgeable by a MAC with the server's key.
 */
#ifndef AWS_TOKEN_H
#define AWS_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

enum {
    TOKEN_KEY_BYTES = 32,
    TOKEN_PAYLOAD_BYTES_MAX = 320,
    TOKEN_LIFE_MS = 300 * 1000, /* Kinesis API reference: five minutes */
};

enum token_kind {
    TOKEN_ITERATOR = 1,
    TOKEN_STREAMS,   /* ListStreams */
    TOKEN_SHARDS,    /* ListShards */
    TOKEN_CONSUMERS, /* ListStreamConsumers */
};

/* Appends the text of a token; the payload is at most TOKEN_PAYLOAD_BYTES_MAX (asserted). */
void aws_token_write(struct buf *out, const uint8_t key[TOKEN_KEY_BYTES], enum token_kind kind,
                     struct str payload, uint64_t wall_ms);

/*
 * 0 and the payload appended to `ret_payload`; INVALID: no token of this kind and key; TIMEOUT: older
 * than TOKEN_LIFE_MS. *ret_made_ms is set with TIMEOUT too.
 */
int aws_token_read(struct str text, const uint8_t key[TOKEN_KEY_BYTES], enum token_kind kind,
                   uint64_t wall_ms, struct buf *ret_payload, uint64_t *ret_made_ms);

/* ---- shard iterators ---- */

/* Where GetRecords goes on. The stream is told by name and by when it was made, so that an iterator
 * of a deleted stream does not read its successor. */
struct aws_iterator {
    struct str stream;
    uint64_t stream_created_s;
    uint32_t shard;
    uint64_t counter;
};

void aws_iterator_write(struct buf *out, const uint8_t key[TOKEN_KEY_BYTES],
                        const struct aws_iterator *iterator, uint64_t wall_ms);

/* As aws_token_read(); ret_iterator->stream is a view into `room`. */
int aws_iterator_read(struct str text, const uint8_t key[TOKEN_KEY_BYTES], uint64_t wall_ms,
                      struct buf *room, struct aws_iterator *ret_iterator, uint64_t *ret_made_ms);

#endif
