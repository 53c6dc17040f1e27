#include "mqtt/rig_test.h"

#include "mqtt/lifecycle.h"

/* The events that the watcher has got since the last look, one after the other, without their
 * times and identifiers. */
struct watch {
    struct rig rig;
    struct peer watcher;
};

static void begin(struct watch *watch, const char *subscribe_hex) {
    rig_init(&watch->rig);
    rig_start(&watch->rig);
    peer_connect_311(&watch->watcher, &watch->rig, "w1");
    peer_send(&watch->watcher, subscribe_hex);
    rig_turn(&watch->rig);
    buf_clear(&watch->watcher.in);
}

static void end(struct watch *watch) {
    peer_done(&watch->watcher);
    rig_done(&watch->rig);
}

/* The payload of the PUBLISH packets received holds the text. */
static bool was_told(struct watch *watch, const char *text) {
    rig_turn(&watch->rig);
    return memmem(buf_at(&watch->watcher.in), buf_len(&watch->watcher.in), text, strlen(text));
}

#define assert_told(watch, text) assert_true(was_told(watch, text))

#define SUBSCRIBE_PRESENCE      "82 1b 0001 0016 '$aws/events/presence/#' 00"
#define SUBSCRIBE_SUBSCRIPTIONS "82 20 0001 001b '$aws/events/subscriptions/#' 00"

static void coming_and_going_is_told(void **state) {
    struct watch watch;
    struct peer peer;
    begin(&watch, SUBSCRIBE_PRESENCE);
    peer_connect_311(&peer, &watch.rig, "c1");
    assert_told(&watch, "$aws/events/presence/connected/c1{\"clientId\":\"c1\",\"timestamp\":");
    assert_told(&watch, ",\"eventType\":\"connected\",\"sessionIdentifier\":\"");
    assert_told(&watch, "\",\"principalIdentifier\":\"\",\"ipAddress\":\"127.0.0.1\","
                        "\"versionNumber\":0}");
    buf_clear(&watch.watcher.in);
    peer_send(&peer, "e0 00");
    assert_told(&watch, "$aws/events/presence/disconnected/c1{\"clientId\":\"c1\",\"timestamp\":");
    assert_told(&watch, "\"clientInitiatedDisconnect\":true,\"disconnectReason\":"
                        "\"CLIENT_INITIATED_DISCONNECT\",\"versionNumber\":0}");
    peer_done(&peer);
    peer_connect_311(&peer, &watch.rig, "c1");
    assert_told(&watch, "\"versionNumber\":1}");
    buf_clear(&watch.watcher.in);
    peer_done(&peer);
    assert_told(&watch, "\"clientInitiatedDisconnect\":false,\"disconnectReason\":"
                        "\"CONNECTION_LOST\",\"versionNumber\":1}");
    end(&watch);
}

static void one_who_takes_over_comes_before_the_one_who_goes_or_behind(void **state) {
    struct watch watch;
    struct peer first, second;
    begin(&watch, SUBSCRIBE_PRESENCE);
    peer_connect_311(&first, &watch.rig, "c1");
    peer_connect_311(&second, &watch.rig, "c1");
    assert_told(&watch, "\"disconnectReason\":\"DUPLICATE_CLIENTID\",\"versionNumber\":0}");
    assert_told(&watch, "\"versionNumber\":1}");
    peer_done(&first);
    peer_done(&second);
    end(&watch);
}

static void what_a_client_does_wrong_is_its_error(void **state) {
    struct watch watch;
    struct peer peer;
    begin(&watch, SUBSCRIBE_PRESENCE);
    peer_connect_311(&peer, &watch.rig, "c1");
    peer_send(&peer, "10 0e 0004'MQTT'04 02 0000 0002'c1'");
    assert_told(&watch, "\"disconnectReason\":\"CLIENT_ERROR\"");
    peer_done(&peer);
    end(&watch);
}

static void filters_are_told_that_took_effect(void **state) {
    struct watch watch;
    struct peer peer;
    begin(&watch, SUBSCRIBE_SUBSCRIPTIONS);
    peer_connect_311(&peer, &watch.rig, "c1");
    assert_false(was_told(&watch, "c1"));
    peer_send(&peer, "82 15 0001 0003'a/b'01 0006'$share'00 0001'c'00"); /* the second is refused */
    assert_told(&watch, "$aws/events/subscriptions/subscribed/c1{\"clientId\":\"c1\"");
    assert_told(&watch, "\"principalIdentifier\":\"\",\"topics\":[\"a/b\",\"c\"]}");
    buf_clear(&watch.watcher.in);
    peer_send(&peer, "a2 0a 0002 0003'a/b'0001'x'");
    assert_told(&watch, "$aws/events/subscriptions/unsubscribed/c1");
    assert_told(&watch, "\"topics\":[\"a/b\"]}");
    buf_clear(&watch.watcher.in);
    peer_send(&peer, "a2 05 0003 0001'x'");
    assert_false(was_told(&watch, "unsubscribed"));
    peer_done(&peer);
    end(&watch);
}

static void nothing_is_made_when_nobody_listens(void **state) {
    struct watch watch;
    struct peer peer;
    begin(&watch, "82 06 0001 0001'a'00");
    peer_connect_311(&peer, &watch.rig, "c1");
    peer_send(&peer, "82 06 0001 0001'a'00");
    peer_done(&peer);
    assert_int_equal(metric_get(&watch.rig.worker->metrics.events), 0);
    assert_int_equal(watch.rig.worker->presences.count, 0);
    end(&watch);
}

static void ids_with_wildcards_have_no_events(void **state) {
    struct watch watch;
    struct peer peer;
    begin(&watch, SUBSCRIBE_PRESENCE);
    peer_connect_311(&peer, &watch.rig, "c+");
    peer_done(&peer);
    assert_int_equal(metric_get(&watch.rig.worker->metrics.events), 0);
    end(&watch);
}

static void they_can_be_switched_off(void **state) {
    struct watch watch;
    struct peer peer;
    begin(&watch, SUBSCRIBE_PRESENCE);
    watch.rig.config.lifecycle_events = false;
    peer_connect_311(&peer, &watch.rig, "c1");
    peer_done(&peer);
    assert_int_equal(metric_get(&watch.rig.worker->metrics.events), 0);
    end(&watch);
}

static void clients_long_gone_are_forgotten(void **state) {
    struct watch watch;
    struct peer peer;
    begin(&watch, SUBSCRIBE_PRESENCE);
    peer_connect_311(&peer, &watch.rig, "c1");
    peer_done(&peer);
    struct mqtt_worker *worker = watch.rig.worker;
    assert_int_equal(worker->presences.count, 1);
    for (int i = 0; i < 3500; i++) {
        worker->wheel.now_s++;
        lifecycle_tick(worker);
    }
    assert_int_equal(worker->presences.count, 1);
    for (int i = 0; i < 200; i++) {
        worker->wheel.now_s++;
        lifecycle_tick(worker);
    }
    assert_int_equal(worker->presences.count, 0);
    end(&watch);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(coming_and_going_is_told),
        cmocka_unit_test(one_who_takes_over_comes_before_the_one_who_goes_or_behind),
        cmocka_unit_test(what_a_client_does_wrong_is_its_error),
        cmocka_unit_test(filters_are_told_that_took_effect),
        cmocka_unit_test(nothing_is_made_when_nobody_listens),
        cmocka_unit_test(ids_with_wildcards_have_no_events),
        cmocka_unit_test(they_can_be_switched_off),
        cmocka_unit_test(clients_long_gone_are_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
