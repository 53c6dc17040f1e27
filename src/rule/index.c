#include "rule/index.h"

static void add_item(struct rule_index *index, struct index_item **list, size_t rule) {
    struct index_item *item = arena_alloc(&index->arena, sizeof *item);
    *item = (struct index_item){rule, *list};
    *list = item;
}

static void done_maps(struct index_node *node) {
    struct map_entry *entry;
    for (size_t at = 0; (entry = map_next(&node->names, &at));)
        done_maps(entry->value);
    if (node->plus)
        done_maps(node->plus);
    map_done(&node->names);
}

void rule_index_done(struct rule_index *index) {
    done_maps(&index->root);
    arena_done(&index->arena);
    *index = (struct rule_index){0};
}

static struct index_node *child(struct rule_index *index, struct index_node *node,
                                struct str level) {
    bool plus = str_eq(level, STR("+"));
    struct index_node *found = plus ? node->plus : map_get(&node->names, level);
    if (found)
        return found;
    found = arena_zalloc(&index->arena, sizeof *found);
    if (plus)
        node->plus = found;
    else
        map_put(&node->names, level, found);
    return found;
}

static bool is_deep(struct str filter) {
    size_t levels = 1;
    for (size_t i = 0; i < filter.len; i++)
        levels += filter.at[i] == '/';
    return levels > INDEX_LEVELS_MAX;
}

/* str_cut() cannot tell "a" from "a/": the last level may be empty. */
void rule_index_add(struct rule_index *index, struct str filter, size_t rule) {
    struct index_node *node = &index->root;
    if (is_deep(filter)) {
        add_item(index, &index->deep, rule);
        return;
    }
    for (;;) {
        struct str level = str_from(filter.at, str_find(filter, '/'));
        if (str_eq(level, STR("#"))) {
            add_item(index, &node->hashes, rule);
            return;
        }
        node = child(index, node, level);
        if (level.len == filter.len) {
            add_item(index, &node->ends, rule);
            return;
        }
        filter = str_skip(filter, level.len + 1);
    }
}

struct search {
    void (*found)(void *data, size_t rule);
    void *data;
};

static void tell(const struct search *search, const struct index_item *item) {
    for (; item; item = item->next)
        search->found(search->data, item->rule);
}

/* `topic` is what is left behind the levels that led to `node`; not more of it is looked at than
 * there are levels in the tree. */
static void look(const struct search *search, const struct index_node *node, struct str topic) {
    struct str level = str_from(topic.at, str_find(topic, '/'));
    const struct index_node *next[] = {map_get(&node->names, level), node->plus};
    tell(search, node->hashes);
    for (size_t i = 0; i < sizeof next / sizeof *next; i++) {
        if (!next[i])
            continue;
        if (level.len == topic.len)
            tell(search, next[i]->ends);
        else
            look(search, next[i], str_skip(topic, level.len + 1));
    }
}

void rule_index_find(const struct rule_index *index, struct str topic,
                     void (*found)(void *data, size_t rule), void *data) {
    const struct search search = {found, data};
    tell(&search, index->deep);
    look(&search, &index->root, topic);
}
