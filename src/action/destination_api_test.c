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

static void what_cannot_be(void **state) {
    struct destination_world world;
    world_begin(&world);
    ask(&world, 400, "InvalidRequestException", "POST /destinations", "[]");
    ask(&world, 400, "InvalidRequestException", "POST /destinations", "{}");
    ask(&world, 400, "InvalidRequestException", "POST /destinations", CREATE("gopher://host/"));
    ask(&world, 400, "InvalidRequestException", "POST /destinations",
        "{\"destinationConfiguration\":{\"vpcConfiguration\":{\"vpcId\":\"v\"}}}");
    expect("there are no VPCs here");
    ask(&world, 200, "", "POST /destinations", CREATE("http://127.0.0.1:1/in"));
    ask(&world, 409, "ResourceAlreadyExistsException", "POST /destinations",
        CREATE("http://127.0.0.1:1/in"));
    ask(&world, 401, "UnauthorizedException", "PATCH /destinations", "{\"arn\":\"x\"}");
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
        cmocka_unit_test(what_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, free_answer);
}
