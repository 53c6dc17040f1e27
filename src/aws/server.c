/*
 * The api listener: from an HTTP request to a call, and the order in which what is wrong is told,
 * which is the order of the service (clients see the first thing only):
 *
 *     browser's preflight; method; body; content type; body parses; target known; who asks (SigV4);
 *     types; constraints; then the handler
 *
 * auth: open answers whoever can reach a loopback address, and that includes scripts of any page that
 * a browser on this machine shows. Such requests carry an Origin; those of foreign origins are
 * refused there. With sigv4 a page needs a key like everybody else, so any origin may ask, as on AWS.
 *
 * A request without a target whose path is not "/" goes by its path instead (rest.c): IoT and the
 * management of the broker have REST interfaces.
 *
 * Calls are recycled with their memory, as the tape of 500 records is large.
 */
#include "aws/server.h"

#include <stdlib.h>
#include <string.h>

#include "aws/authorize.h"
#include "aws/cbor.h"
#include "aws/kinesis.h"
#include "base/clock.h"
#include "base/random.h"
#include "http/http.h"
#include "io/tcp.h"
#include "io/tls.h"

enum { CONNECTIONS_MAX = 1024 };

static const struct str target_prefix = {"Kinesis_20131202.", 17};
static const char facts_table[] = "api";

static const char *const auth_names[] = {"open", "sigv4", NULL};

static const struct option tls_options[] = {
    {"cert", OPTION_STRING, offsetof(struct aws_tls_config, cert), .required = true,
     .help = "PEM file of the certificate, its chain behind it"},
    {"key", OPTION_STRING, offsetof(struct aws_tls_config, key), .required = true,
     .help = "PEM file of its private key"},
    {0}};

const struct option aws_options[] = {
    {"bind", OPTION_STRING, offsetof(struct aws_config, bind), .default_text = "127.0.0.1:4566",
     .help = "address:port of the AWS-compatible endpoints"},
    {"auth", OPTION_ENUM, offsetof(struct aws_config, auth), .names = auth_names,
     .default_text = "sigv4",
     .help = "open: whoever reaches it, on loopback only; sigv4: requests signed with one of "
             "`credentials`"},
    {"tls", OPTION_STRUCT, offsetof(struct aws_config, tls), .fields = tls_options},
    {"plaintext", OPTION_BOOL, offsetof(struct aws_config, plaintext),
     .help = "allow no TLS beyond loopback"},
    {"region", OPTION_STRING, offsetof(struct aws_config, region), .default_text = "us-east-1",
     .help = "in ARNs; clients may use any region"},
    {"account", OPTION_STRING, offsetof(struct aws_config, account), .default_text = "000000000000",
     .help = "the 12 digits in ARNs"},
    {"limits", OPTION_STRUCT, offsetof(struct aws_config, limits), .fields = aws_limits_options,
     .help = "throughput as AWS limits it; absent: no limits; {}: AWS's own"},
    {0}};

/* ---- configuration ---- */

static const struct conf *place(const struct option_head *head, const char *key) {
    const struct conf *at = conf_get(head->conf, key);
    return at ? at : head->conf;
}

static bool is_account(const char *text) {
    return strlen(text) == 12 && strspn(text, "0123456789") == 12;
}

static int check_credentials(const struct option_items *credentials, struct err *err) {
    for (size_t i = 0; i < credentials->count; i++) {
        const struct aws_credential *one = OPTION_AT(*credentials, struct aws_credential, i);
        if (!one->access_key_id[0] || !one->secret_access_key[0])
            return conf_error(one->head.conf, err, ERR_INVALID,
                              "credentials: access_key_id and secret_access_key must not be empty");
        for (size_t j = 0; j < i; j++)
            if (strcmp(one->access_key_id,
                       OPTION_AT(*credentials, struct aws_credential, j)->access_key_id) == 0)
                return conf_error(one->head.conf, err, ERR_INVALID,
                                  "credentials: access_key_id %s stands here twice",
                                  one->access_key_id);
    }
    return 0;
}

