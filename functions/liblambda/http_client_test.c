#include "test_host.h"

#include <fcntl.h>
#include <sys/wait.h>

#include "http_client.h"

/* Forks a peer that plays `script` on the host and exits 0 if all of it came true. */
static pid_t play(struct host *host, void (*script)(struct host *)) {
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        script(host);
        _exit(0);
    }
    return pid;
}

static void expect_played(pid_t pid) {
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static enum lambda_http_error ask(struct lambda_http_client *client, const char *path,
                                  const char *body, int stop_fd) {
    struct lambda_http_request request = {0};
    lambda_http_request_begin(&request, client, body ? "POST" : "GET", path);
    lambda_http_request_field(&request, "X-Test", "a\r\nb");
    lambda_http_request_seal(&request, body, body ? strlen(body) : 0);
    enum lambda_http_error error = lambda_http_client_exchange(client, &request, stop_fd);
    lambda_http_request_done(&request);
    return error;
}

static void two_requests_on_one_connection(struct host *host) {
    host_accept(host);
    host_expect(host, "GET", "/a");
    assert_non_null(strstr(host->request, "\r\nX-Test: a__b\r\n"));
    assert_null(strstr(host->request, "Content-Length"));
    host_say(host, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none");
    host_expect(host, "POST", "/b");
    assert_string_equal(host->body, "body");
    host_say(host, HOST_ACCEPTED);
}

static void keeps_its_connection(void **state) {
    struct host host;
    struct lambda_http_client client;
    host_init(&host);
    assert_true(lambda_http_client_init(&client, host.authority));
    pid_t peer = play(&host, two_requests_on_one_connection);
    assert_int_equal(ask(&client, "/a", NULL, -1), LAMBDA_HTTP_OK);
    assert_string_equal(client.response.body.data, "one");
    assert_int_equal(ask(&client, "/b", "body", -1), LAMBDA_HTTP_OK);
    assert_int_equal(client.response.status, 202);
    expect_played(peer);
    lambda_http_client_done(&client);
    host_done(&host);
}

static void closes_between_two_requests(struct host *host) {
    host_accept(host);
    host_expect(host, "GET", "/a");
    host_say(host, HOST_ACCEPTED);
    host_accept(host);
    host_expect(host, "GET", "/a");
    host_say(host, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2");
}

static void replaces_a_connection_that_was_closed(void **state) {
    struct host host;
    struct lambda_http_client client;
    struct pollfd closed = {.events = POLLIN};
    host_init(&host);
    assert_true(lambda_http_client_init(&client, host.authority));
    pid_t peer = play(&host, closes_between_two_requests);
    assert_int_equal(ask(&client, "/a", NULL, -1), LAMBDA_HTTP_OK);
    closed.fd = client.fd;
    assert_int_equal(poll(&closed, 1, HOST_PATIENCE_MS), 1);
    assert_int_equal(ask(&client, "/a", NULL, -1), LAMBDA_HTTP_OK);
    assert_string_equal(client.response.body.data, "2");
    expect_played(peer);
    lambda_http_client_done(&client);
    host_done(&host);
}

static void answers_one_byte_at_a_time(struct host *host) {
    static const char answer[] =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n";
    host_accept(host);
    host_expect(host, "GET", "/a");
    for (size_t i = 0; i < sizeof answer - 1; i++) {
        host_send(host, answer + i, 1);
        usleep(500);
    }
}

static void reads_an_answer_that_trickles(void **state) {
    struct host host;
    struct lambda_http_client client;
    host_init(&host);
    assert_true(lambda_http_client_init(&client, host.authority));
    pid_t peer = play(&host, answers_one_byte_at_a_time);
    assert_int_equal(ask(&client, "/a", NULL, -1), LAMBDA_HTTP_OK);
    assert_string_equal(client.response.body.data, "ab");
    expect_played(peer);
    lambda_http_client_done(&client);
    host_done(&host);
}

static int heard[2]; /* a pipe: something is in it once the client has heard the refusal */

static void refuses_before_the_body_is_read(struct host *host) {
    char head[64];
    host_accept(host);
    host_await(host->fd);
    assert_true(recv(host->fd, head, sizeof head, 0) > 0);
    host_say(host, "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig");
    /* Nothing more is read, and the connection stays open until the client has heard. */
    host_await(heard[0]);
}

static void hears_a_refusal_while_it_sends(void **state) {
    struct host host;
    struct lambda_http_client client;
    size_t size = (size_t)64 << 20;
    char *body = malloc(size + 1);
    memset(body, 'x', size);
    assert_int_equal(pipe(heard), 0);
    body[size] = '\0';
    host_init(&host);
    assert_true(lambda_http_client_init(&client, host.authority));
    pid_t peer = play(&host, refuses_before_the_body_is_read);
    assert_int_equal(ask(&client, "/a", body, -1), LAMBDA_HTTP_OK);
    assert_int_equal(client.response.status, 413);
    assert_string_equal(client.response.body.data, "big");
    assert_int_equal(client.fd, -1);
    assert_int_equal(write(heard[1], "", 1), 1);
    expect_played(peer);
    lambda_http_client_done(&client);
    host_done(&host);
    close(heard[0]);
    close(heard[1]);
    free(body);
}

static void hangs_up_in_the_answer(struct host *host) {
    host_accept(host);
    host_expect(host, "GET", "/a");
    host_say(host, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
}

static void speaks_no_http(struct host *host) {
    host_accept(host);
    host_expect(host, "GET", "/a");
    host_say(host, "220 mail\r\n\r\n");
}

static void expect_failure(void (*script)(struct host *), enum lambda_http_error expected) {
    struct host host;
    struct lambda_http_client client;
    host_init(&host);
    assert_true(lambda_http_client_init(&client, host.authority));
    pid_t peer = play(&host, script);
    assert_int_equal(ask(&client, "/a", NULL, -1), expected);
    assert_true(strlen(client.problem) > 0);
    assert_int_equal(client.fd, -1);
    expect_played(peer);
    lambda_http_client_done(&client);
    host_done(&host);
}

static void tells_a_lost_answer_from_a_wrong_one(void **state) {
    expect_failure(hangs_up_in_the_answer, LAMBDA_HTTP_LOST);
    expect_failure(speaks_no_http, LAMBDA_HTTP_PROTOCOL);
}

static void tells_that_nobody_listens(void **state) {
    struct host host;
    struct lambda_http_client client;
    host_init(&host);
    host_done(&host);
    assert_true(lambda_http_client_init(&client, host.authority));
    assert_int_equal(ask(&client, "/a", NULL, -1), LAMBDA_HTTP_NO_CONNECTION);
    assert_true(strlen(client.problem) > 0);
    lambda_http_client_done(&client);
}

static void stops_when_it_is_told(void **state) {
    struct host host;
    struct lambda_http_client client;
    int stop[2];
    host_init(&host);
    assert_true(lambda_http_client_init(&client, host.authority));
    assert_int_equal(pipe(stop), 0);
    assert_int_equal(write(stop[1], "", 1), 1);
    assert_int_equal(ask(&client, "/a", NULL, stop[0]), LAMBDA_HTTP_STOPPED);
    lambda_http_client_done(&client);
    close(stop[0]);
    close(stop[1]);
    host_done(&host);
}

static void expect_authority(const char *authority, const char *host, const char *port) {
    struct lambda_http_client client;
    assert_true(lambda_http_client_init(&client, authority));
    assert_string_equal(client.host, host);
    assert_string_equal(client.port, port);
}

static void reads_authorities(void **state) {
    static const char *const bad[] = {"",      "host",   "host:",     ":80",   "http://h:80",
                                      "h:8x",  "::1:80", "h:8000000", "[::1]", "h:80/x",
                                      "a b:1", "[]:1"};
    struct lambda_http_client client;
    expect_authority("169.254.100.1:9001", "169.254.100.1", "9001");
    expect_authority("localhost:80", "localhost", "80");
    expect_authority("[::1]:9001", "::1", "9001");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (lambda_http_client_init(&client, bad[i]))
            fail_msg("accepted: %s", bad[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_its_connection),
        cmocka_unit_test(replaces_a_connection_that_was_closed),
        cmocka_unit_test(reads_an_answer_that_trickles),
        cmocka_unit_test(hears_a_refusal_while_it_sends),
        cmocka_unit_test(tells_a_lost_answer_from_a_wrong_one),
        cmocka_unit_test(tells_that_nobody_listens),
        cmocka_unit_test(stops_when_it_is_told),
        cmocka_unit_test(reads_authorities),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
