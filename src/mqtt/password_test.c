#include "base/test.h"

#include "mqtt/mqtt.h"
#include "mqtt/password.h"

static void a_password_matches_its_hash_alone(void **state) {
    char hash[MQTT_PASSWORD_HASH_CHARS], again[MQTT_PASSWORD_HASH_CHARS];
    mqtt_password_hash(STR("secret"), 1000, hash);
    mqtt_password_hash(STR("secret"), 1000, again);
    assert_string_not_equal(hash, again); /* another salt */
    assert_true(mqtt_password_verify(STR("secret"), hash));
    assert_false(mqtt_password_verify(STR("Secret"), hash));
    assert_false(mqtt_password_verify(STR(""), hash));
    assert_int_equal(mqtt_password_hash_check(hash, NULL), 0);
    mqtt_password_hash(STR(""), 1, hash);
    assert_true(mqtt_password_verify((struct str){NULL, 0}, hash));
}

/* Python: hashlib.pbkdf2_hmac("sha256", b"Password", b"NaClNaCl", 1000) */
static void agrees_with_another_implementation(void **state) {
    const char *hash =
        "$pbkdf2-sha256$1000$TmFDbE5hQ2w=$MSIt3QlCxuLbefgRbHuMo0kQ2djxo9x35TFSZkuF5c0=";
    assert_true(mqtt_password_verify(STR("Password"), hash));
}

static void nobody_has_the_password_of_nobody(void **state) {
    assert_int_equal(mqtt_password_hash_check(password_nobody, NULL), 0);
    assert_false(mqtt_password_verify(STR(""), password_nobody));
}

static void bad_hashes_are_named(void **state) {
    static const char *const bad[] = {
        "",
        "secret",
        "$pbkdf2-sha256$",
        "$pbkdf2-sha256$0$TmFDbE5hQ2w=$AA==",
        "$pbkdf2-sha256$99999999$TmFDbE5hQ2w=$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "$pbkdf2-sha256$1000$AA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "$pbkdf2-sha256$1000$TmFDbE5hQ2w=$AA==",
        "$pbkdf2-sha256$1000$TmFDbE5hQ2w=",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct err err = {0};
        assert_int_equal(mqtt_password_hash_check(bad[i], &err), ERR_INVALID);
        assert_true(err.text[0]);
        assert_false(mqtt_password_verify(STR("secret"), bad[i]));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_password_matches_its_hash_alone),
        cmocka_unit_test(agrees_with_another_implementation),
        cmocka_unit_test(nobody_has_the_password_of_nobody),
        cmocka_unit_test(bad_hashes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
