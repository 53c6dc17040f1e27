/* SUBSCRIBE, UNSUBSCRIBE, and the retained messages that follow. */
#include "mqtt/rig_plain_test.h"

static struct peer a;

static void subscribe_grants_and_refuses(void **state) {
    rig.config.subscriptions_max = 3;
    peer_connect_5(&a, &rig, "aa");
    peer_send(&a,
              "82 24 0007 00 0001'a'02 0001'b'00 0003'c/#'01 0001'd'01 0004'x+/y'00 0005'$shar'00");
    assert_received(&a, "e0 01 81"); /* nothing of it counts */
    peer_done(&a);
    assert_int_equal(metric_get(&rig.worker->metrics.subscriptions), 0);
    peer_connect_5(&a, &rig, "aa");
    peer_send(&a,
              "82 24 0007 00 0001'a'02 0001'b'00 0003'c/#'01 0001'd'01 0004'x/+y'00 0005'$shar'00");
    assert_received(&a, "e0 01 81");
    peer_done(&a);
    peer_connect_5(&a, &rig, "aa");
    peer_send(
        &a,
        "82 27 0007 00 0001'a'02 0001'b'00 0003'c/#'01 0001'd'01 0007'$share/'00 0005'$shar'00");
    assert_received(&a, "90 09 0007 00 02 00 01 97 8f 97");
    peer_send(&a, "82 10 0008 00 000a'$share/g/a'00");
    assert_received(&a, "90 04 0008 00 97");
    peer_send(&a, "a2 0c 0009 00 0003'c/#' 0002'no'");
    assert_received(&a, "b0 05 0009 00 00 11");
    peer_done(&a);
    assert_int_equal(metric_get(&rig.worker->metrics.subscriptions), 0);
    peer_connect_311(&a, &rig, "aa");
    peer_send(&a, "82 10 0007 0001'a'02 0007'$share/'01");
    assert_received(&a, "90 04 0007 02 80");
    peer_send(&a, "a2 05 0009 0001'a'");
    assert_received(&a, "b0 02 0009");
    peer_done(&a);
}

static void retained_messages_follow_a_subscribe(void **state) {
    peer_connect_5(&a, &rig, "aa");
    peer_send(&a, "31 07 0003'a/b' 00 'x'");
    peer_send(&a, "33 09 0003'a/c' 0001 00 'y'");
    peer_send(&a, "31 06 0003'a/d' 00"); /* nothing to delete */
    buf_clear(&a.in);
    peer_send(&a, "82 0b 0001 02 0b 07 0003'a/c' 00");
    assert_received(&a, "90 04 0001 00 00"
                        "31 09 0003'a/c' 02 0b 07 'y'");
    peer_send(&a, "82 09 0001 00 0003'a/b' 11"); /* new: sent */
    assert_received(&a, "90 04 0001 00 01"
                        "31 07 0003'a/b' 00 'x'");
    peer_send(&a, "82 09 0001 00 0003'a/b' 11"); /* not new */
    assert_received(&a, "90 04 0001 00 01");
    peer_send(&a, "82 09 0001 00 0003'a/+' 21"); /* never */
    assert_received(&a, "90 04 0001 00 01");
    peer_send(&a, "31 06 0003'a/b' 00");
    buf_clear(&a.in);
    peer_send(&a, "82 09 0001 00 0003'a/b' 01");
    assert_received(&a, "90 04 0001 00 01");
    assert_int_equal(metric_get(&rig.worker->metrics.retained_count), 1);
    peer_done(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        RIG_TEST(subscribe_grants_and_refuses),
        RIG_TEST(retained_messages_follow_a_subscribe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
