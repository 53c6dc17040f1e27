#include "base/test.h"

#include "base/mem.h"
#include "web/guard.h"

static const char *listed[] = {"weir.example.org"};
static const struct option_strings hosts = {listed, 1}, no_hosts = {0};

static void a_loopback_listener_knows_its_names(void **state) {
    static const char *const fine[] = {
        "",          "localhost",      "localhost:8080", "LocalHost:1", "weir.localhost",
        "127.0.0.1", "127.0.0.1:8080", "[::1]",          "[::1]:8080",  "192.168.1.7:80"};
    static const char *const rebound[] = {"evil.example",
                                          "evil.example:8080",
                                          "localhost.evil.example",
                                          "notlocalhost",
                                          "127.0.0.1.evil.example:8080",
                                          "[::1].evil.example",
                                          "[::1",
                                          "[]",
                                          ":8080",
                                          "127.0.0.1@evil.example",
                                          "weir.example.org"};
    for (size_t i = 0; i < COUNT_OF(fine); i++)
        if (!web_guard_host(str_of(fine[i]), true, &no_hosts))
            fail_msg("refused: %s", fine[i]);
    for (size_t i = 0; i < COUNT_OF(rebound); i++)
        if (web_guard_host(str_of(rebound[i]), true, &no_hosts))
            fail_msg("let in: %s", rebound[i]);
    assert_true(web_guard_host(STR("evil.example"), false, &no_hosts));
    assert_true(web_guard_host(STR("Weir.Example.org:443"), true, &hosts));
    assert_false(web_guard_host(STR("x.weir.example.org"), true, &hosts));
}

static void only_our_own_pages_open_websockets(void **state) {
    static const struct {
        const char *origin, *host;
        bool is_fine;
    } cases[] = {
        {NULL, "localhost:8080", true},
        {"http://localhost:8080", "localhost:8080", true},
        {"http://LOCALHOST:8080", "localhost:8080", true},
        {"https://weir.lan", "weir.lan", true},
        {"http://[::1]:8080", "[::1]:8080", true},
        {"http://localhost:3000", "localhost:8080", false},
        {"http://localhost", "localhost:8080", false},
        {"http://127.0.0.1:8080", "localhost:8080", false},
        {"http://evil.example", "localhost:8080", false},
        {"http://evil.example?http://localhost:8080", "localhost:8080", false},
        {"null", "localhost:8080", false},
        {"null", "null", false},
        {"", "", false},
        {"http://", "", false},
        {"file://", "localhost", false},
        {"chrome-extension://localhost:8080", "localhost:8080", false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        if (web_guard_origin(str_of(cases[i].origin), str_of(cases[i].host), &no_hosts) !=
            cases[i].is_fine)
            fail_msg("%s on %s", cases[i].origin, cases[i].host);
    assert_true(web_guard_origin(STR("https://weir.example.org"), STR("127.0.0.1:8080"), &hosts));
    assert_false(web_guard_origin(STR("https://evil.example.org"), STR("127.0.0.1:8080"), &hosts));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_loopback_listener_knows_its_names),
        cmocka_unit_test(only_our_own_pages_open_websockets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
