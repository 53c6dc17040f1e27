#include "base/test.h"

#include "base/clock.h"
#include "base/random.h"

static void times_are_written_as_rfc_3339(void **state) {
    char text[CLOCK_RFC3339_BYTES];
    clock_rfc3339(0, text);
    assert_string_equal(text, "1970-01-01T00:00:00.000Z");
    clock_rfc3339(1709164799999, text);
    assert_string_equal(text, "2024-02-28T23:59:59.999Z");
    clock_rfc3339(1709164800000, text);
    assert_string_equal(text, "2024-02-29T00:00:00.000Z");
}

static void monotonic_time_does_not_go_back(void **state) {
    uint64_t before = clock_mono_ns();
    for (int i = 0; i < 1000; i++) {
        uint64_t now = clock_mono_ns();
        assert_true(now >= before);
        before = now;
    }
}

static void uuids_are_of_version_4_and_differ(void **state) {
    char seen[UUID_CHARS] = {0};
    for (int i = 0; i < 2000; i++) {
        char uuid[UUID_CHARS];
        random_uuid(uuid);
        for (int at = 0; at < UUID_CHARS; at++) {
            bool dash = at == 8 || at == 13 || at == 18 || at == 23;
            assert_true(dash ? uuid[at] == '-' : strchr("0123456789abcdef", uuid[at]) != NULL);
        }
        assert_int_equal(uuid[14], '4');
        assert_non_null(strchr("89ab", uuid[19]));
        assert_memory_not_equal(uuid, seen, UUID_CHARS);
        memcpy(seen, uuid, UUID_CHARS);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_written_as_rfc_3339),
        cmocka_unit_test(monotonic_time_does_not_go_back),
        cmocka_unit_test(uuids_are_of_version_4_and_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
