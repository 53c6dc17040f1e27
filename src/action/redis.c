/*
 * The action `redis`: one command per message, made of templates, pipelined over a connection of the
 * action's own.
 *
 *      redis: { command: [HSET, "sensor:${topic(2)}", last, "@{payload}"] }
 *
 * A word that is "@{payload}" and nothing else stands for what SELECT made. What Redis answers to a
 * batch comes in its order, and so does what it does. A connection that breaks leaves open whether a
 * command was carried out; it is sent again. So a command that does harm when it is repeated (INCRBY,
 * RPUSH) needs a word that makes it recognisable, or a stream (XADD) whose readers see duplicates.
 *
 * Errors that pass by themselves or by somebody's doing are waited for (transient_errors); every other
 * error is the command's own, and it goes to the error action.
 */
#include <stdlib.h>
#include <strings.h>

#include "action/kinds.h"
#include "base/list.h"
#include "base/mem.h"
#include "state/state.h"

enum { BATCH_ITEMS_MAX = 500, BATCH_BYTES_MAX = 1024 * 1024, WORDS_MAX = ACTION_PARAMS_MAX };

struct redis_settings {
    struct action_settings common;
    const char *url; /* NULL: Weir's own Redis */
    struct option_strings command;
};

static const struct option redis_options[] = {
    {"url", OPTION_SECRET, offsetof(struct redis_settings, url),
     .help =
         "redis://[user:password@]host:port[/database] or unix:///path; absent: Weir's own Redis"},
    {"command", OPTION_STRING_LIST, offsetof(struct redis_settings, command), .required = true,
     .help = "the command's words, each may be a template; \"@{payload}\" is what SELECT made"},
    ACTION_COMMON_OPTIONS("-1", "0s"),
};

struct redis {
    struct action_target target;
    struct state_pipe *pipe;
    char why_down[160];
    void (*closed)(void *data);
    void *closed_data;
};

/* ---- configuration ---- */

/* They change what the connection is, wait, or are answered otherwise than once. */
static const char *const refused_commands[] = {
    "AUTH",     "BLMOVE",     "BLMPOP",    "BLPOP",        "BRPOP",      "BRPOPLPUSH",  "BZMPOP",
    "BZPOPMAX", "BZPOPMIN",   "CLIENT",    "DISCARD",      "EXEC",       "HELLO",       "MONITOR",
    "MULTI",    "PSUBSCRIBE", "PSYNC",     "PUNSUBSCRIBE", "QUIT",       "RESET",       "SELECT",
    "SHUTDOWN", "SSUBSCRIBE", "SUBSCRIBE", "SUNSUBSCRIBE", "SYNC",       "UNSUBSCRIBE", "UNWATCH",
    "WAIT",     "WAITAOF",    "WATCH",     "XREAD",        "XREADGROUP",
};

static int check_url(const struct redis_settings *settings, struct err *err) {
    struct err why;
    if (!settings->url)
        return 0;
    int code = state_url_check(settings->url, &why);
    return code ? option_error(&settings->common.head, "url", err, code, "redis: url: %s", why.text)
                : 0;
}

static int check(const void *data, struct err *err) {
    const struct redis_settings *settings = data;
    const struct option_head *head = &settings->common.head;
    const char *name = settings->command.count ? settings->command.items[0] : "";
    if (!name[0] || strstr(name, "${") || strstr(name, "@{"))
        return option_error(head, "command", err, ERR_INVALID,
                            "redis: command: its first word is the name of a command");
    for (size_t i = 0; i < COUNT_OF(refused_commands); i++)
        if (strcasecmp(name, refused_commands[i]) == 0)
            return option_error(head, "command", err, ERR_INVALID,
                                "redis: command: %s is none that a rule can give: it waits, or "
                                "changes the connection",
                                refused_commands[i]);
    return check_url(settings, err);
}

static void templates(const void *data, struct action_templates *list) {
    const struct redis_settings *settings = data;
    for (size_t i = 0; i < settings->command.count; i++) {
        const char *word = settings->command.items[i];
        bool is_payload = strcmp(word, "@{payload}") == 0;
        action_template_add(list, is_payload ? "payload" : "word", is_payload ? "" : word,
                            &settings->common.head, "command");
    }
}

