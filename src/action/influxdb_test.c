#include "action/http_rig_test.h"

#include "action/kinds.h"

static void begin(struct http_rig *rig, const char *more) {
    char *text =
        xprintf("{'url':'http://127.0.0.1:%%u/','database_name':'d b&c','table_name':'t'%s}", more);
    http_rig_begin(rig, &action_influxdb, text);
    free(text);
    for (unsigned i = 0; i < RIG_ITEMS; i++) {
        rig_param(&rig->rig, i, "measurement", "m");
        rig->rig.items[i].record.payload = STR("{\"v\":1.5}");
    }
}

static void a_batch_is_one_post_of_version_1(void **state) {
    struct http_rig rig;
    begin(&rig, ",'retention_policy':'week','username':'u','password':'p'");
    http_rig_answer(&rig, 204, "");
    rig_send_and_expect(&rig.rig, "ooooo");
    assert_int_equal(rig.request_count, 1);
    assert_non_null(strstr(rig.heads[0], "POST /write?precision=ns&db=d%20b%26c&rp=week HTTP"));
    assert_non_null(strstr(rig.heads[0], "Authorization: Basic dTpw\r\n"));
    assert_true(str_starts(str_of(rig.bodies[0]), STR("m v=1.5 170000000000")));
    http_rig_end(&rig);
}

static void and_of_version_2(void **state) {
    struct http_rig rig;
    begin(&rig, ",'organization':'o/p','token':'secret'");
    http_rig_answer(&rig, 204, "");
    rig_send_and_expect(&rig.rig, "ooooo");
    assert_non_null(
        strstr(rig.heads[0], "POST /api/v2/write?precision=ns&bucket=d%20b%26c&org=o%2Fp HTTP"));
    assert_non_null(strstr(rig.heads[0], "Authorization: Token secret\r\n"));
    http_rig_end(&rig);
}

static void what_a_person_has_to_mend_is_waited_for(void **state) {
    static const int later[] = {301, 401, 403, 404, 429, 500, 503};
    struct http_rig rig;
    begin(&rig, "");
    for (size_t i = 0; i < COUNT_OF(later); i++) {
        http_rig_expect_for(&rig, later[i], "{\"error\":\"database not found\"}", "rrrrr");
        assert_int_equal(rig.request_count, 1);
        rig_expect_why(&rig.rig, 4, ": database not found");
    }
    http_rig_end(&rig);
}

static void points_that_never_fit_fail_for_good(void **state) {
    static const int never[] = {400, 413, 422};
    struct http_rig rig;
    begin(&rig, "");
    for (size_t i = 0; i < COUNT_OF(never); i++)
        http_rig_expect_for(&rig, never[i], "{\"code\":\"invalid\",\"message\":\"field type\"}",
                            "fffff");
    rig_expect_why(&rig.rig, 0, "HTTP 422: field type");
    http_rig_expect_for(&rig, 400, "<html>", "fffff");
    rig_expect_why(&rig.rig, 0, "HTTP 400");
    http_rig_end(&rig);
}

static void the_one_that_does_not_fit_fails_alone(void **state) {
    struct http_rig rig;
    begin(&rig, "");
    rig.rig.items[3].record.payload = STR("[]");
    http_rig_answer(&rig, 400, "{\"error\":\"partial write\"}"); /* 0 1 2 4 */
    http_rig_answer(&rig, 204, "");                              /* 0 1 */
    http_rig_answer(&rig, 400, "{\"error\":\"partial write\"}"); /* 2 4 */
    http_rig_answer(&rig, 204, "");                              /* 2 */
    http_rig_answer(&rig, 400, "{\"error\":\"partial write\"}"); /* 4 */
    rig_send_and_expect(&rig.rig, "oooff");
    assert_int_equal(rig.request_count, 5);
    http_rig_end(&rig);
}

static void what_breaks_off_comes_again(void **state) {
    struct http_rig rig;
    begin(&rig, "");
    http_rig_expect_cut(&rig, NULL, "rrrrr");
    http_rig_expect_cut(&rig, "HTTP/1.1 204 No Con", "rrrrr");
    http_rig_expect_for(&rig, 204, "", "ooooo");
    http_rig_end(&rig);
}

static void settings_that_cannot_be(void **state) {
    rig_refuses(&action_influxdb, "{'url':'h:8086','database_name':'d','table_name':'t'}",
                "url must begin with http:// or https://");
    rig_refuses(&action_influxdb,
                "{'url':'http://h','database_name':'d','table_name':'t','token':'x'}",
                "token needs organization beside it");
    char long_name[242], *text;
    memset(long_name, 'n', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    text = xprintf("{'url':'http://h','database_name':'d','table_name':'t','tags':{'%s':'v'}}",
                   long_name);
    rig_refuses(&action_influxdb, text, "tags: a name has at most 240 bytes");
    free(text);
    text = xprintf("{'url':'http://h','database_name':'d','table_name':'t','fields':{'%s':'v'}}",
                   long_name);
    rig_refuses(&action_influxdb, text, "fields: a name has at most 240 bytes");
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_is_one_post_of_version_1),
        cmocka_unit_test(and_of_version_2),
        cmocka_unit_test(what_a_person_has_to_mend_is_waited_for),
        cmocka_unit_test(points_that_never_fit_fail_for_good),
        cmocka_unit_test(the_one_that_does_not_fit_fails_alone),
        cmocka_unit_test(what_breaks_off_comes_again),
        cmocka_unit_test(settings_that_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
