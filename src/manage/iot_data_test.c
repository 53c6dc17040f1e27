#include "base/test.h"

#include "manage/test_world.h"

static void retain(struct world *world, const char *line, struct str payload) {
    struct http_request request = world_request(line);
    request.body = payload;
    world_call(world, &request);
    assert_int_equal(world->answer.status, 200);
}

static void retained_messages_in_the_forms_of_aws(void **state) {
    struct world world;
    world_begin(&world);
    retain(&world, "POST /topics/a%2Fb?retain=true", STR("text"));
    retain(&world, "POST /topics/c?retain=true", STR("\xff\x00"));
    assert_int_equal(world_ask(&world, "GET /retainedMessage/a%2Fb"), 200);
    assert_true(world_body_has(&world, "{\"topic\":\"a/b\",\"payload\":\"dGV4dA==\",\"qos\":0,"
                                       "\"lastModifiedTime\":"));
    assert_true(world_body_has(&world, ",\"userProperties\":null}"));
    assert_int_equal(world_ask(&world, "GET /retainedMessage/c"), 200);
    assert_true(world_body_has(&world, "\"payload\":\"/wA=\""));
    assert_int_equal(world_ask(&world, "GET /retainedMessage/none"), 404);
    assert_int_equal(world_ask(&world, "GET /retainedMessage/%2B"), 400);
    world_end(&world);
}

static void the_list_comes_in_pages(void **state) {
    struct world world;
    world_begin(&world);
    assert_int_equal(world_ask(&world, "GET /retainedMessage"), 200);
    assert_true(world_body_is(&world, "{\"retainedTopics\":[]}"));
    retain(&world, "POST /topics/a?retain=true", STR("text"));
    retain(&world, "POST /topics/b?retain=true&qos=1", STR("x"));
    assert_int_equal(world_ask(&world, "GET /retainedMessage?maxResults=1"), 200);
    assert_true(world_body_has(&world, "{\"retainedTopics\":[{\"topic\":\"a\",\"payloadSize\":4,"
                                       "\"qos\":0,\"lastModifiedTime\":"));
    assert_true(world_body_has(&world, "}],\"nextToken\":\"61\"}"));
    assert_int_equal(world_ask(&world, "GET /retainedMessage?maxResults=1&nextToken=61"), 200);
    assert_true(world_body_has(&world, "[{\"topic\":\"b\",\"payloadSize\":1,\"qos\":1,"));
    assert_false(world_body_has(&world, "nextToken"));
    assert_int_equal(world_ask(&world, "GET /retainedMessage?maxResults=201"), 400);
    world_end(&world);
}

static void a_connection_is_deleted(void **state) {
    struct world world;
    struct world_client client;
    world_begin(&world);
    client_open(&world, &client, "c1", true);
    assert_int_equal(world_ask(&world, "DELETE /connections/c1"), 200);
    assert_true(client.closed);
    assert_true(world_body_is(&world, ""));
    client_done(&world, &client);
    assert_int_equal(world_ask(&world, "DELETE /connections/c1?cleanSession=true"), 200);
    assert_int_equal(world_ask(&world, "DELETE /connections/c1?cleanSession=true"), 404);
    assert_int_equal(world_ask(&world, "DELETE /connections/c1?preventWillMessage=x"), 400);
    world_end(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(retained_messages_in_the_forms_of_aws),
        cmocka_unit_test(the_list_comes_in_pages),
        cmocka_unit_test(a_connection_is_deleted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
