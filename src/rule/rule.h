/*
 * Topic rules: which messages they take (FROM, WHERE), what they make of them (SELECT), and to whom
 * they give it (actions). The dialect is that of AWS IoT Core, in its versions 2015-10-08 and
 * 2016-03-23.
 *
 * A *rule* is compiled once, from the configuration or from what a client sent (book.h), immutable and
 * shared by all threads. A *rule set* is the rules in force together. Each worker has an *engine*
 * over it, which belongs to that thread and does everything there: it implements message_sink for
 * the broker, pushes records into the thread's sinks, and republishes through the thread's
 * message_publisher, during push(). Nothing here blocks, and nothing is called back later.
 *
 * What goes wrong for one message (a missing field in a partition key, a stream that was deleted)
 * is counted and logged, at most one line in ten seconds per action, and changes nothing for other
 * rules and actions. Only what a sink cannot keep (NO_SPACE, IO) is returned, so that the message
 * is not acknowledged and comes again.
 *
 * Metrics, per rule: weir_rule_topic_match_total, weir_rule_executed_total,
 * weir_rule_parse_error_total, weir_rule_exhausted_total, weir_rule_failed_total; per rule and
 * action: weir_rule_action_success_total, weir_rule_action_failure_total,
 * weir_rule_error_action_success_total, weir_rule_error_action_failure_total;
 * weir_rule_not_found_total (Basic Ingest).
 */
#ifndef RULE_RULE_H
#define RULE_RULE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"
#include "base/option.h"
#include "flow/action.h"
#include "flow/message.h"
#include "flow/sink.h"

enum {
    RULE_COUNT_MAX = 16384,    /* AWS: 1000 rules per account, adjustable */
    RULE_ACTIONS_MAX = 10,     /* AWS: actions per rule */
    RULE_NAME_CHARS_MAX = 128, /* letters, digits, underscores */
    RULE_REPUBLISH_DEPTH_MAX =
        8, /* rules that a message may come through before republish refuses it */
};

struct rule_kinesis_config {
    struct option_head head;
    const char *role;          /* name or ARN; here and below */
    const char *stream_name;   /* template */
    const char *partition_key; /* template; absent: a random UUID per message */
};

struct rule_firehose_config {
    struct option_head head;
    const char *role;
    const char *delivery_stream_name; /* template */
    const char *separator;            /* "\n", "\t", "\r\n", ","; absent: none */
    bool batch_mode;                  /* an array is one record per item */
};

/* MQTT 5 properties; all are templates, NULL: absent. */
struct rule_user_property_config {
    struct option_head head;
    const char *key, *value;
};

struct rule_headers_config {
    struct option_head head; /* head.conf NULL: none */
    const char *payload_format_indicator, *content_type, *response_topic, *correlation_data,
        *message_expiry;
    struct option_items user_properties; /* struct rule_user_property_config */
};

struct rule_republish_config {
    struct option_head head;
    const char *role;
    const char *topic; /* template */
    int64_t qos;
    struct rule_headers_config headers;
};

/* One of these, the others absent. */
struct rule_action_config {
    struct option_head head;
    struct rule_kinesis_config kinesis;
    struct rule_firehose_config firehose;
    struct rule_republish_config republish;
    const struct conf *outside; /* of an action that reaches outside: its kind reads it */
};

struct rule_config {
    struct option_head head; /* name: the rule's */
    const char *sql;
    int sql_version; /* enum rule_version, or the number behind: "beta" */
    const char *description;
    bool disabled;
    const char *role;            /* of actions that name none; may be NULL */
    struct option_items actions; /* struct rule_action_config */
    struct rule_action_config error_action;
    bool from_client; /* not from the file: its targets may come later than the rule */
};

/* For the key `rules`: OPTION_MAP with .fields = rule_options, .item_size = sizeof(struct
 * rule_config). */
extern const struct option rule_options[];

/*
 * The policies under the key `roles` (role.h says how they look), which limit what actions may touch;
 * `conf` NULL: none. Region and account are those of our ARNs. Counted, from any thread, as all below.
 */
struct rule_roles;
int rule_roles_compile(const struct conf *conf, const char *region, const char *account,
                       struct rule_roles **ret_roles, struct err *err);
struct rule_roles *rule_roles_ref(struct rule_roles *roles);
void rule_roles_unref(struct rule_roles *roles);

/* What get_secret() knows, by name. Made and filled on one thread; then counted, from any. */
struct rule_secrets;
enum { RULE_SECRET_BYTES_MAX = 65536 }; /* AWS Secrets Manager: of one secret */
struct rule_secrets *rule_secrets_new(void);
void rule_secrets_add(struct rule_secrets *secrets, const char *name, struct str bytes);
struct rule_secrets *rule_secrets_ref(struct rule_secrets *secrets);
void rule_secrets_unref(struct rule_secrets *secrets);

