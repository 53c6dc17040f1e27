/* AUTH packets: order, methods, and what a client is told. That a right proof lets it in, the
 * end-to-end tests show with a calculation of their own; scram_test.c has the messages. */
#include "mqtt/rig_test.h"

static struct rig rig;
static struct peer a;
static struct mqtt_user_config user;
static char hash[MQTT_PASSWORD_HASH_CHARS];

static int set_up(void **state) {
    rig_init(&rig);
    mqtt_password_hash(STR("pencil"), 1, hash);
    user = (struct mqtt_user_config){.head.name = "user", .password_hash = hash};
    rig.config.users = (struct option_items){&user, 1};
    rig_start(&rig);
    return 0;
}

static int tear_down(void **state) {
    rig_done(&rig);
    return 0;
}

/* Method and, in quotes, data as properties; "n,,n=user,r=abc" has 15 bytes. */
#define METHOD        "15 000d 'SCRAM-SHA-256'"
#define FIRST         METHOD " 16 000f 'n,,n=user,r=abc'"
#define CONNECT_FIRST "10 31 0004'MQTT'05 02 0000 22 " FIRST " 0002'aa'"

/* An AUTH 0x18 with a server-first of this nonce. */
static void assert_challenged(struct peer *peer) {
    struct str in = buf_str(&peer->in);
    assert_true(in.len > 40);
    assert_int_equal((uint8_t)in.at[0], 0xf0);
    assert_int_equal((uint8_t)in.at[2], 0x18);
    assert_non_null(memmem(in.at, in.len, "SCRAM-SHA-256", 13));
    assert_non_null(memmem(in.at, in.len, "r=abc", 5));
    assert_non_null(memmem(in.at, in.len, ",i=", 3));
    buf_clear(&peer->in);
}

static void a_wrong_proof_is_refused(void **state) {
    peer_open(&a, &rig);
    peer_send(&a, CONNECT_FIRST);
    assert_challenged(&a);
    peer_send(&a, "f0 16 18 14 " METHOD " 16 0001 'x'");
    assert_received(&a, "20 03 00 86 00");
    assert_true(a.closed);
    assert_int_equal(metric_get(&rig.worker->metrics.refused_credentials), 1);
    peer_done(&a);
}

static void other_methods_are_refused(void **state) {
    peer_open(&a, &rig);
    peer_send(&a, "10 16 0004'MQTT'05 02 0000 07 15 0004 'GS2x' 0002'aa'");
    assert_received(&a, "20 03 00 8c 00");
    peer_done(&a);
    peer_open(&a, &rig);
    peer_send(&a, CONNECT_FIRST);
    assert_challenged(&a);
    peer_send(&a, "f0 09 18 07 15 0004 'GS2x'");
    assert_received(&a, "20 03 00 8c 00");
    peer_done(&a);
}

static void data_without_a_method_is_an_error(void **state) {
    peer_open(&a, &rig);
    peer_send(&a, "10 13 0004'MQTT'05 02 0000 04 16 0001 'x' 0002'aa'");
    assert_received(&a, "20 03 00 82 00");
    peer_done(&a);
}

static void nothing_but_auth_may_come_before_it_ends(void **state) {
    static const char *const packets[] = {"c0 00", "30 03 0001't'", CONNECT_FIRST,
                                          "f0 18 19 16 " METHOD " 16 0003 'n,,'", "f0 00"};
    for (size_t i = 0; i < COUNT_OF(packets); i++) {
        peer_open(&a, &rig);
        peer_send(&a, CONNECT_FIRST);
        assert_challenged(&a);
        peer_send(&a, packets[i]);
        assert_true(a.closed);
        assert_int_equal(buf_at(&a.in)[0], 0x20);
        assert_true(buf_at(&a.in)[3] >= 0x80);
        peer_done(&a);
    }
    peer_open(&a, &rig);
    peer_send(&a, CONNECT_FIRST);
    assert_challenged(&a);
    peer_send(&a, "e0 02 00 00");
    assert_true(a.closed);
    assert_received(&a, "");
    peer_done(&a);
}

static void who_did_not_begin_with_it_cannot_use_it(void **state) {
    peer_connect_5(&a, &rig, "aa");
    peer_send(&a, "f0 24 19 22 " FIRST);
    assert_received(&a, "e0 01 82");
    peer_done(&a);
    peer_connect_311(&a, &rig, "aa");
    peer_send(&a, "f0 24 19 22 " FIRST);
    assert_received(&a, "");
    assert_true(a.closed);
    peer_done(&a);
}

static void what_is_no_client_first_is_refused(void **state) {
    peer_open(&a, &rig);
    peer_send(&a, "10 26 0004'MQTT'05 02 0000 17 " METHOD " 16 0004 'user' 0002'aa'");
    assert_received(&a, "20 03 00 87 00");
    peer_done(&a);
}

/* An exchange that the client does not end is ended with the connection. */
static void time_runs_meanwhile(void **state) {
    peer_open(&a, &rig);
    peer_send(&a, CONNECT_FIRST);
    assert_challenged(&a);
    for (int i = 0; i < 20; i++)
        wheel_tick(rig.worker);
    rig_turn(&rig);
    assert_true(a.closed);
    assert_int_equal(metric_get(&rig.worker->metrics.refused_timeout), 1);
    peer_done(&a);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_wrong_proof_is_refused),
        TEST(other_methods_are_refused),
        TEST(data_without_a_method_is_an_error),
        TEST(nothing_but_auth_may_come_before_it_ends),
        TEST(who_did_not_begin_with_it_cannot_use_it),
        TEST(what_is_no_client_first_is_refused),
        TEST(time_runs_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
