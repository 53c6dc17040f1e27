/*
 * Actions of rules towards the outside world, that lose nothing. Each action has a log (a stream of
 * kind STREAM_ACTION, which no API and no `weir stream` shows) into which the rule engines push, and a
 * *runner* on the service loop that reads the log with a cursor and hands batches to a *target*
 * (target.h): redis, http, lambda, s3. A target that is down is a cursor that stands still, shown as
 * lag.
 *
 * What it promises:
 *   At least once. The checkpoint follows what was delivered by STREAM_CHECKPOINT_MS at most; after a
 *   kill what was delivered since comes again (docs/OPERATIONS.md says what that means per kind).
 *   In order: a batch is handed over in the order of the log, and the next one only when all items of
 *   it are settled. What a kind does with a batch it says itself (http with max_in_flight above 1 may
 *   let messages overtake each other).
 *   Retries: after a pause that doubles from 200 ms to 30 s, a random part of it taken off, until the
 *   target takes the item or maximum_retry_attempts or maximum_record_age is passed. Then, and when
 *   the target refuses for good, the item goes to the rule's error action; the cursor moves only when
 *   what the error action pushed is committed.
 *   Bounds: backlog_size per log. Beyond it pushes fail with NO_SPACE, so that publishers get 0x97 (or
 *   lose their connection) and send again. One batch per action is in memory.
 *
 * Rules that come and go while Weir runs, from the service loop:
 *   1. action_host_prepare(specs): makes the logs that are missing; then
 *   2. the engines are made and put in force on every worker; then
 *   3. action_host_apply(specs), in the order in which the engines were: runners for new actions
 *      start, those whose configuration changed go on with the new one, those that are no more
 *      drain: they deliver what waits with the configuration they had, and then their log is
 *      deleted.
 * What a removed action could not deliver before Weir stops stays on disk, is named in the log at
 * every start, and goes on when an action of this rule, place and kind is back.
 *
 * Metrics: meter.h.
 */
#ifndef ACTION_ACTION_H
#define ACTION_ACTION_H

#include "bucket/bucket.h"
#include "flow/action.h"
#include "flow/message.h"
#include "flow/sink.h"
#include "http/http.h"
#include "http/rest.h"
#include "io/facts.h"
#include "io/loop.h"
#include "stream/stream.h"

enum { ACTION_NAME_CHARS_MAX = 160 };

/* Every kind there is, NULL-terminated; for rule_set_compile(). */
extern const struct action_kind *const action_kinds[];

/* What was refused for good, for the error action of its rule. Views, valid during the call. */
struct action_failure {
    struct str rule;
    const char *failed_action; /* "HttpAction" */
    struct str resource, why;
    const struct action_record *record;
    /* Of a request that held several messages: those that are told in one document, of which
     * `record` is the first. NULL: it stood alone. */
    const struct action_record *const *batch;
    size_t batch_count;
    bool is_across_topics; /* the batch may hold messages of several topics */
};

/* A process of the function has got the event. */
typedef void action_begun_cb(void *data);
/* What a function's invocation came to: its answer, or why there is none. */
typedef void action_invoked_cb(void *data, bool ok, struct str text);

/* The evaluation of rules that call functions (statement.c), which the rules themselves do. */
struct action_statements {
    /* What was answered for one message. */
    void *(*open)(void);
    void (*close)(void *calls);
    /* Whether a function's answer is missing: which, and what it is given. Views, until it is
     * answered. */
    bool (*ask)(void *data, const struct action_spec *spec, const struct action_record *record,
                void *calls, struct str *ret_function, struct str *ret_input);
    void (*answer)(void *calls, bool ok, struct str text);
    /* Runs the rule's actions: as `fail` below returns. NOT_FOUND: there is no such rule any more. */
    int (*run)(void *data, const struct action_spec *spec, const struct action_record *record,
               void *calls);
};

struct destinations;

/* What actions need of other parts; all of it outlives the host and the destinations. */
struct action_services {
    struct stream_log *log;
    enum stream_corrupted corrupted; /* of logs that are made */
    struct facts *facts;
    struct http_client *client;
    struct sink_gate *gate;       /* of the service loop's writer */
    const char *redis_url;        /* of Weir's own Redis */
    const char *region, *account; /* "us-east-1", "000000000000": in ARNs */
    /* Begins the address that confirms a destination; /confirmdestination/TOKEN follows. May be filled
     * in after the host was opened, before the loop goes on. */
    const char *confirm_url;
    struct destinations *destinations; /* of http actions */

    /* Hands a failure to the rule's error action on this thread. MESSAGE_TAKEN: there is none, or
     * nothing to wait for; MESSAGE_STAGED: done when the gate's present ticket has committed;
     * negative: it could not be kept, and is tried again. */
    int (*fail)(void *data, const struct action_failure *failure);
    /* Starts an invocation; `begun` (NULL: nobody asks) may run before it returns, `done` never does.
     * NOT_FOUND: no such function; FULL: later; TOO_LARGE. */
    int (*invoke)(void *data, struct str function, struct str event, action_begun_cb *begun,
                  action_invoked_cb *done, void *done_data);
    const struct action_statements *statements;
    /* The bucket of this name in the configuration, or NULL. */
    const struct bucket_config *(*bucket)(void *data, struct str name);
    void *data; /* of these functions */
};

/* Opens the logs of the directory and makes those that `specs` need. Before the loops run. [main] */
int action_logs_open(struct stream_log *log, const struct action_specs *specs,
                     enum stream_corrupted corrupted, struct err *err);

/* The bucket that an `s3` action names, if that is no template; NULL of every other action. For checking
 * that it exists. */
const char *action_bucket_of(const struct action_spec *spec);

struct action_host;

/* Starts the runners of `specs`, whose logs exist. Also when it fails there is a host, to be closed. */
int action_host_open(struct loop *loop, const struct action_services *services,
                     const struct action_specs *specs, struct action_host **ret_host,
                     struct err *err);

/* See above. Each prepare is ended by apply or, if it comes to nothing, by give_up, with the same specs;
 * also when it failed. `done` runs once, never before this returns; what `specs` points to stays
 * until then. */
void action_host_prepare(struct action_host *host, const struct action_specs *specs,
                         void (*done)(void *data, int status), void *data);
void action_host_apply(struct action_host *host, const struct action_specs *specs);
void action_host_give_up(struct action_host *host, const struct action_specs *specs);

/* Lets what is under way end within `grace_ms`, writes checkpoints, then `closed`, and the memory is
 * gone. */
void action_host_close(struct action_host *host, unsigned grace_ms, void (*closed)(void *data),
                       void *data);

/*
 * Topic rule destinations: URLs whose owners were asked to want what `http` actions post there, and the
 * operations on them (AWS IoT API reference). Opened before the host, whose services name them,
 * closed after it and after what serves their operations. `services` need no destinations.
 */
int action_destinations_open(struct loop *loop, const struct action_services *services,
                             struct destinations **ret_destinations, struct err *err);
void action_destinations_close(struct destinations *destinations); /* NULL is fine */

/* A token came back (GET /confirmdestination/TOKEN, or ConfirmTopicRuleDestination). NOT_FOUND: it
 * is none, or its time has passed; IO, NO_SPACE. */
int action_destinations_confirm(struct destinations *destinations, struct str token);

/* `changed` runs, also from inside other calls, when messages that waited may go. One at a time;
 * NULL: nobody. */
void action_destinations_watch(struct destinations *destinations, void (*changed)(void *data),
                               void *data);

/* For aws_services.rest. */
const struct rest_service *action_destinations_service(const struct destinations *destinations);

#endif
