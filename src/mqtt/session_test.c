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
        uint16_t id = session_take_id(session, 1, NULL);
        assert_int_equal(id, 1 + i % 65535);
        assert_true(session_acknowledge(session, id, FLIGHT_PUBACK));
    }
    assert_int_equal(session_in_flight(session), 0);
}

static void only_what_is_in_flight_is_acknowledged(void **state) {
    assert_false(session_acknowledge(session, 1, FLIGHT_PUBACK));
    session_take_id(session, 1, NULL);
    session_take_id(session, 1, NULL);
    assert_false(session_acknowledge(session, 0, FLIGHT_PUBACK));
    assert_false(session_acknowledge(session, 3, FLIGHT_PUBACK));
    assert_true(session_acknowledge(session, 2, FLIGHT_PUBACK));
    assert_false(session_acknowledge(session, 2, FLIGHT_PUBACK));
    assert_int_equal(session_in_flight(session), 1);
    assert_true(session_acknowledge(session, 1, FLIGHT_PUBACK));
}

static void in_flight_is_bounded(void **state) {
    assert_true(session_may_send(session, 2));
    assert_false(session_may_send(session, 0));
    session_take_id(session, 1, NULL);
    session_take_id(session, 1, NULL);
    assert_false(session_may_send(session, 2));
    assert_true(session_may_send(session, 3));
}

/*
 * A client that never acknowledges its first message stops what it is sent in the end, and no
 * identifier is used twice.
 */
static void an_old_message_holds_the_window(void **state) {
    uint16_t first = session_take_id(session, 1, NULL);
    unsigned sent = 1;
    for (; session_may_send(session, 10); sent++) {
        uint16_t id = session_take_id(session, 1, NULL);
        assert_int_not_equal(id, first);
        assert_true(session_acknowledge(session, id, FLIGHT_PUBACK));
    }
    assert_int_equal(sent, 32768);
    assert_true(session_acknowledge(session, first, FLIGHT_PUBACK));
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
            id = session_take_id(session, 1, NULL);
            assert_false(in_flight[id]);
            in_flight[id] = true;
            count++;
        } else {
            assert_int_equal(session_acknowledge(session, id, FLIGHT_PUBACK), in_flight[id]);
            count -= in_flight[id];
            in_flight[id] = false;
        }
        assert_int_equal(session_in_flight(session), count);
    }
}

static struct kept *message(void) {
    struct publication publication = {.message = {.topic = STR("t"), .payload = STR("p")},
                                      .expiry_at = -1};
    return kept_new(&publication, 1);
}

static struct delivery *delivery(struct kept *kept, uint8_t qos, const char *share) {
    return delivery_new(kept, qos, false, NULL, 0, str_of(share));
}

static void qos_2_goes_through_its_states(void **state) {
    struct kept *kept = message();
    uint16_t id = session_take_id(session, 2, delivery(kept, 2, ""));
    assert_false(session_acknowledge(session, id, FLIGHT_PUBACK));
    assert_false(session_acknowledge(session, id, FLIGHT_PUBCOMP));
    assert_int_equal(atomic_load(&kept->refs), 2);
    assert_true(session_advance(session, id));
    assert_int_equal(atomic_load(&kept->refs), 1); /* only the identifier is needed from now on */
    assert_true(session_advance(session, id));
    assert_false(session_acknowledge(session, id, FLIGHT_PUBREC));
    assert_int_equal(session_in_flight(session), 1);
    assert_true(session_acknowledge(session, id, FLIGHT_PUBCOMP));
    assert_false(session_advance(session, id));
    assert_false(session_advance(session, session_take_id(session, 1, NULL)));
    kept_unref(kept);
}

static void what_came_through_shares_is_taken_back(void **state) {
    struct kept *kept = message();
    session_take_id(session, 1, delivery(kept, 1, ""));
    session_take_id(session, 2, delivery(kept, 2, "g/t"));
    for (unsigned i = 0; i < 200; i++) /* widens the window */
        session_take_id(session, 1, NULL);
    session_take_id(session, 1, delivery(kept, 1, "g/t"));
    struct delivery *taken = session_take_shared(session);
    assert_str(delivery_share(taken), "g/t");
    assert_int_equal(taken->qos, 1);
    delivery_free(taken);
    assert_null(session_take_shared(session));
    assert_int_equal(atomic_load(&kept->refs), 3);
    kept_unref(kept);
}

static void what_was_received_is_known_until_it_is_released(void **state) {
    assert_false(session_release(session, 5));
    assert_true(session_receive(session, 5));
    assert_false(session_receive(session, 5));
    assert_true(session_has_received(session, 5));
    assert_int_equal(session_received_count(session), 1);
    assert_true(session_release(session, 5));
    assert_false(session_has_received(session, 5));
}

static void the_queue_keeps_order_and_counts(void **state) {
    struct kept *kept = message();
    _Atomic int64_t total = 0;
    size_t bytes = sizeof(struct delivery) + kept->size;
    session->queued_bytes = &total;
    for (unsigned i = 0; i < 5; i++)
        session_queue_push(session, delivery(kept, (uint8_t)i, ""));
    assert_int_equal(session_queue_count(session), 5);
    assert_int_equal(session_queue_bytes(session), 5 * bytes);
    assert_int_equal(atomic_load(&total), 5 * bytes);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(session_queue_first(session)->qos, i);
        delivery_free(session_queue_pop(session));
    }
    assert_true(session_queue_is_empty(session));
    assert_int_equal(atomic_load(&total), 0);
    kept_unref(kept);
}

