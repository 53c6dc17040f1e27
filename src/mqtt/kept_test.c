#include "base/test.h"

#include "mqtt/kept.h"

static void a_copy_owns_its_bytes(void **state) {
    char topic[] = "a/b", payload[] = "hello";
    struct publication publication = {.message = {.topic = str_of(topic),
                                                  .payload = str_of(payload),
                                                  .properties = STR("\x02\0\0\0\x3c"),
                                                  .received_ms = 1000000,
                                                  .qos = 2,
                                                  .retain = true},
                                      .expiry_at = 1};
    struct kept *kept = kept_new(&publication, 7);
    memset(topic, 'x', sizeof topic - 1);
    memset(payload, 'x', sizeof payload - 1);
    kept_ref(kept);
    kept_unref(kept);
    const struct message *message = &kept->publication.message;
    assert_str(message->topic, "a/b");
    assert_str(message->payload, "hello");
    assert_int_equal(message->properties.len, 5);
    assert_int_equal(message->qos, 2);
    assert_true(message->retain);
    assert_int_equal(kept->version, 7);
    assert_int_equal(kept->size, sizeof *kept + 3 + 5 + 5);
    uint32_t left_s;
    assert_true(kept_expiry_left(kept, 1000000 + 20000, &left_s));
    assert_int_equal(left_s, 40);
    assert_false(kept_expiry_left(kept, 1000000 + 60000, &left_s));
    kept_unref(kept);
    kept_unref(NULL);
}

static void a_message_without_an_interval_stays(void **state) {
    struct publication publication = {.message = {.topic = STR("a")}, .expiry_at = -1};
    struct kept *kept = kept_new(&publication, 0);
    uint32_t left_s = 5;
    assert_true(kept_expiry_left(kept, UINT64_MAX, &left_s));
    assert_int_equal(left_s, 0);
    kept_unref(kept);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_owns_its_bytes),
        cmocka_unit_test(a_message_without_an_interval_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
