#include "base/test.h"

#include "mqtt/mqtt.h"

static struct arena arena;
static struct mqtt_config config;
static struct mqtt_listener_config listener;
static struct mqtt_user_config user;
static struct conf there; /* what a struct that stands in the file points to */

static int set_up(void **state) {
    struct err err;
    config = (struct mqtt_config){0};
    assert_int_equal(option_load(&arena, mqtt_options, NULL, &config, &err), 0);
    listener = (struct mqtt_listener_config){.bind = "127.0.0.1:1883"};
    user = (struct mqtt_user_config){
        .head.name = "joe",
        .password_hash =
            "$pbkdf2-sha256$1000$TmFDbE5hQ2w=$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="};
    there = (struct conf){.file = "weir.yaml", .line = 3, .column = 5};
    config.listeners = (struct option_items){&listener, 1};
    return 0;
}

static int tear_down(void **state) {
    arena_done(&arena);
    return 0;
}

static int check(void) {
    struct err err = {0};
    int failed = mqtt_config_check(&config, &err);
    assert_int_equal(failed != 0, err.text[0] != 0);
    return failed;
}

static void defaults_are_fit_for_large_payloads(void **state) {
    assert_true(config.packet_bytes_max > 1024 * 1024);
    assert_int_equal(config.inflight_max, 1024);
    assert_int_equal(config.connect_timeout_ms, 10000);
    assert_int_equal(check(), 0);
}

static void loopback_is_open_only_without_users(void **state) {
    config.users = (struct option_items){&user, 1};
    assert_int_equal(check(), 0);
    config.users.count = 0;
    listener.anonymous = MQTT_ANONYMOUS_FALSE;
    assert_int_equal(check(), ERR_INVALID); /* nobody could connect */
}

static void beyond_loopback_both_must_be_said(void **state) {
    listener.bind = "0.0.0.0:1883";
    assert_int_equal(check(), ERR_INVALID);
    listener.anonymous = MQTT_ANONYMOUS_TRUE;
    assert_int_equal(check(), ERR_INVALID);
    listener.plaintext = true;
    assert_int_equal(check(), 0);
    listener.anonymous = MQTT_ANONYMOUS_AUTO;
    assert_int_equal(check(), ERR_INVALID);
    config.users = (struct option_items){&user, 1};
    assert_int_equal(check(), 0);
}

static void tls_needs_its_files(void **state) {
    listener.bind = "0.0.0.0:8883";
    listener.anonymous = MQTT_ANONYMOUS_TRUE;
    listener.tls.head.conf = &there;
    assert_int_equal(check(), ERR_INVALID);
    listener.tls.cert = "cert.pem";
    assert_int_equal(check(), ERR_INVALID);
    listener.tls.key = "key.pem";
    assert_int_equal(check(), 0);
    listener.tls.require_client_cert = true;
    assert_int_equal(check(), ERR_INVALID);
    listener.tls.client_ca = "ca.pem";
    listener.anonymous = MQTT_ANONYMOUS_FALSE;
    assert_int_equal(check(), 0);
}

/* What a policy itself may be, policy_test.c tells. */
static void named_policies_must_be_there(void **state) {
    struct conf document = {.type = CONF_MAP, .file = "weir.yaml"}, list = {.type = CONF_LIST};
    struct conf *statements[] = {&list}, *documents[] = {&document};
    struct conf_key statement_key = {.text = "statement"}, name = {.text = "devices"};
    struct conf policies = {
        .type = CONF_MAP, .count = 1, .items = documents, .keys = &name, .file = "weir.yaml"};
    document.items = statements;
    document.keys = &statement_key;
    config.users = (struct option_items){&user, 1};
    user.policy = "devices";
    assert_int_equal(check(), ERR_INVALID);
    config.policies = &policies;
    assert_int_equal(check(), ERR_INVALID); /* without a statement */
    document.count = 1;
    assert_int_equal(check(), 0);
    listener.policy = "gateways";
    assert_int_equal(check(), ERR_INVALID);
    name.text = "gateways";
    user.policy = NULL;
    assert_int_equal(check(), 0);
}

static void bad_values_are_refused(void **state) {
    listener.bind = "127.0.0.1";
    assert_int_equal(check(), ERR_INVALID);
    listener.bind = "127.0.0.1:1883";
    user.password_hash = "secret";
    config.users = (struct option_items){&user, 1};
    assert_int_equal(check(), ERR_INVALID);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(defaults_are_fit_for_large_payloads), TEST(loopback_is_open_only_without_users),
        TEST(beyond_loopback_both_must_be_said),   TEST(tls_needs_its_files),
        TEST(named_policies_must_be_there),        TEST(bad_values_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
