/* A call's end: answer, error, or nothing because the client is gone; and what handlers ask of it. */
#include "aws/call.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "aws/server.h"
#include "base/base64.h"
#include "base/log.h"
#include "base/random.h"

const char *aws_content_type(bool cbor) {
    return cbor ? "application/x-amz-cbor-1.1" : "application/x-amz-json-1.1";
}

/* ---- answers ---- */

enum { EXTRA_MAX = 5 };

/* x-amzn-RequestId and x-amz-id-2, as each answer of AWS has them, and what lets a page read them. `id_2`
 * must stay as long as the headers. */
static size_t write_extra(const struct http_request *request, struct str id, const char *error,
                          struct buf *id_2, struct http_header extra[EXTRA_MAX]) {
    enum { ID_2_BYTES = 72 };
    uint8_t noise[ID_2_BYTES];
    size_t count = 0;
    random_bytes(noise, sizeof noise);
    base64_write(id_2, str_from(noise, sizeof noise));
    extra[count++] = (struct http_header){STR("x-amzn-RequestId"), id};
    extra[count++] = (struct http_header){STR("x-amz-id-2"), buf_str(id_2)};
    if (error)
        extra[count++] = (struct http_header){STR("x-amzn-ErrorType"), str_of(error)};
    if (http_header(request, "Origin").len) {
        extra[count++] = (struct http_header){STR("Access-Control-Allow-Origin"), STR("*")};
        extra[count++] = (struct http_header){
            STR("Access-Control-Expose-Headers"),
            STR("x-amzn-RequestId,x-amzn-ErrorType,x-amz-request-id,x-amz-id-2,x-amzn-ErrorMessage,"
                "Date")};
    }
    return count;
}

void aws_respond_as(struct aws *aws, struct http_request *request, struct str id, int status,
                    const char *content_type, const char *error, struct str body) {
    struct buf id_2 = {0};
    struct http_header extra[EXTRA_MAX];
    size_t count = write_extra(request, id, error, &id_2, extra);
    metric_add(&aws->requests, 1);
    if (status >= 400)
        metric_add(&aws->errors, 1);
    http_respond(request, status, content_type, body, extra, count);
    buf_done(&id_2);
}

void aws_respond(struct aws *aws, struct http_request *request, int status,
                 const char *content_type, struct str body) {
    char uuid[UUID_CHARS];
    random_uuid(uuid);
    aws_respond_as(aws, request, str_from(uuid, sizeof uuid), status, content_type, NULL, body);
}

void aws_respond_begin(struct aws *aws, struct http_request *request, const char *content_type) {
    char uuid[UUID_CHARS];
    struct buf id_2 = {0};
    struct http_header extra[EXTRA_MAX];
    random_uuid(uuid);
    size_t count = write_extra(request, str_from(uuid, sizeof uuid), NULL, &id_2, extra);
    metric_add(&aws->requests, 1);
    http_respond_begin(request, 200, content_type, extra, count);
    buf_done(&id_2);
}

void aws_respond_error(struct aws *aws, struct http_request *request, bool cbor, int status,
                       const char *type, struct str message) {
    struct aws_output output = {.cbor = cbor};
    aws_map_begin(&output);
    aws_member_string(&output, "__type", str_of(type));
    if (message.len)
        aws_member_string(&output, "message", message);
    aws_map_end(&output);
    aws_respond(aws, request, status, aws_content_type(cbor), buf_str(&output.buf));
    aws_output_done(&output);
}

static void respond(struct call *call, int status, struct str body) {
    struct http_request *request = call_take_request(call);
    if (request)
        aws_respond(call->aws, request, status, aws_content_type(call->output.cbor), body);
    call_end(call);
}

void call_answer(struct call *call) {
    respond(call, 200, buf_str(&call->output.buf));
}

void call_answer_empty(struct call *call) {
    respond(call, 200, (struct str){0});
}

static bool is_server_fault(const char *type) {
    return strcmp(type, "InternalFailure") == 0;
}

static void fail(struct call *call, const char *type, struct str message) {
    struct http_request *request = call_take_request(call);
    if (request)
        aws_respond_error(call->aws, request, call->output.cbor, is_server_fault(type) ? 500 : 400,
                          type, message);
    call_end(call);
}

void call_fail(struct call *call, const char *type, const char *format, ...) {
    struct buf text = {0};
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    fail(call, type, buf_str(&text));
    buf_done(&text);
}

