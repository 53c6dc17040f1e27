/* Hash keys, 0..2^128-1, as decimal text. */
#ifndef AWS_HASH_KEY_H
#define AWS_HASH_KEY_H

#include <stdbool.h>

#include "base/str.h"

enum { HASH_KEY_TEXT_CHARS = 40 };

/* `0` or digits without a leading zero, at most 2^128-1; false otherwise. */
bool aws_hash_key_read(struct str text, unsigned __int128 *ret_key);
struct str aws_hash_key_text(unsigned __int128 key, char room[HASH_KEY_TEXT_CHARS]);

/* First key of range `index` when all keys are cut into `count` ranges of floor(2^128/count), the
 * last one longer; 0 for index 0. (Kinesis API reference, CreateStream.) */
unsigned __int128 aws_hash_key_even(unsigned index, unsigned count);

#endif
