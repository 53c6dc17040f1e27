/* Shared subscriptions (MQTT 5.0 section 4.8.2) on one worker; worker_test.c has those over several. */
#include "mqtt/rig_test.h"

static struct rig rig;
static struct peer a, b, c;

static int set_up(void **state) {
    rig_init(&rig);
    rig_start(&rig);
    peer_connect_5(&c, &rig, "cc");
    return 0;
}

static int tear_down(void **state) {
    peer_done(&c);
    rig_done(&rig);
    return 0;
}

static void join(struct peer *peer, const char *qos) {
    char hex[64];
    snprintf(hex, sizeof hex, "82 10 0001 00 000a'$share/g/t' %s", qos);
    peer_send(peer, hex);
    snprintf(hex, sizeof hex, "90 04 0001 00 %s", qos);
    assert_received(peer, hex);
}

/* [MQTT-4.8.2-4]: one member gets it. Members take turns. */
static void members_take_turns(void **state) {
    peer_connect_5(&a, &rig, "aa");
    peer_connect_5(&b, &rig, "bb");
    join(&a, "00");
    join(&b, "00");
    peer_send(&c, "30 05 0001't' 00 '1' 30 05 0001't' 00 '2' 30 05 0001't' 00 '3'");
    assert_received(&a, "30 05 0001't' 00 '1' 30 05 0001't' 00 '3'");
    assert_received(&b, "30 05 0001't' 00 '2'");
    peer_send(&a, "a2 0f 0002 00 000a'$share/g/t'");
    assert_received(&a, "b0 04 0002 00 00");
    peer_send(&c, "30 05 0001't' 00 '4' 30 05 0001't' 00 '5'");
    assert_received(&a, "");
    assert_received(&b, "30 05 0001't' 00 '4' 30 05 0001't' 00 '5'");
    peer_done(&b);
    assert_int_equal(rig.worker->shares.by_key.count, 0);
    peer_send(&c, "30 05 0001't' 00 '6'");
    peer_done(&a);
    assert_int_equal(metric_get(&rig.worker->metrics.subscriptions), 0);
}

/* A share is apart from other shares of the filter, and from plain subscriptions to it. */
static void shares_are_apart(void **state) {
    peer_connect_5(&a, &rig, "aa");
    join(&a, "00");
    peer_send(&a, "82 10 0001 00 000a'$share/h/#' 00 82 07 0002 00 0001't' 00");
    buf_clear(&a.in);
    peer_send(&c, "30 05 0001't' 00 'x'");
    assert_received(&a, "30 05 0001't' 00 'x' 30 05 0001't' 00 'x' 30 05 0001't' 00 'x'");
    peer_send(&c, "30 05 0001'u' 00 'x'");
    assert_received(&a, "30 05 0001'u' 00 'x'");
    peer_send(&a, "a2 0f 0003 00 000a'$share/h/t'"); /* not this one */
    assert_received(&a, "b0 04 0003 00 11");
    peer_done(&a);
}

/* Clients of 3.1.1 share too; each gets its own QoS and subscription identifier. */
static void members_have_their_own_options(void **state) {
    peer_connect_5(&a, &rig, "aa");
    peer_connect_311(&b, &rig, "bb");
    peer_send(&a, "82 12 0001 02 0b 07 000a'$share/g/t' 02");
    peer_send(&b, "82 0f 0001 000a'$share/g/t' 01");
    assert_received(&a, "90 04 0001 00 02");
    assert_received(&b, "90 03 0001 01");
    peer_send(&c, "34 07 0001't' 0001 00 '1' 34 07 0001't' 0002 00 '2'");
    assert_received(&a, "34 09 0001't' 0001 02 0b 07 '1'");
    assert_received(&b, "32 06 0001't' 0001 '2'");
    peer_done(&a);
    peer_done(&b);
    buf_clear(&c.in);
}

/* Section 4.8.2: no retained messages are sent to a share. */
static void retained_messages_are_not_sent(void **state) {
    peer_send(&c, "31 05 0001't' 00 'x'");
    peer_connect_5(&a, &rig, "aa");
    join(&a, "01");
    peer_done(&a);
}

/* [MQTT-4.8.2-1] and [MQTT-4.8.2-2]: the name is not empty and has no wildcards; a filter follows. */
static void bad_shares_are_refused(void **state) {
    static const char *const bad[] = {"$share//t0", "$share/+/t", "$share/#/t", "$share/ggg",
                                      "$share/gg/"};
    peer_connect_5(&a, &rig, "aa");
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        char hex[64];
        snprintf(hex, sizeof hex, "82 10 0001 00 000a'%s' 00", bad[i]);
        peer_send(&a, hex);
        assert_received(&a, "90 04 0001 00 8f");
    }
    peer_done(&a);
}

/* A member that can take nothing more is passed over while another can. */
static void busy_members_are_passed_over(void **state) {
    peer_open(&a, &rig);
    peer_send(&a, "10 12 0004'MQTT'05 02 0000 03 21 0001 0002'aa'"); /* receive maximum 1 */
    buf_clear(&a.in);
    peer_connect_5(&b, &rig, "bb");
    join(&a, "01");
    join(&b, "01");
    for (unsigned i = 0; i < 4; i++)
        peer_send(&c, "32 07 0001't' 0001 00 'x'");
    assert_received(&a, "32 07 0001't' 0001 00 'x'");
    assert_int_equal(session_in_flight(b.connection->session), 3);
    peer_done(&a);
    buf_clear(&b.in);
    peer_done(&b);
    buf_clear(&c.in);
}

/* Section 4.8.2: what a member leaves behind unacknowledged goes to another one, with QoS 2 only
 * what was not yet sent [MQTT-4.8.2-5]. */
static void a_member_that_leaves_loses_nothing(void **state) {
    peer_open(&a, &rig);
    peer_send(&a, "10 12 0004'MQTT'05 02 0000 03 21 0002 0002'aa'"); /* receive maximum 2 */
    buf_clear(&a.in);
    join(&a, "02");
    peer_send(&c, "34 07 0001't' 0001 00 '1' 32 07 0001't' 0002 00 '2' 32 07 0001't' 0003 00 '3'");
    assert_received(&a, "34 07 0001't' 0001 00 '1' 32 07 0001't' 0002 00 '2'");
    peer_connect_5(&b, &rig, "bb");
    join(&b, "02");
    peer_done(&a);
    rig_turn(&rig);
    assert_received(&b, "32 07 0001't' 0001 00 '2' 32 07 0001't' 0002 00 '3'");
    peer_done(&b);
    buf_clear(&c.in);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(members_take_turns),
        TEST(shares_are_apart),
        TEST(members_have_their_own_options),
        TEST(retained_messages_are_not_sent),
        TEST(bad_shares_are_refused),
        TEST(busy_members_are_passed_over),
        TEST(a_member_that_leaves_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
