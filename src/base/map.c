#include "base/map.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"

enum { SLOT_COUNT_MIN = 16 };

void map_done(struct map *map) {
    free(map->slots);
    *map = (struct map){0};
}

void map_clear(struct map *map) {
    if (map->count)
        memset(map->slots, 0, map->slot_count * sizeof *map->slots);
    map->count = 0;
}

/* The slot that holds the key, or the free one where it would go. Needs at least one free slot. */
static struct map_entry *slot_for(const struct map *map, uint64_t hash, struct str key) {
    size_t mask = map->slot_count - 1;
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        struct map_entry *slot = &map->slots[i];
        if (!slot->value || (slot->hash == hash && str_eq(slot->key, key)))
            return slot;
    }
}

void *map_get(const struct map *map, struct str key) {
    return map->count ? slot_for(map, str_hash(key), key)->value : NULL;
}

static void resize(struct map *map, size_t slot_count) {
    struct map old = *map;
    map->slots = xcalloc(slot_count, sizeof *map->slots);
    map->slot_count = slot_count;
    for (size_t i = 0; i < old.slot_count; i++) {
        struct map_entry *entry = &old.slots[i];
        if (entry->value)
            *slot_for(map, entry->hash, entry->key) = *entry;
    }
    free(old.slots);
}

void *map_put(struct map *map, struct str key, void *value) {
    ASSERT(value);
    if ((map->count + 1) * 4 > map->slot_count * 3)
        resize(map, map->slot_count ? map->slot_count * 2 : SLOT_COUNT_MIN);
    uint64_t hash = str_hash(key);
    struct map_entry *slot = slot_for(map, hash, key);
    void *before = slot->value;
    *slot = (struct map_entry){hash, key, value};
    map->count += !before;
    return before;
}

/* Closes the gap: entries that had probed past it move back, so that no probe ends too early. */
static void close_gap(struct map *map, size_t gap) {
    size_t mask = map->slot_count - 1;
    for (size_t i = (gap + 1) & mask; map->slots[i].value; i = (i + 1) & mask) {
        size_t home = map->slots[i].hash & mask;
        if (((i - home) & mask) >= ((i - gap) & mask)) {
            map->slots[gap] = map->slots[i];
            gap = i;
        }
    }
    map->slots[gap] = (struct map_entry){0};
}

void *map_remove(struct map *map, struct str key) {
    if (!map->count)
        return NULL;
    struct map_entry *slot = slot_for(map, str_hash(key), key);
    void *value = slot->value;
    if (value) {
        map->count--;
        close_gap(map, (size_t)(slot - map->slots));
    }
    return value;
}

struct map_entry *map_next(const struct map *map, size_t *position) {
    while (*position < map->slot_count) {
        struct map_entry *entry = &map->slots[(*position)++];
        if (entry->value)
            return entry;
    }
    return NULL;
}
