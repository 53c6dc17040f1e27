#include "app/devices.h"

#include <stdlib.h>

#include "base/test.h"
#include "io/file.h"

#define HEX "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

#define OTHER "ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static char directory[] = "/tmp/weir-devices-XXXXXX";
static struct facts *facts;
static struct err err;

static int set_up(void **state) {
    assert_non_null(mkdtemp(directory));
    assert_int_equal(facts_open(directory, 1 << 20, &facts, &err), 0);
    return 0;
}

static int tear_down(void **state) {
    facts_close(facts);
    file_remove_tree(directory, NULL);
    return 0;
}

static void devices_are_kept_and_revoked(void **state) {
    struct device device = {
        .name = "pump-1", .fingerprint = HEX, .policy = "p\"q", .created_ms = 7, .active = true};
    assert_int_equal(devices_check_new(facts, "pump-1", &err), 0);
    assert_int_equal(devices_set(facts, &device, &err), 0);
    device.name = "pump-0";
    device.policy = NULL;
    assert_int_equal(devices_set(facts, &device, &err), 0);
    assert_int_equal(devices_check_new(facts, "pump-1", &err), ERR_EXISTS);
    assert_int_equal(devices_revoke(facts, "pump-1", &err), 0);
    assert_int_equal(devices_check_new(facts, "pump-1", &err), 0); /* the name is free again */
    const struct device again = {.name = "pump-1", .fingerprint = OTHER, .active = true};
    assert_int_equal(devices_set(facts, &again, &err), 0);
    assert_int_equal(devices_revoke(facts, "pump", &err), ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "pump"));
    assert_int_equal(facts_set(facts, "device", STR("of a later version"), STR("[1]"), &err), 0);

    struct arena arena = {0};
    struct mqtt_device *found;
    size_t count;
    assert_int_equal(devices_read(facts, &arena, &found, &count), 0);
    assert_int_equal(count, 3);
    assert_true(found[0].active && !found[0].policy);
    assert_string_equal(found[1].fingerprint, OTHER);
    assert_true(found[1].active);
    assert_string_equal(found[2].policy, "p\"q");
    assert_string_equal(found[2].fingerprint, HEX);
    assert_false(found[2].active);
    arena_done(&arena);
}

static void names_are_fit_for_files_and_topics(void **state) {
    static const char *const good[] = {"a", "Pump_1", "x:y.z-0"};
    static const char *const bad[] = {"", ".", "../x", "a/b", "a b", "\xc3\xa4"};
    char long_name[130] = {0};
    for (size_t i = 0; i < 3; i++)
        assert_true(device_name_valid(good[i]));
    for (size_t i = 0; i < 6; i++)
        assert_false(device_name_valid(bad[i]));
    memset(long_name, 'x', 129);
    assert_false(device_name_valid(long_name));
    assert_true(device_name_valid(long_name + 1));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(devices_are_kept_and_revoked, set_up, tear_down),
        cmocka_unit_test(names_are_fit_for_files_and_topics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
