/*
 * The operations on topic rule destinations (AWS IoT API reference): CreateTopicRuleDestination,
 * GetTopicRuleDestination, ListTopicRuleDestinations, UpdateTopicRuleDestination,
 * DeleteTopicRuleDestination, ConfirmTopicRuleDestination. None of them knows
 * ResourceNotFoundException: as with rules, what is not there is UnauthorizedException (401). A
 * deletion is over when it is answered, so nobody sees DELETING.
 */
#include "action/destination.h"
#include "base/base64.h"
#include "base/json_write.h"

enum { PAGE_DEFAULT = 100, PAGE_MAX = 1000 };

static struct destinations *destinations_of(const struct rest_call *call) {
    return call->service->data;
}

/* ---- failing ---- */

static void fail_absent(struct rest_call *call, struct str arn) {
    rest_fail(call, 401, "UnauthorizedException",
              "Access to topic rule destination '%.*s' was denied", STR_ARG(arn));
}

static void fail(struct rest_call *call, int code, const struct err *err) {
    switch (code) {
    case ERR_INVALID:
    case ERR_REFUSED:
        rest_fail(call, 400, "InvalidRequestException", "%s", err->text);
        break;
    case ERR_EXISTS:
        rest_fail(call, 409, "ResourceAlreadyExistsException", "%s", err->text);
        break;
    case ERR_FULL:
        rest_fail(call, 410, "LimitExceededException", "%s", err->text);
        break;
    default:
        rest_fail(call, 500, "InternalException", "%s", err->text);
    }
}

/* ---- writing ---- */

/* Seconds, with a fraction. */
static void write_time(struct buf *out, const char *key, uint64_t ms) {
    json_write_key(out, key);
    buf_printf(out, "%llu.%03u", (unsigned long long)(ms / 1000), (unsigned)(ms % 1000));
}

/* `properties`: "httpUrlProperties" of one, "httpUrlSummary" in a list. */
static void write_destination(struct buf *out, const struct destination *destination,
                              const char *properties) {
    struct buf text = {0};
    buf_add_u8(out, '{');
    destination_arn(destination, &text);
    json_write_text(out, "arn", buf_str(&text));
    json_write_text(out, "status",
                    str_of(destination_status_names[destination_status(destination)]));
    write_time(out, "createdAt", destination->created_ms);
    write_time(out, "lastUpdatedAt", destination->updated_ms);
    buf_clear(&text);
    destination_reason(destination, &text);
    if (buf_len(&text))
        json_write_text(out, "statusReason", buf_str(&text));
    json_write_key(out, properties);
    buf_add_u8(out, '{');
    json_write_text(out, "confirmationUrl", str_of(destination->url));
    buf_add(out, "}}", 2);
    buf_done(&text);
}

static void answer_one(struct rest_call *call, const struct destination *destination) {
    buf_add_u8(&call->output, '{');
    json_write_key(&call->output, "topicRuleDestination");
    write_destination(&call->output, destination, "httpUrlProperties");
    buf_add_u8(&call->output, '}');
    rest_answer(call, 200);
}

/* ---- operations ---- */

static void create(struct rest_call *call) {
    struct json_value root;
    struct destination *destination;
    struct err err = {0};
    if (!rest_read_json(call, &root))
        return;
    struct json_value wanted = json_member(root, STR("destinationConfiguration"));
    struct json_value http = json_member(wanted, STR("httpUrlConfiguration"));
    if (json_type(json_member(wanted, STR("vpcConfiguration"))) == JSON_OBJECT) {
        rest_fail(call, 400, "InvalidRequestException",
                  "vpcConfiguration: there are no VPCs here; a kafka action names its brokers in "
                  "clientProperties and needs no destination");
        return;
    }
    if (json_type(http) != JSON_OBJECT) {
        rest_fail(call, 400, "InvalidRequestException",
                  "destinationConfiguration: httpUrlConfiguration is wanted");
        return;
    }
    struct str url = json_str(json_member(http, STR("confirmationUrl")), &call->arena);
    int code = destination_add(destinations_of(call), url, NULL, &destination, &err);
    if (code)
        fail(call, code, &err);
    else
        answer_one(call, destination);
}

