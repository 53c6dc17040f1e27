#include "base/test.h"

#include <stdlib.h>

#include "base/mem.h"
#include "things/intake.h"
#include "things/shadow_document.h"
#include "things/shadow_request.h"
#include "things/store.h"

/* A journal that keeps the last entry, or refuses it, and a broker. */
struct rig {
    struct things *things;
    struct things_intake *intake;
    struct journal journal;
    struct sink_gate gate;
    struct message_publisher publisher;
    struct buf entry, published; /* "TOPIC PAYLOAD\n" */
    unsigned entry_count, published_depth;
    int code, publish_result;
    bool nobody_hears, asks_again;
};

static int append(struct journal *journal, struct str entry) {
    struct rig *rig = CONTAINER_OF(journal, struct rig, journal);
    buf_clear(&rig->entry);
    buf_add_str(&rig->entry, entry);
    rig->entry_count += !rig->code;
    return rig->code;
}

static uint64_t end(struct journal *journal) {
    return 0;
}

static int push(struct rig *rig, const struct message *message) {
    struct message_sink *sink = things_intake_sink(rig->intake);
    const void *route = sink->route(sink, message->topic);
    assert_non_null(route);
    return sink->push(sink, route, message);
}

/* The answer passes; with `asks_again` a rule makes of it what it answers. */
static int publish(struct message_publisher *publisher, const struct message *message) {
    struct rig *rig = CONTAINER_OF(publisher, struct rig, publisher);
    assert_int_equal(push(rig, message), MESSAGE_TAKEN);
    if (rig->asks_again && message->republish_depth < 3) {
        struct message request = {.topic = STR("$aws/things/a/shadow/get"),
                                  .republish_depth = message->republish_depth};
        assert_int_equal(push(rig, &request), MESSAGE_TAKEN);
    }
    rig->published_depth = message->republish_depth;
    buf_printf(&rig->published, "%.*s %.*s\n", STR_ARG(message->topic), STR_ARG(message->payload));
    return rig->publish_result;
}

static bool is_wanted(struct message_publisher *publisher, struct str topic) {
    return !CONTAINER_OF(publisher, struct rig, publisher)->nobody_hears;
}

static void begin(struct rig *rig) {
    *rig = (struct rig){.things = xcalloc(1, sizeof *rig->things),
                        .journal = {.gate = &rig->gate, .append = append, .end = end},
                        .publisher = {publish, is_wanted}};
    list_init(&rig->gate.listeners);
    rig->intake = things_intake_new(rig->things, &rig->journal, &rig->publisher);
}

static void finish(struct rig *rig) {
    things_intake_free(rig->intake);
    assert_true(list_empty(&rig->gate.listeners));
    free(rig->things);
    buf_done(&rig->entry);
    buf_done(&rig->published);
}

static void a_request_is_appended(void **state) {
    struct rig rig;
    begin(&rig);
    struct message message = {.topic = STR("$aws/things/a/shadow/name/b/update"),
                              .payload = STR("{}"),
                              .republish_depth = 2};
    struct shadow_request request;
    assert_int_equal(push(&rig, &message), MESSAGE_STAGED);
    assert_int_equal(shadow_request_read(buf_str(&rig.entry), &request), 0);
    assert_int_equal(request.operation, SHADOW_UPDATE);
    assert_int_equal(request.depth, 2);
    assert_true(str_eq(request.payload, STR("{}")));
    rig.code = ERR_NO_SPACE;
    assert_int_equal(push(&rig, &message), ERR_NO_SPACE);
    finish(&rig);
}

/* What would be rejected for its size is not kept. */
static void a_large_payload_is_left_out(void **state) {
    struct rig rig;
    begin(&rig);
    static const char large[SHADOW_REQUEST_BYTES_MAX + 1];
    struct message message = {.topic = STR("$aws/things/a/shadow/update"),
                              .payload = str_from(large, sizeof large)};
    struct shadow_request request;
    assert_int_equal(push(&rig, &message), MESSAGE_STAGED);
    assert_int_equal(shadow_request_read(buf_str(&rig.entry), &request), 0);
    assert_true(request.too_large && !request.payload.len);
    message.payload.len--;
    assert_int_equal(push(&rig, &message), MESSAGE_STAGED);
    assert_int_equal(shadow_request_read(buf_str(&rig.entry), &request), 0);
    assert_false(request.too_large);
    assert_int_equal(request.payload.len, SHADOW_REQUEST_BYTES_MAX);
    finish(&rig);
}

static void answers_are_ours_alone(void **state) {
    struct rig rig;
    begin(&rig);
    struct message answer = {.topic = STR("$aws/things/a/shadow/update/accepted")};
    assert_int_equal(push(&rig, &answer), ERR_DENIED);
    assert_int_equal(things_intake_publish(rig.intake, &answer), 0);
    assert_int_equal(push(&rig, &answer), ERR_DENIED);
    assert_int_equal(buf_len(&rig.entry), 0);
    finish(&rig);
}

static void it_says_what_it_would_refuse(void **state) {
    struct rig rig;
    begin(&rig);
    struct message_sink *sink = things_intake_sink(rig.intake);
    assert_int_equal(sink->check(sink, STR("$aws/things/a/shadow/get"), false), 0);
    assert_int_equal(sink->check(sink, STR("$aws/things/a/shadow/get"), true), ERR_UNSUPPORTED);
    assert_int_equal(sink->check(sink, STR("$aws/things/a/shadow/get/accepted"), false),
                     ERR_DENIED);
    assert_int_equal(sink->check(sink, STR("$aws/things/a/shadow/get/accepted"), true), ERR_DENIED);
    assert_int_equal(sink->check(sink, STR("a/b"), true), 0);
    finish(&rig);
}

