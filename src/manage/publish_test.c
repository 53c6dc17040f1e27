#include "base/test.h"

#include "base/base64.h"
#include "manage/test_world.h"

static int publish(struct world *world, const char *line, const struct http_header *headers,
                   size_t header_count) {
    struct http_request request = world_request(line);
    request.headers = headers;
    request.header_count = header_count;
    request.body = STR("text");
    world->answer.status = 0;
    world_call(world, &request);
    if (!world->answer.status) /* It waits for the disk. */
        world_commit(world, world->ticket, 0);
    return world->answer.status;
}

static void it_is_answered_as_aws_does(void **state) {
    struct world world;
    world_begin(&world);
    assert_int_equal(publish(&world, "POST /topics/rule%2Fa", NULL, 0), 200);
    assert_true(world_body_has(&world, "{\"message\":\"OK\",\"traceId\":\""));
    assert_int_equal(world.rules_count, 1);
    assert_string_equal(world.names, " 127.0.0.1");
    world_end(&world);
}

static void qos_1_waits_for_the_disk(void **state) {
    struct world world;
    world_begin(&world);
    struct http_request first = world_request("POST /topics/rule/a?qos=1"), second = first;
    world.ticket = 7;
    world_call(&world, &first);
    world.ticket = 8;
    world_call(&world, &second);
    world_commit(&world, 6, 0);
    assert_int_equal(world.answer.count, 0);
    world_commit(&world, 7, 0);
    assert_int_equal(world.answer.count, 1);
    assert_int_equal(world.answer.status, 200);
    world_commit(&world, 8, ERR_NO_SPACE);
    assert_int_equal(world.answer.count, 2);
    assert_int_equal(world.answer.status, 503);
    assert_string_equal(world.answer.error, "ServiceUnavailableException");
    struct http_request third = world_request("POST /topics/none?qos=1");
    world_call(&world, &third); /* Nothing is staged: nothing is waited for. */
    assert_int_equal(world.answer.count, 3);
    world_end(&world);
}

static void without_room_it_is_to_be_tried_again(void **state) {
    struct world world;
    world_begin(&world);
    world.full = true;
    assert_int_equal(publish(&world, "POST /topics/a?qos=1", NULL, 0), 429);
    assert_string_equal(world.answer.error, "ThrottlingException");
    world_end(&world);
}

static void what_it_says_becomes_properties(void **state) {
    struct world world;
    struct buf encoded = {0};
    static const uint8_t expected[] =
        "\x01\x01\x02\x00\x00\x0e\x10\x03\x00\x03t/x\x08\x00\x03r/s\x09\x00"
        "\x02\x01\xff\x26\x00\x01k\x00\x01v\x26\x00\x01k\x00\x00";
    world_begin(&world);
    base64_write(&encoded, STR("[{\"k\":\"v\"},{\"k\":\"\"}]"));
    const struct http_header headers[] = {
        {STR("X-Amz-Mqtt5-Payload-Format-Indicator"), STR("UTF8_DATA")},
        {STR("x-amz-mqtt5-correlation-data"), STR("Af8=")},
        {STR("x-amz-mqtt5-user-properties"), buf_str(&encoded)}};
    assert_int_equal(
        publish(&world,
                "POST /topics/rule/a?contentType=t%2Fx&responseTopic=r%2Fs&messageExpiry=3600",
                headers, COUNT_OF(headers)),
        200);
    assert_int_equal(buf_len(&world.rules_properties), sizeof expected - 1);
    assert_memory_equal(buf_at(&world.rules_properties), expected, sizeof expected - 1);
    buf_done(&encoded);
    world_end(&world);
}

static void user_properties_may_be_a_text_that_holds_them(void **state) {
    struct world world;
    struct buf encoded = {0};
    world_begin(&world);
    base64_write(&encoded, STR("\"[{\\\"k\\\":\\\"v\\\"}]\""));
    const struct http_header header = {STR("x-amz-mqtt5-user-properties"), buf_str(&encoded)};
    assert_int_equal(publish(&world, "POST /topics/rule/a", &header, 1), 200);
    assert_int_equal(buf_len(&world.rules_properties), 7);
    buf_done(&encoded);
    world_end(&world);
}

static void what_is_no_message_is_refused(void **state) {
    static const char *const lines[] = {"POST /topics/a%2B",
                                        "POST /topics/%00",
                                        "POST /topics/a?qos=2",
                                        "POST /topics/a?qos=",
                                        "POST /topics/a?retain=1",
                                        "POST /topics/a?responseTopic=%23",
                                        "POST /topics/a?messageExpiry=4294967296",
                                        "POST /topics/a?contentType=%ff"};
    static const struct http_header headers[] = {
        {STR("x-amz-mqtt5-payload-format-indicator"), STR("TEXT")},
        {STR("x-amz-mqtt5-correlation-data"), STR("%")},
        {STR("x-amz-mqtt5-user-properties"), STR("e30=")},         /* {} */
        {STR("x-amz-mqtt5-user-properties"), STR("W3siYSI6MX1d")}, /* [{"a":1}] */
        {STR("x-amz-mqtt5-user-properties"), STR("WzFd")},         /* [1] */
        {STR("x-amz-mqtt5-user-properties"), STR("!")}};
    struct world world;
    world_begin(&world);
    for (size_t i = 0; i < COUNT_OF(lines); i++)
        assert_int_equal(publish(&world, lines[i], NULL, 0), 400);
    for (size_t i = 0; i < COUNT_OF(headers); i++)
        assert_int_equal(publish(&world, "POST /topics/rule/a", &headers[i], 1), 400);
    assert_int_equal(world.rules_count, 0);
    world_end(&world);
}

static void a_payload_is_bounded(void **state) {
    char payload[1001] = {0};
    struct world world;
    world_begin(&world);
    struct http_request request = world_request("POST /topics/a");
    request.body = str_from(payload, sizeof payload);
    world_call(&world, &request);
    assert_int_equal(world.answer.status, 413);
    assert_string_equal(world.answer.error, "RequestEntityTooLargeException");
    world_end(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_answered_as_aws_does),
        cmocka_unit_test(qos_1_waits_for_the_disk),
        cmocka_unit_test(without_room_it_is_to_be_tried_again),
        cmocka_unit_test(what_it_says_becomes_properties),
        cmocka_unit_test(user_properties_may_be_a_text_that_holds_them),
        cmocka_unit_test(what_is_no_message_is_refused),
        cmocka_unit_test(a_payload_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
