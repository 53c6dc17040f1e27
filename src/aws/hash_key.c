#include "aws/hash_key.h"

typedef unsigned __int128 u128;

bool aws_hash_key_read(struct str text, u128 *ret_key) {
    u128 key = 0;
    const u128 most = ~(u128)0;
    if (text.len == 0 || (text.at[0] == '0' && text.len > 1))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
        unsigned digit = (unsigned)(text.at[i] - '0');
        if (key > most / 10 || (key == most / 10 && digit > (unsigned)(most % 10)))
            return false;
        key = key * 10 + digit;
    }
    *ret_key = key;
    return true;
}

struct str aws_hash_key_text(u128 key, char room[HASH_KEY_TEXT_CHARS]) {
    char *end = room + HASH_KEY_TEXT_CHARS, *at = end;
    do {
        *--at = (char)('0' + (unsigned)(key % 10));
        key /= 10;
    } while (key);
    return str_from(at, (size_t)(end - at));
}

u128 aws_hash_key_even(unsigned index, unsigned count) {
    const u128 most = ~(u128)0;
    if (index == 0)
        return 0;
    /* floor(2^128 / count): 2^128 itself does not fit. */
    u128 width = most / count + (most % count == count - 1);
    return width * index;
}
