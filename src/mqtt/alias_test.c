#include "mqtt/rig_test.h"

static struct rig rig;
static struct peer a, b;

static int set_up(void **state) {
    rig_init(&rig);
    rig.config.topic_alias_max = 16;
    rig_start(&rig);
    return 0;
}

static int tear_down(void **state) {
    rig_done(&rig);
    return 0;
}

/* Client "aa", which takes so many aliases, subscribed to "#" with QoS 1; "bb" publishes. */
static void open_both(const char *connect_properties) {
    char hex[128];
    unsigned bytes = (unsigned)strtoul(connect_properties, NULL, 16);
    peer_open(&a, &rig);
    snprintf(hex, sizeof hex, "10 %02x 0004'MQTT'05 02 0000 %s 0002'aa'", 15 + bytes,
             connect_properties);
    peer_send(&a, hex);
    peer_send(&a, "82 07 0001 00 0001'#' 01");
    buf_clear(&a.in);
    peer_connect_5(&b, &rig, "bb");
}

static void close_both(void) {
    peer_done(&a);
    peer_done(&b);
}

static void a_topic_is_said_once_and_left_out_from_then_on(void **state) {
    open_both("03 22 0001");
    peer_send(&b, "30 05 0001't' 00 '1'");
    assert_received(&a, "30 08 0001't' 03 23 0001 '1'");
    peer_send(&b, "32 07 0001't' 0001 00 '2'");
    assert_received(&a, "32 09 0000 0001 03 23 0001 '2'");
    peer_send(&b, "30 05 0001'u' 00 '3'"); /* no alias is left for it */
    assert_received(&a, "30 05 0001'u' 00 '3'");
    close_both();
}

static void a_client_that_takes_none_gets_none(void **state) {
    open_both("03 22 0000");
    peer_send(&b, "30 05 0001't' 00 '1'");
    assert_received(&a, "30 05 0001't' 00 '1'");
    close_both();
}

static void an_alias_stands_before_the_properties_of_the_message(void **state) {
    open_both("03 22 000a");
    peer_send(&b, "30 0a 0001't' 05 02 0000003c '1'");
    assert_received(&a, "30 0d 0001't' 08 23 0001 02 0000003c '1'");
    close_both();
}

static void what_is_dropped_or_waits_tells_no_alias(void **state) {
    open_both("08 22 000a 27 00000014"); /* at most twenty bytes */
    peer_send(&b, "30 13 0001't' 00 '0123456789abcde'");
    assert_received(&a, "");
    peer_send(&b, "30 11 0001't' 00 '0123456789abc'"); /* fits without the alias alone */
    assert_received(&a, "30 11 0001't' 00 '0123456789abc'");
    peer_send(&b, "30 05 0001't' 00 '1'");
    assert_received(&a, "30 08 0001't' 03 23 0001 '1'");
    close_both();
}

static void queued_messages_get_aliases_when_they_leave(void **state) {
    open_both("06 21 0001 22 000a"); /* one message in flight */
    peer_send(&b, "32 07 0001't' 0001 00 '1' 32 07 0001't' 0002 00 '2'");
    assert_received(&a, "32 0a 0001't' 0001 03 23 0001 '1'");
    peer_send(&a, "40 02 0001");
    assert_received(&a, "32 09 0000 0002 03 23 0001 '2'");
    close_both();
}

static void aliases_of_clients_are_resolved_and_cut_out(void **state) {
    open_both("00");
    peer_send(&b, "30 08 0001't' 03 23 0005 '1'");
    assert_received(&a, "30 05 0001't' 00 '1'");
    peer_send(&b, "30 07 0000 03 23 0005 '2'");
    assert_received(&a, "30 05 0001't' 00 '2'");
    peer_send(&b, "30 08 0001'u' 03 23 0005 '3' 30 07 0000 03 23 0005 '4'");
    assert_received(&a, "30 05 0001'u' 00 '3' 30 05 0001'u' 00 '4'");
    peer_send(&b, "30 07 0000 03 23 0006 '5'");
    assert_received(&b, "e0 01 82");
    assert_true(b.closed);
    close_both();
}

static void aliases_beyond_the_maximum_are_refused(void **state) {
    open_both("00");
    peer_send(&b, "30 08 0001't' 03 23 0011 '1'");
    assert_received(&b, "e0 01 94");
    close_both();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_topic_is_said_once_and_left_out_from_then_on, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_client_that_takes_none_gets_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_alias_stands_before_the_properties_of_the_message,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_dropped_or_waits_tells_no_alias, set_up, tear_down),
        cmocka_unit_test_setup_teardown(queued_messages_get_aliases_when_they_leave, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(aliases_of_clients_are_resolved_and_cut_out, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(aliases_beyond_the_maximum_are_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
