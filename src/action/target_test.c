#include "base/test.h"

#include <stdio.h>
#include <stdlib.h>

#include "action/target.h"

/* The walk, without a loop: items end when the test says so. */

enum { ITEMS = 6 };

static struct walk_test {
    struct action_walk walk;
    struct action_target target;
    struct action_item items[ITEMS];
    struct action_item *pointers[ITEMS];
    const char *orders[ITEMS];
    char log[256];
    bool is_at_once;
    enum action_verdict at_once;
    unsigned settled;
} test;

static void on_settled(struct action_target *target) {
    test.settled++;
}

static void note(const char *what, const struct action_item *item) {
    size_t len = strlen(test.log);
    snprintf(test.log + len, sizeof test.log - len, "%s%d ", what, (int)(item - test.items));
}

static void begin(struct action_walk *walk, struct action_item *item) {
    note("b", item);
    if (test.is_at_once)
        action_walk_settle(walk, item, test.at_once, "at once");
}

static struct str order(const struct action_item *item) {
    return str_of(test.orders[item - test.items]);
}

static void start(unsigned in_flight_max) {
    test.walk.in_flight_max = in_flight_max;
    test.walk.begin = begin;
    test.walk.order = order;
    test.target.settled = on_settled;
    test.target.unsettled = ITEMS;
    for (size_t i = 0; i < ITEMS; i++) {
        test.items[i] = (struct action_item){.target = &test.target};
        test.pointers[i] = &test.items[i];
    }
    action_walk_start(&test.walk, test.pointers, ITEMS);
}

static void end(int index, enum action_verdict verdict) {
    action_walk_settle(&test.walk, &test.items[index], verdict, "item %d", index);
}

static void finish(void) {
    action_walk_done(&test.walk);
    for (size_t i = 0; i < ITEMS; i++)
        free(test.items[i].why);
    test = (struct walk_test){0};
}

static void so_many_are_under_way(void **state) {
    start(2);
    assert_string_equal(test.log, "b0 b1 ");
    end(1, ACTION_OK);
    assert_string_equal(test.log, "b0 b1 b2 ");
    end(0, ACTION_FAILED);
    end(2, ACTION_OK);
    assert_string_equal(test.log, "b0 b1 b2 b3 b4 ");
    end(3, ACTION_OK);
    end(4, ACTION_OK);
    assert_int_equal(test.settled, 0);
    end(5, ACTION_OK);
    assert_int_equal(test.settled, 1);
    assert_string_equal(test.items[0].why, "item 0");
    assert_null(test.items[1].why);
    finish();
}

static void the_same_order_does_not_overtake(void **state) {
    test.orders[0] = test.orders[1] = test.orders[4] = "a";
    start(6);
    assert_string_equal(test.log, "b0 b2 b3 b5 ");
    end(2, ACTION_OK);
    end(0, ACTION_OK);
    assert_string_equal(test.log, "b0 b2 b3 b5 b1 ");
    end(3, ACTION_OK);
    end(5, ACTION_OK);
    end(1, ACTION_OK);
    end(4, ACTION_OK);
    assert_int_equal(test.settled, 1);
    finish();
}

static void a_retry_postpones_the_rest(void **state) {
    start(2);
    end(0, ACTION_RETRY);
    assert_string_equal(test.log, "b0 b1 ");
    assert_int_equal(test.settled, 0);
    end(1, ACTION_OK);
    assert_int_equal(test.settled, 1);
    for (size_t i = 2; i < ITEMS; i++)
        assert_int_equal(test.items[i].verdict, ACTION_POSTPONED);
    finish();
}

static void one_that_stops_begins_nothing_more(void **state) {
    start(2);
    test.target.is_stopping = true;
    end(0, ACTION_OK);
    assert_string_equal(test.log, "b0 b1 ");
    assert_int_equal(test.settled, 0);
    end(1, ACTION_OK);
    assert_int_equal(test.settled, 1);
    for (size_t i = 2; i < ITEMS; i++)
        assert_int_equal(test.items[i].verdict, ACTION_POSTPONED);
    finish();
}

static void items_may_end_at_once(void **state) {
    test.is_at_once = true;
    start(1);
    assert_string_equal(test.log, "b0 b1 b2 b3 b4 b5 ");
    assert_int_equal(test.settled, 1);
    finish();
    test.is_at_once = true;
    test.at_once = ACTION_RETRY;
    start(1);
    assert_string_equal(test.log, "b0 ");
    assert_int_equal(test.settled, 1);
    assert_int_equal(test.items[0].verdict, ACTION_RETRY);
    assert_int_equal(test.items[5].verdict, ACTION_POSTPONED);
    finish();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(so_many_are_under_way),
        cmocka_unit_test(the_same_order_does_not_overtake),
        cmocka_unit_test(a_retry_postpones_the_rest),
        cmocka_unit_test(one_that_stops_begins_nothing_more),
        cmocka_unit_test(items_may_end_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
