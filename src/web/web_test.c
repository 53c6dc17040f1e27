#include "web/test_fixture.h"

#include <openssl/ssl.h>

#include "io/test_certs.h"

struct answer {
    int status;
    struct buf text; /* the whole of it */
    struct str head, body;
};

static int begin(void **state) {
    struct fixture *fixture = *state = fixture_begin();
    loop_call(fixture->thread.loop, fixture_open_web, fixture);
    assert_int_equal(fixture->code, 0);
    return 0;
}

static int begin_without_web(void **state) {
    *state = fixture_begin();
    return 0;
}

static int end(void **state) {
    fixture_end(*state);
    return 0;
}

/* `head` is everything up to the empty line, without the Connection header. */
static struct answer ask_raw(struct fixture *fixture, const char *head) {
    struct answer answer = {0};
    int fd = peer_connect(fixture, 0);
    char *request = xprintf("%s\r\nConnection: close\r\n\r\n", head);
    peer_send(fd, str_of(request));
    free(request);
    ssize_t got;
    while ((got = recv(fd, buf_room(&answer.text, 64 * 1024), 64 * 1024, 0)) > 0)
        buf_added(&answer.text, (size_t)got);
    close(fd);
    assert_int_equal(got, 0);
    const char *text = buf_cstr(&answer.text), *end_of_head = strstr(text, "\r\n\r\n");
    assert_non_null(end_of_head);
    answer.status = atoi(text + strlen("HTTP/1.1 "));
    answer.head = str_from(text, (size_t)(end_of_head + 2 - text));
    answer.body = str_skip(buf_str(&answer.text), answer.head.len + 2);
    return answer;
}

static struct answer ask(struct fixture *fixture, const char *line, const char *more) {
    char *head = xprintf("%s HTTP/1.1\r\nHost: localhost:8080%s", line, more);
    struct answer answer = ask_raw(fixture, head);
    free(head);
    return answer;
}

static struct str header(const struct answer *answer, const char *name) {
    char *needle = xprintf("\r\n%s: ", name);
    const char *at = memmem(answer->head.at, answer->head.len, needle, strlen(needle));
    struct str value = at ? str_of(at + strlen(needle)) : (struct str){0};
    value.len = str_find(value, '\r');
    free(needle);
    return value;
}

static bool has(struct str text, const char *needle) {
    return text.len && memmem(text.at, text.len, needle, strlen(needle));
}

static void check_status(struct fixture *fixture, const char *line, const char *more, int status) {
    struct answer answer = ask(fixture, line, more);
    if (answer.status != status)
        fail_msg("%s%s: %s", line, more, buf_cstr(&answer.text));
    buf_done(&answer.text);
}

static void the_page_is_served_with_its_headers(void **state) {
    struct fixture *fixture = *state;
    struct answer answer = ask(fixture, "GET /", "");
    assert_int_equal(answer.status, 200);
    assert_true(has(answer.body, "app.js"));
    assert_str(header(&answer, "Content-Type"), "text/html; charset=utf-8");
    assert_str(header(&answer, "Cache-Control"), "no-cache");
    assert_str(header(&answer, "Vary"), "Accept-Encoding");
    assert_str(header(&answer, "X-Content-Type-Options"), "nosniff");
    assert_str(header(&answer, "Referrer-Policy"), "no-referrer");
    assert_str(header(&answer, "Content-Security-Policy"),
               "default-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self' ws: wss:; "
               "img-src 'self' data:");
    assert_null(header(&answer, "Content-Encoding").at);
    buf_done(&answer.text);
    answer = ask(fixture, "GET /app.js?x", "");
    assert_int_equal(answer.status, 200);
    assert_str(header(&answer, "Content-Type"), "text/javascript; charset=utf-8");
    buf_done(&answer.text);
    answer = ask(fixture, "GET /app.css", "");
    assert_str(header(&answer, "Content-Type"), "text/css; charset=utf-8");
    buf_done(&answer.text);
}

static void the_packed_form_is_smaller_and_has_its_own_tag(void **state) {
    struct fixture *fixture = *state;
    struct answer plain = ask(fixture, "GET /app.js", "");
    struct answer packed = ask(fixture, "GET /app.js", "\r\nAccept-Encoding: br, gzip");
    assert_str(header(&packed, "Content-Encoding"), "gzip");
    assert_true(packed.body.len < plain.body.len / 2);
    assert_memory_equal(packed.body.at, "\x1f\x8b\x08", 3);
    uint32_t size;
    memcpy(&size, packed.body.at + packed.body.len - 4, 4);
    assert_int_equal(size, plain.body.len);
    assert_false(str_eq(header(&plain, "ETag"), header(&packed, "ETag")));
    buf_done(&plain.text);
    buf_done(&packed.text);
}

