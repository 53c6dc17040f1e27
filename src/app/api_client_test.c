#include "app/api_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/test.h"
#include "http/http.h"

/* ---- where to find it ---- */

static int init_from_text(struct api_client *client, const char *text, struct err *err) {
    char path[] = "/tmp/weir-api-client-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
    int code = api_client_init(client, path, NULL, NULL, err);
    unlink(path);
    return code;
}

static void assert_found_at(const char *bind, const char *url) {
    struct api_client client;
    struct err err;
    char text[256];
    snprintf(text, sizeof text,
             "data: /tmp\n"
             "api: { bind: \"%s\", auth: sigv4 }\n"
             "credentials: [ { access_key_id: A, secret_access_key: s } ]\n",
             bind);
    if (init_from_text(&client, text, &err))
        fail_msg("%s", err.text);
    assert_string_equal(client.url, url);
    assert_string_equal(client.access_key_id, "A");
    assert_string_equal(client.secret_access_key, "s");
    api_client_done(&client);
}

static void a_configuration_says_address_and_key(void **state) {
    assert_found_at("127.0.0.1:4566", "http://127.0.0.1:4566");
    assert_found_at("[::1]:4567", "http://[::1]:4567");
}

static void a_configuration_without_api_is_refused(void **state) {
    struct api_client client;
    struct err err;
    assert_int_equal(init_from_text(&client, "data: /tmp\n", &err), ERR_INVALID);
    assert_non_null(strstr(err.text, "there is no api listener"));
    api_client_done(&client);
}

static void a_url_goes_with_the_keys_of_the_environment(void **state) {
    struct api_client client;
    struct err err;
    setenv("AWS_ACCESS_KEY_ID", "E", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "t", 1);
    setenv("AWS_SESSION_TOKEN", "", 1);
    setenv("AWS_REGION", "eu-west-1", 1);
    assert_int_equal(api_client_init(&client, "not read", "https://weir.example//", "ca.pem", &err),
                     0);
    assert_string_equal(client.url, "https://weir.example");
    assert_string_equal(client.ca_path, "ca.pem");
    assert_string_equal(client.region, "eu-west-1");
    assert_string_equal(client.access_key_id, "E");
    assert_null(client.session_token);
    api_client_done(&client);
    assert_int_equal(api_client_init(&client, NULL, "weir.example", NULL, &err), ERR_INVALID);
    api_client_done(&client);
    unsetenv("AWS_ACCESS_KEY_ID");
    assert_int_equal(api_client_init(&client, NULL, NULL, NULL, &err), 0);
    assert_string_equal(client.url, "http://127.0.0.1:4566");
    assert_null(client.access_key_id);
    api_client_done(&client);
}

/* ---- calls ---- */

struct service {
    struct loop_thread thread;
    struct http_server *server;
    struct sockaddr_storage address;
    bool is_closed;
    struct api_client client;
    char url[TCP_ADDRESS_CHARS + 8];
};

/* "/refuse" is refused with a message, "/plain" without; the others tell how they were signed. */
static void handle(struct http_request *request, void *data) {
    struct str authorization = http_header(request, "Authorization");
    if (str_eq(request->path, STR("/refuse")))
        http_respond(request, 404, "application/json", STR("{\"message\":\"no such client\"}"),
                     NULL, 0);
    else if (str_eq(request->path, STR("/plain")))
        http_respond(request, 500, "text/plain", STR("oh"), NULL, 0);
    else
        http_respond(request, 200, "text/plain", authorization, NULL, 0);
}

static void open_server(void *data) {
    struct service *service = data;
    struct http_server_config config = {.address = &service->address, .handler = handle};
    assert_int_equal(
        http_server_open(service->thread.loop, &config, &service->address, &service->server, NULL),
        0);
}

