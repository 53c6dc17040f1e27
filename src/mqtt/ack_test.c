/* QoS 2 in both directions, packet by packet (MQTT 5.0 section 4.3.3). */
#include "mqtt/rig_test.h"

static struct rig rig;
static struct peer a, b;

static int set_up(void **state) {
    rig_init(&rig);
    rig.config.inflight_max = 4;
    rig_start(&rig);
    return 0;
}

static int tear_down(void **state) {
    rig_done(&rig);
    return 0;
}

/* Subscribes to "t" with QoS 2: [MQTT-3.9.3-1], and QoS 2 is granted. */
static void subscribe_2(struct peer *peer) {
    peer_send(peer, "82 07 0001 00 0001't' 02");
    assert_received(peer, "90 04 0001 00 02");
}

/* [MQTT-4.3.3-8], [MQTT-4.3.3-10], [MQTT-4.3.3-11], [MQTT-4.3.3-12] */
static void a_message_arrives_once_per_identifier(void **state) {
    peer_begin_5(&a, &rig, "aa");
    peer_begin_5(&b, &rig, "bb");
    peer_send(&b, "82 07 0001 00 0001't' 00");
    buf_clear(&b.in);
    peer_send(&a, "34 07 0001't' 0001 00 'x'");
    assert_received(&a, "50 02 0001");
    peer_send(&a, "3c 07 0001't' 0001 00 'x'"); /* again, with DUP */
    assert_received(&a, "50 02 0001");
    peer_send(&a, "34 07 0001't' 0001 00 'x'"); /* and without it [MQTT-4.3.1-1] */
    assert_received(&a, "50 02 0001");
    assert_received(&b, "30 05 0001't' 00 'x'");
    peer_send(&a, "62 02 0001");
    assert_received(&a, "70 02 0001");
    peer_send(&a, "34 07 0001't' 0001 00 'y'"); /* a new message */
    assert_received(&a, "50 02 0001");
    assert_received(&b, "30 05 0001't' 00 'y'");
    assert_int_equal(metric_get(&rig.worker->metrics.received_qos2), 2);
    peer_done(&a);
    peer_done(&b);
}

/* Section 3.7.2.1: 0x92 where nothing is known; 3.1.1 has no reasons. */
static void unknown_identifiers_are_answered(void **state) {
    peer_begin_5(&a, &rig, "aa");
    peer_send(&a, "62 02 0009 50 02 0009 70 02 0009 40 02 0009");
    assert_received(&a, "70 03 0009 92 62 03 0009 92");
    peer_send(&a, "c000");
    assert_received(&a, "d000");
    peer_connect_311(&b, &rig, "bb");
    peer_send(&b, "62 02 0009 50 02 0009");
    assert_received(&b, "70 02 0009 62 02 0009");
    peer_done(&a);
    peer_done(&b);
}

/* [MQTT-4.3.3-2] to [MQTT-4.3.3-5] */
static void a_subscriber_is_asked_twice(void **state) {
    peer_begin_5(&a, &rig, "aa");
    subscribe_2(&a);
    peer_connect_311(&b, &rig, "bb");
    peer_send(&b, "34 06 0001't' 0007 'x'");
    assert_received(&b, "50 02 0007");
    assert_received(&a, "34 07 0001't' 0001 00 'x'");
    assert_int_equal(session_in_flight(a.connection->session), 1);
    peer_send(&a, "50 02 0001");
    assert_received(&a, "62 02 0001");
    peer_send(&a, "50 02 0001"); /* once more: nothing new */
    assert_received(&a, "62 02 0001");
    assert_int_equal(session_in_flight(a.connection->session), 1);
    peer_send(&a, "70 02 0001");
    assert_received(&a, "");
    assert_int_equal(session_in_flight(a.connection->session), 0);
    assert_int_equal(metric_get(&rig.worker->metrics.sent_qos2), 1);
    peer_done(&a);
    peer_done(&b);
}

