/*
 * Calls of functions out of a statement (aws_lambda()): which functions there are, and what they
 * answered for one message.
 *
 * A statement that calls is evaluated again and again, each time with one answer more, until none is
 * missing. Answers are found by what was called with which input, each once per evaluation, in the order
 * in which they came. So that an input is the same the next time, chance and the clock stand still: the
 * environment that the evaluation sees draws random numbers from a seed, from the beginning each time.
 */
#ifndef RULE_CALLS_H
#define RULE_CALLS_H

#include "rule/evaluate.h"

/* NULL has none. */
bool rule_functions_has(const struct rule_functions *functions, struct str name);

enum { CALLS_SEED_BYTES = 16 };

struct call_answer {
    struct buf function, input, text;
    struct json json; /* of the text, if ok */
    bool ok;
    bool used; /* in this evaluation */
};

struct rule_calls {
    struct rule_environment environment; /* what the evaluation sees */
    const struct rule *rule;             /* whose role counts; NULL: a statement alone */
    uint64_t now_ms;
    uint64_t seed[2], draws;
    struct call_answer answers[RULE_CALLS_MAX];
    size_t count;  /* that are there; of the next one function and input, if it is wanted */
    bool wanted;   /* an answer is missing: the evaluation has ended early */
    bool is_final; /* nothing more is called: what is not there fails */
};

/* An evaluation begins. CALLS_SEED_BYTES of seed, or less: then chance is the one of `calls`. What
 * was answered for another rule, in whose place this one is now, is forgotten. */
void rule_calls_begin(struct rule_calls *calls, const struct rule_environment *base,
                      const struct rule *rule, struct str seed, uint64_t now_ms, bool is_final);

/* The answer, of which a value may be a view; NULL: it is wanted now, or (with `why`) it cannot be. */
const struct call_answer *rule_calls_get(struct rule_calls *calls, struct str function,
                                         struct str input, const char **why);

/* Something is to be evaluated once more beside the evaluation that goes on. */
struct calls_mark {
    uint64_t draws;
    bool used[RULE_CALLS_MAX];
};
void rule_calls_rewind(struct rule_calls *calls, struct calls_mark *ret_mark);
void rule_calls_return(struct rule_calls *calls, const struct calls_mark *mark);

#endif
