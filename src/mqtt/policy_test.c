/* What a policy may look like, and what is said about one that may not. */
#include "base/test.h"

#include "mqtt/policy_rig.h"

static struct arena arena;

static int tear_down(void **state) {
    arena_done(&arena);
    return 0;
}

static int compile(const char *text, struct mqtt_policies **ret_policies, struct err *err) {
    const struct conf *conf = conf_from_text(&arena, str_of(text));
    assert_non_null(conf);
    return policies_compile(conf, ret_policies, err);
}

static struct mqtt_policies *compiled(const char *text) {
    struct mqtt_policies *policies = NULL;
    struct err err = {0};
    if (compile(text, &policies, &err))
        fail_msg("%s: %s", text, err.text);
    return policies;
}

static void both_forms_mean_the_same(void **state) {
    static const char *const texts[] = {
        "{'p':{'statement':[{'effect':'Deny','action':'iot:Publish','resource':'topic/a/*'}]}}",
        "{'p':{'statement':{'effect':'Deny','action':['iot:Publish'],'resource':['topic/a/*']}}}",
        "{'p':{'Version':'2012-10-17','Id':'x','Statement':[{'Sid':'1','Effect':'Deny',"
        "'Action':'iot:Publish','Resource':'arn:aws:iot:eu-central-1:123456789012:topic/a/*'}]}}",
        "{'p':{'Version':'2012-10-17','Statement':{'Effect':'Deny','Action':['IOT:publish'],"
        "'Resource':['arn:aws-cn:iot:*:*:topic/a/*']}}}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct mqtt_policies *policies = compiled(texts[i]);
        const struct policy *policy = policies_find(policies, STR("p"));
        assert_string_equal(policy->name, "p");
        assert_int_equal(policy->count, 1);
        const struct policy_statement *statement = &policy->statements[0];
        assert_true(statement->denies && !statement->excludes);
        assert_int_equal(statement->actions, 1u << POLICY_PUBLISH);
        assert_int_equal(statement->resource_count, 1);
        assert_str(statement->resources[0].code, "topic/a/\xff");
        assert_null(policies_find(policies, STR("q")));
        policies_unref(policies);
    }
}

static uint32_t actions_of(const char *action) {
    char text[300];
    snprintf(text, sizeof text,
             "{'p':{'statement':[{'effect':'Allow','action':%s,'resource':'*'}]}}", action);
    struct mqtt_policies *policies = compiled(text);
    uint32_t actions = policies_find(policies, STR("p"))->statements[0].actions;
    policies_unref(policies);
    return actions;
}

static void actions(void **state) {
    const uint32_t all = (1u << POLICY_ACTION_COUNT) - 1;
    assert_int_equal(actions_of("'*'"), all);
    assert_int_equal(actions_of("'iot:*'"), all);
    assert_int_equal(actions_of("'iot:Pub*'"), 1u << POLICY_PUBLISH);
    assert_int_equal(actions_of("'iot:*Publish'"),
                     1u << POLICY_PUBLISH | 1u << POLICY_RETAIN_PUBLISH);
    assert_int_equal(actions_of("'iot:Receiv?'"), 1u << POLICY_RECEIVE);
    assert_int_equal(actions_of("['iot:Connect','iot:Subscribe']"),
                     1u << POLICY_CONNECT | 1u << POLICY_SUBSCRIBE);
    assert_int_equal(actions_of("['iot:*','iot:Publis*']"), all);
    assert_int_equal(actions_of("[]"), 0);
    /* Of AWS, and nothing that Weir asks about. */
    assert_int_equal(actions_of("['greengrass:Discover','iot:DescribeJobExecution']"), 0);
    for (int i = 0; i < POLICY_ACTION_COUNT; i++) {
        char quoted[64];
        snprintf(quoted, sizeof quoted, "'%s'", policy_action_text((enum policy_action)i));
        assert_int_equal(actions_of(quoted), 1u << i);
    }
}

static void arns_that_end_early_mean_all(void **state) {
    static const char *const arns[] = {"arn:aws:*", "arn:aws:iot:*", "arn:aws:iot:eu-west-1:*",
                                       "arn:aws:*:*:*:*", "arn:aws:iot:*:*:*"};
    for (size_t i = 0; i < sizeof arns / sizeof *arns; i++) {
        char text[300];
        snprintf(text, sizeof text,
                 "{'p':{'statement':[{'effect':'Allow','action':'*','resource':'%s'}]}}", arns[i]);
        struct mqtt_policies *policies = compiled(text);
        assert_str(policies_find(policies, STR("p"))->statements[0].resources[0].code, "\xff");
        policies_unref(policies);
    }
}

