/*
 * Law 1 (an acknowledgement means disk) and law 5 (back-pressure reaches the publisher), with a
 * gate that the test moves.
 */
#include "mqtt/rig_test.h"

static struct rig rig;
static struct peer a, b;

static int set_up(void **state) {
    rig_init(&rig);
    rig.config.inflight_max = 4;
    rig_start(&rig);
    rig.rules_result = MESSAGE_STAGED;
    return 0;
}

static int tear_down(void **state) {
    rig_done(&rig);
    return 0;
}

static void connect_5(struct peer *peer) {
    peer_begin_5(peer, &rig, "aa");
}

static void publish_5(struct peer *peer, const char *topic, unsigned packet_id) {
    char hex[100];
    snprintf(hex, sizeof hex, "32 0c 0006'%.6s' %04x 00 'x'", topic, packet_id);
    peer_send(peer, hex);
}

static void staged_messages_are_acknowledged_on_commit(void **state) {
    connect_5(&a);
    publish_5(&a, "rule/1", 1);
    publish_5(&a, "rule/1", 2);
    assert_received(&a, "");
    rig.ticket = 2;
    publish_5(&a, "rule/1", 3);
    rig_commit(&rig, 1, 0);
    assert_received(&a, "40 02 0001 40 02 0002");
    rig_commit(&rig, 2, 0);
    assert_received(&a, "40 02 0003");
    publish_5(&a, "other1", 4); /* no rule: at once */
    assert_received(&a, "40 02 0004");
    assert_int_equal(rig.rules_count, 3);
    peer_done(&a);
}

static void acknowledgements_keep_the_order_of_publishes(void **state) {
    connect_5(&a);
    publish_5(&a, "rule/1", 1);
    publish_5(&a, "other1", 2);
    rig.rules_result = ERR_NO_SPACE;
    publish_5(&a, "rule/1", 3);
    assert_received(&a, "");
    rig_commit(&rig, 1, 0);
    assert_received(&a, "40 02 0001 40 02 0002 40 03 0003 97");
    peer_done(&a);
}

static void a_failed_ticket_refuses(void **state) {
    connect_5(&a);
    peer_connect_311(&b, &rig, "bb");
    publish_5(&a, "rule/1", 1);
    publish_5(&a, "rule/1", 2);
    peer_send(&b, "32 0b 0006'rule/1' 0001 'x'");
    rig.ticket = 2;
    publish_5(&a, "rule/1", 3);
    rig_commit(&rig, 1, ERR_NO_SPACE);
    assert_received(&a, "40 03 0001 97 40 03 0002 97");
    assert_true(b.closed);
    assert_received(&b, "");
    rig_commit(&rig, 2, 0);
    assert_received(&a, "40 02 0003");
    peer_done(&a);
    peer_done(&b);
}

static void what_cannot_be_kept_is_refused_and_not_delivered(void **state) {
    connect_5(&a);
    peer_connect_311(&b, &rig, "bb");
    peer_send(&a, "82 07 0001 00 0001'#' 00");
    buf_clear(&a.in);
    rig.rules_result = ERR_NO_SPACE;
    publish_5(&a, "rule/1", 1);
    assert_received(&a, "40 03 0001 97");
    peer_send(&b, "32 0b 0006'rule/1' 0001 'x'");
    assert_true(b.closed);
    assert_received(&a, "");
    peer_done(&a);
    peer_done(&b);
}

static void a_connection_may_go_before_its_commit(void **state) {
    connect_5(&a);
    publish_5(&a, "rule/1", 1);
    peer_done(&a);
    connect_5(&b);
    publish_5(&b, "rule/1", 1);
    rig_commit(&rig, 1, 0);
    assert_received(&b, "40 02 0001");
    peer_done(&b);
}

