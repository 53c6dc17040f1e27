/* Hash keys of shards: numbers from 0 to 2^128-1 (Kinesis API reference, HashKeyRange), as decimal
 * text. */
#ifndef BASE_HASH_KEY_H
#define BASE_HASH_KEY_H

#include <stdbool.h>

#include "base/str.h"

typedef unsigned __int128 hash_key;

enum { HASH_KEY_CHARS = 40 };

/* `0` or `[1-9]\d*`, at most 2^128-1; false otherwise. */
bool hash_key_parse(struct str text, hash_key *ret_key);

/* The text, a view of `room`, and a NUL behind it. */
struct str hash_key_text(hash_key key, char room[HASH_KEY_CHARS]);

/* First key of range `index` when all keys are cut into `count` ranges of floor(2^128/count), the
 * last one longer (Kinesis API reference, CreateStream). */
hash_key hash_key_even(unsigned index, unsigned count);

#endif