static int check_exposure(const struct aws_config *config, struct err *err) {
    struct sockaddr_storage address;
    struct err why;
    const struct conf *at = place(&config->head, "bind");
    if (tcp_address(config->bind, &address, &why))
        return conf_error(at, err, ERR_INVALID, "api: %s", why.text);
    if (tcp_address_is_loopback(&address))
        return 0;
    if (config->auth == AWS_AUTH_OPEN)
        return conf_error(at, err, ERR_INVALID,
                          "api: a listener beyond loopback needs `auth: sigv4` and credentials");
    if (!config->tls.head.conf && !config->plaintext)
        return conf_error(at, err, ERR_INVALID,
                          "api: a listener beyond loopback needs tls, or `plaintext: true`");
    return 0;
}

int aws_config_check(const struct aws_config *config, const struct option_items *credentials,
                     struct err *err) {
    int code = check_credentials(credentials, err);
    if (code || !config->head.conf)
        return code;
    if (!is_account(config->account))
        return conf_error(place(&config->head, "account"), err, ERR_INVALID,
                          "api: account must be 12 digits");
    code = check_exposure(config, err);
    if (!code && config->auth == AWS_AUTH_SIGV4 && credentials->count == 0)
        return conf_error(place(&config->head, "auth"), err, ERR_INVALID,
                          "api: sigv4 needs at least one key under `credentials`; on loopback "
                          "`auth: open` needs none");
    return code;
}

int aws_credentials_bind(struct option_items *credentials, const struct iam_policies *policies,
                         struct err *err) {
    for (size_t i = 0; i < credentials->count; i++) {
        struct aws_credential *one = OPTION_AT(*credentials, struct aws_credential, i);
        one->iam = one->policy ? iam_policy_find(policies, one->policy) : NULL;
        if (one->policy && !one->iam)
            return conf_error(place(&one->head, "policy"), err, ERR_INVALID,
                              "there is no policy \"%s\" under policies", one->policy);
    }
    return 0;
}

/* ---- calls ---- */

void aws_part_begin(struct aws *aws) {
    aws->part_count++;
}

static void on_closing(struct timer *timer);

/* The end comes from a timer, never from inside a call of somebody else's. */
static void end_if_done(struct aws *aws) {
    if (aws->is_closing && aws->server_closed && aws->part_count == 0)
        timer_start(aws->loop, &aws->closing, 0, 0, on_closing);
}

void aws_part_end(struct aws *aws) {
    ASSERT(aws->part_count > 0);
    aws->part_count--;
    end_if_done(aws);
}

static void call_free(struct call *call) {
    json_done(&call->json);
    buf_done(&call->text);
    buf_done(&call->scratch);
    arena_done(&call->arena);
    aws_output_done(&call->output);
    free(call);
}

static void trim(struct buf *buf) {
    if (buf->cap > CALL_KEPT_BYTES)
        buf_done(buf);
    else
        buf_clear(buf);
}

static void on_abort(struct http_request *request) {
    struct call *call = request->data;
    call->request = NULL;
}

static struct call *call_begin(struct aws *aws, struct http_request *request, bool cbor) {
    struct link *spare = list_pop_front(&aws->spares);
    struct call *call = spare ? LIST_ITEM(spare, struct call, link) : xcalloc(1, sizeof *call);
    aws->spare_count -= spare != NULL;
    call->aws = aws;
    call->request = request;
    call->output.cbor = cbor;
    call->wall_ms = clock_wall_ms();
    request->data = call;
    request->on_abort = on_abort;
    aws_part_begin(aws);
    return call;
}

struct http_request *call_take_request(struct call *call) {
    struct http_request *request = call->request;
    call->request = NULL;
    if (request) {
        request->on_abort = NULL;
        request->data = NULL;
    }
    return request;
}

void call_end(struct call *call) {
    struct aws *aws = call->aws;
    ASSERT(!call->request && !list_linked(&call->link));
    free(call->state);
    if (aws->spare_count == CALL_SPARES_MAX || call->json.cap > CALL_KEPT_ENTRIES) {
        call_free(call);
    } else {
        trim(&call->text);
        trim(&call->scratch);
        trim(&call->output.buf);
        arena_reset(&call->arena);
        struct json json = {.entries = call->json.entries, .cap = call->json.cap};
        *call = (struct call){.json = json,
                              .text = call->text,
                              .scratch = call->scratch,
                              .arena = call->arena,
                              .output = {.buf = call->output.buf}};
        list_push_front(&aws->spares, &call->link);
        aws->spare_count++;
    }
    aws_part_end(aws);
}

