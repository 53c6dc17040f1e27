/*
 * One function: its environments and what waits for one of them.
 *
 * An event goes to the environment that was busy last; when none is idle it waits. Whenever events
 * have waited for FUNCTION_POOL_GROW_MS without a moment in which none did, the pool starts another
 * environment, up to the function's concurrency. Environments that were idle for
 * FUNCTION_POOL_IDLE_MS are stopped; one stays. That one is started when the function is
 * opened and again whenever it ends, so that a function that cannot start is seen at once.
 *
 * If a start fails while no other environment runs, everything that waits fails with that reason:
 * whoever submitted it decides when to try again.
 */
#ifndef FUNCTION_POOL_H
#define FUNCTION_POOL_H

#include "base/metric.h"
#include "function/environment.h"

enum {
    FUNCTION_POOL_GROW_MS = 50,
    FUNCTION_POOL_IDLE_MS = 5 * 60 * 1000,
    FUNCTION_POOL_IDLE_CHECK_MS = 30 * 1000,
};

struct function_pool {
    struct loop *loop;
    const struct function_host_config *host;
    const struct function_config *config;
    struct function_log log;
    struct link environments, idle; /* idle: the one that was busy last comes first */
    unsigned environment_count;
    struct link waiting; /* struct function_invocation */
    unsigned waiting_count;
    struct timer grow, idle_check, grace;
    struct metric invocations, errors, timeouts, throttles, duration_ms_sum, environments_open,
        invocations_waiting;
    uint64_t duration_left_ns; /* what duration_ms_sum has not counted yet */
    bool is_halted, is_stopping, is_closing;
    int open_handles;
    void (*closed)(void *data);
    void *data;
};

/* Opens the first environment; the process starts with the loop. All pointers outlive the pool. */
int function_pool_open(struct loop *loop, const struct function_host_config *host,
                       const struct function_config *config, struct function_pool **ret_pool,
                       struct err *err);

/*
 * Borrows the invocation until its on_result; gives it a new request id. Its on_begin may run before this
 * returns. How many may wait is the
 * submitter's affair: mappings have one per shard, function_invoke() looks at waiting_count. Not
 * behind function_pool_halt().
 */
void function_pool_submit(struct function_pool *pool, struct function_invocation *invocation);

/* What waits fails at once; nothing is submitted any more. */
void function_pool_halt(struct function_pool *pool);

/* Halts; what is in hand may end within `grace_ms`; then `closed`, and the
 * memory is gone. */
void function_pool_close(struct function_pool *pool, unsigned grace_ms, void (*closed)(void *data),
                         void *data);

#endif
