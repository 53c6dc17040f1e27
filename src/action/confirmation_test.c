#include "action/destination_world_test.h"

static void expect_asked(struct destination_world *world, const struct destination *destination,
                         const char *target) {
    char *line = xprintf(
        "%s=%s DestinationConfirmation arn:aws:iot:us-east-1:000000000000:ruledestination/http/%s "
        "application/json {\"arn\":\"arn:aws:iot:us-east-1:000000000000:ruledestination/http/%s\","
        "\"confirmationToken\":\"%s\",\"enableUrl\":\"http://weir:8080/confirmdestination/%s\","
        "\"messageType\":\"DestinationConfirmation\"}\n",
        target, destination->token, destination->uuid, destination->uuid, destination->token,
        destination->token);
    assert_string_equal(buf_cstr(&world->asked), line);
    buf_clear(&world->asked);
    free(line);
}

static void the_message_is_aws_s(void **state) {
    static const struct {
        const char *path, *target;
    } cases[] = {
        {"/in", "/in/?confirmationToken"},
        {"/in/", "/in/?confirmationToken"},
        {"/in?a=b", "/in?a=b&confirmationToken"},
        {"", "/?confirmationToken"},
    };
    struct destination_world world;
    world_begin(&world);
    for (unsigned i = 0; i < COUNT_OF(cases); i++) {
        struct destination *destination = world_add(&world, cases[i].path);
        world_settle(&world, i + 1);
        expect_asked(&world, destination, cases[i].target);
    }
    world_end(&world);
}

static void what_was_answered_is_told(void **state) {
    struct destination_world world;
    struct err err;
    world_begin(&world);
    struct destination *destination = world_add(&world, "/in");
    assert_string_equal(destination->outcome, "no response received from the endpoint");
    world_settle(&world, 1);
    assert_string_equal(destination->outcome,
                        "the endpoint took it, and the token has not come back yet");
    world.status = 503;
    assert_int_equal(destination_set(destination, DESTINATION_IN_PROGRESS, &err), 0);
    world_settle(&world, 2);
    assert_string_equal(destination->outcome, "the endpoint answered with 503");
    assert_int_equal(
        destination_add(world.destinations, STR("http://127.0.0.1:1/"), NULL, &destination, &err),
        0);
    world_settle(&world, 2);
    assert_true(
        str_starts(str_of(destination->outcome), STR("no response received from the endpoint: ")));
    world_end(&world);
}

/* A second message while one is under way would be answered for the first. */
static void one_message_at_a_time(void **state) {
    struct destination_world world;
    world_begin(&world);
    struct destination *destination = world_add(&world, "/in");
    destination_post(destination, NULL);
    world_settle(&world, 1);
    assert_int_equal(world.requests, 1);
    destination_post(destination, NULL);
    destination_post_cancel(destination);
    destination_post_cancel(destination);
    world_end(&world);
}

/* Its memory is gone by then. */
static void an_answer_that_comes_after_the_end_finds_nobody(void **state) {
    struct destination_world world;
    struct err err;
    world_begin(&world);
    struct destination *destination = world_add(&world, "/in");
    while (world.requests < 1)
        world_turn(&world);
    assert_non_null(destination->call);
    assert_int_equal(destination_delete(destination, &err), 0);
    for (int i = 0; i < 20; i++)
        uv_run(loop_uv(world.loop), UV_RUN_NOWAIT);
    destination = world_add(&world, "/in");
    world_settle(&world, 2);
    assert_null(destination->call);
    world_end(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_message_is_aws_s),
        cmocka_unit_test(what_was_answered_is_told),
        cmocka_unit_test(one_message_at_a_time),
        cmocka_unit_test(an_answer_that_comes_after_the_end_finds_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
