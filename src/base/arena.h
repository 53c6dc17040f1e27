/* Memory for things that end together: a plan, a configuration, a request. Freed at once. Not
 * shared between threads. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

#include "base/str.h"

struct arena_block;
struct arena_cleanup;

/* Zeroed is valid and empty. */
struct arena {
    struct arena_block *blocks;
    size_t used_bytes; /* what was asked for in all, to bound what a peer can make grow */
    struct arena_cleanup *cleanups;
};

/* Frees everything. */
void arena_done(struct arena *arena);

void arena_forget(struct arena *arena);

/* Forgets everything and keeps one block for the next use. */
static inline void arena_reset(struct arena *arena) {
    if (arena->used_bytes)
        arena_forget(arena);
}

/* Aligned for any type; not cleared. */
void *arena_alloc(struct arena *arena, size_t size);
void *arena_zalloc(struct arena *arena, size_t size);

/* Calls run(data) when the arena is freed or reset, the last one first: for what lives as long as
 * the arena and is not memory of it. */
void arena_defer(struct arena *arena, void (*run)(void *data), void *data);

/* A NUL-terminated copy. */
char *arena_strdup(struct arena *arena, struct str s);

#endif