/* Which functions aws_lambda() may call, by name. Made and filled on one thread; then counted, from
 * any. */
struct rule_functions;
struct rule_functions *rule_functions_new(void);
void rule_functions_add(struct rule_functions *functions, const char *name);
struct rule_functions *rule_functions_ref(struct rule_functions *functions);
void rule_functions_unref(struct rule_functions *functions);

/* What rules are compiled against. Zeroed is valid: there is nothing. */
struct rule_surroundings {
    struct rule_roles *roles;
    struct rule_secrets *secrets;
    struct rule_functions *functions;
    const struct action_kind *const *kinds; /* of actions that reach outside, NULL-terminated */
};

bool rule_name_valid(struct str name);

/*
 * Compiles a rule, of whose configuration nothing is kept. On failure `err` says where in the
 * configuration and where in the SQL: "weir.yaml:12:10: rule sensors: sql 1:8: ...". INVALID;
 * UNSUPPORTED for what AWS has and Weir has not; DENIED for what its role forbids. The caller gets one
 * reference.
 */
struct rule;
int rule_compile(const struct rule_config *config, const struct rule_surroundings *surroundings,
                 struct rule **ret_rule, struct err *err);
struct rule *rule_ref(struct rule *rule);
void rule_unref(struct rule *rule);

struct rule_set;

/* Of rules with different names; takes a reference of each. */
struct rule_set *rule_set_new(struct rule *const *rules, size_t count);

/* Compiles `rules` (struct rule_config) and makes a set of them. Errors as rule_compile(). */
int rule_set_compile(const struct option_items *rules, const struct rule_surroundings *surroundings,
                     struct rule_set **ret_set, struct err *err);
struct rule_set *rule_set_ref(struct rule_set *set);
void rule_set_unref(struct rule_set *set);

/* The set's actions that reach outside, those of disabled rules too. They live as long as the set, and
 * each as long as the rule that owns it. */
const struct action_specs *rule_set_actions(const struct rule_set *set);

/* What functions of the dialect see of the world. Calls come from the engine's thread. */
struct rule_environment {
    uint64_t (*now_ms)(const struct rule_environment *environment);
    void (*uuid)(const struct rule_environment *environment, char ret_text[36]);
    double (*random)(const struct rule_environment *environment); /* 0.0 .. below 1.0 */
    const char *account_id;                                       /* 12 digits */
    /* What GetThingShadow and DescribeThing answer, appended as JSON; `shadow` is empty for the classic
     * one. At once, without waiting: 0, NOT_FOUND, or another code. NULL: there are no things. */
    int (*thing_shadow)(const struct rule_environment *environment, struct str thing,
                        struct str shadow, struct buf *document);
    int (*thing)(const struct rule_environment *environment, struct str thing,
                 struct buf *document);
    void *data;               /* of who made it */
    struct rule_calls *calls; /* what aws_lambda() was answered; NULL: it cannot be called here */
};

/* The wall clock, the kernel's random bytes, account 000000000000. */
extern const struct rule_environment rule_environment_default;

/*
 * Rules that call functions: aws_lambda(). Their evaluation waits for answers, which nothing here does.
 * Such a rule has a log (the first of its actions in rule_set_actions(), of the kind "statement"), into
 * which push() writes the message as it came. Who reads that log evaluates the statement with what was
 * answered so far, on the thread of any one engine:
 *
 *      while (rule_engine_ask(engine, rule, record, calls))
 *          call what rule_calls_wanted() says; when its answer is there, rule_calls_answer()
 *      rule_engine_resume(engine, rule, record, calls)
 *
 * An evaluation gives the same each time: chance is drawn from the record, and timestamp() is when the
 * message came.
 */
enum {
    RULE_CALLS_MAX = 10,                     /* calls of functions for one message and rule */
    RULE_CALL_INPUT_BYTES_MAX = 1024 * 1024, /* what a function is given, */
    RULE_CALL_ANSWER_BYTES_MAX = 256 * 1024, /* and what it answers: AWS's bound of an event */
};

/* The calls for one message. */
struct rule_calls;
struct rule_calls *rule_calls_new(void);
void rule_calls_free(struct rule_calls *calls);

/* What is to be called: a function's name, and JSON. Views, until it is answered. */
struct rule_call {
    struct str function, input;
};
bool rule_calls_wanted(const struct rule_calls *calls, struct rule_call *ret_call);

/* `text` (copied) is the function's answer, or, if not `ok`, why there is none. */
void rule_calls_answer(struct rule_calls *calls, bool ok, struct str text);

/* A rule, or a statement alone, and a message to try it on. */
struct rule_question {
    const struct rule *rule; /* or NULL: */
    struct str sql;
    int sql_version; /* enum rule_version */
    struct str topic, payload, client_id;
    const struct rule_environment *environment;
    /* A JSON array, or empty: what functions would answer, in the order in which they are called. None is
     * called. */
    struct str answers;
};

