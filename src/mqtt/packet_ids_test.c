#include "base/test.h"

#include "mqtt/packet_ids.h"

static struct packet_ids ids;

static int tear_down(void **state) {
    packet_ids_done(&ids);
    return 0;
}

static void an_empty_set_holds_nothing(void **state) {
    assert_false(packet_ids_has(&ids, 1));
    assert_false(packet_ids_remove(&ids, 1));
    assert_true(packet_ids_add(&ids, 1));
    assert_false(packet_ids_add(&ids, 1));
    assert_true(packet_ids_remove(&ids, 1));
    assert_null(ids.slots);
}

static void random_changes_agree_with_a_table(void **state) {
    static bool there[65536];
    uint64_t random = 1;
    uint32_t count = 0;
    for (unsigned step = 0; step < 400000; step++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        uint16_t id = (uint16_t)(1 + (random >> 33) % (step < 200000 ? 300 : 65535));
        if (random >> 60 < 8) {
            assert_int_equal(packet_ids_add(&ids, id), !there[id]);
            count += !there[id];
            there[id] = true;
        } else {
            assert_int_equal(packet_ids_remove(&ids, id), there[id]);
            count -= there[id];
            there[id] = false;
        }
        assert_int_equal(ids.count, count);
    }
    for (uint32_t id = 1; id < 65536; id++)
        assert_int_equal(packet_ids_has(&ids, (uint16_t)id), there[id]);
}

static void every_identifier_fits(void **state) {
    for (uint32_t id = 1; id < 65536; id++)
        assert_true(packet_ids_add(&ids, (uint16_t)id));
    assert_int_equal(ids.count, 65535);
    for (uint32_t id = 1; id < 65536; id++)
        assert_true(packet_ids_remove(&ids, (uint16_t)id));
    assert_null(ids.slots);
}

#define TEST(function) cmocka_unit_test_teardown(function, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(an_empty_set_holds_nothing),
        TEST(random_changes_agree_with_a_table),
        TEST(every_identifier_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
