/*
 * Two connections, because a subscribed RESP2 connection takes no other commands:
 *
 *     commands       MGET for state_get2(); PING at each beat
 *     subscriptions  SUBSCRIBE; at each beat SUBSCRIBE again, which changes nothing and is answered
 *                    (hiredis gives no answer to a PING on a subscribed connection)
 *
 * Each comes back by itself (connection.c). The state is whole when both are up; that it no longer
 * is, and that it is again, is logged once, whatever the number of attempts between. With the
 * private server the first failures are expected (it needs a moment to start, longer with a big
 * append-only file) and its end is the supervisor's to report.
 *
 * At the end the connections close and the private server is told to stop; the state is gone when
 * all three are.
 */
#include "state/state.h"

#include <stdlib.h>

#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
#include "http/http.h"
#include "state/connection.h"
#include "state/supervisor.h"

const struct option state_options[] = {
    {"url", OPTION_SECRET, offsetof(struct state_config, url),
     .help = "redis://[user:password@]host:port[/database] or unix:///path; absent: a private "
             "redis-server in the data directory"},
    {"redis_server", OPTION_STRING, offsetof(struct state_config, redis_server),
     .default_text = "redis-server", .help = "program of the private server"},
    {0}};

struct get {
    struct link link;
    struct state *state;
    state_get_cb *on_values; /* NULL: forgotten */
    void *data;
};

struct subscription {
    struct state *state;
    char *channel;
    state_changed_cb *on_changed; /* NULL: forgotten */
    void *data;
    bool is_live; /* confirmed on the present connection */
};

struct state {
    struct loop *loop;
    struct state_address address;
    char *url_host, *url_port, *url;
    struct state_supervisor *supervisor; /* NULL: a Redis by URL */
    struct state_connection commands, subscriptions;
    struct subscription channels[STATE_SUBSCRIPTIONS_MAX];
    unsigned channel_count;
    struct link gets;
    unsigned get_count;
    bool was_whole, is_loss_logged;
    unsigned open_parts; /* of commands, subscriptions, supervisor; while closing */
    struct metric up, reconnects;
    void (*closed)(void *data);
    void *closed_data;
};

/* ---- values ---- */

static struct str value_of(const redisReply *reply) {
    if (reply->type != REDIS_REPLY_STRING)
        return (struct str){0};
    return str_from(reply->str, (size_t)reply->len);
}

static void on_values(redisAsyncContext *redis, void *data, void *private_data) {
    struct get *get = private_data;
    const redisReply *reply = data;
    bool ok = reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2;
    if (reply)
        state_connection_heard(&get->state->commands);
    list_remove(&get->link);
    get->state->get_count--;
    if (get->on_values)
        get->on_values(get->data, ok, ok ? value_of(reply->element[0]) : (struct str){0},
                       ok ? value_of(reply->element[1]) : (struct str){0});
    free(get);
}

void state_get2(struct state *state, const char *first_key, const char *second_key,
                state_get_cb *on_values_, void *data) {
    redisAsyncContext *redis = state_connection_redis(&state->commands);
    struct get *get = xcalloc(1, sizeof *get);
    *get = (struct get){.state = state, .on_values = on_values_, .data = data};
    if (redis && state->get_count < STATE_GETS_MAX &&
        redisAsyncCommand(redis, on_values, get, "MGET %s %s", first_key, second_key) == REDIS_OK) {
        list_push_back(&state->gets, &get->link);
        state->get_count++;
        return;
    }
    free(get);
    on_values_(data, false, (struct str){0}, (struct str){0});
}

/* ---- channels ---- */

static void on_channel(redisAsyncContext *redis, void *data, void *private_data) {
    struct subscription *subscription = private_data;
    const redisReply *reply = data;
    if (!reply || reply->type != REDIS_REPLY_ARRAY || !reply->elements)
        return;
    state_connection_heard(&subscription->state->subscriptions);
    bool is_message = str_eq(value_of(reply->element[0]), STR("message"));
    bool is_news = is_message || !subscription->is_live;
    subscription->is_live = true;
    if (is_news && subscription->on_changed)
        subscription->on_changed(subscription->data, is_message);
}

