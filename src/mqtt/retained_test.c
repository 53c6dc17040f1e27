#include "base/test.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"

#include "mqtt/retained.h"

static struct retained_store store;

static int set_up(void **state) {
    retained_store_init(&store, 3, 1 << 20, false);
    return 0;
}

static int tear_down(void **state) {
    retained_store_done(&store);
    return 0;
}

static void put_with(const char *topic, const char *payload, uint64_t version,
                     struct str properties, uint64_t now_ms) {
    struct publication publication = {
        .message = {.topic = str_of(topic),
                    .payload = str_of(payload),
                    .properties = properties,
                    .received_ms = now_ms},
        .expiry_at = properties.len ? 1 : -1,
    };
    struct kept *retained = kept_new(&publication, version);
    retained_put(&store, retained, now_ms);
    kept_unref(retained);
}

static void put(const char *topic, const char *payload, uint64_t version) {
    put_with(topic, payload, version, (struct str){NULL, 0}, 0);
}

static void append_payload(void *data, struct kept *retained) {
    buf_add_str(data, retained->publication.message.payload);
}

#define assert_found(filter, now_ms, text)                                                         \
    do {                                                                                           \
        struct buf found_ = {0};                                                                   \
        retained_find(&store, STR(filter), now_ms, append_payload, &found_);                       \
        assert_str(buf_str(&found_), text);                                                        \
        buf_done(&found_);                                                                         \
    } while (0)

static void the_newest_version_stays(void **state) {
    put("a", "2", 2);
    put("a", "1", 1);
    assert_found("a", 0, "2");
    put("a", "3", 3);
    assert_found("#", 0, "3");
    assert_int_equal(store.count, 1);
}

static void a_deletion_outlives_an_older_message(void **state) {
    put("a", "", 5); /* heard of before the message that it deletes */
    put("a", "4", 4);
    assert_found("a", 0, "");
    assert_int_equal(store.count, 0);
    put("a", "6", 6);
    assert_found("a", 0, "6");
    put("a", "", 7);
    assert_found("a", 0, "");
    retained_tick(&store, RETAINED_TOMBSTONE_MS - 1);
    assert_non_null(tree_get(&store.tree, STR("a")));
    retained_tick(&store, RETAINED_TOMBSTONE_MS);
    assert_null(tree_get(&store.tree, STR("a")));
    assert_int_equal(store.bytes, 0);
}

static void a_store_alone_keeps_no_tombstones(void **state) {
    retained_store_done(&store);
    retained_store_init(&store, 3, 1 << 20, true);
    put("a", "1", 1);
    put("a", "", 2);
    assert_null(tree_get(&store.tree, STR("a")));
}

static void tombstones_are_bounded(void **state) {
    char topic[16];
    for (unsigned i = 0; i < RETAINED_TOMBSTONES_MAX + 10; i++) {
        snprintf(topic, sizeof topic, "t%u", i);
        put(topic, "", i + 1);
    }
    assert_int_equal(store.tombstone_count, RETAINED_TOMBSTONES_MAX);
    assert_null(tree_get(&store.tree, STR("t9")));
    assert_non_null(tree_get(&store.tree, STR("t10")));
}

static bool has_room(const char *topic, const char *payload, uint64_t now_ms) {
    struct message message = {.topic = str_of(topic), .payload = str_of(payload)};
    return retained_has_room(&store, &message, now_ms);
}

static void count_and_bytes_are_bounded(void **state) {
    put("a", "1", 1);
    put("b", "2", 2);
    assert_true(has_room("c", "3", 0));
    put("c", "3", 3);
    assert_false(has_room("d", "4", 0));
    assert_true(has_room("a", "4", 0)); /* replaces */
    assert_true(has_room("d", "", 0));  /* deletes */
    put("c", "", 4);
    assert_true(has_room("d", "4", 0));
    store.bytes_max = store.bytes + sizeof(struct kept) + 1;
    assert_false(has_room("d", "4", 0));
    assert_true(has_room("a", "44", 0));
}

static void messages_expire(void **state) {
    struct str five_seconds = STR("\x02\0\0\0\x05");
    put_with("a", "1", 1, five_seconds, 10000);
    put("b", "2", 2);
    put("c", "3", 3);
    assert_found("a", 14999, "1");
    assert_found("a", 15000, "");
    assert_false(has_room("d", "4", 14999));
    assert_true(has_room("d", "4", 15000)); /* what has expired makes room */
    assert_int_equal(store.count, 2);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(the_newest_version_stays),          TEST(a_deletion_outlives_an_older_message),
        TEST(a_store_alone_keeps_no_tombstones), TEST(tombstones_are_bounded),
        TEST(count_and_bytes_are_bounded),       TEST(messages_expire),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
