#include "base/test.h"

#include "web/page.h"

static void gzip_is_sent_to_those_who_take_it(void **state) {
    assert_true(web_page_takes_gzip(STR("gzip")));
    assert_true(web_page_takes_gzip(STR("gzip, deflate, br")));
    assert_true(web_page_takes_gzip(STR("br;q=1.0, GZIP;q=0.8, *;q=0.1")));
    assert_true(web_page_takes_gzip(STR("identity , x-gzip")));
    assert_true(web_page_takes_gzip(STR("gzip;q=0.001")));
    assert_false(web_page_takes_gzip(STR("")));
    assert_false(web_page_takes_gzip(STR("identity")));
    assert_false(web_page_takes_gzip(STR("gzip;q=0")));
    assert_false(web_page_takes_gzip(STR("gzip ; Q=0.000")));
    assert_false(web_page_takes_gzip(STR("br, gzipped")));
}

static void entity_tags_are_compared_whole(void **state) {
    assert_true(web_page_matches(STR("\"abc\""), "abc"));
    assert_true(web_page_matches(STR("W/\"abc\""), "abc"));
    assert_true(web_page_matches(STR("\"x\", \"abc\" , \"y\""), "abc"));
    assert_true(web_page_matches(STR("*"), "abc"));
    assert_false(web_page_matches(STR(""), "abc"));
    assert_false(web_page_matches(STR("abc"), "abc"));
    assert_false(web_page_matches(STR("\"abcd\""), "abc"));
    assert_false(web_page_matches(STR("\"ab"), "ab"));
    assert_false(web_page_matches(STR("\""), ""));
}

static void the_page_has_three_files(void **state) {
    assert_true(web_page_has(STR("/")));
    assert_true(web_page_has(STR("/app.js")));
    assert_true(web_page_has(STR("/app.css")));
    assert_false(web_page_has(STR("/index.html")));
    assert_false(web_page_has(STR("/../app.js")));
    assert_false(web_page_has(STR("")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gzip_is_sent_to_those_who_take_it),
        cmocka_unit_test(entity_tags_are_compared_whole),
        cmocka_unit_test(the_page_has_three_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