static void what_a_browser_has_is_not_sent_again(void **state) {
    struct fixture *fixture = *state;
    struct answer first = ask(fixture, "GET /app.js", "");
    char *more = xprintf("\r\nIf-None-Match: \"x\", %.*s", STR_ARG(header(&first, "ETag")));
    struct answer again = ask(fixture, "GET /app.js", more);
    assert_int_equal(again.status, 304);
    assert_int_equal(again.body.len, 0);
    assert_true(str_eq(header(&first, "ETag"), header(&again, "ETag")));
    assert_str(header(&again, "Vary"), "Accept-Encoding");
    check_status(fixture, "GET /app.css", more, 200);
    free(more);
    buf_done(&again.text);
    again = ask(fixture, "HEAD /app.js", "");
    assert_int_equal(again.status, 200);
    assert_int_equal(again.body.len, 0);
    assert_true(str_eq(header(&first, "Content-Length"), header(&again, "Content-Length")));
    buf_done(&again.text);
    buf_done(&first.text);
}

static void other_addresses_and_methods_are_refused(void **state) {
    struct fixture *fixture = *state;
    check_status(fixture, "GET /nothing", "", 404);
    check_status(fixture, "GET /app.js/", "", 404);
    check_status(fixture, "POST /nothing", "\r\nContent-Length: 0", 404);
    check_status(fixture, "GET /favicon.ico", "", 204);
    check_status(fixture, "GET /ws", "", 426);
    struct answer answer = ask(fixture, "POST /metrics", "\r\nContent-Length: 0");
    assert_int_equal(answer.status, 405);
    assert_str(header(&answer, "Allow"), "GET, HEAD");
    buf_done(&answer.text);
}

static void mqtt_is_handed_over(void **state) {
    struct answer answer = ask(*state, "GET /mqtt", "");
    assert_str(answer.body, "mqtt here");
    buf_done(&answer.text);
}

