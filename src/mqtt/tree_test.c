/* The tree against a plain list of filters, asked with topic_matches(). */
#include "base/test.h"

#include <stdio.h>
#include <stdlib.h>

#include "flow/topic.h"
#include "mqtt/tree.h"

enum { FILTERS = 200, STEPS = 20000, TEXT_CHARS = 32 };

static char texts[FILTERS][TEXT_CHARS];
static bool present[FILTERS];
static uint64_t seed = 1;

static unsigned draw(unsigned below) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % below;
}

/* Up to four levels of a small alphabet, so that much overlaps; empty levels too. */
static void make_text(char ret_text[TEXT_CHARS], bool wildcards) {
    static const char *const levels[] = {"a", "b", "", "$s", "ab", "+", "#"};
    unsigned count = 1 + draw(4), used = 0;
    for (unsigned i = 0; i < count; i++) {
        unsigned pick = draw(wildcards ? (i + 1 == count ? 7 : 6) : 5);
        used += (unsigned)snprintf(ret_text + used, TEXT_CHARS - used, "%s%s", i ? "/" : "",
                                   levels[pick]);
    }
    if (used == 0)
        snprintf(ret_text, TEXT_CHARS, "a");
}

struct found {
    unsigned count[FILTERS];
};

static void on_found(void *data, struct tree_node *node) {
    struct found *found = data;
    found->count[(char(*)[TEXT_CHARS])node->value - texts]++;
}

static bool stands_earlier(unsigned index) {
    for (unsigned i = 0; i < index; i++)
        if (strcmp(texts[i], texts[index]) == 0)
            return true;
    return false;
}

/* Random adding and removing; after each step one walk compared with the list. */
static void run_model(bool texts_are_filters) {
    struct tree tree = {0};
    unsigned matches = 0;
    memset(present, 0, sizeof present);
    for (unsigned i = 0; i < FILTERS; i++)
        do
            make_text(texts[i], texts_are_filters);
        while (stands_earlier(i));
    for (unsigned step = 0; step < STEPS; step++) {
        unsigned i = draw(FILTERS);
        struct str text = str_of(texts[i]);
        struct tree_node *node = tree_get(&tree, text);
        assert_int_equal(node && node->value, present[i]);
        present[i] = !present[i];
        if (present[i]) {
            tree_add(&tree, text)->value = texts[i];
        } else {
            node->value = NULL;
            tree_prune(&tree, node);
        }
        char asked[TEXT_CHARS];
        struct found found = {0};
        make_text(asked, !texts_are_filters);
        if (texts_are_filters)
            tree_match(&tree, str_of(asked), on_found, &found);
        else
            tree_find(&tree, str_of(asked), on_found, &found);
        for (unsigned n = 0; n < FILTERS; n++) {
            struct str filter = str_of(texts_are_filters ? texts[n] : asked);
            struct str topic = str_of(texts_are_filters ? asked : texts[n]);
            unsigned wanted = present[n] && topic_matches(filter, topic);
            if (found.count[n] != wanted)
                print_error("filter %s, topic %s\n", filter.at, topic.at);
            assert_int_equal(found.count[n], wanted);
            matches += wanted;
        }
    }
    assert_true(matches > STEPS); /* The test would see nothing if nothing matched. */
    for (unsigned i = 0; i < FILTERS; i++) {
        struct tree_node *node = tree_get(&tree, str_of(texts[i]));
        if (node && node->value) {
            node->value = NULL;
            tree_prune(&tree, node);
        }
    }
    assert_int_equal(tree.node_count, 0);
    assert_null(tree.root);
}

static void filters_match_like_the_list(void **state) {
    run_model(true);
}

static void names_are_found_like_in_the_list(void **state) {
    run_model(false);
}

static void count_visit(void *data, struct tree_node *node) {
    ++*(unsigned *)data;
}

static void a_topic_of_many_levels_is_no_problem(void **state) {
    static char topic[TOPIC_BYTES_MAX];
    struct tree tree = {0};
    unsigned count = 0;
    memset(topic, '/', sizeof topic);
    tree_add(&tree, str_from(topic, sizeof topic))->value = topic;
    tree_add(&tree, STR("#"))->value = topic;
    tree_match(&tree, str_from(topic, sizeof topic), count_visit, &count);
    assert_int_equal(count, 2);
    tree_find(&tree, STR("#"), count_visit, &count);
    assert_int_equal(count, 4); /* "#" stands in this tree as a name too */
    tree_each(&tree, count_visit, &count);
    assert_int_equal(count, 6);
    tree_done(&tree);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filters_match_like_the_list),
        cmocka_unit_test(names_are_found_like_in_the_list),
        cmocka_unit_test(a_topic_of_many_levels_is_no_problem),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
