/* What is allowed: the rows of AWS's description one by one, actions and resources, order, variables,
 * conditions. */
#include "base/test.h"

#include "mqtt/policy_rig.h"

static struct arena arena;
static struct buf scratch;

static int tear_down(void **state) {
    arena_done(&arena);
    buf_done(&scratch);
    scratch = (struct buf){0};
    return 0;
}

/* Client dev-1 at 10.1.2.3 with a certificate for "boiler". */
static struct policy_request a_request(enum policy_action action, const char *resource) {
    return (struct policy_request){
        .action = action,
        .resource = str_of(resource),
        .values = {[POLICY_CLIENT_ID] = STR("dev-1"),
                   [POLICY_SOURCE_IP] = STR("10.1.2.3"),
                   [POLICY_COMMON_NAME] = STR("boiler"),
                   [POLICY_CERTIFICATE_ID] = STR("00ffee")},
    };
}

static enum policy_decision decide(const char *statements, const struct policy_request *request) {
    struct buf text = {0};
    struct err err = {0};
    struct mqtt_policies *policies;
    buf_printf(&text, "{'p':{'statement':[%s]}}", statements);
    const struct conf *conf = conf_from_text(&arena, buf_str(&text));
    assert_non_null(conf);
    if (policies_compile(conf, &policies, &err))
        fail_msg("%s: %s", buf_cstr(&text), err.text);
    enum policy_decision decision =
        policy_decide(policies_find(policies, STR("p")), request, &scratch);
    policies_unref(policies);
    buf_done(&text);
    return decision;
}

#define ALLOW(actions, resources)                                                                  \
    "{'effect':'Allow','action':[" actions "],'resource':[" resources "]}"
#define DENY(actions, resources)                                                                   \
    "{'effect':'Deny','action':[" actions "],'resource':[" resources "]}"

enum { NOT = POLICY_IMPLICIT_DENY, YES = POLICY_ALLOW, NEVER = POLICY_EXPLICIT_DENY };