static void nothing_is_retained(void **state) {
    struct rig rig;
    begin(&rig);
    struct message message = {.topic = STR("$aws/things/a/shadow/get"), .retain = true};
    assert_int_equal(push(&rig, &message), ERR_UNSUPPORTED);
    assert_int_equal(buf_len(&rig.entry), 0);
    finish(&rig);
}

static void other_topics_have_no_route(void **state) {
    struct rig rig;
    begin(&rig);
    struct message_sink *sink = things_intake_sink(rig.intake);
    assert_null(sink->route(sink, STR("a/b")));
    assert_null(sink->route(sink, STR("$aws/things/a/jobs/get")));
    finish(&rig);
}

static struct message update_of(const char *payload) {
    return (struct message){
        .topic = STR("$aws/things/a/shadow/update"), .payload = str_of(payload), .qos = 1};
}

static void ask_as_often_as_may_be(struct rig *rig) {
    struct message update = update_of("{}");
    for (unsigned i = 0; i < THINGS_WAITING_PER_THING_MAX; i++)
        assert_int_equal(push(rig, &update), MESSAGE_STAGED);
    assert_int_equal(rig->entry_count, THINGS_WAITING_PER_THING_MAX);
}

static void one_too_many_is_rejected(void **state) {
    static const char told[] =
        "$aws/things/a/shadow/update/rejected {\"code\":429,\"message\":\"Too "
        "many requests on shadows of this thing wait\",\"timestamp\":";
    struct rig rig;
    begin(&rig);
    ask_as_often_as_may_be(&rig);
    struct message more = update_of("{\"clientToken\":\"t\"}"), broken = update_of("{");
    more.republish_depth = 1;
    assert_int_equal(push(&rig, &more), MESSAGE_TAKEN);
    assert_true(str_starts(buf_str(&rig.published), str_of(told)));
    assert_non_null(strstr(buf_cstr(&rig.published), ",\"clientToken\":\"t\"}\n"));
    assert_int_equal(rig.published_depth, 2);
    rig.publish_result = MESSAGE_STAGED; /* for a stored session; its PUBACK waits for that */
    assert_int_equal(push(&rig, &broken), MESSAGE_STAGED);
    rig.publish_result = ERR_NO_SPACE;
    assert_int_equal(push(&rig, &more), ERR_NO_SPACE);
    rig.publish_result = ERR_TOO_LARGE; /* the answer's topic: no fault of the request's */
    assert_int_equal(push(&rig, &more), ERR_FULL);
    assert_true(metric_sum("weir_things_shadow_throttled_total", "") == 4);
    assert_int_equal(rig.entry_count, THINGS_WAITING_PER_THING_MAX);
    waiting_give_back(&rig.things->waiting, STR("a"));
    assert_int_equal(push(&rig, &more), MESSAGE_STAGED);
    finish(&rig);
}

static void where_nobody_hears_it_the_request_is_refused(void **state) {
    struct rig rig;
    begin(&rig);
    ask_as_often_as_may_be(&rig);
    struct message more = update_of("{}");
    rig.nobody_hears = true;
    assert_int_equal(push(&rig, &more), ERR_FULL);
    assert_int_equal(buf_len(&rig.published), 0);
    finish(&rig);
}

static void a_rule_may_answer_the_answer(void **state) {
    struct rig rig;
    begin(&rig);
    ask_as_often_as_may_be(&rig);
    struct message more = update_of("{}");
    rig.asks_again = true;
    assert_int_equal(push(&rig, &more), MESSAGE_TAKEN);
    struct str rest = buf_str(&rig.published), line = str_cut(rest, '\n', &rest);
    assert_true(str_starts(line, STR("$aws/things/a/shadow/get/rejected {")));
    line = str_cut(rest, '\n', &rest);
    assert_true(str_starts(line, STR("$aws/things/a/shadow/get/rejected {")));
    line = str_cut(rest, '\n', &rest);
    assert_true(str_starts(line, STR("$aws/things/a/shadow/update/rejected {")));
    finish(&rig);
}

/* What the log has not taken does not wait. */
static void what_was_not_kept_is_not_counted(void **state) {
    struct rig rig;
    begin(&rig);
    struct message update = update_of("{}");
    rig.code = ERR_NO_SPACE;
    for (unsigned i = 0; i <= THINGS_WAITING_PER_THING_MAX; i++)
        assert_int_equal(push(&rig, &update), ERR_NO_SPACE);
    rig.code = 0;
    ask_as_often_as_may_be(&rig);
    struct sink_gate_listener *listener =
        LIST_ITEM(rig.gate.listeners.next, struct sink_gate_listener, link);
    listener->on_commit(listener, 1, 0);
    assert_int_equal(push(&rig, &update), MESSAGE_TAKEN);
    listener->on_commit(listener, 2, ERR_IO);
    assert_int_equal(push(&rig, &update), MESSAGE_STAGED);
    finish(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_appended),
        cmocka_unit_test(a_large_payload_is_left_out),
        cmocka_unit_test(answers_are_ours_alone),
        cmocka_unit_test(nothing_is_retained),
        cmocka_unit_test(other_topics_have_no_route),
        cmocka_unit_test(it_says_what_it_would_refuse),
        cmocka_unit_test(one_too_many_is_rejected),
        cmocka_unit_test(where_nobody_hears_it_the_request_is_refused),
        cmocka_unit_test(a_rule_may_answer_the_answer),
        cmocka_unit_test(what_was_not_kept_is_not_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
