#include "function/pool.h"

#include <stdlib.h>

#include "base/log.h"

static struct function_environment *environment_of_idle(struct link *link) {
    return LIST_ITEM(link, struct function_environment, idle_link);
}

static struct function_environment *environment_of(struct link *link) {
    return LIST_ITEM(link, struct function_environment, link);
}

static struct function_invocation *invocation_of(struct link *link) {
    return LIST_ITEM(link, struct function_invocation, link);
}

/* ---- giving ---- */

static void set_waiting(struct function_pool *pool, unsigned count) {
    pool->waiting_count = count;
    metric_set(&pool->invocations_waiting, count);
}

static struct function_invocation *take_waiting(struct function_pool *pool) {
    struct link *first = list_pop_front(&pool->waiting);
    if (!first)
        return NULL;
    set_waiting(pool, pool->waiting_count - 1);
    return invocation_of(first);
}

/* Environments that will ask for an event without being given one first. */
static unsigned count_coming(const struct function_pool *pool) {
    unsigned count = 0;
    for (struct link *link = pool->environments.next; link != &pool->environments;
         link = link->next) {
        enum function_environment_state state = environment_of(link)->state;
        count +=
            state == ENVIRONMENT_DOWN || state == ENVIRONMENT_INIT || state == ENVIRONMENT_BETWEEN;
    }
    return count;
}

static void on_grow(struct timer *timer);

static void give_waiting(struct function_pool *pool) {
    while (!list_empty(&pool->waiting) && !list_empty(&pool->idle)) {
        struct function_environment *environment = environment_of_idle(pool->idle.next);
        struct function_invocation *invocation = take_waiting(pool);
        if (invocation->on_begin)
            invocation->on_begin(invocation);
        function_environment_give(environment, invocation);
    }
    if (list_empty(&pool->waiting))
        timer_stop(&pool->grow);
    else if (!timer_running(&pool->grow) && !pool->is_stopping)
        timer_start(pool->loop, &pool->grow, FUNCTION_POOL_GROW_MS, 0, on_grow);
}

void function_pool_submit(struct function_pool *pool, struct function_invocation *invocation) {
    ASSERT(!pool->is_halted);
    random_uuid(invocation->request_id);
    invocation->request_id[UUID_CHARS] = '\0';
    list_push_back(&pool->waiting, &invocation->link);
    set_waiting(pool, pool->waiting_count + 1);
    metric_add(&pool->invocations, 1);
    give_waiting(pool);
}

static void fail(struct function_pool *pool, struct function_invocation *invocation,
                 const struct function_failure *failure) {
    struct buf document = {0};
    buf_add_str(&document, failure->document);
    if (!buf_len(&document))
        function_error_document(&document, invocation->request_id, failure->error_type,
                                failure->message);
    struct function_result result = {.error_type = failure->error_type,
                                     .payload = buf_str(&document)};
    metric_add(&pool->errors, 1);
    invocation->on_result(invocation, &result);
    buf_done(&document);
}

/* Only those that wait now: an owner may submit again at once. */
static void fail_waiting(struct function_pool *pool, const struct function_failure *failure) {
    for (unsigned left = pool->waiting_count; left && !list_empty(&pool->waiting); left--)
        fail(pool, take_waiting(pool), failure);
}

/* ---- environments ---- */

static bool has_process(const struct function_pool *pool) {
    for (struct link *link = pool->environments.next; link != &pool->environments;
         link = link->next)
        if (environment_of(link)->process)
            return true;
    return false;
}

static void on_ready(struct function_environment *environment) {
    struct function_pool *pool = environment->pool;
    if (pool->is_stopping) {
        function_environment_stop(environment);
        return;
    }
    list_push_front(&pool->idle, &environment->idle_link);
    give_waiting(pool);
}

static void on_result(struct function_environment *environment, uint64_t duration_ns,
                      const struct function_result *result) {
    struct function_pool *pool = environment->pool;
    pool->duration_left_ns += duration_ns;
    metric_add(&pool->duration_ms_sum, (int64_t)(pool->duration_left_ns / 1000000));
    pool->duration_left_ns %= 1000000;
    metric_add(&pool->errors, !result->ok);
    metric_add(&pool->timeouts, environment->end == FUNCTION_END_TIMEOUT);
}

