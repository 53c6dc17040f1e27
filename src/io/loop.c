/*
 * Posting is a lock-free stack: senders push with a compare-and-swap, the loop takes the whole
 * stack at once and turns it round, so that tasks of one sender run in the order in which they were
 * posted. The async handle is signalled only by the sender that found the stack empty.
 */
#include "io/loop.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"

struct loop {
    uv_loop_t uv;
    uv_async_t wake;
    uv_prepare_t turn_end;
    struct link hooks;
    struct loop_part *part;
    _Atomic(struct task *) posted;
    _Atomic bool stopping;
};

static void run_posted(struct loop *loop) {
    struct task *newest = atomic_exchange_explicit(&loop->posted, NULL, memory_order_acquire);
    struct task *oldest = NULL;
    while (newest) {
        struct task *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest) {
        struct task *task = oldest;
        oldest = task->next;
        task->run(task);
    }
}

static void on_wake(uv_async_t *wake) {
    struct loop *loop = wake->data;
    run_posted(loop);
    if (atomic_load_explicit(&loop->stopping, memory_order_acquire))
        uv_stop(&loop->uv);
}

static void end_turn(struct loop *loop) {
    LIST_EACH(item, &loop->hooks) {
        struct turn_hook *hook = LIST_ITEM(item, struct turn_hook, link);
        hook->run(hook);
    }
    if (loop->part)
        loop->part->turn_end(loop->part);
}

static void on_turn_end(uv_prepare_t *prepare) {
    end_turn(prepare->data);
}

struct loop *loop_new(void) {
    struct loop *loop = xcalloc(1, sizeof *loop);
    signal(SIGPIPE, SIG_IGN);
    int failed = uv_loop_init(&loop->uv);
    failed |= uv_async_init(&loop->uv, &loop->wake, on_wake);
    failed |= uv_prepare_init(&loop->uv, &loop->turn_end);
    failed |= uv_prepare_start(&loop->turn_end, on_turn_end);
    ASSERT(!failed);
    loop->wake.data = loop->turn_end.data = loop;
    list_init(&loop->hooks);
    return loop;
}

void loop_run(struct loop *loop) {
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    end_turn(loop);
    atomic_store(&loop->stopping, false);
}

void loop_stop(struct loop *loop) {
    atomic_store_explicit(&loop->stopping, true, memory_order_release);
    uv_async_send(&loop->wake);
}

/* A handle that its owner forgot must not keep loop_free() waiting: it is found by uv_loop_close(). */
static void unref(uv_handle_t *handle, void *data) {
    if (!uv_is_closing(handle))
        uv_unref(handle);
}

void loop_free(struct loop *loop) {
    if (!loop)
        return;
    while (atomic_load_explicit(&loop->posted, memory_order_relaxed))
        run_posted(loop);
    uv_close((uv_handle_t *)&loop->wake, NULL);
    uv_close((uv_handle_t *)&loop->turn_end, NULL);
    uv_walk(&loop->uv, unref, NULL);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    if (loop->part) {
        loop->part->free(loop->part);
        uv_run(&loop->uv, UV_RUN_DEFAULT);
    }
    int busy = uv_loop_close(&loop->uv);
    ASSERT(busy == 0);
    free(loop);
}

uint64_t loop_now_ms(const struct loop *loop) {
    return uv_now(&loop->uv);
}

uv_loop_t *loop_uv(struct loop *loop) {
    return &loop->uv;
}

void loop_post(struct loop *loop, struct task *task) {
    struct task *head = atomic_load_explicit(&loop->posted, memory_order_relaxed);
    do
        task->next = head;
    while (!atomic_compare_exchange_weak_explicit(&loop->posted, &head, task, memory_order_release,
                                                  memory_order_relaxed));
    if (!head)
        uv_async_send(&loop->wake);
}

void loop_hook_add(struct loop *loop, struct turn_hook *hook) {
    list_push_back(&loop->hooks, &hook->link);
}

void loop_hook_remove(struct turn_hook *hook) {
    list_remove(&hook->link);
}

struct loop_part *loop_part(const struct loop *loop) {
    return loop->part;
}

void loop_part_set(struct loop *loop, struct loop_part *part) {
    ASSERT(!loop->part);
    loop->part = part;
}

static void on_timer(uv_timer_t *uv) {
    struct timer *timer = CONTAINER_OF(uv, struct timer, uv);
    timer->fire(timer);
}

void timer_start(struct loop *loop, struct timer *timer, uint64_t delay_ms, uint64_t repeat_ms,
                 void (*fire)(struct timer *timer)) {
    if (!timer->opened) {
        uv_timer_init(&loop->uv, &timer->uv);
        timer->opened = true;
    }
    ASSERT(!uv_is_closing((uv_handle_t *)&timer->uv));
    timer->fire = fire;
    uv_timer_start(&timer->uv, on_timer, delay_ms, repeat_ms);
}

void timer_stop(struct timer *timer) {
    if (timer->opened)
        uv_timer_stop(&timer->uv);
}

bool timer_running(const struct timer *timer) {
    return timer->opened && uv_is_active((const uv_handle_t *)&timer->uv);
}

static void on_timer_closed(uv_handle_t *uv) {
    struct timer *timer = CONTAINER_OF(uv, struct timer, uv);
    timer->opened = false;
    if (timer->closed)
        timer->closed(timer);
}

void timer_close(struct timer *timer, void (*closed)(struct timer *timer)) {
    if (!timer->opened) {
        if (closed)
            closed(timer);
        return;
    }
    timer->closed = closed;
    uv_close((uv_handle_t *)&timer->uv, on_timer_closed);
}

static void on_pool(uv_work_t *uv) {
    struct work *work = CONTAINER_OF(uv, struct work, uv);
    work->work(work);
}

static void on_pool_done(uv_work_t *uv, int status) {
    ASSERT(status == 0); /* Nothing is ever cancelled. */
    struct work *work = CONTAINER_OF(uv, struct work, uv);
    work->done(work);
}

void loop_work(struct loop *loop, struct work *work, void (*run)(struct work *work),
               void (*done)(struct work *work)) {
    work->work = run;
    work->done = done;
    int failed = uv_queue_work(&loop->uv, &work->uv, on_pool, on_pool_done);
    ASSERT(!failed);
}

static void thread_main(void *data) {
    struct loop_thread *thread = data;
    pthread_setname_np(pthread_self(), thread->name);
    loop_run(thread->loop);
}

void loop_thread_start(struct loop_thread *thread, const char *name) {
    thread->loop = loop_new();
    thread->name = name;
    int failed = uv_thread_create(&thread->uv, thread_main, thread);
    ASSERT(!failed);
}

void loop_thread_stop(struct loop_thread *thread) {
    if (!thread->loop)
        return;
    loop_stop(thread->loop);
    uv_thread_join(&thread->uv);
    loop_free(thread->loop);
    thread->loop = NULL;
}

struct call {
    struct task task;
    void (*run)(void *data);
    void *data;
    uv_sem_t done;
};

static void run_call(struct task *task) {
    struct call *call = CONTAINER_OF(task, struct call, task);
    call->run(call->data);
    uv_sem_post(&call->done);
}

void loop_call(struct loop *loop, void (*run)(void *data), void *data) {
    struct call call = {.task.run = run_call, .run = run, .data = data};
    int failed = uv_sem_init(&call.done, 0);
    ASSERT(!failed);
    loop_post(loop, &call.task);
    uv_sem_wait(&call.done);
    uv_sem_destroy(&call.done);
}
