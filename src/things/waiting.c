#include "things/waiting.h"

#include "things/things.h"

static _Atomic uint16_t *cell_of(struct waiting *waiting, struct str thing) {
    return &waiting->counts[str_hash(thing) % WAITING_CELLS];
}

bool waiting_take(struct waiting *waiting, struct str thing) {
    _Atomic uint16_t *cell = cell_of(waiting, thing);
    uint16_t count = atomic_load_explicit(cell, memory_order_relaxed);
    do
        if (count >= THINGS_WAITING_PER_THING_MAX)
            return false;
    while (!atomic_compare_exchange_weak_explicit(cell, &count, count + 1, memory_order_relaxed,
                                                  memory_order_relaxed));
    return true;
}

void waiting_give_back(struct waiting *waiting, struct str thing) {
    _Atomic uint16_t *cell = cell_of(waiting, thing);
    uint16_t count = atomic_load_explicit(cell, memory_order_relaxed);
    do
        if (!count)
            return;
    while (!atomic_compare_exchange_weak_explicit(cell, &count, count - 1, memory_order_relaxed,
                                                  memory_order_relaxed));
}

void waiting_forget(struct waiting *waiting) {
    for (size_t i = 0; i < WAITING_CELLS; i++)
        atomic_store_explicit(&waiting->counts[i], 0, memory_order_relaxed);
}