static void release(struct function_pool *pool);

static void on_environment_closed(struct function_environment *environment) {
    struct function_pool *pool = environment->pool;
    release(pool);
}

/* It counts as gone from here on; the pool waits for `closed` only when it closes itself. */
static void close_environment(struct function_environment *environment) {
    struct function_pool *pool = environment->pool;
    list_remove(&environment->link);
    metric_set(&pool->environments_open, --pool->environment_count);
    pool->open_handles++;
    function_environment_close(environment, on_environment_closed);
}

static void close_if_stopped(struct function_pool *pool);

static void on_down(struct function_environment *environment,
                    const struct function_failure *failure) {
    struct function_pool *pool = environment->pool;
    if (environment->is_closing)
        return;
    if (failure && !has_process(pool))
        fail_waiting(pool, failure);
    if (environment->is_closing)
        return;
    if (pool->is_stopping) {
        close_environment(environment);
        close_if_stopped(pool);
    } else if (pool->environment_count == 1 || pool->waiting_count) {
        function_environment_start(environment);
    } else {
        close_environment(environment);
    }
}

static const struct function_environment_events events = {
    .on_ready = on_ready,
    .on_result = on_result,
    .on_down = on_down,
};

static int add_environment(struct function_pool *pool, struct err *err) {
    struct function_environment *environment;
    int failed = function_environment_open(pool->loop, pool->host, pool->config, &events,
                                           &pool->log, pool, &environment, err);
    if (failed)
        return failed;
    list_push_back(&pool->environments, &environment->link);
    metric_set(&pool->environments_open, ++pool->environment_count);
    function_environment_start(environment);
    return 0;
}

static bool is_backing_off(const struct function_pool *pool) {
    for (struct link *link = pool->environments.next; link != &pool->environments;
         link = link->next)
        if (function_environment_is_backing_off(environment_of(link)))
            return true;
    return false;
}

static bool must_grow(const struct function_pool *pool) {
    return pool->environment_count < pool->config->concurrency &&
           pool->waiting_count > count_coming(pool) && !is_backing_off(pool);
}

static void on_grow(struct timer *timer) {
    struct function_pool *pool = CONTAINER_OF(timer, struct function_pool, grow);
    struct err err;
    if (must_grow(pool) && add_environment(pool, &err))
        log_error("function", "%s: no further environment: %s", pool->config->head.name, err.text);
    give_waiting(pool);
}

static void on_idle_check(struct timer *timer) {
    struct function_pool *pool = CONTAINER_OF(timer, struct function_pool, idle_check);
    uint64_t now_ms = loop_now_ms(pool->loop);
    unsigned surplus = pool->environment_count - 1;
    while (surplus && !list_empty(&pool->idle)) {
        struct function_environment *oldest = environment_of_idle(pool->idle.prev);
        if (now_ms < oldest->idle_since_ms + FUNCTION_POOL_IDLE_MS)
            return;
        function_environment_stop(oldest);
        surplus--;
    }
}

/* ---- closing ---- */

static void done_metrics(struct function_pool *pool) {
    metric_done(&pool->invocations);
    metric_done(&pool->errors);
    metric_done(&pool->timeouts);
    metric_done(&pool->throttles);
    metric_done(&pool->duration_ms_sum);
    metric_done(&pool->environments_open);
    metric_done(&pool->invocations_waiting);
    function_log_done(&pool->log);
}

static void release(struct function_pool *pool) {
    if (--pool->open_handles || !pool->is_closing)
        return;
    void (*closed)(void *data) = pool->closed;
    void *data = pool->data;
    done_metrics(pool);
    free(pool);
    closed(data);
}

static void on_grow_closed(struct timer *timer) {
    release(CONTAINER_OF(timer, struct function_pool, grow));
}

static void on_idle_check_closed(struct timer *timer) {
    release(CONTAINER_OF(timer, struct function_pool, idle_check));
}

