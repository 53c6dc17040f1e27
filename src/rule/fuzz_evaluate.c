/* A statement, a NUL byte, and a payload: compiled and evaluated, once per version, in bounded time. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "rule/evaluate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t now_ms(const struct rule_environment *environment) {
    return 1700000000123;
}

static void uuid(const struct rule_environment *environment, char ret_text[36]) {
    memset(ret_text, 'a', 36);
}

static double half(const struct rule_environment *environment) {
    return 0.5;
}

static int shadow(const struct rule_environment *environment, struct str thing, struct str name,
                  struct buf *document) {
    buf_add_str(document, STR("{\"state\":{\"desired\":{\"a\":[1,\"b\"]}}}"));
    return name.len ? ERR_NOT_FOUND : 0;
}

static int thing(const struct rule_environment *environment, struct str name,
                 struct buf *document) {
    return shadow(environment, name, (struct str){0}, document);
}

/* No message may take longer than 10 ms; sanitizers make it many times that. */
enum { MILLISECONDS_MAX = 10, SANITIZERS_FACTOR = 20 };

static int64_t cpu_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void check_time(int64_t began_us) {
    int64_t took_us = cpu_us() - began_us;
    if (took_us < MILLISECONDS_MAX * SANITIZERS_FACTOR * 1000)
        return;
    fprintf(stderr, "one message took %lld us\n", (long long)took_us);
    abort();
}

static void evaluate(struct str sql, struct str payload, enum rule_version version) {
    static const struct rule_environment environment = {
        .now_ms = now_ms,
        .uuid = uuid,
        .random = half,
        .account_id = "123456789012",
        .thing_shadow = shadow,
        .thing = thing,
    };
    struct arena plan_arena = {0}, arena = {0};
    struct rule_payload read = {0};
    struct rule_cache cache = {0};
    struct buf out = {0}, scratch = {0};
    char trace_id[36] = "";
    struct plan *plan;
    struct err err;
    struct message message = {
        .topic = STR("dev/a1/t"), .payload = payload, .properties = payload, .client_id = STR("c")};
    struct evaluation evaluation = {.environment = &environment,
                                    .message = &message,
                                    .topic = message.topic,
                                    .version = version,
                                    .payload = &read,
                                    .arena = &arena,
                                    .cache = &cache,
                                    .scratch = &scratch,
                                    .trace_id = trace_id,
                                    .effort_left = EVALUATION_EFFORT_MAX};
    if (rule_plan_statement(&plan_arena, sql, version, &plan, &err) == 0) {
        struct str result;
        int64_t began_us = cpu_us();
        rule_evaluate(plan, &evaluation, &out, &result);
        check_time(began_us);
        if (buf_len(&scratch))
            abort();
    }
    json_done(&read.json);
    rule_cache_done(&cache);
    buf_done(&out);
    buf_done(&scratch);
    arena_done(&plan_arena);
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str payload, sql = str_cut(str_from(data, size), '\0', &payload);
    /* A block of its own, so that reading behind the end is seen. */
    char *copy = xmemdup(payload.at, payload.len);
    evaluate(sql, str_from(copy, payload.len), RULE_VERSION_2015_10_08);
    evaluate(sql, str_from(copy, payload.len), RULE_VERSION_2016_03_23);
    free(copy);
    return 0;
}
