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

/* Subscribers to a filter on a worker: there are some; there are stored sessions among them; these
 * are gone; all are gone; the queue of one is full, and its message has to be refused; none is. */
enum interest_change {
    INTEREST_ADD,
    INTEREST_ADD_STORED,
    INTEREST_REMOVE_STORED,
    INTEREST_REMOVE,
    INTEREST_FULL,
    INTEREST_NOT_FULL
};

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

/* ---- of a worker ---- */

struct mqtt_worker;

/* What the worker `from` has sent. */
void interest_apply(struct mqtt_worker *worker, unsigned from, enum interest_change change,
                    struct str filter);

/* Workers with subscribers; with stored sessions among them; with such that are full. */
struct interested {
    uint64_t workers, stored, full;
};
struct interested interest_match(struct mqtt_worker *worker, struct str topic);

#endif