/*
 * What the statement makes of the message and why, as a JSON object: `valid`; if not, `error` with
 * `line`, `column` and `message`; else `matched` (FROM takes the topic), `variables` and `where` (each
 * with `type` and, if JSON can say it, `value`), `fires` (actions would run), and `result`, or
 * `result_base64` if it is no JSON, or the `reason` for which there is none. WHERE and SELECT are
 * evaluated even if the topic does not match. Of a rule also `actions` and `error_action`, as AWS writes
 * them, with each template replaced by what it comes to, and `refused` with the sentence if the action's
 * role forbids that. If it calls functions: `calls`, each with `function`, `input` and, as far as
 * there are answers, `answer`; without an answer it does not fire. Returns whether the statement is
 * valid.
 */
bool rule_explain(const struct rule_question *question, struct buf *out);

/* The rule of that name, or NULL. */
const struct rule *rule_set_find(const struct rule_set *set, struct str name);

struct rule_engine;

struct rule_engine_config {
    struct rule_set *set; /* the engine takes a reference of its own */
    struct sink_resolver *sinks;
    struct message_publisher *publisher;        /* NULL: rules that republish are refused */
    const struct rule_environment *environment; /* NULL: rule_environment_default */
    /* NULL, or the one that this is to follow on the same thread: rules that both have are not made
     * again, and their counts go on. */
    struct rule_engine *previous;
};

/* Resolves every target with a constant name; one that does not exist is an error that names rule,
 * action and target (NOT_FOUND). All that `config` points to must outlive the engine. */
int rule_engine_new(const struct rule_engine_config *config, struct rule_engine **ret_engine,
                    struct err *err);
void rule_engine_free(struct rule_engine *engine);

/*
 * Follows a rule: for each message that comes to it `line` is told one JSON object, within push():
 * `rule`, `topic`, `client_id`, `at` (RFC 3339), `where`, `fires`, `reason` or `result` (if it is
 * not longer than RULE_TRACE_RESULT_BYTES_MAX), `actions` (each with `action`, `resource`,
 * `outcome`, `error`, `microseconds`) and `microseconds` of the whole. It costs nothing while
 * nobody follows. `tracer` stays where it is until rule_engine_untrace(), and moves along to the
 * engine that succeeds this one. A rule that does not exist may come later.
 */
enum { RULE_TRACE_RESULT_BYTES_MAX = 4096 };

struct rule_tracer {
    struct link link;
    struct str rule;
    void (*line)(struct rule_tracer *tracer, struct str json);
};

void rule_engine_trace(struct rule_engine *engine, struct rule_tracer *tracer);
void rule_engine_untrace(struct rule_engine *engine, struct rule_tracer *tracer);

/* `engine` is now in force in the place of its `previous`: counts of rules that were replaced under their
 * name go on, and so do traces. */
void rule_engine_succeed(struct rule_engine *engine, struct rule_engine *previous);

/*
 * The broker's way in, alive as long as the engine. push() may come again from within push(), by
 * way of a republish.
 *
 * route() may raise `generation`: then the routes it returned before are gone, and the one it
 * returns belongs to the new generation. It does so when more different routes exist than it keeps.
 * A topic "$aws/rules/NAME/..." (Basic Ingest) leads to that rule alone; the broker must not
 * deliver such a message to subscribers.
 */
struct message_sink *rule_engine_sink(struct rule_engine *engine);

/*
 * The rule on a message of its log (see above), as the rule is now, or, if the engine has it no more, as
 * `rule` was. ask: whether a function's answer is missing; nothing is done. resume: runs the rule, and
 * returns as push() does; what was not answered has failed.
 */
bool rule_engine_ask(struct rule_engine *engine, struct rule *rule,
                     const struct action_record *record, struct rule_calls *calls);
int rule_engine_resume(struct rule_engine *engine, struct rule *rule,
                       const struct action_record *record, struct rule_calls *calls);

/* What an action that reaches outside could not deliver, long after the message came. */
struct rule_failure {
    struct str rule;
    const char *failed_action; /* "HttpAction" */
    struct str resource, why;
    const struct action_record *record; /* the error action's templates see its message */
    /* Several messages that failed together, `record` being the first; NULL: there is one. */
    const struct action_record *const *batch;
    size_t batch_count;
    bool is_across_topics; /* they may be of several topics */
};

/*
 * Runs the rule's error action with a report of the failure, as if the action had failed at once.
 * MESSAGE_TAKEN: there is no such rule (any more), or it has no error action, or what it did waits for
 * nothing; MESSAGE_STAGED; negative: it could not be kept, and may be tried again. An error action that
 * fails for good is counted and logged, and that is the end of it.
 */
int rule_engine_fail(struct rule_engine *engine, const struct rule_failure *failure);

#endif
