/* CONNECT and what comes back. */
#include "mqtt/rig_plain_test.h"

static struct peer a, b;

static void connects_byte_by_byte(void **state) {
    peer_open(&a, &rig);
    a.byte_by_byte = 1;
    peer_send(&a, "10 0e 0004'MQTT'04 02 003c 0002'aa'"
                  "c000"
                  "82 08 0001 0003'a/b' 00"
                  "30 07 0003'a/b' 'hi'");
    assert_received(&a, "20 02 00 00"
                        "d0 00"
                        "90 03 0001 00"
                        "30 07 0003'a/b' 'hi'");
    peer_send(&a, "e0 00");
    assert_true(a.closed);
    assert_received(&a, "");
    peer_done(&a);
}

static void assigns_a_client_id(void **state) {
    peer_open(&a, &rig);
    peer_send(&a, "10 0d 0004'MQTT'05 02 0000 00 0000");
    struct str in = buf_str(&a.in);
    assert_int_equal(in.len, 2 + 0x3c);
    assert_memory_equal(in.at + 4 + 1 + 3 + 5,
                        "\x12\x00\x29"
                        "auto-",
                        8);
    peer_done(&a);
}

static void refuses_an_empty_client_id_with_a_session(void **state) {
    peer_open(&a, &rig);
    peer_send(&a, "10 0c 0004'MQTT'04 00 0000 0000");
    assert_received(&a, "20 02 00 02");
    assert_true(a.closed);
    peer_done(&a);
}

/* Section 3.2.2.3.2: only where it is not what the client asked for. */
static void a_capped_session_expiry_is_told(void **state) {
    peer_open(&a, &rig);
    peer_send(&a, "10 14 0004'MQTT'05 02 0000 05 11 0000003c 0002'aa'");
    assert_received(&a, CONNACK_5);
    peer_done(&a);
    peer_open(&a, &rig);
    peer_send(&a, "10 14 0004'MQTT'05 02 0000 05 11 ffffffff 0002'aa'");
    assert_received(&a,
                    "20 15 00 00 12 11 00093a80 21 0400 27 00200000 22 0010 2a 01"); /* 7 days */
    peer_done(&a);
}

static void server_keep_alive_is_told(void **state) {
    rig.config.keep_alive_max_ms = 60000;
    peer_open(&a, &rig);
    peer_send(&a, "10 0f 0004'MQTT'05 02 0000 00 0002'aa'");
    assert_received(&a, "20 13 00 00 10 21 0400 27 00200000 22 0010 2a 01 13 003c");
    assert_int_equal(a.connection->keep_alive_s, 60);
    peer_done(&a);
}