static const struct row {
    const char *statements;
    enum policy_action action;
    const char *resource;
    int decision;
} rows[] = {
    /* Each action and the resource that it is about. */
    {ALLOW("'iot:Connect'", "'client/dev-1'"), POLICY_CONNECT, "client/dev-1", YES},
    {ALLOW("'iot:Connect'", "'client/dev-1'"), POLICY_CONNECT, "client/dev-2", NOT},
    {ALLOW("'iot:Publish'", "'topic/a'"), POLICY_PUBLISH, "topic/a", YES},
    {ALLOW("'iot:Publish'", "'topic/a'"), POLICY_RETAIN_PUBLISH, "topic/a", NOT},
    {ALLOW("'iot:RetainPublish'", "'topic/a'"), POLICY_RETAIN_PUBLISH, "topic/a", YES},
    {ALLOW("'iot:RetainPublish'", "'topic/a'"), POLICY_PUBLISH, "topic/a", NOT},
    {ALLOW("'iot:Subscribe'", "'topicfilter/a/+'"), POLICY_SUBSCRIBE, "topicfilter/a/+", YES},
    {ALLOW("'iot:Receive'", "'topic/a'"), POLICY_RECEIVE, "topic/a", YES},
    {ALLOW("'iot:Publish'", "'topic/a'"), POLICY_RECEIVE, "topic/a", NOT},
    {ALLOW("'iot:GetThingShadow'", "'thing/t/*'"), POLICY_GET_THING_SHADOW, "thing/t/s", YES},
    {ALLOW("'iot:ListRetainedMessages'", "'*'"), POLICY_LIST_RETAINED_MESSAGES, "*", YES},
    {ALLOW("'iot:DeleteConnection'", "'client/*'"), POLICY_DELETE_CONNECTION, "client/x", YES},
    {ALLOW("'iot:AssumeRoleWithCertificate'", "'rolealias/r'"), POLICY_ASSUME_ROLE, "rolealias/r",
     YES},
    /* Topics and topic filters are not the same: mixing them up denies. */
    {ALLOW("'iot:Publish'", "'topicfilter/a'"), POLICY_PUBLISH, "topic/a", NOT},
    {ALLOW("'iot:Subscribe'", "'topic/a'"), POLICY_SUBSCRIBE, "topicfilter/a", NOT},
    /* Order: nothing, an Allow, a Deny wherever it stands. */
    {"", POLICY_PUBLISH, "topic/a", NOT},
    {DENY("'*'", "'topic/b'"), POLICY_PUBLISH, "topic/a", NOT},
    {DENY("'*'", "'*'"), POLICY_PUBLISH, "topic/a", NEVER},
    {ALLOW("'*'", "'*'") "," DENY("'iot:Publish'", "'topic/a'"), POLICY_PUBLISH, "topic/a", NEVER},
    {DENY("'iot:Publish'", "'topic/a'") "," ALLOW("'*'", "'*'"), POLICY_PUBLISH, "topic/a", NEVER},
    {DENY("'iot:Publish'", "'topic/a'") "," ALLOW("'*'", "'*'"), POLICY_PUBLISH, "topic/b", YES},
    {ALLOW("'iot:Publish'", "'topic/a'") "," ALLOW("'iot:Publish'", "'topic/b'"), POLICY_PUBLISH,
     "topic/b", YES},
    /* A Deny on what lies below a filter does not stop the filter; one on Receive does. */
    {ALLOW("'*'", "'*'") "," DENY("'iot:Subscribe'", "'topicfilter/a/secret/*'"), POLICY_SUBSCRIBE,
     "topicfilter/a/#", YES},
    {ALLOW("'*'", "'*'") "," DENY("'iot:Receive'", "'topic/a/secret/*'"), POLICY_RECEIVE,
     "topic/a/secret/x", NEVER},
    /* Wildcards cross levels; those of MQTT are literal. */
    {ALLOW("'iot:Publish'", "'topic/a/*'"), POLICY_PUBLISH, "topic/a/b/c", YES},
    {ALLOW("'iot:Publish'", "'topic/a/?'"), POLICY_PUBLISH, "topic/a/b", YES},
    {ALLOW("'iot:Publish'", "'topic/a/+'"), POLICY_PUBLISH, "topic/a/b", NOT},
    {ALLOW("'iot:Subscribe'", "'topicfilter/a/+/c'"), POLICY_SUBSCRIBE, "topicfilter/a/b/c", NOT},
    {ALLOW("'iot:Subscribe'", "'topicfilter/a/*'"), POLICY_SUBSCRIBE, "topicfilter/a/#", YES},
    /* ARNs. */
    {ALLOW("'iot:Publish'", "'arn:aws:iot:us-east-1:1:topic/a'"), POLICY_PUBLISH, "topic/a", YES},
    {ALLOW("'iot:Publish'", "'arn:aws:iot:us-east-1:1:topic/a:b'"), POLICY_PUBLISH, "topic/a:b",
     YES},
    {ALLOW("'iot:Publish'", "'arn:aws:iot:us-east-1:1:topic/${iot:ClientId}'"), POLICY_PUBLISH,
     "topic/dev-1", YES},
    /* NotResource. */
    {"{'effect':'Allow','action':'iot:Publish','not_resource':['topic/a','topic/b']}",
     POLICY_PUBLISH, "topic/c", YES},
    {"{'effect':'Allow','action':'iot:Publish','NotResource':['topic/a','topic/b']}",
     POLICY_PUBLISH, "topic/b", NOT},
    {ALLOW("'*'", "'*'") ",{'effect':'Deny','action':'iot:Publish','not_resource':'topic/a'}",
     POLICY_PUBLISH, "topic/b", NEVER},
    /* Variables that Weir has. */
    {ALLOW("'iot:Publish'", "'topic/${iot:ClientId}/*'"), POLICY_PUBLISH, "topic/dev-1/x", YES},
    {ALLOW("'iot:Publish'", "'topic/${iot:ClientId}/*'"), POLICY_PUBLISH, "topic/dev-10/x", NOT},
    {ALLOW("'iot:Publish'", "'topic/${aws:SourceIp}'"), POLICY_PUBLISH, "topic/10.1.2.3", YES},
    {ALLOW("'iot:Publish'", "'topic/${iot:Certificate.Subject.CommonName}'"), POLICY_PUBLISH,
     "topic/boiler", YES},
    {ALLOW("'iot:Publish'", "'topic/${iot:CertificateId}'"), POLICY_PUBLISH, "topic/00ffee", YES},
    {ALLOW("'iot:Publish'", "'topic/${*}${?}${$}'"), POLICY_PUBLISH, "topic/*?$", YES},
    {ALLOW("'iot:Publish'", "'topic/${*}'"), POLICY_PUBLISH, "topic/x", NOT},
    /* One that is not replaced: the statement does not match, neither to allow nor to deny. */
    {ALLOW("'iot:Publish'", "'topic/${iot:Connection.Thing.ThingName}'"), POLICY_PUBLISH,
     "topic/dev-1", NOT},
    {ALLOW("'iot:Publish'", "'topic/a','topic/${iot:Certificate.Issuer.CommonName}'"),
     POLICY_PUBLISH, "topic/a", NOT},
    {ALLOW("'*'", "'*'") "," DENY("'iot:Publish'", "'topic/${iot:Connection.Thing.ThingName}'"),
     POLICY_PUBLISH, "topic/${iot:Connection.Thing.ThingName}", YES},
    {"{'effect':'Allow','action':'iot:Publish','not_resource':'topic/${iot:DomainName}'}",
     POLICY_PUBLISH, "topic/a", NOT},
};

