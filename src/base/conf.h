/*
 * A configuration document as a tree, each node with the place it came from, so that whoever reads
 * it can say file:line:column. It knows no file format: app/yaml.c makes it from YAML. All of it
 * lives in one arena.
 */
#ifndef BASE_CONF_H
#define BASE_CONF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"

enum conf_type { CONF_SCALAR, CONF_LIST, CONF_MAP };

struct conf {
    enum conf_type type;
    bool quoted;      /* a scalar that was written in quotes: never null, never a number */
    bool verbatim;    /* a scalar whose ${env:NAME} is text as any other: it came from a client */
    const char *text; /* scalar */
    size_t count;     /* list, map */
    struct conf **items;
    struct conf_key {
        const char *text;
        int line, column;
    } * keys;         /* map: one per item, in the order of the file */
    const char *file; /* NULL: it came from no file, and errors name no place */
    int line, column; /* from 1 */
};

/* The item under `key`, or NULL (also when `conf` is NULL or no map). */
const struct conf *conf_get(const struct conf *conf, const char *key);

/* The item whose key is `key` in either of two spellings; NULL ends `keys`. Values go to ret_values
 * in the order of `keys`, NULL where there is none. INVALID for other keys, a key twice, or no map;
 * `what` names the whole. */
struct conf_spelling {
    const char *here, *aws; /* "not_resource", "NotResource" */
};
int conf_spelled(const struct conf *conf, const struct conf_spelling *keys, const char *what,
                 const struct conf **ret_values, struct err *err);

/* A copy that lives in `arena`, places and all. */
struct conf *conf_clone(struct arena *arena, const struct conf *conf);

/* Whether both say the same, wherever they stand. */
bool conf_equal(const struct conf *a, const struct conf *b);

/* "file:line:column: " and the message into `err`; returns `code`. */
int conf_error(const struct conf *at, struct err *err, int code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
