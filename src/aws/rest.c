/*
 * Requests that go by method and path: who asks (SigV4, with the signing name of the service that
 * has the path), then the route's handler. Errors are those of AWS's REST-JSON services: the type in
 * x-amzn-ErrorType, the text in "message".
 *
 * That nobody has a path is told to whoever asks: there is no service whose name the signature could
 * be made for.
 */
#include <string.h>

#include "aws/authorize.h"
#include "aws/server.h"
#include "base/clock.h"

bool aws_is_rest(const struct http_request *request) {
    return !str_eq(request->path, STR("/")) && !http_header(request, "X-Amz-Target").len;
}

static void respond(struct rest_call *call, int status, const char *content_type, const char *error,
                    struct str body) {
    aws_respond_as(call->host_data, call->request, str_from(call->id, sizeof call->id), status,
                   content_type, error, body);
}

static void ended(struct rest_call *call) {
    aws_part_end(call->host_data);
}

static const struct aws_credential *credential_of(const struct rest_call *call) {
    const struct aws *aws = call->host_data;
    const struct option_items *credentials = aws->services.credentials;
    for (size_t i = 0; call->caller && i < credentials->count; i++) {
        const struct aws_credential *one = OPTION_AT(*credentials, struct aws_credential, i);
        if (strcmp(one->access_key_id, call->caller) == 0)
            return one;
    }
    return NULL;
}

/* arn:aws:SERVICE:REGION:ACCOUNT:TAIL, the digit of the tail being a label of the path. A tail that
 * is nothing but a digit: the label is an ARN. */
static void add_resource(struct buf *out, const struct rest_call *call, struct str service) {
    const struct aws *aws = call->host_data;
    const char *tail = call->route->resource;
    if (!tail) {
        buf_add_str(out, STR("*"));
        return;
    }
    if (tail[0] && tail[1])
        buf_printf(out, "arn:aws:%.*s:%s:%s:", STR_ARG(service), aws->config->region,
                   aws->config->account);
    for (; *tail; tail++) {
        if (*tail >= '0' && *tail < '0' + REST_LABELS_MAX)
            buf_add_str(out, call->labels[*tail - '0']);
        else
            buf_add_u8(out, (uint8_t)*tail);
    }
}

static bool is_allowed(struct rest_call *call) {
    struct aws *aws = call->host_data;
    struct str rest, service = str_cut(str_of(call->service->signing_name), ' ', &rest);
    struct buf action = {0}, resource = {0}, text = {0};
    if (call->route->action) {
        service = str_cut(str_of(call->route->action), ':', &rest);
        buf_add_str(&action, str_of(call->route->action));
    } else {
        buf_printf(&action, "%.*s:*", STR_ARG(service));
    }
    add_resource(&resource, call, service);
    bool allowed = aws_is_allowed(aws->config, credential_of(call), buf_str(&action),
                                  buf_str(&resource), &text);
    if (!allowed)
        rest_fail(call, 403, "AccessDeniedException", "%.*s", STR_ARG(buf_str(&text)));
    buf_done(&action);
    buf_done(&resource);
    buf_done(&text);
    return allowed;
}

static const struct rest_host host = {.respond = respond, .is_allowed = is_allowed, .ended = ended};

/* Statuses as the services give them: IAM user guide, "Common errors". */
static int status_of(const char *type) {
    return strcmp(type, "IncompleteSignatureException") == 0 ? 400 : 403;
}

static bool is_signed(struct rest_call *call) {
    struct aws *aws = call->host_data;
    const struct aws_credential *credential;
    struct aws_refusal first = {0}, refusal;
    if (aws->config->auth == AWS_AUTH_OPEN)
        return true;
    for (struct str rest = str_of(call->service->signing_name); rest.len;) {
        aws->rest_verifier.service = str_cut(rest, ' ', &rest);
        if (!aws_verify(&aws->rest_verifier, call->request, clock_wall_ms(), &credential,
                        first.type ? &refusal : &first)) {
            call->caller = credential->access_key_id;
            return true;
        }
    }
    rest_fail(call, status_of(first.type), first.type, "%s", first.text);
    return false;
}

void aws_rest_run(struct aws *aws, struct http_request *request) {
    struct rest_match match;
    rest_find(aws->services.rest, aws->services.rest_count, request->method, request->path, &match);
    struct rest_call *call = rest_begin(request, &match, &host, aws);
    aws_part_begin(aws);
    if (!call->service || is_signed(call))
        rest_run(call);
}