/* [MQTT-4.3.3-4]: a refusal is the end; the quota is given back (section 4.9). */
static void a_subscriber_may_refuse(void **state) {
    peer_begin_5(&a, &rig, "aa");
    subscribe_2(&a);
    peer_begin_5(&b, &rig, "bb");
    for (unsigned i = 1; i <= 5; i++)
        peer_send(&b, "34 07 0001't' 0001 00 'x' 62 02 0001");
    assert_received(&a, "34 07 0001't' 0001 00 'x' 34 07 0001't' 0002 00 'x'"
                        "34 07 0001't' 0003 00 'x' 34 07 0001't' 0004 00 'x'");
    peer_send(&a, "50 03 0002 83");
    assert_received(&a, "34 07 0001't' 0005 00 'x'");
    peer_send(&a, "50 02 0001"); /* the quota is not free before PUBCOMP */
    assert_received(&a, "62 02 0001");
    assert_int_equal(session_in_flight(a.connection->session), 4);
    peer_done(&a);
    peer_done(&b);
}

/* What is no answer to a message under way ends the connection: the QoS, what "aa" says, and what
 * comes back. */
static const struct {
    const char *subscribe, *publish, *wrong, *answer;
} wrong_kinds[] = {
    {"82 07 0001 00 0001't' 01", "32 07 0001't' 0001 00 'x'", "50 02 0001", "e0 01 82"},
    {"82 07 0001 00 0001't' 01", "32 07 0001't' 0001 00 'x'", "70 02 0001", "e0 01 82"},
    {"82 07 0001 00 0001't' 02", "34 07 0001't' 0001 00 'x'", "40 02 0001", "e0 01 82"},
    {"82 07 0001 00 0001't' 02", "34 07 0001't' 0001 00 'x'", "70 02 0001", "e0 01 82"},
    {"82 07 0001 00 0001't' 02", "34 07 0001't' 0001 00 'x'", "50 02 0001 40 02 0001",
     "62 02 0001 e0 01 82"},
    {"82 07 0001 00 0001't' 02", "34 07 0001't' 0001 00 'x'", "50 02 0001 50 02 0001 70 02 0001",
     "62 02 0001 62 02 0001"}, /* PUBREC may come twice */
};

static void answers_of_the_wrong_kind_are_refused(void **state) {
    for (size_t i = 0; i < COUNT_OF(wrong_kinds); i++) {
        peer_begin_5(&a, &rig, "aa");
        peer_send(&a, wrong_kinds[i].subscribe);
        peer_begin_5(&b, &rig, "bb");
        peer_send(&b, wrong_kinds[i].publish);
        buf_clear(&a.in);
        peer_send(&a, wrong_kinds[i].wrong);
        assert_received(&a, wrong_kinds[i].answer);
        peer_done(&a);
        peer_done(&b);
    }
}

/* Law 1; [MQTT-4.6.0-2] and the like: in the order of the PUBLISHes. */
static void pubrec_waits_for_the_commit(void **state) {
    rig.rules_result = MESSAGE_STAGED;
    peer_begin_5(&a, &rig, "aa");
    peer_send(&a, "34 0c 0006'rule/1' 0001 00 'x' 32 0c 0006'rule/1' 0002 00 'x'");
    peer_send(&a, "3c 0c 0006'rule/1' 0001 00 'x'"); /* its repetition waits with it */
    assert_received(&a, "");
    assert_int_equal(rig.rules_count, 2);
    rig_commit(&rig, 1, 0);
    assert_received(&a, "50 02 0001 40 02 0002 50 02 0001");
    peer_done(&a);
}

/* [MQTT-4.3.3-9]: behind a PUBREC that refuses, the identifier stands for a new message. */
static void what_cannot_be_kept_may_come_again(void **state) {
    rig.rules_result = MESSAGE_STAGED;
    peer_begin_5(&a, &rig, "aa");
    peer_send(&a, "34 0c 0006'rule/1' 0001 00 'x'");
    rig_commit(&rig, 1, ERR_NO_SPACE);
    assert_received(&a, "50 03 0001 97");
    rig.rules_result = ERR_NO_SPACE;
    peer_send(&a, "34 0c 0006'rule/1' 0001 00 'x'");
    assert_received(&a, "50 03 0001 97");
    rig.rules_result = MESSAGE_TAKEN;
    peer_send(&a, "34 0c 0006'rule/1' 0001 00 'x'");
    assert_received(&a, "50 02 0001");
    assert_int_equal(rig.rules_count, 3);
    peer_done(&a);
}

