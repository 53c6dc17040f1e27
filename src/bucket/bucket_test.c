#include "base/test.h"

#include "bucket/bucket.h"

/* The longest pause is the one for the largest random number that leaves the remainder whole. */
static unsigned longest(unsigned attempt) {
    unsigned most = 0;
    for (uint64_t random = 0; random <= 2 * BUCKET_RETRY_MS_MAX; random++) {
        unsigned delay = bucket_pause_ms(BUCKET_RETRY, attempt, random);
        most = delay > most ? delay : most;
    }
    return most;
}

static void pauses_double_up_to_a_bound(void **state) {
    static const unsigned expected[] = {200,   400,   800,   1600,  3200, 6400,
                                        12800, 25600, 30000, 30000, 30000};
    for (unsigned i = 0; i < sizeof expected / sizeof expected[0]; i++)
        assert_int_equal(longest(i + 1), expected[i]);
    assert_int_equal(longest(1000000), 30000);
}

static void pauses_are_anything_up_to_it(void **state) {
    assert_int_equal(bucket_pause_ms(BUCKET_RETRY, 1, 0), 0);
    assert_int_equal(bucket_pause_ms(BUCKET_RETRY, 1, 100), 100);
    assert_int_equal(bucket_pause_ms(BUCKET_RETRY, 1, 200), 200);
}

static void a_verdict_decides_the_pause(void **state) {
    assert_int_equal(bucket_pause_ms(BUCKET_RETRY_NOW, 5, 17), 0);
    assert_int_equal(bucket_pause_ms(BUCKET_RETRY, 1, 17), 17);
    assert_int_equal(bucket_pause_ms(BUCKET_HOLD, 1, 17), BUCKET_HOLD_MS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pauses_double_up_to_a_bound),
        cmocka_unit_test(pauses_are_anything_up_to_it),
        cmocka_unit_test(a_verdict_decides_the_pause),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