static void variables_are_noted(void **state) {
    struct mqtt_policies *policies =
        compiled("{'p':{'statement':[{'effect':'Allow','action':'*',"
                 "'resource':['topic/${iot:ClientId}','topic/${iot:Connection.Thing.ThingName}'],"
                 "'condition':{'StringEquals':{'iot:ClientId':'${iot:CertificateId}'}}}]}}");
    assert_int_equal(policies_find(policies, STR("p"))->statements[0].variables,
                     1u << POLICY_CLIENT_ID | 1u << POLICY_VARIABLE_UNKNOWN |
                         1u << POLICY_CERTIFICATE_ID);
    policies_unref(policies);
}

static void no_policies_are_fine(void **state) {
    struct mqtt_policies *policies;
    assert_int_equal(policies_compile(NULL, &policies, NULL), 0);
    assert_null(policies_find(policies, STR("p")));
    policies_unref(policies_ref(policies));
    policies_unref(policies);
    policies_unref(NULL);
}

#define STATEMENT(text) "{'p':{'statement':[{" text "}]}}"
#define ALLOW           "'effect':'Allow','action':'iot:Connect'"
#define CONDITION(text) STATEMENT(ALLOW ",'resource':'*','condition':" text)

/* Each document, where the fault is in it, and a word that must be said. */
static const struct refusal {
    const char *text, *at, *word;
} refusals[] = {
    {"[]", "[]", "a map of names"},
    {"{'p':7}", "7", "a map with keys"},
    {"{'p':{}}", "{}}", "needs statement"},
    {"{'p':{'statement':[],'version':'2008-10-17'}}", "2008", "2012-10-17"},
    {"{'p':{'statemnt':[]}}", "statemnt", "unknown key \"statemnt\""},
    {"{'p':{'statement':[],'Statement':[]}}", "Statement", "a second"},
    {"{'p':{'statement':['x']}}", "x", "a map with keys"},
    {STATEMENT("'effect':'Allow','resource':'*'"), "{'effect", "effect and action"},
    {STATEMENT("'effect':'allow','action':'*','resource':'*'"), "allow", "Allow or Deny"},
    {STATEMENT(ALLOW), "{'effect", "one of them"},
    {STATEMENT(ALLOW ",'resource':'*','not_resource':'*'"), "{'effect", "one of them"},
    {STATEMENT(ALLOW ",'NotAction':'*','resource':'*'"), "NotAction", "unknown key"},
    {STATEMENT("'effect':'Allow','action':'Publish','resource':'*'"), "Publish", "iot:Publish"},
    {STATEMENT("'effect':'Allow','action':'iot:Publsh','resource':'*'"), "iot:Publsh",
     "did you mean \"iot:Publish\""},
    {STATEMENT("'effect':'Allow','action':{},'resource':'*'"), "{},", "a text is wanted"},
    {STATEMENT("'effect':'Allow','action':'iot:${iot:ClientId}','resource':'*'"), "iot:${",
     "no variables"},
    {STATEMENT(ALLOW ",'resource':[]"), "[]", "at least one"},
    {STATEMENT(ALLOW ",'resource':'sensors/a'"), "sensors", "begins with topic/"},
    {STATEMENT(ALLOW ",'resource':'topicFilter/a'"), "topicFilter", "begins with topic/"},
    {STATEMENT(ALLOW ",'resource':'topic'"), "topic'", "begins with topic/"},
    {STATEMENT(ALLOW ",'resource':''"), "'}", "begins with topic/"},
    {STATEMENT(ALLOW ",'resource':'arn:aws:iot:eu-west-1:topic/a'"), "arn:", "six parts"},
    {STATEMENT(ALLOW ",'resource':'arn:*'"), "arn:", "six parts"},
    {STATEMENT(ALLOW ",'resource':'arn:aws:s3:::bucket/*'"), "arn:", "service iot"},
    {STATEMENT(ALLOW ",'resource':'arn:aws:s3*'"), "arn:", "service iot"},
    {STATEMENT(ALLOW ",'resource':'arn:aws:iot:a:b:sensors/a'"), "arn:", "begins with topic/"},
    {STATEMENT(ALLOW ",'resource':'topic/${iot:Client}'"), "topic/${", "no such policy variable"},
    {STATEMENT(ALLOW ",'resource':'topic/${iot:ClientId'"), "topic/${", "without"},
    {CONDITION("7"), "7", "condition operators"},
    {CONDITION("{'StringEqual':{}}"), "StringEqual", "StringEquals, StringNotEquals"},
    {CONDITION("{'ForSomeValues:StringEquals':{}}"), "ForSome", "ForAnyValue:"},
    {CONDITION("{'StringEquals':7}"), "7", "a map of condition keys"},
    {CONDITION("{'StringEquals':{'iot:Client':'x'}}"), "iot:Client'", "condition key"},
    {CONDITION("{'StringLike':{'iot:ClientId':'${x}'}}"), "${x", "no such policy variable"},
    {CONDITION("{'IpAddress':{'iot:ClientId':'10.0.0.0/8'}}"), "10.", "aws:SourceIp"},
    {CONDITION("{'IpAddress':{'aws:SourceIp':'10.0.0.0/33'}}"), "10.", "an address is wanted"},
    {CONDITION("{'IpAddress':{'aws:SourceIp':'10.0.0/8'}}"), "10.", "an address is wanted"},
    {CONDITION("{'IpAddress':{'aws:SourceIp':['::/0','fd00::/129']}}"), "fd00", "an address"},
    {CONDITION("{'IpAddress':{'aws:SourceIp':'fd00::/'}}"), "fd00", "an address is wanted"},
    {CONDITION("{'Bool':{'iot:Connection.Thing.IsAttached':'yes'}}"), "yes", "true or false"},
    {CONDITION("{'Bool':{'iot:ClientId':true}}"), "true", "Bool is for"},
};