/* Many connections and tickets; each acknowledgement comes once, in order, and never too early. */
static void random_commits_release_everything_in_order(void **state) {
    enum { PEERS = 5, ROUNDS = 2000 };
    struct peer peers[PEERS];
    unsigned published[PEERS] = {0}, acknowledged[PEERS] = {0};
    uint64_t committed = 0, random = 42, tickets[PEERS][ROUNDS + 1];
    rig.config.inflight_max = ROUNDS;
    for (unsigned i = 0; i < PEERS; i++) {
        char id[3] = {'p', (char)('0' + i), 0};
        peer_connect_311(&peers[i], &rig, id);
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        unsigned i = (unsigned)(random >> 33) % PEERS, act = (unsigned)(random >> 50) % 8;
        bool staged = act != 0;
        char hex[64];
        tickets[i][++published[i]] = staged ? rig.ticket : 0;
        snprintf(hex, sizeof hex, "32 0b 0006'%s' %04x 'x'", staged ? "rule/1" : "other1",
                 published[i]);
        peer_send(&peers[i], hex);
        if (act == 1)
            rig.ticket++;
        if (act == 2 && committed + 1 < rig.ticket)
            rig_commit(&rig, ++committed, 0);
        if (round == ROUNDS - 1)
            rig_commit(&rig, committed = rig.ticket, 0);
        for (unsigned p = 0; p < PEERS; p++) {
            for (; buf_len(&peers[p].in); buf_consume(&peers[p].in, 4)) {
                unsigned next = ++acknowledged[p];
                uint8_t wanted[4] = {0x40, 2, (uint8_t)(next >> 8), (uint8_t)next};
                assert_memory_equal(buf_at(&peers[p].in), wanted, 4);
                assert_true(next <= published[p] && tickets[p][next] <= committed);
            }
        }
    }
    for (unsigned i = 0; i < PEERS; i++) {
        assert_int_equal(acknowledged[i], published[i]);
        assert_int_equal(hold_count(peers[i].connection), 0);
        peer_done(&peers[i]);
    }
}

static void more_than_the_receive_maximum_is_an_error(void **state) {
    connect_5(&a);
    for (unsigned i = 1; i <= 5; i++)
        publish_5(&a, "rule/1", i);
    assert_received(&a, "e0 01 93");
    assert_true(a.closed);
    peer_done(&a);
}

static void old_clients_are_parked_at_the_receive_maximum(void **state) {
    peer_connect_311(&a, &rig, "aa");
    for (unsigned i = 1; i <= 6; i++) {
        char hex[64];
        snprintf(hex, sizeof hex, "32 0b 0006'rule/1' %04x 'x'", i);
        peer_send(&a, hex);
    }
    assert_int_equal(rig.rules_count, 4);
    rig.ticket = 2;
    rig_commit(&rig, 1, 0);
    assert_received(&a, "40 02 0001 40 02 0002 40 02 0003 40 02 0004");
    assert_int_equal(rig.rules_count, 6);
    rig_commit(&rig, 2, 0);
    assert_received(&a, "40 02 0005 40 02 0006");
    peer_done(&a);
}

/* ---- room ---- */

static void publishers_wait_for_room_and_pings_are_answered(void **state) {
    connect_5(&a);
    rig.full = true;
    peer_send(&a, "32 0c 0006'other1' 0001 00 'x' c000");
    assert_received(&a, "d0 00");
    peer_send(&a, "c000 c000 c0");
    assert_received(&a, "d0 00 d0 00");
    peer_send(&a, "00");
    assert_received(&a, "d0 00");
    assert_int_equal(metric_get(&rig.worker->metrics.parked), 1);
    peer_send(&a, "32 0c 0006'other1' 0002 00 'x'");
    rig_make_room(&rig);
    assert_received(&a, "40 02 0001 40 02 0002");
    peer_send(&a, "c000");
    assert_received(&a, "d0 00");
    assert_int_equal(metric_get(&rig.worker->metrics.parked), 0);
    peer_done(&a);
}