static void get(struct rest_call *call) {
    const struct destination *destination =
        destination_of_arn(destinations_of(call), call->labels[0]);
    if (destination)
        answer_one(call, destination);
    else
        fail_absent(call, call->labels[0]);
}

/* The token is the UUID that the next page begins with. */
static void list(struct rest_call *call) {
    const struct destinations *destinations = destinations_of(call);
    struct buf *out = &call->output, begin = {0};
    struct str token = {0};
    uint64_t page;
    rest_query(call, "nextToken", &token);
    if (!rest_query_number(call, "maxResults", 1, PAGE_MAX, PAGE_DEFAULT, &page))
        return;
    if (!base64_read(&begin, token)) {
        buf_done(&begin);
        rest_fail(call, 400, "InvalidRequestException", "Invalid nextToken");
        return;
    }
    size_t at = destination_position(destinations, buf_str(&begin));
    buf_add_str(out, STR("{\"destinationSummaries\":["));
    for (; at < destinations->count && page; at++, page--) {
        json_write_comma(out);
        write_destination(out, destinations->items[at], "httpUrlSummary");
    }
    buf_add_u8(out, ']');
    if (at < destinations->count) {
        json_write_key(out, "nextToken");
        buf_add_u8(out, '"');
        base64_write(out, str_of(destinations->items[at]->uuid));
        buf_add_u8(out, '"');
    }
    buf_add_u8(out, '}');
    buf_done(&begin);
    rest_answer(call, 200);
}

static bool read_status(struct rest_call *call, struct str text,
                        enum destination_status *ret_status) {
    for (unsigned i = 0; destination_status_names[i]; i++)
        if (str_eq(text, str_of(destination_status_names[i]))) {
            *ret_status = (enum destination_status)i;
            return true;
        }
    rest_fail(call, 400, "InvalidRequestException",
              "status: one of IN_PROGRESS, ENABLED and DISABLED is wanted, not \"%.*s\"",
              STR_ARG(text));
    return false;
}

static void update(struct rest_call *call) {
    struct json_value root;
    enum destination_status status;
    struct err err = {0};
    if (!rest_read_json(call, &root))
        return;
    struct str arn = json_str(json_member(root, STR("arn")), &call->arena);
    struct str text = json_str(json_member(root, STR("status")), &call->arena);
    struct destination *destination = destination_of_arn(destinations_of(call), arn);
    if (!destination) {
        fail_absent(call, arn);
        return;
    }
    if (!read_status(call, text, &status))
        return;
    int code = destination_set(destination, status, &err);
    if (code)
        fail(call, code, &err);
    else
        rest_answer(call, 200);
}

static void delete (struct rest_call *call) {
    struct err err = {0};
    struct destination *destination = destination_of_arn(destinations_of(call), call->labels[0]);
    if (!destination) {
        fail_absent(call, call->labels[0]);
        return;
    }
    int code = destination_delete(destination, &err);
    if (code)
        fail(call, code, &err);
    else
        rest_answer(call, 200);
}

static void confirm(struct rest_call *call) {
    int code = action_destinations_confirm(destinations_of(call), call->labels[0]);
    if (code == ERR_NOT_FOUND)
        rest_fail(call, 400, "InvalidRequestException",
                  "The confirmation token is none, or its time has passed");
    else if (code)
        rest_fail(call, 500, "InternalException", "The confirmation cannot be kept");
    else
        rest_answer(call, 200);
}

const struct rest_route destination_routes[] = {
    {"POST", "/destinations", create, "iot:CreateTopicRuleDestination", NULL},
    {"GET", "/destinations", list, "iot:ListTopicRuleDestinations", NULL},
    {"PATCH", "/destinations", update, "iot:UpdateTopicRuleDestination", NULL},
    {"GET", "/destinations/{arn+}", get, "iot:GetTopicRuleDestination", "0"},
    {"DELETE", "/destinations/{arn+}", delete, "iot:DeleteTopicRuleDestination", "0"},
    {"GET", "/confirmdestination/{confirmationToken+}", confirm, "iot:ConfirmTopicRuleDestination",
     NULL},
    {0}};
