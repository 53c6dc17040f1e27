/*
 * Every level of a filter is a node. All edges of the tree, from a parent by the text of a level to
 * a child, are in one hash table, so that a node costs the same whether it has one child or a
 * hundred thousand, and finding a child is one probe.
 * "+" and "#" are children like others in the table; the parent knows whether it has them.
 *
 * A walk goes level by level with the set of nodes reached so far: for a topic of n levels at most
 * n rounds, and each node of the tree is looked at no more than once.
 */
#include "mqtt/tree.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"

enum { BUCKET_COUNT_MIN = 64 };

static uint32_t edge_hash(const struct tree_node *parent, struct str level) {
    uint64_t mixed = ((uint64_t)(uintptr_t)parent ^ str_hash(level)) * 0x9e3779b97f4a7c15u;
    return (uint32_t)(mixed >> 32);
}

static struct str node_level(const struct tree_node *node) {
    return str_from(node->level, node->level_bytes);
}

/* Cuts the first level off; false when there was nothing left. "a/" has two levels, the second
 * empty. */
static bool next_level(struct str *rest, bool *at_end, struct str *ret_level) {
    if (*at_end)
        return false;
    *at_end = str_find(*rest, '/') == rest->len;
    *ret_level = str_cut(*rest, '/', rest);
    return true;
}

static struct tree_node *child_of(const struct tree *tree, const struct tree_node *parent,
                                  struct str level) {
    uint32_t hash = edge_hash(parent, level);
    struct tree_node *node = tree->buckets[hash & (tree->bucket_count - 1)];
    while (node &&
           !(node->edge_hash == hash && node->parent == parent && str_eq(node_level(node), level)))
        node = node->bucket_next;
    return node;
}

static void rehash(struct tree *tree, size_t bucket_count) {
    struct tree_node **buckets = xcalloc(bucket_count, sizeof *buckets);
    for (size_t i = 0; i < tree->bucket_count; i++) {
        for (struct tree_node *node = tree->buckets[i], *next; node; node = next) {
            next = node->bucket_next;
            struct tree_node **bucket = &buckets[node->edge_hash & (bucket_count - 1)];
            node->bucket_next = *bucket;
            *bucket = node;
        }
    }
    free(tree->buckets);
    tree->buckets = buckets;
    tree->bucket_count = bucket_count;
}

static void note_wildcard(struct tree_node *parent, struct str level, bool there) {
    if (level.len == 1 && level.at[0] == '+')
        parent->has_plus = there;
    if (level.len == 1 && level.at[0] == '#')
        parent->has_hash = there;
}

static struct tree_node *make_child(struct tree *tree, struct tree_node *parent, struct str level) {
    if (tree->node_count >= tree->bucket_count)
        rehash(tree, tree->bucket_count * 2);
    struct tree_node *node = xcalloc(1, offsetof(struct tree_node, level) + level.len);
    node->parent = parent;
    node->edge_hash = edge_hash(parent, level);
    node->level_bytes = (uint16_t)level.len;
    if (level.len)
        memcpy(node->level, level.at, level.len);
    struct tree_node **bucket = &tree->buckets[node->edge_hash & (tree->bucket_count - 1)];
    node->bucket_next = *bucket;
    *bucket = node;
    node->sibling_next = parent->children;
    if (parent->children)
        parent->children->sibling_prev = node;
    parent->children = node;
    note_wildcard(parent, level, true);
    tree->node_count++;
    return node;
}

static void free_child(struct tree *tree, struct tree_node *node) {
    struct tree_node **bucket = &tree->buckets[node->edge_hash & (tree->bucket_count - 1)];
    while (*bucket != node)
        bucket = &(*bucket)->bucket_next;
    *bucket = node->bucket_next;
    if (node->sibling_next)
        node->sibling_next->sibling_prev = node->sibling_prev;
    *(node->sibling_prev ? &node->sibling_prev->sibling_next : &node->parent->children) =
        node->sibling_next;
    note_wildcard(node->parent, node_level(node), false);
    tree->node_count--;
    free(node);
}

void tree_done(struct tree *tree) {
    for (size_t i = 0; i < tree->bucket_count; i++) {
        for (struct tree_node *node = tree->buckets[i], *next; node; node = next) {
            next = node->bucket_next;
            free(node);
        }
    }
    free(tree->buckets);
    free(tree->root);
    free(tree->now.items);
    free(tree->next.items);
    *tree = (struct tree){0};
}

struct tree_node *tree_get(const struct tree *tree, struct str text) {
    struct tree_node *node = tree->root;
    struct str level;
    for (bool at_end = false; node && next_level(&text, &at_end, &level);)
        node = child_of(tree, node, level);
    return node;
}

struct tree_node *tree_add(struct tree *tree, struct str text) {
    if (!tree->root) {
        tree->root = xcalloc(1, sizeof *tree->root);
        rehash(tree, BUCKET_COUNT_MIN);
    }
    struct tree_node *node = tree->root;
    struct str level;
    for (bool at_end = false; next_level(&text, &at_end, &level);) {
        struct tree_node *child = child_of(tree, node, level);
        node = child ? child : make_child(tree, node, level);
    }
    return node;
}

