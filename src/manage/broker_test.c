#include "base/test.h"

#include "manage/test_world.h"

static void clients_come_in_pages(void **state) {
    struct world world;
    struct world_client clients[3];
    world_begin(&world);
    client_open(&world, &clients[0], "c1", false);
    client_open(&world, &clients[1], "c2", false);
    client_open(&world, &clients[2], "d1", false);
    assert_int_equal(world_ask(&world, "GET /v1/clients?prefix=c&limit=1"), 200);
    assert_true(world_body_has(&world, "{\"clients\":[{\"client_id\":\"c1\",\"connected\":true,"));
    assert_true(world_body_has(&world, "}],\"next\":\"6331\"}"));
    assert_int_equal(world_ask(&world, "GET /v1/clients?prefix=c&limit=1&next=6331"), 200);
    assert_true(world_body_has(&world, "\"client_id\":\"c2\""));
    assert_false(world_body_has(&world, "next"));
    for (int i = 0; i < 3; i++)
        client_done(&world, &clients[i]);
    world_end(&world);
}

static void a_client_is_shown_and_ended(void **state) {
    struct world world;
    struct world_client client;
    world_begin(&world);
    client_open(&world, &client, "c1", true);
    assert_int_equal(world_ask(&world, "GET /v1/clients/%631"), 200);
    assert_true(world_body_has(&world, "\"filters\":[]"));
    assert_int_equal(world_ask(&world, "DELETE /v1/clients/c1"), 200);
    assert_true(client.closed);
    client_done(&world, &client);
    assert_int_equal(world_ask(&world, "DELETE /v1/clients/c1"), 404);
    assert_true(world_body_has(&world, "forget_session=true ends the session"));
    assert_int_equal(world_ask(&world, "DELETE /v1/clients/c1?forget_session=true"), 200);
    assert_int_equal(world_ask(&world, "DELETE /v1/clients/c1?forget_session=true"), 404);
    assert_int_equal(world_ask(&world, "GET /v1/clients/c1"), 404);
    assert_string_equal(world.answer.error, "ResourceNotFoundException");
    world_end(&world);
}

static void retained_messages_are_removed_as_a_client_would(void **state) {
    struct world world;
    world_begin(&world);
    assert_int_equal(world_ask(&world, "POST /topics/a/b?retain=true"), 200);
    assert_int_equal(world_ask(&world, "GET /v1/retained/a/b"), 404); /* It was empty. */
    struct http_request request = world_request("POST /topics/rule%2Fb?retain=true");
    request.body = STR("x");
    world_call(&world, &request);
    assert_int_equal(world_ask(&world, "GET /v1/retained"), 200);
    assert_true(world_body_has(&world, "{\"retained\":[{\"topic\":\"rule/b\",\"qos\":0,"));
    unsigned before = world.answer.count;
    request = world_request("DELETE /v1/retained/rule/b");
    world_call(&world, &request);
    for (int i = 0; i < 10; i++)
        world_turn(&world);
    assert_int_equal(world.answer.count,
                     before); /* A rule has staged it: the disk is waited for. */
    world_commit(&world, 1, 0);
    assert_int_equal(world.answer.count, before + 1);
    assert_true(world_body_is(&world, "{\"topic\":\"rule/b\",\"deleted\":true}"));
    assert_int_equal(world_ask(&world, "DELETE /v1/retained/rule/b"), 404);
    world_end(&world);
}

static void who_has_gone_is_not_answered(void **state) {
    struct world world;
    world_begin(&world);
    struct http_request request = world_request("GET /v1/subscriptions");
    world_call(&world, &request);
    world.answer.status = 0;
    request.on_abort(&request);
    for (int i = 0; i < 100 && !world.answer.count; i++)
        world_turn(&world);
    assert_int_equal(world.answer.count, 1);
    assert_int_equal(world.answer.status, 0);
    world_end(&world);
}

static void bad_questions_are_refused(void **state) {
    static const char *const lines[] = {"GET /v1/clients?limit=1001",
                                        "GET /v1/clients?connected=1",
                                        "GET /v1/subscriptions?next=zz",
                                        "GET /v1/subscriptions?next=",
                                        "GET /v1/retained?filter=a%23",
                                        "GET /v1/retained/%2B",
                                        "DELETE /v1/retained/%23",
                                        "DELETE /v1/clients/c?forget_session=",
                                        "DELETE /v1/clients/c?prevent_will=2"};
    struct world world;
    world_begin(&world);
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        assert_int_equal(world_ask(&world, lines[i]), 400);
        assert_string_equal(world.answer.error, "InvalidRequestException");
    }
    world_end(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clients_come_in_pages),
        cmocka_unit_test(a_client_is_shown_and_ended),
        cmocka_unit_test(retained_messages_are_removed_as_a_client_would),
        cmocka_unit_test(who_has_gone_is_not_answered),
        cmocka_unit_test(bad_questions_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
