#include "mqtt/identity.h"

#include "base/test.h"
#include "mqtt/rig_test.h"

#define HEX "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define COLONS                                                                                     \
    "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE" \
    ":FF"

static struct mqtt_config config;
static struct mqtt_certificate_config certificate;
static struct mqtt_user_config user;
static struct err err;

static int set_up(void **state) {
    config = (struct mqtt_config){0};
    certificate =
        (struct mqtt_certificate_config){.fingerprint = COLONS, .policy = "p", .active = true};
    user = (struct mqtt_user_config){.head.name = "joe", .password_hash = "$hash", .policy = "q"};
    config.certificates = (struct option_items){&certificate, 1};
    config.users = (struct option_items){&user, 1};
    err = (struct err){0};
    return 0;
}

static void users_and_certificates_are_found(void **state) {
    struct mqtt_identities *identities;
    const struct mqtt_device devices[] = {
        {.fingerprint = "aa" HEX, .active = true},
        {.fingerprint = HEX, .policy = "of the device", .active = false}};
    assert_int_equal(mqtt_identities_new(&config, devices, 2, &identities, &err), 0);
    char name[] = "joe";
    assert_string_equal(identity_user(identities, str_of(name))->policy, "q");
    assert_null(identity_user(identities, STR("jo")));
    const struct identity_certificate *found = identity_certificate(identities, STR(HEX));
    assert_true(found->active); /* that of the configuration */
    assert_string_equal(found->policy, "p");
    found = identity_certificate(identities, STR("aa" HEX));
    assert_true(found->active && !found->policy);
    mqtt_identities_unref(identities_ref(identities));
    mqtt_identities_unref(identities);
}

static void a_certificate_is_named_in_one_way(void **state) {
    static const struct {
        const char *fingerprint, *pem, *word;
    } bad[] = {
        {NULL, NULL, "either"},
        {HEX, "x.pem", "either"},
        {HEX "0", NULL, "64"},
        {"0011", NULL, "64"},
        {"", NULL, "64"},
        {":0" HEX, NULL, "64"},
        {"zz" HEX, NULL, "64"},
        {NULL, "/nonexistent.pem", "/nonexistent.pem"},
        {NULL, "/dev/null", "no certificate"},
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        certificate.fingerprint = bad[i].fingerprint;
        certificate.pem = bad[i].pem;
        assert_int_not_equal(identities_check(&config, &err), 0);
        assert_non_null(strstr(err.text, bad[i].word));
    }
}

static struct rig rig;
static struct peer a, b;

/* Users of a listener's clients come and go with the set. */
static void who_is_gone_is_disconnected(void **state) {
    struct mqtt_identities *identities;
    rig_init(&rig);
    rig_start(&rig);
    peer_connect_5(&a, &rig, "aa");
    peer_connect_5(&b, &rig, "bb");
    peer_set_principal(&a, PRINCIPAL_USER, STR("joe"));
    config.certificates.count = 0;
    assert_int_equal(mqtt_identities_new(&config, NULL, 0, &identities, &err), 0);
    mqtt_worker_set_identities(rig.worker, identities);
    mqtt_identities_unref(identities);
    rig_turn(&rig);
    assert_received(&a, "");
    assert_non_null(a.connection->authority);
    config.users.count = 0;
    mqtt_worker_set_identities(rig.worker, identities = mqtt_identities_of_users(&config));
    mqtt_identities_unref(identities);
    rig_turn(&rig);
    assert_received(&a, "e0 01 87");
    assert_received(&b, "");
    assert_int_equal(metric_get(&rig.worker->metrics.closed_identity), 1);
    peer_done(&a);
    peer_done(&b);
    rig_done(&rig);
}

#define TEST(function) cmocka_unit_test_setup(function, set_up)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(users_and_certificates_are_found),
        TEST(a_certificate_is_named_in_one_way),
        TEST(who_is_gone_is_disconnected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