/* ---- from a request to a call ---- */

enum content { CONTENT_OTHER, CONTENT_JSON, CONTENT_CBOR, CONTENT_PLAIN_JSON };

static enum content content_of(const struct http_request *request) {
    struct str rest;
    struct str type = str_trim(str_cut(http_header(request, "Content-Type"), ';', &rest));
    if (str_eq_nocase(type, STR("application/x-amz-json-1.1")))
        return CONTENT_JSON;
    if (str_eq_nocase(type, STR("application/x-amz-cbor-1.1")))
        return CONTENT_CBOR;
    return str_eq_nocase(type, STR("application/json")) ? CONTENT_PLAIN_JSON : CONTENT_OTHER;
}

static const struct aws_operation *operation_of(const struct http_request *request) {
    struct str target = http_header(request, "X-Amz-Target");
    if (!str_starts(target, target_prefix))
        return NULL;
    struct str name = str_skip(target, target_prefix.len);
    for (const struct aws_operation *operation = kinesis_operations; operation->name; operation++)
        if (str_eq(name, str_of(operation->name)))
            return operation;
    return NULL;
}

static void refuse_xml(struct aws *aws, struct http_request *request) {
    aws_respond(
        aws, request, 403, "application/xml",
        STR("<AccessDeniedException>\n  <Message>Unable to determine service/operation name "
            "to be authorized</Message>\n</AccessDeniedException>\n"));
}

static void refuse(struct aws *aws, struct http_request *request, bool cbor, const char *type) {
    aws_respond_error(aws, request, cbor, 400, type, (struct str){0});
}

/* http://localhost:3000 and the like. */
static bool is_loopback_origin(struct str origin) {
    struct str rest = origin, scheme = str_cut(rest, ':', &rest);
    if ((!str_eq(scheme, STR("http")) && !str_eq(scheme, STR("https"))) ||
        !str_starts(rest, STR("//")))
        return false;
    struct str host = str_skip(rest, 2), port;
    if (str_starts(host, STR("[::1]")))
        return host.len == 5 || host.at[5] == ':';
    host = str_cut(host, ':', &port);
    return str_eq(host, STR("localhost")) || str_eq(host, STR("127.0.0.1"));
}

static bool is_foreign_page(const struct aws *aws, const struct http_request *request) {
    struct str origin = http_header(request, "Origin");
    return aws->config->auth == AWS_AUTH_OPEN && origin.len && !is_loopback_origin(origin);
}

static void answer_preflight(struct aws *aws, struct http_request *request) {
    struct str headers = http_header(request, "Access-Control-Request-Headers");
    struct str method = http_header(request, "Access-Control-Request-Method");
    struct http_header extra[4];
    size_t count = 0;
    extra[count++] = (struct http_header){STR("Access-Control-Allow-Origin"), STR("*")};
    if (headers.len)
        extra[count++] = (struct http_header){STR("Access-Control-Allow-Headers"), headers};
    if (method.len)
        extra[count++] = (struct http_header){STR("Access-Control-Allow-Methods"), method};
    extra[count++] = (struct http_header){STR("Access-Control-Max-Age"), STR("172800")};
    metric_add(&aws->requests, 1);
    http_respond(request, 200, NULL, (struct str){0}, extra, count);
}

/* What holds for all, whatever they ask for: false when it was answered. */
static bool check_sender(struct aws *aws, struct http_request *request, enum content content) {
    if (request->is_too_large)
        aws_respond_error(aws, request, content == CONTENT_CBOR, 413, "RequestEntityTooLarge",
                          STR("The request is larger than 16 MiB."));
    else if (is_foreign_page(aws, request))
        aws_respond_error(aws, request, content == CONTENT_CBOR, 403, "AccessDeniedException",
                          STR("auth: open answers pages of this machine only"));
    else if (str_eq(request->method, STR("OPTIONS")) && http_header(request, "Origin").len)
        answer_preflight(aws, request);
    else
        return true;
    return false;
}

