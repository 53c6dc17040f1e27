/*
 * A tree of topic filters, or of topic names, level by level, each with one value of the caller's.
 * One tree belongs to one thread. Walks use memory of the tree instead of recursion, so that no
 * topic is too deep for the stack.
 */
#ifndef MQTT_TREE_H
#define MQTT_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

/* Members are the tree's own except `value`. */
struct tree_node {
    struct tree_node *parent, *children, *sibling_next, *sibling_prev;
    struct tree_node *bucket_next; /* others with the same place in the hash table of edges */
    void *value;
    uint32_t edge_hash;
    uint16_t level_bytes;
    bool has_plus, has_hash; /* children "+" and "#" */
    char level[];
};

struct tree_nodes {
    struct tree_node **items;
    size_t count, cap;
};

/* Zeroed is valid and empty. */
struct tree {
    struct tree_node *root;
    struct tree_node **buckets; /* a power of two */
    size_t bucket_count, node_count;
    struct tree_nodes now, next; /* for walks */
};

/* Frees the nodes; the values are the caller's. */
void tree_done(struct tree *tree);

/* The node of exactly this text, or NULL. */
struct tree_node *tree_get(const struct tree *tree, struct str text);

/* The node of exactly this text, made if need be. It stays while it has a value or children; see
 * tree_prune(). */
struct tree_node *tree_add(struct tree *tree, struct str text);

/* Call when a node's value has become NULL: frees it and its ancestors as far as they hold nothing. */
void tree_prune(struct tree *tree, struct tree_node *node);

typedef void tree_visit(void *data, struct tree_node *node);

/*
 * In a tree of filters: visits each node with a value whose filter matches the name `topic` (as
 * topic_matches() has it). The tree must not be changed meanwhile.
 */
void tree_match(struct tree *tree, struct str topic, tree_visit *visit, void *data);

/* In a tree of names: visits each node with a value whose name is matched by `filter`. */
void tree_find(struct tree *tree, struct str filter, tree_visit *visit, void *data);

/* Visits every node with a value. `visit` may change values, not the tree. */
void tree_each(struct tree *tree, tree_visit *visit, void *data);

#endif
