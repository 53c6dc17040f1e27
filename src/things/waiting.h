/*
 * How many requests by MQTT wait, per thing, so that one thing that is asked too much does not keep
 * all others waiting. Requests are done in one order, so what bounds a thing's requests bounds how
 * long it stands before others.
 *
 * Things are counted in WAITING_CELLS cells by a hash of their name that is another one in each
 * run: the memory is always the same, and two things share a cell, and so the bound, rarely, and by
 * nobody's choice.
 *
 * A worker that appends a request takes a place, the service loop gives it back when the request is
 * done; both at once, from any thread. What is lost on the way (a commit that failed, a damaged
 * record) would keep its place for ever, so then all places are given back: that lets in too many
 * for a moment, and never too few.
 */
#ifndef THINGS_WAITING_H
#define THINGS_WAITING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum { WAITING_CELLS = 1 << 16 };

/* Zeroed: none waits. */
struct waiting {
    _Atomic uint16_t counts[WAITING_CELLS];
};

/* False: THINGS_WAITING_PER_THING_MAX of this thing wait. */
bool waiting_take(struct waiting *waiting, struct str thing);

/* One of the thing waits no more. */
void waiting_give_back(struct waiting *waiting, struct str thing);

/* None waits, as far as is known. */
void waiting_forget(struct waiting *waiting);

#endif
