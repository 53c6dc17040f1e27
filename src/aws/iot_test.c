/* The control plane over real HTTP, with a book of its own; what rules do is not asked here. */
#include "aws/test_world.h"

#include "aws/iot.h"

struct shelf {
    struct world *world;
    struct rule_set *configured;
    struct rule_book *book;
    struct iot *iot;
    bool frozen;
    unsigned applied;
};

static struct rule_book *book_of(void *data) {
    return ((struct shelf *)data)->book;
}

static bool is_frozen(void *data) {
    return ((struct shelf *)data)->frozen;
}

struct applying {
    struct task task;
    void (*done)(void *done_data, int code);
    void *data;
};

static void on_applied(struct task *task) {
    struct applying *applying = CONTAINER_OF(task, struct applying, task);
    applying->done(applying->data, 0);
    free(applying);
}

static void apply(void *data, void (*done)(void *done_data, int code), void *done_data) {
    struct shelf *shelf = data;
    struct applying *applying = xcalloc(1, sizeof *applying);
    shelf->applied++;
    *applying = (struct applying){{.run = on_applied}, done, done_data};
    loop_post(shelf->world->thread.loop, &applying->task);
}

static void trace(void *data, struct rest_call *call, struct str rule, uint64_t count) {
    rest_stream_begin(call, "application/x-ndjson");
    buf_printf(&call->output, "\"%.*s %llu\"\n", STR_ARG(rule), (unsigned long long)count);
    rest_stream_write(call, buf_str(&call->output));
    rest_stream_end(call);
}

static void open_shelf(struct shelf *shelf) {
    struct rule_surroundings none = {0};
    *shelf = (struct shelf){.world = world_new(AWS_AUTH_OPEN, NULL)};
    struct iot_config config = {.region = "eu-west-1",
                                .account = "111122223333",
                                .host = {book_of, is_frozen, apply, trace, shelf}};
    shelf->configured = rule_set_new(NULL, 0);
    shelf->iot = iot_new(&config);
    shelf->world->rest = iot_service(shelf->iot);
    world_start(shelf->world);
    assert_int_equal(rule_book_open(shelf->world->facts, shelf->configured, &none, &shelf->book,
                                    &shelf->world->err),
                     0);
}

static void close_shelf(struct shelf *shelf) {
    rule_book_free(shelf->book);
    rule_set_unref(shelf->configured);
    world_end(shelf->world);
    iot_free(shelf->iot);
}

static void ask(struct shelf *shelf, const char *method, const char *path, const char *body) {
    struct buf request = {0};
    buf_printf(&request,
               "%s %s HTTP/1.1\r\nHost: broker.example:4566\r\nConnection: close\r\n"
               "x-amz-tagging: team=a%%20b&x=\r\nContent-Length: %zu\r\n\r\n%s",
               method, path, strlen(body), body);
    world_exchange(shelf->world, buf_str(&request));
    buf_done(&request);
}

#define RULE(topic)                                                                                \
    "{\"sql\":\"SELECT * FROM '" topic "'\",\"actions\":[{\"republish\":{\"topic\":\"t\","         \
    "\"roleArn\":\"r\"}}]}"

static void expect(struct shelf *shelf, int status, const char *text) {
    if (shelf->world->status != status || !strstr(buf_cstr(&shelf->world->answer), text))
        fail_msg("no %d with %s in %s", status, text, buf_cstr(&shelf->world->answer));
}

