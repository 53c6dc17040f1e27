/*
 * All functions and mappings of a process.
 *
 * Closing goes against the flow: mappings stop cutting batches; pools let what is in hand end and
 * stop their processes; then no result can come any more and the last checkpoints are written; then
 * the readers and timers of the mappings go, and at last the host.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/map.h"
#include "function/mapping.h"
#include "function/settings.h"

enum { WAITING_MAX = 1000 }; /* events per function that wait for an environment */

struct function_host {
    struct loop *loop;
    struct function_host_config config;
    struct map pools;                             /* name -> struct function_pool */
    struct link mappings;                         /* struct function_mapping */
    struct facts *facts;                          /* of the mappings */
    struct stream_checkpoint_writer *checkpoints; /* NULL until the first mapping */
    struct timer closing;
    bool is_halted, is_closing;
    unsigned open_parts;
    void (*closed)(void *data);
    void *data;
};

/* ---- invoking ---- */

/* An invocation by function_invoke(): it owns its event. */
struct call {
    struct function_invocation invocation;
    struct buf event;
    void (*on_begin)(void *data); /* or NULL */
    void (*on_result)(void *data, const struct function_result *result);
    void *data;
};

static void on_call_begin(struct function_invocation *invocation) {
    struct call *call = CONTAINER_OF(invocation, struct call, invocation);
    if (call->on_begin)
        call->on_begin(call->data);
}

static void on_call_result(struct function_invocation *invocation,
                           const struct function_result *result) {
    struct call *call = CONTAINER_OF(invocation, struct call, invocation);
    call->on_result(call->data, result);
    buf_done(&call->event);
    free(call);
}

int function_invoke(struct function_host *host, struct str name, struct str event,
                    void (*on_begin)(void *data),
                    void (*on_result)(void *data, const struct function_result *result),
                    void *data) {
    struct function_pool *pool = map_get(&host->pools, name);
    if (!pool)
        return ERR_NOT_FOUND;
    if (host->is_halted)
        return ERR_CLOSED;
    if (event.len > FUNCTION_EVENT_BYTES_MAX)
        return ERR_TOO_LARGE;
    if (pool->waiting_count >= WAITING_MAX) {
        metric_add(&pool->throttles, 1);
        return ERR_FULL;
    }
    struct call *call = xcalloc(1, sizeof *call);
    call->on_begin = on_begin;
    call->on_result = on_result;
    call->data = data;
    buf_add_str(&call->event, event);
    call->invocation.event = buf_str(&call->event);
    call->invocation.on_begin = on_call_begin;
    call->invocation.on_result = on_call_result;
    function_pool_submit(pool, &call->invocation);
    return 0;
}

/* ---- closing ---- */

static void on_closing_closed(struct timer *timer) {
    struct function_host *host = CONTAINER_OF(timer, struct function_host, closing);
    void (*closed)(void *data) = host->closed;
    void *data = host->data;
    map_done(&host->pools);
    free(host);
    if (closed)
        closed(data);
}

static void on_mapping_closed(void *data) {
    struct function_host *host = data;
    if (--host->open_parts == 0)
        timer_close(&host->closing, on_closing_closed);
}

static void close_mappings(struct function_host *host) {
    host->open_parts = 1;
    LIST_EACH(link, &host->mappings) {
        host->open_parts++;
        function_mapping_close(LIST_ITEM(link, struct function_mapping, link), on_mapping_closed,
                               host);
    }
    on_mapping_closed(host);
}

static void on_checkpoints_written(void *data) {
    close_mappings(data);
}

static void on_pool_closed(void *data) {
    struct function_host *host = data;
    if (--host->open_parts)
        return;
    if (host->checkpoints)
        stream_checkpoint_writer_close(host->checkpoints, on_checkpoints_written, host);
    else
        close_mappings(host);
}

static void on_closing(struct timer *timer) {
    on_pool_closed(CONTAINER_OF(timer, struct function_host, closing));
}

void function_host_halt(struct function_host *host) {
    struct map_entry *entry;
    if (host->is_halted)
        return;
    host->is_halted = true;
    LIST_EACH(link, &host->mappings)
    function_mapping_stop(LIST_ITEM(link, struct function_mapping, link));
    for (size_t i = 0; (entry = map_next(&host->pools, &i));)
        function_pool_halt(entry->value);
}

void function_host_close(struct function_host *host, unsigned grace_ms, void (*closed)(void *data),
                         void *data) {
    struct map_entry *entry;
    ASSERT(!host->is_closing);
    host->is_closing = true;
    host->closed = closed;
    host->data = data;
    function_host_halt(host);
    host->open_parts = 1;
    for (size_t i = 0; (entry = map_next(&host->pools, &i));) {
        host->open_parts++;
        function_pool_close(entry->value, grace_ms, on_pool_closed, host);
    }
    timer_start(host->loop, &host->closing, 0, 0, on_closing);
}

/* ---- opening ---- */

/* A listener could not be opened: what was opened before closes when the loop runs. */
static void abandon(struct function_host *host) {
    function_host_close(host, 0, NULL, NULL);
}

/* All are checked before anything is opened, so that a bad configuration leaves nothing behind. */
static int check_functions(const struct option_items *functions, struct err *err) {
    for (size_t i = 0; functions && i < functions->count; i++) {
        const struct function_config *config = OPTION_AT(*functions, struct function_config, i);
        int failed = function_config_check(config, err);
        if (failed)
            return failed;
        for (size_t j = 0; j < i; j++)
            if (strcmp(OPTION_AT(*functions, struct function_config, j)->head.name,
                       config->head.name) == 0)
                return err_set(err, ERR_EXISTS, "there are two functions of the name %s",
                               config->head.name);
    }
    return 0;
}

static int open_pool(struct function_host *host, const struct function_config *config,
                     struct err *err) {
    struct function_pool *pool;
    int failed = function_pool_open(host->loop, &host->config, config, &pool, err);
    if (!failed)
        map_put(&host->pools, str_of(config->head.name), pool);
    return failed;
}

int function_host_open(struct loop *loop, const struct function_host_config *config,
                       struct function_host **ret_host, struct err *err) {
    int failed = check_functions(config->functions, err);
    if (failed)
        return failed;
    struct function_host *host = xcalloc(1, sizeof *host);
    host->loop = loop;
    host->config = *config;
    list_init(&host->mappings);
    for (size_t i = 0; config->functions && i < config->functions->count; i++) {
        failed = open_pool(host, OPTION_AT(*config->functions, struct function_config, i), err);
        if (failed) {
            abandon(host);
            return failed;
        }
    }
    *ret_host = host;
    return 0;
}

int function_mapping_open(struct function_host *host, struct facts *facts,
                          const struct function_mapping_config *config, struct stream *stream,
                          struct err *err) {
    struct function_pool *pool = map_get(&host->pools, str_of(config->function));
    ASSERT(!host->is_halted && (!host->facts || host->facts == facts));
    if (!pool)
        return err_set(err, ERR_NOT_FOUND, "there is no function %s", config->function);
    if (!config->enabled) {
        log_info("function", "mapping of stream %s to %s is not enabled", config->stream,
                 config->function);
        return 0;
    }
    if (!host->checkpoints)
        host->checkpoints = stream_checkpoint_writer_new(host->loop, facts);
    host->facts = facts;
    struct function_mapping *mapping;
    int failed = function_mapping_start(host->loop, &host->config, pool, host->checkpoints, facts,
                                        config, stream, &mapping, err);
    if (failed)
        return err_wrap(err, "mapping of stream %s to %s", config->stream, config->function);
    list_push_back(&host->mappings, &mapping->link);
    return 0;
}
