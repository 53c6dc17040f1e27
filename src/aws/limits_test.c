#include "base/test.h"

#include "aws/limits.h"

enum { NOW = 1000000 };

static void a_second_holds_what_the_rate_says(void **state) {
    struct limit_bucket bucket = {0};
    for (int i = 0; i < 5; i++)
        assert_true(limit_take(&bucket, 5, 1, NOW));
    assert_false(limit_take(&bucket, 5, 1, NOW));
    assert_false(limit_take(&bucket, 5, 1, NOW));
    assert_true(limit_take(&bucket, 5, 1, NOW + 200));
    assert_false(limit_take(&bucket, 5, 1, NOW + 200));
    for (int i = 0; i < 5; i++)
        assert_true(limit_take(&bucket, 5, 1, NOW + 100000));
    assert_false(limit_take(&bucket, 5, 1, NOW + 100000));
}

/* As after a GetRecords of 10 MiB: nothing for the five seconds that it took at the rate. */
static void a_debt_is_paid_first(void **state) {
    struct limit_bucket bucket = {0};
    enum { MIB = 1 << 20 };
    assert_true(limit_has_room(&bucket, 2 * MIB, NOW));
    limit_use(&bucket, 2 * MIB, 10 * MIB);
    assert_false(limit_has_room(&bucket, 2 * MIB, NOW + 3900));
    assert_true(limit_has_room(&bucket, 2 * MIB, NOW + 4100));
}

static void no_rate_is_no_limit(void **state) {
    struct limit_bucket bucket = {0};
    for (int i = 0; i < 100000; i++)
        assert_true(limit_take(&bucket, 0, 1 << 30, NOW));
}

static void a_day_has_so_many(void **state) {
    enum { DAY_MS = 24 * 3600 * 1000 };
    struct limit_day day = {0};
    assert_true(limit_take_daily(&day, 2, NOW));
    assert_true(limit_take_daily(&day, 2, NOW + 1000));
    assert_false(limit_take_daily(&day, 2, NOW + DAY_MS - 1));
    assert_true(limit_take_daily(&day, 2, NOW + DAY_MS));
    assert_false(limit_take_daily(&day, 2, NOW + DAY_MS + 999));
    assert_true(limit_take_daily(&day, 2, NOW + DAY_MS + 1000));
    struct limit_day other = {0};
    for (unsigned i = 0; i < LIMIT_DAY_MAX; i++)
        assert_true(limit_take_daily(&other, LIMIT_DAY_MAX, NOW));
    assert_false(limit_take_daily(&other, LIMIT_DAY_MAX, NOW));
}

/* A burst is none, nor are two with a pause between them. */
static void short_is_who_is_so_for_long(void **state) {
    struct limit_shard shard = {0};
    assert_false(limit_is_short(&shard, 10000, NOW));
    assert_false(limit_is_short(&shard, 10000, NOW + 5001));
    assert_false(limit_is_short(&shard, 10000, NOW + 10000));
    assert_false(limit_is_short(&shard, 10000, NOW + 15000));
    assert_true(limit_is_short(&shard, 10000, NOW + 15001));
    assert_false(limit_is_short(&shard, 10000, NOW + 15002));
    assert_true(limit_is_short(&shard, 0, NOW + 99000));
}

/* A clock that stands still or goes back gives nothing. */
static void time_only_goes_on(void **state) {
    struct limit_bucket bucket = {0};
    assert_true(limit_take(&bucket, 1, 1, NOW));
    assert_false(limit_take(&bucket, 1, 1, NOW - 5000));
    assert_false(limit_take(&bucket, 1, 1, NOW - 5000));
}

static void operations_have_their_rates(void **state) {
    assert_int_equal(limit_calls_per_second("CreateStream"), 5);
    assert_int_equal(limit_calls_per_second("DescribeLimits"), 1);
    assert_int_equal(limit_calls_per_second("PutRecords"), 0);
}

static void subscriptions_are_counted_apart(void **state) {
    struct limits limits = {0};
    assert_true(limit_take_subscription(&limits, STR("arn:a"), 0, NOW));
    assert_false(limit_take_subscription(&limits, STR("arn:a"), 0, NOW));
    assert_true(limit_take_subscription(&limits, STR("arn:a"), 1, NOW));
    assert_true(limit_take_subscription(&limits, STR("arn:b"), 0, NOW));
    assert_true(limit_take_subscription(&limits, STR("arn:a"), 0, NOW + 1001));
    for (unsigned i = 0; i < LIMIT_SUBSCRIPTIONS_MAX + 10; i++)
        assert_true(limit_take_subscription(&limits, STR("arn:c"), i, NOW));
    assert_in_range(limits.subscriptions.count, 1, LIMIT_SUBSCRIPTIONS_MAX);
    limits_done(&limits);
}

static void shards_are_made_as_they_come(void **state) {
    struct limit_stream stream = {0};
    limit_shard_of(&stream, 3)->iterators.used = 7;
    limit_shard_of(&stream, 5000)->iterators.used = 8;
    assert_int_equal(limit_shard_of(&stream, 3)->iterators.used, 7);
    assert_int_equal(limit_shard_of(&stream, 4)->iterators.used, 0);
    limit_stream_done(&stream);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_holds_what_the_rate_says),
        cmocka_unit_test(a_debt_is_paid_first),
        cmocka_unit_test(no_rate_is_no_limit),
        cmocka_unit_test(a_day_has_so_many),
        cmocka_unit_test(short_is_who_is_so_for_long),
        cmocka_unit_test(time_only_goes_on),
        cmocka_unit_test(operations_have_their_rates),
        cmocka_unit_test(subscriptions_are_counted_apart),
        cmocka_unit_test(shards_are_made_as_they_come),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
