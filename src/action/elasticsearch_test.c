#include "action/http_rig_test.h"

#include "action/kinds.h"

static void begin(struct http_rig *rig) {
    http_rig_begin(rig, &action_elasticsearch,
                   "{'endpoint':'http://127.0.0.1:%u','index':'i','id':'${id}'}");
    for (unsigned i = 0; i < RIG_ITEMS; i++) {
        rig_param(&rig->rig, i, "index", "sensors");
        rig_param(&rig->rig, i, "id", "a\"b");
    }
}

static void a_batch_is_lines(void **state) {
    struct http_rig rig;
    begin(&rig);
    rig.rig.items[1].record.payload = STR("{\"a\":\r\n1}");
    http_rig_answer(&rig, 200, "{\"errors\":false}");
    rig_send_and_expect(&rig.rig, "ooooo");
    assert_int_equal(rig.request_count, 1);
    assert_non_null(strstr(rig.heads[0], "POST /_bulk "));
    assert_non_null(
        strstr(rig.bodies[0], "{\"index\":{\"_index\":\"sensors\",\"_id\":\"a\\\"b\"}}\n{}\n"));
    assert_non_null(strstr(rig.bodies[0], "{\"a\":  1}\n"));
    http_rig_end(&rig);
}

#define ITEM(status)                                                                               \
    "{\"index\":{\"status\":" #status ",\"error\":{\"type\":\"t\",\"reason\":\"why\"}}}"

static void each_document_has_its_own_answer(void **state) {
    struct http_rig rig;
    begin(&rig);
    http_rig_expect_for(&rig, 200,
                        "{\"errors\":true,\"items\":[{\"create\":{\"status\":201}}," ITEM(
                            400) "," ITEM(429) "," ITEM(503) "," ITEM(409) "]}",
                        "ofrrf");
    rig_expect_why(&rig.rig, 1, "status 400: t: why");
    /* What a person has to mend is waited for: credentials, an index that is not there. */
    http_rig_expect_for(&rig, 200,
                        "{\"errors\":true,\"items\":[" ITEM(401) "," ITEM(403) "," ITEM(
                            404) "," ITEM(200) "," ITEM(300) "]}",
                        "rrror");
    http_rig_end(&rig);
}

/* What the store did not say it took is sent again; under its id it is the same document. */
static void an_answer_that_does_not_tell_is_no_yes(void **state) {
    struct http_rig rig;
    begin(&rig);
    http_rig_expect_for(&rig, 200, "", "rrrrr");
    http_rig_expect_for(&rig, 200, "no JSON", "rrrrr");
    http_rig_expect_for(&rig, 200, "[]", "rrrrr");
    http_rig_expect_for(&rig, 200, "{}", "rrrrr");
    http_rig_expect_for(&rig, 200, "{\"errors\":\"false\"}", "rrrrr");
    http_rig_expect_for(&rig, 200, "{\"errors\":true,\"items\":{}}", "rrrrr");
    http_rig_expect_for(&rig, 200,
                        "{\"errors\":true,\"items\":[" ITEM(201) ",1,{},{\"index\":{}}]}", "orrrr");
    rig_expect_why(&rig.rig, 4, "does not tell");
    http_rig_expect_for(&rig, 200, "{\"errors\":true,\"items\":[" ITEM(201), "rrrrr");
    http_rig_end(&rig);
}

static void whole_requests_that_fail_are_waited_for_unless_they_are_wrong(void **state) {
    static const int later[] = {301, 401, 403, 404, 429, 500, 503};
    struct http_rig rig;
    begin(&rig);
    for (size_t i = 0; i < COUNT_OF(later); i++) {
        http_rig_expect_for(&rig, later[i], "{\"error\":\"because\"}", "rrrrr");
        assert_int_equal(rig.request_count, 1);
        rig_expect_why(&rig.rig, 0, ": because");
    }
    http_rig_expect_for(&rig, 400, "{\"error\":{\"type\":\"t\",\"reason\":\"why\"}}", "fffff");
    rig_expect_why(&rig.rig, 4, "HTTP 400: t: why");
    http_rig_again(&rig); /* halves, until what fits is found */
    http_rig_answer(&rig, 413, "");
    http_rig_answer(&rig, 200, "{\"errors\":false}");
    rig_send_and_expect(&rig.rig, "ooooo");
    assert_int_equal(rig.request_count, 3);
    http_rig_end(&rig);
}

static void what_breaks_off_comes_again(void **state) {
    struct http_rig rig;
    begin(&rig);
    http_rig_expect_cut(&rig, NULL, "rrrrr");
    http_rig_expect_cut(&rig, "HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{\"errors\":false",
                        "rrrrr");
    rig_expect_why(&rig.rig, 0, "no answer: ");
    http_rig_end(&rig);
}

static void what_is_no_document_fails_alone(void **state) {
    struct http_rig rig;
    begin(&rig);
    rig.rig.items[0].record.payload = STR("[1]");
    rig.rig.items[1].record.payload = STR("{");
    rig.rig.items[2].record.params = (struct action_params){0};
    http_rig_answer(&rig, 200, "{\"errors\":false}");
    rig_send_and_expect(&rig.rig, "fffoo");
    rig_expect_why(&rig.rig, 0, "no JSON object");
    rig_expect_why(&rig.rig, 2, "index is empty");
    http_rig_end(&rig);
}

static void credentials_are_headers(void **state) {
    struct http_rig rig;
    http_rig_begin(
        &rig, &action_open_search,
        "{'endpoint':'http://127.0.0.1:%u/','index':'i','id':'1','username':'u','password':'p'}");
    rig_param(&rig.rig, 0, "index", "i");
    http_rig_answer(&rig, 200, "{\"errors\":false}");
    rig_send_and_expect(&rig.rig, "offff");
    assert_non_null(strstr(rig.heads[0], "POST /_bulk "));
    assert_non_null(strstr(rig.heads[0], "Authorization: Basic dTpw\r\n"));
    assert_non_null(strstr(rig.heads[0], "Content-Type: application/x-ndjson\r\n"));
    http_rig_end(&rig);
    http_rig_begin(
        &rig, &action_elasticsearch,
        "{'endpoint':'http://127.0.0.1:%u','index':'i','id':'1','username':'u','api_key':'k'}");
    rig_param(&rig.rig, 0, "index", "i");
    http_rig_answer(&rig, 200, "{\"errors\":false}");
    rig_send_and_expect(&rig.rig, "offff");
    assert_non_null(strstr(rig.heads[0], "Authorization: ApiKey k\r\n"));
    http_rig_end(&rig);
}

static void settings_that_cannot_be(void **state) {
    rig_refuses(&action_elasticsearch, "{'endpoint':'host:9200','index':'i','id':'1'}",
                "endpoint must begin with http:// or https://");
    rig_refuses(&action_elasticsearch, "{'endpoint':'http://h','index':'i'}", "id");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_is_lines),
        cmocka_unit_test(each_document_has_its_own_answer),
        cmocka_unit_test(an_answer_that_does_not_tell_is_no_yes),
        cmocka_unit_test(whole_requests_that_fail_are_waited_for_unless_they_are_wrong),
        cmocka_unit_test(what_breaks_off_comes_again),
        cmocka_unit_test(what_is_no_document_fails_alone),
        cmocka_unit_test(credentials_are_headers),
        cmocka_unit_test(settings_that_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
