/*
 * The route cache: what it holds, that it stays within its bounds, and that its routes do not go
 * stale.
 */
#include "mqtt/rig_test.h"

static struct rig rig;
static struct peer a;

static int set_up(void **state) {
    rig_init(&rig);
    rig_start(&rig);
    peer_connect_5(&a, &rig, "aa");
    return 0;
}

static int tear_down(void **state) {
    peer_done(&a);
    rig_done(&rig);
    return 0;
}

static void only_topic_names_get_in(void **state) {
    assert_null(route_find(rig.worker, STR("")));
    assert_null(route_find(rig.worker, STR("a/#")));
    assert_null(route_find(rig.worker, STR("\xff")));
    assert_int_equal(rig.worker->routes.map.count, 0);
    struct route *route = route_find(rig.worker, STR("a"));
    assert_ptr_equal(route_find(rig.worker, STR("a")), route);
    assert_int_equal(route->target_count, 0);
    assert_null(route->rules);
    assert_string_equal(route_find(rig.worker, STR("rule/a"))->rules, "rule");
}

static void overlapping_subscriptions_become_one_copy(void **state) {
    peer_send(&a, "82 0b 0001 02 0b 05 0003't/#' 04"); /* QoS 0, no local */
    peer_send(&a, "82 0b 0002 02 0b 06 0003't/+' 09"); /* QoS 1, retain as published */
    struct route *route = route_find(rig.worker, STR("t/x"));
    assert_int_equal(route->target_count, 2); /* for the messages of others, and its own */
    assert_int_equal(route->targets[0].qos, 1);
    assert_int_equal(route->targets[0].id_count, 2);
    assert_true(route->targets[0].no_local && !route->targets[0].only_own);
    assert_true(route->targets[0].retain_as_published);
    assert_int_equal(route->targets[1].id_count, 1);
    assert_int_equal(route->targets[1].ids[0], 6);
    assert_true(!route->targets[1].no_local && route->targets[1].only_own);
    peer_send(&a, "a2 08 0003 00 0003't/+'");
    route = route_find(rig.worker, STR("t/x"));
    assert_int_equal(route->targets[0].qos, 0);
    assert_true(route->targets[0].no_local);
    buf_clear(&a.in);
}

static void new_rules_are_asked(void **state) {
    assert_non_null(route_find(rig.worker, STR("rule/a"))->rules);
    mqtt_worker_set_rules(rig.worker, NULL, &rig.gate);
    assert_null(route_find(rig.worker, STR("rule/a"))->rules);
    mqtt_worker_set_rules(rig.worker, &rig.rules, &rig.gate);
    struct route *route = route_find(rig.worker, STR("rule/a"));
    route->rules = NULL;
    assert_null(route_find(rig.worker, STR("rule/a"))->rules); /* cached */
    rig.rules.generation++;
    assert_non_null(route_find(rig.worker, STR("rule/a"))->rules);
}

static void topics_are_bounded(void **state) {
    char topic[16];
    for (unsigned i = 0; i < ROUTES_MAX + 10; i++) {
        int len = snprintf(topic, sizeof topic, "t/%u", i);
        assert_non_null(route_find(rig.worker, str_from(topic, (size_t)len)));
    }
    assert_int_equal(rig.worker->routes.map.count, 10);
    assert_int_equal(rig.worker->routes.epoch, 1);
}

static void memory_is_bounded(void **state) {
    static char topic[60000];
    memset(topic, 'x', sizeof topic);
    size_t most = 0;
    for (unsigned i = 0; i < 2500; i++) {
        memcpy(
            topic,
            &(char[4]){(char)('a' + i % 26), (char)('a' + i / 26 % 26), (char)('a' + i / 676), 'z'},
            4);
        route_find(rig.worker, str_from(topic, sizeof topic));
        most = rig.worker->routes.bytes > most ? rig.worker->routes.bytes : most;
    }
    assert_in_range(most, ROUTES_BYTES_MAX, ROUTES_BYTES_MAX + 2 * sizeof topic);
    assert_int_equal(rig.worker->routes.epoch, 2);
}

/* As AWS counts: without the prefix of Basic Ingest. */
static void topics_have_so_many_levels_and_bytes(void **state) {
    rig.config.topic_levels_max = 2;
    rig.config.topic_bytes_max = 6;
    peer_send(&a, "32 0b 0005'a/b/c' 0001 00 'x' 33 09 0003'a/b' 0002 00 'x'");
    assert_received(&a, "40 03 0001 90 40 02 0002");
    peer_send(&a, "32 0d 0007'abcdefg' 0001 00 'x' 32 0c 0006'abcdef' 0002 00 'x'");
    assert_received(&a, "40 03 0001 90 40 02 0002");
    peer_send(&a, "32 16 0010'$aws/rules/r/a/b' 0001 00 'x'");
    assert_received(&a, "40 02 0001");
    peer_send(&a, "82 0b 0003 00 0005'a/b/#' 00");
    assert_received(&a, "90 04 0003 00 97");
    peer_send(&a, "82 0d 0003 00 0007'abcdefg' 00");
    assert_received(&a, "90 04 0003 00 97");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(only_topic_names_get_in), TEST(overlapping_subscriptions_become_one_copy),
        TEST(new_rules_are_asked),     TEST(topics_are_bounded),
        TEST(memory_is_bounded),       TEST(topics_have_so_many_levels_and_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
