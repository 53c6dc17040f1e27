#include "things/test_world.h"

static void a_thing_is_made_described_and_deleted(void **state) {
    struct world world;
    world_begin(&world);
    assert_int_equal(world_ask(&world, "POST /things/lamp",
                               "{\"attributePayload\":{\"attributes\":{\"room\":\"k-1\"}}}"),
                     200);
    assert_true(world_has(&world,
                          "{\"thingName\":\"lamp\",\"thingArn\":"
                          "\"arn:aws:iot:us-east-1:000000000000:thing/lamp\",\"thingId\":"));
    assert_int_equal(world_ask(&world, "GET /things/lamp", ""), 200);
    assert_true(world_has(&world, "{\"defaultClientId\":\"lamp\",\"thingName\":\"lamp\""));
    assert_true(world_has(&world, "\"attributes\":{\"room\":\"k-1\"},\"version\":1}"));
    /* Once more the same is fine, another one is not. */
    assert_int_equal(world_ask(&world, "POST /things/lamp",
                               "{\"attributePayload\":{\"attributes\":{\"room\":\"k-1\"}}}"),
                     200);
    assert_int_equal(world_ask(&world, "POST /things/lamp", ""), 409);
    assert_string_equal(world.answer.error, "ResourceAlreadyExistsException");
    assert_int_equal(world_ask(&world, "DELETE /things/lamp?expectedVersion=2", ""), 409);
    assert_int_equal(world_ask(&world, "DELETE /things/lamp?expectedVersion=1", ""), 200);
    assert_int_equal(world_ask(&world, "DELETE /things/lamp", ""), 200);
    assert_int_equal(world_ask(&world, "GET /things/lamp", ""), 404);
    assert_string_equal(world.answer.error, "ResourceNotFoundException");
    world_end(&world);
}

static void updates_replace_or_merge_attributes(void **state) {
    struct world world;
    world_begin(&world);
    world_ask(&world, "POST /things/a",
              "{\"thingTypeName\":\"T\",\"attributePayload\":"
              "{\"attributes\":{\"x\":\"1\",\"y\":\"2\"}}}");
    assert_int_equal(world_ask(&world, "PATCH /things/a",
                               "{\"attributePayload\":{\"attributes\":{\"x\":\"\",\"z\":\"3\"},"
                               "\"merge\":true},\"expectedVersion\":1}"),
                     200);
    world_ask(&world, "GET /things/a", "");
    assert_true(world_has(&world, "\"thingTypeName\":\"T\",\"attributes\":"
                                  "{\"y\":\"2\",\"z\":\"3\"},\"version\":2}"));
    assert_int_equal(world_ask(&world, "PATCH /things/a", "{\"expectedVersion\":1}"), 409);
    assert_string_equal(world.answer.error, "VersionConflictException");
    assert_int_equal(world_ask(&world, "PATCH /things/a",
                               "{\"removeThingType\":true,\"attributePayload\":"
                               "{\"attributes\":{\"w\":\"4\"}}}"),
                     200);
    world_ask(&world, "GET /things/a", "");
    assert_false(world_has(&world, "thingTypeName"));
    assert_true(world_has(&world, "\"attributes\":{\"w\":\"4\"},\"version\":3}"));
    assert_int_equal(world_ask(&world, "PATCH /things/none", "{}"), 404);
    world_end(&world);
}

static void what_is_no_thing_is_refused(void **state) {
    static const struct {
        const char *line, *body;
        int status;
    } cases[] = {
        {"POST /things/a%2Fb", "", 400},
        {"POST /things/a", "[]", 400},
        {"POST /things/a", "{\"thingTypeName\":\"a b\"}", 400},
        {"POST /things/a", "{\"billingGroupName\":\"b\"}", 404},
        {"POST /things/a", "{\"attributePayload\":{\"attributes\":{\"a b\":\"1\"}}}", 400},
        {"POST /things/a", "{\"attributePayload\":{\"attributes\":{\"a\":1}}}", 400},
        {"POST /things/a", "{\"attributePayload\":{\"attributes\":{\"a\":\"b c\"}}}", 400},
        {"POST /things/a",
         "{\"attributePayload\":{\"attributes\":{\"a\":\"1\",\"b\":\"1\",\"c\":\"1\",\"d\":\"1\"}}"
         "}",
         400},
        {"GET /things?maxResults=251", "", 400},
        {"GET /things?nextToken=%21", "", 400},
    };
    struct world world;
    world_begin(&world);
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        if (world_ask(&world, cases[i].line, cases[i].body) != cases[i].status)
            fail_msg("%s %s gives %d", cases[i].line, cases[i].body, world.answer.status);
    assert_int_equal(metric_get(&world.things->registry.count), 0);
    world_end(&world);
}

static void things_are_listed_in_pages(void **state) {
    struct world world;
    world_begin(&world);
    world_ask(&world, "POST /things/c", "{\"thingTypeName\":\"T\"}");
    world_ask(&world, "POST /things/a", "{\"attributePayload\":{\"attributes\":{\"x\":\"12\"}}}");
    world_ask(&world, "POST /things/b", "");
    assert_int_equal(world_ask(&world, "GET /things?maxResults=2", ""), 200);
    assert_true(world_has(&world, "\"thingName\":\"a\""));
    assert_false(world_has(&world, "\"thingName\":\"c\""));
    assert_true(world_has(&world, "],\"nextToken\":\"Yg==\"}"));
    world_ask(&world, "GET /things?maxResults=2&nextToken=Yg%3D%3D", "");
    assert_false(world_has(&world, "\"thingName\":\"b\""));
    assert_true(world_has(&world, "\"thingName\":\"c\""));
    assert_false(world_has(&world, "nextToken"));
    world_ask(&world, "GET /things?thingTypeName=T", "");
    assert_false(world_has(&world, "\"thingName\":\"a\""));
    assert_true(world_has(&world, "\"thingName\":\"c\""));
    world_ask(&world, "GET /things?attributeName=x&attributeValue=1", "");
    assert_string_equal(buf_cstr(&world.answer.body), "{\"things\":[]}");
    world_ask(&world, "GET /things?attributeName=x&attributeValue=1&usePrefixAttributeValue=true",
              "");
    assert_true(world_has(&world, "\"thingName\":\"a\""));
    world_end(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thing_is_made_described_and_deleted),
        cmocka_unit_test(updates_replace_or_merge_attributes),
        cmocka_unit_test(what_is_no_thing_is_refused),
        cmocka_unit_test(things_are_listed_in_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
