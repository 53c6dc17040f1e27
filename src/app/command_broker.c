/* `weir client ls|show|kick` and `weir retained ls|show|rm`: what a running broker holds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/api_client.h"
#include "app/command.h"
#include "base/base64.h"
#include "base/json.h"
#include "http/http.h"

enum { PAGE = 500 };

/* What the command line says. */
struct request {
    struct api_client client;
    const char *what, *argument; /* "ls"; the id, topic, prefix or filter, or NULL */
    int json, raw, forget_session, prevent_will;
    struct buf target, body;
    struct json parsed;
    struct arena arena;
    struct err err;
};

/* ---- asking ---- */

static void add_query(struct buf *target, const char *name, struct str value) {
    buf_printf(target, "%c%s=", memchr(buf_at(target), '?', buf_len(target)) ? '&' : '?', name);
    http_percent_encode(target, value, false);
}

static void set_target(struct request *request, const char *path, const char *item) {
    buf_clear(&request->target);
    buf_add_str(&request->target, str_of(path));
    if (item)
        http_percent_encode(&request->target, str_of(item), false);
}

static int call(struct request *request, const char *method) {
    buf_clear(&request->body);
    arena_reset(&request->arena);
    int code = api_client_call(&request->client, method, buf_cstr(&request->target), &request->body,
                               &request->err);
    if (!code && json_parse(&request->parsed, buf_str(&request->body)))
        code =
            err_set(&request->err, ERR_INVALID, "the answer of %s is no JSON", request->client.url);
    return code;
}

/* ---- printing ---- */

/* Ids and topics are chosen by clients: nothing of them may steer the terminal. */
static void print_text(struct str text) {
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];
        bool c1 = c == 0xc2 && i + 1 < text.len && (unsigned char)text.at[i + 1] < 0xa0;
        if (c < 0x20 || c == 0x7f || c1) {
            putchar('?');
            i += c1;
        } else {
            putchar(c);
        }
    }
}

static void print_padded(struct str text, int width) {
    print_text(text);
    for (size_t i = text.len; i < (size_t)width; i++)
        putchar(' ');
    putchar(' ');
}

static struct str text_of(struct request *request, struct json_value value) {
    return json_type(value) == JSON_STRING ? json_str(value, &request->arena) : json_raw(value);
}

/* One column of a table: a member, and how wide it is; numbers stand on the right. */
struct column {
    const char *title, *member;
    int width;
};

static void print_titles(const struct column *columns) {
    for (; columns->title; columns++)
        printf("%*s ", columns->width, columns->title);
    putchar('\n');
}

static void print_row(struct request *request, const struct column *columns,
                      struct json_value item) {
    for (; columns->title; columns++) {
        struct json_value value = json_member(item, str_of(columns->member));
        struct str text = text_of(request, value);
        if (columns->width < 0)
            print_padded(text.len ? text : STR("-"), -columns->width);
        else
            printf("%*.*s ", columns->width, STR_ARG(text));
    }
    putchar('\n');
}

static void print_members(struct request *request, struct json_value object, int indent);

static bool is_nested(struct json_value value) {
    return json_type(value) == JSON_OBJECT || json_type(value) == JSON_ARRAY;
}

static void print_value(struct request *request, struct json_value value, int indent) {
    if (json_type(value) == JSON_OBJECT) {
        putchar('\n');
        print_members(request, value, indent + 2);
    } else if (json_type(value) == JSON_ARRAY) {
        putchar('\n');
        for (struct json_cursor cursor = json_each(value); json_next(&cursor);) {
            printf("%*s", indent + 2, "");
            print_text(json_raw(cursor.value));
            putchar('\n');
        }
    } else {
        struct str text = text_of(request, value);
        putchar(' ');
        print_text(text.len ? text : STR("-"));
    }
}

/* "keep_alive_s" is told as "keep alive: 60 s". */
static void print_members(struct request *request, struct json_value object, int indent) {
    for (struct json_cursor cursor = json_each(object); json_next(&cursor);) {
        struct str name = json_str(cursor.key, &request->arena);
        bool seconds = name.len > 2 && memcmp(name.at + name.len - 2, "_s", 2) == 0;
        printf("%*s", indent, "");
        for (size_t i = 0; i < name.len - (seconds ? 2 : 0); i++)
            putchar(name.at[i] == '_' ? ' ' : name.at[i]);
        putchar(':');
        print_value(request, cursor.value, indent);
        fputs(seconds ? " s\n" : is_nested(cursor.value) ? "" : "\n", stdout);
    }
}

/* ---- ls ---- */

struct listing {
    const char *path, *member, *filter; /* "/v1/clients", "clients", "prefix" */
    const struct column *columns;
};

/* Whether there is another page. */
static int print_page(struct request *request, const struct listing *listing) {
    struct json_value root = json_root(&request->parsed);
    struct json_value items = json_member(root, str_of(listing->member));
    for (struct json_cursor cursor = json_each(items); json_next(&cursor);) {
        if (!request->json)
            print_row(request, listing->columns, cursor.value);
        else
            printf("%.*s\n", STR_ARG(json_raw(cursor.value)));
    }
    return json_type(json_member(root, STR("next"))) == JSON_STRING;
}

static int list(struct request *request, const struct listing *listing) {
    char *next = NULL;
    bool titled = request->json;
    int code, more = 1;
    do {
        set_target(request, listing->path, NULL);
        buf_printf(&request->target, "?limit=%d", PAGE);
        if (request->argument)
            add_query(&request->target, listing->filter, str_of(request->argument));
        if (next)
            add_query(&request->target, "next", str_of(next));
        code = call(request, "GET");
        if (code)
            break;
        if (!titled)
            print_titles(listing->columns);
        titled = true;
        more = print_page(request, listing);
        free(next);
        next = str_dup(text_of(request, json_member(json_root(&request->parsed), STR("next"))));
    } while (more);
    free(next);
    return code;
}

