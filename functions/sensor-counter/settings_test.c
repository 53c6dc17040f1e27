#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "settings.h"

static struct settings parse(const char *url, const char *port) {
    struct settings settings = {0};
    const char *problem = settings_parse_redis(&settings, url, port);
    if (problem)
        fail_msg("%s: %s", url, problem);
    return settings;
}

static void expect_place(const char *url, const char *port, const char *host, int expected_port) {
    struct settings settings = parse(url, port);
    assert_false(settings.is_path);
    assert_string_equal(settings.host, host);
    assert_int_equal(settings.port, expected_port);
    assert_string_equal(settings.password, "");
}

static void reads_hosts_and_ports(void **state) {
    expect_place("redis.local", NULL, "redis.local", 6379);
    expect_place("redis.local", "", "redis.local", 6379);
    expect_place("redis.local", "7000", "redis.local", 7000);
    expect_place("redis.local:7001", "7000", "redis.local", 7001);
    expect_place("redis://10.0.0.1", NULL, "10.0.0.1", 6379);
    expect_place("redis://10.0.0.1/", "7000", "10.0.0.1", 7000);
    expect_place("redis://10.0.0.1:7002/0", "7000", "10.0.0.1", 7002);
    expect_place("redis://[::1]:7003", NULL, "::1", 7003);
    expect_place("[::1]", "7000", "::1", 7000);
    expect_place("fe80::1", "7000", "fe80::1", 7000);
}

static void reads_socket_paths(void **state) {
    struct settings settings = parse("unix:///run/redis.sock", "7000");
    assert_true(settings.is_path);
    assert_string_equal(settings.host, "/run/redis.sock");
    assert_string_equal(settings.place, "/run/redis.sock");
}

static void reads_users_and_databases(void **state) {
    struct settings settings = parse("redis://me:p%40ss%3a@h:1/12", NULL);
    assert_string_equal(settings.user, "me");
    assert_string_equal(settings.password, "p@ss:");
    assert_int_equal(settings.database, 12);
    assert_string_equal(settings.host, "h");
    assert_string_equal(settings.place, "h:1");
    settings = parse("redis://:secret@h", NULL);
    assert_string_equal(settings.user, "");
    assert_string_equal(settings.password, "secret");
    settings = parse("redis://secret@h", NULL);
    assert_string_equal(settings.user, "");
    assert_string_equal(settings.password, "secret");
}

static void tells_what_is_wrong(void **state) {
    static const char *const bad[] = {
        "rediss://h",      "http://h",        "redis://",       "redis://:6379",
        "redis://h:x",     "redis://h:65536", "redis://h:",     "redis://h/x",
        "redis://h?a=b",   "redis://[::1",    "redis://[::1]x", "unix://relative",
        "redis://u:%zz@h", "redis://u:%00@h", "redis://u:%4@h", "redis://h/9999999",
    };
    struct settings settings = {0};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (!settings_parse_redis(&settings, bad[i], NULL))
            fail_msg("accepted: %s", bad[i]);
    }
    assert_non_null(settings_parse_redis(&settings, "h", "many"));
    assert_non_null(settings_parse_redis(&settings, "h", "65536"));
    char longer[600];
    memset(longer, 'h', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    assert_non_null(settings_parse_redis(&settings, longer, NULL));
}

static void reads_the_environment(void **state) {
    struct settings settings = {0};
    unsetenv("redis_url");
    assert_non_null(settings_read(&settings));
    setenv("redis_url", "h", 1);
    setenv("redis_port", "7", 1);
    setenv("sensor_channel", "news", 1);
    setenv("sensor_count_key", "", 1);
    assert_null(settings_read(&settings));
    assert_string_equal(settings.host, "h");
    assert_int_equal(settings.port, 7);
    assert_string_equal(settings.latest_key, "sensorLatest");
    assert_string_equal(settings.count_key, "sensorCount");
    assert_string_equal(settings.shards_key, "sensorShards");
    assert_string_equal(settings.channel, "news");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_hosts_and_ports),     cmocka_unit_test(reads_socket_paths),
        cmocka_unit_test(reads_users_and_databases), cmocka_unit_test(tells_what_is_wrong),
        cmocka_unit_test(reads_the_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
