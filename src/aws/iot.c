/* The table of operations, and what is no rule: DescribeEndpoint. */
#include "aws/iot.h"

#include <stdlib.h>

#include "aws/iot_internal.h"
#include "base/clock.h"
#include "base/json_write.h"
#include "base/mem.h"

static void describe_endpoint(struct rest_call *call);

static const struct rest_route routes[] = {
    {"POST", "/rules/{ruleName}", iot_create_rule, "iot:CreateTopicRule", "rule/0"},
    {"GET", "/rules/{ruleName}", iot_get_rule, "iot:GetTopicRule", "rule/0"},
    {"GET", "/rules", iot_list_rules, "iot:ListTopicRules", NULL},
    {"PATCH", "/rules/{ruleName}", iot_replace_rule, "iot:ReplaceTopicRule", "rule/0"},
    {"DELETE", "/rules/{ruleName}", iot_delete_rule, "iot:DeleteTopicRule", "rule/0"},
    {"POST", "/rules/{ruleName}/enable", iot_enable_rule, "iot:EnableTopicRule", "rule/0"},
    {"POST", "/rules/{ruleName}/disable", iot_disable_rule, "iot:DisableTopicRule", "rule/0"},
    {"POST", "/tags", iot_tag, "iot:TagResource", NULL},
    {"POST", "/untag", iot_untag, "iot:UntagResource", NULL},
    {"GET", "/tags", iot_list_tags, "iot:ListTagsForResource", NULL},
    {"GET", "/endpoint", describe_endpoint, "iot:DescribeEndpoint", NULL},
    {"POST", "/v1/rules:test", iot_test_rule, "weir:TestRule", NULL},
    {"GET", "/v1/rules/{ruleName}", iot_show_rule, "iot:GetTopicRule", "rule/0"},
    {"GET", "/v1/rules/{ruleName}/trace", iot_trace_rule, "weir:TraceRule", "rule/0"},
    {0}};

struct iot *iot_new(const struct iot_config *config) {
    struct iot *iot = xcalloc(1, sizeof *iot);
    iot->config = *config;
    iot->started_ms = clock_wall_ms();
    iot->service = (struct rest_service){
        .signing_name = "iot execute-api weir", .routes = routes, .data = iot};
    return iot;
}

void iot_free(struct iot *iot) {
    free(iot);
}

const struct rest_service *iot_service(const struct iot *iot) {
    return &iot->service;
}

void iot_set_endpoint(struct iot *iot, unsigned port) {
    iot->endpoint_port = port;
}

void iot_add_rule_arn(const struct iot *iot, struct buf *out, struct str name) {
    buf_printf(out, "arn:aws:iot:%s:%s:rule/%.*s", iot->config.region, iot->config.account,
               STR_ARG(name));
}

/* The name under which the client came here: behind it the broker is to be found as well. */
static struct str host_of(const struct rest_call *call) {
    struct str host = http_header(call->request, "Host"), rest;
    if (host.len && host.at[0] == '[')
        return str_from(host.at, str_find(host, ']') + (str_find(host, ']') < host.len));
    return str_cut(host, ':', &rest);
}

/* AWS names a host and everybody knows the port; ours is told as well. */
static void describe_endpoint(struct rest_call *call) {
    static const char *const known[] = {"iot:Data-ATS", "iot:Data", "iot:Data-Beta", "iot:Jobs"};
    const struct iot *iot = iot_of(call);
    struct str type = STR("iot:Data");
    rest_query(call, "endpointType", &type);
    bool is_known = false;
    for (size_t i = 0; i < COUNT_OF(known); i++)
        is_known = is_known || str_eq(type, str_of(known[i]));
    if (!is_known || !iot->endpoint_port) {
        rest_fail(call, 400, "InvalidRequestException", "There is no endpoint of type %.*s here",
                  STR_ARG(type));
        return;
    }
    struct buf address = {0};
    struct str host = host_of(call);
    buf_printf(&address, "%.*s:%u", STR_ARG(host.len ? host : STR("localhost")),
               iot->endpoint_port);
    buf_add_u8(&call->output, '{');
    json_write_text(&call->output, "endpointAddress", buf_str(&address));
    buf_add_u8(&call->output, '}');
    buf_done(&address);
    rest_answer(call, 200);
}

/* ---- what all changes share ---- */

void iot_fail_book(struct rest_call *call, int code, const struct err *err) {
    struct str name = call->labels[0];
    switch (code) {
    case ERR_NOT_FOUND: /* so AWS says it: whether there is such a rule is nobody's business */
        rest_fail(call, 401, "UnauthorizedException", "Access to topic rule '%.*s' was denied",
                  STR_ARG(name));
        break;
    case ERR_EXISTS:
        rest_fail(call, 409, "ResourceAlreadyExistsException", "%s", err->text);
        break;
    case ERR_FULL:
        rest_fail(call, 410, "LimitExceededException", "%s", err->text);
        break;
    case ERR_INVALID:
    case ERR_UNSUPPORTED:
    case ERR_DENIED:
    case ERR_REFUSED:
        rest_fail(call, 400, "InvalidRequestException", "%s", err->text);
        break;
    default:
        rest_fail(call, 500, "InternalException", "%s", err->text);
    }
}

bool iot_may_change(struct rest_call *call) {
    const struct iot_host *host = &iot_of(call)->config.host;
    if (!host->is_frozen(host->data))
        return true;
    rest_fail(call, 409, "ConflictingResourceUpdateException",
              "The configuration is being read anew; try again");
    return false;
}
