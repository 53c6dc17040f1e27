#include "base/test.h"

#include "base/hash_key.h"
#include "base/mem.h"

static void texts_are_read_and_written(void **state) {
    static const char *const texts[] = {"0",
                                        "7",
                                        "10",
                                        "18446744073709551616",
                                        "170141183460469231731687303715884105728",
                                        "340282366920938463463374607431768211455"};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        hash_key key;
        char room[HASH_KEY_CHARS];
        assert_true(hash_key_parse(str_of(texts[i]), &key));
        assert_str(hash_key_text(key, room), texts[i]);
        assert_string_equal(room, texts[i]);
    }
}

static void what_is_no_key_is_refused(void **state) {
    static const char *const texts[] = {"",
                                        "00",
                                        "01",
                                        "-1",
                                        "1a",
                                        " 1",
                                        "340282366920938463463374607431768211456",
                                        "999999999999999999999999999999999999999",
                                        "1000000000000000000000000000000000000000",
                                        "3402823669209384634633746074317682114550"};
    hash_key key;
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        assert_false(hash_key_parse(str_of(texts[i]), &key));
}

/* Kinesis developer guide: the ranges of three shards. */
static void ranges_are_even(void **state) {
    char room[HASH_KEY_CHARS];
    assert_str(hash_key_text(hash_key_even(1, 3), room), "113427455640312821154458202477256070485");
    assert_str(hash_key_text(hash_key_even(2, 3), room), "226854911280625642308916404954512140970");
    assert_str(hash_key_text(hash_key_even(1, 2), room), "170141183460469231731687303715884105728");
    assert_str(hash_key_text(hash_key_even(0, 1), room), "0");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_read_and_written),
        cmocka_unit_test(what_is_no_key_is_refused),
        cmocka_unit_test(ranges_are_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
