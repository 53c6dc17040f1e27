/*
 * `weir rule`: `test` tries a statement, or a rule of a configuration file, on a message, without a
 * pipeline; `ls`, `show` and `trace` ask a running Weir over its api listener.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/api_client.h"
#include "app/command.h"
#include "app/config.h"
#include "base/json.h"
#include "rule/value.h"

enum { PAYLOAD_BYTES_MAX = 16 * 1024 * 1024 };

struct arguments {
    const char *sql, *topic, *payload, *version, *rule, *client, *answers; /* of test */
    const char *config, *api, *count;
    const char *name; /* of show and trace */
};

static int complain(const struct err *err) {
    fprintf(stderr, "weir rule: %s\n", err->text);
    return 1;
}

/* ---- test ---- */

/* The whole file; "-" is standard input. */
static int read_payload(const char *path, struct buf *payload) {
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    size_t got = 1;
    while (file && got && buf_len(payload) <= PAYLOAD_BYTES_MAX) {
        got = fread(buf_room(payload, 65536), 1, 65536, file);
        buf_added(payload, got);
    }
    int error = !file || ferror(file) ? errno : buf_len(payload) > PAYLOAD_BYTES_MAX ? EFBIG : 0;
    if (file && file != stdin)
        fclose(file);
    if (error)
        fprintf(stderr, "weir rule: %s: %s\n", path, strerror(error));
    return error ? -1 : 0;
}

/* NULL is fine. */
static bool is_array(const char *text) {
    struct json json = {0};
    bool array = !text || (json_parse(&json, str_of(text)) == 0 &&
                           json_type(json_root(&json)) == JSON_ARRAY);
    json_done(&json);
    return array;
}

static int explain(struct rule_question *question, const struct arguments *arguments) {
    struct buf payload = {0}, out = {0};
    if (arguments->payload && read_payload(arguments->payload, &payload) < 0) {
        buf_done(&payload);
        return 1;
    }
    question->topic = str_of(arguments->topic);
    question->client_id = str_of(arguments->client);
    question->payload = buf_str(&payload);
    question->environment = &rule_environment_default;
    question->answers = str_of(arguments->answers);
    bool valid = rule_explain(question, &out);
    puts(buf_cstr(&out));
    buf_done(&payload);
    buf_done(&out);
    return valid ? 0 : 1;
}

static int test_rule(const struct arguments *arguments) {
    struct config *config;
    struct err err;
    if (config_read(arguments->config, &config, &err))
        return complain(&err);
    struct rule_question question = {.rule =
                                         rule_set_find(config->rule_set, str_of(arguments->rule))};
    int status;
    if (question.rule) {
        status = explain(&question, arguments);
    } else {
        err_set(&err, ERR_NOT_FOUND, "%s has no rule %s", arguments->config, arguments->rule);
        status = complain(&err);
    }
    config_free(config);
    return status;
}

static int test_sql(const struct arguments *arguments) {
    bool old = strcmp(arguments->version, "2015-10-08") == 0;
    struct rule_question question = {.sql = str_of(arguments->sql),
                                     .sql_version =
                                         old ? RULE_VERSION_2015_10_08 : RULE_VERSION_2016_03_23};
    return explain(&question, arguments);
}

/* ---- what a running Weir says ---- */

static void print_state(struct json_value rule, struct arena *arena) {
    bool disabled = false;
    json_bool(json_member(rule, STR("ruleDisabled")), &disabled);
    struct str place = json_str(json_member(rule, STR("configuredAt")), arena);
    struct str reason = json_str(json_member(rule, STR("notInForce")), arena);
    struct str from = json_str(json_member(rule, STR("topicPattern")), arena);
    printf("%-32.*s %-9s %-32.*s %.*s%s%.*s\n",
           STR_ARG(json_str(json_member(rule, STR("ruleName")), arena)),
           reason.len ? "broken"
           : disabled ? "disabled"
                      : "enabled",
           STR_ARG(from.len ? from : STR("-")), STR_ARG(place.len ? place : STR("api")),
           reason.len ? ": " : "", STR_ARG(reason));
}

/* One page; *ret_next is the path of the next, or NULL. */
static int list_page(const struct api_client *client, const char *path, char **ret_next,
                     struct err *err) {
    struct buf answer = {0};
    struct json json = {0};
    struct arena arena = {0};
    *ret_next = NULL;
    int code = api_client_call(client, "GET", path, &answer, err);
    if (!code && json_parse(&json, buf_str(&answer)))
        code = err_set(err, ERR_INVALID, "Weir's answer is no JSON");
    struct json_value root = json_root(&json);
    struct str token =
        code ? (struct str){0} : json_str(json_member(root, STR("nextToken")), &arena);
    if (!code)
        for (struct json_cursor cursor = json_each(json_member(root, STR("rules")));
             json_next(&cursor);)
            print_state(cursor.value, &arena);
    if (token.len) {
        struct buf next = {0};
        buf_printf(&next, "/rules?maxResults=1000&nextToken=");
        http_percent_encode(&next, token, false);
        *ret_next = str_dup(buf_str(&next));
        buf_done(&next);
    }
    json_done(&json);
    arena_done(&arena);
    buf_done(&answer);
    return code;
}

