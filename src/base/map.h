/*
 * A hash map from byte strings to pointers: open addressing, linear probing, at most three quarters
 * full. The map stores the view of the key, not the bytes: they must live as long as the entry
 * (usually they are a member of the value). A zeroed struct is a valid empty map. Not shared
 * between threads.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct map_entry {
    uint64_t hash;
    struct str key;
    void *value; /* NULL: the slot is free */
};

struct map {
    struct map_entry *slots;
    size_t count, slot_count; /* slot_count is 0 or a power of two */
};

void map_done(struct map *map);

/* Forgets all entries and keeps the memory. */
void map_clear(struct map *map);

void *map_get(const struct map *map, struct str key);

/* `value` is not NULL. Returns the value that stood there before (its key view is replaced too), or
 * NULL. */
void *map_put(struct map *map, struct str key, void *value);

/* Returns what was removed, or NULL. */
void *map_remove(struct map *map, struct str key);

/* Visits all entries in no order: for (size_t i = 0; (entry = map_next(&map, &i));). No changes
 * meanwhile. */
struct map_entry *map_next(const struct map *map, size_t *position);

#endif
