/* What goes by its path on the api listener, and who may ask. */
#include "aws/test_world.h"

#include "base/clock.h"
#include "http/sigv4.h"

static void run_echo(struct rest_call *call) {
    buf_printf(&call->output, "\"%s %.*s\"", call->caller ? call->caller : "nobody",
               STR_ARG(call->labels[0]));
    rest_answer(call, 200);
}

static const struct rest_route routes[] = {{"GET", "/echo/{text+}", run_echo}, {0}};
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
    char date[SIGV4_DATE_CHARS], hash[65];
    struct buf headers = {0};
    sigv4_date(clock_wall_ms(), date);
    sigv4_sha256_hex(STR(""), hash);
    const struct http_header covered[] = {{STR("host"), STR("x")},
                                          {STR("x-amz-date"), str_of(date)}};
    const struct sigv4_request signing = {.method = STR("GET"),
                                          .path = str_of(path),
                                          .headers = covered,
                                          .header_count = COUNT_OF(covered),
                                          .payload_hash = str_of(hash),
                                          .region = STR("eu-west-1"),
                                          .service = str_of(name),
                                          .amz_date = str_of(date)};
    buf_printf(&headers, "X-Amz-Date: %s\r\nAuthorization: ", date);
    sigv4_authorization(&headers, &signing, str_of(world->credential.access_key_id),
                        str_of(world->credential.secret_access_key));
    buf_add_str(&headers, STR("\r\n"));
    ask(world, "GET", path, buf_cstr(&headers));
    buf_done(&headers);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_is_answered_by_its_service),
        cmocka_unit_test(each_service_has_a_name_to_sign_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
