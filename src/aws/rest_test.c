/* What goes by its path on the api listener, and who may ask. */
#include "aws/test_world.h"

#include "base/conf_rig.h"

static void run_echo(struct rest_call *call) {
    buf_printf(&call->output, "\"%s %.*s\"", call->caller ? call->caller : "nobody",
               STR_ARG(call->labels[0]));
    rest_answer(call, 200);
}

static const struct rest_route routes[] = {
    {"GET", "/echo/{text+}", run_echo, NULL, NULL},
    {"GET", "/things/{thingName}", run_echo, "iot:DescribeThing", "thing/0"},
    {"GET", "/arns/{arn+}", run_echo, "iot:GetTopicRuleDestination", "0"},
    {0}};
static const struct rest_service service = {"echo reverb", routes, NULL};

static void ask(struct world *world, const char *method, const char *path, const char *headers) {
    struct buf request = {0};
    buf_printf(&request, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\n", method, path,
               headers);
    world_exchange(world, buf_str(&request));
    buf_done(&request);
}

static struct world *begin(enum aws_auth auth) {
    struct world *world = world_new(auth, NULL);
    world->rest = &service;
    world_start(world);
    return world;
}

static void a_path_is_answered_by_its_service(void **state) {
    struct world *world = begin(AWS_AUTH_OPEN);
    ask(world, "GET", "/echo/a%2Fb", "");
    assert_int_equal(world->status, 200);
    assert_str(world->body, "\"nobody a/b\"");
    assert_non_null(strstr(buf_cstr(&world->answer), "\r\nx-amzn-RequestId: "));
    ask(world, "GET", "/other", "");
    assert_int_equal(world->status, 404);
    assert_text(world, "message", "There is no path /other here.");
    assert_non_null(
        strstr(buf_cstr(&world->answer), "\r\nx-amzn-ErrorType: UnknownOperationException\r\n"));
    ask(world, "POST", "/echo/a", "Content-Length: 0\r\n");
    assert_int_equal(world->status, 405);
    ask(world, "GET", "/echo/a", "Origin: https://evil.example\r\n");
    assert_int_equal(world->status, 403);
    world_end(world);
}

/* Signed for the service of that name. */
static void ask_signed(struct world *world, const char *path, const char *name) {
    world_exchange_signed(world, name, "GET", path, NULL, (struct str){0});
}

static void each_service_has_a_name_to_sign_for(void **state) {
    struct world *world = begin(AWS_AUTH_SIGV4);
    ask_signed(world, "/echo/a%2Fb", "echo");
    assert_int_equal(world->status, 200);
    assert_str(world->body, "\"AKIAIOSFODNN7EXAMPLE a/b\"");
    ask_signed(world, "/echo/a", "reverb");
    assert_int_equal(world->status, 200);
    ask_signed(world, "/echo/a", "kinesis");
    assert_int_equal(world->status, 403);
    assert_text(world, "message", "Credential should be scoped to correct service: 'echo'.");
    ask(world, "GET", "/echo/a", "");
    assert_int_equal(world->status, 403);
    assert_text(world, "message", "Missing Authentication Token");
    assert_non_null(strstr(buf_cstr(&world->answer),
                           "\r\nx-amzn-ErrorType: MissingAuthenticationTokenException\r\n"));
    ask(world, "GET", "/other", "");
    assert_int_equal(world->status, 404);
    world_end(world);
}

/* A route without an action of its own stands for all of its service. */
static void who_has_a_policy_may_do_what_it_says(void **state) {
    static const char document[] =
        "{'p':{'Statement':[{'Effect':'Allow','Action':'iot:DescribeThing',"
        "'Resource':'arn:aws:iot:us-east-1:000000000000:thing/a'},"
        "{'Effect':'Allow','Action':'iot:Get*','Resource':'arn:x'}]}}";
    struct world *world = world_new(AWS_AUTH_SIGV4, NULL);
    struct arena arena = {0};
    struct iam_policies *policies;
    struct err err;
    assert_int_equal(
        iam_policies_compile(conf_from_text(&arena, str_of(document)), &policies, &err), 0);
    world->credential.iam = iam_policy_find(policies, "p");
    world->rest = &service;
    world_start(world);
    ask_signed(world, "/things/a", "echo");
    assert_int_equal(world->status, 200);
    ask_signed(world, "/arns/arn:x", "echo");
    assert_int_equal(world->status, 200);
    ask_signed(world, "/things/b", "echo");
    assert_int_equal(world->status, 403);
    assert_text(world, "message",
                "User: arn:aws:iam::000000000000:user/AKIAIOSFODNN7EXAMPLE is not authorized to "
                "perform: iot:DescribeThing on resource: "
                "arn:aws:iot:us-east-1:000000000000:thing/b because no identity-based policy "
                "allows the iot:DescribeThing action");
    ask_signed(world, "/arns/arn:y", "echo");
    assert_int_equal(world->status, 403);
    ask_signed(world, "/echo/a", "echo");
    assert_int_equal(world->status, 403);
    assert_non_null(strstr(buf_cstr(&world->answer), "perform: echo:* on resource: * "));
    world_end(world);
    iam_policies_free(policies);
    arena_done(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_is_answered_by_its_service),
        cmocka_unit_test(each_service_has_a_name_to_sign_for),
        cmocka_unit_test(who_has_a_policy_may_do_what_it_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
