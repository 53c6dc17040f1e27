/*
 * One environment: a process of the function, its Runtime API listener on loopback, and the one
 * invocation that it may have. The listener's port stays the same over restarts of the process.
 *
 * Belongs to a pool (pool.h), which decides when it starts and what it gets. environment.c is the
 * life of the process, runtime_api.c what the process asks for.
 */
#ifndef FUNCTION_ENVIRONMENT_H
#define FUNCTION_ENVIRONMENT_H

#include "function/environment_state.h"
#include "function/invocation.h"
#include "function/log_capture.h"
#include "function/runtime_api.h"
#include "function/variables.h"
#include "http/http.h"
#include "io/process.h"

enum {
    FUNCTION_INIT_TIMEOUT_MS = 10000,
    FUNCTION_RESTART_MS_MIN = 100, /* before the second start in a row that fails; doubles */
    FUNCTION_RESTART_MS_MAX = 30000,
    FUNCTION_STOP_MS = 500, /* from SIGTERM to SIGKILL for a process without an invocation */
    /* 6 MiB and 100 bytes (AWS Lambda quotas). */
    FUNCTION_RESPONSE_BYTES_MAX = 6291556,
    FUNCTION_MEMORY_CHECK_MS = 250,
};

struct function_environment;

/* Why the host ended the process. */
enum function_end {
    FUNCTION_END_NONE, /* it ended by itself */
    FUNCTION_END_TIMEOUT,
    FUNCTION_END_MEMORY,
    FUNCTION_END_STOPPED,
};

/* Why a process did not come to ask for an event. */
struct function_failure {
    const char *error_type;
    const char *message; /* for function_error_document() */
    struct str document; /* what the runtime itself posted; empty: it posted nothing */
};

/* What a pool is told, always from the loop: never before a call on the environment returns. */
struct function_environment_events {
    /* It waits for an event. */
    void (*on_ready)(struct function_environment *environment);
    /* The event in hand has been answered or has failed; runs before the invocation's on_result. */
    void (*on_result)(struct function_environment *environment, uint64_t duration_ns,
                      const struct function_result *result);
    /* There is no process any more. `failure` is NULL unless its start failed. May close or start
     * the environment. */
    void (*on_down)(struct function_environment *environment,
                    const struct function_failure *failure);
};

struct function_environment {
    struct link link;      /* in the pool's list of all */
    struct link idle_link; /* in the pool's list of waiting ones */
    struct loop *loop;
    const struct function_host_config *host;
    const struct function_config *config;
    const struct function_environment_events *events;
    struct function_log *log;
    void *pool;

    enum function_environment_state state;
    struct http_server *server;
    char address[TCP_ADDRESS_CHARS];
    struct process *process;
    struct function_variables variables;
    struct timer start, deadline, memory;
    enum function_end end;
    unsigned start_failures;      /* in a row */
    uint64_t answered_count;      /* by this process */
    uint64_t started_ns, init_ns; /* init_ns is 0 until the first `next` */
    uint64_t idle_since_ms;       /* of the loop's clock */
    int64_t memory_peak_bytes;    /* of this process, as last looked at */
    uint64_t memory_looked_ms;
    struct buf init_error;                           /* what the runtime posted */
    char init_error_type[FUNCTION_ERROR_TYPE_CHARS]; /* empty: nothing posted */

    struct http_request *next;              /* ENVIRONMENT_WAITING */
    struct function_invocation *invocation; /* ENVIRONMENT_BUSY, and until the exit when killed */
    uint64_t given_ns, deadline_ms;
    char trace_id[80];
    /* END and REPORT of an invocation are written when the runtime asks for the next event or ends:
     * until then lines of this one may come. */
    bool has_report, is_logged;
    struct function_report report;
    char report_id[UUID_CHARS + 1];

    bool is_closing;
    int open_handles;
    void (*closed)(struct function_environment *environment);
};

/* Opens the listener. The process is started by function_environment_start(). All pointers outlive
 * the environment. */
int function_environment_open(struct loop *loop, const struct function_host_config *host,
                              const struct function_config *config,
                              const struct function_environment_events *events,
                              struct function_log *log, void *pool,
                              struct function_environment **ret_environment, struct err *err);

/* Starts the process soon, or after the back-off that earlier failures ask for. Nothing happens if
 * one runs or is about to. */
void function_environment_start(struct function_environment *environment);

/* Whether it is down and waits because its starts fail. */
bool function_environment_is_backing_off(const struct function_environment *environment);

/* Hands the event to the process, which waits for one. */
void function_environment_give(struct function_environment *environment,
                               struct function_invocation *invocation);

/* SIGTERM, then SIGKILL; one that is busy is killed at once. */
void function_environment_stop(struct function_environment *environment);

/* The process must be down. Asynchronous: `closed`, then the memory is gone. */
void function_environment_close(struct function_environment *environment,
                                void (*closed)(struct function_environment *environment));

/* ---- between environment.c and runtime_api.c ---- */

http_handler function_runtime_api_handle;

/* Answers the waiting or repeated `next` with the event in hand. */
void function_runtime_api_give(struct function_environment *environment,
                               struct http_request *request);

/* Makes the move; false and nothing changed if it is not allowed. */
bool function_environment_move(struct function_environment *environment,
                               enum function_environment_move move);

/* The connection of the waiting request broke: moved to ENVIRONMENT_BETWEEN. */
void function_environment_on_next_lost(struct function_environment *environment);

/* The runtime asked for an event: moved to ENVIRONMENT_WAITING. */
void function_environment_on_waiting(struct function_environment *environment);

/* The runtime answered: moved to ENVIRONMENT_BETWEEN. */
void function_environment_on_answer(struct function_environment *environment,
                                    const struct function_result *result);

#endif
