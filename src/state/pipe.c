/* A connection for commands that others make up (state.h). */
#include <stdlib.h>

#include "base/mem.h"
#include "state/connection.h"
#include "state/state.h"

struct state_pipe {
    struct state_address address;
    struct state_connection connection;
    const struct state_pipe_events *events;
    void *data;
    bool is_closing;
    void (*closed)(void *data);
    void *closed_data;
};

struct command {
    struct state_pipe *pipe;
    state_outcome_cb *on_outcome;
    void *data;
};

/* ---- commands ---- */

static void on_reply(redisAsyncContext *redis, void *data, void *private_data) {
    struct command *command = private_data;
    struct state_pipe *pipe = command->pipe;
    const redisReply *reply = data;
    enum state_outcome outcome = STATE_ANSWERED;
    struct str text = {0};
    if (!reply) {
        outcome = STATE_LOST;
        text = STR("the connection was lost");
    } else if (reply->type == REDIS_REPLY_ERROR) {
        outcome = STATE_ERROR;
        text = str_from(reply->str, (size_t)reply->len);
    }
    if (reply)
        state_connection_heard(&pipe->connection);
    if (!pipe->is_closing)
        command->on_outcome(command->data, outcome, text);
    free(command);
}

bool state_pipe_send(struct state_pipe *pipe, const struct str *words, size_t count,
                     state_outcome_cb *on_outcome, void *data) {
    redisAsyncContext *redis = state_connection_redis(&pipe->connection);
    if (!redis)
        return false;
    struct command *command = xcalloc(1, sizeof *command);
    *command = (struct command){pipe, on_outcome, data};
    const char **argv = xcalloc(count, sizeof *argv);
    size_t *lengths = xcalloc(count, sizeof *lengths);
    for (size_t i = 0; i < count; i++) {
        argv[i] = words[i].at ? words[i].at : "";
        lengths[i] = words[i].len;
    }
    bool sent =
        redisAsyncCommandArgv(redis, on_reply, command, (int)count, argv, lengths) == REDIS_OK;
    free(argv);
    free(lengths);
    if (!sent)
        free(command);
    return sent;
}

/* ---- the connection ---- */

static void on_up(struct state_connection *connection) {
    struct state_pipe *pipe = CONTAINER_OF(connection, struct state_pipe, connection);
    pipe->events->on_up(pipe->data);
}

static void on_down(struct state_connection *connection, bool was_up, const char *why) {
    struct state_pipe *pipe = CONTAINER_OF(connection, struct state_pipe, connection);
    pipe->events->on_down(pipe->data, why);
}

static void on_pong(redisAsyncContext *redis, void *reply, void *unused) {
    if (reply)
        state_connection_heard(redis->data);
}

static void beat(struct state_connection *connection) {
    redisAsyncCommand(connection->redis, on_pong, NULL, "PING");
}

static const struct state_connection_events connection_events = {
    .on_up = on_up, .on_down = on_down, .beat = beat};

int state_url_check(const char *url, struct err *err) {
    struct state_address address;
    int code = state_address_parse(url, &address, err);
    if (!code)
        state_address_done(&address);
    return code;
}

const char *state_pipe_place(const struct state_pipe *pipe) {
    return pipe->address.place;
}

int state_pipe_open(struct loop *loop, const char *url, const struct state_pipe_events *events,
                    void *data, struct state_pipe **ret_pipe, struct err *err) {
    struct state_pipe *pipe = xcalloc(1, sizeof *pipe);
    int code = state_address_parse(url, &pipe->address, err);
    if (code) {
        free(pipe);
        return code;
    }
    pipe->events = events;
    pipe->data = data;
    state_connection_open(&pipe->connection, loop, &pipe->address, &connection_events,
                          STATE_BEAT_MS);
    *ret_pipe = pipe;
    return 0;
}

static void on_closed(struct state_connection *connection) {
    struct state_pipe *pipe = CONTAINER_OF(connection, struct state_pipe, connection);
    void (*closed)(void *data) = pipe->closed;
    void *data = pipe->closed_data;
    state_address_done(&pipe->address);
    free(pipe);
    closed(data);
}

void state_pipe_close(struct state_pipe *pipe, void (*closed)(void *data), void *data) {
    pipe->is_closing = true;
    pipe->closed = closed;
    pipe->closed_data = data;
    state_connection_close(&pipe->connection, on_closed);
}
