/*
 * liblambda: write an AWS Lambda function in C.
 *
 * The program that is the function calls lambda_run() from main(). It speaks the Lambda Runtime API
 * (version 2018-06-01) with whoever started it: AWS's provided.al2023 runtime, or Weir. The library
 * needs libc and POSIX sockets, nothing else.
 *
 * Thread: all calls of one process come from the thread that called lambda_run(). One event is
 * handled at a time; a second environment is a second process.
 *
 * Memory: everything in a struct lambda_event, and every record cut out of it, is valid until the
 * handler returns. Whatever is passed to lambda_respond() or lambda_fail() is copied. When memory
 * runs out the process aborts; the host then starts a fresh one.
 */
#ifndef LAMBDA_H
#define LAMBDA_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A counted run of bytes, not owned. Where this header hands one out, data[size] is a NUL. */
struct lambda_bytes {
    char *data;
    size_t size;
};

/* One invocation. Texts are NUL-terminated, or NULL when the host did not send them. */
struct lambda_event {
    char *body; /* the event as it came; the handler may change the bytes */
    size_t body_size;
    const char *content_type;
    const char *request_id; /* never NULL */
    const char *invoked_function_arn;
    const char *trace_id; /* also in the environment as _X_AMZN_TRACE_ID */
    const char *client_context;
    const char *cognito_identity;
    const char *tenant_id;
    int64_t deadline_ms; /* since 1970; 0: none was told */
};

/* What the handler answers. Owned by lambda_run(), empty when the handler begins. */
struct lambda_result;

/* Runs once, before the first event. 0, or what lambda_fail() returns: the process then ends. */
typedef int (*lambda_init_fn)(struct lambda_result *result, void *data);

/*
 * Runs once per event. 0 answers with what lambda_respond() took (`null` without it); anything else
 * reports an error, so that the host may retry.
 */
typedef int (*lambda_handler_fn)(const struct lambda_event *event, struct lambda_result *result,
                                 void *data);

/* What lambda_run() returns: the exit code for main(). */
enum lambda_exit {
    LAMBDA_EXIT_STOPPED = 0, /* SIGTERM, between two events */
    LAMBDA_EXIT_INIT = 1,    /* init failed; the host was told */
    LAMBDA_EXIT_API = 2, /* the Runtime API is unreachable or gave an answer that ends the run */
    LAMBDA_EXIT_SETTING = 3, /* AWS_LAMBDA_RUNTIME_API is absent or not host:port */
};

/*
 * Serves events until the host ends the process. init may be NULL. data is passed on as it is.
 *
 * SIGTERM lets the event in hand be finished and answered, then lambda_run() returns; a second
 * SIGTERM kills. A program that has installed its own SIGTERM action keeps it. stdout becomes
 * line-buffered, so that log lines leave when they are written. What the library itself has to say
 * goes to stderr, one line each.
 */
int lambda_run(lambda_init_fn init, lambda_handler_fn handler, void *data);

/* Sets the answer to a copy of the bytes, replacing an earlier one. */
void lambda_respond(struct lambda_result *result, const void *body, size_t size);

/* As lambda_respond(), with a printf format. */
void lambda_respond_format(struct lambda_result *result, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The answer's media type; application/json unless set. Longer than 127 bytes is cut. */
void lambda_respond_type(struct lambda_result *result, const char *content_type);

/*
 * Makes the invocation (or the init) fail. Returns -1, for `return lambda_fail(...)`. The type
 * should be `Function.` and a name of letters that begins with a capital: hosts log other types as
 * Function.Unknown. It is cut at 127 bytes, the message at LAMBDA_ERROR_MESSAGE_BYTES_MAX.
 */
int lambda_fail(struct lambda_result *result, const char *type, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define LAMBDA_ERROR_MESSAGE_BYTES_MAX 16384

/* Time until the host kills this environment: never negative, INT64_MAX without a deadline. */
int64_t lambda_remaining_ms(const struct lambda_event *event);

/*
 * Kinesis events.
 *
 *     struct lambda_kinesis batch;
 *     struct lambda_kinesis_record record;
 *     int step;
 *     if (lambda_kinesis_open(&batch, event->body, event->body_size) != 0)
 *         return lambda_fail(result, "Function.BadEvent", "not a Kinesis event");
 *     while ((step = lambda_kinesis_next(&batch, &record)) != LAMBDA_KINESIS_END)
 *         ...
 *
 * The records are decoded inside the event's own bytes, so a body can be walked once. Records that
 * were handed out stay valid while the walk goes on. Nothing is allocated.
 */
struct lambda_kinesis {
    char *at; /* private, as is the rest */
    char *end;
    int state;
};

struct lambda_kinesis_record {
    struct lambda_bytes partition_key;
    struct lambda_bytes sequence_number; /* 1 to 129 decimal digits */
    struct lambda_bytes shard_id;        /* from eventID, up to its colon */
    struct lambda_bytes data;            /* decoded; any bytes, perhaps none */
    int64_t arrival_ms;                  /* since 1970; 0 if absent */
};

enum lambda_kinesis_step {
    LAMBDA_KINESIS_END = 0,
    LAMBDA_KINESIS_RECORD = 1,
    LAMBDA_KINESIS_BAD_RECORD = -1, /* a member is missing or wrong; the walk may go on */
    LAMBDA_KINESIS_BAD_EVENT = -2,  /* not JSON from here on; every later step says the same */
};

/* 0, or LAMBDA_KINESIS_BAD_EVENT: the bytes are no JSON object with an array `Records`. */
int lambda_kinesis_open(struct lambda_kinesis *batch, char *body, size_t size);

/* The next record. ret_record is written for LAMBDA_KINESIS_RECORD only. */
int lambda_kinesis_next(struct lambda_kinesis *batch, struct lambda_kinesis_record *ret_record);

/* Compares two sequence numbers as the numbers they are: negative, 0 or positive. */
int lambda_sequence_compare(struct lambda_bytes a, struct lambda_bytes b);

#ifdef __cplusplus
}
#endif

#endif