static void each_operation(void **state) {
    struct shelf shelf;
    open_shelf(&shelf);
    ask(&shelf, "POST", "/rules/a", RULE("d/+"));
    assert_int_equal(shelf.world->status, 200);
    assert_str(shelf.world->body, "");
    ask(&shelf, "GET", "/rules/a", "");
    expect(&shelf, 200, "\"ruleArn\":\"arn:aws:iot:eu-west-1:111122223333:rule/a\"");
    expect(&shelf, 200, "\"actions\":[{\"republish\":{\"topic\":\"t\",\"roleArn\":\"r\"}}]");
    ask(&shelf, "PATCH", "/rules/a", RULE("e"));
    ask(&shelf, "POST", "/rules/a/disable", "");
    ask(&shelf, "GET", "/rules", "");
    expect(&shelf, 200, "\"topicPattern\":\"e\"");
    expect(&shelf, 200, "\"ruleDisabled\":true");
    ask(&shelf, "POST", "/rules/a/enable", "");
    assert_int_equal(shelf.applied, 4);
    ask(&shelf, "GET", "/tags?resourceArn=arn:aws:iot:eu-west-1:111122223333:rule/a", "");
    expect(&shelf, 200,
           "{\"tags\":[{\"Key\":\"team\",\"Value\":\"a b\"},{\"Key\":\"x\",\"Value\":\"\"}]}");
    ask(&shelf, "POST", "/untag",
        "{\"resourceArn\":\"arn:aws:iot:eu-west-1:111122223333:rule/a\",\"tagKeys\":[\"team\"]}");
    expect(&shelf, 200, "{}");
    ask(&shelf, "GET", "/v1/rules/a", "");
    expect(&shelf, 200, "\"metrics\":{\"TopicMatch\":0");
    ask(&shelf, "GET", "/v1/rules/a/trace?count=5", "");
    expect(&shelf, 200, "\"a 5\"");
    ask(&shelf, "DELETE", "/rules/a", "");
    ask(&shelf, "GET", "/rules/a", "");
    expect(&shelf, 401, "Access to topic rule 'a' was denied");
    close_shelf(&shelf);
}

static void refusals(void **state) {
    struct shelf shelf;
    open_shelf(&shelf);
    ask(&shelf, "POST", "/rules/a%20b", RULE("d"));
    expect(&shelf, 400, "Value 'a b' at 'ruleName' failed to satisfy constraint");
    ask(&shelf, "POST", "/rules/a", "{\"sql\":\"SELECT\",\"actions\":[]}");
    expect(&shelf, 400, "x-amzn-ErrorType: SqlParseException");
    ask(&shelf, "POST", "/rules/a", "no json");
    expect(&shelf, 400, "x-amzn-ErrorType: InvalidRequestException");
    ask(&shelf, "GET", "/rules?nextToken=%25", "");
    expect(&shelf, 400, "Invalid nextToken");
    ask(&shelf, "GET", "/rules?maxResults=0", "");
    expect(&shelf, 400, "maxResults");
    shelf.frozen = true;
    ask(&shelf, "POST", "/rules/a", RULE("d"));
    expect(&shelf, 409, "x-amzn-ErrorType: ConflictingResourceUpdateException");
    assert_int_equal(shelf.applied, 0);
    close_shelf(&shelf);
}

static void the_endpoint_is_where_the_client_came(void **state) {
    struct shelf shelf;
    open_shelf(&shelf);
    ask(&shelf, "GET", "/endpoint?endpointType=iot:Data-ATS", "");
    expect(&shelf, 400, "InvalidRequestException"); /* there is no listener */
    iot_set_endpoint(shelf.iot, 8883);
    ask(&shelf, "GET", "/endpoint?endpointType=iot:Data-ATS", "");
    expect(&shelf, 200, "{\"endpointAddress\":\"broker.example:8883\"}");
    ask(&shelf, "GET", "/endpoint", "");
    expect(&shelf, 200, "broker.example:8883");
    ask(&shelf, "GET", "/endpoint?endpointType=iot:CredentialProvider", "");
    expect(&shelf, 400, "There is no endpoint of type iot:CredentialProvider here");
    close_shelf(&shelf);
}

static void a_rule_is_tried(void **state) {
    struct shelf shelf;
    open_shelf(&shelf);
    ask(&shelf, "POST", "/v1/rules:test",
        "{\"sql\":\"SELECT x FROM 'a/+'\",\"topic\":\"a/b\",\"payload\":{\"x\":[1]}}");
    expect(&shelf, 200, "\"result\":{\"x\":[1]}");
    ask(&shelf, "POST", "/v1/rules:test", "{\"rule\":" RULE("a") ",\"topic\":\"b\"}");
    expect(&shelf, 200, "\"reason\":\"FROM does not take this topic\"");
    ask(&shelf, "POST", "/v1/rules:test", "{\"ruleName\":\"none\",\"topic\":\"b\"}");
    expect(&shelf, 404, "There is no rule none in force");
    close_shelf(&shelf);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_operation),
        cmocka_unit_test(refusals),
        cmocka_unit_test(the_endpoint_is_where_the_client_came),
        cmocka_unit_test(a_rule_is_tried),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
