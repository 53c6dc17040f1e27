#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/answer.h"

static void the_date_is_that_of_the_specification(void **state) {
    struct answer_date date = {0};
    assert_string_equal(answer_date_text(&date, 784111777123), "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_string_equal(answer_date_text(&date, 784111777999), "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_string_equal(answer_date_text(&date, 784111778000), "Sun, 06 Nov 1994 08:49:38 GMT");
    assert_string_equal(answer_date_text(&date, 0), "Thu, 01 Jan 1970 00:00:00 GMT");
}

static void expect_head(const struct answer_head *head, const char *expected) {
    struct buf out = {0};
    answer_write_head(&out, head);
    assert_string_equal(buf_cstr(&out), expected);
    buf_done(&out);
}

static void heads_carry_what_framing_needs(void **state) {
    const struct http_header extra[] = {{STR("X-One"), STR("1")}, {STR("X-None"), STR("")}};
    struct answer_head head = {
        .status = 200,
        .date = "D",
        .content_type = "text/plain",
        .body_bytes = 3,
        .extra = extra,
        .extra_count = 2,
        .keep_alive = true,
    };
    expect_head(&head, "HTTP/1.1 200 OK\r\nDate: D\r\nContent-Type: text/plain\r\n"
                       "Content-Length: 3\r\nX-One: 1\r\nX-None: \r\n\r\n");
    head = (struct answer_head){.status = 204, .date = "D", .keep_alive = true};
    expect_head(&head, "HTTP/1.1 204 No Content\r\nDate: D\r\n\r\n");
    head = (struct answer_head){.status = 404, .date = "D"};
    expect_head(&head, "HTTP/1.1 404 Not Found\r\nDate: D\r\nContent-Length: 0\r\n"
                       "Connection: close\r\n\r\n");
    head =
        (struct answer_head){.status = 200, .date = "D", .keep_alive = true, .is_http_1_0 = true};
    expect_head(&head, "HTTP/1.1 200 OK\r\nDate: D\r\nContent-Length: 0\r\n"
                       "Connection: keep-alive\r\n\r\n");
}

static void headers_are_found_in_any_case(void **state) {
    const struct http_header headers[] = {{STR("ETag"), STR("a")}, {STR("etag"), STR("b")}};
    struct http_request request = {.headers = headers, .header_count = 2};
    assert_true(str_eq(http_header(&request, "ETAG"), STR("a")));
    assert_int_equal(http_header(&request, "ETags").len, 0);
}

static void unknown_statuses_have_a_text_too(void **state) {
    assert_string_equal(http_status_text(413), "Content Too Large");
    assert_string_equal(http_status_text(299), "Unknown");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_date_is_that_of_the_specification),
        cmocka_unit_test(heads_carry_what_framing_needs),
        cmocka_unit_test(headers_are_found_in_any_case),
        cmocka_unit_test(unknown_statuses_have_a_text_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
