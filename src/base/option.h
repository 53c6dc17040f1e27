/*
 * Configuration keys as tables: each part lists its own keys in its public header's source (name,
 * type, default, range, help) and says where in its settings struct the value goes. One loader
 * (option_load) serves all parts, names the nearest valid key when one is misspelt, and the manual
 * is written from the same tables.
 */
#ifndef BASE_OPTION_H
#define BASE_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/conf.h"

enum option_type {
    OPTION_STRING, /* const char *, NULL when absent and without default; ${env:NAME} is replaced */
    OPTION_SECRET, /* the same; never shown */
    OPTION_BOOL,   /* bool: true, false */
    OPTION_INT,    /* int64_t, min..max */
    OPTION_SIZE,   /* int64_t bytes: 512, 64KiB, 5MiB, 1GiB */
    OPTION_DURATION,    /* int64_t milliseconds: 10ms, 5s, 2m, 24h, 7d */
    OPTION_ENUM,        /* int: index into `names` */
    OPTION_STRING_LIST, /* struct option_strings */
    OPTION_STRING_MAP,  /* struct option_pairs: a map of free keys to scalars */
    OPTION_STRUCT,      /* a struct of `item_size` bytes described by `fields`; may be absent */
    OPTION_LIST,        /* struct option_items: a list of such structs */
    OPTION_MAP,   /* struct option_items: a map of free keys to such structs (`name` first in the
                     struct) */
    OPTION_CONF,  /* const struct conf *: the tree as it stands, read by the part itself */
    OPTION_LATER, /* a key of a later capability: refused with `help` as the reason */
};

struct option_strings {
    const char **items;
    size_t count;
};

struct option_pairs {
    struct option_pair {
        const char *key, *value;
    } * items;
    size_t count;
};

/* Items of OPTION_LIST and OPTION_MAP; OPTION_AT(items, struct x, i) is the i-th. */
struct option_items {
    void *items;
    size_t count;
};

#define OPTION_AT(array, type, i) (&((type *)(array).items)[i])

/*
 * Every settings struct begins with this: where it stood in the file, and its key if it came from a
 * map.
 */
struct option_head {
    const char *name;        /* the key in an OPTION_MAP, else NULL */
    const struct conf *conf; /* for later errors; NULL when the struct was absent */
};

struct option {
    const char *key; /* NULL ends a table */
    enum option_type type;
    size_t offset;
    bool required;            /* wherever the struct itself is present */
    const char *default_text; /* read as if written; NULL: zero */
    int64_t min, max;         /* INT, SIZE, DURATION; both 0: any value not negative */
    const char *const *names; /* ENUM, NULL-terminated */
    const struct option *fields;
    size_t item_size;
    const char *help;
};

/*
 * Reads the map `conf` (NULL: absent, defaults only) into `settings` as `fields` says. Everything
 * that `settings` points to lives in `arena`. On an error `settings` is in no defined state.
 */
int option_load(struct arena *arena, const struct option *fields, const struct conf *conf,
                void *settings, struct err *err);

/* An error at the value of `key` inside the map that `head` was read from, or, where it does not
 * stand, at the map; settings that were made without a document give the bare sentence. Returns
 * `code`. */
int option_error(const struct option_head *head, const char *key, struct err *err, int code,
                 const char *format, ...) __attribute__((format(printf, 5, 6)));

/* The keys of a table as an indented list with types, defaults and help, for `weir help config`. */
struct buf;
void option_show(struct buf *out, const struct option *fields, int indent);

#endif
