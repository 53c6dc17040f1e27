/* For the tests of this folder: one statement on one message, in a world that stands still. */
#ifndef RULE_SQL_TEST_H
#define RULE_SQL_TEST_H

#include "base/test.h"

#include <stdio.h>
#include <stdlib.h>

#include "rule/evaluate.h"
#include "rule/rule.h"
#include "rule/template.h"

#define TEST_UUID "6fa459ea-ee8a-4ca4-894e-db77e160355e"

static inline uint64_t test_now_ms(const struct rule_environment *environment) {
    return 1700000000123;
}

static inline void test_uuid(const struct rule_environment *environment, char ret_text[36]) {
    memcpy(ret_text, TEST_UUID, 36);
}

static inline double test_random(const struct rule_environment *environment) {
    return 0.25;
}

/* One thing with a classic shadow and one called "n"; how often they were read. */
static unsigned test_reads;

static inline int test_thing_shadow(const struct rule_environment *environment, struct str thing,
                                    struct str shadow, struct buf *document) {
    test_reads++;
    if (str_eq(thing, STR("broken")))
        return ERR_IO;
    if (!str_eq(thing, STR("lamp")) || (shadow.len && !str_eq(shadow, STR("n"))))
        return ERR_NOT_FOUND;
    buf_printf(document, "{\"state\":{\"reported\":{\"on\":true,\"of\":\"%s\"}}}",
               shadow.len ? "n" : "classic");
    return 0;
}

static inline int test_thing(const struct rule_environment *environment, struct str thing,
                             struct buf *document) {
    test_reads++;
    if (!str_eq(thing, STR("lamp")))
        return ERR_NOT_FOUND;
    buf_add_str(document, STR("{\"thingName\":\"lamp\",\"attributes\":{\"room\":\"k\"}}"));
    return 0;
}

static const struct rule_environment test_environment = {
    .now_ms = test_now_ms,
    .uuid = test_uuid,
    .random = test_random,
    .account_id = "123456789012",
    .thing_shadow = test_thing_shadow,
    .thing = test_thing,
};

struct sql_run {
    struct arena plan_arena, arena;
    struct rule_payload payload;
    struct rule_cache cache;
    struct buf out, scratch, room;
    char trace_id[36];
    struct message message;
    struct evaluation evaluation;
    struct plan *plan;
    struct err err;
};

static inline void sql_run_done(struct sql_run *run) {
    arena_done(&run->plan_arena);
    arena_done(&run->arena);
    json_done(&run->payload.json);
    rule_cache_done(&run->cache);
    buf_done(&run->out);
    buf_done(&run->scratch);
    buf_done(&run->room);
}

static inline struct message test_message(struct str payload) {
    return (struct message){.topic = STR("dev/a1/t"),
                            .payload = payload,
                            .client_id = STR("client-7"),
                            .principal = STR("abcdef"),
                            .source_ip = STR("192.0.2.9")};
}

/* 0, or what compiling gave (text in run->err). */
static inline int sql_run_init(struct sql_run *run, enum rule_version version, const char *sql,
                               struct message message) {
    *run = (struct sql_run){.message = message};
    run->evaluation = (struct evaluation){
        .environment = &test_environment,
        .message = &run->message,
        .topic = message.topic,
        .version = version,
        .payload = &run->payload,
        .arena = &run->arena,
        .cache = &run->cache,
        .scratch = &run->scratch,
        .trace_id = run->trace_id,
        .effort_left = EVALUATION_EFFORT_MAX,
    };
    return rule_plan_statement(&run->plan_arena, str_of(sql), version, &run->plan, &run->err);
}

/* What the statement makes of the payload; "-" if it makes nothing, "parse error", "exhausted", or
 * the error of compiling. The caller frees it. */
static inline char *sql_result_with(const struct rule_surroundings *surroundings,
                                    enum rule_version version, const char *sql,
                                    struct message message) {
    struct sql_run run;
    struct str payload = {0};
    char *text = NULL;
    if (sql_run_init(&run, version, sql, message) < 0) {
        text = strdup(run.err.text);
    } else {
        run.evaluation.roles = surroundings->roles;
        run.evaluation.secrets = surroundings->secrets;
        switch (rule_evaluate(run.plan, &run.evaluation, &run.out, &payload)) {
        case RULE_NOTHING:
            text = strdup("-");
            break;
        case RULE_UNREADABLE:
            text = strdup("parse error");
            break;
        case RULE_EXHAUSTED:
            text = strdup("exhausted");
            break;
        case RULE_FAILED:
            text = strdup(run.evaluation.failure);
            break;
        case RULE_PENDING:
            text = strdup("pending");
            break;
        case RULE_RESULT:
            text = str_dup(payload);
            break;
        }
    }
    sql_run_done(&run);
    return text;
}

static inline char *sql_result(enum rule_version version, const char *sql, struct message message) {
    static const struct rule_surroundings none;
    return sql_result_with(&none, version, sql, message);
}

struct sql_case {
    const char *payload, *sql, *expected;
};

static inline void check_sql(enum rule_version version, const struct sql_case *cases,
                             size_t count) {
    for (size_t i = 0; i < count; i++) {
        char *got = sql_result(version, cases[i].sql, test_message(str_of(cases[i].payload)));
        if (strcmp(got, cases[i].expected) != 0)
            fail_msg("%s on %s gives %s, not %s", cases[i].sql, cases[i].payload, got,
                     cases[i].expected);
        free(got);
    }
}

struct expression_case {
    const char *expression, *expected; /* as JSON; "" is Undefined */
};

/* Evaluates each as SELECT VALUE on one payload. */
static inline void check_expressions(enum rule_version version, const char *payload,
                                     const struct expression_case *cases, size_t count) {
    for (size_t i = 0; i < count; i++) {
        char sql[1000];
        snprintf(sql, sizeof sql, "SELECT VALUE %s FROM 'dev/#'", cases[i].expression);
        struct sql_case one = {payload, sql, cases[i].expected};
        check_sql(version, &one, 1);
    }
}

/* A statement that is refused, with what is said of it. */
struct refusal {
    const char *sql, *text;
    int code;
};

static inline void check_refusals(enum rule_version version, const struct refusal *cases,
                                  size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct sql_run run;
        int result = sql_run_init(&run, version, cases[i].sql, test_message(STR("{}")));
        assert_string_equal(run.err.text, cases[i].text);
        assert_int_equal(result, cases[i].code);
        sql_run_done(&run);
    }
}

#endif
