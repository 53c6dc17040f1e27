/*
 * What rules cost on a worker: the rule engine alone, over sinks that count and throw away. Prints
 * one JSON object, nanoseconds of CPU time a message per scenario and round. Unlike the generator
 * this is made of Weir's own parts.
 *
 *      nothing       looking at a message for which there is no rule (the broker's cached route)
 *      star          SELECT * into a stream
 *      where         SELECT temperature, topic(2) AS device, timestamp() AS ts FROM 'd/+/t' WHERE temperature > 50
 *                    on a reading of 200 bytes, of which every message passes
 *      where-not     the same, and no message passes
 *      where-100     a hundred rules of that kind on one topic
 *      among-10000   `where` with 10,000 rules on other topics beside it
 *      route         finding the rules of a topic that was not seen before, among 10,000
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/json.h"
#include "base/mem.h"
#include "rule/document.h"
#include "rule/rule.h"

static const char statement[] =
    "SELECT temperature, topic(2) AS device, timestamp() AS ts FROM '%s' WHERE temperature > 50";

static const char hot[] =
    "{\"device\":\"sensor-0042\",\"site\":\"hall 3, north\",\"humidity\":41.5,\"pressure\":1013.25,"
    "\"battery\":3.71,\"uptime\":1234567,\"temperature\":61.4,\"status\":\"ok\",\"tags\":[\"a\","
    "\"b\"],"
    "\"seq\":90210,\"rssi\":-67}";

struct bench {
    struct sink sink;
    struct sink_resolver resolver;
    struct rule_engine *engine;
    uint64_t records, bytes;
};

static int on_push(struct sink *sink, const struct record *record) {
    struct bench *bench = CONTAINER_OF(sink, struct bench, sink);
    bench->records++;
    bench->bytes += record->data.len;
    return 0;
}

static struct sink *on_find(struct sink_resolver *resolver, enum sink_kind kind, struct str name) {
    return &CONTAINER_OF(resolver, struct bench, resolver)->sink;
}

static struct rule *compile(const char *name, const char *sql) {
    static const struct rule_surroundings none;
    struct arena arena = {0};
    struct json json = {0};
    struct rule_config config;
    struct rule *rule;
    struct err err = {0};
    char *document =
        xprintf("{\"sql\":\"%s\",\"awsIotSqlVersion\":\"2016-03-23\",\"actions\":[{\"kinesis\":"
                "{\"streamName\":\"s\",\"partitionKey\":\"k\"}}]}",
                sql);
    if (json_parse(&json, str_of(document)) ||
        rule_document_read(&arena, name, json_root(&json), &config, &err) ||
        rule_compile(&config, &none, &rule, &err)) {
        fprintf(stderr, "%s: %s\n", sql, err.text);
        exit(1);
    }
    json_done(&json);
    arena_done(&arena);
    free(document);
    return rule;
}

static void add_rule(struct rule **rules, size_t i, const char *format, const char *filter) {
    char name[32];
    char *sql = xprintf(format, filter);
    snprintf(name, sizeof name, "r%zu", i);
    rules[i] = compile(name, sql);
    free(sql);
}

/* `count` rules with the statement, and `others` on topics that nobody publishes to. */
static void open_bench(struct bench *bench, const char *format, const char *filter, size_t count,
                       size_t others) {
    *bench = (struct bench){.sink = {on_push, "bench"}, .resolver = {on_find}};
    struct rule **rules = xcalloc(count + others + 1, sizeof *rules);
    for (size_t i = 0; i < count; i++)
        add_rule(rules, i, format, filter);
    for (size_t i = count; i < count + others; i++) {
        char other[48];
        snprintf(other, sizeof other, i % 2 ? "d/other-%zu/t" : "plant/%zu/+/t", i);
        add_rule(rules, i, statement, other);
    }
    struct rule_set *set = rule_set_new(rules, count + others);
    struct rule_engine_config config = {.set = set, .sinks = &bench->resolver};
    struct err err;
    if (rule_engine_new(&config, &bench->engine, &err)) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    rule_set_unref(set);
    for (size_t i = 0; i < count + others; i++)
        rule_unref(rules[i]);
    free(rules);
}

