/*
 * Inside of the API: one request under way, and the server that it belongs to. A handler is given a
 * call whose input fits its operation's table; it ends the call by exactly one of call_answer(),
 * call_answer_empty() and call_fail(), at once or later. The client may go away meanwhile: then
 * answering does nothing but end the call.
 */
#ifndef AWS_CALL_H
#define AWS_CALL_H

#include "aws/aws.h"
#include "aws/catalog.h"
#include "aws/input.h"
#include "aws/output.h"
#include "aws/token.h"
#include "base/metric.h"

enum {
    CALL_BODY_BYTES_MAX = 16 * 1024 * 1024, /* base64 of 10 MiB and its JSON */
    CALL_SPARES_MAX = 8,
    CALL_KEPT_BYTES = 1024 * 1024,             /* memory of a spare call, per buffer */
    CALL_KEPT_ENTRIES = 64 * 1024,             /* of its tape */
    CALL_WAITING_BYTES_MAX = 64 * 1024 * 1024, /* bodies of puts that wait for room in the log */
};

struct call;

struct aws_operation {
    const char *name;
    const struct aws_member *input;
    void (*run)(struct call *call);
};

struct aws {
    struct loop *loop;
    const struct aws_config *config;
    struct aws_services services;
    struct aws_verifier verifier; /* of what has X-Amz-Target */
    struct aws_verifier rest_verifier;
    bool is_loopback;
    struct tls_context *tls;
    struct http_server *server;
    uint8_t token_key[TOKEN_KEY_BYTES];
    struct catalog catalog;
    struct limits limits;
    struct sink_gate_listener gate;
    struct link committing, waiting; /* calls, in order: for their ticket; for room */
    size_t waiting_bytes;
    struct link jobs, subscriptions; /* of kinesis_reshard.c, kinesis_subscribe.c */
    struct link spares;
    unsigned spare_count;
    size_t part_count; /* calls, jobs, subscriptions that must end before the memory goes */
    bool is_closing, server_closed;
    struct timer closing;
    void (*closed)(void *data);
    void *closed_data;
    struct metric requests, errors, throttled;
};

struct call {
    struct link link; /* in aws->committing, ->waiting or ->spares */
    struct aws *aws;
    struct http_request *request; /* NULL: the client is gone */
    const struct aws_operation *operation;
    const struct aws_credential *credential; /* who signed; NULL: auth is open */
    struct json json;
    struct json_value input;
    struct buf text;    /* of a CBOR input */
    struct buf scratch; /* the handler's */
    struct arena arena; /* the handler's; until the call ends */
    struct aws_output output;
    uint64_t wall_ms;
    /* Of calls that go on later. */
    struct catalog_stream *target;
    uint64_t ticket;
    size_t waiting_bytes;
    void *state; /* freed when the call ends */
};

/* ---- ending ---- */

void call_answer(struct call *call);
void call_answer_empty(struct call *call);

/* Ends a call, `data`, whose target was changed by stream_split() or the like: as their `done`. */
void call_on_changed(void *data, int status, struct stream *stream);

void call_fail(struct call *call, const char *type, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The error of a code from stream/ or io/: what a client cannot mend is InternalFailure (500). */
void call_fail_code(struct call *call, int code, const struct err *err);

/* Takes the request out of the call, which then ends without an answer of its own. */
struct http_request *call_take_request(struct call *call);
void call_end(struct call *call);

/* ---- reading ---- */

struct json_value call_value(struct call *call, const char *name);
bool call_has(struct call *call, const char *name);
struct str call_string(struct call *call, const char *name);
int64_t call_integer(struct call *call, const char *name, int64_t absent);
bool call_boolean(struct call *call, const char *name);

/* ---- streams ---- */

/*
 * The stream that StreamName and StreamARN (or ConsumerARN, ResourceARN as `arn`) name. NULL, and the
 * call has failed, if there is none.
 */
struct catalog_stream *call_stream(struct call *call);
struct catalog_stream *call_stream_of_arn(struct call *call, struct str arn);

/* The same, and it must be ACTIVE (ResourceInUseException). */
struct catalog_stream *call_active_stream(struct call *call);

/* The same for what reads and writes records: also while UPDATING. */
struct catalog_stream *call_readable_stream(struct call *call);

/* The name in an ARN of a stream or consumer of this account: fails the call with what is wrong. */
bool call_arn_name(struct call *call, struct str arn, struct str *ret_name);

void aws_add_stream_arn(struct buf *out, const struct aws *aws, const char *stream);
void call_put_stream_arn(struct call *call, const char *stream);

#endif