static void each_row(void **state) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct policy_request request = a_request(rows[i].action, rows[i].resource);
        int decision = (int)decide(rows[i].statements, &request);
        if (decision != rows[i].decision)
            fail_msg("%s: %s on %s: %d", rows[i].statements, policy_action_text(rows[i].action),
                     rows[i].resource, decision);
    }
}

static void some_client_ids_replace_nothing(void **state) {
    static const char *const ids[] = {"*", "a$b", "a+", "?", "#", ""};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        char resource[32];
        snprintf(resource, sizeof resource, "client/%s", ids[i]);
        struct policy_request request = a_request(POLICY_CONNECT, resource);
        request.values[POLICY_CLIENT_ID] = str_of(ids[i]);
        assert_int_equal(decide(ALLOW("'iot:Connect'", "'client/${iot:ClientId}'"), &request), NOT);
        assert_int_equal(decide(ALLOW("'iot:Connect'", "'client/*'"), &request), YES);
    }
}

#define IF(condition)                                                                              \
    "{'effect':'Allow','action':['iot:Connect','iot:Publish'],'resource':'*','condition':"         \
    "{" condition "}}"

enum { NONE = 0, PERSISTENT = POLICY_PERSISTENT_CONNECT, WILL = POLICY_LAST_WILL };

#define ATTRIBUTES(comparison, values) IF("'" comparison "':{'iot:ConnectAttributes':[" values "]}")

