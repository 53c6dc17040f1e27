#include "base/test.h"

#include "things/intake.h"
#include "things/shadow_document.h"
#include "things/shadow_request.h"

/* Keeps the last entry, or refuses it. */
struct kept {
    struct journal journal;
    struct buf entry;
    int code;
};

static int append(struct journal *journal, struct str entry) {
    struct kept *kept = CONTAINER_OF(journal, struct kept, journal);
    buf_clear(&kept->entry);
    buf_add_str(&kept->entry, entry);
    return kept->code;
}

static int push(struct things_intake *intake, const struct message *message) {
    struct message_sink *sink = things_intake_sink(intake);
    const void *route = sink->route(sink, message->topic);
    assert_non_null(route);
    return sink->push(sink, route, message);
}

static void a_request_is_appended(void **state) {
    struct kept kept = {.journal.append = append};
    struct things_intake *intake = things_intake_new(&kept.journal);
    struct message message = {.topic = STR("$aws/things/a/shadow/name/b/update"),
                              .payload = STR("{}"),
                              .republish_depth = 2};
    struct shadow_request request;
    assert_int_equal(push(intake, &message), MESSAGE_STAGED);
    assert_int_equal(shadow_request_read(buf_str(&kept.entry), &request), 0);
    assert_int_equal(request.operation, SHADOW_UPDATE);
    assert_int_equal(request.depth, 2);
    assert_true(str_eq(request.payload, STR("{}")));
    kept.code = ERR_NO_SPACE;
    assert_int_equal(push(intake, &message), ERR_NO_SPACE);
    things_intake_free(intake);
    buf_done(&kept.entry);
}

/* What would be rejected for its size is not kept. */
static void a_large_payload_is_left_out(void **state) {
    struct kept kept = {.journal.append = append};
    struct things_intake *intake = things_intake_new(&kept.journal);
    static const char large[SHADOW_REQUEST_BYTES_MAX + 1];
    struct message message = {.topic = STR("$aws/things/a/shadow/update"),
                              .payload = str_from(large, sizeof large)};
    struct shadow_request request;
    assert_int_equal(push(intake, &message), MESSAGE_STAGED);
    assert_int_equal(shadow_request_read(buf_str(&kept.entry), &request), 0);
    assert_true(request.too_large && !request.payload.len);
    message.payload.len--;
    assert_int_equal(push(intake, &message), MESSAGE_STAGED);
    assert_int_equal(shadow_request_read(buf_str(&kept.entry), &request), 0);
    assert_false(request.too_large);
    assert_int_equal(request.payload.len, SHADOW_REQUEST_BYTES_MAX);
    things_intake_free(intake);
    buf_done(&kept.entry);
}

static void answers_are_ours_alone(void **state) {
    struct kept kept = {.journal.append = append};
    struct things_intake *intake = things_intake_new(&kept.journal);
    struct message answer = {.topic = STR("$aws/things/a/shadow/update/accepted")};
    assert_int_equal(push(intake, &answer), ERR_DENIED);
    things_intake_pass(intake, true);
    assert_int_equal(push(intake, &answer), MESSAGE_TAKEN);
    assert_int_equal(push(intake, &answer), ERR_DENIED);
    assert_int_equal(buf_len(&kept.entry), 0);
    things_intake_free(intake);
}

static void nothing_is_retained(void **state) {
    struct kept kept = {.journal.append = append};
    struct things_intake *intake = things_intake_new(&kept.journal);
    struct message message = {.topic = STR("$aws/things/a/shadow/get"), .retain = true};
    assert_int_equal(push(intake, &message), ERR_UNSUPPORTED);
    assert_int_equal(buf_len(&kept.entry), 0);
    things_intake_free(intake);
}

static void other_topics_have_no_route(void **state) {
    struct kept kept = {.journal.append = append};
    struct things_intake *intake = things_intake_new(&kept.journal);
    struct message_sink *sink = things_intake_sink(intake);
    assert_null(sink->route(sink, STR("a/b")));
    assert_null(sink->route(sink, STR("$aws/things/a/jobs/get")));
    things_intake_free(intake);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_appended),      cmocka_unit_test(a_large_payload_is_left_out),
        cmocka_unit_test(answers_are_ours_alone),     cmocka_unit_test(nothing_is_retained),
        cmocka_unit_test(other_topics_have_no_route),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