static void metrics_are_shown(void **state) {
    struct answer answer = ask(*state, "GET /metrics", "");
    assert_str(header(&answer, "Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
    assert_true(has(answer.body, "\nweir_state_up 1\n"));
    assert_true(has(answer.body, "\nweir_web_pages 0\n"));
    assert_true(has(answer.body, "\nprocess_open_fds "));
    buf_done(&answer.text);
}

static void supervisors_are_told(void **state) {
    struct fixture *fixture = *state;
    struct answer answer = ask(fixture, "GET /livez", "");
    assert_int_equal(answer.status, 200);
    assert_str(answer.body, "{\"status\":\"ok\"}\n");
    buf_done(&answer.text);
    answer = ask(fixture, "GET /readyz", "");
    assert_int_equal(answer.status, 200);
    assert_str(answer.body, "{\"status\":\"ok\",\"redis\":true}\n");
    buf_done(&answer.text);
    fixture->is_ready = false;
    answer = ask(fixture, "GET /readyz", "");
    assert_int_equal(answer.status, 503);
    assert_str(answer.body, "{\"status\":\"unavailable\",\"redis\":false}\n");
    buf_done(&answer.text);
}

static void pages_of_other_sites_are_kept_out(void **state) {
    struct fixture *fixture = *state;
    static const char evil[] = "GET / HTTP/1.1\r\nHost: evil.example:8080";
    struct answer answer = ask_raw(fixture, evil);
    assert_int_equal(answer.status, 403);
    assert_false(has(answer.body, "app.js"));
    buf_done(&answer.text);
    check_status(fixture, "GET /mqtt", "\r\nOrigin: http://localhost:8080", 200);
    check_status(fixture, "GET /mqtt", "\r\nOrigin: http://evil.example", 403);
    check_status(fixture, "GET /ws", "\r\nOrigin: null", 403);
    check_status(fixture, "GET /metrics", "\r\nOrigin: http://evil.example", 200);
    answer = ask(fixture, "GET /metrics", "");
    assert_true(has(answer.body, "\nweir_web_refused_total 3\n"));
    buf_done(&answer.text);
}

static void a_listener_beyond_loopback_must_be_allowed(void **state) {
    struct fixture *fixture = *state;
    fixture->config.bind = "0.0.0.0:0";
    loop_call(fixture->thread.loop, fixture_open_web, fixture);
    assert_int_equal(fixture->code, ERR_DENIED);
    assert_non_null(strstr(fixture->err.text, "plaintext: true"));
    fixture->config.plaintext = true;
    loop_call(fixture->thread.loop, fixture_open_web, fixture);
    assert_int_equal(fixture->code, ERR_DENIED);
    assert_non_null(strstr(fixture->err.text, "anonymous: true"));
    fixture->config.anonymous = true;
    loop_call(fixture->thread.loop, fixture_open_web, fixture);
    assert_int_equal(fixture->code, 0);
    struct answer answer = ask_raw(fixture, "GET / HTTP/1.1\r\nHost: weir.lan");
    assert_int_equal(answer.status, 200);
    buf_done(&answer.text);
}

static void reload(void *data) {
    struct fixture *fixture = data;
    fixture->code = web_reload(fixture->web, &fixture->err);
}

static struct str handshake(struct fixture *fixture, struct buf *subject) {
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(context);
    int fd = peer_connect(fixture, 0);
    SSL_set_fd(ssl, fd);
    assert_int_equal(SSL_connect(ssl), 1);
    X509 *cert = SSL_get1_peer_certificate(ssl);
    X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName,
                              (char *)buf_room(subject, 64), 64);
    struct str name = str_of((const char *)buf_room(subject, 64));
    X509_free(cert);
    SSL_free(ssl);
    SSL_CTX_free(context);
    close(fd);
    return name;
}

static void tls_is_served_and_certificates_are_read_again(void **state) {
    struct fixture *fixture = *state;
    struct conf conf = {.type = CONF_MAP};
    struct test_cert first, second;
    struct buf subject = {0};
    test_cert_make(&first, NULL, fixture->root, "first", NULL);
    test_cert_make(&second, NULL, fixture->root, "second", NULL);
    fixture->config.tls =
        (struct web_tls_config){.head.conf = &conf, .cert = first.cert_path, .key = first.key_path};
    loop_call(fixture->thread.loop, fixture_open_web, fixture);
    assert_int_equal(fixture->code, 0);
    assert_str(handshake(fixture, &subject), "first");
    assert_int_equal(rename(second.cert_path, first.cert_path), 0);
    loop_call(fixture->thread.loop, reload, fixture);
    assert_true(fixture->code < 0); /* A certificate without its key. */
    assert_str(handshake(fixture, &subject), "first");
    assert_int_equal(rename(second.key_path, first.key_path), 0);
    loop_call(fixture->thread.loop, reload, fixture);
    assert_int_equal(fixture->code, 0);
    assert_str(handshake(fixture, &subject), "second");
    buf_done(&subject);
    test_cert_done(&first);
    test_cert_done(&second);
}

static void a_bad_address_is_an_error(void **state) {
    struct fixture *fixture = *state;
    fixture->config.bind = "nowhere";
    loop_call(fixture->thread.loop, fixture_open_web, fixture);
    assert_int_equal(fixture->code, ERR_INVALID);
    assert_null(fixture->web);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_page_is_served_with_its_headers, begin, end),
        cmocka_unit_test_setup_teardown(the_packed_form_is_smaller_and_has_its_own_tag, begin, end),
        cmocka_unit_test_setup_teardown(what_a_browser_has_is_not_sent_again, begin, end),
        cmocka_unit_test_setup_teardown(other_addresses_and_methods_are_refused, begin, end),
        cmocka_unit_test_setup_teardown(mqtt_is_handed_over, begin, end),
        cmocka_unit_test_setup_teardown(metrics_are_shown, begin, end),
        cmocka_unit_test_setup_teardown(supervisors_are_told, begin, end),
        cmocka_unit_test_setup_teardown(pages_of_other_sites_are_kept_out, begin, end),
        cmocka_unit_test_setup_teardown(a_listener_beyond_loopback_must_be_allowed,
                                        begin_without_web, end),
        cmocka_unit_test_setup_teardown(tls_is_served_and_certificates_are_read_again,
                                        begin_without_web, end),
        cmocka_unit_test_setup_teardown(a_bad_address_is_an_error, begin_without_web, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
