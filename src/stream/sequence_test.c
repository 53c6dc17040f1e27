#include "base/test.h"

#include <string.h>

#include "base/err.h"
#include "stream/sequence.h"

/* A number that the native service gave out, taken apart (reference, "Test vectors"). */
static const char native[] = "49678472157302553202470682884926349658392096580709646354";
static const struct sequence native_parts = {
    .created_s = 1789780016, .counter = 895921920, .arrival_s = 1789780027, .shard = 1};

static void a_native_number_is_made_and_read(void **state) {
    char text[STREAM_SEQUENCE_CHARS];
    sequence_write(&native_parts, text);
    assert_string_equal(text, native);
    struct sequence seen;
    assert_int_equal(sequence_read(str_of(native), &seen), 0);
    assert_int_equal(seen.created_s, native_parts.created_s);
    assert_int_equal(seen.counter, native_parts.counter);
    assert_int_equal(seen.arrival_s, native_parts.arrival_s);
    assert_int_equal(seen.shard, native_parts.shard);
}

static void numbers_go_there_and_back(void **state) {
    const uint64_t counters[] = {0, 1, 4096, UINT64_C(0x7fffffffffffffff), UINT64_MAX};
    for (size_t i = 0; i < COUNT_OF(counters); i++)
        for (uint32_t shard = 0; shard < 10000; shard += 999) {
            struct sequence made = {1700000000 + shard, counters[i], 1800000000 + i, shard}, seen;
            char text[STREAM_SEQUENCE_CHARS];
            sequence_write(&made, text);
            assert_int_equal(strlen(text), 56);
            assert_int_equal(sequence_read(str_of(text), &seen), 0);
            assert_int_equal(seen.counter, made.counter);
            assert_int_equal(seen.shard, shard);
            assert_int_equal(seen.created_s, made.created_s);
            assert_int_equal(seen.arrival_s, made.arrival_s);
        }
}

static void numbers_grow_with_the_counter(void **state) {
    char before[STREAM_SEQUENCE_CHARS] = "0", text[STREAM_SEQUENCE_CHARS];
    for (uint64_t counter = 0; counter < 1000; counter++) {
        struct sequence made = {1700000000, counter, 1800000000 - counter, 3};
        sequence_write(&made, text);
        assert_true(strcmp(before, text) < 0);
        memcpy(before, text, sizeof text);
    }
}

static void other_texts_are_refused(void **state) {
    const char *texts[] = {
        "",
        "0",
        "-1",
        "4967847215730255320247068288492634965839209658070964635",
        "49678472157302553202470682884926349658392096580709646355",
        "496784721573025532024706828849263496583920965807096463540",
        "4967847215730255320247068288492634965839209658070964635x",
        "09678472157302553202470682884926349658392096580709646354",
        "99999999999999999999999999999999999999999999999999999999",
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct sequence seen;
        assert_int_equal(sequence_read(str_of(texts[i]), &seen), ERR_INVALID);
    }
}

static void a_number_belongs_to_one_shard(void **state) {
    uint64_t counter = 0;
    assert_int_equal(sequence_counter(str_of(native), 1, 1789780016, &counter), 0);
    assert_int_equal(counter, 895921920);
    assert_int_equal(sequence_counter(str_of(native), 2, 1789780016, &counter), ERR_INVALID);
    assert_int_equal(sequence_counter(str_of(native), 1, 1789780017, &counter), ERR_INVALID);
    assert_int_equal(sequence_counter(STR("1"), 1, 1789780016, &counter), ERR_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_native_number_is_made_and_read),
        cmocka_unit_test(numbers_go_there_and_back),
        cmocka_unit_test(numbers_grow_with_the_counter),
        cmocka_unit_test(other_texts_are_refused),
        cmocka_unit_test(a_number_belongs_to_one_shard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
