/* PUBLISH in, from clients and from inside. */
#include "mqtt/rig_plain_test.h"

static struct peer a, b;

static void messages_cross_versions(void **state) {
    peer_connect_5(&a, &rig, "aa");
    peer_connect_311(&b, &rig, "bb");
    peer_send(&a, "82 09 0001 00 0003'a/+' 01");
    peer_send(&b, "82 06 0001 0001'#' 00");
    assert_received(&a, "90 04 0001 00 01");
    assert_received(&b, "90 03 0001 00");
    /* user property x=y and a message expiry of a minute */
    peer_send(&a, "32 16 0003'a/b' 0009 0c 26 0001'x' 0001'y' 02 0000003c 'hi'");
    assert_received(&a, "32 16 0003'a/b' 0001 0c 26 0001'x' 0001'y' 02 0000003c 'hi'"
                        "40 02 0009");
    assert_received(&b, "30 07 0003'a/b' 'hi'");
    peer_send(&b, "30 06 0003'a/c' '!'");
    assert_received(&a, "30 07 0003'a/c' 00 '!'");
    assert_received(&b, "30 06 0003'a/c' '!'");
    peer_send(&b, "30 07 0004'$SYS' '!'"); /* not for "#" */
    assert_received(&b, "");
    peer_done(&a);
    peer_done(&b);
}

static void topic_aliases_are_resolved(void **state) {
    peer_connect_5(&a, &rig, "aa");
    peer_send(&a, "82 07 0001 00 0001'#' 00");
    buf_clear(&a.in);
    peer_send(&a, "30 0e 0003'a/b' 07 03 0001't' 23 0005 'x'");
    assert_received(&a, "30 0b 0003'a/b' 04 03 0001't' 'x'");
    peer_send(&a, "30 07 0000 03 23 0005 'y'");
    assert_received(&a, "30 07 0003'a/b' 00 'y'");
    peer_send(&a, "30 0f 0003'c/d' 08 23 0005 02 00000009 'z'");
    assert_received(&a, "30 0c 0003'c/d' 05 02 00000009 'z'");
    peer_send(&a, "30 07 0000 03 23 0005 'y'");
    assert_received(&a, "30 07 0003'c/d' 00 'y'");
    peer_done(&a);
}

static void retained_messages_are_bounded(void **state) {
    peer_connect_5(&a, &rig, "aa");
    rig.worker->retained.count_max = 1;
    peer_send(&a, "33 09 0003'a/b' 0001 00 'x'");
    peer_send(&a, "33 09 0003'a/c' 0002 00 'x'");
    peer_send(&a, "33 09 0003'a/b' 0003 00 'y'");
    assert_received(&a, "40 02 0001 40 03 0002 97 40 02 0003");
    peer_done(&a);
}

static void the_publisher_reaches_subscribers(void **state) {
    struct message_publisher *publisher = mqtt_worker_publisher(rig.worker);
    peer_connect_5(&a, &rig, "aa");
    peer_send(&a, "82 07 0001 00 0001't' 01");
    buf_clear(&a.in);
    struct message message = {.topic = STR("t"), .payload = STR("x"), .qos = 1};
    assert_int_equal(publisher->publish(publisher, &message), MESSAGE_TAKEN);
    rig_turn(&rig);
    assert_received(&a, "32 07 0001't' 0001 00 'x'");
    message.topic = STR("t/#");
    assert_int_equal(publisher->publish(publisher, &message), ERR_INVALID);
    message.topic = STR("t");
    message.properties = STR("\x7f");
    assert_int_equal(publisher->publish(publisher, &message), ERR_INVALID);
    message.properties = STR("");
    rig.full = true;
    assert_int_equal(publisher->publish(publisher, &message), ERR_FULL);
    message.republish_depth = 1;
    assert_int_equal(publisher->publish(publisher, &message), MESSAGE_TAKEN);
    rig_turn(&rig);
    peer_done(&a);
}

static void routes_expire_with_subscriptions(void **state) {
    peer_connect_5(&a, &rig, "aa");
    peer_send(&a, "30 05 0001't' 00 'x'");
    assert_received(&a, "");
    peer_send(&a, "82 07 0001 00 0001't' 00");
    buf_clear(&a.in);
    peer_send(&a, "30 05 0001't' 00 'x'");
    assert_received(&a, "30 05 0001't' 00 'x'");
    peer_send(&a, "a2 06 0002 00 0001't'");
    buf_clear(&a.in);
    peer_send(&a, "30 05 0001't' 00 'x'");
    assert_received(&a, "");
    assert_int_equal(metric_get(&rig.worker->metrics.routes), 1);
    peer_done(&a);
}

/* What answers to topics that begin with "ask/"; the second letter of the payload says how. */
static const void *requests_route(struct message_sink *sink, struct str topic) {
    return str_starts(topic, STR("ask/")) ? sink : NULL;
}

