/* What engine.c, action.c and deferred.c share: the state of one worker's rules. All of it belongs to that
 * worker's thread. */
#ifndef RULE_ENGINE_H
#define RULE_ENGINE_H

#include "base/log.h"
#include "base/map.h"
#include "base/metric.h"
#include "base/random.h"
#include "rule/index.h"
#include "rule/set.h"

struct engine_rule;

/* What rule_engine_sink()->route() gives out. */
struct rule_route {
    size_t topic_skip; /* Basic Ingest: bytes of "$aws/rules/NAME/", which topic() does not see */
    bool unknown;      /* Basic Ingest: there is no such rule */
    size_t count;
    struct engine_rule *rules[];
};

struct engine_action {
    const struct rule *rule;
    const struct rule_action *action;
    struct sink *sink; /* of a constant target; NULL: found by name for each message */
    struct metric success, failure;
    struct log_limit limit;
};

/* Engines that follow one another share those of the rules that both have. */
struct engine_rule {
    unsigned references;
    struct rule *rule;
    bool is_straight;           /* straight.h; nobody follows it */
    bool traced;                /* somebody follows it */
    struct sink *statement_log; /* of a rule that calls functions; may be found anew */
    struct metric match, executed, parse_error, exhausted, failed;
    struct engine_action *actions;
    struct engine_action *error_action; /* or NULL */
    struct log_limit limit;
    struct rule_route *basic; /* this rule alone */
    struct arena arena;       /* of the above */
};

/* What one push needs while it runs. A republish pushes from within a push, so there is one per
 * level. */
struct engine_frame {
    struct rule_payload payload;
    struct arena arena; /* reset per rule */
    struct buf out, scratch;
    struct buf target, key; /* templates of the action that runs */
    struct buf record;   /* payload and separator; the record of an action that reaches outside */
    struct buf params;   /* its parameters; the properties of a republished message */
    struct buf failures; /* for the error action: JSON objects with commas between them */
    struct buf error_report; /* and its document */
    struct buf trace;        /* the line of who follows */
    struct json batch;
    /* what the report tells of several messages, or NULL */
    const struct rule_failure *failed_batch;
    char trace_id[UUID_CHARS];
};

enum { ENGINE_FRAMES = RULE_REPUBLISH_DEPTH_MAX + 1 };

struct rule_engine {
    struct message_sink sink;
    struct rule_set *set;
    struct sink_resolver *sinks;
    struct message_publisher *publisher;
    const struct rule_environment *environment;
    struct rule_cache cache;
    struct engine_rule **rules;
    size_t count;
    struct arena arena; /* what lives as long as the engine */
    struct map by_name;
    struct rule_index index; /* rules by FROM */
    struct matching {        /* the rules of the topic that is looked for, by number */
        uint32_t *rules;
        size_t count;
    } matching;
    struct map routes; /* matching rules, to route */
    struct arena routes_arena;
    struct link tracers; /* struct rule_tracer */
    struct rule_route *unknown;
    struct metric not_found;
    struct log_limit not_found_limit;
    struct engine_frame *frames[ENGINE_FRAMES]; /* made when first needed */
    unsigned depth;                             /* pushes that run */
};

/* One rule on one message. */
struct engine_run {
    struct rule_engine *engine;
    struct engine_rule *rule;
    struct engine_frame *frame;
    struct evaluation evaluation;
    struct rule_trace *trace; /* of who follows the rule, or NULL */
    int result;               /* of the whole push: the most serious so far */
};

/* Takes a frame, until `engine->depth` is lowered; then one rule after the other. */
void rule_run_begin(struct engine_run *run, struct rule_engine *engine,
                    const struct message *message, size_t topic_skip);
void rule_run_begin_rule(struct engine_run *run, struct engine_rule *rule);

/* Evaluates the statement and runs the actions; with a line for those who follow the rule. */
void rule_run_evaluate(struct engine_run *run);

/* What comes to nothing because of this, for the error action and the log. */
void rule_run_fail(struct engine_run *run, const char *failed_action, struct str resource,
                   const char *why);

/* Joins what one part of the push came to with the rest. */
void rule_run_join(struct engine_run *run, int result);

/* With one reference, and its targets resolved. */
int rule_engine_rule_new(struct rule_engine *engine, struct rule *made,
                         struct engine_rule **ret_rule, struct err *err);
void rule_engine_rule_unref(struct engine_rule *rule);

/* The counts of `from` go on in `to`, action by action where both have the same kind. */
void rule_engine_rule_succeed(struct engine_rule *to, struct engine_rule *from);

/* Appends to the log of an action or a rule, which has one shard. *sink is kept for the next time: it is
 * found anew when the log was made anew. As sink_push(); IO while there is no log. */
int rule_action_push(struct rule_engine *engine, struct sink **sink, struct str log,
                     struct str record, struct err *why);

/* A delivery stream has one shard, so the key decides nothing. */
#define RULE_DELIVERY_KEY STR("0")

/* 0; INVALID: the key; TOO_LARGE: key and data. */
static inline int rule_record_fault(const struct record *record) {
    size_t key_bytes = record->partition_key.len;
    if (key_bytes == 0 || key_bytes > RECORD_KEY_BYTES_MAX)
        return ERR_INVALID;
    return record->data.len > RECORD_BYTES_DEFAULT - key_bytes ? ERR_TOO_LARGE : 0;
}

/*
 * Runs one action on the outgoing payload. MESSAGE_TAKEN, MESSAGE_STAGED, or a negative code with
 * the reason in `why`. *ret_resource is what it acted upon, for the error action; valid until the
 * frame's next action.
 */
int rule_action_run(struct rule_engine *engine, struct engine_action *action,
                    struct evaluation *evaluation, struct engine_frame *frame, struct str payload,
                    struct str *ret_resource, struct err *why);

#endif