/* [MQTT-3.3.4-7]: QoS 1 and QoS 2 count together, until PUBACK and PUBCOMP. */
static void the_receive_maximum_counts_both(void **state) {
    rig.rules_result = MESSAGE_STAGED;
    peer_begin_5(&a, &rig, "aa");
    peer_send(&a, "34 0c 0006'other1' 0001 00 'x' 34 0c 0006'other1' 0002 00 'x'");
    peer_send(&a, "32 0c 0006'rule/1' 0003 00 'x' 32 0c 0006'rule/1' 0004 00 'x'");
    assert_received(&a, "50 02 0001 50 02 0002");
    peer_send(&a, "3c 0c 0006'other1' 0002 00 'x'"); /* a repetition does not count */
    rig_commit(&rig, 1, 0);
    assert_received(&a, "40 02 0003 40 02 0004 50 02 0002");
    peer_send(&a, "62 02 0001");
    assert_received(&a, "70 02 0001");
    peer_send(&a, "34 0c 0006'other1' 0001 00 'x' 34 0c 0006'other1' 0005 00 'x'");
    peer_send(&a, "34 0c 0006'other1' 0006 00 'x'");
    assert_received(&a, "50 02 0001 50 02 0005 50 02 0006");
    peer_send(&a, "34 0c 0006'other1' 0007 00 'x'");
    assert_received(&a, "e0 01 93");
    assert_true(a.closed);
    peer_done(&a);
}

/* 3.1.1 knows no such maximum: PUBRELs behind many PUBLISHes are always reached. */
static void old_clients_may_publish_far_ahead(void **state) {
    char hex[64];
    peer_connect_311(&a, &rig, "aa");
    for (unsigned i = 1; i <= 100; i++) {
        snprintf(hex, sizeof hex, "34 06 0001't' %04x 'x'", i);
        peer_send(&a, hex);
        snprintf(hex, sizeof hex, "50 02 %04x", i);
        assert_received(&a, hex);
    }
    assert_int_equal(session_received_count(a.connection->session), 100);
    for (unsigned i = 1; i <= 100; i++) {
        snprintf(hex, sizeof hex, "62 02 %04x", i);
        peer_send(&a, hex);
        snprintf(hex, sizeof hex, "70 02 %04x", i);
        assert_received(&a, hex);
    }
    assert_int_equal(session_received_count(a.connection->session), 0);
    peer_done(&a);
}

/* Section 3.1.2.6: a will of QoS 2 is taken and published. */
static void a_will_may_have_qos_2(void **state) {
    peer_begin_5(&a, &rig, "aa");
    subscribe_2(&a);
    peer_open(&b, &rig);
    peer_send(&b, "10 16 0004'MQTT'05 16 0000 00 0002'bb' 00 0001't' 0001'w'");
    peer_done(&b);
    assert_received(&a, "34 07 0001't' 0001 00 'w'");
    peer_done(&a);
}

/* Each packet ends a 5.0 connection with this reason. */
static const struct {
    const char *packet, *answer;
} errors[] = {
    {"60 02 0001", "e0 01 81"},    /* PUBREL without its flags [MQTT-3.6.1-1] */
    {"52 02 0001", "e0 01 81"},    /* PUBREC with flags */
    {"72 02 0001", "e0 01 81"},    /* PUBCOMP with flags */
    {"62 02 0000", "e0 01 82"},    /* identifier 0 [MQTT-2.2.1-5] */
    {"50 01 00", "e0 01 81"},      /* cut off */
    {"50 03 0001 92", "e0 01 82"}, /* a reason that PUBREC does not have */
    {"62 03 0001 80", "e0 01 82"}, {"34 08 0003'a/b' 0000 00", "e0 01 82"},
};

static void protocol_errors_have_their_reason(void **state) {
    for (size_t i = 0; i < COUNT_OF(errors); i++) {
        peer_begin_5(&a, &rig, "aa");
        peer_send(&a, errors[i].packet);
        assert_received(&a, errors[i].answer);
        assert_true(a.closed);
        peer_done(&a);
    }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_message_arrives_once_per_identifier), TEST(unknown_identifiers_are_answered),
        TEST(a_subscriber_is_asked_twice),           TEST(a_subscriber_may_refuse),
        TEST(answers_of_the_wrong_kind_are_refused), TEST(pubrec_waits_for_the_commit),
        TEST(what_cannot_be_kept_may_come_again),    TEST(the_receive_maximum_counts_both),
        TEST(old_clients_may_publish_far_ahead),     TEST(a_will_may_have_qos_2),
        TEST(protocol_errors_have_their_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
