#include "mqtt/rig_test.h"

#include "mqtt/sys_topics.h"

static bool holds(struct peer *peer, const char *text) {
    rig_turn(peer->rig);
    return memmem(buf_at(&peer->in), buf_len(&peer->in), text, strlen(text));
}

static void begin(struct rig *rig, struct peer *peer) {
    rig_init(rig);
    rig->config.sys_interval_ms = 2000;
    rig_start(rig);
    peer_connect_311(peer, rig, "c1");
}

static void end(struct rig *rig, struct peer *peer) {
    peer_done(peer);
    rig_done(rig);
}

static void a_subscriber_gets_the_state_at_once_as_retained(void **state) {
    struct rig rig;
    struct peer peer;
    begin(&rig, &peer);
    peer_send(&peer, "82 22 0001 001d'$SYS/broker/clients/connected'00");
    /* SUBACK, then PUBLISH with RETAIN */
    assert_received(&peer, "90 03 0001 00 31 20 001d'$SYS/broker/clients/connected''1'");
    peer_send(&peer, "82 0b 0002 0006'$SYS/#'00");
    assert_true(holds(&peer, "$SYS/broker/versionweir version "));
    assert_true(holds(&peer, "$SYS/broker/subscriptions/count2"));
    assert_true(holds(&peer, "$SYS/broker/retained messages/count0"));
    assert_true(holds(&peer, "$SYS/broker/messages/received3"));
    assert_true(holds(&peer, "$SYS/broker/load/sockets/15min0.00"));
    assert_true(holds(&peer, "$SYS/broker/heap/current"));
    assert_int_equal(rig.worker->retained.count, 0);
    end(&rig, &peer);
}

static void tick(struct rig *rig, int seconds) {
    for (int i = 0; i < seconds; i++)
        sys_topics_tick(rig->worker);
    rig_turn(rig);
}

static void what_has_changed_is_said_every_interval(void **state) {
    struct rig rig;
    struct peer peer, other;
    begin(&rig, &peer);
    peer_send(&peer, "82 22 0001 001d'$SYS/broker/clients/connected'00");
    buf_clear(&peer.in);
    tick(&rig, 1);
    assert_received(&peer, "");
    tick(&rig, 1);
    assert_received(&peer, "30 20 001d'$SYS/broker/clients/connected''1'");
    tick(&rig, 2);
    assert_received(&peer, "");
    peer_connect_311(&other, &rig, "c2");
    tick(&rig, 2);
    assert_received(&peer, "30 20 001d'$SYS/broker/clients/connected''2'");
    peer_done(&other);
    tick(&rig, 2);
    assert_received(&peer, "30 20 001d'$SYS/broker/clients/connected''1'");
    end(&rig, &peer);
}

static void loads_are_moving_averages_per_minute(void **state) {
    struct rig rig;
    struct peer peer;
    begin(&rig, &peer);
    tick(&rig, 2); /* one socket in 2 s: 30 a minute; times 1 - e^(-2/60) */
    peer_send(&peer, "82 1f 0001 001a'$SYS/broker/load/sockets/+'00");
    assert_true(holds(&peer, "$SYS/broker/load/sockets/1min0.98"));
    assert_true(holds(&peer, "$SYS/broker/load/sockets/5min0.20"));
    assert_true(holds(&peer, "$SYS/broker/load/sockets/15min0.07"));
    end(&rig, &peer);
}

static void without_an_interval_there_is_none(void **state) {
    struct rig rig;
    struct peer peer;
    begin(&rig, &peer);
    rig.config.sys_interval_ms = 0;
    peer_send(&peer, "82 0b 0002 0006'$SYS/#'00");
    assert_received(&peer, "90 03 0002 00");
    tick(&rig, 10);
    assert_received(&peer, "");
    end(&rig, &peer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_subscriber_gets_the_state_at_once_as_retained),
        cmocka_unit_test(what_has_changed_is_said_every_interval),
        cmocka_unit_test(loads_are_moving_averages_per_minute),
        cmocka_unit_test(without_an_interval_there_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
