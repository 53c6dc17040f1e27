/* Running a plan on a message. */
#ifndef RULE_EVALUATE_H
#define RULE_EVALUATE_H

#include "base/arena.h"
#include "flow/message.h"
#include "rule/plan.h"
#include "rule/rule.h"
#include "rule/value.h"

/* Bounds of one rule on one message. */
enum {
    EVALUATION_EFFORT_MAX = 250000,                /* steps: nodes, members and items looked at */
    EVALUATION_MEMORY_BYTES_MAX = 8 * 1024 * 1024, /* values built */
    EVALUATION_OUTPUT_BYTES_MAX = 1024 * 1024,     /* what actions are given: a record's limit */
    EVALUATION_DOCUMENTS_MAX = 8,                  /* things and shadows that are read */
    EVALUATION_VALUE_BYTES_MAX = 128 * 1024, /* AWS: all SET variables; what transform() makes */
};

enum payload_state {
    PAYLOAD_UNREAD,
    PAYLOAD_DOCUMENT, /* a JSON object or array */
    PAYLOAD_EMPTY,    /* no bytes: as if an object without members */
    PAYLOAD_OTHER, /* bytes, or a JSON scalar, which the dialect cannot use as a document either */
};

enum { FIELDS_REMEMBERED = 8 };

/*
 * The payload of one message, read at most once for all rules. Zeroed is valid. Fields are remembered as
 * values, since a statement mostly names in SELECT what it names in WHERE, and so do the rules of one
 * topic: in the place that the length of the name says, the newest one. What lies in an arena is not.
 */
struct rule_payload {
    enum payload_state state;
    struct json json;
    unsigned remembered; /* a bit per place that holds one */
    struct remembered_field {
        struct str name;
        enum rule_version version;
        struct value value;
    } fields[FIELDS_REMEMBERED];
};

/* What names mean inside a nested query. */
struct evaluation_scope {
    struct value element;
    struct str name; /* FROM ... AS name; may be empty */
    const struct evaluation_scope *outer;
};

struct evaluation {
    const struct rule_environment *environment;
    const struct message *message;
    struct str topic; /* as topic() sees it */
    enum rule_version version;
    struct rule_payload *payload;
    struct arena *arena;      /* values are built here; whoever owns it resets it */
    struct rule_cache *cache; /* of the thread; outlives the evaluation */
    struct buf *scratch;      /* for texts on their way into the arena; empty between uses */
    char *trace_id;           /* 36 characters, empty until it is asked for; one per message */
    struct value *variables;
    const struct evaluation_scope *scope;
    const struct plan_expression *call; /* whose function runs */
    unsigned effort_left;
    bool exhausted;                 /* a bound was passed: the result is not to be used */
    bool payload_missed;            /* a field was asked for and the payload is no document */
    bool star_missed;               /* and so was * */
    const struct rule_roles *roles; /* of the rule; for functions that reach outside */
    const struct rule_secrets *secrets;
    struct evaluation_document *documents; /* read so far; in the arena */
    const char *failure;         /* why such a function failed, in the arena; NULL: none has */
    const char *failed_function; /* then: which, */
    struct str failed_resource;  /* and on what */
};

enum rule_outcome {
    RULE_NOTHING,    /* WHERE was not true */
    RULE_RESULT,     /* *ret_payload */
    RULE_UNREADABLE, /* the statement needs a JSON document and the payload is none */
    RULE_EXHAUSTED,  /* a bound was passed */
    RULE_FAILED,     /* a function that reaches outside failed: evaluation->failure */
    RULE_PENDING,    /* a function's answer is wanted (calls.h) */
};

enum rule_outcome rule_evaluate_statement(const struct plan *plan, struct evaluation *evaluation,
                                          struct buf *out, struct str *ret_payload);

/* The outgoing payload is a view into the message or into `out`, which is cleared before. */
static inline enum rule_outcome rule_evaluate(const struct plan *plan,
                                              struct evaluation *evaluation, struct buf *out,
                                              struct str *ret_payload) {
    if (!plan->takes_all)
        return rule_evaluate_statement(plan, evaluation, out, ret_payload);
    *ret_payload = evaluation->message->payload;
    return RULE_RESULT;
}

/* One expression: of a template, after rule_evaluate() on the same evaluation gave the variables
 * their values. */
struct value rule_evaluate_expression(const struct plan_expression *expression,
                                      struct evaluation *evaluation);

/* What * stands for: the element of the innermost query, else the payload. */
struct value rule_evaluation_star(struct evaluation *evaluation);

/* A UUID for the message, made when it is first asked for. */
struct str rule_evaluation_trace_id(struct evaluation *evaluation);

/* Counts `steps` of effort. False, and exhausted, if there is not so much left. */
bool rule_evaluation_spend(struct evaluation *evaluation, size_t steps);

/* The same for work that goes through so many bytes of text. */
static inline bool rule_evaluation_spend_bytes(struct evaluation *evaluation, size_t bytes) {
    enum { BYTES_PER_STEP = 16 };
    return rule_evaluation_spend(evaluation, bytes / BYTES_PER_STEP);
}

/* Memory for a value; NULL, and exhausted, if there is not so much left. */
void *rule_evaluation_alloc(struct evaluation *evaluation, size_t size);

/* How long the value is as JSON. */
size_t rule_evaluation_measure(struct evaluation *evaluation, struct value value);

/* A copy of what the scratch buffer holds, which is then empty, as a String. */
struct value rule_evaluation_take_scratch(struct evaluation *evaluation);

#endif
