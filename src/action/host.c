/*
 * The logs of all actions and their runners. A log is
 *
 *   MAKING     stream_create() is under way
 *   READY      there is a stream; with a runner, or without one: left over by an action that is no more
 *   RETIRING   its runner, which has drained it, closes
 *   DELETING   stream_delete() is under way
 *
 *   ABSENT     it could not be made
 *
 * and its entry goes when its stream is gone, unless the log is held: then it is made anew. A log is held
 * once for each set of rules that was prepared and neither applied nor given up, so that no drained one
 * is deleted while engines that push into it are being put in force.
 */
#include <stdlib.h>

#include "action/cursor.h"
#include "action/runner.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"

enum { FORGET_MS = 20 };

enum log_state { ABSENT, MAKING, READY, RETIRING, DELETING };

struct action_log {
    struct link link;
    struct action_host *host;
    char *name;
    int64_t bytes_max;
    enum log_state state;
    unsigned holds;
    struct stream *stream;
    struct action_runner *runner; /* or NULL */
    struct timer timer;           /* RETIRING */
};

/* A prepare that waits for its logs. */
struct order {
    struct link link;
    struct action_host *host;
    const struct action_specs *specs;
    struct timer timer;
    int status;
    void (*done)(void *data, int status);
    void *data;
};

struct action_host {
    struct loop *loop;
    const struct action_services *services;
    struct stream_checkpoint_writer *checkpoints;
    struct map by_name;
    struct link logs, orders;
    unsigned under_way; /* changes of streams, runners and timers that close */
    bool is_closing, is_writer_closed;
    unsigned grace_ms;
    void (*closed)(void *data);
    void *closed_data;
};

static void make_log(struct action_log *log);
static void check_orders(struct action_host *host);
static void one_ended(struct action_host *host);

/* ---- logs ---- */

static struct action_log *add_log(struct action_host *host, const char *name) {
    struct action_log *log = xcalloc(1, sizeof *log);
    log->host = host;
    log->name = xstrdup(name);
    list_push_back(&host->logs, &log->link);
    map_put(&host->by_name, str_of(log->name), log);
    return log;
}

static void on_log_timer_closed(struct timer *timer) {
    struct action_log *log = CONTAINER_OF(timer, struct action_log, timer);
    struct action_host *host = log->host;
    free(log->name);
    free(log);
    one_ended(host);
}

static void remove_log(struct action_log *log) {
    list_remove(&log->link);
    map_remove(&log->host->by_name, str_of(log->name));
    action_runner_free(log->runner);
    log->runner = NULL;
    log->host->under_way++;
    timer_close(&log->timer, on_log_timer_closed);
}

static int64_t bound_of(const struct action_spec *spec) {
    const struct action_settings *settings = spec->settings;
    return settings->backlog_bytes_max;
}

static void on_made(void *data, int status, struct stream *stream) {
    struct action_log *log = data;
    struct action_host *host = log->host;
    log->stream = stream;
    log->state = READY;
    if (status) {
        LIST_EACH(item, &host->orders) {
            struct order *order = LIST_ITEM(item, struct order, link);
            order->status = order->status ? order->status : status;
        }
        log_error("action", "%s: its log cannot be made: %s", log->name, err_text(status));
        log->state = ABSENT;
    }
    check_orders(host);
    one_ended(host);
}

static void make_log(struct action_log *log) {
    struct err err;
    struct action_host *host = log->host;
    struct stream_config config = {.name = log->name,
                                   .kind = STREAM_ACTION,
                                   .shard_count = 1,
                                   .bytes_max = log->bytes_max,
                                   .corrupted = host->services->corrupted};
    log->state = MAKING;
    host->under_way++;
    int code = stream_create(host->services->log, host->loop, &config, on_made, log, &err);
    if (code)
        on_made(log, code, NULL);
}

/* ---- removing ---- */

static void forget_checkpoint(struct action_log *log) {
    struct facts_write *write;
    struct err err;
    int code = facts_begin(log->host->services->facts, &write, &err);
    if (!code) {
        stream_checkpoint_delete(write, log->stream, ACTION_SHARD, action_consumer);
        code = facts_commit(write, &err);
    }
    if (code)
        log_warn("action", "%s: the checkpoint of a log that is gone stays: %s", log->name,
                 err.text);
}

static void on_deleted(void *data, int status, struct stream *stream) {
    struct action_log *log = data;
    struct action_host *host = log->host;
    if (status) {
        log_warn("action", "%s: the log cannot be deleted: %s", log->name, err_text(status));
        log->state = READY;
    } else {
        forget_checkpoint(log);
        log->stream = NULL;
        if (log->holds && !host->is_closing)
            make_log(log);
        else
            remove_log(log);
    }
    check_orders(host);
    one_ended(host);
}

static void delete_log(struct action_log *log) {
    struct action_host *host = log->host;
    if (host->is_closing || log->holds) {
        log->state = READY;
        check_orders(host);
        return;
    }
    log->state = DELETING;
    host->under_way++;
    int code = stream_delete(log->stream, host->loop, on_deleted, log);
    if (code)
        on_deleted(log, code, NULL);
}