static void a_parked_connection_stops_reading_at_the_bound(void **state) {
    static uint8_t bytes[PARKED_BYTES_MAX];
    struct buf packet = {0};
    connect_5(&a);
    rig.full = true;
    struct message message = {
        .topic = STR("t"), .payload = str_from(bytes, sizeof bytes), .qos = 1};
    struct packet_form form = {.version = PACKET_VERSION_5, .qos = 1, .packet_id = 7};
    struct packet_marks marks;
    packet_write_publish(&packet, &message, &form, &marks);
    peer_feed(&a, buf_at(&packet), 1000);
    assert_false(a.reading_stopped);
    peer_feed(&a, buf_at(&packet) + 1000, buf_len(&packet) - 1000);
    assert_true(a.reading_stopped);
    for (int i = 0; i < 1000; i++) /* The client is silent only because nobody reads. */
        wheel_tick(rig.worker);
    rig_make_room(&rig);
    assert_false(a.reading_stopped);
    assert_received(&a, "40 02 0007");
    buf_done(&packet);
    peer_done(&a);
}

static void what_was_sent_before_the_end_is_still_taken(void **state) {
    connect_5(&a);
    rig.full = true;
    peer_send(&a, "30 0a 0006'rule/1' 00 'x' 30 0a 0006'rule/1' 00 'y'");
    connection_peer_ended(a.connection);
    assert_false(a.closed);
    rig_make_room(&rig);
    assert_int_equal(rig.rules_count, 2);
    assert_string_equal(rig.rules_last, "y");
    assert_true(a.closed);
    peer_done(&a);
}

static void rules_see_the_properties(void **state) {
    connect_5(&a);
    peer_send(&a, "30 11 0006'rule/1' 07 26 0001'k' 0001'v' 'x'");
    assert_int_equal(rig.rules_properties_bytes, 7);
    assert_memory_equal(rig.rules_properties, "\x26\x00\x01k\x00\x01v", 7);
    peer_done(&a);
}

/* ---- stopping ---- */

static void stopping_waits_for_the_commit(void **state) {
    connect_5(&a);
    peer_begin_5(&b, &rig, "bb");
    publish_5(&a, "rule/1", 1);
    mqtt_worker_stop(rig.worker, rig_on_stopped, &rig);
    rig_turn(&rig);
    assert_received(&b, "e0 01 8b");
    assert_true(b.closed);
    assert_false(a.closed);
    publish_5(&a, "rule/1", 2); /* not taken any more */
    assert_int_equal(rig.rules_count, 1);
    rig_commit(&rig, 1, 0);
    assert_received(&a, "40 02 0001 e0 01 8b");
    assert_true(a.closed);
    peer_done(&a);
    assert_false(rig.stopped);
    peer_done(&b);
}

static void stopping_finishes_what_was_read(void **state) {
    connect_5(&a);
    rig.full = true;
    publish_5(&a, "rule/1", 1);
    mqtt_worker_stop(rig.worker, rig_on_stopped, &rig);
    rig_turn(&rig);
    assert_true(a.reading_stopped);
    assert_false(a.closed);
    rig_make_room(&rig);
    assert_int_equal(rig.rules_count, 1);
    assert_received(&a, "");
    rig_commit(&rig, 1, 0);
    assert_received(&a, "40 02 0001 e0 01 8b");
    assert_true(a.closed);
    peer_done(&a);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(staged_messages_are_acknowledged_on_commit),
        TEST(acknowledgements_keep_the_order_of_publishes),
        TEST(a_failed_ticket_refuses),
        TEST(what_cannot_be_kept_is_refused_and_not_delivered),
        TEST(a_connection_may_go_before_its_commit),
        TEST(random_commits_release_everything_in_order),
        TEST(more_than_the_receive_maximum_is_an_error),
        TEST(old_clients_are_parked_at_the_receive_maximum),
        TEST(publishers_wait_for_room_and_pings_are_answered),
        TEST(a_parked_connection_stops_reading_at_the_bound),
        TEST(what_was_sent_before_the_end_is_still_taken),
        TEST(rules_see_the_properties),
        TEST(stopping_waits_for_the_commit),
        TEST(stopping_finishes_what_was_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
