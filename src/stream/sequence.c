/*
 * Sequence numbers have the layout that Kinesis itself uses (docs/formats/sequence-number.md), so
 * that clients which order, parse or take apart such numbers work unchanged. A number has 186 bits;
 * written as 47 hexadecimal digits, from the left:
 *
 *      digits  holds
 *           1  2: the number always has 186 bits, and so always 56 decimal digits
 *           9  creation time of the shard, seconds since 1970
 *           1  lowest digit of the shard's number
 *          16  counter of the record in its shard
 *           2  00
 *           9  arrival of the record, seconds since 1970
 *           8  number of the shard
 *           1  2: version of the layout
 *
 * Within a shard numbers grow with the counter whatever the arrival is. The value is kept here as
 * three 64-bit limbs.
 */
#include "stream/sequence.h"

#include <inttypes.h>

#include "base/err.h"

enum { LIMBS = 3, DECIMAL_DIGITS = STREAM_SEQUENCE_CHARS - 1, VERSION = 2 };

/* Digits that fit a 64-bit limb at once: 10^19 < 2^64. */
enum { STEP_DIGITS = 19 };
static const uint64_t step = UINT64_C(10000000000000000000);
static const uint64_t mask36 = (UINT64_C(1) << 36) - 1;

struct limbs {
    uint64_t at[LIMBS]; /* lowest first */
};

static void add_digits(struct limbs *value, unsigned digits, uint64_t add) {
    unsigned bits = 4 * digits;
    for (int i = LIMBS - 1; i >= 0; i--) {
        uint64_t from_below = i ? value->at[i - 1] : 0;
        value->at[i] = bits == 64 ? from_below : value->at[i] << bits | from_below >> (64 - bits);
    }
    value->at[0] |= add;
}

static uint64_t take_digits(struct limbs *value, unsigned digits) {
    unsigned bits = 4 * digits;
    uint64_t taken = bits == 64 ? value->at[0] : value->at[0] & ((UINT64_C(1) << bits) - 1);
    for (int i = 0; i < LIMBS; i++) {
        uint64_t from_above = i + 1 < LIMBS ? value->at[i + 1] : 0;
        value->at[i] = bits == 64 ? from_above : value->at[i] >> bits | from_above << (64 - bits);
    }
    return taken;
}

static uint64_t divide(struct limbs *value, uint64_t by) {
    uint64_t rest = 0;
    for (int i = LIMBS - 1; i >= 0; i--) {
        unsigned __int128 part = (unsigned __int128)rest << 64 | value->at[i];
        value->at[i] = (uint64_t)(part / by);
        rest = (uint64_t)(part % by);
    }
    return rest;
}

/* False when the product does not fit. */
static bool multiply_add(struct limbs *value, uint64_t by, uint64_t add) {
    for (int i = 0; i < LIMBS; i++) {
        unsigned __int128 part = (unsigned __int128)value->at[i] * by + add;
        value->at[i] = (uint64_t)part;
        add = (uint64_t)(part >> 64);
    }
    return add == 0;
}

void sequence_write(const struct sequence *sequence, char ret_text[STREAM_SEQUENCE_CHARS]) {
    struct limbs value = {{0}};
    add_digits(&value, 1, 2);
    add_digits(&value, 9, sequence->created_s & mask36);
    add_digits(&value, 1, sequence->shard & 0xf);
    add_digits(&value, 16, sequence->counter);
    add_digits(&value, 2, 0);
    add_digits(&value, 9, sequence->arrival_s & mask36);
    add_digits(&value, 8, sequence->shard);
    add_digits(&value, 1, VERSION);

    ret_text[DECIMAL_DIGITS] = '\0';
    for (int end = DECIMAL_DIGITS; end > 0; end -= STEP_DIGITS) {
        uint64_t part = divide(&value, step);
        int begin = end > STEP_DIGITS ? end - STEP_DIGITS : 0;
        for (int i = end - 1; i >= begin; i--, part /= 10)
            ret_text[i] = (char)('0' + part % 10);
    }
}

static bool parse_decimal(struct str text, struct limbs *ret_value) {
    *ret_value = (struct limbs){{0}};
    if (text.len != DECIMAL_DIGITS || text.at[0] == '0')
        return false;
    for (size_t at = 0; at < text.len;) {
        uint64_t part = 0, scale = 1;
        for (; at < text.len && scale < step; at++, scale *= 10) {
            if (text.at[at] < '0' || text.at[at] > '9')
                return false;
            part = part * 10 + (uint64_t)(text.at[at] - '0');
        }
        if (!multiply_add(ret_value, scale, part))
            return false;
    }
    return true;
}

int sequence_read(struct str text, struct sequence *ret_sequence) {
    struct limbs value;
    if (!parse_decimal(text, &value))
        return ERR_INVALID;
    struct sequence sequence;
    uint64_t version = take_digits(&value, 1);
    sequence.shard = (uint32_t)take_digits(&value, 8);
    sequence.arrival_s = take_digits(&value, 9);
    uint64_t zero = take_digits(&value, 2);
    sequence.counter = take_digits(&value, 16);
    uint64_t nibble = take_digits(&value, 1);
    sequence.created_s = take_digits(&value, 9);
    uint64_t top = take_digits(&value, 1);
    if (version != VERSION || zero != 0 || nibble != (sequence.shard & 0xf) || top != 2 ||
        value.at[0] != 0)
        return ERR_INVALID;
    *ret_sequence = sequence;
    return 0;
}

int sequence_counter(struct str text, uint32_t shard, uint64_t created_s, uint64_t *ret_counter) {
    struct sequence sequence;
    int status = sequence_read(text, &sequence);
    if (status)
        return status;
    if (sequence.shard != shard || sequence.created_s != created_s)
        return ERR_INVALID;
    *ret_counter = sequence.counter;
    return 0;
}
