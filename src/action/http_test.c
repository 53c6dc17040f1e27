#include "action/http_rig_test.h"

#include "action/kinds.h"
#include "action/meter.h"

#define URL "'url':'http://127.0.0.1:%%u/in'"

static void begin(struct http_rig *rig, const char *more) {
    char *text = xprintf("{" URL "%s}", more);
    http_rig_begin(rig, &action_http, text);
    free(text);
    char *url = xprintf("http://127.0.0.1:%u/in", rig->server.port);
    for (unsigned i = 0; i < RIG_ITEMS; i++)
        rig_param(&rig->rig, i, "url", url);
    free(url);
}

static void which_answers_are_taken_retried_and_refused(void **state) {
    static const struct {
        int status;
        const char *verdicts;
    } answers[] = {
        {200, "ooooo"}, {204, "ooooo"}, {299, "ooooo"}, {300, "fffff"}, {301, "fffff"},
        {400, "fffff"}, {401, "fffff"}, {404, "fffff"}, {407, "fffff"}, {408, "rpppp"},
        {410, "fffff"}, {413, "fffff"}, {428, "fffff"}, {429, "rpppp"}, {499, "fffff"},
        {500, "rpppp"}, {501, "rpppp"}, {503, "rpppp"}, {599, "rpppp"}, {600, "fffff"},
    };
    struct http_rig rig;
    begin(&rig, "");
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        http_rig_expect_for(&rig, answers[i].status, "", answers[i].verdicts);
        assert_int_equal(rig.request_count, answers[i].verdicts[1] == 'p' ? 1 : RIG_ITEMS);
    }
    rig_expect_why(&rig.rig, 0, "/in: answered with 600");
    http_rig_end(&rig);
}

static void the_reason_outlives_a_long_url(void **state) {
    struct http_rig rig;
    char query[1000];
    memset(query, 'q', sizeof query);
    query[sizeof query - 1] = '\0';
    begin(&rig, "");
    char *url = xprintf("http://127.0.0.1:%u/in?%s", rig.server.port, query);
    buf_clear(&rig.rig.params[0]);
    rig.rig.items[0].record.params.count = 0;
    rig_param(&rig.rig, 0, "url", url);
    free(url);
    http_rig_answer(&rig, 404, "");
    rig_send_and_expect(&rig.rig, "fffff");
    assert_non_null(strstr(rig.heads[0], query));
    rig_expect_why(&rig.rig, 0, "qqq: answered with 404");
    http_rig_end(&rig);
}

