#include "mqtt/interest.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/test.h"
#include "flow/topic.h"

static struct interests interests;

static int tear_down(void **state) {
    interests_done(&interests);
    return 0;
}

static void workers_come_and_go(void **state) {
    assert_int_equal(interests_match(&interests, STR("a/b")), 0);
    interests_set(&interests, 3, false, STR("a/b")); /* never was */
    interests_set(&interests, 0, true, STR("a/b"));
    interests_set(&interests, 63, true, STR("a/b"));
    interests_set(&interests, 1, true, STR("a/+"));
    interests_set(&interests, 2, true, STR("#"));
    assert_int_equal(interests_match(&interests, STR("a/b")), 1ull << 63 | 7);
    assert_int_equal(interests_match(&interests, STR("a/c")), 6);
    assert_int_equal(interests_match(&interests, STR("$a")), 0);
    interests_set(&interests, 0, false, STR("a/b"));
    interests_set(&interests, 1, false, STR("a/+"));
    assert_int_equal(interests_match(&interests, STR("a/b")), 1ull << 63 | 4);
    interests_set(&interests, 63, false, STR("a/b"));
    interests_set(&interests, 2, false, STR("#"));
    assert_int_equal(interests.exact_count, 0);
    assert_int_equal(interests.wildcards.node_count, 0);
}

enum { FILTERS = 600, WORKERS = 5, STEPS = 20000 };

/* What the slow way finds. */
static bool model[FILTERS][WORKERS];
static char filters[FILTERS][24];

static uint64_t expected(struct str topic) {
    uint64_t workers = 0;
    for (unsigned i = 0; i < FILTERS; i++)
        for (unsigned worker = 0; worker < WORKERS; worker++)
            if (model[i][worker] && topic_matches(str_of(filters[i]), topic))
                workers |= 1ull << worker;
    return workers;
}

static void agrees_with_the_slow_way(void **state) {
    srandom(7);
    for (unsigned i = 0; i < FILTERS; i++)
        snprintf(filters[i], sizeof filters[i],
                 i < 40   ? "d/%u/+"
                 : i < 80 ? "d/%u/#"
                          : "d/%u/%u",
                 i % 40, i);
    for (unsigned step = 0; step < STEPS; step++) {
        unsigned i = (unsigned)random() % FILTERS, worker = (unsigned)random() % WORKERS;
        bool add = random() % 2;
        model[i][worker] = add;
        interests_set(&interests, worker, add, str_of(filters[i]));
        if (step % 50)
            continue;
        char topic[24];
        unsigned about = (unsigned)random() % FILTERS;
        snprintf(topic, sizeof topic, "d/%u/%u", about % 40, about);
        assert_int_equal(interests_match(&interests, str_of(topic)), expected(str_of(topic)));
    }
    assert_true(interests.slot_count <= 1024);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(workers_come_and_go, tear_down),
        cmocka_unit_test_teardown(agrees_with_the_slow_way, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