/* The column, from 1, that `at` has in the text. */
static int column_of(const char *text, const char *at) {
    const char *found = strstr(text, at);
    assert_non_null(found);
    return (int)(found - text) + 1;
}

static void refusals_say_where_and_what(void **state) {
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        const struct refusal *refusal = &refusals[i];
        struct mqtt_policies *policies;
        struct err err = {0};
        int code = compile(refusal->text, &policies, &err);
        char place[40];
        snprintf(place, sizeof place, "policy:1:%d: ", column_of(refusal->text, refusal->at));
        if (!strstr(err.text, refusal->word) || strncmp(err.text, place, strlen(place)) != 0)
            fail_msg("%s: %d: %s (wanted: %s... %s)", refusal->text, code, err.text, place,
                     refusal->word);
        assert_int_equal(code, err.code);
    }
}

/* COUNT statements, each with a resource of BYTES bytes. */
static int compile_many(unsigned count, unsigned bytes) {
    struct buf text = {0};
    buf_printf(&text, "{'p':{'statement':[");
    for (unsigned i = 0; i < count; i++)
        buf_printf(&text, "%s{'effect':'Allow','action':'*','resource':'topic/%0*d'}", i ? "," : "",
                   (int)bytes - 6, 0);
    buf_printf(&text, "]}}");
    struct mqtt_policies *policies = NULL;
    int code = compile(buf_cstr(&text), &policies, NULL);
    policies_unref(policies);
    buf_done(&text);
    return code;
}

static void policies_are_bounded(void **state) {
    assert_int_equal(compile_many(POLICY_STATEMENTS_MAX, 10), 0);
    assert_int_equal(compile_many(POLICY_STATEMENTS_MAX + 1, 10), ERR_TOO_LARGE);
    /* "Allow", "*" and the resource count, each with one byte for its end. */
    assert_int_equal(compile_many(1, POLICY_BYTES_MAX - 9), 0);
    assert_int_equal(compile_many(1, POLICY_BYTES_MAX - 8), ERR_TOO_LARGE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(both_forms_mean_the_same, tear_down),
        cmocka_unit_test_teardown(actions, tear_down),
        cmocka_unit_test_teardown(arns_that_end_early_mean_all, tear_down),
        cmocka_unit_test_teardown(variables_are_noted, tear_down),
        cmocka_unit_test_teardown(no_policies_are_fine, tear_down),
        cmocka_unit_test_teardown(refusals_say_where_and_what, tear_down),
        cmocka_unit_test_teardown(policies_are_bounded, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