/* Whether it was taken nobody knows: it comes again. */
static void what_breaks_off_is_no_answer(void **state) {
    struct http_rig rig;
    begin(&rig, "");
    http_rig_expect_cut(&rig, NULL, "rpppp");
    rig_expect_why(&rig.rig, 0, "/in: no answer: ");
    http_rig_expect_cut(&rig, "HTTP/1.1 2", "rpppp");
    http_rig_expect_cut(&rig, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", "rpppp");
    http_rig_expect_cut(&rig, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "rpppp");
    http_rig_expect_cut(&rig, "220 mail.example.org ESMTP\r\n", "rpppp");
    http_rig_expect_cut(&rig, "HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nnot", "rpppp");
    http_rig_expect_for(&rig, 200, "", "ooooo");
    http_rig_end(&rig);
}

static void an_answer_may_be_longer_than_anybody_reads(void **state) {
    static char body[64 * 1024 + 1];
    struct http_rig rig;
    memset(body, 'x', sizeof body - 1);
    begin(&rig, "");
    http_rig_expect_for(&rig, 200, body, "ooooo");
    http_rig_end(&rig);
}

static void who_does_not_answer_is_given_up(void **state) {
    struct http_rig rig;
    struct action_meter meter = {0};
    const struct action_spec spec = {.kind = &action_http.kind, .rule = STR("r"), .log = "l"};
    begin(&rig, ",'timeout':'100ms'");
    action_meter_init(&meter, &spec);
    rig.rig.target->meter = &meter;
    rig.is_silent = true;
    rig_send_and_expect(&rig.rig, "rpppp");
    assert_int_equal(metric_get(&meter.http[ACTION_HTTP_TIMEOUT]), 1);
    http_rig_end(&rig);
    action_meter_done(&meter);
}

static void requests_are_counted_by_what_they_came_to(void **state) {
    struct http_rig rig;
    struct action_meter meter = {0};
    const struct action_spec spec = {.kind = &action_http.kind, .rule = STR("r"), .log = "l"};
    begin(&rig, "");
    action_meter_init(&meter, &spec);
    rig.rig.target->meter = &meter;
    http_rig_answer(&rig, 200, "");
    http_rig_answer(&rig, 404, "");
    http_rig_answer(&rig, 301, "");
    http_rig_answer(&rig, 500, "");
    rig_send_and_expect(&rig.rig, "offrp");
    assert_int_equal(metric_get(&meter.http[ACTION_HTTP_4XX]), 1);
    assert_int_equal(metric_get(&meter.http[ACTION_HTTP_5XX]), 1);
    assert_int_equal(metric_get(&meter.http[ACTION_HTTP_OTHER]), 1);
    assert_int_equal(metric_get(&meter.http[ACTION_HTTP_INVALID_URL]), 0);
    http_rig_end(&rig);
    action_meter_done(&meter);
}

static void what_is_no_url_is_not_posted_to(void **state) {
    struct http_rig rig;
    struct action_meter meter = {0};
    const struct action_spec spec = {.kind = &action_http.kind, .rule = STR("r"), .log = "l"};
    http_rig_begin(&rig, &action_http, "{'url':'http://127.0.0.1:%u/in'}");
    action_meter_init(&meter, &spec);
    rig.rig.target->meter = &meter;
    rig_param(&rig.rig, 0, "url", "ftp://127.0.0.1/");
    rig_param(&rig.rig, 1, "url", "http://user:word@127.0.0.1/");
    rig_param(&rig.rig, 2, "url", "http://127.0.0.1/a\r\nb");
    rig_param(&rig.rig, 3, "url", "");
    rig_send_and_expect(&rig.rig, "fffff");
    rig_expect_why(&rig.rig, 0, "\"ftp://127.0.0.1/\" is no URL to post to");
    assert_int_equal(rig.request_count, 0);
    assert_int_equal(metric_get(&meter.http[ACTION_HTTP_INVALID_URL]), RIG_ITEMS);
    http_rig_end(&rig);
    action_meter_done(&meter);
}

/* A publisher chooses what a template becomes, and must not choose the host. */
static void nothing_leaves_for_a_place_above_the_confirmed_one(void **state) {
    static const char *const urls[RIG_ITEMS] = {
        "http://127.0.0.1:%u/other", "http://127.0.0.1:%u/in/../other",
        "http://127.0.0.1:%u/in/%%2e%%2e/other", "http://127.0.0.1:%u.example.org/in/",
        "http://localhost:%u/in/"};
    struct http_rig rig;
    http_rig_init(&rig);
    char *text =
        xprintf("{'url':'${url}','confirmation_url':'http://127.0.0.1:%u/in'}", rig.server.port);
    rig_open(&rig.rig, &action_http, text);
    for (unsigned i = 0; i < RIG_ITEMS; i++) {
        char url[80];
        snprintf(url, sizeof url, urls[i], rig.server.port);
        rig_param(&rig.rig, i, "url", url);
    }
    rig_send_and_expect(&rig.rig, "fffff");
    rig_expect_why(&rig.rig, 1, "is not below the confirmation_url");
    assert_int_equal(rig.request_count, 0);
    free(text);
    http_rig_end(&rig);
}

#define BATCHES ",'enable_batching':true,'batch_config':{'max_batch_size':2%s}"

static void begin_batches(struct http_rig *rig, const char *more) {
    char *text = xprintf(BATCHES, more);
    begin(rig, text);
    free(text);
    for (unsigned i = 0; i < RIG_ITEMS; i++)
        rig->rig.items[i].record.topic = STR("t");
}

static void a_batch_is_an_array_of_what_fits(void **state) {
    struct http_rig rig;
    begin_batches(&rig, "");
    rig.rig.items[1].record.payload = STR("no \"JSON");
    rig.rig.items[2].record.payload = str_from("\xff\xfe", 2);
    http_rig_answer(&rig, 200, "");
    rig_send_and_expect(&rig.rig, "ooooo");
    assert_int_equal(rig.request_count, 3);
    assert_string_equal(rig.bodies[0], "[{},\"no \\\"JSON\"]");
    assert_string_equal(rig.bodies[1], "\xff\xfe");
    assert_string_equal(rig.bodies[2], "[{},{}]");
    assert_non_null(strstr(rig.heads[0], "application/json"));
    assert_null(strstr(rig.heads[1], "application/json"));
    assert_int_equal(rig.rig.items[0].request, rig.rig.items[1].request);
    assert_int_equal(rig.rig.items[2].request, 0);
    assert_int_equal(rig.rig.items[3].request, rig.rig.items[4].request);
    assert_int_not_equal(rig.rig.items[0].request, rig.rig.items[3].request);
    http_rig_end(&rig);
}

static void a_batch_has_a_bound_of_bytes(void **state) {
    static char large[90];
    struct http_rig rig;
    begin_batches(&rig, ",'max_batch_size_bytes':100");
    memset(large, '1', sizeof large);
    rig.rig.items[0].record.payload = str_from(large, sizeof large);
    rig.rig.items[1].record.payload = STR("1234567"); /* with "[", "," and "]" these are 100 */
    rig.rig.items[2].record.payload = str_from(large, sizeof large);
    rig.rig.items[3].record.payload = STR("12345678");
    http_rig_answer(&rig, 200, "");
    rig_send_and_expect(&rig.rig, "ooooo");
    assert_int_equal(rig.request_count, 3);
    assert_int_equal(strlen(rig.bodies[0]), 100);
    assert_int_equal(strlen(rig.bodies[1]), 95); /* 2, and 4 behind it */
    assert_string_equal(rig.bodies[2], "[12345678]");
    http_rig_end(&rig);
}

static void messages_of_other_topics_go_apart_unless_they_may_not(void **state) {
    for (int across = 0; across < 2; across++) {
        struct http_rig rig;
        begin_batches(&rig, across ? ",'batch_across_topics':true" : "");
        rig.rig.items[1].record.topic = STR("u");
        http_rig_answer(&rig, 200, "");
        rig_send_and_expect(&rig.rig, "ooooo");
        assert_int_equal(rig.rig.items[0].request == rig.rig.items[1].request, across);
        assert_int_equal(rig.rig.items[0].is_across_topics, across);
        http_rig_end(&rig);
    }
}

static void messages_to_other_urls_go_apart(void **state) {
    struct http_rig rig;
    begin_batches(&rig, "");
    char *url = xprintf("http://127.0.0.1:%u/other", rig.server.port);
    buf_clear(&rig.rig.params[1]);
    rig.rig.items[1].record.params.count = 0;
    rig_param(&rig.rig, 1, "url", url);
    free(url);
    http_rig_answer(&rig, 200, "");
    rig_send_and_expect(&rig.rig, "ooooo");
    assert_int_equal(rig.request_count, 3);
    assert_non_null(strstr(rig.heads[1], "POST /other"));
    assert_string_equal(rig.bodies[1], "[{}]");
    http_rig_end(&rig);
}

static void a_batch_fails_and_comes_again_as_one(void **state) {
    struct http_rig rig;
    begin_batches(&rig, "");
    http_rig_answer(&rig, 400, "");
    http_rig_answer(&rig, 503, "");
    rig_send_and_expect(&rig.rig, "ffrrp");
    rig_expect_why(&rig.rig, 1, "answered with 400");
    http_rig_forget(&rig);
    http_rig_answer(&rig, 200, "");
    rig_send_and_expect(&rig.rig, "ffooo");
    assert_int_equal(rig.request_count, 2);
    http_rig_end(&rig);
}

static void it_closes_in_the_middle(void **state) {
    struct http_rig rig;
    begin(&rig, ",'max_in_flight':3");
    rig.is_silent = true;
    rig_send(&rig.rig);
    while (rig.request_count < 3)
        rig_turn(&rig.rig);
    http_rig_end(&rig);
    rig_expect(&rig.rig, "-----");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(which_answers_are_taken_retried_and_refused),
        cmocka_unit_test(the_reason_outlives_a_long_url),
        cmocka_unit_test(what_breaks_off_is_no_answer),
        cmocka_unit_test(an_answer_may_be_longer_than_anybody_reads),
        cmocka_unit_test(who_does_not_answer_is_given_up),
        cmocka_unit_test(requests_are_counted_by_what_they_came_to),
        cmocka_unit_test(what_is_no_url_is_not_posted_to),
        cmocka_unit_test(nothing_leaves_for_a_place_above_the_confirmed_one),
        cmocka_unit_test(a_batch_is_an_array_of_what_fits),
        cmocka_unit_test(a_batch_has_a_bound_of_bytes),
        cmocka_unit_test(messages_of_other_topics_go_apart_unless_they_may_not),
        cmocka_unit_test(messages_to_other_urls_go_apart),
        cmocka_unit_test(a_batch_fails_and_comes_again_as_one),
        cmocka_unit_test(it_closes_in_the_middle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
