#include "rule/calls.h"

#include <stdlib.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/ref.h"

/* ---- the functions there are ---- */

struct rule_functions {
    _Atomic unsigned references;
    struct arena arena;
    struct map by_name;
};

struct rule_functions *rule_functions_new(void) {
    struct rule_functions *functions = xcalloc(1, sizeof *functions);
    functions->references = 1;
    return functions;
}

void rule_functions_add(struct rule_functions *functions, const char *name) {
    char *copy = arena_strdup(&functions->arena, str_of(name));
    map_put(&functions->by_name, str_of(copy), copy);
}

struct rule_functions *rule_functions_ref(struct rule_functions *functions) {
    if (functions)
        ref_take(&functions->references);
    return functions;
}

void rule_functions_unref(struct rule_functions *functions) {
    if (!functions || !ref_drop(&functions->references))
        return;
    map_done(&functions->by_name);
    arena_done(&functions->arena);
    free(functions);
}

bool rule_functions_has(const struct rule_functions *functions, struct str name) {
    return functions && map_get(&functions->by_name, name);
}

/* ---- chance that can be repeated ---- */

static struct rule_calls *calls_of(const struct rule_environment *environment) {
    return environment->calls;
}

/* The mixing step of SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators",
 * 2014): neighbouring numbers become unrelated ones. */
static uint64_t mix(uint64_t number) {
    number = (number ^ (number >> 30)) * 0xbf58476d1ce4e5b9;
    number = (number ^ (number >> 27)) * 0x94d049bb133111eb;
    return number ^ (number >> 31);
}

static uint64_t draw(struct rule_calls *calls) {
    uint64_t step = ++calls->draws * 0x9e3779b97f4a7c15;
    return mix(mix(calls->seed[0] + step) ^ calls->seed[1]);
}

static uint64_t now_ms(const struct rule_environment *environment) {
    return calls_of(environment)->now_ms;
}

static void make_uuid(const struct rule_environment *environment, char ret_text[UUID_CHARS]) {
    uint64_t numbers[2] = {draw(calls_of(environment)), draw(calls_of(environment))};
    random_uuid_from(numbers, ret_text);
}

static double make_random(const struct rule_environment *environment) {
    return (double)(draw(calls_of(environment)) >> 11) * 0x1p-53;
}

/* ---- answers ---- */

struct rule_calls *rule_calls_new(void) {
    struct rule_calls *calls = xcalloc(1, sizeof *calls);
    random_bytes(calls->seed, sizeof calls->seed);
    return calls;
}

void rule_calls_free(struct rule_calls *calls) {
    if (!calls)
        return;
    for (size_t i = 0; i < RULE_CALLS_MAX; i++) {
        struct call_answer *answer = &calls->answers[i];
        buf_done(&answer->function);
        buf_done(&answer->input);
        buf_done(&answer->text);
        json_done(&answer->json);
    }
    free(calls);
}

void rule_calls_begin(struct rule_calls *calls, const struct rule_environment *base,
                      const struct rule *rule, struct str seed, uint64_t now, bool is_final) {
    if (calls->rule && calls->rule != rule)
        calls->count = 0;
    calls->rule = rule;
    calls->now_ms = now;
    calls->is_final = is_final;
    calls->environment = *base;
    calls->environment.now_ms = now_ms;
    calls->environment.uuid = make_uuid;
    calls->environment.random = make_random;
    calls->environment.calls = calls;
    if (seed.len == sizeof calls->seed)
        memcpy(calls->seed, seed.at, sizeof calls->seed);
    struct calls_mark mark;
    rule_calls_rewind(calls, &mark);
    calls->wanted = false;
}

static struct call_answer *find(struct rule_calls *calls, struct str function, struct str input) {
    for (size_t i = 0; i < calls->count; i++) {
        struct call_answer *answer = &calls->answers[i];
        if (!answer->used && str_eq(buf_str(&answer->function), function) &&
            str_eq(buf_str(&answer->input), input))
            return answer;
    }
    return NULL;
}

const struct call_answer *rule_calls_get(struct rule_calls *calls, struct str function,
                                         struct str input, const char **why) {
    struct call_answer *answer = find(calls, function, input);
    *why = NULL;
    if (answer)
        answer->used = true;
    else if (calls->is_final)
        *why = "it was not asked before with what it is given now";
    else if (input.len > RULE_CALL_INPUT_BYTES_MAX)
        *why = "it would be given too much";
    else if (calls->count == RULE_CALLS_MAX)
        *why = "too many functions are called for one message";
    if (answer || *why)
        return answer;
    answer = &calls->answers[calls->count];
    buf_clear(&answer->function);
    buf_clear(&answer->input);
    buf_clear(&answer->text);
    buf_add_str(&answer->function, function);
    buf_add_str(&answer->input, input);
    calls->wanted = true;
    return NULL;
}

bool rule_calls_wanted(const struct rule_calls *calls, struct rule_call *ret_call) {
    const struct call_answer *answer = &calls->answers[calls->count];
    if (calls->wanted)
        *ret_call = (struct rule_call){buf_str(&answer->function), buf_str(&answer->input)};
    return calls->wanted;
}

static const char *refuse_answer(struct call_answer *answer, struct str text) {
    if (text.len > RULE_CALL_ANSWER_BYTES_MAX)
        return "its answer is too large";
    buf_add_str(&answer->text, text);
    return json_parse(&answer->json, buf_str(&answer->text)) ? "its answer is no JSON" : NULL;
}

void rule_calls_answer(struct rule_calls *calls, bool ok, struct str text) {
    ASSERT(calls->wanted);
    struct call_answer *answer = &calls->answers[calls->count++];
    const char *why = ok ? refuse_answer(answer, text) : NULL;
    answer->ok = ok && !why;
    if (!answer->ok) {
        buf_clear(&answer->text);
        buf_add_str(&answer->text, why ? str_of(why) : text);
    }
    calls->wanted = false;
}

/* ---- marks ---- */

void rule_calls_rewind(struct rule_calls *calls, struct calls_mark *ret_mark) {
    ret_mark->draws = calls->draws;
    calls->draws = 0;
    for (size_t i = 0; i < RULE_CALLS_MAX; i++) {
        ret_mark->used[i] = calls->answers[i].used;
        calls->answers[i].used = false;
    }
}

void rule_calls_return(struct rule_calls *calls, const struct calls_mark *mark) {
    calls->draws = mark->draws;
    for (size_t i = 0; i < RULE_CALLS_MAX; i++)
        calls->answers[i].used = mark->used[i];
}
