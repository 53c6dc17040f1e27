/* The operations as calls; what AWS's own clients make of them is asked in
 * tests/e2e/test_destinations.py. */
#include "action/destination_world_test.h"
#include "http/test_rest.h"

static struct test_answer answer;

static void ask(struct destination_world *world, int status, const char *error, const char *line,
                const char *body) {
    const struct rest_service *service = action_destinations_service(world->destinations);
    struct http_request request = test_request(line, body);
    rest_run(test_begin(&service, 1, &request, &answer));
    if (answer.status != status || strcmp(answer.error, error))
        fail_msg("%s: %d %s %s", line, answer.status, answer.error, buf_cstr(&answer.body));
}

static void expect(const char *text) {
    if (!test_answer_has(&answer, text))
        fail_msg("no %s in %s", text, buf_cstr(&answer.body));
}

#define CREATE(url)                                                                                \
    "{\"destinationConfiguration\":{\"httpUrlConfiguration\":{\"confirmationUrl\":\"" url "\"}}}"
#define ARN "arn%%3Aaws%%3Aiot%%3Aus-east-1%%3A000000000000%%3Aruledestination/http/"

static void each_operation(void **state) {
    struct destination_world world;
    char line[200], body[200];
    world_begin(&world);
    ask(&world, 200, "", "POST /destinations", CREATE("http://127.0.0.1:1/in"));
    expect("{\"topicRuleDestination\":{\"arn\":\"arn:aws:iot:us-east-1:000000000000:"
           "ruledestination/http/");
    expect("\"status\":\"IN_PROGRESS\",\"createdAt\":1");
    expect("\"statusReason\":\"Awaiting confirmation. Confirmation message sent on 20");
    expect("\"httpUrlProperties\":{\"confirmationUrl\":\"http://127.0.0.1:1/in\"}}}");
    const struct destination *destination = world.destinations->items[0];
    snprintf(line, sizeof line, "GET /confirmdestination/%s", destination->token);
    ask(&world, 200, "", line, "");
    snprintf(line, sizeof line, "GET /destinations/" ARN "%s", destination->uuid);
    ask(&world, 200, "", line, "");
    expect("\"status\":\"ENABLED\"");
    snprintf(body, sizeof body,
             "{\"arn\":\"arn:aws:iot:us-east-1:000000000000:ruledestination/http/%s\","
             "\"status\":\"DISABLED\"}",
             destination->uuid);
    ask(&world, 200, "", "PATCH /destinations", body);
    ask(&world, 200, "", "GET /destinations", "");
    expect("{\"destinationSummaries\":[{\"arn\":");
    expect("\"httpUrlSummary\":{\"confirmationUrl\":\"http://127.0.0.1:1/in\"}}]}");
    snprintf(line, sizeof line, "DELETE /destinations/" ARN "%s", destination->uuid);
    ask(&world, 200, "", line, "");
    ask(&world, 401, "UnauthorizedException", line, "");
    world_end(&world);
}

static size_t occurrences(const char *text) {
    size_t count = 0;
    for (const char *at = buf_cstr(&answer.body); (at = strstr(at, text)); at++)
        count++;
    return count;
}

/* Each once, in order. */
static void a_list_comes_in_pages(void **state) {
    enum { COUNT = 3 };
    struct destination_world world;
    struct buf line = {0};
    world_begin(&world);
    ask(&world, 200, "", "POST /destinations", CREATE("http://127.0.0.1:1/a"));
    ask(&world, 200, "", "POST /destinations", CREATE("http://127.0.0.1:1/b"));
    ask(&world, 200, "", "POST /destinations", CREATE("http://127.0.0.1:1/c"));
    buf_add_str(&line, STR("GET /destinations?maxResults=1"));
    for (unsigned i = 0; i < COUNT; i++) {
        ask(&world, 200, "", buf_cstr(&line), "");
        assert_int_equal(occurrences("confirmationUrl"), 1);
        expect(world.destinations->items[i]->uuid);
        char *token = strstr(buf_cstr(&answer.body), "\"nextToken\":\"");
        assert_int_equal(token != NULL, i + 1 < COUNT);
        buf_clear(&line);
        buf_add_str(&line, STR("GET /destinations?maxResults=1&nextToken="));
        struct str rest;
        if (token)
            http_percent_encode(&line, str_cut(str_of(token + 13), '"', &rest), false);
    }
    ask(&world, 200, "", "GET /destinations?maxResults=2", "");
    assert_int_equal(occurrences("confirmationUrl"), 2);
    buf_done(&line);
    world_end(&world);
}

/* Whoever names one that is not there must not get its neighbour. */
static void an_arn_is_that_of_one_destination(void **state) {
    struct destination_world world;
    world_begin(&world);
    world_add(&world, "/in");
    world_settle(&world, 1);
    for (int i = 0; i < 2; i++) {
        char line[200];
        snprintf(line, sizeof line, "%s /destinations/" ARN "00000000-0000-0000-0000-000000000000",
                 i ? "DELETE" : "GET");
        ask(&world, 401, "UnauthorizedException", line, "");
    }
    assert_int_equal(world.destinations->count, 1);
    world_end(&world);
}

static void what_cannot_be(void **state) {
    struct destination_world world;
    world_begin(&world);
    ask(&world, 400, "InvalidRequestException", "POST /destinations", "[]");
    ask(&world, 400, "InvalidRequestException", "POST /destinations", "{}");
    expect("httpUrlConfiguration is wanted");
    ask(&world, 400, "InvalidRequestException", "POST /destinations", CREATE("gopher://host/"));
    ask(&world, 400, "InvalidRequestException", "POST /destinations",
        "{\"destinationConfiguration\":{\"vpcConfiguration\":{\"vpcId\":\"v\"}}}");
    expect("there are no VPCs here");
    ask(&world, 200, "", "POST /destinations", CREATE("http://127.0.0.1:1/in"));
    ask(&world, 409, "ResourceAlreadyExistsException", "POST /destinations",
        CREATE("http://127.0.0.1:1/in"));
    ask(&world, 401, "UnauthorizedException", "PATCH /destinations", "{\"arn\":\"x\"}");
    char body[200];
    snprintf(body, sizeof body,
             "{\"arn\":\"arn:aws:iot:us-east-1:000000000000:ruledestination/http/%s\","
             "\"status\":\"ENABLED\"}",
             world.destinations->items[0]->uuid);
    ask(&world, 400, "InvalidRequestException", "PATCH /destinations", body);
    expect("A destination that is IN_PROGRESS cannot become ENABLED");
    ask(&world, 401, "UnauthorizedException", "GET /destinations/x", "");
    ask(&world, 400, "InvalidRequestException", "GET /confirmdestination/x/y", "");
    ask(&world, 400, "InvalidRequestException", "GET /destinations?maxResults=0", "");
    ask(&world, 400, "InvalidRequestException", "GET /destinations?nextToken=%2A", "");
    world_end(&world);
}

static int free_answer(void **state) {
    buf_done(&answer.body);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_operation),
        cmocka_unit_test(a_list_comes_in_pages),
        cmocka_unit_test(an_arn_is_that_of_one_destination),
        cmocka_unit_test(what_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, free_answer);
}
