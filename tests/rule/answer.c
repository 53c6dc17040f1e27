/*
 * Answers questions for the tests of this folder: lines "version TAB sql TAB payload TAB topic TAB
 * properties" in (properties of MQTT 5.0 in hexadecimal digits, may be left out), a line with the
 * outgoing payload out; "-" if WHERE is not true, "!" and the reason if there is none for another
 * reason. "template:" instead of a statement: what the text behind it comes to, as a JSON string.
 * The world stands still: a fixed time, UUID and random number.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_write.h"
#include "rule/evaluate.h"
#include "rule/template.h"

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

static void print_result(const struct plan *plan, struct evaluation *evaluation) {
    static struct buf out;
    struct str result;
    switch (rule_evaluate(plan, evaluation, &out, &result)) {
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
        fwrite(result.at, 1, result.len, stdout);
        putchar('\n');
        break;
    }
}

static void print_template(const struct rule_template *template, struct evaluation *evaluation) {
    static struct buf room, out;
    struct str text = rule_template_expand(template, evaluation, &room);
    buf_clear(&out);
    json_write_plain_string(&out, text);
    puts(buf_cstr(&out));
}

static void answer(enum rule_version version, struct str sql, const struct message *message) {
    static struct rule_payload payload;
    static struct rule_cache cache;
    static struct buf scratch;
    struct arena plan_arena = {0}, arena = {0};
    struct rule_template template;
    struct str text = str_skip(sql, strlen("template:"));
    bool is_template = str_starts(sql, STR("template:"));
    struct plan *plan;
    struct err err;
    char trace_id[36] = "";
    struct evaluation evaluation = {
        .environment = &environment,
        .message = message,
        .topic = message->topic,
        .version = version,
        .payload = &payload,
        .arena = &arena,
        .cache = &cache,
        .scratch = &scratch,
        .trace_id = trace_id,
        .effort_left = EVALUATION_EFFORT_MAX,
    };
    payload.state = PAYLOAD_UNREAD;
    int result = rule_plan_statement(&plan_arena, is_template ? STR("SELECT * FROM 'a'") : sql,
                                     version, &plan, &err);
    if (result == 0 && is_template)
        result = rule_template_compile(&plan_arena, text, plan, &template, &err);
    if (result < 0)
        printf("! %s\n", err.text);
    else if (is_template)
        print_template(&template, &evaluation);
    else
        print_result(plan, &evaluation);
    arena_done(&arena);
    arena_done(&plan_arena);
}

static int digit(char c) {
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

int main(void) {
    static struct buf properties;
    char *line = NULL;
    size_t cap = 0;
    for (ssize_t len; (len = getline(&line, &cap, stdin)) > 0;) {
        struct str rest = str_from(line, (size_t)len - (line[len - 1] == '\n'));
        struct str version = str_cut(rest, '\t', &rest), sql = str_cut(rest, '\t', &rest);
        struct message message = {.payload = str_cut(rest, '\t', &rest)};
        message.topic = str_cut(rest, '\t', &rest);
        message.client_id = STR("client-7");
        message.source_ip = STR("192.0.2.9");
        buf_clear(&properties);
        for (size_t i = 0; i + 1 < rest.len; i += 2)
            buf_add_u8(&properties, (uint8_t)(digit(rest.at[i]) << 4 | digit(rest.at[i + 1])));
        message.properties = buf_str(&properties);
        bool old = str_eq(version, STR("2015-10-08"));
        answer(old ? RULE_VERSION_2015_10_08 : RULE_VERSION_2016_03_23, sql, &message);
    }
    free(line);
    return 0;
}
