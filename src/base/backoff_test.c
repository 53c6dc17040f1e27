#include "base/backoff.h"

#include <limits.h>

#include "base/test.h"

static void each_failure_doubles_the_wait_up_to_a_bound(void **state) {
    assert_int_equal(backoff_ms(200, 3000, 0), 200);
    assert_int_equal(backoff_ms(200, 3000, 1), 200);
    assert_int_equal(backoff_ms(200, 3000, 2), 400);
    assert_int_equal(backoff_ms(200, 3000, 4), 1600);
    assert_int_equal(backoff_ms(200, 3000, 5), 3000);
    assert_int_equal(backoff_ms(200, 3000, UINT_MAX), 3000);
}

static void waits_are_spread_over_the_upper_half(void **state) {
    uint64_t least = UINT64_MAX, most = 0;
    for (int i = 0; i < 10000; i++) {
        uint64_t ms = backoff_spread_ms(11);
        least = ms < least ? ms : least;
        most = ms > most ? ms : most;
    }
    assert_int_equal(least, 5);
    assert_int_equal(most, 10);
    assert_int_equal(backoff_spread_ms(0), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_failure_doubles_the_wait_up_to_a_bound),
        cmocka_unit_test(waits_are_spread_over_the_upper_half),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
