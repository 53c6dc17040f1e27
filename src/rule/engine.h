/* What engine.c and action.c share: the state of one worker's rules. All of it belongs to that
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
    bool traced; /* somebody follows it */
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
    const struct rule_failure
        *failed_batch; /* what the report tells of several messages, or NULL */
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

/*
 * Runs one action on the outgoing payload. MESSAGE_TAKEN, MESSAGE_STAGED, or a negative code with
 * the reason in `why`. *ret_resource is what it acted upon, for the error action; valid until the
 * frame's next action.
 */
int rule_action_run(struct rule_engine *engine, struct engine_action *action,
                    struct evaluation *evaluation, struct engine_frame *frame, struct str payload,
                    struct str *ret_resource, struct err *why);

#endif