/* Answers on so many topics that the cache of routes is emptied. */
static int answer_often(void) {
    struct message_publisher *publisher = mqtt_worker_publisher(rig.worker);
    for (unsigned i = 0; i <= ROUTES_MAX; i++) {
        char topic[32];
        snprintf(topic, sizeof topic, "answer/%u", i);
        struct message message = {.topic = str_of(topic)};
        publisher->publish(publisher, &message);
    }
    return MESSAGE_TAKEN;
}

static int requests_push(struct message_sink *sink, const void *route,
                         const struct message *message) {
    assert_ptr_equal(route, sink);
    switch (message->payload.at[0]) {
    case 's':
        return MESSAGE_STAGED;
    case 'a':
        return answer_often();
    case 'd':
        return ERR_DENIED;
    case 'n':
        return ERR_NO_SPACE;
    case 'r':
        return ERR_UNSUPPORTED;
    default:
        return MESSAGE_TAKEN;
    }
}

static struct message_sink requests = {requests_route, requests_push, 1};

static void a_request_is_acknowledged_when_it_is_kept(void **state) {
    mqtt_worker_set_requests(rig.worker, &requests);
    peer_connect_5(&a, &rig, "aa");
    peer_connect_5(&b, &rig, "bb");
    peer_send(&b, "82 0b 0001 00 0005'ask/#' 00");
    buf_clear(&b.in);
    peer_send(&a, "32 0b 0005'ask/a' 0001 00 's'");
    assert_received(&a, "");
    assert_received(&b, "30 09 0005'ask/a' 00 's'"); /* as every other topic */
    peer_send(&a, "32 0b 0005'ask/a' 0002 00 't'");
    peer_send(&a, "32 0b 0005'asked' 0003 00 's'");
    assert_received(&a, "");
    rig_commit(&rig, rig.ticket, 0);
    assert_received(&a, "40 02 0001 40 02 0002 40 02 0003");
    peer_done(&a);
    peer_done(&b);
}

static void a_request_can_be_refused(void **state) {
    mqtt_worker_set_requests(rig.worker, &requests);
    peer_connect_5(&a, &rig, "aa");
    peer_connect_311(&b, &rig, "bb");
    peer_send(&a, "82 0b 0001 00 0005'ask/#' 00");
    buf_clear(&a.in);
    peer_send(&a, "32 0b 0005'ask/a' 0001 00 'd'");
    assert_received(&a, "40 03 0001 87");
    peer_send(&a, "32 0b 0005'ask/a' 0002 00 'n'");
    assert_received(&a, "40 03 0002 97");
    assert_int_equal(rig.rules_count, 0);
    peer_send(&a, "33 0b 0005'ask/a' 0003 00 'r'");
    assert_received(&a, "e0 01 9a");
    assert_true(a.closed);
    peer_send(&b, "32 0a 0005'ask/a' 0001 'd'");
    assert_true(b.closed);
    peer_done(&a);
    peer_done(&b);
}

static void a_request_may_be_answered_at_once(void **state) {
    mqtt_worker_set_requests(rig.worker, &requests);
    peer_connect_5(&a, &rig, "aa");
    peer_send(&a, "82 0b 0001 00 0005'ask/#' 00");
    buf_clear(&a.in);
    peer_send(&a, "32 0b 0005'ask/a' 0001 00 'a'");
    assert_received(&a, "30 09 0005'ask/a' 00 'a' 40 02 0001");
    assert_true(metric_get(&rig.worker->metrics.routes) <= ROUTES_MAX);
    peer_done(&a);
}

/* With nobody subscribed, and whatever answers to the topic. */
static void what_nobody_hears_is_not_wanted(void **state) {
    struct message_publisher *publisher = mqtt_worker_publisher(rig.worker);
    mqtt_worker_set_requests(rig.worker, &requests);
    assert_false(publisher->is_wanted(publisher, STR("ask/a")));
    assert_true(publisher->is_wanted(publisher, STR("rule/a")));
    peer_connect_5(&a, &rig, "aa");
    peer_send(&a, "82 0b 0001 00 0005'ask/#' 00");
    assert_true(publisher->is_wanted(publisher, STR("ask/a")));
    assert_int_equal(metric_get(&rig.worker->metrics.routes), 0);
    peer_done(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        RIG_TEST(messages_cross_versions),
        RIG_TEST(topic_aliases_are_resolved),
        RIG_TEST(retained_messages_are_bounded),
        RIG_TEST(the_publisher_reaches_subscribers),
        RIG_TEST(routes_expire_with_subscriptions),
        RIG_TEST(a_request_is_acknowledged_when_it_is_kept),
        RIG_TEST(a_request_can_be_refused),
        RIG_TEST(a_request_may_be_answered_at_once),
        RIG_TEST(what_nobody_hears_is_not_wanted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
