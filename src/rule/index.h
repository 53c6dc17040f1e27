/*
 * FROM filters by their levels, so that finding the rules of a topic costs what matches and not
 * what there is: a tree with a node per level, '+' beside the names, and at each node the rules
 * whose filter ends there, with '#' or without. What it names are candidates: whoever asks compares
 * the filter itself.
 *
 * Filters of more than INDEX_LEVELS_MAX levels are in one list, which bounds how deep a search goes.
 */
#ifndef RULE_INDEX_H
#define RULE_INDEX_H

#include "base/arena.h"
#include "base/map.h"

enum { INDEX_LEVELS_MAX = 64 };

struct index_item {
    size_t rule;
    struct index_item *next;
};

struct index_node {
    struct map names; /* level to struct index_node */
    struct index_node *plus;
    struct index_item *ends, *hashes; /* filters that end here; with '#' behind this */
};

/* Zeroed is valid and empty. Filters are views that outlive it. */
struct rule_index {
    struct arena arena;
    struct index_node root;
    struct index_item *deep;
};

void rule_index_done(struct rule_index *index);
void rule_index_add(struct rule_index *index, struct str filter, size_t rule);

/* Tells every rule that may match, each once, in no order. */
void rule_index_find(const struct rule_index *index, struct str topic,
                     void (*found)(void *data, size_t rule), void *data);

#endif
