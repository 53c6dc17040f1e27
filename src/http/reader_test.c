#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/reader.h"

enum { BODY_MAX = 1000 };

struct fixture {
    struct reader reader;
    struct exchange *exchange;
};

static int begin(void **state) {
    static struct fixture fixture;
    fixture.exchange = exchange_new();
    *state = &fixture;
    return 0;
}

static int end(void **state) {
    exchange_free(((struct fixture *)*state)->exchange);
    return 0;
}

/* Feeds pieces of `step` bytes; returns how much was taken. */
static size_t feed(struct fixture *fixture, struct str text, size_t step) {
    exchange_reset(fixture->exchange);
    reader_begin(&fixture->reader, fixture->exchange, BODY_MAX);
    size_t taken = 0;
    while (taken < text.len && fixture->reader.state < READER_DONE) {
        size_t len = text.len - taken < step ? text.len - taken : step;
        taken += reader_feed(&fixture->reader, (const uint8_t *)text.at + taken, len);
    }
    return taken;
}

static void assert_str(struct str actual, const char *expected) {
    assert_int_equal(actual.len, strlen(expected));
    assert_memory_equal(actual.at, expected, actual.len);
}

/* Whatever the pieces are in which it arrives, the status is this; 0: it is a whole request. */
static void expect_status(struct fixture *fixture, struct str text, int status) {
    for (size_t step = 1; step <= text.len; step = step < 8 ? step + 1 : step * 3) {
        feed(fixture, text, step);
        if (status) {
            assert_true(fixture->reader.state > READER_DONE);
            assert_int_equal(fixture->reader.status, status);
        } else {
            assert_int_equal(fixture->reader.state, READER_DONE);
        }
    }
}

static void a_request_is_split_into_its_parts(void **state) {
    struct fixture *fixture = *state;
    struct str text = STR("POST /a/b%20c?x=1&y=#f HTTP/1.1\r\nHost: h\r\nX-Empty:\r\n"
                          "x-spaced: \t a b \t \r\nContent-Length: 5\r\n\r\nhelloGET /");
    for (size_t step = 1; step <= text.len; step++) {
        assert_int_equal(feed(fixture, text, step), text.len - 5);
        assert_int_equal(fixture->reader.state, READER_DONE);
        struct http_request *request = &fixture->exchange->request;
        assert_str(request->method, "POST");
        assert_str(request->target, "/a/b%20c?x=1&y=#f");
        assert_str(request->path, "/a/b%20c");
        assert_str(request->query, "x=1&y=");
        assert_str(request->body, "hello");
        assert_int_equal(request->header_count, 4);
        assert_str(http_header(request, "x-empty"), "");
        assert_str(http_header(request, "X-Spaced"), "a b");
        assert_true(fixture->exchange->keep_alive);
    }
}

static void a_chunked_body_is_joined_and_trailers_are_headers(void **state) {
    struct fixture *fixture = *state;
    struct str text = STR("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n"
                          "Trailer: Lambda-Runtime-Function-Error-Type\r\n\r\n"
                          "5;ext=\"1\"\r\nhello\r\n1\r\n \r\n05\r\nworld\r\n0\r\n"
                          "Lambda-Runtime-Function-Error-Type: Runtime.Oops \r\n\r\nREST");
    for (size_t step = 1; step <= text.len; step++) {
        assert_int_equal(feed(fixture, text, step), text.len - 4);
        assert_int_equal(fixture->reader.state, READER_DONE);
        struct http_request *request = &fixture->exchange->request;
        assert_str(request->body, "hello world");
        assert_int_equal(request->header_count, 4);
        assert_str(request->headers[0].value, "h");
        assert_str(request->headers[3].name, "Lambda-Runtime-Function-Error-Type");
        assert_str(request->headers[3].value, "Runtime.Oops");
    }
}

