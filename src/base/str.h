/*
 * A view of bytes, passed by value: it owns nothing, need not end in NUL, and lives as long as what
 * it looks at. {NULL, 0} is the empty view.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *at;
    size_t len;
};

#define STR(literal) ((struct str){("" literal), sizeof(literal) - 1})

/* For printf's "%.*s". */
#define STR_ARG(s) (int)(s).len, (s).at ? (s).at : ""

static inline struct str str_of(const char *text) {
    return (struct str){text, text ? strlen(text) : 0};
}

static inline struct str str_from(const void *at, size_t len) {
    return (struct str){(const char *)at, len};
}

static inline bool str_eq(struct str a, struct str b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static inline bool str_starts(struct str s, struct str prefix) {
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.at, prefix.at, prefix.len) == 0);
}

static inline struct str str_skip(struct str s, size_t n) {
    if (s.len == 0)
        return s; /* {NULL, 0} stays what it is */
    return n >= s.len ? (struct str){s.at + s.len, 0} : (struct str){s.at + n, s.len - n};
}

/* Byte order, shorter first when one is the other's beginning: -1, 0, 1. */
int str_compare(struct str a, struct str b);

/* ASCII letters fold. */
bool str_eq_nocase(struct str a, struct str b);

/* Index of the first `c`, or s.len. */
size_t str_find(struct str s, char c);

/* Cuts at the first `c`: returns what stood before it, leaves in *rest what stands after (empty if
 * no `c`). */
struct str str_cut(struct str s, char c, struct str *rest);

/* White space of JSON and HTTP (blank, tab, CR, LF) off both ends. */
struct str str_trim(struct str s);

/* A NUL-terminated copy; the caller frees it. */
char *str_dup(struct str s);

/* Only digits, no sign, at most UINT64_MAX; false otherwise and *ret_value untouched. */
bool str_to_u64(struct str s, uint64_t *ret_value);

/* A 64-bit hash, seeded once per process against chosen collisions. */
uint64_t str_hash(struct str s);

/* How unlike two words are (Levenshtein distance), for "did you mean". */
unsigned str_distance(struct str a, struct str b);

#endif