/* Section 4.4: what is in flight is sent again in its order, no more of it at once than may be
 * unacknowledged, and nothing new before. */
static void what_is_in_flight_is_sent_again(void **state) {
    struct kept *kept = message();
    struct resend next;
    for (unsigned i = 1; i <= 4; i++)
        session_take_id(session, i == 2 ? 2 : 1, delivery(kept, i == 2 ? 2 : 1, ""));
    session_advance(session, 2);
    assert_false(session_resend_first(session, 10, &next));
    session_rewind(session);
    assert_int_equal(session_in_flight(session), 0);
    assert_false(session_may_send(session, 10));
    assert_true(session_acknowledge(session, 1, FLIGHT_PUBACK)); /* late, from before */
    assert_int_equal(session_in_flight(session), 0);
    assert_true(session_resend_first(session, 2, &next));
    assert_int_equal(next.packet_id, 2);
    assert_int_equal(next.state, FLIGHT_PUBCOMP);
    session_resent(session);
    assert_true(session_resend_first(session, 2, &next));
    assert_int_equal(next.packet_id, 3);
    assert_ptr_equal(next.delivery->message, kept);
    session_resent(session);
    assert_false(session_resend_first(session, 2, &next));
    assert_true(session_acknowledge(session, 3, FLIGHT_PUBACK));
    assert_true(session_resend_first(session, 2, &next));
    assert_int_equal(next.packet_id, 4);
    session_resent(session);
    assert_false(session_resend_first(session, 10, &next));
    assert_true(session_may_send(session, 10));
    kept_unref(kept);
}

static void a_flight_moves_in_front_of_what_was_gathered(void **state) {
    struct kept *kept = message();
    struct session *old = session_new(NULL);
    session_take_id(old, 1, delivery(kept, 1, ""));
    session_receive(old, 9);
    session_queue_push(old, delivery(kept, 1, ""));
    session_queue_push(session, delivery(kept, 2, ""));
    session_put_flight(session, session_take_flight(old));
    assert_null(session_take_flight(old));
    assert_int_equal(session_in_flight(session), 1);
    assert_true(session_has_received(session, 9));
    assert_int_equal(session_queue_count(session), 2);
    assert_int_equal(session_queue_first(session)->qos, 1);
    session_put_flight(session, NULL);
    assert_int_equal(session_queue_count(session), 2);
    session_free(old);
    kept_unref(kept);
}

static bool push_retained(struct kept *retained, uint8_t qos, uint32_t subscription_id) {
    struct session_retained waiting = {
        .retained = retained, .subscription_id = subscription_id, .qos = qos};
    return session_retained_push(session, &waiting, 10);
}

static void retained_messages_wait_in_order(void **state) {
    struct publication publication = {.message = {.topic = STR("t"), .payload = STR("p")},
                                      .expiry_at = -1};
    struct kept *retained = kept_new(&publication, 1);
    for (uint32_t i = 0; i < 1000; i++) {
        assert_true(push_retained(retained, 0, i));
        if (i < 5)
            continue;
        assert_int_equal(session_retained_first(session)->subscription_id, i - 5);
        session_retained_pop(session);
    }
    for (uint32_t i = 0; i < 5; i++)
        assert_true(push_retained(retained, 0, i));
    assert_false(push_retained(retained, 0, 0));
    kept_unref(retained);
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

static void count_flight(void *data, uint16_t packet_id, enum flight_state state,
                         const struct delivery *delivery) {
    (*(unsigned *)data)++;
    assert_int_equal(session_state(session, packet_id), state);
}

static void what_was_in_flight_is_put_back(void **state) {
    unsigned count = 0;
    const struct session_visit visit = {.flight = count_flight};
    assert_true(session_restore(session, 65534, FLIGHT_PUBCOMP, NULL));
    assert_true(session_restore(session, 65535, FLIGHT_PUBREC, NULL));
    assert_true(session_restore(session, 3, FLIGHT_PUBACK, NULL)); /* 1 and 2 are done with. */
    assert_false(session_restore(session, 2, FLIGHT_PUBACK, NULL));
    assert_false(session_restore(session, 0, FLIGHT_PUBACK, NULL));
    session_visit(session, &visit, &count);
    assert_int_equal(count, 3);
    assert_int_equal(session_state(session, 1), FLIGHT_FREE);
    session_rewind(session);
    struct resend next;
    uint16_t order[] = {65534, 65535, 3};
    for (unsigned i = 0; i < COUNT_OF(order); i++) {
        assert_true(session_resend_first(session, 10, &next));
        assert_int_equal(next.packet_id, order[i]);
        session_resent(session);
    }
    assert_false(session_resend_first(session, 10, &next));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_in_flight_is_put_back, set_up, tear_down),
        TEST(identifiers_go_round_without_zero),
        TEST(only_what_is_in_flight_is_acknowledged),
        TEST(in_flight_is_bounded),
        TEST(an_old_message_holds_the_window),
        TEST(acknowledgements_in_any_order),
        TEST(qos_2_goes_through_its_states),
        TEST(what_came_through_shares_is_taken_back),
        TEST(what_was_received_is_known_until_it_is_released),
        TEST(the_queue_keeps_order_and_counts),
        TEST(what_is_in_flight_is_sent_again),
        TEST(a_flight_moves_in_front_of_what_was_gathered),
        TEST(retained_messages_wait_in_order),
        TEST(filters_are_found_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