/* Each CONNECT, and all that comes back before the connection is closed. */
static const struct refusal {
    const char *connect, *answer;
} refusals[] = {
    {"10 0e 0004'MQTT'03 02 0000 0002'aa'", "20 02 00 01"},       /* level 3 */
    {"10 10 0006'MQIsdp'04 02 0000 0002'aa'", "20 02 00 01"},     /* MQTT 3.1 has level 3 */
    {"10 0e 0006'MQIsdp'03 02 0000 0000", "20 02 00 02"},         /* and client ids */
    {"10 0f 0004'MQTT'06 02 0000 00 0002'aa'", "20 03 00 84 00"}, /* level 6 */
    {"10 0e 0004'HTTP'04 02 0000 0002'aa'", ""},                  /* another protocol */
    {"10 0e 0004'MQTT'04 03 0000 0002'aa'", ""},                  /* reserved flag */
    {"10 0f 0004'MQTT'05 03 0000 00 0002'aa'", "20 03 00 81 00"}, /* the same in 5.0 */
    {"10 0f 0004'MQTT'05 1a 0000 00 0002'aa'", "20 03 00 81 00"}, /* will QoS without will */
    {"11 0e 0004'MQTT'04 02 0000 0002'aa'", ""},                  /* flags of the fixed header */
    {"10 0f 0004'MQTT'04 02 0000 0002'aa'00", ""},                /* a byte too many */
    {"10 0e 0004'MQTT'04 02 0000 0002 ffff", ""},                 /* client id not UTF-8 */
    {"10 12 0004'MQTT'04 42 0000 0002'aa' 0002'pw'", ""},         /* password without user */
    {"10 12 0004'MQTT'05 02 0000 03 21 0000 0002'aa'", "20 03 00 82 00"}, /* receive maximum 0 */
    {"10 14 0004'MQTT'05 02 0000 05 27 00000000 0002'aa'", "20 03 00 82 00"}, /* packet size 0 */
    {"10 12 0004'MQTT'05 02 0000 03 23 0001 0002'aa'", "20 03 00 81 00"}, /* a PUBLISH property */
    {"10 8f 00 0004'MQTT'05 02 0000 00 0002'aa'", "20 03 00 81 00"}, /* a length that is too long */
    {"10 0e 0004'MQTT'04 02 0000 0002'a' 0a", ""},                   /* a control character */
    {"10 14 0004'MQTT'05 02 0000 05 27 00000011 0002'aa'", ""},      /* smaller than any CONNACK */
    {"10 11 0004'MQTT'05 02 0000 02 7f 01 0002'aa'", "20 03 00 81 00"}, /* no such property */
    {"10 15 0004'MQTT'05 02 0000 06 21 0001 21 0001 0002'aa'", "20 03 00 82 00"}, /* twice */
    {"10 14 0004'MQTT'05 02 0000 05 15 0002'xy' 0002'aa'", "20 03 00 8c 00"},     /* AUTH method */
    {"10 16 0004'MQTT'05 06 0000 00 0002'aa' 00 0001'#' 0001'p'",
     "20 03 00 90 00"},        /* will topic */
    {"30 05 0003'a/b'", ""},   /* the first packet is not CONNECT */
    {"10 ff ff ff ff 7f", ""}, /* length of five bytes */
    {"10 80 80 80 80 01", ""},
};

static void refuses_bad_connects(void **state) {
    for (size_t i = 0; i < COUNT_OF(refusals); i++) {
        for (unsigned byte_by_byte = 0; byte_by_byte < 2; byte_by_byte++) {
            peer_open(&a, &rig);
            a.byte_by_byte = byte_by_byte;
            peer_send(&a, refusals[i].connect);
            if (!a.closed)
                print_error("not closed: %s\n", refusals[i].connect);
            assert_true(a.closed);
            assert_received(&a, refusals[i].answer);
            peer_done(&a);
        }
    }
    assert_int_equal(metric_get(&rig.worker->metrics.connections), 0);
}

/* Topics that answer: nobody publishes below "own/", nothing is retained below "ask/". */
static const void *no_route(struct message_sink *sink, struct str topic) {
    return NULL;
}

static int check_topic(struct message_sink *sink, struct str topic, bool retain) {
    if (str_starts(topic, STR("own/")))
        return ERR_DENIED;
    return retain && str_starts(topic, STR("ask/")) ? ERR_UNSUPPORTED : 0;
}

static void refuses_wills_that_could_never_be_published(void **state) {
    static const struct refusal rows[] = {
        {"10 1a 0004'MQTT'05 06 0000 00 0002'aa' 00 0005'own/a' 0001'p'", "20 03 00 87 00"},
        {"10 1a 0004'MQTT'05 26 0000 00 0002'aa' 00 0005'own/a' 0001'p'", "20 03 00 87 00"},
        {"10 1a 0004'MQTT'05 26 0000 00 0002'aa' 00 0005'ask/a' 0001'p'", "20 03 00 9a 00"},
        {"10 18 0004'MQTT'04 06 0000 0002'aa' 0005'own/a' 0001'p'", "20 02 00 05"},
        {"10 18 0004'MQTT'04 26 0000 0002'aa' 0005'ask/a' 0001'p'", ""},
    };
    struct message_sink requests = {.route = no_route, .check = check_topic};
    mqtt_worker_set_requests(rig.worker, &requests);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        peer_open(&a, &rig);
        peer_send(&a, rows[i].connect);
        assert_true(a.closed);
        assert_received(&a, rows[i].answer);
        peer_done(&a);
    }
    peer_open(&a, &rig);
    peer_send(&a, "10 18 0004'MQTT'04 06 0000 0002'aa' 0005'ask/a' 0001'p'");
    assert_received(&a, "20 02 00 00");
    peer_send(&a, "e0 00");
    peer_done(&a);
    mqtt_worker_set_requests(rig.worker, NULL);
}

