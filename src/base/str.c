#include "base/str.h"

#include <stdatomic.h>
#include <strings.h>
#include <sys/random.h>

#include "base/err.h"
#include "base/mem.h"

int str_compare(struct str a, struct str b) {
    size_t shared = a.len < b.len ? a.len : b.len;
    int order = shared ? memcmp(a.at, b.at, shared) : 0;
    if (order)
        return order < 0 ? -1 : 1;
    return a.len == b.len ? 0 : a.len < b.len ? -1 : 1;
}

bool str_eq_nocase(struct str a, struct str b) {
    return a.len == b.len && (a.len == 0 || strncasecmp(a.at, b.at, a.len) == 0);
}

size_t str_find(struct str s, char c) {
    const char *hit = s.len ? memchr(s.at, c, s.len) : NULL;
    return hit ? (size_t)(hit - s.at) : s.len;
}

struct str str_cut(struct str s, char c, struct str *rest) {
    size_t at = str_find(s, c);
    *rest = str_skip(s, at < s.len ? at + 1 : at);
    return (struct str){s.at, at};
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str str_trim(struct str s) {
    while (s.len && is_blank(s.at[0]))
        s = str_skip(s, 1);
    while (s.len && is_blank(s.at[s.len - 1]))
        s.len--;
    return s;
}

char *str_dup(struct str s) {
    char *copy = xmalloc(s.len + 1);
    if (s.len)
        memcpy(copy, s.at, s.len);
    copy[s.len] = '\0';
    return copy;
}

bool str_to_u64(struct str s, uint64_t *ret_value) {
    if (s.len == 0 || s.len > 20)
        return false;
    uint64_t value = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.at[i] < '0' || s.at[i] > '9')
            return false;
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(s.at[i] - '0'), &value))
            return false;
    }
    *ret_value = value;
    return true;
}

static uint64_t hash_seed(void) {
    static _Atomic uint64_t seed;
    uint64_t value = atomic_load_explicit(&seed, memory_order_relaxed);
    if (value == 0) {
        uint64_t fresh = 0;
        ssize_t got = getrandom(&fresh, sizeof fresh, 0);
        ASSERT(got == (ssize_t)sizeof fresh);
        fresh |= 1;
        uint64_t none = 0;
        value = atomic_compare_exchange_strong(&seed, &none, fresh) ? fresh : none;
    }
    return value;
}

/* Folded multiplication (the step of wyhash): full 64x64 product, halves combined. */
static uint64_t mix(uint64_t a, uint64_t b) {
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t load64(const char *at) {
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

uint64_t str_hash(struct str s) {
    const uint64_t k0 = 0xa0761d6478bd642f, k1 = 0xe7037ed1a0b428db;
    uint64_t hash = hash_seed() ^ mix(s.len ^ k0, k1);
    const char *at = s.at;
    size_t left = s.len;
    for (; left >= 16; at += 16, left -= 16)
        hash = mix(load64(at) ^ k0, load64(at + 8) ^ hash);
    char tail[16] = {0};
    if (left)
        memcpy(tail, at, left);
    return mix(mix(load64(tail) ^ k0, load64(tail + 8) ^ hash), k1);
}

unsigned str_distance(struct str a, struct str b) {
    enum { WORD_MAX = 64 };
    if (a.len > WORD_MAX || b.len > WORD_MAX)
        return WORD_MAX;
    unsigned row[WORD_MAX + 1];
    for (size_t j = 0; j <= b.len; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= a.len; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b.len; j++) {
            unsigned best = diagonal + (a.at[i - 1] != b.at[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[b.len];
}