/* Rows 2 to 4 of the order of checks: false when it was answered. */
static bool check_http(struct aws *aws, struct http_request *request, enum content content,
                       const struct aws_operation *operation) {
    bool has_target = http_header(request, "X-Amz-Target").len;
    if (!str_eq(request->method, STR("POST")))
        refuse_xml(aws, request);
    else if (!request->body.len)
        refuse(aws, request, content != CONTENT_JSON,
               operation ? "SerializationException" : "UnknownOperationException");
    else if (content == CONTENT_OTHER && !has_target)
        refuse_xml(aws, request);
    else if (content == CONTENT_OTHER)
        aws_respond(aws, request, 404, "application/xml", STR("<UnknownOperationException/>\n"));
    else
        return true;
    return false;
}

static bool check_signature(struct aws *aws, struct call *call) {
    struct aws_refusal refusal;
    if (aws->config->auth == AWS_AUTH_OPEN)
        return true;
    if (aws_verify(&aws->verifier, call->request, call->wall_ms, &call->credential, &refusal) == 0)
        return true;
    call_fail(call, refusal.type, "%s", refusal.text);
    return false;
}

/* Rows 9 and 10, then the handler. */
static void run(struct call *call) {
    struct buf text = {0};
    const char *type = aws_input_check(call->input, call->operation->input, &text);
    if (type)
        call_fail(call, type, "%.*s", STR_ARG(buf_str(&text)));
    else
        call->operation->run(call);
    buf_done(&text);
}

static const char unknown_operation_json[] =
    "{\"Output\":{\"__type\":\"com.amazon.coral.service#UnknownOperationException\"},\"Version\":"
    "\"1.0\"}";

/* Rows 5 to 8. */
static void begin(struct aws *aws, struct http_request *request, enum content content,
                  const struct aws_operation *operation) {
    struct call *call = call_begin(aws, request, content == CONTENT_CBOR);
    int status = content == CONTENT_CBOR ? cbor_read(&call->json, &call->text, request->body)
                                         : json_parse(&call->json, request->body);
    call->input = json_root(&call->json);
    call->operation = operation;
    if (status || json_type(call->input) != JSON_OBJECT) {
        call_fail(call, "SerializationException", "The body is no %s object.",
                  content == CONTENT_CBOR ? "CBOR" : "JSON");
    } else if (content == CONTENT_PLAIN_JSON) {
        call_take_request(call);
        call_end(call);
        aws_respond(aws, request, 404, "application/json", str_of(unknown_operation_json));
    } else if (!operation) {
        call_fail(call, "UnknownOperationException", "%s", "");
    } else if (check_signature(aws, call) && aws_authorize_call(call) && kinesis_limit_call(call)) {
        run(call);
    }
}

static void on_request(struct http_request *request, void *data) {
    struct aws *aws = data;
    enum content content = content_of(request);
    const struct aws_operation *operation = operation_of(request);
    if (!check_sender(aws, request, content))
        return;
    if (aws_is_rest(request))
        aws_rest_run(aws, request);
    else if (check_http(aws, request, content, operation))
        begin(aws, request, content, operation);
}

/* ---- life ---- */

static int load_token_key(struct aws *aws, struct err *err) {
    struct buf key = {0};
    int code = facts_get(aws->services.facts, facts_table, STR("token-key"), &key);
    if (code == ERR_NOT_FOUND || (!code && buf_len(&key) != TOKEN_KEY_BYTES)) {
        random_bytes(aws->token_key, sizeof aws->token_key);
        code = facts_set(aws->services.facts, facts_table, STR("token-key"),
                         str_from(aws->token_key, sizeof aws->token_key), err);
    } else if (code) {
        err_set(err, code, "the key of shard iterators cannot be read: %s", err_text(code));
    } else {
        memcpy(aws->token_key, buf_at(&key), TOKEN_KEY_BYTES);
    }
    buf_done(&key);
    return code;
}