/* The runner's checkpoint may be on its way to the disk for a moment. */
static void on_retire(struct timer *timer) {
    struct action_log *log = CONTAINER_OF(timer, struct action_log, timer);
    if (!log->runner || log->host->is_closing)
        return;
    if (!action_runner_forget(log->runner)) {
        timer_start(log->host->loop, timer, FORGET_MS, 0, on_retire);
        return;
    }
    action_runner_free(log->runner);
    log->runner = NULL;
    delete_log(log);
}

static void on_runner_closed(void *data) {
    struct action_log *log = data;
    struct action_host *host = log->host;
    if (!host->is_closing)
        timer_start(host->loop, &log->timer, 0, 0, on_retire);
    one_ended(host);
}

static void on_drained(void *data) {
    struct action_log *log = data;
    if (log->holds || log->state != READY)
        return;
    log_info("action", "%s: all was delivered; the log of an action that is no more goes",
             log->name);
    log->state = RETIRING;
    log->host->under_way++;
    action_runner_close(log->runner, 0, on_runner_closed, log);
}

/* ---- runners ---- */

static int open_runner(struct action_log *log, const struct action_spec *spec, struct err *err) {
    struct action_host *host = log->host;
    struct action_runner_config config = {.loop = host->loop,
                                          .services = host->services,
                                          .checkpoints = host->checkpoints,
                                          .stream = log->stream,
                                          .drained = on_drained,
                                          .data = log};
    return action_runner_open(&config, spec, &log->runner, err);
}

static int apply_spec(struct action_host *host, const struct action_spec *spec, struct err *err) {
    struct action_log *log = map_get(&host->by_name, str_of(spec->log));
    if (!log || log->state != READY || !log->stream)
        return err_set(err, ERR_NOT_FOUND, "action %s has no log", spec->log);
    log->bytes_max = bound_of(spec);
    if (!log->runner)
        return open_runner(log, spec, err);
    action_runner_update(log->runner, spec);
    return 0;
}

static bool is_among(const struct action_specs *specs, const char *name) {
    for (size_t i = 0; i < specs->count; i++)
        if (strcmp(specs->items[i]->log, name) == 0)
            return true;
    return false;
}

static uint64_t waiting_in(const struct action_log *log) {
    struct stream_shard_info info;
    uint64_t counter = 0;
    stream_checkpoint_get(log->host->services->facts, log->stream, ACTION_SHARD, action_consumer,
                          &counter);
    stream_shard_get(log->stream, ACTION_SHARD, &info);
    return info.next_counter > counter ? info.next_counter - counter : 0;
}

/* Nobody pushes into this log any more. */
static void leave_log(struct action_log *log) {
    if (log->state == ABSENT) {
        remove_log(log);
        return;
    }
    if (log->state != READY)
        return;
    if (log->runner) {
        action_runner_drain(log->runner);
        return;
    }
    uint64_t waiting = waiting_in(log);
    if (waiting)
        log_warn(
            "action",
            "%s: %llu messages wait for an action that no rule has any more; they stay until one "
            "has it again",
            log->name, (unsigned long long)waiting);
    else
        delete_log(log);
}

static int apply(struct action_host *host, const struct action_specs *specs, struct err *err) {
    int result = 0;
    for (size_t i = 0; i < specs->count; i++) {
        struct err why;
        int code = apply_spec(host, specs->items[i], &why);
        if (code && !result) {
            result = code;
            *err = why;
        }
    }
    LIST_EACH(item, &host->logs) {
        struct action_log *log = LIST_ITEM(item, struct action_log, link);
        if (!log->holds && !is_among(specs, log->name))
            leave_log(log);
    }
    return result;
}

static void release(struct action_host *host, const struct action_specs *specs) {
    for (size_t i = 0; i < specs->count; i++) {
        struct action_log *log = map_get(&host->by_name, str_of(specs->items[i]->log));
        if (log && log->holds)
            log->holds--;
    }
}

void action_host_apply(struct action_host *host, const struct action_specs *specs) {
    struct err err;
    release(host, specs);
    if (apply(host, specs, &err))
        log_error("action", "%s", err.text);
}

void action_host_give_up(struct action_host *host, const struct action_specs *specs) {
    release(host, specs);
    LIST_EACH(item, &host->logs) {
        struct action_log *log = LIST_ITEM(item, struct action_log, link);
        if (!log->holds && !log->runner)
            leave_log(log);
    }
}

/* ---- prepare ---- */

static void on_order_closed(struct timer *timer) {
    struct order *order = CONTAINER_OF(timer, struct order, timer);
    struct action_host *host = order->host;
    free(order);
    one_ended(host);
}

static void end_order(struct order *order) {
    list_remove(&order->link);
    order->done(order->data, order->status);
    timer_close(&order->timer, on_order_closed);
}