static int begin(void **state) {
    struct service *service = *state = xcalloc(1, sizeof *service);
    char text[TCP_ADDRESS_CHARS];
    assert_int_equal(tcp_address("127.0.0.1:0", &service->address, NULL), 0);
    loop_thread_start(&service->thread, "service");
    loop_call(service->thread.loop, open_server, service);
    tcp_address_text(&service->address, text);
    snprintf(service->url, sizeof service->url, "http://%s", text);
    service->client.url = service->url;
    return 0;
}

static void on_closed(void *data) {
    ((struct service *)data)->is_closed = true;
}

static void close_server(void *data) {
    struct service *service = data;
    http_server_close(service->server, on_closed, service);
}

static void look(void *data) {}

static int end(void **state) {
    struct service *service = *state;
    loop_call(service->thread.loop, close_server, service);
    while (!service->is_closed) {
        loop_call(service->thread.loop, look, NULL);
        usleep(1000);
    }
    loop_thread_stop(&service->thread);
    free(service);
    return 0;
}

static void what_is_refused_is_an_error_with_its_message(void **state) {
    struct service *service = *state;
    struct buf body = {0};
    struct err err;
    assert_int_equal(api_client_call(&service->client, "GET", "/refuse", &body, &err), ERR_INVALID);
    assert_string_equal(err.text, "no such client");
    assert_int_equal(api_client_call(&service->client, "GET", "/plain", &body, &err), ERR_INVALID);
    assert_string_equal(err.text, "the answer is 500 Internal Server Error");
    assert_int_equal(buf_len(&body), 0);
}

static void use_key(struct api_client *client) {
    static char key[] = "A", secret[] = "s", region[] = "eu-west-1";
    client->access_key_id = key;
    client->secret_access_key = secret;
    client->region = region;
}

static void requests_are_signed_if_there_is_a_key(void **state) {
    struct service *service = *state;
    struct buf body = {0};
    struct err err;
    assert_int_equal(api_client_call(&service->client, "GET", "/a?b=c", &body, &err), 0);
    assert_int_equal(buf_len(&body), 0);
    use_key(&service->client);
    assert_int_equal(api_client_call(&service->client, "GET", "/a?b=c", &body, &err), 0);
    assert_true(str_starts(buf_str(&body), STR("AWS4-HMAC-SHA256 Credential=A/")));
    assert_non_null(strstr(buf_cstr(&body), "/eu-west-1/weir/aws4_request"));
    buf_done(&body);
}

static bool take_piece(void *data, struct str bytes) {
    buf_add_str(data, bytes);
    return true;
}

static void an_answer_is_followed_to_its_end(void **state) {
    struct service *service = *state;
    struct buf body = {0};
    struct err err;
    use_key(&service->client);
    assert_int_equal(api_client_follow(&service->client, "/a", take_piece, &body, &err), 0);
    assert_true(str_starts(buf_str(&body), STR("AWS4-HMAC-SHA256")));
    assert_int_equal(api_client_follow(&service->client, "/refuse", take_piece, &body, &err),
                     ERR_INVALID);
    assert_string_equal(err.text, "no such client");
    buf_done(&body);
}

static void who_is_not_there_is_told(void **state) {
    static char url[] = "http://127.0.0.1:1";
    struct api_client client = {.url = url};
    struct buf body = {0};
    struct err err;
    assert_int_equal(api_client_call(&client, "GET", "/", &body, &err), ERR_IO);
    assert_non_null(strstr(err.text, "does weir run, with an api listener?"));
}

int main(void) {
#define CALL_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_configuration_says_address_and_key),
        cmocka_unit_test(a_configuration_without_api_is_refused),
        cmocka_unit_test(a_url_goes_with_the_keys_of_the_environment),
        CALL_TEST(what_is_refused_is_an_error_with_its_message),
        CALL_TEST(requests_are_signed_if_there_is_a_key),
        CALL_TEST(an_answer_is_followed_to_its_end),
        cmocka_unit_test(who_is_not_there_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
