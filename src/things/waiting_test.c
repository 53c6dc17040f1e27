#include "base/test.h"

#include <stdlib.h>

#include "base/mem.h"
#include "things/things.h"
#include "things/waiting.h"

enum { MAX = THINGS_WAITING_PER_THING_MAX };

static unsigned take_all(struct waiting *waiting, struct str thing) {
    unsigned count = 0;
    while (count <= MAX && waiting_take(waiting, thing))
        count++;
    return count;
}

static void so_many_of_a_thing_wait(void **state) {
    struct waiting *waiting = xcalloc(1, sizeof *waiting);
    assert_int_equal(take_all(waiting, STR("a")), MAX);
    waiting_give_back(waiting, STR("a"));
    waiting_give_back(waiting, STR("a"));
    assert_int_equal(take_all(waiting, STR("a")), 2);
    free(waiting);
}

/* Names share a cell rarely; which ones is another thing in each run. */
static void other_things_have_places_of_their_own(void **state) {
    enum { THINGS = 100 };
    struct waiting *waiting = xcalloc(1, sizeof *waiting);
    unsigned alone = 0;
    take_all(waiting, STR("a"));
    for (unsigned i = 0; i < THINGS; i++) {
        char name[16];
        snprintf(name, sizeof name, "thing%u", i);
        alone += waiting_take(waiting, str_of(name));
    }
    assert_true(alone > THINGS / 2);
    free(waiting);
}

static void no_place_is_given_back_twice(void **state) {
    struct waiting *waiting = xcalloc(1, sizeof *waiting);
    waiting_give_back(waiting, STR("a"));
    assert_int_equal(take_all(waiting, STR("a")), MAX);
    waiting_forget(waiting);
    waiting_give_back(waiting, STR("a"));
    assert_int_equal(take_all(waiting, STR("a")), MAX);
    free(waiting);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(so_many_of_a_thing_wait),
        cmocka_unit_test(other_things_have_places_of_their_own),
        cmocka_unit_test(no_place_is_given_back_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
