/*
 * Which filters have subscribers on other workers: one bit per worker and filter, set and cleared by
 * what they send. Belongs to one worker.
 */
#ifndef MQTT_INTEREST_H
#define MQTT_INTEREST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "mqtt/tree.h"

/* A filter without wildcards, by its hash. */
struct interest {
    uint64_t hash, workers; /* workers 0: the slot is free */
};

/* Zeroed is valid and empty. */
struct interests {
    struct interest *exact; /* open addressing, linear probing, at most three quarters full */
    size_t exact_count, slot_count;
    struct tree wildcards; /* the others; value: struct wildcard */
};

void interests_done(struct interests *interests);

/* `from` has subscribers for the filter now, or none any more. */
void interests_set(struct interests *interests, unsigned from, bool add, struct str filter);

/* Those who have subscribers for the topic. */
uint64_t interests_match(struct interests *interests, struct str topic);

#endif