static void send_subscribe(struct subscription *subscription) {
    redisAsyncContext *redis = state_connection_redis(&subscription->state->subscriptions);
    if (redis)
        redisAsyncCommand(redis, on_channel, subscription, "SUBSCRIBE %s", subscription->channel);
}

void state_subscribe(struct state *state, const char *channel, state_changed_cb *on_changed,
                     void *data) {
    ASSERT(state->channel_count < STATE_SUBSCRIPTIONS_MAX);
    struct subscription *subscription = &state->channels[state->channel_count++];
    *subscription = (struct subscription){
        .state = state, .channel = xstrdup(channel), .on_changed = on_changed, .data = data};
    send_subscribe(subscription);
}

/* Redis is not told: what still comes on the channel reaches nobody. */
void state_forget(struct state *state, const void *data) {
    for (unsigned i = 0; i < state->channel_count; i++)
        if (state->channels[i].data == data)
            state->channels[i].on_changed = NULL;
    LIST_EACH(item, &state->gets) {
        struct get *get = LIST_ITEM(item, struct get, link);
        if (get->data == data)
            get->on_values = NULL;
    }
}

/* ---- connections ---- */

static bool are_both_up(const struct state *state) {
    return state_connection_redis(&state->commands) &&
           state_connection_redis(&state->subscriptions);
}

static void on_up(struct state *state) {
    metric_add(&state->reconnects, state->was_whole);
    if (!are_both_up(state))
        return;
    log_info("state", "connected to Redis at %s", state->address.place);
    state->was_whole = true;
    state->is_loss_logged = false;
    metric_set(&state->up, 1);
}

/* A private server that never answered yet may still be starting. */
static void on_down(struct state *state, const char *why) {
    metric_set(&state->up, 0);
    if (state->is_loss_logged || (state->supervisor && !state->was_whole))
        return;
    state->is_loss_logged = true;
    log_warn("state", state->was_whole ? "lost Redis at %s: %s" : "cannot reach Redis at %s: %s",
             state->address.place, why);
}

static void on_commands_up(struct state_connection *connection) {
    on_up(CONTAINER_OF(connection, struct state, commands));
}

static void on_commands_down(struct state_connection *connection, bool was_up, const char *why) {
    on_down(CONTAINER_OF(connection, struct state, commands), why);
}

static void on_beat_pong(redisAsyncContext *redis, void *reply, void *unused) {
    if (reply)
        state_connection_heard(redis->data);
}

static void beat_commands(struct state_connection *connection) {
    redisAsyncCommand(connection->redis, on_beat_pong, NULL, "PING");
}

static const struct state_connection_events commands_events = {
    .on_up = on_commands_up, .on_down = on_commands_down, .beat = beat_commands};

static void on_subscriptions_up(struct state_connection *connection) {
    struct state *state = CONTAINER_OF(connection, struct state, subscriptions);
    for (unsigned i = 0; i < state->channel_count; i++) {
        state->channels[i].is_live = false;
        send_subscribe(&state->channels[i]);
    }
    on_up(state);
}

static void on_subscriptions_down(struct state_connection *connection, bool was_up,
                                  const char *why) {
    on_down(CONTAINER_OF(connection, struct state, subscriptions), why);
}

static void beat_subscriptions(struct state_connection *connection) {
    struct state *state = CONTAINER_OF(connection, struct state, subscriptions);
    if (state->channel_count)
        send_subscribe(&state->channels[0]);
    else
        beat_commands(connection);
}

static const struct state_connection_events subscriptions_events = {
    .on_up = on_subscriptions_up, .on_down = on_subscriptions_down, .beat = beat_subscriptions};

static void on_server_ready(void *data) {
    struct state *state = data;
    state_connection_hurry(&state->commands);
    state_connection_hurry(&state->subscriptions);
}

bool state_ready(const struct state *state) {
    return state_connection_redis(&state->commands) != NULL;
}

/* ---- life ---- */

static void add_user_info(struct buf *url, const struct state_address *address) {
    if (address->user)
        http_percent_encode(url, str_of(address->user), false);
    if (address->password) {
        buf_add_u8(url, ':');
        http_percent_encode(url, str_of(address->password), false);
        buf_add_u8(url, '@');
    }
}