static bool is_whole(const struct order *order) {
    for (size_t i = 0; i < order->specs->count; i++) {
        const struct action_log *log =
            map_get(&order->host->by_name, str_of(order->specs->items[i]->log));
        if (!log || log->state != READY)
            return false;
    }
    return true;
}

static void on_order(struct timer *timer) {
    struct order *order = CONTAINER_OF(timer, struct order, timer);
    if (!list_linked(&order->link))
        return;
    if (order->host->is_closing && !order->status)
        order->status = ERR_CLOSED;
    if (order->status || is_whole(order))
        end_order(order);
}

static void check_orders(struct action_host *host) {
    LIST_EACH(item, &host->orders) {
        struct order *order = LIST_ITEM(item, struct order, link);
        timer_start(host->loop, &order->timer, 0, 0, on_order);
    }
}

void action_host_prepare(struct action_host *host, const struct action_specs *specs,
                         void (*done)(void *data, int status), void *data) {
    struct order *order = xcalloc(1, sizeof *order);
    *order = (struct order){.host = host, .specs = specs, .done = done, .data = data};
    host->under_way++;
    list_push_back(&host->orders, &order->link);
    for (size_t i = 0; !host->is_closing && i < specs->count; i++) {
        struct action_log *log = map_get(&host->by_name, str_of(specs->items[i]->log));
        if (!log)
            log = add_log(host, specs->items[i]->log);
        log->holds++;
        log->bytes_max = bound_of(specs->items[i]);
        if (log->state == ABSENT)
            make_log(log);
    }
    timer_start(host->loop, &order->timer, 0, 0, on_order);
}

/* Messages that waited for a destination's owner may go. */
static void on_destinations(void *data) {
    struct action_host *host = data;
    LIST_EACH(item, &host->logs) {
        struct action_log *log = LIST_ITEM(item, struct action_log, link);
        if (log->runner && log->state == READY)
            action_runner_hurry(log->runner);
    }
}

/* ---- opening ---- */

int action_logs_open(struct stream_log *log, const struct action_specs *specs,
                     enum stream_corrupted corrupted, struct err *err) {
    int code = 0;
    for (size_t i = 0; !code && i < specs->count; i++) {
        struct stream *stream;
        struct stream_config config = {.name = specs->items[i]->log,
                                       .kind = STREAM_ACTION,
                                       .shard_count = 1,
                                       .bytes_max = bound_of(specs->items[i]),
                                       .corrupted = corrupted};
        code = stream_open(log, &config, &stream, err);
    }
    return code ? code : stream_open_actions(log, err);
}

static void add_ready(void *data, struct stream *stream) {
    struct action_log *log = add_log(data, stream_name(stream));
    log->stream = stream;
    log->state = READY;
}

int action_host_open(struct loop *loop, const struct action_services *services,
                     const struct action_specs *specs, struct action_host **ret_host,
                     struct err *err) {
    struct action_host *host = xcalloc(1, sizeof *host);
    host->loop = loop;
    host->services = services;
    host->checkpoints = stream_checkpoint_writer_new(loop, services->facts);
    list_init(&host->logs);
    list_init(&host->orders);
    stream_each_kind(services->log, STREAM_ACTION, add_ready, host);
    if (services->destinations)
        action_destinations_watch(services->destinations, on_destinations, host);
    *ret_host = host;
    return apply(host, specs, err);
}

/* ---- closing ---- */

static void free_host(struct action_host *host) {
    void (*closed)(void *data) = host->closed;
    void *data = host->closed_data;
    map_done(&host->by_name);
    free(host);
    if (closed)
        closed(data);
}

static void remove_logs(struct action_host *host) {
    LIST_EACH(item, &host->logs) {
        remove_log(LIST_ITEM(item, struct action_log, link));
    }
}

/* Runners stay until their checkpoints are written. */
static void on_checkpoints_written(void *data) {
    struct action_host *host = data;
    host->is_writer_closed = true;
    host->under_way++;
    remove_logs(host);
    one_ended(host);
}

static void one_ended(struct action_host *host) {
    if (--host->under_way || !host->is_closing)
        return;
    if (host->is_writer_closed)
        free_host(host);
    else
        stream_checkpoint_writer_close(host->checkpoints, on_checkpoints_written, host);
}

void action_host_close(struct action_host *host, unsigned grace_ms, void (*closed)(void *data),
                       void *data) {
    ASSERT(!host->is_closing);
    host->is_closing = true;
    if (host->services->destinations)
        action_destinations_watch(host->services->destinations, NULL, NULL);
    host->closed = closed;
    host->closed_data = data;
    host->under_way++;
    check_orders(host);
    LIST_EACH(item, &host->logs) {
        struct action_log *log = LIST_ITEM(item, struct action_log, link);
        if (log->state != READY || !log->runner)
            continue;
        host->under_way++;
        action_runner_close(log->runner, grace_ms, on_runner_closed, log);
    }
    one_ended(host);
}
