#include "things/test_world.h"

#include <pthread.h>

static void readers_see_what_was_answered(void **state) {
    struct world world;
    struct buf text = {0};
    world_begin(&world);
    struct things_reader *reader = things_reader_new(world.things);
    assert_int_equal(things_read_thing(reader, STR("a"), &text), ERR_NOT_FOUND);
    assert_int_equal(things_read_shadow(reader, STR("a"), STR(""), 5000, &text), ERR_NOT_FOUND);
    world_ask(&world, "POST /things/a", "");
    world_ask(&world, "POST /things/a/shadow", "{\"state\":{}}");
    world_ask(&world, "POST /things/a/shadow?name=n", "{\"state\":{}}");
    assert_int_equal(things_read_shadow(reader, STR("a"), STR(""), 5000, &text), 0);
    assert_string_equal(buf_cstr(&text),
                        "{\"version\":1,\"state\":{},\"metadata\":{},\"timestamp\":5}");
    assert_int_equal(things_read_shadow(reader, STR("a"), STR("n"), 5000, &text), 0);
    assert_int_equal(things_read_shadow(reader, STR("a"), STR("other"), 5000, &text),
                     ERR_NOT_FOUND);
    buf_clear(&text);
    assert_int_equal(things_read_thing(reader, STR("a"), &text), 0);
    world_ask(&world, "GET /things/a", "");
    assert_string_equal(buf_cstr(&text), buf_cstr(&world.answer.body));
    world_ask(&world, "DELETE /things/a/shadow", "");
    assert_int_equal(things_read_shadow(reader, STR("a"), STR(""), 5000, &text), ERR_NOT_FOUND);
    assert_int_equal(things_read_shadow(reader, STR("a/b"), STR(""), 5000, &text), ERR_NOT_FOUND);
    things_reader_free(reader);
    things_reader_free(NULL);
    buf_done(&text);
    world_end(&world);
}

enum { ROUNDS = 200 };

/* Sees versions that only grow. */
static void *read_on(void *data) {
    struct things_reader *reader = things_reader_new(data);
    struct buf text = {0};
    int64_t version = 0, last = 0;
    while (version < ROUNDS) {
        struct json json = {0};
        buf_clear(&text);
        if (!things_read_shadow(reader, STR("a"), STR(""), 0, &text)) {
            assert_int_equal(json_parse(&json, buf_str(&text)), 0);
            assert_true(json_int(json_member(json_root(&json), STR("version")), &version));
            assert_true(version >= last);
            last = version;
        }
        json_done(&json);
    }
    buf_done(&text);
    things_reader_free(reader);
    return NULL;
}

static void other_threads_read_while_it_changes(void **state) {
    struct world world;
    pthread_t threads[2];
    world_begin(&world);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_on, world.things), 0);
    for (int i = 0; i < ROUNDS; i++)
        assert_int_equal(
            world_ask(&world, "POST /things/a/shadow", "{\"state\":{\"reported\":{\"a\":1}}}"),
            200);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        pthread_join(threads[i], NULL);
    world_end(&world);
}

static void counts_survive_and_bound(void **state) {
    struct world world;
    world_begin(&world);
    world.things->registry.count_max = 2;
    world_ask(&world, "POST /things/a", "");
    world_ask(&world, "POST /things/b", "");
    world_ask(&world, "POST /things/b/shadow", "{\"state\":{}}");
    assert_int_equal(world_ask(&world, "POST /things/c", ""), 410);
    assert_string_equal(world.answer.error, "LimitExceededException");
    assert_int_equal(world_ask(&world, "PATCH /things/a", "{}"), 200);
    int64_t bytes = metric_get(&world.things->bytes);
    world_close(&world);
    world_open(&world);
    assert_int_equal(metric_get(&world.things->registry.count), 2);
    assert_int_equal(metric_get(&world.things->shadows.count), 1);
    assert_int_equal(metric_get(&world.things->bytes), bytes);
    metric_set(&world.things->bytes, THINGS_BYTES_MAX);
    assert_int_equal(world_ask(&world, "POST /things/c", ""), 410);
    assert_int_equal(world_ask(&world, "DELETE /things/a", ""), 200);
    assert_int_equal(world_ask(&world, "GET /things/b", ""), 200);
    world_end(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_see_what_was_answered),
        cmocka_unit_test(other_threads_read_while_it_changes),
        cmocka_unit_test(counts_survive_and_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
