#include "aws/test_world.h"

#include "aws/catalog.h"

static void tags_stay_sorted_and_bounded(void **state) {
    struct catalog catalog = {0};
    struct catalog_stream *stream = catalog_add(&catalog, STR("s"), NULL);
    char key[8];
    for (int i = CATALOG_TAGS_MAX; i > 0; i--) {
        snprintf(key, sizeof key, "k%02d", i);
        assert_int_equal(catalog_tag_set(&stream->tags, str_of(key), STR("v")), 0);
    }
    assert_int_equal(catalog_tag_set(&stream->tags, STR("more"), STR("v")), ERR_FULL);
    assert_int_equal(catalog_tag_set(&stream->tags, STR("k01"), STR("new")), 0);
    assert_string_equal(stream->tags.items[0].key, "k01");
    assert_string_equal(catalog_tag_find(&stream->tags, STR("k01"))->value, "new");
    catalog_tag_remove(&stream->tags, STR("k01"));
    catalog_tag_remove(&stream->tags, STR("k01"));
    assert_null(catalog_tag_find(&stream->tags, STR("k01")));
    assert_int_equal(stream->tags.count, CATALOG_TAGS_MAX - 1);
    catalog_done(&catalog);
}

static void streams_are_in_order_of_their_names(void **state) {
    static const char *const names[] = {"m", "a", "z", "M", "ab"};
    static const char *const sorted[] = {"M", "a", "ab", "m", "z"};
    struct catalog catalog = {0};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        assert_int_equal(catalog_add(&catalog, str_of(names[i]), NULL)->status, CATALOG_CREATING);
    for (size_t i = 0; i < COUNT_OF(sorted); i++)
        assert_string_equal(catalog.streams[i]->name, sorted[i]);
    catalog_remove(&catalog, catalog_find(&catalog, STR("ab")));
    assert_null(catalog_find(&catalog, STR("ab")));
    assert_int_equal(catalog_position(&catalog, STR("b")), 2);
    catalog_done(&catalog);
}

static void consumers_are_found_by_name(void **state) {
    struct catalog catalog = {0};
    struct catalog_stream *stream = catalog_add(&catalog, STR("s"), NULL);
    struct catalog_consumer *consumer;
    assert_int_equal(catalog_consumer_add(stream, STR("b"), 1, &consumer), 0);
    assert_int_equal(catalog_consumer_add(stream, STR("a"), 2, &consumer), 0);
    assert_int_equal(catalog_consumer_add(stream, STR("a"), 3, &consumer), ERR_EXISTS);
    assert_string_equal(stream->consumers[0].name, "a");
    catalog_consumer_remove(stream, catalog_consumer_find(stream, STR("a")));
    assert_null(catalog_consumer_find(stream, STR("a")));
    assert_int_equal(catalog_consumer_find(stream, STR("b"))->created_s, 1);
    catalog_done(&catalog);
}

/* Settings of an older stream of the same name, left behind by a crash. */
static void what_another_stream_left_behind_is_passed_over(void **state) {
    struct world *world = world_begin(AWS_AUTH_OPEN, NULL);
    world_ok(world, "CreateStream", "{'StreamName':'s','ShardCount':1}");
    world_stop(world);
    assert_int_equal(facts_open(world->root, 1 << 26, &world->facts, NULL), 0);
    assert_int_equal(facts_set(world->facts, "kinesis", STR("s"),
                               STR("{\"created_s\":1,\"tags\":{\"old\":\"1\"}}"), NULL),
                     0);
    facts_close(world->facts);
    world_start(world);
    world_ok(world, "ListTagsForStream", "{'StreamName':'s'}");
    assert_int_equal(world_count(world, "Tags"), 0);
    world_end(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tags_stay_sorted_and_bounded),
        cmocka_unit_test(streams_are_in_order_of_their_names),
        cmocka_unit_test(consumers_are_found_by_name),
        cmocka_unit_test(what_another_stream_left_behind_is_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
