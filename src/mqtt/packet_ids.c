/* Open addressing with linear probing, at most half full; a removed identifier's place is filled
 * from behind it, so there are no tombstones. */
#include "mqtt/packet_ids.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"

enum { SLOT_COUNT_MIN = 16 };

void packet_ids_done(struct packet_ids *ids) {
    free(ids->slots);
    *ids = (struct packet_ids){0};
}

static uint32_t home_of(const struct packet_ids *ids, uint16_t id) {
    return id * 40503u & (ids->slot_count - 1); /* Identifiers come in a row. */
}

/* Where the identifier stands, or the free slot where it would. */
static uint32_t slot_of(const struct packet_ids *ids, uint16_t id) {
    uint32_t slot = home_of(ids, id);
    while (ids->slots[slot] && ids->slots[slot] != id)
        slot = (slot + 1) & (ids->slot_count - 1);
    return slot;
}

static void widen(struct packet_ids *ids) {
    struct packet_ids wider = {
        .count = ids->count, .slot_count = ids->slot_count ? ids->slot_count * 2 : SLOT_COUNT_MIN};
    wider.slots = xcalloc(wider.slot_count, sizeof *wider.slots);
    for (uint32_t i = 0; i < ids->slot_count; i++)
        if (ids->slots[i])
            wider.slots[slot_of(&wider, ids->slots[i])] = ids->slots[i];
    free(ids->slots);
    *ids = wider;
}

bool packet_ids_has(const struct packet_ids *ids, uint16_t id) {
    return ids->count && ids->slots[slot_of(ids, id)] == id;
}

bool packet_ids_add(struct packet_ids *ids, uint16_t id) {
    ASSERT(id);
    if (ids->count * 2 >= ids->slot_count)
        widen(ids);
    uint32_t slot = slot_of(ids, id);
    if (ids->slots[slot])
        return false;
    ids->slots[slot] = id;
    ids->count++;
    return true;
}

/* Moves up what would not be found any more behind the gap at `slot`. */
static void close_gap(struct packet_ids *ids, uint32_t slot) {
    uint32_t mask = ids->slot_count - 1;
    for (uint32_t next = (slot + 1) & mask; ids->slots[next]; next = (next + 1) & mask) {
        uint32_t home = home_of(ids, ids->slots[next]);
        if (((next - home) & mask) < ((next - slot) & mask))
            continue;
        ids->slots[slot] = ids->slots[next];
        ids->slots[next] = 0;
        slot = next;
    }
}

bool packet_ids_remove(struct packet_ids *ids, uint16_t id) {
    if (!packet_ids_has(ids, id))
        return false;
    uint32_t slot = slot_of(ids, id);
    ids->slots[slot] = 0;
    close_gap(ids, slot);
    if (--ids->count == 0)
        packet_ids_done(ids);
    return true;
}
