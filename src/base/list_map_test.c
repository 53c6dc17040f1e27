#include "base/test.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/list.h"
#include "base/map.h"

struct item {
    struct link link;
    int value;
};

static void a_list_keeps_order_and_allows_removal_while_walking(void **state) {
    struct link head;
    struct item items[10];
    list_init(&head);
    for (int i = 0; i < 10; i++) {
        items[i] = (struct item){.value = i};
        list_push_back(&head, &items[i].link);
    }
    LIST_EACH(at, &head) {
        if (LIST_ITEM(at, struct item, link)->value % 2)
            list_remove(at);
    }
    int expected = 0;
    for (struct link *at; (at = list_pop_front(&head)); expected += 2)
        assert_int_equal(LIST_ITEM(at, struct item, link)->value, expected);
    assert_int_equal(expected, 10);
    assert_true(list_empty(&head));
    assert_false(list_linked(&items[3].link));
    list_remove(&items[3].link);
}

/* Random puts and removals against an array that is obviously right. */
static void a_map_agrees_with_a_plain_array(void **state) {
    enum { KEYS = 500, STEPS = 50000 };
    static char names[KEYS][8];
    void *model[KEYS] = {0};
    struct map map = {0};
    size_t count = 0;
    srand(1);
    for (int i = 0; i < KEYS; i++)
        snprintf(names[i], sizeof names[i], "k%d", i * 7919 % 1000);
    for (int step = 0; step < STEPS; step++) {
        int i = rand() % KEYS;
        struct str key = str_of(names[i]);
        assert_ptr_equal(map_get(&map, key), model[i]);
        void *value = rand() % 3 ? &model[rand() % KEYS] : NULL;
        void *before = value ? map_put(&map, key, value) : map_remove(&map, key);
        assert_ptr_equal(before, model[i]);
        count += (value != NULL) - (model[i] != NULL);
        model[i] = value;
        assert_int_equal(map.count, count);
    }
    size_t seen = 0;
    for (size_t at = 0; map_next(&map, &at);)
        seen++;
    assert_int_equal(seen, count);
    map_clear(&map);
    assert_null(map_get(&map, str_of(names[0])));
    map_done(&map);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_keeps_order_and_allows_removal_while_walking),
        cmocka_unit_test(a_map_agrees_with_a_plain_array),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