static void close_bench(struct bench *bench) {
    rule_engine_free(bench->engine);
}

/* Of this thread: the machine has other things to do as well. */
static uint64_t cpu_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Nanoseconds per message for about `milliseconds`. */
static double run_messages(struct bench *bench, const struct message *message,
                           uint64_t milliseconds) {
    struct message_sink *sink = rule_engine_sink(bench->engine);
    const void *route = sink->route(sink, message->topic);
    uint64_t began = cpu_ns(), now, done = 0;
    do {
        for (int i = 0; i < 100; i++)
            if (route)
                sink->push(sink, route, message);
        done += 100;
        now = cpu_ns();
    } while (now - began < milliseconds * 1000000);
    return (double)(now - began) / (double)done;
}

static double run_routes(struct bench *bench, uint64_t milliseconds) {
    struct message_sink *sink = rule_engine_sink(bench->engine);
    uint64_t began = cpu_ns(), now, done = 0;
    do {
        for (int i = 0; i < 100; i++) {
            char topic[48];
            int len = snprintf(topic, sizeof topic, "d/new-%llu/t", (unsigned long long)(done + i));
            sink->route(sink, str_from(topic, (size_t)len));
        }
        done += 100;
        now = cpu_ns();
    } while (now - began < milliseconds * 1000000);
    return (double)(now - began) / (double)done;
}

enum { SCENARIOS = 7 };

static const struct scenario {
    const char *name, *format, *filter;
    size_t count, others;
    bool cold, routes;
} scenarios[SCENARIOS] = {
    {"nothing", statement, "x/+/t", 1, 0, false, false},
    {"star", "SELECT * FROM '%s'", "d/+/t", 1, 0, false, false},
    {"where", statement, "d/+/t", 1, 0, false, false},
    {"where-not", statement, "d/+/t", 1, 0, true, false},
    {"where-100", statement, "d/+/t", 100, 0, false, false},
    {"among-10000", statement, "d/+/t", 1, 10000, false, false},
    {"route", statement, "d/+/t", 1, 10000, false, true},
};

int main(int argc, char **argv) {
    uint64_t milliseconds = argc > 1 ? strtoull(argv[1], NULL, 10) : 100;
    int rounds = argc > 2 ? atoi(argv[2]) : 5;
    const char *only = argc > 3 ? argv[3] : NULL;
    struct bench *benches = xcalloc(SCENARIOS, sizeof *benches);
    struct buf cold = {0};
    buf_add_str(&cold, str_of(hot));
    memcpy(strstr(buf_cstr(&cold), "61.4"), "41.4", 4);
    for (int s = 0; s < SCENARIOS; s++)
        if (!only || strcmp(only, scenarios[s].name) == 0)
            open_bench(&benches[s], scenarios[s].format, scenarios[s].filter, scenarios[s].count,
                       scenarios[s].others);
    printf("{\"payload_bytes\":%zu,\"rounds\":[", sizeof hot - 1);
    for (int round = 0; round < rounds; round++) {
        printf("%s{", round ? "," : "");
        for (int s = 0, shown = 0; s < SCENARIOS; s++) {
            const struct scenario *scenario = &scenarios[s];
            if (only && strcmp(only, scenario->name) != 0)
                continue;
            const struct message message = {.topic = STR("d/sensor-0042/t"),
                                            .payload =
                                                scenario->cold ? buf_str(&cold) : str_of(hot),
                                            .client_id = STR("bench")};
            double ns = scenario->routes ? run_routes(&benches[s], milliseconds)
                                         : run_messages(&benches[s], &message, milliseconds);
            printf("%s\"%s\":%.1f", shown++ ? "," : "", scenario->name, ns);
        }
        printf("}");
    }
    printf("]}\n");
    for (int s = 0; s < SCENARIOS; s++)
        close_bench(&benches[s]);
    buf_done(&cold);
    free(benches);
    return 0;
}
