#include "base/test.h"

#include <stdlib.h>

#include "base/mem.h"
#include "state/address.h"

static void check_text(const char *actual, const char *expected) {
    if (expected)
        assert_string_equal(actual, expected);
    else
        assert_null(actual);
}

static void urls_are_read(void **state) {
    static const struct {
        const char *url;
        struct {
            const char *path, *host, *user, *password, *place;
            unsigned port, database;
        } expected;
    } cases[] = {
        {"redis://127.0.0.1:6380", {.host = "127.0.0.1", .port = 6380, .place = "127.0.0.1:6380"}},
        {"redis://cache", {.host = "cache", .port = 6379, .place = "cache:6379"}},
        {"redis://cache/", {.host = "cache", .port = 6379, .place = "cache:6379"}},
        {"redis://cache:1/3", {.host = "cache", .port = 1, .database = 3, .place = "cache:1"}},
        {"redis://[::1]:7/2", {.host = "::1", .port = 7, .database = 2, .place = "[::1]:7"}},
        {"redis://[fe80::1]", {.host = "fe80::1", .port = 6379, .place = "[fe80::1]:6379"}},
        {"redis://ann:s3cret@h:1",
         {.user = "ann", .password = "s3cret", .host = "h", .port = 1, .place = "h:1"}},
        {"redis://:p@h:1", {.password = "p", .host = "h", .port = 1, .place = "h:1"}},
        {"redis://p@h:1", {.password = "p", .host = "h", .port = 1, .place = "h:1"}},
        {"redis://a%3Ab:c%40%2Fd@h:1",
         {.user = "a:b", .password = "c@/d", .host = "h", .port = 1, .place = "h:1"}},
        {"redis://u:p@ss@h:1",
         {.user = "u", .password = "p@ss", .host = "h", .port = 1, .place = "h:1"}},
        {"unix:///run/redis.sock",
         {.path = "/run/redis.sock", .port = 0, .place = "/run/redis.sock"}},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct state_address actual;
        struct err err;
        assert_int_equal(state_address_parse(cases[i].url, &actual, &err), 0);
        check_text(actual.path, cases[i].expected.path);
        check_text(actual.host, cases[i].expected.host);
        check_text(actual.user, cases[i].expected.user);
        check_text(actual.password, cases[i].expected.password);
        check_text(actual.place, cases[i].expected.place);
        assert_int_equal(actual.port, cases[i].expected.port);
        assert_int_equal(actual.database, cases[i].expected.database);
        state_address_done(&actual);
    }
}

static void what_is_no_url_is_refused_without_showing_secrets(void **state) {
    static const char *const urls[] = {
        "",
        "127.0.0.1:6379",
        "http://h",
        "rediss://h:1",
        "redis://",
        "redis://:1",
        "redis://h:",
        "redis://h:0",
        "redis://h:65536",
        "redis://h:x",
        "redis://h/x",
        "redis://h/1/2",
        "redis://[::1",
        "redis://[]",
        "redis://[::1]x",
        "redis://u:s3cret%4@h:1",
        "redis://u:s3cret%00@h:1",
        "redis://u:s3cret@h:x",
        "unix://relative",
        "unix://",
    };
    for (size_t i = 0; i < COUNT_OF(urls); i++) {
        struct state_address actual;
        struct err err = {0};
        if (state_address_parse(urls[i], &actual, &err) >= 0)
            fail_msg("%s was read", urls[i]);
        assert_true(err.text[0]);
        assert_null(strstr(err.text, "s3cret"));
    }
}

static void a_path_that_no_socket_can_have_is_refused(void **state) {
    struct state_address actual;
    struct err err;
    char *path = xprintf("unix:///%0107d", 0), *fitting = xprintf("unix:///%0106d", 0);
    assert_int_equal(state_address_parse(path, &actual, &err), ERR_TOO_LARGE);
    assert_int_equal(state_address_parse(fitting, &actual, &err), 0);
    state_address_done(&actual);
    free(path);
    free(fitting);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_are_read),
        cmocka_unit_test(what_is_no_url_is_refused_without_showing_secrets),
        cmocka_unit_test(a_path_that_no_socket_can_have_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
