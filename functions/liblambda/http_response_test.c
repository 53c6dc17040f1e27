#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http_response.h"

/* Feeds the text in pieces of that size; *ret_left is what was not taken. */
static enum lambda_http_step feed(struct lambda_http_response *response, const char *text,
                                  size_t piece, size_t *ret_left) {
    enum lambda_http_step step = LAMBDA_HTTP_MORE;
    size_t size = strlen(text), at = 0;
    lambda_http_response_begin(response);
    while (at < size && step == LAMBDA_HTTP_MORE) {
        size_t used, given = size - at < piece ? size - at : piece;
        step = lambda_http_response_feed(response, text + at, given, &used);
        at += used;
    }
    *ret_left = size - at;
    return step;
}

/* Whatever the pieces are, the answer is whole at its last byte and not before. */
static void expect_answer(const char *text, int status, const char *body, bool keep_alive) {
    struct lambda_http_response response = {0};
    size_t left;
    for (size_t piece = 1; piece <= strlen(text); piece++) {
        assert_int_equal(feed(&response, text, piece, &left), LAMBDA_HTTP_DONE);
        assert_int_equal(left, 0);
        assert_int_equal(response.status, status);
        assert_int_equal(response.body.size, strlen(body));
        assert_string_equal(response.body.data ? response.body.data : "", body);
        assert_int_equal(response.keep_alive, keep_alive);
    }
    lambda_http_response_done(&response);
}

static void expect_broken(const char *text) {
    struct lambda_http_response response = {0};
    size_t left;
    for (size_t piece = 1; piece <= strlen(text); piece += strlen(text) - 1) {
        if (feed(&response, text, piece, &left) != LAMBDA_HTTP_BROKEN)
            fail_msg("accepted: %s", text);
        assert_non_null(response.problem);
        assert_false(response.closed);
        assert_false(response.keep_alive);
    }
    lambda_http_response_done(&response);
}

static void reads_a_body_of_known_length(void **state) {
    expect_answer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello", true);
    expect_answer("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", 202, "", true);
    expect_answer("HTTP/1.1 200\r\ncontent-length:2\r\n\r\nhi", 200, "hi", true);
    expect_answer("HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", 200, "hi", true);
    expect_answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi", 200, "hi",
                  true);
}

static void reads_chunks(void **state) {
    expect_answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                  "5\r\nhello\r\nA;name=\"v\"\r\n, and more\r\n0\r\n\r\n",
                  200, "hello, and more", true);
    expect_answer("HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n"
                  "0003\r\nabc\r\n00\r\nX-Trailer: a\r\nY: b\r\n\r\n",
                  200, "abc", true);
}

static void knows_when_the_connection_ends(void **state) {
    expect_answer("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx", 200, "x",
                  false);
    expect_answer("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", 200, "x", false);
    expect_answer("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx", 200,
                  "x", true);
}

static void passes_over_interim_answers(void **state) {
    expect_answer("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\n"
                  "HTTP/1.1 204 No Content\r\n\r\n",
                  204, "", true);
}

static void a_body_without_length_ends_with_the_connection(void **state) {
    struct lambda_http_response response = {0};
    size_t left;
    assert_int_equal(feed(&response, "HTTP/1.1 200 OK\r\n\r\nsome", 1, &left), LAMBDA_HTTP_MORE);
    assert_int_equal(lambda_http_response_end(&response), LAMBDA_HTTP_DONE);
    assert_string_equal(response.body.data, "some");
    assert_false(response.keep_alive);
    lambda_http_response_done(&response);
}

static void a_cut_answer_is_told(void **state) {
    static const char text[] =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n";
    struct lambda_http_response response = {0};
    for (size_t size = 0; size < sizeof text - 1; size++) {
        size_t used;
        lambda_http_response_begin(&response);
        assert_int_equal(lambda_http_response_feed(&response, text, size, &used), LAMBDA_HTTP_MORE);
        assert_int_equal(lambda_http_response_end(&response), LAMBDA_HTTP_BROKEN);
        assert_true(response.closed);
    }
    lambda_http_response_done(&response);
}

