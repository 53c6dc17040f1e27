/* What waits for the journal, and what does not. */
#include "mqtt/rig_journal.h"

static struct rig rig;
static struct rig_journal journal;
static struct peer a, c;

static int set_up(void **state) {
    rig_init(&rig);
    rig_start(&rig);
    rig_journal_begin(&journal, &rig);
    peer_connect_311(&c, &rig, "cc");
    return 0;
}

static int tear_down(void **state) {
    journal.status = 0;
    peer_done(&c);
    rig_done(&rig);
    rig_journal_clear(&journal);
    return 0;
}

/* 3.1.1, with a stored session. */
static void connect_stored(struct peer *peer) {
    peer_open(peer, &rig);
    peer_send(peer, "10 0e 0004'MQTT'04 00 0000 0002'aa'");
}

static void connect_and_subscribe(struct peer *peer, const char *qos) {
    char hex[64];
    connect_stored(peer);
    rig_sync(&rig);
    snprintf(hex, sizeof hex, "82 06 0001 0001't' %s", qos);
    peer_send(peer, hex);
    rig_sync(&rig);
    buf_clear(&peer->in);
}

static void a_clean_session_writes_nothing(void **state) {
    peer_send(&c, "82 06 0001 0001't' 02");
    assert_received(&c, "90 03 0001 02");
    peer_send(&c, "34 06 0001't' 0002'x'");
    assert_received(&c, "34 06 0001't' 0001'x'"
                        "50 02 0002");
    peer_send(&c, "50 02 0001"
                  "62 02 0002");
    assert_received(&c, "62 02 0001"
                        "70 02 0002");
    peer_send(&c, "70 02 0001");
    assert_int_equal(journal.count, 0);
}

static void connack_and_suback_wait(void **state) {
    connect_stored(&a);
    assert_received(&a, "");
    rig_sync(&rig);
    assert_received(&a, "20 02 00 00");
    peer_send(&a, "82 06 0001 0001't' 01"
                  "c0 00");
    assert_received(&a, "");
    rig_sync(&rig);
    assert_received(&a, "90 03 0001 01"
                        "d0 00");
    peer_send(&a, "a2 05 0002 0001't'");
    assert_received(&a, "");
    rig_sync(&rig);
    assert_received(&a, "b0 02 0002");
    peer_done(&a);
}

static void a_publisher_waits_for_a_session_that_is_away(void **state) {
    connect_and_subscribe(&a, "01");
    peer_done(&a);
    rig_sync(&rig);
    peer_send(&c, "32 06 0001't' 0002'x'");
    assert_received(&c, "");
    rig_sync(&rig);
    assert_received(&c, "40 02 0002");
    peer_send(&c, "32 06 0001'u' 0003'x'"); /* Nobody waits for it. */
    assert_received(&c, "40 02 0003");
}

static void what_cannot_be_kept_is_refused(void **state) {
    connect_and_subscribe(&a, "01");
    journal.status = ERR_NO_SPACE;
    peer_send(&c, "32 06 0001't' 0002'x'"); /* 3.1.1 has no other way to say so. */
    assert_true(c.closed);
    assert_received(&a, "");
    peer_send(&a, "82 06 0002 0001'u' 01");
    assert_received(&a, "90 03 0002 80");
    peer_done(&a);
}

static void a_ticket_that_fails_ends_the_connection(void **state) {
    connect_stored(&a);
    rig_commit(&rig, rig.ticket++, ERR_IO);
    assert_true(a.closed);
    peer_done(&a);
}

static void qos_2_leaves_when_it_is_certain(void **state) {
    connect_and_subscribe(&a, "02");
    peer_send(&c, "34 06 0001't' 0002'x'");
    assert_received(&a, "");
    rig_sync(&rig);
    assert_received(&c, "50 02 0002");
    assert_received(&a, "34 06 0001't' 0001'x'");
    peer_send(&a, "50 02 0001");
    assert_received(&a, "");
    rig_sync(&rig);
    assert_received(&a, "62 02 0001");
    peer_send(&a, "70 02 0001");
    peer_done(&a);
}

static void qos_1_leaves_at_once(void **state) {
    connect_and_subscribe(&a, "01");
    peer_send(&c, "32 06 0001't' 0002'x'");
    assert_received(&a, "32 06 0001't' 0001'x'");
    assert_received(&c, "");
    rig_sync(&rig);
    assert_received(&c, "40 02 0002");
    peer_done(&a);
}

static void a_stored_publisher_waits_for_its_identifiers(void **state) {
    connect_and_subscribe(&a, "01");
    peer_send(&a, "34 06 0001'u' 0002'x'");
    assert_received(&a, "");
    rig_sync(&rig);
    assert_received(&a, "50 02 0002");
    peer_send(&a, "62 02 0002");
    assert_received(&a, "");
    rig_sync(&rig);
    assert_received(&a, "70 02 0002");
    peer_done(&a);
}

static void retained_messages_wait(void **state) {
    peer_send(&c, "33 06 0001'r' 0002'x'");
    assert_received(&c, "");
    rig_sync(&rig);
    assert_received(&c, "40 02 0002");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_clean_session_writes_nothing),
        TEST(connack_and_suback_wait),
        TEST(a_publisher_waits_for_a_session_that_is_away),
        TEST(what_cannot_be_kept_is_refused),
        TEST(a_ticket_that_fails_ends_the_connection),
        TEST(qos_2_leaves_when_it_is_certain),
        TEST(qos_1_leaves_at_once),
        TEST(a_stored_publisher_waits_for_its_identifiers),
        TEST(retained_messages_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
