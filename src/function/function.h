/*
 * Functions: child processes that speak the AWS Lambda Runtime API, and event source mappings that
 * feed them from streams.
 *
 * Everything belongs to the service loop: all calls and callbacks there. An *environment* is one
 * process with its own Runtime API listener on loopback; it handles one invocation at a time
 * (streams-and-functions reference, 4.1). A mapping is a cursor per shard: it cuts a batch,
 * invokes, and moves its checkpoint when the function has succeeded. A function that is down or
 * fails is a cursor that stands still, shown as lag.
 */
#ifndef FUNCTION_FUNCTION_H
#define FUNCTION_FUNCTION_H

#include "base/err.h"
#include "base/option.h"
#include "io/facts.h"
#include "io/loop.h"
#include "stream/stream.h"

struct function_config {
    struct option_head head;       /* head.name: the function's name, 1..64 of [a-zA-Z0-9-_] */
    struct option_strings command; /* program and arguments */
    const char *directory;         /* working directory; NULL: Weir's */
    const char *handler;           /* _HANDLER */
    int64_t timeout_ms;            /* 1 s .. 900 s, default 3 s */
    int64_t memory_bytes;          /* 128 MiB .. 10 GiB, default 128 MiB; a process whose resident
                                      set was larger is killed, see environment.c */
    int64_t concurrency;           /* environments at most; default 10 */
    struct option_pairs environment;
};

extern const struct option function_options[];

enum function_starting_position {
    FUNCTION_TRIM_HORIZON,
    FUNCTION_LATEST,
    FUNCTION_AT_TIMESTAMP,
};

struct function_mapping_config {
    struct option_head head;
    const char *stream, *function;
    bool enabled;                            /* default true */
    int64_t batch_size;                      /* 1..10000, default 100 */
    int64_t batching_window_ms;              /* key maximum_batching_window: 0..300 s, default 0 */
    int starting_position;                   /* enum function_starting_position */
    const char *starting_position_timestamp; /* RFC 3339 or epoch seconds */
    int64_t maximum_retry_attempts;          /* -1: for ever (default) */
    int64_t maximum_record_age_ms;           /* 0: for ever (default) */
    bool bisect_batch_on_function_error;     /* default false */
    bool deaggregate; /* records packed by a producer library are taken apart; default false */
    struct option_strings function_response_types; /* ReportBatchItemFailures */
};

extern const struct option function_mapping_options[];

struct function_host;

/* What this points to outlives the host. */
/* All that it points to must outlive the host. */
struct function_host_config {
    const struct option_items *functions; /* struct function_config */
    const char *region, *account;         /* "us-east-1", "000000000000": in ARNs */
    /* given to every function unless it sets them itself: redis_url, redis_port, AWS_ENDPOINT_URL */
    const struct option_pairs *default_environment;
};

/* Starts one process of each function when the loop runs. A bad configuration leaves nothing open. */
int function_host_open(struct loop *loop, const struct function_host_config *config,
                       struct function_host **ret_host, struct err *err);

/*
 * Feeds the function from the stream; checkpoints in `facts` under "mapping/STREAM/FUNCTION" (the
 * same facts for all mappings of a host). Each shard has a checkpoint on disk when this returns:
 * nothing that is committed afterwards is skipped. Shards that come later by a split or merge are read
 * from their start, when those that they were made from are finished. `config`, `facts` and
 * `stream` outlive the host.
 */
int function_mapping_open(struct function_host *host, struct facts *facts,
                          const struct function_mapping_config *config, struct stream *stream,
                          struct err *err);

/* What an invocation came to. */
struct function_result {
    bool ok;                /* false: a function error; `payload` is its JSON document */
    const char *error_type; /* "Sandbox.Timedout", "Runtime.ExitError", ..., or NULL */
    struct str payload;
};

/*
 * Invokes by name with an event of JSON bytes (copied); for tests, rules and the Lambda API.
 * `on_begin`, unless it is NULL, runs when a process gets the event, also before this returns; not
 * if none ever does. `on_result` runs once, never before this returns, also when the host closes.
 * NOT_FOUND for an unknown name; FULL when too many wait; TOO_LARGE beyond 6 MiB; CLOSED after
 * function_host_halt().
 */
int function_invoke(struct function_host *host, struct str name, struct str event,
                    void (*on_begin)(void *data),
                    void (*on_result)(void *data, const struct function_result *result),
                    void *data);

/*
 * Begins nothing more: no new batches, what waits for a process fails at once, and
 * function_invoke() is CLOSED. What runs goes on until function_host_close(), which must follow.
 */
void function_host_halt(struct function_host *host);

/*
 * Stops: no new batches; running invocations may end within `grace_ms`, then processes are killed;
 * checkpoints are written; then `closed` and the memory is gone.
 */
void function_host_close(struct function_host *host, unsigned grace_ms, void (*closed)(void *data),
                         void *data);

#endif
