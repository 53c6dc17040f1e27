/* The order of checks, and what an answer looks like on the wire. */
#include "aws/test_world.h"

#define JSON_TYPE "application/x-amz-json-1.1"
#define LIST      "Kinesis_20131202.ListStreams"

static void send_raw(struct world *world, const char *head, const char *body) {
    struct buf request = {0};
    buf_printf(&request, "%s\r\nHost: x\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
               head, strlen(body), body);
    world_exchange(world, buf_str(&request));
    buf_done(&request);
}

static bool answer_has(struct world *world, const char *text) {
    return strstr(buf_cstr(&world->answer), text);
}

static void answers_carry_ids_and_the_date(void **state) {
    struct world *world = world_begin(AWS_AUTH_OPEN, NULL);
    world_ok(world, "ListStreams", "{}");
    assert_true(answer_has(world, "\r\nx-amzn-RequestId: "));
    assert_true(answer_has(world, "\r\nx-amz-id-2: "));
    assert_true(answer_has(world, "\r\nDate: "));
    assert_true(answer_has(world, "\r\nContent-Type: " JSON_TYPE "\r\n"));
    assert_false(answer_has(world, "Access-Control"));
    assert_int_equal(
        world_post(world, LIST, "Application/X-Amz-Json-1.1; charset=utf-8", STR("{}")), 200);
    world_end(world);
}

static void the_first_thing_that_is_wrong_is_told(void **state) {
    struct world *world = world_begin(AWS_AUTH_OPEN, NULL);
    send_raw(world, "GET / HTTP/1.1", "");
    assert_int_equal(world->status, 403);
    assert_true(answer_has(world, "Unable to determine service/operation name to be authorized"));
    world_post(world, LIST, JSON_TYPE, STR(""));
    assert_int_equal(world->status, 400);
    assert_str(world->body, "{\"__type\":\"SerializationException\"}");
    world_post(world, "Kinesis_20131202.Nothing", JSON_TYPE, STR(""));
    assert_str(world->body, "{\"__type\":\"UnknownOperationException\"}");
    assert_int_equal(world_post(world, NULL, "text/plain", STR("{}")), 403);
    assert_int_equal(world_post(world, LIST, "text/plain", STR("{}")), 404);
    assert_str(world->body, "<UnknownOperationException/>\n");
    world_post(world, LIST, JSON_TYPE, STR("{"));
    assert_text(world, "__type", "SerializationException");
    world_post(world, LIST, JSON_TYPE, STR("[]"));
    assert_text(world, "__type", "SerializationException");
    assert_int_equal(world_post(world, LIST, "application/json", STR("{}")), 404);
    assert_text(world, "Output.__type", "com.amazon.coral.service#UnknownOperationException");
    world_post(world, "Kinesis_20131202.Nothing", JSON_TYPE, STR("{}"));
    assert_int_equal(world->status, 400);
    assert_str(world->body, "{\"__type\":\"UnknownOperationException\"}");
    world_post(world, LIST, JSON_TYPE, STR("{\"Limit\":\"1\"}"));
    assert_text(world, "__type", "SerializationException");
    world_post(world, LIST, JSON_TYPE, STR("{\"Limit\":0}"));
    assert_text(world, "message",
                "1 validation error detected: Value '0' at 'limit' failed to satisfy constraint: "
                "Member must have value greater than or equal to 1");
    world_end(world);
}

static void errors_come_in_the_format_of_the_request(void **state) {
    struct world *world = world_begin(AWS_AUTH_OPEN, NULL);
    assert_int_equal(world_post(world, "Kinesis_20131202.DescribeStream",
                                "application/x-amz-cbor-1.1", STR("\xa1\x6aStreamName\x61x")),
                     400);
    assert_memory_equal(world->body.at, "\xbf\x66__type\x78\x19ResourceNotFoundException", 35);
    world_post(world, LIST, "application/x-amz-cbor-1.1", STR("\xff"));
    assert_memory_equal(world->body.at, "\xbf\x66__type\x76SerializationException", 31);
    world_end(world);
}

static void a_body_is_bounded(void **state) {
    struct world *world = world_begin(AWS_AUTH_OPEN, NULL);
    static const char head[] = "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: " JSON_TYPE
                               "\r\nX-Amz-Target: " LIST "\r\nContent-Length: 16777217\r\n\r\n";
    assert_int_equal(world_exchange(world, str_of(head)), 413);
    world_end(world);
}

