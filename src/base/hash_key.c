#include "base/hash_key.h"

bool hash_key_parse(struct str text, hash_key *ret_key) {
    if (text.len == 0 || text.len >= HASH_KEY_CHARS || (text.at[0] == '0' && text.len > 1))
        return false;
    hash_key key = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
        unsigned digit = (unsigned)(text.at[i] - '0');
        if (key > (~(hash_key)0 - digit) / 10)
            return false;
        key = key * 10 + digit;
    }
    *ret_key = key;
    return true;
}

struct str hash_key_text(hash_key key, char room[HASH_KEY_CHARS]) {
    char digits[HASH_KEY_CHARS];
    int at = HASH_KEY_CHARS;
    digits[--at] = '\0';
    do
        digits[--at] = (char)('0' + (unsigned)(key % 10));
    while (key /= 10);
    memcpy(room, digits + at, (size_t)(HASH_KEY_CHARS - at));
    return str_from(room, (size_t)(HASH_KEY_CHARS - at - 1));
}

hash_key hash_key_even(unsigned index, unsigned count) {
    /* floor(2^128 / count) without a number of 129 bits. */
    hash_key last = ~(hash_key)0, width = last / count;
    if (last % count == count - 1)
        width++;
    return width * index;
}