static void keep_alive_follows_version_and_header(void **state) {
    struct fixture *fixture = *state;
    static const struct {
        const char *text;
        bool keep_alive;
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: h\r\n\r\n", true},
        {"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", false},
        {"GET / HTTP/1.0\r\n\r\n", false},
        {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        feed(fixture, str_of(cases[i].text), 1000);
        assert_int_equal(fixture->reader.state, READER_DONE);
        assert_int_equal(fixture->exchange->keep_alive, cases[i].keep_alive);
    }
}

static void whole_urls_and_the_asterisk_are_targets_too(void **state) {
    struct fixture *fixture = *state;
    feed(fixture, STR("GET http://h:80/p?q HTTP/1.1\r\nHost: h\r\n\r\n"), 1000);
    assert_str(fixture->exchange->request.path, "/p");
    assert_str(fixture->exchange->request.query, "q");
    feed(fixture, STR("GET http://h HTTP/1.1\r\nHost: h\r\n\r\n"), 1000);
    assert_str(fixture->exchange->request.path, "/");
    feed(fixture, STR("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"), 1000);
    assert_str(fixture->exchange->request.path, "*");
}

#define HEAD    "POST / HTTP/1.1\r\nHost: h\r\n"
#define CHUNKED HEAD "Transfer-Encoding: chunked\r\n\r\n"

static void what_could_be_read_in_two_ways_is_refused(void **state) {
    static const struct {
        const char *text;
        int status;
    } cases[] = {
        {"GARBAGE\r\n\r\n", 400},
        {"GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505},
        {"GET /\r\nHost: h\r\n\r\n", 505},
        {"CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n", 405},
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
        {"GET /\x01 HTTP/1.1\r\nHost: h\r\n\r\n", 400},
        {HEAD "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
        {HEAD "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400},
        {HEAD "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400},
        {HEAD "Content-Length: 3, 3\r\n\r\nabc", 400},
        {HEAD "Content-Length: -1\r\n\r\n", 400},
        {HEAD "Content-Length: +1\r\n\r\na", 400},
        {HEAD "Content-Length: 99999999999999999999999\r\n\r\na", 400},
        {HEAD "Content-Length : 3\r\n\r\nabc", 400},
        {HEAD "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
        {HEAD "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501},
        {HEAD "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501},
        {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
        {HEAD "X: a\r\n folded\r\n\r\n", 400},
        {HEAD "X: a\r\n\tfolded\r\n\r\n", 400},
        {HEAD "X: a\rY: b\r\n\r\n", 400},
        {HEAD "X: a\r\n\rGET / HTTP/1.1\r\n\r\n", 400},
        {HEAD "X: a\x01\r\n\r\n", 400},
        {HEAD "X Y: a\r\n\r\n", 400},
        {HEAD ": a\r\n\r\n", 400},
        {CHUNKED "5\r\nhelloXX0\r\n\r\n", 400},
        {CHUNKED "5\r\nhello\r0\r\n\r\n", 400},
        {CHUNKED "5\rXhello\r\n0\r\n\r\n", 400},
        {CHUNKED "g\r\n", 400},
        {CHUNKED "-1\r\n", 400},
        {CHUNKED "fffffffffffffffff\r\n", 400},
        {CHUNKED "0\r\nX: a\r\n folded\r\n\r\n", 400},
        {HEAD "Expect: a-miracle\r\nContent-Length: 3\r\n\r\nabc", 417},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect_status(*state, str_of(cases[i].text), cases[i].status);
}

static void the_body_is_bounded(void **state) {
    struct fixture *fixture = *state;
    expect_status(fixture, STR(HEAD "Content-Length: 1001\r\n\r\n"), 413);
    assert_int_equal(fixture->reader.state, READER_TOO_LARGE);
    assert_str(fixture->exchange->request.path, "/");
    expect_status(fixture, STR(CHUNKED "3e9\r\n"), 413);
    expect_status(fixture, STR(CHUNKED "fffffffffffffff\r\n"), 413);

    struct buf text = {0};
    buf_add_str(&text, STR(HEAD "Content-Length: 1000\r\n\r\n"));
    memset(buf_room(&text, 1000), 'x', 1000);
    buf_added(&text, 1000);
    expect_status(fixture, buf_str(&text), 0);
    assert_int_equal(fixture->exchange->request.body.len, 1000);

    buf_clear(&text);
    buf_add_str(&text, STR(CHUNKED));
    for (int i = 0; i < 101; i++)
        buf_add_str(&text, STR("a\r\n0123456789\r\n"));
    expect_status(fixture, buf_str(&text), 413);
    assert_int_equal(fixture->exchange->request.body.len, 0);
    buf_done(&text);
}

static void add_header(struct buf *text, size_t value_len) {
    buf_add_str(text, STR("X: "));
    memset(buf_room(text, value_len), 'x', value_len);
    buf_added(text, value_len);
    buf_add_str(text, STR("\r\n"));
}

static void the_head_is_bounded_in_bytes(void **state) {
    struct buf text = {0};
    buf_add_str(&text, STR(HEAD));
    add_header(&text, READER_HEAD_BYTES_MAX - (sizeof HEAD - 1) - 5 - 2);
    buf_add_str(&text, STR("\r\n"));
    assert_int_equal(buf_len(&text), READER_HEAD_BYTES_MAX);
    feed(*state, buf_str(&text), 1000);
    assert_int_equal(((struct fixture *)*state)->reader.state, READER_DONE);
    buf_clear(&text);
    buf_add_str(&text, STR(HEAD));
    add_header(&text, READER_HEAD_BYTES_MAX - (sizeof HEAD - 1) - 5 - 1);
    buf_add_str(&text, STR("\r\n"));
    feed(*state, buf_str(&text), 1000);
    assert_int_equal(((struct fixture *)*state)->reader.status, 431);
    buf_done(&text);
}

static void blank_lines_before_a_request_are_bounded(void **state) {
    struct fixture *fixture = *state;
    expect_status(fixture, STR("\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"), 0);
    struct buf text = {0};
    while (buf_len(&text) <= READER_HEAD_BYTES_MAX)
        buf_add_str(&text, STR("\r\n"));
    feed(fixture, buf_str(&text), 1000);
    assert_int_equal(fixture->reader.status, 431);
    buf_done(&text);
}

static void the_head_is_bounded_in_headers(void **state) {
    struct buf text = {0};
    buf_add_str(&text, STR(HEAD));
    for (int i = 1; i < READER_HEADER_COUNT_MAX; i++)
        add_header(&text, 1);
    buf_add_str(&text, STR("\r\n"));
    feed(*state, buf_str(&text), 1000);
    assert_int_equal(((struct fixture *)*state)->reader.state, READER_DONE);
    text.end -= 2;
    add_header(&text, 1);
    feed(*state, buf_str(&text), 1000);
    assert_int_equal(((struct fixture *)*state)->reader.status, 431);
    buf_done(&text);
}

static void trailers_count_as_head(void **state) {
    struct buf text = {0};
    buf_add_str(&text, STR(CHUNKED "0\r\n"));
    add_header(&text, READER_HEAD_BYTES_MAX);
    feed(*state, buf_str(&text), 1000);
    assert_int_equal(((struct fixture *)*state)->reader.status, 431);
    buf_done(&text);
}

static void expecting_continue_is_told(void **state) {
    struct fixture *fixture = *state;
    feed(fixture, STR(HEAD "Expect: 100-Continue\r\nContent-Length: 3\r\n\r\n"), 1000);
    assert_true(fixture->reader.expects_continue);
    assert_int_equal(fixture->reader.state, READER_BODY);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_request_is_split_into_its_parts, begin, end),
        cmocka_unit_test_setup_teardown(a_chunked_body_is_joined_and_trailers_are_headers, begin,
                                        end),
        cmocka_unit_test_setup_teardown(keep_alive_follows_version_and_header, begin, end),
        cmocka_unit_test_setup_teardown(whole_urls_and_the_asterisk_are_targets_too, begin, end),
        cmocka_unit_test_setup_teardown(what_could_be_read_in_two_ways_is_refused, begin, end),
        cmocka_unit_test_setup_teardown(the_body_is_bounded, begin, end),
        cmocka_unit_test_setup_teardown(the_head_is_bounded_in_bytes, begin, end),
        cmocka_unit_test_setup_teardown(blank_lines_before_a_request_are_bounded, begin, end),
        cmocka_unit_test_setup_teardown(the_head_is_bounded_in_headers, begin, end),
        cmocka_unit_test_setup_teardown(trailers_count_as_head, begin, end),
        cmocka_unit_test_setup_teardown(expecting_continue_is_told, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
