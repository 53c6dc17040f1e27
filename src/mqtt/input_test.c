/*
 * Bytes as they come: errors and their reasons, large packets, back-pressure of a client's own
 * making.
 */
#include "mqtt/rig_plain_test.h"

static struct peer a;

/* Each packet, and all that comes back before the connection is closed. */
static const struct {
    const char *packet, *answer;
} errors[] = {
    {"36 09 0003'a/b' 0001 00 'x'", "e0 01 81"}, /* QoS 3 */
    {"38 06 0003'a/b' 00", "e0 01 81"},          /* DUP with QoS 0 */
    {"32 08 0003'a/b' 0000 00", "e0 01 82"},     /* packet identifier 0 */
    {"30 06 0003'a/#' 00", "e0 01 81"},          /* wildcard in a topic */
    {"30 06 0003'a/+' 00", "e0 01 81"},
    {"30 05 0002 c328 00", "e0 01 81"},               /* not UTF-8 */
    {"30 03 0000 00", "e0 01 82"},                    /* no topic, no alias */
    {"30 06 0000 03 23 0001", "e0 01 82"},            /* an alias not known */
    {"30 07 0001'a' 03 23 0000", "e0 01 94"},         /* alias 0 */
    {"30 07 0001'a' 03 23 0011", "e0 01 94"},         /* alias 17 of 16 */
    {"30 06 0001'a' 02 0b 01", "e0 01 82"},           /* a subscription identifier from a client */
    {"30 09 0001'a' 05 08 0002'a+'", "e0 01 82"},     /* response topic with a wildcard */
    {"30 03 0009'a'", "e0 01 81"},                    /* topic longer than the packet */
    {"80 07 0001 00 0001'a' 00", "e0 01 81"},         /* SUBSCRIBE with wrong flags */
    {"82 03 0001 00", "e0 01 82"},                    /* no filter */
    {"82 07 0000 00 0001'a' 00", "e0 01 82"},         /* packet identifier 0 */
    {"82 07 0001 00 0001'a' 03", "e0 01 81"},         /* QoS 3 */
    {"82 07 0001 00 0001'a' 40", "e0 01 81"},         /* reserved bits */
    {"82 07 0001 00 0001'a' 30", "e0 01 82"},         /* retain handling 3 */
    {"82 0f 0001 00 000a'$share/g/'04", "e0 01 81"},  /* cut off */
    {"82 10 0001 00 000a'$share/g/a'04", "e0 01 82"}, /* No Local on a shared subscription */
    {"82 09 0001 02 0b 00 0001'a' 00", "e0 01 82"},   /* subscription identifier 0 */
    {"a2 03 0001 00", "e0 01 82"},                    /* UNSUBSCRIBE without filter */
    {"c1 00", "e0 01 81"},                            /* PINGREQ with flags */
    {"d0 00", "e0 01 82"},                            /* PINGRESP from a client */
    {"00 00", "e0 01 81"},                            /* type 0 */
    {"f0 00", "e0 01 82"},                            /* AUTH */
    {"40 01 00", "e0 01 81"},                         /* PUBACK cut off */
    {"e0 07 00 05 11 0000003c", "e0 01 82"},          /* DISCONNECT extends a session of expiry 0 */
    {"30 ff ff ff 7f", "e0 01 95"},                   /* 256 MiB announced */
    {"30 80 80 c0 8f 01", "e0 01 81"},                /* 300 MB does not fit the length at all */
};

static void protocol_errors_have_their_reason(void **state) {
    for (size_t i = 0; i < COUNT_OF(errors); i++) {
        for (unsigned byte_by_byte = 0; byte_by_byte < 2; byte_by_byte++) {
            peer_connect_5(&a, &rig, "aa");
            a.byte_by_byte = byte_by_byte;
            peer_send(&a, errors[i].packet);
            if (!a.closed)
                print_error("not closed: %s\n", errors[i].packet);
            assert_true(a.closed);
            assert_received(&a, errors[i].answer);
            peer_done(&a);
        }
    }
}

static void old_clients_are_closed_without_a_word(void **state) {
    peer_connect_311(&a, &rig, "aa");
    peer_send(&a, "36 07 0003'a/b' 0001");
    assert_true(a.closed);
    assert_received(&a, "");
    peer_done(&a);
}

/* Nobody waits for the rest of what is no CONNECT. */
static void another_protocol_is_closed_at_its_first_byte(void **state) {
    peer_open(&a, &rig);
    peer_send(&a, "'G'");
    assert_received(&a, "");
    assert_true(a.closed);
    peer_done(&a);
}

static void a_large_payload_passes(void **state) {
    enum { PAYLOAD = 1024 * 1024 };
    struct buf packet = {0};
    peer_connect_311(&a, &rig, "aa");
    peer_send(&a, "82 06 0001 0001't' 00");
    buf_clear(&a.in);
    struct message message = {.topic = STR("t"), .payload = {calloc(1, PAYLOAD), PAYLOAD}};
    struct packet_form form = {.version = PACKET_VERSION_3_1_1};
    struct packet_marks marks;
    packet_write_publish(&packet, &message, &form, &marks);
    for (size_t at = 0; at < buf_len(&packet); at += 65536) {
        size_t left = buf_len(&packet) - at;
        mqtt_connection_feed(a.connection, buf_at(&packet) + at, left < 65536 ? left : 65536);
    }
    rig_turn(&rig);
    assert_true(str_eq(buf_str(&a.in), buf_str(&packet)));
    assert_null(a.connection->inbox);
    free((char *)message.payload.at);
    buf_done(&packet);
    peer_done(&a);
}

static void answers_do_not_pile_up(void **state) {
    peer_connect_5(&a, &rig, "aa");
    a.pending = 2 * 1024 * 1024;
    peer_send(&a, "c0 00");
    assert_true(a.reading_stopped);
    mqtt_connection_drained(a.connection);
    assert_true(a.reading_stopped);
    a.pending = 0;
    mqtt_connection_drained(a.connection);
    assert_false(a.reading_stopped);
    assert_received(&a, "d0 00");
    peer_done(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        RIG_TEST(protocol_errors_have_their_reason),
        RIG_TEST(old_clients_are_closed_without_a_word),
        RIG_TEST(another_protocol_is_closed_at_its_first_byte),
        RIG_TEST(a_large_payload_passes),
        RIG_TEST(answers_do_not_pile_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
