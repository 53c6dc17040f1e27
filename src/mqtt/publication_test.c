#include "base/test.h"

#include "mqtt/publication.h"

static void the_interval_is_found_in_the_properties(void **state) {
    struct message message = {.properties = STR("\x01\x01\x02\0\0\x01\x02")};
    struct publication publication;
    assert_true(publication_from_message(&message, &publication));
    assert_int_equal(publication.expiry_at, 3);
    assert_int_equal(publication_expiry_s(&publication), 258);
    message.properties = (struct str){NULL, 0};
    assert_true(publication_from_message(&message, &publication));
    assert_int_equal(publication.expiry_at, -1);
    message.properties =
        STR("\x23\0\x01"); /* a topic alias means something on one connection only */
    assert_false(publication_from_message(&message, &publication));
    message.properties = STR("\x02\0");
    assert_false(publication_from_message(&message, &publication));
}

static void waiting_uses_the_interval_up(void **state) {
    uint32_t left_s = 7;
    assert_true(publication_expiry_left(10, 5000, 5999, &left_s));
    assert_int_equal(left_s, 10);
    assert_true(publication_expiry_left(10, 5000, 14999, &left_s));
    assert_int_equal(left_s, 1);
    assert_false(publication_expiry_left(10, 5000, 15000, &left_s));
    assert_true(publication_expiry_left(10, 5000, 1000, &left_s)); /* the clock went back */
    assert_int_equal(left_s, 10);
    assert_true(publication_expiry_left(0, 5000, 5500, &left_s)); /* not yet a second old */
    assert_false(publication_expiry_left(0, 5000, 6000, &left_s));
    uint8_t bytes[4];
    publication_expiry_patch(bytes, 0x01020304);
    assert_memory_equal(bytes, "\1\2\3\4", 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_interval_is_found_in_the_properties),
        cmocka_unit_test(waiting_uses_the_interval_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