static void write_url(struct buf *url, const struct state_address *address) {
    buf_add_str(url, STR("redis://"));
    add_user_info(url, address);
    buf_add_str(url, str_of(address->place));
    if (address->database)
        buf_printf(url, "/%u", address->database);
}

static void name_for_others(struct state *state) {
    const struct state_address *address = &state->address;
    struct buf host = {0};
    if (address->path) {
        buf_printf(&host, "unix://%s", address->path);
    } else if (!address->password && !address->database && !strchr(address->host, ':')) {
        buf_add_str(&host, str_of(address->host));
    } else {
        write_url(&host, address);
    }
    state->url_host = str_dup(buf_str(&host));
    state->url_port = xprintf("%u", address->port);
    if (!address->path) {
        buf_clear(&host);
        write_url(&host, address);
    }
    state->url = str_dup(buf_str(&host));
    buf_done(&host);
}

const char *state_url_host(const struct state *state) {
    return state->url_host;
}

const char *state_url(const struct state *state) {
    return state->url;
}

const char *state_url_port(const struct state *state) {
    return state->url_port;
}

static int start_server(struct state *state, const struct state_config *config,
                        const char *data_directory, struct err *err) {
    char *directory = xprintf("%s/redis", data_directory);
    const struct state_supervisor_config supervisor = {
        .program = config->redis_server ? config->redis_server : "redis-server",
        .directory = directory,
        .on_ready = on_server_ready,
        .data = state,
    };
    int code = state_supervisor_open(state->loop, &supervisor, &state->supervisor, err);
    free(directory);
    if (!code)
        state->address = state_address_unix(state_supervisor_socket(state->supervisor));
    return code;
}

int state_open(struct loop *loop, const struct state_config *config, const char *data_directory,
               struct state **ret_state, struct err *err) {
    struct state *state = xcalloc(1, sizeof *state);
    state->loop = loop;
    list_init(&state->gets);
    int code;
    if (config->url) {
        const struct conf *at = conf_get(config->head.conf, "url");
        code = state_address_parse(config->url, &state->address, err);
        if (code && at)
            conf_error(at, err, code, "%.400s", err->text);
    } else {
        code = start_server(state, config, data_directory, err);
    }
    if (code) {
        free(state);
        return code;
    }
    name_for_others(state);
    metric_init(&state->up, METRIC_GAUGE, "weir_state_up",
                "Whether both connections to Redis are up.", NULL);
    metric_init(&state->reconnects, METRIC_COUNTER, "weir_state_reconnects_total",
                "Connections to Redis that came back after they were lost.", NULL);
    state_connection_open(&state->commands, loop, &state->address, &commands_events, STATE_BEAT_MS);
    state_connection_open(&state->subscriptions, loop, &state->address, &subscriptions_events,
                          STATE_BEAT_MS);
    *ret_state = state;
    return 0;
}

static void on_part_closed(struct state *state) {
    if (--state->open_parts > 0)
        return;
    void (*closed)(void *data) = state->closed;
    void *data = state->closed_data;
    for (unsigned i = 0; i < state->channel_count; i++)
        free(state->channels[i].channel);
    metric_done(&state->up);
    metric_done(&state->reconnects);
    state_address_done(&state->address);
    free(state->url_host);
    free(state->url_port);
    free(state->url);
    free(state);
    if (closed)
        closed(data);
}

static void on_commands_closed(struct state_connection *connection) {
    on_part_closed(CONTAINER_OF(connection, struct state, commands));
}

static void on_subscriptions_closed(struct state_connection *connection) {
    on_part_closed(CONTAINER_OF(connection, struct state, subscriptions));
}

static void on_supervisor_closed(void *data) {
    on_part_closed(data);
}

void state_close(struct state *state, void (*closed)(void *data), void *data) {
    state->closed = closed;
    state->closed_data = data;
    state->open_parts = state->supervisor ? 3 : 2;
    state_connection_close(&state->commands, on_commands_closed);
    state_connection_close(&state->subscriptions, on_subscriptions_closed);
    if (state->supervisor)
        state_supervisor_close(state->supervisor, on_supervisor_closed, state);
}