static void print_answer(struct request *request) {
    if (request->json)
        printf("%.*s\n", STR_ARG(buf_str(&request->body)));
    else
        print_members(request, json_root(&request->parsed), 0);
}

static int show(struct request *request, const char *path) {
    set_target(request, path, request->argument);
    int code = call(request, "GET");
    if (!code && !request->raw)
        print_answer(request);
    return code;
}

/* ---- weir client ---- */

static int list_clients(struct request *request) {
    static const struct column columns[] = {{"CLIENT", "client_id", -24},
                                            {"CONNECTED", "connected", -9},
                                            {"PROTOCOL", "protocol", -10},
                                            {"TRANSPORT", "transport", -9},
                                            {"ADDRESS", "address", -21},
                                            {"SINCE", "connected_since", -24},
                                            {"SUBSCRIPTIONS", "subscriptions", 13},
                                            {"IN FLIGHT", "in_flight", 9},
                                            {"QUEUED", "queued", 8},
                                            {0}};
    static const struct listing listing = {"/v1/clients", "clients", "prefix", columns};
    return list(request, &listing);
}

static int kick(struct request *request) {
    set_target(request, "/v1/clients/", request->argument);
    if (request->forget_session)
        add_query(&request->target, "forget_session", STR("true"));
    if (request->prevent_will)
        add_query(&request->target, "prevent_will", STR("true"));
    int code = call(request, "DELETE");
    if (!code)
        print_answer(request);
    return code;
}

static int run_client(struct request *request) {
    if (strcmp(request->what, "ls") == 0)
        return list_clients(request);
    return strcmp(request->what, "show") == 0 ? show(request, "/v1/clients/") : kick(request);
}

/* ---- weir retained ---- */

static int list_retained(struct request *request) {
    static const struct column columns[] = {{"TOPIC", "topic", -40},
                                            {"QOS", "qos", 3},
                                            {"BYTES", "payload_bytes", 10},
                                            {"MODIFIED", "modified", -24},
                                            {0}};
    static const struct listing listing = {"/v1/retained", "retained", "filter", columns};
    return list(request, &listing);
}

static void write_payload(struct request *request) {
    struct json_value root = json_root(&request->parsed);
    struct json_value text = json_member(root, STR("payload"));
    struct buf bytes = {0};
    if (json_type(text) == JSON_STRING)
        json_str_add(text, &bytes);
    else
        base64_read(&bytes, text_of(request, json_member(root, STR("payload_base64"))));
    fwrite(buf_at(&bytes), 1, buf_len(&bytes), stdout);
    buf_done(&bytes);
}

static int show_retained(struct request *request) {
    int code = show(request, "/v1/retained/");
    if (!code && request->raw)
        write_payload(request);
    return code;
}

static int remove_retained(struct request *request) {
    set_target(request, "/v1/retained/", request->argument);
    int code = call(request, "DELETE");
    if (!code && request->json)
        print_answer(request);
    return code;
}

static int run_retained(struct request *request) {
    if (strcmp(request->what, "ls") == 0)
        return list_retained(request);
    return strcmp(request->what, "show") == 0 ? show_retained(request) : remove_retained(request);
}

/* ---- the command line ---- */

/* A command with its third verb, beside ls and show. */
struct broker_command {
    const char *usage, *verb;
    int (*run)(struct request *request);
};

static bool read_words(struct request *request, const struct broker_command *command, int argc,
                       char **argv) {
    request->what = argc > 1 ? argv[1] : "";
    request->argument = argc > 2 ? argv[2] : NULL;
    bool is_list = strcmp(request->what, "ls") == 0;
    bool is_one = strcmp(request->what, "show") == 0 || strcmp(request->what, command->verb) == 0;
    return is_list ? argc <= 3 : is_one && argc == 3;
}

static int run_command(const struct broker_command *command, int argc, char **argv) {
    const char *config_path = NULL, *url = NULL, *ca_path = NULL;
    struct request request = {0};
    const struct command_flag flags[] = {{"config", 'c', &config_path, NULL},
                                         {"api", 0, &url, NULL},
                                         {"ca", 0, &ca_path, NULL},
                                         {"json", 0, NULL, &request.json},
                                         {"raw", 0, NULL, &request.raw},
                                         {"forget-session", 0, NULL, &request.forget_session},
                                         {"prevent-will", 0, NULL, &request.prevent_will},
                                         {0}};
    if (!command_flags(&argc, argv, flags))
        return EXIT_USAGE;
    if (!read_words(&request, command, argc, argv)) {
        fprintf(stderr, "usage: weir %s\n", command->usage);
        return EXIT_USAGE;
    }
    int code = api_client_init(&request.client, config_path, url, ca_path, &request.err);
    if (!code)
        code = command->run(&request);
    if (code)
        fprintf(stderr, "weir %s: %s\n", argv[0], request.err.text);
    api_client_done(&request.client);
    buf_done(&request.target);
    buf_done(&request.body);
    json_done(&request.parsed);
    arena_done(&request.arena);
    return code ? 1 : 0;
}

int command_client(int argc, char **argv) {
    static const struct broker_command command = {
        "client ls [PREFIX] | show ID | kick ID [--forget-session] [--prevent-will]", "kick",
        run_client};
    return run_command(&command, argc, argv);
}

int command_retained(int argc, char **argv) {
    static const struct broker_command command = {
        "retained ls [FILTER] | show TOPIC [--raw] | rm TOPIC", "rm", run_retained};
    return run_command(&command, argc, argv);
}
