#include "mqtt/retained.h"

#include <stdlib.h>

#include "base/mem.h"

static bool is_tombstone(const struct kept *retained) {
    return retained->publication.message.payload.len == 0;
}

static bool is_expired(const struct kept *retained, uint64_t now_ms) {
    uint32_t left_s;
    return !kept_expiry_left(retained, now_ms, &left_s);
}

void retained_store_init(struct retained_store *store, size_t count_max, size_t bytes_max,
                         bool alone) {
    *store =
        (struct retained_store){.count_max = count_max, .bytes_max = bytes_max, .alone = alone};
    if (!alone)
        store->tombstones = xcalloc(RETAINED_TOMBSTONES_MAX, sizeof *store->tombstones);
}

static void free_value(void *data, struct tree_node *node) {
    kept_unref(node->value);
}

static struct retained_tombstone *oldest_tombstone(struct retained_store *store) {
    return &store->tombstones[store->tombstone_begin];
}

static struct kept *pop_tombstone(struct retained_store *store) {
    struct kept *retained = oldest_tombstone(store)->retained;
    store->tombstone_begin = (store->tombstone_begin + 1) % RETAINED_TOMBSTONES_MAX;
    store->tombstone_count--;
    return retained;
}

void retained_store_done(struct retained_store *store) {
    tree_each(&store->tree, free_value, NULL);
    tree_done(&store->tree);
    while (store->tombstone_count)
        kept_unref(pop_tombstone(store));
    free(store->tombstones);
    *store = (struct retained_store){0};
}

static void uncount(struct retained_store *store, const struct kept *retained) {
    if (is_tombstone(retained))
        return;
    store->count--;
    store->bytes -= retained->size;
}

static void remove_node(struct retained_store *store, struct tree_node *node) {
    struct kept *retained = node->value;
    uncount(store, retained);
    node->value = NULL;
    tree_prune(&store->tree, node);
    kept_unref(retained);
}

static void forget_oldest_tombstone(struct retained_store *store) {
    struct kept *retained = pop_tombstone(store);
    struct tree_node *node = tree_get(&store->tree, retained->publication.message.topic);
    if (node && node->value == retained)
        remove_node(store, node);
    kept_unref(retained);
}

static void remember_tombstone(struct retained_store *store, struct kept *retained,
                               uint64_t now_ms) {
    if (store->tombstone_count == RETAINED_TOMBSTONES_MAX)
        forget_oldest_tombstone(store);
    size_t end = (store->tombstone_begin + store->tombstone_count++) % RETAINED_TOMBSTONES_MAX;
    store->tombstones[end] = (struct retained_tombstone){retained, now_ms};
    kept_ref(retained);
}

void retained_tick(struct retained_store *store, uint64_t now_ms) {
    while (store->tombstone_count &&
           oldest_tombstone(store)->since_ms + RETAINED_TOMBSTONE_MS <= now_ms)
        forget_oldest_tombstone(store);
}

void retained_put(struct retained_store *store, struct kept *retained, uint64_t now_ms) {
    struct str topic = retained->publication.message.topic;
    struct tree_node *node = tree_get(&store->tree, topic);
    struct kept *before = node ? node->value : NULL;
    if (before && before->version > retained->version)
        return;
    if (is_tombstone(retained) && store->alone) {
        if (before)
            remove_node(store, node);
        return;
    }
    node = node ? node : tree_add(&store->tree, topic);
    node->value = retained;
    kept_ref(retained);
    if (before)
        uncount(store, before);
    kept_unref(before);
    if (is_tombstone(retained)) {
        remember_tombstone(store, retained, now_ms);
    } else {
        store->count++;
        store->bytes += retained->size;
    }
}

/* ---- expiry and search ---- */

struct expired {
    uint64_t now_ms;
    struct tree_nodes nodes;
};

static void gather_expired(void *data, struct tree_node *node) {
    struct expired *expired = data;
    struct tree_nodes *nodes = &expired->nodes;
    if (is_tombstone(node->value) || !is_expired(node->value, expired->now_ms))
        return;
    if (nodes->count == nodes->cap) {
        nodes->cap = nodes->cap ? nodes->cap * 2 : 16;
        nodes->items = xrealloc(nodes->items, nodes->cap * sizeof(struct tree_node *));
    }
    nodes->items[nodes->count++] = node;
}

static void remove_expired(struct retained_store *store, uint64_t now_ms) {
    struct expired expired = {.now_ms = now_ms};
    tree_each(&store->tree, gather_expired, &expired);
    for (size_t i = 0; i < expired.nodes.count; i++)
        remove_node(store, expired.nodes.items[i]);
    free(expired.nodes.items);
}

static bool fits(const struct retained_store *store, const struct message *message) {
    const struct tree_node *node = tree_get(&store->tree, message->topic);
    const struct kept *before = node ? node->value : NULL;
    bool replaces = before && !is_tombstone(before);
    size_t size = sizeof *before + message->topic.len + message->properties.len +
                  message->payload.len + message->client_id.len;
    size_t bytes = store->bytes + size - (replaces ? before->size : 0);
    return store->count + !replaces <= store->count_max && bytes <= store->bytes_max;
}

bool retained_has_room(struct retained_store *store, const struct message *message,
                       uint64_t now_ms) {
    if (message->payload.len == 0 || fits(store, message))
        return true;
    remove_expired(store, now_ms);
    return fits(store, message);
}

struct search {
    uint64_t now_ms;
    retained_visit *visit;
    void *data;
};

static void visit_live(void *data, struct tree_node *node) {
    struct search *search = data;
    struct kept *retained = node->value;
    if (!is_tombstone(retained) && !is_expired(retained, search->now_ms))
        search->visit(search->data, retained);
}

void retained_find(struct retained_store *store, struct str filter, uint64_t now_ms,
                   retained_visit *visit, void *data) {
    struct search search = {now_ms, visit, data};
    tree_find(&store->tree, filter, visit_live, &search);
}
