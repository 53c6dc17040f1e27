/* The compiled rules, as the engines read them. Immutable. */
#ifndef RULE_SET_H
#define RULE_SET_H

#include <stdatomic.h>

#include "base/arena.h"
#include "rule/header.h"
#include "rule/plan.h"
#include "rule/role.h"
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
    const char *place;             /* "file:line:column: " in the configuration, or empty */
    const struct iam_policy *role; /* or NULL: all is allowed */
    const char *role_name;
    bool permitted;                    /* the role allows the constant target */
    struct rule_template target;       /* stream, delivery stream, topic */
    struct rule_template key;          /* kinesis: partition key */
    struct str separator;              /* firehose */
    bool batch;                        /* firehose: an array is a record per item */
    uint8_t qos;                       /* republish */
    struct rule_headers headers;       /* republish */
    const struct action_spec *outside; /* RULE_ACTION_OUTSIDE */
    struct rule_param *params;         /* of it; the first is what is acted upon */
    size_t param_count;
};

struct rule {
    _Atomic unsigned references;
    struct arena arena;
    struct rule_roles *roles;
    struct rule_secrets *secrets;
    struct str name, description;
    struct str document; /* as the API shows it (document.h), without name and times */
    const char *place;   /* "file:line:column" of a rule of the configuration, else empty */
    struct str sql;
    bool disabled;    /* checked, never run */
    bool from_client; /* targets are looked for when they are needed */
    struct plan *plan;
    struct rule_action *actions;
    size_t action_count;
    struct rule_action *error_action; /* or NULL */
    /* Of a rule that calls functions: its log, of which the engine on the service's thread reads
     * (deferred.h). Else NULL. */
    const struct action_spec *statement;
    bool asks_in_templates;                 /* its actions' templates call functions too */
    const struct iam_policy *function_role; /* or NULL: all may be called */
    const char *function_role_name;
};

struct rule_set {
    _Atomic unsigned references;
    struct action_specs actions; /* its items are the set's own */
    size_t count;
    struct rule *rules[];
};

/* "kinesis", as in the configuration. */
const char *rule_action_name(const struct rule_action *action);

/* "KinesisAction", as in the error action's document. */
const char *rule_action_failed_name(const struct rule_action *action);

/* Whether the rule's role lets it call the function of this name: 0, or DENIED with a sentence. */
int rule_function_permit(const struct rule *rule, struct str function, struct err *why);

/* Whether the action's role lets it touch `target`: 0, or DENIED with a sentence. */
int rule_action_permit(const struct rule *rule, const struct rule_action *action, struct str target,
                       struct err *why);

#endif
