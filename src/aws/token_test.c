#include "base/test.h"

#include "aws/token.h"
#include "base/err.h"

static const uint8_t key[TOKEN_KEY_BYTES] = {1, 2, 3};
static const uint8_t other_key[TOKEN_KEY_BYTES] = {1, 2, 4};
enum { NOW_MS = 1000000 };

static const struct aws_iterator sample = {
    .stream = {"sensors", 7}, .stream_created_s = 1789780016, .shard = 3, .counter = 1ull << 60};

static void an_iterator_comes_back_whole(void **state) {
    struct buf text = {0}, room = {0};
    struct aws_iterator back;
    uint64_t made_ms;
    aws_iterator_write(&text, key, &sample, NOW_MS);
    assert_int_equal(
        aws_iterator_read(buf_str(&text), key, NOW_MS + TOKEN_LIFE_MS, &room, &back, &made_ms), 0);
    assert_str(back.stream, "sensors");
    assert_true(back.stream_created_s == sample.stream_created_s && back.shard == 3 &&
                back.counter == sample.counter);
    assert_true(made_ms == NOW_MS);
    buf_done(&text);
    buf_done(&room);
}

static void the_longest_name_fits_512_characters(void **state) {
    struct buf text = {0};
    char name[128];
    memset(name, 'n', sizeof name);
    struct aws_iterator iterator = {.stream = str_from(name, sizeof name)};
    aws_iterator_write(&text, key, &iterator, NOW_MS);
    assert_in_range(buf_len(&text), 1, 512);
    buf_done(&text);
}

static void it_lives_five_minutes(void **state) {
    struct buf text = {0}, room = {0};
    struct aws_iterator back;
    uint64_t made_ms = 0;
    aws_iterator_write(&text, key, &sample, NOW_MS);
    assert_int_equal(
        aws_iterator_read(buf_str(&text), key, NOW_MS + TOKEN_LIFE_MS + 1, &room, &back, &made_ms),
        ERR_TIMEOUT);
    assert_true(made_ms == NOW_MS);
    buf_done(&text);
    buf_done(&room);
}

static void whatever_is_changed_is_refused(void **state) {
    struct buf text = {0}, room = {0};
    struct aws_iterator back;
    uint64_t made_ms;
    aws_iterator_write(&text, key, &sample, NOW_MS);
    assert_int_equal(aws_iterator_read(buf_str(&text), other_key, NOW_MS, &room, &back, &made_ms),
                     ERR_INVALID);
    for (size_t i = 0; i < buf_len(&text); i++) {
        uint8_t was = buf_at(&text)[i];
        buf_at(&text)[i] = was == 'A' ? 'B' : 'A';
        assert_int_equal(aws_iterator_read(buf_str(&text), key, NOW_MS, &room, &back, &made_ms),
                         ERR_INVALID);
        buf_at(&text)[i] = was;
    }
    assert_int_equal(aws_iterator_read(STR(""), key, NOW_MS, &room, &back, &made_ms), ERR_INVALID);
    assert_int_equal(aws_iterator_read(STR("AAAA"), key, NOW_MS, &room, &back, &made_ms),
                     ERR_INVALID);
    buf_done(&text);
    buf_done(&room);
}

static void kinds_are_not_mixed_up(void **state) {
    struct buf text = {0}, payload = {0};
    uint64_t made_ms;
    aws_token_write(&text, key, TOKEN_STREAMS, STR("last"), NOW_MS);
    assert_int_equal(aws_token_read(buf_str(&text), key, TOKEN_SHARDS, NOW_MS, &payload, &made_ms),
                     ERR_INVALID);
    assert_int_equal(aws_token_read(buf_str(&text), key, TOKEN_STREAMS, NOW_MS, &payload, &made_ms),
                     0);
    assert_str(buf_str(&payload), "last");
    buf_done(&text);
    buf_done(&payload);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_iterator_comes_back_whole),
        cmocka_unit_test(the_longest_name_fits_512_characters),
        cmocka_unit_test(it_lives_five_minutes),
        cmocka_unit_test(whatever_is_changed_is_refused),
        cmocka_unit_test(kinds_are_not_mixed_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