/* What 3.1 let pass: flags in the fixed header, the reserved flag, repeated requests. */
static void clients_of_3_1_are_served(void **state) {
    peer_open(&a, &rig);
    peer_send(&a, "14 10 0006'MQIsdp'03 01 0000 0002'aa'");
    assert_received(&a, "20 02 00 00");
    peer_send(&a, "8a 06 0001 0001't' 01 aa 05 0002 0001't'");
    assert_received(&a, "90 03 0001 01 b0 02 0002");
    peer_done(&a);
    peer_open(&a, &rig);
    peer_send(&a, "10 10 0006'MQIsdp'03 00 0000 0002'aa'");
    assert_received(&a, "20 02 00 00"); /* there is no session present flag */
    peer_done(&a);
}

static void without_a_store_retained_messages_are_refused(void **state) {
    rig.config.retained_max = 0;
    peer_open(&a, &rig);
    peer_send(&a, "10 0f 0004'MQTT'05 02 0000 00 0002'aa'");
    assert_received(&a, "20 12 00 00 0f 25 00 21 0400 27 00200000 22 0010 2a 01");
    peer_send(&a, "31 05 0001't' 00 'x'");
    assert_received(&a, "e0 01 9a");
    peer_done(&a);
    peer_open(&a, &rig);
    peer_send(&a, "10 16 0004'MQTT'05 26 0000 00 0002'bb' 00 0001't' 0001'w'");
    assert_received(&a, "20 03 00 9a 00");
    peer_done(&a);
}

static void a_second_connect_is_a_protocol_error(void **state) {
    peer_connect_5(&a, &rig, "aa");
    peer_send(&a, "10 0f 0004'MQTT'05 02 0000 00 0002'aa'");
    assert_received(&a, "e0 01 82");
    assert_true(a.closed);
    peer_done(&a);
}

static void the_same_client_id_takes_over(void **state) {
    peer_connect_5(&a, &rig, "aa");
    peer_connect_5(&b, &rig, "aa");
    rig_turn(&rig);
    assert_received(&a, "e0 01 8e");
    assert_true(a.closed);
    peer_done(&a);
    peer_send(&b, "c0 00");
    assert_received(&b, "d0 00");
    peer_done(&b);
}

static void connections_are_bounded(void **state) {
    rig.config.connections_max = 1;
    peer_connect_5(&a, &rig, "aa");
    assert_null(mqtt_worker_attach(rig.worker, &peer_ops, &b, "127.0.0.1:1", true));
    peer_done(&a);
    peer_connect_5(&b, &rig, "bb");
    peer_done(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        RIG_TEST(connects_byte_by_byte),
        RIG_TEST(assigns_a_client_id),
        RIG_TEST(refuses_wills_that_could_never_be_published),
        RIG_TEST(refuses_an_empty_client_id_with_a_session),
        RIG_TEST(a_capped_session_expiry_is_told),
        RIG_TEST(server_keep_alive_is_told),
        RIG_TEST(refuses_bad_connects),
        RIG_TEST(clients_of_3_1_are_served),
        RIG_TEST(without_a_store_retained_messages_are_refused),
        RIG_TEST(a_second_connect_is_a_protocol_error),
        RIG_TEST(the_same_client_id_takes_over),
        RIG_TEST(connections_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
