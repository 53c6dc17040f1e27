/* The compiled rules, as the engines read them. Immutable. */
#ifndef RULE_SET_H
#define RULE_SET_H

#include <stdatomic.h>

#include "base/arena.h"
#include "rule/plan.h"
#include "rule/rule.h"
#include "rule/template.h"

enum rule_action_kind {
    RULE_ACTION_KINESIS,
    RULE_ACTION_FIREHOSE,
    RULE_ACTION_REPUBLISH,
    RULE_ACTION_OUTSIDE,
};

/* A template of an action that reaches outside, and the parameter that it becomes. */
struct rule_param {
    struct str name;
    struct rule_template template;
};

struct rule_action {
    enum rule_action_kind kind;
    const char *place;                 /* "file:line:column" in the configuration */
    struct rule_template target;       /* stream, delivery stream, topic */
    struct rule_template key;          /* kinesis: partition key */
    struct str separator;              /* firehose */
    bool batch;                        /* firehose: an array is a record per item */
    uint8_t qos;                       /* republish */
    const struct action_spec *outside; /* RULE_ACTION_OUTSIDE */
    struct rule_param *params;         /* of it, the target first */
    size_t param_count;
};

struct rule {
    struct str name;
    bool disabled; /* checked, never run */
    struct plan *plan;
    struct rule_action *actions;
    size_t action_count;
    struct rule_action *error_action; /* or NULL */
};

struct rule_set {
    _Atomic unsigned references;
    struct arena arena;
    struct rule *rules;
    size_t count;
    struct action_specs actions;
};

/* "kinesis", as in the configuration. */
const char *rule_action_name(const struct rule_action *action);

/* "KinesisAction", as in the error action's document. */
const char *rule_action_failed_name(const struct rule_action *action);

#endif