static int list_rules(const struct api_client *client, const struct arguments *arguments,
                      struct err *err) {
    char *path = str_dup(STR("/rules?maxResults=1000")), *next = NULL;
    int code = 0;
    while (!code && path) {
        code = list_page(client, path, &next, err);
        free(path);
        path = next;
    }
    return code;
}

/* "/v1/rules/NAME" and what follows. */
static char *rule_path(const struct arguments *arguments, const char *rest) {
    struct buf path = {0};
    buf_printf(&path, "/v1/rules/");
    http_percent_encode(&path, str_of(arguments->name), false);
    buf_printf(&path, "%s", rest);
    char *text = str_dup(buf_str(&path));
    buf_done(&path);
    return text;
}

static int show_rule(const struct api_client *client, const struct arguments *arguments,
                     struct err *err) {
    char *path = rule_path(arguments, "");
    struct buf answer = {0};
    int code = api_client_call(client, "GET", path, &answer, err);
    if (!code)
        puts(buf_cstr(&answer));
    buf_done(&answer);
    free(path);
    return code;
}

static bool on_lines(void *data, struct str bytes) {
    fwrite(bytes.at, 1, bytes.len, stdout);
    return fflush(stdout) == 0;
}

static int trace_rule(const struct api_client *client, const struct arguments *arguments,
                      struct err *err) {
    struct buf query = {0};
    buf_printf(&query, arguments->count ? "/trace?count=%s" : "/trace", arguments->count);
    char *path = rule_path(arguments, buf_cstr(&query));
    int code = api_client_follow(client, path, on_lines, NULL, err);
    free(path);
    buf_done(&query);
    return code;
}

/* ---- the command line ---- */

static int usage(void) {
    fputs("usage: weir rule test --sql SQL --topic TOPIC [--payload FILE|-] "
          "[--sql-version 2015-10-08|2016-03-23] [--answers JSON]\n"
          "       weir rule test --config FILE --rule NAME --topic TOPIC [--payload FILE|-] "
          "[--client ID] [--answers JSON]\n"
          "       weir rule ls [--api URL] [--config FILE]\n"
          "       weir rule show NAME [--api URL] [--config FILE]\n"
          "       weir rule trace NAME [--count N] [--api URL] [--config FILE]\n",
          stderr);
    return EXIT_USAGE;
}

static int ask(int (*question)(const struct api_client *, const struct arguments *, struct err *),
               const struct arguments *arguments) {
    struct api_client client;
    struct err err;
    int code = api_client_init(&client, arguments->config, arguments->api, NULL, &err);
    if (!code)
        code = question(&client, arguments, &err);
    api_client_done(&client);
    return code ? complain(&err) : 0;
}

static int test(const struct arguments *arguments) {
    bool known = strcmp(arguments->version, "2015-10-08") == 0 ||
                 strcmp(arguments->version, "2016-03-23") == 0;
    if (!arguments->topic || !known || !is_array(arguments->answers))
        return usage();
    if (arguments->config && arguments->rule && !arguments->sql)
        return test_rule(arguments);
    return arguments->sql && !arguments->rule ? test_sql(arguments) : usage();
}

int command_rule(int argc, char **argv) {
    struct arguments arguments = {.version = "2015-10-08"};
    const struct command_flag flags[] = {{"sql-version", 0, &arguments.version, NULL},
                                         {"sql", 's', &arguments.sql, NULL},
                                         {"topic", 't', &arguments.topic, NULL},
                                         {"payload", 'p', &arguments.payload, NULL},
                                         {"rule", 'r', &arguments.rule, NULL},
                                         {"client", 0, &arguments.client, NULL},
                                         {"config", 'c', &arguments.config, NULL},
                                         {"api", 0, &arguments.api, NULL},
                                         {"count", 'n', &arguments.count, NULL},
                                         {"answers", 0, &arguments.answers, NULL},
                                         {0}};
    if (!command_flags(&argc, argv, flags))
        return EXIT_USAGE;
    const char *verb = argc > 1 ? argv[1] : "";
    arguments.name = argc > 2 ? argv[2] : NULL;
    if (argc == 2 && strcmp(verb, "test") == 0)
        return test(&arguments);
    if (argc == 2 && strcmp(verb, "ls") == 0)
        return ask(list_rules, &arguments);
    if (argc == 3 && strcmp(verb, "show") == 0)
        return ask(show_rule, &arguments);
    if (argc == 3 && strcmp(verb, "trace") == 0)
        return ask(trace_rule, &arguments);
    return usage();
}