/* Scripts of other sites must not reach a listener that asks nobody who he is. */
static void foreign_pages_are_refused_where_all_is_open(void **state) {
    struct world *world = world_begin(AWS_AUTH_OPEN, NULL);
    send_raw(world, "OPTIONS / HTTP/1.1\r\nOrigin: https://evil.example", "");
    assert_int_equal(world->status, 403);
    send_raw(world,
             "POST / HTTP/1.1\r\nOrigin: http://localhost.evil.example\r\nX-Amz-Target: " LIST
             "\r\nContent-Type: " JSON_TYPE,
             "{}");
    assert_int_equal(world->status, 403);
    send_raw(world,
             "POST / HTTP/1.1\r\nOrigin: http://localhost:3000\r\nX-Amz-Target: " LIST
             "\r\nContent-Type: " JSON_TYPE,
             "{}");
    assert_int_equal(world->status, 200);
    assert_true(answer_has(world, "Access-Control-Expose-Headers: x-amzn-RequestId"));
    send_raw(world,
             "OPTIONS / HTTP/1.1\r\nOrigin: http://[::1]:3000\r\n"
             "Access-Control-Request-Headers: x-amz-target\r\n"
             "Access-Control-Request-Method: POST",
             "");
    assert_int_equal(world->status, 200);
    assert_true(answer_has(world, "Access-Control-Allow-Headers: x-amz-target\r\n"));
    assert_true(answer_has(world, "Access-Control-Max-Age: 172800\r\n"));
    world_end(world);
}

static void nobody_gets_in_without_a_key(void **state) {
    struct world *world = world_begin(AWS_AUTH_SIGV4, NULL);
    assert_refused(world, "ListStreams", "{}", "MissingAuthenticationTokenException",
                   "Missing Authentication Token");
    send_raw(world,
             "POST / HTTP/1.1\r\nX-Amz-Date: 20240101T000000Z\r\nX-Amz-Target: " LIST
             "\r\nContent-Type: " JSON_TYPE "\r\nAuthorization: AWS4-HMAC-SHA256 Credential="
             "AKIAIOSFODNN7EXAMPLE/20240101/us-east-1/kinesis/aws4_request, "
             "SignedHeaders=host;x-amz-date;x-amz-target, Signature=00",
             "{}");
    assert_text(world, "__type", "InvalidSignatureException");
    assert_true(str_starts(world_text(world, "message"), STR("Signature expired")));
    world_end(world);
}

static int check_config(struct aws_config config, size_t credentials, struct err *err) {
    struct aws_credential all[] = {{.access_key_id = "A", .secret_access_key = "s"},
                                   {.access_key_id = "A", .secret_access_key = "t"}};
    struct conf conf = {.type = CONF_MAP, .file = "f"};
    const struct option_items items = {all, credentials};
    config.head.conf = all[0].head.conf = all[1].head.conf = &conf;
    config.account = config.account ? config.account : "000000000000";
    return aws_config_check(&config, &items, err);
}

static void what_would_be_open_to_the_world_is_refused(void **state) {
    struct err err;
    const struct aws_config open = {.bind = "127.0.0.1:0", .auth = AWS_AUTH_OPEN};
    assert_int_equal(check_config(open, 0, &err), 0);
    const struct aws_config open_world = {.bind = "0.0.0.0:0", .auth = AWS_AUTH_OPEN};
    assert_int_equal(check_config(open_world, 1, &err), ERR_INVALID);
    const struct aws_config keyless = {.bind = "127.0.0.1:0", .auth = AWS_AUTH_SIGV4};
    assert_int_equal(check_config(keyless, 0, &err), ERR_INVALID);
    assert_int_equal(check_config(keyless, 1, &err), 0);
    assert_int_equal(check_config(keyless, 2, &err), ERR_INVALID); /* the same id twice */
    struct aws_config plain = {.bind = "0.0.0.0:0", .auth = AWS_AUTH_SIGV4};
    assert_int_equal(check_config(plain, 1, &err), ERR_INVALID);
    plain.plaintext = true;
    assert_int_equal(check_config(plain, 1, &err), 0);
    plain.account = "12";
    assert_int_equal(check_config(plain, 1, &err), ERR_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_carry_ids_and_the_date),
        cmocka_unit_test(the_first_thing_that_is_wrong_is_told),
        cmocka_unit_test(errors_come_in_the_format_of_the_request),
        cmocka_unit_test(a_body_is_bounded),
        cmocka_unit_test(foreign_pages_are_refused_where_all_is_open),
        cmocka_unit_test(nobody_gets_in_without_a_key),
        cmocka_unit_test(what_would_be_open_to_the_world_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