/* Connects of each kind: bits 0 to 3 say which are allowed of none, persistent, will, both. */
static const struct attributes_row {
    const char *statement;
    unsigned allowed;
} attributes_rows[] = {
    {ALLOW("'iot:Connect'", "'*'"), 0xf},
    {ATTRIBUTES("ForAllValues:StringEquals", ""), 0x1},
    {ATTRIBUTES("ForAllValues:StringEquals", "'PersistentConnect'"), 0x3},
    {ATTRIBUTES("ForAllValues:StringEquals", "'LastWill'"), 0x5},
    {ATTRIBUTES("ForAllValues:StringEquals", "'LastWill','PersistentConnect'"), 0xf},
    {ATTRIBUTES("ForAllValues:StringLike", "'Last*'"), 0x5},
    {ATTRIBUTES("ForAllValues:StringEquals", "'Last*'"), 0x1},
    {ATTRIBUTES("ForAnyValue:StringEquals", ""), 0x0},
    {ATTRIBUTES("ForAnyValue:StringEquals", "'PersistentConnect'"), 0xa},
    {ATTRIBUTES("ForAnyValue:StringEquals", "'LastWill'"), 0xc},
    {ATTRIBUTES("StringEquals", "'LastWill'"), 0xc},
    {ATTRIBUTES("StringNotEquals", "'LastWill'"), 0xb},
    {ATTRIBUTES("ForAllValues:StringNotEquals", "'LastWill'"), 0x3},
    /* The typical one: everything, but no persistent session. */
    {ALLOW("'*'",
           "'*'") ",{'effect':'Deny','action':'iot:Connect','resource':'*','condition':"
                  "{'ForAnyValue:StringEquals':{'iot:ConnectAttributes':['PersistentConnect']}}}",
     0x5},
};

static void connect_attributes(void **state) {
    static const uint8_t kinds[] = {NONE, PERSISTENT, WILL, PERSISTENT | WILL};
    for (size_t i = 0; i < sizeof attributes_rows / sizeof *attributes_rows; i++) {
        unsigned allowed = 0;
        for (unsigned k = 0; k < 4; k++) {
            struct policy_request request = a_request(POLICY_CONNECT, "client/dev-1");
            request.connect_attributes = kinds[k];
            allowed |= (decide(attributes_rows[i].statement, &request) == POLICY_ALLOW) << k;
        }
        if (allowed != attributes_rows[i].allowed)
            fail_msg("%s: 0x%x", attributes_rows[i].statement, allowed);
    }
}

/* A PUBLISH has no attributes: nothing is compared. */
static void other_requests_have_no_attributes(void **state) {
    struct policy_request request = a_request(POLICY_PUBLISH, "topic/a");
    request.connect_attributes = PERSISTENT;
    assert_int_equal(decide(ATTRIBUTES("ForAllValues:StringEquals", ""), &request), YES);
    assert_int_equal(decide(ATTRIBUTES("ForAnyValue:StringLike", "'*'"), &request), NOT);
    assert_int_equal(decide(ATTRIBUTES("StringLike", "'*'"), &request), NOT);
}

