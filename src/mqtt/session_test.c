#include "base/test.h"

#include "mqtt/session.h"

static struct session *session;

static int set_up(void **state) {
    session = session_new(NULL);
    return 0;
}

static int tear_down(void **state) {
    session_free(session);
    return 0;
}

static void identifiers_go_round_without_zero(void **state) {
    for (unsigned i = 0; i < 200000; i++) {
        uint16_t id = session_take_id(session);
        assert_int_equal(id, 1 + i % 65535);
        assert_true(session_acknowledge(session, id));
    }
    assert_int_equal(session_in_flight(session), 0);
}

static void only_what_is_in_flight_is_acknowledged(void **state) {
    assert_false(session_acknowledge(session, 1));
    session_take_id(session);
    session_take_id(session);
    assert_false(session_acknowledge(session, 0));
    assert_false(session_acknowledge(session, 3));
    assert_true(session_acknowledge(session, 2));
    assert_false(session_acknowledge(session, 2));
    assert_int_equal(session_in_flight(session), 1);
    assert_true(session_acknowledge(session, 1));
}

static void in_flight_is_bounded(void **state) {
    assert_true(session_may_send(session, 2));
    assert_false(session_may_send(session, 0));
    session_take_id(session);
    session_take_id(session);
    assert_false(session_may_send(session, 2));
    assert_true(session_may_send(session, 3));
}

/*
 * A client that never acknowledges its first message stops what it is sent in the end, and no
 * identifier is used twice.
 */
static void an_old_message_holds_the_window(void **state) {
    uint16_t first = session_take_id(session);
    unsigned sent = 1;
    for (; session_may_send(session, 10); sent++) {
        uint16_t id = session_take_id(session);
        assert_int_not_equal(id, first);
        assert_true(session_acknowledge(session, id));
    }
    assert_int_equal(sent, 32768);
    assert_true(session_acknowledge(session, first));
    assert_true(session_may_send(session, 10));
}

static void acknowledgements_in_any_order(void **state) {
    bool in_flight[65536] = {false};
    uint64_t seed = 7;
    unsigned count = 0;
    for (unsigned step = 0; step < 300000; step++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        uint16_t id = (uint16_t)(seed >> 40);
        if (step % 2 == 0 && session_may_send(session, 1000)) {
            id = session_take_id(session);
            assert_false(in_flight[id]);
            in_flight[id] = true;
            count++;
        } else {
            assert_int_equal(session_acknowledge(session, id), in_flight[id]);
            count -= in_flight[id];
            in_flight[id] = false;
        }
        assert_int_equal(session_in_flight(session), count);
    }
}

static void the_queue_keeps_order_and_bounds(void **state) {
    struct queued queued = {.bytes = 3};
    uint8_t packet[3] = {0}, *first;
    for (unsigned i = 0; i < 10; i++) {
        packet[0] = (uint8_t)i;
        bool fits = session_queue_push(session, &queued, packet, 5 * (sizeof queued + 3));
        assert_int_equal(fits, i < 5);
    }
    for (unsigned i = 0; i < 5; i++) {
        assert_true(session_queue_first(session, &queued, &first));
        assert_int_equal(first[0], i);
        session_queue_pop(session);
    }
    assert_true(session_queue_is_empty(session));
    unsigned pushed = 0;
    while (session_queue_push(session, &queued, packet, SIZE_MAX))
        pushed++;
    assert_int_equal(pushed, SESSION_QUEUE_MAX);
}

static void retained_messages_wait_in_order(void **state) {
    struct publication publication = {.message = {.topic = STR("t"), .payload = STR("p")},
                                      .expiry_at = -1};
    struct retained *retained = retained_new(&publication, 1);
    for (uint32_t i = 0; i < 1000; i++) {
        assert_true(session_retained_push(session, retained, 0, i, 10));
        if (i < 5)
            continue;
        assert_int_equal(session_retained_first(session)->subscription_id, i - 5);
        session_retained_pop(session);
    }
    for (uint32_t i = 0; i < 5; i++)
        assert_true(session_retained_push(session, retained, 0, i, 10));
    assert_false(session_retained_push(session, retained, 0, 0, 10));
    retained_unref(retained);
}

static void filters_are_found_again(void **state) {
    struct tree tree = {0};
    struct buf text = {0};
    bool first;
    static const char *const filters[] = {"a/b", "a", "#", "/", "a//+", "+/b"};
    for (size_t i = 0; i < COUNT_OF(filters); i++) {
        struct subscription *subscription =
            session_subscribe(session, &tree, str_of(filters[i]), &first);
        assert_true(first);
        assert_ptr_equal(session_find(session, &tree, str_of(filters[i])), subscription);
        buf_clear(&text);
        session_filter_text(subscription->node, &text);
        assert_str(buf_str(&text), filters[i]);
    }
    struct session *other = session_new(NULL);
    struct subscription *shared = session_subscribe(other, &tree, STR("a"), &first);
    assert_false(first);
    assert_null(session_find(other, &tree, STR("a/b")));
    assert_false(session_unsubscribe(&tree, session_find(session, &tree, STR("a"))));
    assert_true(session_unsubscribe(&tree, shared));
    LIST_EACH(item, &session->subscriptions) {
        assert_true(session_unsubscribe(&tree, LIST_ITEM(item, struct subscription, link)));
    }
    assert_int_equal(tree.node_count, 0);
    session_free(other);
    buf_done(&text);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(identifiers_go_round_without_zero),
        TEST(only_what_is_in_flight_is_acknowledged),
        TEST(in_flight_is_bounded),
        TEST(an_old_message_holds_the_window),
        TEST(acknowledgements_in_any_order),
        TEST(the_queue_keeps_order_and_bounds),
        TEST(retained_messages_wait_in_order),
        TEST(filters_are_found_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
