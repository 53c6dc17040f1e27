/*
 * Answers questions for the tests of this folder: lines "version TAB sql TAB payload TAB topic" in, a
 * line with the outgoing payload out; "-" if WHERE is not true, "!" and the reason if there is none
 * for another reason. The world stands still: a fixed time, UUID and random number.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rule/evaluate.h"

static uint64_t now_ms(const struct rule_environment *environment) {
    return 1700000000123;
}

static void uuid(const struct rule_environment *environment, char ret_text[36]) {
    memcpy(ret_text, "6fa459ea-ee8a-4ca4-894e-db77e160355e", 36);
}

static double quarter(const struct rule_environment *environment) {
    return 0.25;
}

static const struct rule_environment environment = {now_ms, uuid, quarter, "123456789012"};

static void evaluate(const struct plan *plan, const struct message *message,
                     struct rule_cache *cache) {
    static struct rule_payload payload;
    static struct arena arena;
    static struct buf out, scratch;
    char trace_id[36] = "";
    struct str result;
    struct evaluation evaluation = {
        .environment = &environment,
        .message = message,
        .topic = message->topic,
        .version = plan->version,
        .payload = &payload,
        .arena = &arena,
        .cache = cache,
        .scratch = &scratch,
        .trace_id = trace_id,
        .effort_left = EVALUATION_EFFORT_MAX,
    };
    payload.state = PAYLOAD_UNREAD;
    arena_reset(&arena);
    switch (rule_evaluate(plan, &evaluation, &out, &result)) {
    case RULE_NOTHING:
        puts("-");
        break;
    case RULE_UNREADABLE:
        puts("! unreadable");
        break;
    case RULE_EXHAUSTED:
        puts("! exhausted");
        break;
    case RULE_FAILED:
        puts("! failed");
        break;
    case RULE_PENDING: /* no function can be called here, so none is waited for */
        puts("! pending");
        break;
    case RULE_RESULT:
        printf("%.*s\n", STR_ARG(result));
        break;
    }
}

int main(void) {
    static struct rule_cache cache;
    char *line = NULL;
    size_t cap = 0;
    for (ssize_t len; (len = getline(&line, &cap, stdin)) > 0;) {
        struct str rest = str_from(line, (size_t)len - (line[len - 1] == '\n'));
        struct str version = str_cut(rest, '\t', &rest), sql = str_cut(rest, '\t', &rest);
        struct message message = {.payload = str_cut(rest, '\t', &message.topic)};
        message.client_id = STR("client-7");
        message.source_ip = STR("192.0.2.9");
        struct arena arena = {0};
        struct plan *plan;
        struct err err;
        bool old = str_eq(version, STR("2015-10-08"));
        if (rule_plan_statement(&arena, sql,
                                old ? RULE_VERSION_2015_10_08 : RULE_VERSION_2016_03_23, &plan,
                                &err) < 0)
            printf("! %s\n", err.text);
        else
            evaluate(plan, &message, &cache);
        arena_done(&arena);
    }
    rule_cache_done(&cache);
    free(line);
    return 0;
}
