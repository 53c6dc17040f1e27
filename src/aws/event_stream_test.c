#include "base/test.h"

#include "aws/event_stream.h"
#include "base/base64.h"

/* As captured from the service. */
static void the_first_frame_is_as_the_service_sends_it(void **state) {
    struct buf frame = {0}, hex = {0};
    aws_frame_event(&frame, "initial-response", "application/x-amz-json-1.1", STR("{}"));
    hex_write(&hex, buf_str(&frame));
    assert_str(
        buf_str(&hex),
        "0000007200000060ab820d9e0b3a6576656e742d74797065070010696e697469616c2d726573706f6e73"
        "650d3a636f6e74656e742d7479706507001a6170706c69636174696f6e2f782d616d7a2d6a736f6e2d31"
        "2e310d3a6d6573736167652d747970650700056576656e747b7dacae6b7d");
    buf_done(&frame);
    buf_done(&hex);
}

static void a_heartbeat_has_the_sums_of_the_service(void **state) {
    struct buf frame = {0}, hex = {0};
    aws_frame_event(&frame, "SubscribeToShardEvent", "application/x-amz-json-1.1",
                    STR("{\"ContinuationSequenceNumber\":"
                        "\"49678472157302553202470682887367170888194033571636183058\","
                        "\"MillisBehindLatest\":0,\"Records\":[]}"));
    assert_int_equal(buf_len(&frame), 242);
    hex_write(&hex, buf_str(&frame));
    assert_memory_equal(buf_at(&hex), "000000f2000000656a0e4983", 24);
    assert_memory_equal(buf_at(&hex) + 2 * 238, "ad1f00f2", 8);
    buf_done(&frame);
    buf_done(&hex);
}

static void frames_follow_one_another(void **state) {
    struct buf frames = {0}, alone = {0};
    aws_frame_event(&frames, "initial-response", "application/x-amz-json-1.1", STR("{}"));
    size_t first = buf_len(&frames);
    aws_frame_exception(&frames, "ResourceInUseException", "application/x-amz-json-1.1", STR("{}"));
    aws_frame_exception(&alone, "ResourceInUseException", "application/x-amz-json-1.1", STR("{}"));
    assert_int_equal(buf_len(&frames), first + buf_len(&alone));
    assert_memory_equal(buf_at(&frames) + first, buf_at(&alone), buf_len(&alone));
    buf_done(&frames);
    buf_done(&alone);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_frame_is_as_the_service_sends_it),
        cmocka_unit_test(a_heartbeat_has_the_sums_of_the_service),
        cmocka_unit_test(frames_follow_one_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
