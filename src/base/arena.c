#include "base/arena.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"

enum { BLOCK_BYTES = 4096, ALIGN = _Alignof(max_align_t) };

struct arena_block {
    struct arena_block *next;
    size_t used, cap;
    _Alignas(max_align_t) uint8_t bytes[];
};

struct arena_cleanup {
    struct arena_cleanup *next;
    void (*run)(void *data);
    void *data;
};

static void run_cleanups(struct arena *arena) {
    for (struct arena_cleanup *cleanup = arena->cleanups; cleanup; cleanup = cleanup->next)
        cleanup->run(cleanup->data);
    arena->cleanups = NULL;
}

void arena_defer(struct arena *arena, void (*run)(void *data), void *data) {
    struct arena_cleanup *cleanup = arena_alloc(arena, sizeof *cleanup);
    *cleanup = (struct arena_cleanup){arena->cleanups, run, data};
    arena->cleanups = cleanup;
}

void arena_done(struct arena *arena) {
    run_cleanups(arena);
    for (struct arena_block *block = arena->blocks, *next; block; block = next) {
        next = block->next;
        free(block);
    }
    *arena = (struct arena){0};
}

void arena_forget(struct arena *arena) {
    struct arena_block *kept = arena->blocks;
    run_cleanups(arena);
    if (kept->next) {
        struct arena rest = {.blocks = kept->next};
        arena_done(&rest);
        kept->next = NULL;
    }
    kept->used = 0;
    arena->used_bytes = 0;
}

void *arena_alloc(struct arena *arena, size_t size) {
    size = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    struct arena_block *block = arena->blocks;
    if (!block || block->cap - block->used < size) {
        size_t cap = size > BLOCK_BYTES ? size : BLOCK_BYTES;
        block = xmalloc(sizeof *block + cap);
        *block = (struct arena_block){.next = arena->blocks, .cap = cap};
        arena->blocks = block;
    }
    void *at = block->bytes + block->used;
    block->used += size;
    arena->used_bytes += size;
    return at;
}

void *arena_zalloc(struct arena *arena, size_t size) {
    return memset(arena_alloc(arena, size), 0, size);
}

char *arena_strdup(struct arena *arena, struct str s) {
    char *copy = arena_alloc(arena, s.len + 1);
    if (s.len)
        memcpy(copy, s.at, s.len);
    copy[s.len] = '\0';
    return copy;
}
