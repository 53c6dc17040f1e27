#include "action/web_hook.h"

#include "base/test.h"

static bool reads(const char *url) {
    struct web_hook_url parts;
    return web_hook_url_read(str_of(url), &parts);
}

static void urls_have_parts(void **state) {
    struct web_hook_url url;
    assert_true(web_hook_url_read(STR("https://host:8443/a/b?c=d&e"), &url));
    assert_str(url.authority, "host:8443");
    assert_str(url.path, "/a/b");
    assert_str(url.query, "c=d&e");
    assert_true(web_hook_url_read(STR("http://host?q"), &url));
    assert_str(url.path, "/");
    assert_str(url.query, "q");
}

static void what_is_no_url(void **state) {
    assert_false(reads(""));
    assert_false(reads("ftp://host/"));
    assert_false(reads("http://"));
    assert_false(reads("http:///path"));
    assert_false(reads("http://user:word@host/"));
    assert_false(reads("http://host/a b"));
    assert_false(reads("http://host/a\r\nX: y"));
    assert_false(reads("http://host/#part"));
    assert_false(reads("http://host/\xc3\xa4"));
    assert_true(reads("http://host/%20a@b"));
}

static struct web_hook_request request_with(struct arena *arena,
                                            const struct web_hook_settings *settings,
                                            const char *value, bool is_json) {
    struct buf params = {0};
    action_param_write(&params, STR("url"), STR("http://h/"));
    action_param_write(&params, STR("header.X-A"), str_of(value));
    char *bytes = arena_alloc(arena, buf_len(&params));
    memcpy(bytes, buf_at(&params), buf_len(&params));
    struct action_record record = {.params = {str_from(bytes, buf_len(&params)), 2}};
    buf_done(&params);
    struct web_hook_request request = {.url = STR("http://h/"), .body = STR("x")};
    web_hook_headers(arena, settings, &record, is_json, 1700000000000, &request);
    return request;
}

static struct str header(const struct web_hook_request *request, const char *name) {
    for (size_t i = 0; i < request->header_count; i++)
        if (str_eq_nocase(request->headers[i].name, str_of(name)))
            return request->headers[i].value;
    return (struct str){0};
}

static void headers_are_those_of_settings_and_record(void **state) {
    struct arena arena = {0};
    struct web_hook_header own[] = {{.key = "X-Static", .value = "s"},
                                    {.key = "X-A", .value = "${a}"}};
    struct web_hook_settings settings = {.headers = {own, 2}};
    struct web_hook_request request = request_with(&arena, &settings, "v\r\nX-Evil: 1", true);
    assert_int_equal(request.header_count, 3);
    assert_str(header(&request, "x-static"), "s");
    assert_str(header(&request, "x-a"), "v  X-Evil: 1");
    assert_str(header(&request, "content-type"), "application/json");
    request = request_with(&arena, &settings, "v", false);
    assert_str(header(&request, "content-type"), "application/octet-stream");
    own[0] = (struct web_hook_header){.key = "content-TYPE", .value = "text/plain"};
    request = request_with(&arena, &settings, "v", true);
    assert_str(header(&request, "content-type"), "text/plain");
    assert_int_equal(request.header_count, 2);
    arena_done(&arena);
}

static void what_is_below_a_confirmation_url(void **state) {
    static const struct {
        const char *url;
        bool is_below;
    } cases[] = {
        {"https://h/in", true},           {"https://h/in/a?x=../y", true},
        {"https://h/in/a..b/...", true},  {"https://h/in/./a", true},
        {"https://h/other", false},       {"https://h.evil/in", false},
        {"https://h/in/../admin", false}, {"https://h/in/..", false},
        {"https://h/in/%2E./x", false},   {"https://h/in/a%2f%2e%2e%2Fx", false},
        {"https://h/in/..%5cx", false},   {"https://h/in/..?x", false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        if (web_hook_is_below(str_of(cases[i].url), STR("https://h/in")) != cases[i].is_below)
            fail_msg("%s", cases[i].url);
    assert_false(web_hook_is_below(STR("https://host.evil/"), STR("https://host")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_have_parts),
        cmocka_unit_test(what_is_no_url),
        cmocka_unit_test(headers_are_those_of_settings_and_record),
        cmocka_unit_test(what_is_below_a_confirmation_url),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
