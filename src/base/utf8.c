#include "base/utf8.h"

static bool is_tail(unsigned char c) {
    return (c & 0xc0) == 0x80;
}

size_t utf8_sequence(struct str s) {
    const unsigned char *at = (const unsigned char *)s.at;
    if (s.len == 0)
        return 0;
    if (at[0] < 0x80)
        return 1;
    if (at[0] >= 0xc2 && at[0] <= 0xdf)
        return s.len >= 2 && is_tail(at[1]) ? 2 : 0;
    if ((at[0] & 0xf0) == 0xe0) {
        unsigned char low = at[0] == 0xe0 ? 0xa0 : 0x80, high = at[0] == 0xed ? 0x9f : 0xbf;
        return s.len >= 3 && at[1] >= low && at[1] <= high && is_tail(at[2]) ? 3 : 0;
    }
    if (at[0] >= 0xf0 && at[0] <= 0xf4) {
        unsigned char low = at[0] == 0xf0 ? 0x90 : 0x80, high = at[0] == 0xf4 ? 0x8f : 0xbf;
        bool whole = s.len >= 4 && at[1] >= low && at[1] <= high;
        return whole && is_tail(at[2]) && is_tail(at[3]) ? 4 : 0;
    }
    return 0;
}

bool utf8_valid(struct str s) {
    while (s.len) {
        while (s.len >= 8) {
            uint64_t word;
            memcpy(&word, s.at, sizeof word);
            if (word & 0x8080808080808080u)
                break;
            s = str_skip(s, 8);
        }
        size_t step = utf8_sequence(s);
        if (step == 0 && s.len)
            return false;
        s = str_skip(s, step);
    }
    return true;
}