static void bytes_behind_the_answer_are_left(void **state) {
    struct lambda_http_response response = {0};
    size_t left;
    assert_int_equal(feed(&response, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxyz", 999, &left),
                     LAMBDA_HTTP_DONE);
    assert_int_equal(left, 2);
    assert_string_equal(response.body.data, "x");
    lambda_http_response_done(&response);
}

static void finds_headers_in_any_case(void **state) {
    struct lambda_http_response response = {0};
    size_t left;
    feed(&response,
         "HTTP/1.1 200 OK\r\nlambda-runtime-aws-request-id:  id-1 \t\r\nA: 1\r\na: 2\r\nE:\r\n"
         "Content-Length: 0\r\n\r\n",
         7, &left);
    assert_string_equal(lambda_http_response_header(&response, "Lambda-Runtime-Aws-Request-Id"),
                        "id-1");
    assert_string_equal(lambda_http_response_header(&response, "A"), "1");
    assert_string_equal(lambda_http_response_header(&response, "E"), "");
    assert_null(lambda_http_response_header(&response, "B"));
    lambda_http_response_done(&response);
}

static void refuses_what_is_no_http(void **state) {
    expect_broken("SSH-2.0-x\r\n\r\n");
    expect_broken("\r\n\r\n");
    expect_broken("HTTP/2 200\r\n\r\n");
    expect_broken("HTTP/1.1 2x0 OK\r\n\r\n");
    expect_broken("HTTP/1.1 099 OK\r\n\r\n");
    expect_broken("HTTP/1.1 2000 OK\r\n\r\n");
    expect_broken("HTTP/1.1 200 OK\r\nno colon\r\n\r\n");
    expect_broken("HTTP/1.1 200 OK\r\n: no name\r\n\r\n");
    expect_broken("HTTP/1.1 200 OK\r\nbad name: x\r\n\r\n");
    expect_broken("HTTP/1.1 101 Switching Protocols\r\n\r\n");
}

static void refuses_doubtful_lengths(void **state) {
    expect_broken("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n");
    expect_broken("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n");
    expect_broken("HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n");
    expect_broken("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n");
    expect_broken("HTTP/1.1 200 OK\r\nContent-Length: 33554433\r\n\r\n");
    expect_broken("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n");
    expect_broken("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n");
    expect_broken("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n");
    expect_broken("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5x\r\n");
    expect_broken("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n");
    expect_broken("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2000001\r\n");
    expect_broken("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n");
}

/* The prefix, then the filler over and over: the parser must give up at its bound. */
static void expect_bound(const char *prefix, const char *filler) {
    struct lambda_http_response response = {0};
    size_t left, used;
    enum lambda_http_step step = feed(&response, prefix, 4096, &left);
    for (size_t fed = 0; step == LAMBDA_HTTP_MORE; fed += strlen(filler)) {
        assert_true(fed < LAMBDA_HTTP_BODY_BYTES_MAX + 4096);
        step = lambda_http_response_feed(&response, filler, strlen(filler), &used);
    }
    assert_int_equal(step, LAMBDA_HTTP_BROKEN);
    lambda_http_response_done(&response);
}

static void everything_has_a_bound(void **state) {
    char *block = malloc(LAMBDA_HTTP_BODY_BYTES_MAX / 4 + 1);
    memset(block, 'b', LAMBDA_HTTP_BODY_BYTES_MAX / 4);
    block[LAMBDA_HTTP_BODY_BYTES_MAX / 4] = '\0';
    expect_bound("HTTP/1.1 200 OK\r\nA: ", "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb");
    expect_bound("HTTP/1.1 100 Continue\r\nA: ", "b\r\nb: ");
    expect_bound("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", "bbbbbbbbbbbbbbbb");
    expect_bound("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0", "0000000000000000");
    expect_bound("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
                 "A: bbbbbbbbbbb\r\n");
    expect_bound("HTTP/1.1 200 OK\r\n\r\n", block);
    free(block);
}

static void refuses_too_many_headers(void **state) {
    char text[8192] = "HTTP/1.1 200 OK\r\n";
    for (int i = 0; i < LAMBDA_HTTP_HEADERS_MAX; i++)
        strcat(text, "a: b\r\n");
    struct lambda_http_response response = {0};
    size_t left;
    strcat(text, "\r\n");
    assert_int_equal(feed(&response, text, 999, &left), LAMBDA_HTTP_MORE);
    lambda_http_response_done(&response);
    strcpy(text + strlen(text) - 2, "a: b\r\n\r\n");
    expect_broken(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_body_of_known_length),
        cmocka_unit_test(reads_chunks),
        cmocka_unit_test(knows_when_the_connection_ends),
        cmocka_unit_test(passes_over_interim_answers),
        cmocka_unit_test(a_body_without_length_ends_with_the_connection),
        cmocka_unit_test(a_cut_answer_is_told),
        cmocka_unit_test(bytes_behind_the_answer_are_left),
        cmocka_unit_test(finds_headers_in_any_case),
        cmocka_unit_test(refuses_what_is_no_http),
        cmocka_unit_test(refuses_doubtful_lengths),
        cmocka_unit_test(everything_has_a_bound),
        cmocka_unit_test(refuses_too_many_headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
