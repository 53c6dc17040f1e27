#include "base/test.h"

#include <stdio.h>

#include "base/json_write.h"
#include "http/rest.h"

static char last_run[64];
static char last_answer[512];
static int last_status;
static unsigned ended_count;

static void note(struct rest_call *call, const char *name) {
    snprintf(last_run, sizeof last_run, "%s(%.*s,%.*s)", name, STR_ARG(call->labels[0]),
             STR_ARG(call->labels[1]));
    buf_add_str(&call->output, STR("{}"));
    rest_answer(call, 200);
}

static void run_list(struct rest_call *call) {
    note(call, "list");
}

static void run_show(struct rest_call *call) {
    note(call, "show");
}

static void run_member(struct rest_call *call) {
    note(call, "member");
}

static void run_publish(struct rest_call *call) {
    note(call, "publish");
}

static void run_numbers(struct rest_call *call) {
    uint64_t number;
    bool flag;
    if (!rest_query_number(call, "n", 1, 9, 5, &number) || !rest_query_bool(call, "flag", &flag))
        return;
    buf_printf(&call->output, "%d %d", (int)number, flag);
    rest_answer(call, 200);
}

static void run_body(struct rest_call *call) {
    struct json_value root;
    if (!rest_read_json(call, &root))
        return;
    json_write_string(&call->output, json_str(json_member(root, STR("a")), &call->arena));
    rest_answer(call, 201);
}

static const struct rest_route things[] = {{"GET", "/things", run_list},
                                           {"GET", "/things/{name}", run_show},
                                           {"DELETE", "/things/{name}", run_show},
                                           {"GET", "/things/{name}/members/{id}", run_member},
                                           {0}};

static const struct rest_route others[] = {{"POST", "/topics/{topic+}", run_publish},
                                           {"GET", "/numbers", run_numbers},
                                           {"POST", "/body", run_body},
                                           {0}};

static const struct rest_service first = {"one", things, NULL}, second = {"two", others, NULL};
static const struct rest_service *const services[] = {&first, &second};

static void respond(struct rest_call *call, int status, const char *content_type, const char *error,
                    struct str body) {
    last_status = status;
    snprintf(last_answer, sizeof last_answer, "%s|%s|%.*s", content_type ? content_type : "",
             error ? error : "", STR_ARG(body));
}

static void ended(struct rest_call *call) {
    ended_count++;
}

static const struct rest_host host = {.respond = respond, .ended = ended};

static struct rest_call *start(struct http_request *request, const char *method, const char *target,
                               const char *body) {
    struct rest_match match;
    *request = (struct http_request){.method = str_of(method), .body = str_of(body)};
    request->path = str_cut(str_of(target), '?', &request->query);
    rest_find(services, COUNT_OF(services), request->method, request->path, &match);
    return rest_begin(request, &match, &host, NULL);
}

static int ask(const char *method, const char *target, const char *body) {
    struct http_request request;
    unsigned before = ended_count;
    last_run[0] = '\0';
    rest_run(start(&request, method, target, body));
    assert_int_equal(ended_count, before + 1);
    return last_status;
}

static void expect_run(const char *method, const char *target, const char *expected) {
    assert_int_equal(ask(method, target, ""), 200);
    assert_string_equal(last_run, expected);
}

static void a_path_finds_its_route(void **state) {
    expect_run("GET", "/things", "list(,)");
    expect_run("GET", "/things/a%20b", "show(a b,)");
    expect_run("DELETE", "/things/x%2Fy", "show(x/y,)");
    expect_run("GET", "/things/a/members/b", "member(a,b)");
    expect_run("POST", "/topics/a/b%2Fc", "publish(a/b/c,)");
    expect_run("POST", "/topics//a/", "publish(/a/,)");
}

static void other_paths_are_nobodys(void **state) {
    static const char *const paths[] = {"/",
                                        "",
                                        "*",
                                        "/thing",
                                        "/things/",
                                        "/things/a/",
                                        "/things/a/members",
                                        "/topics",
                                        "/topics/",
                                        "/things//members/b"};
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        assert_int_equal(ask("GET", paths[i], ""), 404);
        assert_string_equal(last_run, "");
    }
}

static void another_method_is_told(void **state) {
    assert_int_equal(ask("PUT", "/things/a", ""), 405);
    assert_non_null(strstr(last_answer, "/things/a cannot be asked with PUT."));
}

static void a_bad_escape_is_refused(void **state) {
    assert_int_equal(ask("GET", "/things/%zz", ""), 400);
    assert_true(str_starts(str_of(last_answer), STR("application/json|InvalidRequestException|"
                                                    "{\"message\":\"The path /things/%zz")));
}

static void parameters_are_checked(void **state) {
    assert_int_equal(ask("GET", "/numbers", ""), 200);
    assert_string_equal(last_answer, "application/json||5 0");
    assert_int_equal(ask("GET", "/numbers?n=9&flag=true", ""), 200);
    assert_string_equal(last_answer, "application/json||9 1");
    assert_int_equal(ask("GET", "/numbers?n=10", ""), 400);
    assert_int_equal(ask("GET", "/numbers?n=x", ""), 400);
    assert_int_equal(ask("GET", "/numbers?flag=yes", ""), 400);
}

static void a_body_is_a_json_object(void **state) {
    assert_int_equal(ask("POST", "/body", "{\"a\":\"b\"}"), 201);
    assert_string_equal(last_answer, "application/json||\"b\"");
    assert_int_equal(ask("POST", "/body", "[]"), 400);
    assert_int_equal(ask("POST", "/body", ""), 400);
}

static void nobody_is_answered_who_is_gone(void **state) {
    struct http_request request;
    unsigned before = ended_count;
    struct rest_call *call = start(&request, "GET", "/things", "");
    last_status = 0;
    request.on_abort(&request);
    assert_null(call->request);
    rest_fail(call, 500, "InternalFailureException", "late");
    assert_int_equal(last_status, 0);
    assert_int_equal(ended_count, before + 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_finds_its_route),         cmocka_unit_test(other_paths_are_nobodys),
        cmocka_unit_test(another_method_is_told),         cmocka_unit_test(a_bad_escape_is_refused),
        cmocka_unit_test(parameters_are_checked),         cmocka_unit_test(a_body_is_a_json_object),
        cmocka_unit_test(nobody_is_answered_who_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