static const struct condition_row {
    const char *condition, *source_ip;
    int decision;
} condition_rows[] = {
    {"'StringEquals':{'iot:ClientId':'dev-1'}", NULL, YES},
    {"'StringEquals':{'iot:ClientId':['x','dev-1']}", NULL, YES},
    {"'StringEquals':{'iot:ClientId':'dev-*'}", NULL, NOT},
    {"'StringEquals':{'iot:ClientId':'DEV-1'}", NULL, NOT},
    {"'StringLike':{'iot:ClientId':'dev-?'}", NULL, YES},
    {"'StringLike':{'iot:ClientId':['x*','*-2']}", NULL, NOT},
    {"'StringNotEquals':{'iot:ClientId':['a','b']}", NULL, YES},
    {"'StringNotEquals':{'iot:ClientId':['a','dev-1']}", NULL, NOT},
    {"'StringNotLike':{'iot:ClientId':'dev*'}", NULL, NOT},
    {"'StringEquals':{'iot:ClientId':[]}", NULL, NOT},
    {"'StringEquals':{'iot:Certificate.Subject.CommonName':'boiler'}", NULL, YES},
    {"'StringEquals':{'iot:CertificateId':'00ffee'}", NULL, YES},
    /* All operators, and all keys of each. */
    {"'StringEquals':{'iot:ClientId':'dev-1'},'StringLike':{'iot:CertificateId':'1*'}", NULL, NOT},
    {"'StringEquals':{'iot:ClientId':'dev-1','iot:CertificateId':'00ffee'}", NULL, YES},
    {"'StringEquals':{'iot:ClientId':'dev-1','iot:CertificateId':'1'}", NULL, NOT},
    /* Variables in values. */
    {"'StringLike':{'iot:ClientId':'${iot:ClientId}*'}", NULL, YES},
    {"'StringEquals':{'iot:ClientId':'${iot:CertificateId}'}", NULL, NOT},
    {"'StringNotEquals':{'iot:ClientId':'${iot:Connection.Thing.ThingName}'}", NULL, NOT},
    /* Keys that the request has not. */
    {"'StringEquals':{'iot:Connection.Thing.ThingTypeName':'x'}", NULL, NOT},
    {"'StringNotEquals':{'iot:Connection.Thing.ThingTypeName':'x'}", NULL, YES},
    {"'ForAllValues:StringEquals':{'iot:Certificate.Subject.Country.List':['DE']}", NULL, YES},
    {"'ForAnyValue:StringEquals':{'iot:Certificate.Subject.Country.List':['DE']}", NULL, NOT},
    {"'Bool':{'iot:Connection.Thing.IsAttached':'true'}", NULL, NOT},
    {"'Bool':{'iot:Connection.Thing.IsAttached':false}", NULL, YES},
    /* Addresses. */
    {"'IpAddress':{'aws:SourceIp':'10.1.2.3'}", "10.1.2.3", YES},
    {"'IpAddress':{'aws:SourceIp':'10.0.0.0/8'}", "10.1.2.3", YES},
    {"'IpAddress':{'aws:SourceIp':'10.0.0.0/8'}", "11.1.2.3", NOT},
    {"'IpAddress':{'aws:SourceIp':'10.1.2.0/23'}", "10.1.3.255", YES},
    {"'IpAddress':{'aws:SourceIp':'10.1.2.0/23'}", "10.1.4.0", NOT},
    {"'IpAddress':{'aws:SourceIp':['192.168.0.0/16','10.1.2.3/32']}", "10.1.2.3", YES},
    {"'IpAddress':{'aws:SourceIp':'0.0.0.0/0'}", "203.0.113.9", YES},
    {"'IpAddress':{'aws:SourceIp':'0.0.0.0/0'}", "fd00::1", NOT},
    {"'IpAddress':{'aws:SourceIp':'10.0.0.0/8'}", "::ffff:10.1.2.3", YES},
    {"'IpAddress':{'aws:SourceIp':'fd00:1::/32'}", "fd00:1:2::3", YES},
    {"'IpAddress':{'aws:SourceIp':'fd00:1::/32'}", "fd00:2::3", NOT},
    {"'IpAddress':{'aws:SourceIp':'::/0'}", "fd00:2::3", YES},
    {"'NotIpAddress':{'aws:SourceIp':'10.0.0.0/8'}", "10.1.2.3", NOT},
    {"'NotIpAddress':{'aws:SourceIp':'10.0.0.0/8'}", "192.0.2.1", YES},
    {"'StringLike':{'aws:SourceIp':'10.*'}", "10.1.2.3", YES},
};

static void conditions(void **state) {
    for (size_t i = 0; i < sizeof condition_rows / sizeof *condition_rows; i++) {
        const struct condition_row *row = &condition_rows[i];
        char statement[512];
        snprintf(statement, sizeof statement, IF("%s"), row->condition);
        struct policy_request request = a_request(POLICY_PUBLISH, "topic/a");
        if (row->source_ip)
            request.values[POLICY_SOURCE_IP] = str_of(row->source_ip);
        int decision = (int)decide(statement, &request);
        if (decision != row->decision)
            fail_msg("%s at %s: %d", row->condition, row->source_ip, decision);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(each_row, tear_down),
        cmocka_unit_test_teardown(some_client_ids_replace_nothing, tear_down),
        cmocka_unit_test_teardown(connect_attributes, tear_down),
        cmocka_unit_test_teardown(other_requests_have_no_attributes, tear_down),
        cmocka_unit_test_teardown(conditions, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
