#include "flow/action.h"

#include "base/err.h"
#include "base/test.h"

static struct action_record sample(struct buf *params) {
    action_param_write(params, STR("url"), STR("http://x/1"));
    action_param_write(params, STR("header.A"), STR(""));
    action_param_write(params, STR("header.A"), STR("two"));
    return (struct action_record){
        .params = {buf_str(params), 3},
        .payload = STR("{\"t\":1}"),
        .topic = STR("a/b"),
        .client_id = STR("dev"),
        .trace_id = STR("trace"),
        .received_ms = 1234567890123,
    };
}

static void a_record_reads_as_it_was_written(void **state) {
    struct buf params = {0}, bytes = {0};
    struct action_record record = sample(&params), read;
    record.has_original = true;
    record.original = STR("t=1");
    action_record_write(&bytes, &record);
    assert_int_equal(action_record_read(buf_str(&bytes), &read), 0);
    assert_true(str_eq(read.payload, record.payload) && str_eq(read.topic, record.topic));
    assert_true(str_eq(read.client_id, STR("dev")) && str_eq(read.trace_id, STR("trace")));
    assert_int_equal(read.source_ip.len, 0);
    assert_int_equal(read.received_ms, 1234567890123);
    assert_true(read.has_original && str_eq(read.original, STR("t=1")));

    struct action_place place = {0};
    struct action_param param;
    assert_true(action_param_next(&read.params, &place, &param));
    assert_true(str_eq(param.name, STR("url")) && str_eq(param.value, STR("http://x/1")));
    assert_true(action_param_next(&read.params, &place, &param));
    assert_true(str_eq(param.name, STR("header.A")) && param.value.len == 0);
    assert_true(action_param_next(&read.params, &place, &param));
    assert_true(str_eq(param.value, STR("two")));
    assert_false(action_param_next(&read.params, &place, &param));
    assert_int_equal(action_param_get(&read.params, "header.A").len, 0);
    assert_int_equal(action_param_get(&read.params, "none").len, 0);
    buf_done(&params);
    buf_done(&bytes);
}

/* One without is as records have always been. */
static void a_depth_is_kept(void **state) {
    struct buf params = {0}, bytes = {0};
    struct action_record record = sample(&params), read;
    record.has_original = true;
    record.original = STR("t=1");
    action_record_write(&bytes, &record);
    size_t without = buf_len(&bytes);
    assert_int_equal(action_record_read(buf_str(&bytes), &read), 0);
    assert_int_equal(read.depth, 0);
    for (unsigned depth = 1; depth <= UINT8_MAX; depth++) {
        buf_clear(&bytes);
        record.depth = (uint8_t)depth;
        action_record_write(&bytes, &record);
        assert_int_equal(buf_len(&bytes), without + 1);
        assert_int_equal(action_record_read(buf_str(&bytes), &read), 0);
        assert_int_equal(read.depth, depth);
        assert_true(str_eq(read.original, STR("t=1")));
    }
    buf_at(&bytes)[buf_len(&bytes) - 1] = 0;
    assert_int_equal(action_record_read(buf_str(&bytes), &read), ERR_CORRUPT);
    buf_done(&params);
    buf_done(&bytes);
}

static void flags_without_a_meaning_are_corrupt(void **state) {
    struct buf params = {0}, bytes = {0};
    struct action_record record = sample(&params), read;
    action_record_write(&bytes, &record);
    for (unsigned flags = 3; flags <= UINT8_MAX; flags++) {
        buf_at(&bytes)[1] = (uint8_t)flags;
        assert_int_equal(action_record_read(buf_str(&bytes), &read), ERR_CORRUPT);
    }
    buf_done(&params);
    buf_done(&bytes);
}

static void a_payload_that_was_not_changed_is_kept_once(void **state) {
    struct buf params = {0}, bytes = {0};
    struct action_record record = sample(&params), read;
    action_record_write(&bytes, &record);
    size_t without = buf_len(&bytes);
    buf_clear(&bytes);
    record.has_original = true;
    record.original = record.payload;
    action_record_write(&bytes, &record);
    assert_int_equal(buf_len(&bytes), without);
    assert_int_equal(action_record_read(buf_str(&bytes), &read), 0);
    assert_true(read.has_original && str_eq(read.original, record.payload));
    buf_done(&params);
    buf_done(&bytes);
}

static void what_is_cut_or_longer_is_corrupt(void **state) {
    struct buf params = {0}, bytes = {0};
    struct action_record record = sample(&params), read;
    action_record_write(&bytes, &record);
    for (size_t len = 0; len < buf_len(&bytes); len++)
        assert_int_equal(action_record_read(str_from(buf_at(&bytes), len), &read), ERR_CORRUPT);
    buf_add_u8(&bytes, 0);
    assert_int_equal(action_record_read(buf_str(&bytes), &read), ERR_CORRUPT);
    buf_done(&params);
    buf_done(&bytes);
}

static void a_wrong_number_of_parameters_is_corrupt(void **state) {
    struct buf params = {0}, bytes = {0};
    struct action_record record = sample(&params), read;
    record.params.count = 2;
    action_record_write(&bytes, &record);
    assert_int_equal(action_record_read(buf_str(&bytes), &read), ERR_CORRUPT);
    buf_clear(&bytes);
    record.params.count = 4;
    action_record_write(&bytes, &record);
    assert_int_equal(action_record_read(buf_str(&bytes), &read), ERR_CORRUPT);
    buf_done(&params);
    buf_done(&bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_reads_as_it_was_written),
        cmocka_unit_test(a_depth_is_kept),
        cmocka_unit_test(flags_without_a_meaning_are_corrupt),
        cmocka_unit_test(a_payload_that_was_not_changed_is_kept_once),
        cmocka_unit_test(what_is_cut_or_longer_is_corrupt),
        cmocka_unit_test(a_wrong_number_of_parameters_is_corrupt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
