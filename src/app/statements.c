#include "app/statements.h"

#include "app/service.h"

static struct rule_engine *engine_of(void *data) {
    return ((const struct service *)data)->lane->engine;
}

static void *open_calls(void) {
    return rule_calls_new();
}

static void close_calls(void *calls) {
    rule_calls_free(calls);
}

/* The owner of a statement's spec is its rule. */
static bool ask(void *data, const struct action_spec *spec, const struct action_record *record,
                void *calls, struct str *ret_function, struct str *ret_input) {
    struct rule_call call;
    if (!rule_engine_ask(engine_of(data), spec->owner, record, calls) ||
        !rule_calls_wanted(calls, &call))
        return false;
    *ret_function = call.function;
    *ret_input = call.input;
    return true;
}

static void answer(void *calls, bool ok, struct str text) {
    rule_calls_answer(calls, ok, text);
}

static int run(void *data, const struct action_spec *spec, const struct action_record *record,
               void *calls) {
    return rule_engine_resume(engine_of(data), spec->owner, record, calls);
}

const struct action_statements service_statements = {
    .open = open_calls, .close = close_calls, .ask = ask, .answer = answer, .run = run};
