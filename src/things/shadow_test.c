#include "things/test_world.h"

static void classic_and_named_shadows_are_apart(void **state) {
    struct world world;
    world_begin(&world);
    assert_int_equal(world_ask(&world, "GET /things/a/shadow", ""), 404);
    assert_true(world_has(&world, "No shadow exists with name: 'a'"));
    assert_int_equal(
        world_ask(&world, "POST /things/a/shadow", "{\"state\":{\"reported\":{\"n\":1}}}"), 200);
    assert_int_equal(world_ask(&world, "GET /things/a/shadow?name=x", ""), 404);
    assert_int_equal(
        world_ask(&world, "POST /things/a/shadow?name=x", "{\"state\":{\"reported\":{\"n\":2}}}"),
        200);
    assert_int_equal(world_ask(&world, "GET /things/a/shadow?name=x", ""), 200);
    assert_true(world_has(&world, "\"state\":{\"reported\":{\"n\":2}}"));
    assert_int_equal(world_ask(&world, "GET /things/a/shadow", ""), 200);
    assert_true(world_has(&world, "\"state\":{\"reported\":{\"n\":1}}"));
    assert_int_equal(world_ask(&world, "DELETE /things/a/shadow", ""), 200);
    assert_true(world_has(&world, "{\"version\":1,\"timestamp\":"));
    assert_int_equal(world_ask(&world, "DELETE /things/a/shadow", ""), 404);
    assert_int_equal(world_ask(&world, "GET /things/a/shadow?name=x", ""), 200);
    assert_int_equal(
        world_ask(&world, "POST /things/a/shadow", "{\"state\":{\"reported\":{\"n\":3}}}"), 200);
    assert_true(world_has(&world, "\"version\":2"));
    world_end(&world);
}

static void errors_are_told_as_aws_tells_them(void **state) {
    static const struct {
        const char *line, *body;
        int status;
        const char *error;
    } cases[] = {
        {"POST /things/a/shadow", "{}", 400, "InvalidRequestException"},
        {"POST /things/a/shadow?name=%21", "{\"state\":{}}", 400, "InvalidRequestException"},
        {"POST /things/%20/shadow", "{\"state\":{}}", 400, "InvalidRequestException"},
        {"POST /things/a/shadow", "{\"state\":{},\"version\":9}", 409, "ConflictException"},
        {"POST /things/a/shadow", "{\"state\":{\"desired\":{\"a\":\"\xff\"}}}", 415,
         "UnsupportedDocumentEncodingException"},
        {"GET /things/a/shadow?name=none", "", 404, "ResourceNotFoundException"},
        {"PUT /things/a/shadow", "", 405, "MethodNotAllowedException"},
    };
    struct world world;
    struct buf large = {0};
    world_begin(&world);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_int_equal(world_ask(&world, cases[i].line, cases[i].body), cases[i].status);
        assert_string_equal(world.answer.error, cases[i].error);
    }
    buf_printf(&large, "{\"state\":{\"desired\":{\"a\":\"%08200d\"}}}", 0);
    assert_int_equal(world_ask(&world, "POST /things/a/shadow", buf_cstr(&large)), 413);
    assert_string_equal(world.answer.error, "RequestEntityTooLargeException");
    buf_done(&large);
    world_end(&world);
}

static void named_shadows_are_listed(void **state) {
    struct world world;
    world_begin(&world);
    static const char *const names[] = {"", "?name=c", "?name=a", "?name=b"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char line[64];
        snprintf(line, sizeof line, "POST /things/t/shadow%s", names[i]);
        world_ask(&world, line, "{\"state\":{}}");
    }
    world_ask(&world, "POST /things/t2/shadow?name=other", "{\"state\":{}}");
    world_ask(&world, "DELETE /things/t/shadow?name=a", "");
    assert_int_equal(
        world_ask(&world, "GET /api/things/shadow/ListNamedShadowsForThing/t?pageSize=1", ""), 200);
    assert_true(world_has(&world, "{\"results\":[\"b\"],\"nextToken\":\"Yg==\",\"timestamp\":"));
    world_ask(&world,
              "GET /api/things/shadow/ListNamedShadowsForThing/t?pageSize=1&nextToken=Yg%3D%3D",
              "");
    assert_true(world_has(&world, "{\"results\":[\"c\"],\"timestamp\":"));
    world_ask(&world, "GET /api/things/shadow/ListNamedShadowsForThing/none", "");
    assert_true(world_has(&world, "{\"results\":[],\"timestamp\":"));
    world_end(&world);
}

/* At the bound, shadows deleted long ago make room, and nothing else does. */
static void a_full_table_forgets_what_was_deleted(void **state) {
    struct world world;
    world_begin(&world);
    world.things->shadows.count_max = 2;
    assert_int_equal(world_ask(&world, "POST /things/a/shadow", "{\"state\":{}}"), 200);
    assert_int_equal(world_ask(&world, "POST /things/b/shadow", "{\"state\":{}}"), 200);
    assert_int_equal(world_ask(&world, "POST /things/c/shadow", "{\"state\":{}}"), 429);
    assert_string_equal(world.answer.error, "ThrottlingException");
    assert_int_equal(world_ask(&world, "POST /things/a/shadow", "{\"state\":{}}"), 200);
    struct arena arena = {0};
    struct err err;
    struct str key = things_shadow_key(&arena, STR("b"), (struct str){0});
    assert_int_equal(
        facts_set(world.facts, "shadow", key, STR("{\"version\":1,\"deleted\":1}"), &err), 0);
    world.things->swept_s = 0;
    assert_int_equal(world_ask(&world, "POST /things/c/shadow", "{\"state\":{}}"), 200);
    assert_int_equal(metric_get(&world.things->shadows.count), 2);
    arena_done(&arena);
    world_end(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classic_and_named_shadows_are_apart),
        cmocka_unit_test(errors_are_told_as_aws_tells_them),
        cmocka_unit_test(named_shadows_are_listed),
        cmocka_unit_test(a_full_table_forgets_what_was_deleted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