void tree_prune(struct tree *tree, struct tree_node *node) {
    while (node != tree->root && !node->value && !node->children) {
        struct tree_node *parent = node->parent;
        free_child(tree, node);
        node = parent;
    }
    if (tree->node_count == 0)
        tree_done(tree);
}

static void push(struct tree_nodes *nodes, struct tree_node *node) {
    if (nodes->count == nodes->cap) {
        nodes->cap = nodes->cap ? nodes->cap * 2 : 16;
        nodes->items = xrealloc(nodes->items, nodes->cap * sizeof(struct tree_node *));
    }
    nodes->items[nodes->count++] = node;
}

static void swap(struct tree *tree) {
    struct tree_nodes was = tree->now;
    tree->now = tree->next;
    tree->next = was;
    tree->next.count = 0;
}

static void visit_value(struct tree_node *node, tree_visit *visit, void *data) {
    if (node && node->value)
        visit(data, node);
}

static void visit_hash(const struct tree *tree, const struct tree_node *node, tree_visit *visit,
                       void *data) {
    if (node->has_hash)
        visit_value(child_of(tree, node, STR("#")), visit, data);
}

/* One level of a name: from each node onwards by the text, by "+", and to the end by "#". */
static void match_level(struct tree *tree, struct str level, bool wildcards, tree_visit *visit,
                        void *data) {
    for (size_t i = 0; i < tree->now.count; i++) {
        struct tree_node *node = tree->now.items[i];
        struct tree_node *child = child_of(tree, node, level);
        if (child)
            push(&tree->next, child);
        if (wildcards && node->has_plus)
            push(&tree->next, child_of(tree, node, STR("+")));
        if (wildcards)
            visit_hash(tree, node, visit, data);
    }
}

void tree_match(struct tree *tree, struct str topic, tree_visit *visit, void *data) {
    if (!tree->root)
        return;
    bool wildcards = !(topic.len && topic.at[0] == '$'); /* [MQTT-4.7.2-1] */
    tree->now.count = tree->next.count = 0;
    push(&tree->now, tree->root);
    struct str level;
    for (bool at_end = false; tree->now.count && next_level(&topic, &at_end, &level); swap(tree)) {
        match_level(tree, level, wildcards, visit, data);
        wildcards = true;
    }
    for (size_t i = 0; i < tree->now.count; i++) {
        visit_value(tree->now.items[i], visit, data);
        visit_hash(tree, tree->now.items[i], visit, data); /* "a/#" matches "a" (4.7.1.2) */
    }
}

/* The node behind `node` in a walk through all below `top`, children first; NULL at the end. */
static struct tree_node *walk_next(const struct tree_node *top, struct tree_node *node) {
    if (node->children)
        return node->children;
    while (node != top && !node->sibling_next)
        node = node->parent;
    return node == top ? NULL : node->sibling_next;
}

static bool hidden(const struct tree *tree, const struct tree_node *node) {
    return node->parent == tree->root && node->level_bytes && node->level[0] == '$';
}

/* All that "#" stands for below `top`, and `top` itself. */
static void find_below(struct tree *tree, struct tree_node *top, tree_visit *visit, void *data) {
    if (top != tree->root) {
        for (struct tree_node *node = top; node; node = walk_next(top, node))
            visit_value(node, visit, data);
        return;
    }
    for (struct tree_node *child = top->children; child; child = child->sibling_next)
        if (!hidden(tree, child))
            find_below(tree, child, visit, data);
}

static void find_level(struct tree *tree, struct str level, tree_visit *visit, void *data) {
    for (size_t i = 0; i < tree->now.count; i++) {
        struct tree_node *node = tree->now.items[i], *child;
        if (str_eq(level, STR("#"))) {
            find_below(tree, node, visit, data);
        } else if (str_eq(level, STR("+"))) {
            for (child = node->children; child; child = child->sibling_next)
                if (!hidden(tree, child))
                    push(&tree->next, child);
        } else if ((child = child_of(tree, node, level))) {
            push(&tree->next, child);
        }
    }
}

void tree_find(struct tree *tree, struct str filter, tree_visit *visit, void *data) {
    if (!tree->root)
        return;
    tree->now.count = tree->next.count = 0;
    push(&tree->now, tree->root);
    struct str level;
    for (bool at_end = false; tree->now.count && next_level(&filter, &at_end, &level); swap(tree))
        find_level(tree, level, visit, data);
    for (size_t i = 0; i < tree->now.count; i++)
        visit_value(tree->now.items[i], visit, data);
}

void tree_each(struct tree *tree, tree_visit *visit, void *data) {
    for (struct tree_node *node = tree->root; node; node = walk_next(tree->root, node))
        visit_value(node, visit, data);
}