static int open_server(struct aws *aws, struct sockaddr_storage *ret_address, struct err *err) {
    static const char *const protocols[] = {"h2", "http/1.1", NULL};
    const struct aws_config *config = aws->config;
    const struct tls_server_config tls = {
        .cert_path = config->tls.cert, .key_path = config->tls.key, .alpn = protocols};
    struct sockaddr_storage address;
    int code = tcp_address(config->bind, &address, err);
    if (!code && config->tls.head.conf)
        code = tls_server_context(&tls, &aws->tls, err);
    if (!code)
        code = tcp_address_probe(&address, err);
    if (code)
        return code;
    const struct http_server_config server = {.address = &address,
                                              .tls = aws->tls,
                                              .handler = on_request,
                                              .data = aws,
                                              .body_bytes_max = CALL_BODY_BYTES_MAX,
                                              .hand_over_too_large = true,
                                              .http2 = true,
                                              .connections_max = CONNECTIONS_MAX,
                                              .name = "api"};
    return http_server_open(aws->loop, &server, ret_address, &aws->server, err);
}

static void free_aws(struct aws *aws) {
    LIST_EACH(item, &aws->spares) {
        list_remove(item);
        call_free(LIST_ITEM(item, struct call, link));
    }
    kinesis_close(aws);
    catalog_done(&aws->catalog);
    limits_done(&aws->limits);
    tls_context_free(aws->tls);
    metric_done(&aws->requests);
    metric_done(&aws->errors);
    metric_done(&aws->throttled);
    explicit_bzero(aws->verifier.key.bytes, sizeof aws->verifier.key.bytes);
    explicit_bzero(aws->rest_verifier.key.bytes, sizeof aws->rest_verifier.key.bytes);
    free(aws);
}

static void init_metrics(struct aws *aws) {
    metric_init(&aws->requests, METRIC_COUNTER, "weir_aws_requests_total",
                "Requests answered by the AWS-compatible endpoints.", NULL);
    metric_init(&aws->errors, METRIC_COUNTER, "weir_aws_errors_total",
                "Requests answered with an error.", NULL);
    metric_init(&aws->throttled, METRIC_COUNTER, "weir_aws_throttled_records_total",
                "Records refused because of a limit, or because too much was waiting for the log.",
                NULL);
}

int aws_open(struct loop *loop, const struct aws_config *config,
             const struct aws_services *services, struct sockaddr_storage *ret_address,
             struct aws **ret_aws, struct err *err) {
    struct aws *aws = xcalloc(1, sizeof *aws);
    aws->loop = loop;
    aws->config = config;
    aws->services = *services;
    aws->verifier =
        (struct aws_verifier){.credentials = *services->credentials, .service = STR("kinesis")};
    aws->rest_verifier = (struct aws_verifier){.credentials = *services->credentials};
    list_init(&aws->committing);
    list_init(&aws->waiting);
    list_init(&aws->jobs);
    list_init(&aws->subscriptions);
    list_init(&aws->spares);
    init_metrics(aws);
    kinesis_open(aws);
    int code = load_token_key(aws, err);
    if (!code)
        code = open_server(aws, ret_address, err);
    if (code) {
        free_aws(aws);
        return code;
    }
    kinesis_resume(aws);
    *ret_aws = aws;
    return 0;
}

int aws_reload(struct aws *aws, struct err *err) {
    return aws->tls ? tls_context_reload(aws->tls, err) : 0;
}

static void on_closing_over(struct timer *timer) {
    struct aws *aws = CONTAINER_OF(timer, struct aws, closing);
    void (*closed)(void *data) = aws->closed;
    void *data = aws->closed_data;
    free_aws(aws);
    if (closed)
        closed(data);
}

static void on_closing(struct timer *timer) {
    timer_close(timer, on_closing_over);
}

static void on_server_closed(void *data) {
    struct aws *aws = data;
    aws->server_closed = true;
    end_if_done(aws);
}

void aws_close(struct aws *aws, void (*closed)(void *data), void *data) {
    ASSERT(!aws->is_closing);
    aws->is_closing = true;
    aws->closed = closed;
    aws->closed_data = data;
    kinesis_stop(aws);
    http_server_close(aws->server, on_server_closed, aws);
}
