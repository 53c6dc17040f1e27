/*
 * The event loop of one thread (libuv inside), its timers, and the one way in which threads talk:
 * posting a task.
 *
 * Every struct here belongs to the thread of its loop. Only loop_post() and loop_stop() may be
 * called from another thread.
 *
 * A *turn* is one round of the loop: all that was ready is handled, then the turn hooks run, then
 * the loop sleeps. Hooks are where work that was gathered during the turn is sent off at once:
 * replies of a connection, records for the log.
 */
#ifndef IO_LOOP_H
#define IO_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/list.h"

struct loop;

/* Also lets the process ignore SIGPIPE: writing to a peer that is gone is an error of that write. */
struct loop *loop_new(void);

/* Runs until loop_stop(); the hooks run once more at the end, so that nothing that was gathered
 * stays behind. */
void loop_run(struct loop *loop);

/* From any thread: loop_run() returns after the present turn. Handles stay open; loop_free()
 * asserts that all are closed. */
void loop_stop(struct loop *loop);

/*
 * Runs the tasks that were posted and what is closing to its end, then frees. The loop must not be
 * running, and nobody may post to it any more: stop all threads that do before. NULL is fine.
 */
void loop_free(struct loop *loop);

/* Milliseconds of the monotonic clock, read once per turn. */
uint64_t loop_now_ms(const struct loop *loop);

uv_loop_t *loop_uv(struct loop *loop);

/*
 * A task travels to the loop that it is posted to and runs there once. It is embedded in whatever
 * travels; from loop_post() until `run` begins it belongs to the target loop. Tasks of one sender
 * arrive in order. Who sends bounds how many are under way (usually by waiting until they come
 * home).
 */
struct task {
    struct task *next;
    void (*run)(struct task *task);
};

void loop_post(struct loop *loop, struct task *task);

/* Runs at the end of each turn, in the order in which hooks were added. May add work for the next
 * turn. */
struct turn_hook {
    struct link link;
    void (*run)(struct turn_hook *hook);
};

void loop_hook_add(struct loop *loop, struct turn_hook *hook);
void loop_hook_remove(struct turn_hook *hook); /* also when it is not added */

/*
 * What tcp.c keeps once per loop (buffers, the connections with output). `turn_end` runs after all
 * turn hooks, so that what they write leaves in the same turn. `free` runs in loop_free() when all
 * else is closed and may begin to close a handle.
 */
struct loop_part {
    void (*turn_end)(struct loop_part *part);
    void (*free)(struct loop_part *part);
};

/* NULL until set; it is set once. */
struct loop_part *loop_part(const struct loop *loop);
void loop_part_set(struct loop *loop, struct loop_part *part);

/* A timer. Zeroed is valid and stopped; timer_close() is needed once timer_start() was called. */
struct timer {
    uv_timer_t uv;
    void (*fire)(struct timer *timer);
    void (*closed)(struct timer *timer);
    bool opened;
};

/* Fires once after `delay_ms`, then every `repeat_ms` (0: once). Starts anew if it was running. */
void timer_start(struct loop *loop, struct timer *timer, uint64_t delay_ms, uint64_t repeat_ms,
                 void (*fire)(struct timer *timer));
void timer_stop(struct timer *timer);
bool timer_running(const struct timer *timer);

/* The memory is the caller's again when `closed` runs (never before timer_close() returns, except
 * when the timer was never started: then `closed` runs at once). `closed` may be NULL if the memory
 * outlives the loop. */
void timer_close(struct timer *timer, void (*closed)(struct timer *timer));

/*
 * Blocking work on libuv's pool. `work` runs on a pool thread and touches nothing but what the
 * struct holds; `done` runs on the loop afterwards.
 */
struct work {
    uv_work_t uv;
    void (*work)(struct work *work);
    void (*done)(struct work *work);
};

void loop_work(struct loop *loop, struct work *work, void (*run)(struct work *work),
               void (*done)(struct work *work));

/* A thread that runs a loop: worker, log, service. */
struct loop_thread {
    uv_thread_t uv;
    struct loop *loop;
    const char *name;
};

/* Makes the loop and runs it on a new thread called `name` (15 characters at most). */
void loop_thread_start(struct loop_thread *thread, const char *name);

/* Stops the loop, waits for the thread, frees the loop. */
void loop_thread_stop(struct loop_thread *thread);

/* Runs `run` on the thread and waits for its end: for setting up and tearing down, never from a
 * loop thread. */
void loop_call(struct loop *loop, void (*run)(void *data), void *data);

#endif