/* ---- sending ---- */

/* Of these the first word of the error is enough. */
static bool is_transient(struct str error) {
    static const char *const words[] = {"LOADING",    "BUSY",   "READONLY",   "CLUSTERDOWN",
                                        "TRYAGAIN",   "OOM",    "MASTERDOWN", "MISCONF",
                                        "NOREPLICAS", "NOAUTH", "NOPERM",     "WRONGPASS"};
    struct str rest, word = str_cut(error, ' ', &rest);
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (str_eq(word, str_of(words[i])))
            return true;
    return false;
}

static void on_outcome(void *data, enum state_outcome outcome, struct str text) {
    struct action_item *item = data;
    struct redis *redis = CONTAINER_OF(item->target, struct redis, target);
    const char *place = state_pipe_place(redis->pipe);
    if (outcome == STATE_ANSWERED)
        action_item_settle(item, ACTION_OK, NULL);
    else if (outcome == STATE_LOST || is_transient(text))
        action_item_settle(item, ACTION_RETRY, "Redis at %s: %.*s", place, STR_ARG(text));
    else
        action_item_settle(item, ACTION_FAILED, "Redis at %s: %.*s", place, STR_ARG(text));
}

static void send_item(struct redis *redis, struct action_item *item) {
    const struct action_record *record = &item->record;
    struct str words[WORDS_MAX];
    struct action_place at = {0};
    struct action_param param;
    size_t count = 0;
    while (action_param_next(&record->params, &at, &param))
        words[count++] = str_eq(param.name, STR("payload")) ? record->payload : param.value;
    if (count == 0)
        action_item_settle(item, ACTION_FAILED, "the record holds no command");
    else if (!state_pipe_send(redis->pipe, words, count, on_outcome, item))
        action_item_settle(item, ACTION_RETRY, "Redis at %s: %s", state_pipe_place(redis->pipe),
                           redis->why_down);
}

static void send_items(struct action_target *target, struct action_item *const *items,
                       size_t count) {
    struct redis *redis = CONTAINER_OF(target, struct redis, target);
    for (size_t i = 0; i < count; i++)
        send_item(redis, items[i]);
}

/* ---- life ---- */

static void on_up(void *data) {
    struct redis *redis = data;
    action_target_ready(&redis->target);
}

static void on_down(void *data, const char *why) {
    struct redis *redis = data;
    snprintf(redis->why_down, sizeof redis->why_down, "%s", why);
}

static void on_closed(void *data) {
    struct redis *redis = data;
    void (*closed)(void *data) = redis->closed;
    void *closed_data = redis->closed_data;
    free(redis);
    closed(closed_data);
}

static void redis_close(struct action_target *target, void (*closed)(void *data), void *data) {
    struct redis *redis = CONTAINER_OF(target, struct redis, target);
    redis->closed = closed;
    redis->closed_data = data;
    state_pipe_close(redis->pipe, on_closed, redis);
}

static const struct action_target_ops ops = {.send = send_items, .close = redis_close};

static int redis_open(struct loop *loop, const struct action_services *services, const void *data,
                      struct action_target **ret_target, struct err *err) {
    static const struct state_pipe_events events = {on_up, on_down};
    const struct redis_settings *settings = data;
    const char *url = settings->url ? settings->url : services->redis_url;
    struct redis *redis = xcalloc(1, sizeof *redis);
    redis->target.ops = &ops;
    snprintf(redis->why_down, sizeof redis->why_down, "not connected yet");
    int code = state_pipe_open(loop, url, &events, redis, &redis->pipe, err);
    if (code)
        free(redis);
    else
        *ret_target = &redis->target;
    return code;
}

const struct action_target_kind action_redis = {
    .kind = {.name = "redis",
             .failed_action = "RedisAction",
             .options = redis_options,
             .settings_size = sizeof(struct redis_settings),
             .role_offset = offsetof(struct action_settings, role),
             .check = check,
             .templates = templates},
    .batch_items_max = BATCH_ITEMS_MAX,
    .batch_bytes_max = BATCH_BYTES_MAX,
    .open = redis_open,
};