void call_fail_code(struct call *call, int code, const struct err *err) {
    const char *text = err && err->text[0] ? err->text : err_text(code);
    log_error("aws", "%s: %s", call->operation->name, text);
    call_fail(call, "InternalFailure", "%s", text);
}

void call_on_changed(void *data, int status, struct stream *stream) {
    struct call *call = data;
    call->target->status = CATALOG_ACTIVE;
    if (status)
        call_fail_code(call, status, NULL);
    else
        call_answer_empty(call);
}

/* ---- reading ---- */

struct json_value call_value(struct call *call, const char *name) {
    return aws_input(call->input, str_of(name));
}

bool call_has(struct call *call, const char *name) {
    return json_type(call_value(call, name)) != JSON_ABSENT;
}

struct str call_string(struct call *call, const char *name) {
    return json_str(call_value(call, name), &call->arena);
}

int64_t call_integer(struct call *call, const char *name, int64_t absent) {
    int64_t number = absent;
    json_int(call_value(call, name), &number);
    return number;
}

bool call_boolean(struct call *call, const char *name) {
    bool value = false;
    json_bool(call_value(call, name), &value);
    return value;
}

/* ---- streams ---- */

void aws_add_stream_arn(struct buf *out, const struct aws *aws, const char *stream) {
    buf_printf(out, "arn:aws:kinesis:%s:%s:stream/%s", aws->config->region, aws->config->account,
               stream);
}

void call_put_stream_arn(struct call *call, const char *stream) {
    struct buf arn = {0};
    aws_add_stream_arn(&arn, call->aws, stream);
    aws_member_string(&call->output, "StreamARN", buf_str(&arn));
    buf_done(&arn);
}

/* arn:aws:kinesis:REGION:ACCOUNT:stream/NAME[/consumer/...]; its form was checked before. */
bool call_arn_name(struct call *call, struct str arn, struct str *ret_name) {
    struct str rest = arn, parts[6];
    for (size_t i = 0; i < COUNT_OF(parts) - 1; i++)
        parts[i] = str_cut(rest, ':', &rest);
    parts[5] = rest;
    if (!str_eq(parts[4], str_of(call->aws->config->account))) {
        call_fail(call, "UnrecognizedClientException", "No account found for the given parameters");
        return false;
    }
    struct str behind;
    str_cut(parts[5], '/', &behind);
    *ret_name = str_cut(behind, '/', &rest);
    return true;
}

static struct catalog_stream *find(struct call *call, struct str name) {
    struct catalog_stream *stream = catalog_find(&call->aws->catalog, name);
    if (!stream)
        call_fail(call, "ResourceNotFoundException", "Stream %.*s under account %s not found.",
                  STR_ARG(name), call->aws->config->account);
    return stream;
}

struct catalog_stream *call_stream_of_arn(struct call *call, struct str arn) {
    struct str name;
    return call_arn_name(call, arn, &name) ? find(call, name) : NULL;
}

struct catalog_stream *call_stream(struct call *call) {
    struct str name = call_string(call, "StreamName"), arn = call_string(call, "StreamARN"), named;
    if (!name.len && !arn.len) {
        call_fail(call, "InvalidArgumentException",
                  "Stream arn and stream name can't be empty at the same time");
        return NULL;
    }
    if (!arn.len)
        return find(call, name);
    if (!call_arn_name(call, arn, &named))
        return NULL;
    if (name.len && !str_eq(name, named)) {
        call_fail(call, "InvalidArgumentException",
                  "Input stream name %.*s doesn't match the inferred name in stream arn %.*s",
                  STR_ARG(name), STR_ARG(arn));
        return NULL;
    }
    return find(call, named);
}

static struct catalog_stream *not_active(struct call *call, const struct catalog_stream *stream) {
    call_fail(call, "ResourceInUseException",
              "Stream %s under account %s not ACTIVE, instead in state %s", stream->name,
              call->aws->config->account, catalog_status_names[stream->status]);
    return NULL;
}

struct catalog_stream *call_active_stream(struct call *call) {
    struct catalog_stream *stream = call_stream(call);
    return stream && stream->status != CATALOG_ACTIVE ? not_active(call, stream) : stream;
}

struct catalog_stream *call_readable_stream(struct call *call) {
    struct catalog_stream *stream = call_stream(call);
    bool readable =
        !stream || stream->status == CATALOG_ACTIVE || stream->status == CATALOG_UPDATING;
    return readable ? stream : not_active(call, stream);
}