static void on_grace_closed(struct timer *timer) {
    release(CONTAINER_OF(timer, struct function_pool, grace));
}

/* The grace timer always runs when a pool stops, so that `closed` never comes at once. */
static void close_if_stopped(struct function_pool *pool) {
    if (!list_empty(&pool->environments) || pool->is_closing)
        return;
    pool->is_closing = true;
    pool->open_handles += 3;
    timer_close(&pool->grow, on_grow_closed);
    timer_close(&pool->idle_check, on_idle_check_closed);
    timer_close(&pool->grace, on_grace_closed);
}

static void stop_environment(struct function_environment *environment) {
    function_environment_stop(environment);
    if (environment->state == ENVIRONMENT_DOWN)
        close_environment(environment);
}

static void on_grace_over(struct timer *timer) {
    struct function_pool *pool = CONTAINER_OF(timer, struct function_pool, grace);
    LIST_EACH(link, &pool->environments)
    stop_environment(environment_of(link));
    close_if_stopped(pool);
}

void function_pool_halt(struct function_pool *pool) {
    static const struct function_failure stopped = {.error_type = "Sandbox.Stopped",
                                                    .message = "The function host is stopping"};
    pool->is_halted = true;
    timer_stop(&pool->grow);
    fail_waiting(pool, &stopped);
}

void function_pool_close(struct function_pool *pool, unsigned grace_ms, void (*closed)(void *data),
                         void *data) {
    ASSERT(!pool->is_stopping);
    pool->is_stopping = true;
    pool->closed = closed;
    pool->data = data;
    timer_stop(&pool->idle_check);
    timer_start(pool->loop, &pool->grace, grace_ms, 0, on_grace_over);
    function_pool_halt(pool);
    LIST_EACH(link, &pool->environments)
    if (environment_of(link)->state != ENVIRONMENT_BUSY)
        stop_environment(environment_of(link));
    close_if_stopped(pool);
}

/* ---- opening ---- */

static void init_metrics(struct function_pool *pool) {
    struct buf labels = {0};
    metric_label(&labels, "function", str_of(pool->config->head.name));
    const char *text = buf_cstr(&labels);
    metric_init(&pool->invocations, METRIC_COUNTER, "weir_function_invocations_total",
                "Events submitted to functions, retries included.", text);
    metric_init(&pool->errors, METRIC_COUNTER, "weir_function_errors_total",
                "Invocations that ended with an error, time-outs included.", text);
    metric_init(&pool->timeouts, METRIC_COUNTER, "weir_function_timeouts_total",
                "Invocations that were killed because they took too long.", text);
    metric_init(&pool->throttles, METRIC_COUNTER, "weir_function_throttles_total",
                "Invocations refused because too many waited.", text);
    metric_init(&pool->duration_ms_sum, METRIC_COUNTER, "weir_function_duration_ms_sum",
                "Milliseconds that invocations took, in all.", text);
    metric_init(&pool->environments_open, METRIC_GAUGE, "weir_function_environments",
                "Environments (processes) of functions.", text);
    metric_init(&pool->invocations_waiting, METRIC_GAUGE, "weir_function_invocations_waiting",
                "Events that wait for an environment.", text);
    buf_done(&labels);
}

int function_pool_open(struct loop *loop, const struct function_host_config *host,
                       const struct function_config *config, struct function_pool **ret_pool,
                       struct err *err) {
    struct function_pool *pool = xcalloc(1, sizeof *pool);
    pool->loop = loop;
    pool->host = host;
    pool->config = config;
    list_init(&pool->environments);
    list_init(&pool->idle);
    list_init(&pool->waiting);
    init_metrics(pool);
    function_log_init(&pool->log, config->head.name);
    int failed = add_environment(pool, err);
    if (failed) {
        done_metrics(pool);
        free(pool);
        return err_wrap(err, "function %s", config->head.name);
    }
    timer_start(loop, &pool->idle_check, FUNCTION_POOL_IDLE_CHECK_MS, FUNCTION_POOL_IDLE_CHECK_MS,
                on_idle_check);
    *ret_pool = pool;
    return 0;
}
