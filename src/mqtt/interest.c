/*
 * Most filters of devices name one topic, and each stands here once for every other worker: a
 * million connections with a filter of their own would be nodes of many levels a million times over. So a
 * filter without wildcards is kept as nothing but the hash of its text, sixteen bytes, and a topic
 * finds it with one probe.
 *
 * Two filters of the same hash would be one: a message too many goes to the other worker, who finds
 * no subscriber; but when one of them is given up, the other's messages stay out. The hash has 64
 * bits and a random seed that no client knows, so that takes some billions of filters, by chance
 * alone.
 */
#include "mqtt/interest.h"

#include <stdlib.h>

#include "base/mem.h"
#include "mqtt/broker.h"

enum { SLOT_COUNT_MIN = 16 };

struct wildcard {
    uint64_t workers;
};

/* ---- filters without wildcards ---- */

/* The slot with this hash, or the free one where it would go. Needs a free slot. */
static struct interest *slot_for(const struct interests *interests, uint64_t hash) {
    size_t mask = interests->slot_count - 1;
    size_t i = hash & mask;
    while (interests->exact[i].workers && interests->exact[i].hash != hash)
        i = (i + 1) & mask;
    return &interests->exact[i];
}

static void resize(struct interests *interests, size_t slot_count) {
    struct interests old = *interests;
    interests->exact = xcalloc(slot_count, sizeof *interests->exact);
    interests->slot_count = slot_count;
    for (size_t i = 0; i < old.slot_count; i++)
        if (old.exact[i].workers)
            *slot_for(interests, old.exact[i].hash) = old.exact[i];
    free(old.exact);
}

/* Closes the gap: those that had probed past it move back, so that no probe ends too early. */
static void close_gap(struct interests *interests, size_t gap) {
    size_t mask = interests->slot_count - 1;
    struct interest *slots = interests->exact;
    for (size_t i = (gap + 1) & mask; slots[i].workers; i = (i + 1) & mask) {
        size_t home = slots[i].hash & mask;
        if (((i - home) & mask) >= ((i - gap) & mask)) {
            slots[gap] = slots[i];
            gap = i;
        }
    }
    slots[gap] = (struct interest){0};
}

static void set_exact(struct interests *interests, uint64_t bit, bool add, struct str filter) {
    if (add && (interests->exact_count + 1) * 4 > interests->slot_count * 3)
        resize(interests, interests->slot_count ? interests->slot_count * 2 : SLOT_COUNT_MIN);
    if (!interests->slot_count)
        return;
    uint64_t hash = str_hash(filter);
    struct interest *slot = slot_for(interests, hash);
    bool was = slot->workers != 0;
    uint64_t workers = add ? slot->workers | bit : slot->workers & ~bit;
    interests->exact_count += (workers != 0) - was;
    if (workers)
        *slot = (struct interest){hash, workers};
    else if (was)
        close_gap(interests, (size_t)(slot - interests->exact));
}

static uint64_t match_exact(const struct interests *interests, struct str topic) {
    return interests->exact_count ? slot_for(interests, str_hash(topic))->workers : 0;
}

/* ---- the others ---- */

static bool has_wildcard(struct str filter) {
    return filter.len && (memchr(filter.at, '+', filter.len) || memchr(filter.at, '#', filter.len));
}

static void set_wildcard(struct interests *interests, uint64_t bit, bool add, struct str filter) {
    struct tree_node *node = tree_add(&interests->wildcards, filter);
    if (!node->value)
        node->value = xcalloc(1, sizeof(struct wildcard));
    struct wildcard *wildcard = node->value;
    wildcard->workers = add ? wildcard->workers | bit : wildcard->workers & ~bit;
    if (!wildcard->workers) {
        free(wildcard);
        node->value = NULL;
        tree_prune(&interests->wildcards, node);
    }
}

static void add_workers(void *data, struct tree_node *node) {
    const struct wildcard *wildcard = node->value;
    *(uint64_t *)data |= wildcard->workers;
}

static void free_wildcard(void *data, struct tree_node *node) {
    free(node->value);
}

/* ---- all ---- */

void interests_set(struct interests *interests, unsigned from, bool add, struct str filter) {
    uint64_t bit = 1ull << from;
    if (has_wildcard(filter))
        set_wildcard(interests, bit, add, filter);
    else
        set_exact(interests, bit, add, filter);
}

uint64_t interests_match(struct interests *interests, struct str topic) {
    uint64_t workers = match_exact(interests, topic);
    tree_match(&interests->wildcards, topic, add_workers, &workers);
    return workers;
}

void interests_done(struct interests *interests) {
    free(interests->exact);
    tree_each(&interests->wildcards, free_wildcard, NULL);
    tree_done(&interests->wildcards);
    *interests = (struct interests){0};
}

/* ---- the worker's ---- */

void interest_apply(struct mqtt_worker *worker, unsigned from, enum interest_change change,
                    struct str filter) {
    bool adds = change == INTEREST_ADD || change == INTEREST_ADD_STORED;
    bool removes_stored = change == INTEREST_REMOVE || change == INTEREST_REMOVE_STORED;
    if (adds || change == INTEREST_REMOVE)
        interests_set(&worker->interests, from, adds, filter);
    if (change == INTEREST_ADD_STORED || removes_stored)
        interests_set(&worker->stored_interests, from, !removes_stored, filter);
    if (change == INTEREST_FULL || change == INTEREST_NOT_FULL || removes_stored)
        interests_set(&worker->full_interests, from, change == INTEREST_FULL, filter);
    routes_expire(&worker->routes);
}

struct interested interest_match(struct mqtt_worker *worker, struct str topic) {
    return (struct interested){.workers = interests_match(&worker->interests, topic),
                               .stored = interests_match(&worker->stored_interests, topic),
                               .full = interests_match(&worker->full_interests, topic)};
}
