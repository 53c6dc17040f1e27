#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/loop.h"

enum { SENDERS = 4, TASKS_PER_SENDER = 5000 };

/* Posting from several threads. */

struct arrivals {
    struct loop *loop;
    pthread_t loop_thread;
    int next[SENDERS], count;
};

struct numbered {
    struct task task;
    struct arrivals *arrivals;
    int sender, number;
};

struct sender {
    pthread_t thread;
    struct loop *loop;
    struct numbered *tasks;
};

static void run_numbered(struct task *task) {
    struct numbered *numbered = CONTAINER_OF(task, struct numbered, task);
    struct arrivals *arrivals = numbered->arrivals;
    assert_true(pthread_equal(pthread_self(), arrivals->loop_thread));
    assert_int_equal(arrivals->next[numbered->sender], numbered->number);
    arrivals->next[numbered->sender]++;
    if (++arrivals->count == SENDERS * TASKS_PER_SENDER)
        loop_stop(arrivals->loop);
}

static void *send_all(void *data) {
    struct sender *sender = data;
    for (int i = 0; i < TASKS_PER_SENDER; i++)
        loop_post(sender->loop, &sender->tasks[i].task);
    return NULL;
}

static void tasks_of_each_sender_arrive_in_order(void **state) {
    struct arrivals arrivals = {.loop = loop_new(), .loop_thread = pthread_self()};
    struct sender senders[SENDERS];
    for (int s = 0; s < SENDERS; s++) {
        senders[s].loop = arrivals.loop;
        senders[s].tasks = xcalloc(TASKS_PER_SENDER, sizeof *senders[s].tasks);
        for (int i = 0; i < TASKS_PER_SENDER; i++)
            senders[s].tasks[i] = (struct numbered){{NULL, run_numbered}, &arrivals, s, i};
        pthread_create(&senders[s].thread, NULL, send_all, &senders[s]);
    }
    loop_run(arrivals.loop);
    for (int s = 0; s < SENDERS; s++) {
        pthread_join(senders[s].thread, NULL);
        free(senders[s].tasks);
        assert_int_equal(arrivals.next[s], TASKS_PER_SENDER);
    }
    loop_free(arrivals.loop);
}

/* Tasks that post. */

struct hopper {
    struct task task;
    struct loop *loop;
    int hops_left;
    bool stops;
};

static void hop(struct task *task) {
    struct hopper *hopper = CONTAINER_OF(task, struct hopper, task);
    if (hopper->hops_left-- > 0)
        loop_post(hopper->loop, task);
    else if (hopper->stops)
        loop_stop(hopper->loop);
}

static void a_task_may_post_itself_again(void **state) {
    struct hopper hopper = {{NULL, hop}, loop_new(), 100, true};
    loop_post(hopper.loop, &hopper.task);
    loop_run(hopper.loop);
    assert_int_equal(hopper.hops_left, -1);
    loop_free(hopper.loop);
}

static void what_was_posted_runs_before_the_loop_is_freed(void **state) {
    struct hopper hopper = {{NULL, hop}, loop_new(), 3, false};
    loop_post(hopper.loop, &hopper.task);
    loop_free(hopper.loop);
    assert_int_equal(hopper.hops_left, -1);
}

/* Hooks. */

struct trace {
    struct loop *loop;
    char text[64];
    size_t len;
};

static void note(struct trace *trace, char mark) {
    if (trace->len < sizeof trace->text - 1)
        trace->text[trace->len++] = mark;
}

struct marking_hook {
    struct turn_hook hook;
    struct trace *trace;
    char mark;
    bool once;
};

static void run_marking(struct turn_hook *hook) {
    struct marking_hook *marking = CONTAINER_OF(hook, struct marking_hook, hook);
    note(marking->trace, marking->mark);
    if (marking->once)
        loop_hook_remove(hook);
}

struct marking_part {
    struct loop_part part;
    struct trace *trace;
};

static void mark_turn_end(struct loop_part *part) {
    note(CONTAINER_OF(part, struct marking_part, part)->trace, '.');
}

static void mark_free(struct loop_part *part) {
    note(CONTAINER_OF(part, struct marking_part, part)->trace, '!');
}

struct marking_task {
    struct task task;
    struct trace *trace;
};

static void mark_and_stop(struct task *task) {
    struct trace *trace = CONTAINER_OF(task, struct marking_task, task)->trace;
    note(trace, 't');
    loop_stop(trace->loop);
}

static void hooks_run_in_order_at_the_end_of_each_turn_and_after_the_last(void **state) {
    struct trace trace = {.loop = loop_new()};
    struct marking_hook a = {{.run = run_marking}, &trace, 'a', false};
    struct marking_hook b = {{.run = run_marking}, &trace, 'b', true};
    struct marking_hook c = {{.run = run_marking}, &trace, 'c', false};
    struct marking_part part = {{mark_turn_end, mark_free}, &trace};
    struct marking_task task = {{NULL, mark_and_stop}, &trace};
    assert_null(loop_part(trace.loop));
    loop_part_set(trace.loop, &part.part);
    assert_ptr_equal(loop_part(trace.loop), &part.part);
    loop_hook_add(trace.loop, &a.hook);
    loop_hook_add(trace.loop, &b.hook);
    loop_hook_add(trace.loop, &c.hook);
    loop_post(trace.loop, &task.task);
    loop_run(trace.loop);
    /* The stop takes a wake-up of its own, and so may take a turn of its own. */
    trace.text[trace.len] = '\0';
    assert_true(strncmp(trace.text, "abc.tac.", 8) == 0);
    loop_hook_remove(&a.hook);
    loop_hook_remove(&a.hook);
    trace.len = 0;
    loop_stop(trace.loop);
    loop_run(trace.loop);
    trace.text[trace.len] = '\0';
    assert_string_equal(trace.text, "c.c.");
    trace.len = 0;
    loop_free(trace.loop);
    assert_int_equal(trace.text[trace.len - 1], '!');
}

/* Timers. */

struct clockwork {
    struct timer slow, quick, beat, stopped;
    struct loop *loop;
    int beats, closed;
    bool quick_fired;
};

static void on_quick(struct timer *timer) {
    CONTAINER_OF(timer, struct clockwork, quick)->quick_fired = true;
    assert_false(timer_running(timer));
}

static void on_slow(struct timer *timer) {
    struct clockwork *clockwork = CONTAINER_OF(timer, struct clockwork, slow);
    assert_true(clockwork->quick_fired);
    loop_stop(clockwork->loop);
}

static void on_beat(struct timer *timer) {
    struct clockwork *clockwork = CONTAINER_OF(timer, struct clockwork, beat);
    if (++clockwork->beats == 3)
        timer_stop(timer);
}

static void on_never(struct timer *timer) {
    fail_msg("a stopped timer fired");
}

static void on_slow_closed(struct timer *timer) {
    CONTAINER_OF(timer, struct clockwork, slow)->closed++;
}

static void timers_fire_repeat_stop_and_close(void **state) {
    struct clockwork clockwork = {.loop = loop_new()};
    uint64_t began_ms = loop_now_ms(clockwork.loop);
    timer_start(clockwork.loop, &clockwork.slow, 5, 0, on_slow);
    timer_start(clockwork.loop, &clockwork.slow, 60, 0, on_slow);
    timer_start(clockwork.loop, &clockwork.quick, 10, 0, on_quick);
    timer_start(clockwork.loop, &clockwork.beat, 1, 2, on_beat);
    timer_start(clockwork.loop, &clockwork.stopped, 1, 1, on_never);
    timer_stop(&clockwork.stopped);
    assert_true(timer_running(&clockwork.beat));
    assert_false(timer_running(&clockwork.stopped));
    loop_run(clockwork.loop);
    assert_true(loop_now_ms(clockwork.loop) - began_ms >= 60);
    assert_int_equal(clockwork.beats, 3);
    timer_close(&clockwork.slow, on_slow_closed);
    assert_int_equal(clockwork.closed, 0);
    timer_close(&clockwork.quick, NULL);
    timer_close(&clockwork.beat, NULL);
    timer_close(&clockwork.stopped, NULL);
    loop_free(clockwork.loop);
    assert_int_equal(clockwork.closed, 1);
}

static void a_timer_that_never_started_closes_at_once(void **state) {
    struct clockwork clockwork = {0};
    timer_stop(&clockwork.slow);
    assert_false(timer_running(&clockwork.slow));
    timer_close(&clockwork.slow, on_slow_closed);
    assert_int_equal(clockwork.closed, 1);
}

/* The pool, threads, calls. */

struct job {
    struct work work;
    struct loop *loop;
    pthread_t worker;
    bool done;
};

static void do_job(struct work *work) {
    CONTAINER_OF(work, struct job, work)->worker = pthread_self();
}

static void on_job_done(struct work *work) {
    struct job *job = CONTAINER_OF(work, struct job, work);
    job->done = true;
    loop_stop(job->loop);
}

static void work_runs_on_the_pool_and_ends_on_the_loop(void **state) {
    struct job job = {.loop = loop_new()};
    loop_work(job.loop, &job.work, do_job, on_job_done);
    loop_run(job.loop);
    assert_true(job.done);
    assert_false(pthread_equal(job.worker, pthread_self()));
    loop_free(job.loop);
}

struct visit {
    pthread_t thread;
    char name[16];
    int count;
};

static void pay_visit(void *data) {
    struct visit *visit = data;
    visit->thread = pthread_self();
    pthread_getname_np(pthread_self(), visit->name, sizeof visit->name);
    visit->count++;
}

static void a_call_runs_on_the_thread_of_the_loop_and_is_waited_for(void **state) {
    struct loop_thread thread;
    struct visit visit = {.count = 0};
    loop_thread_start(&thread, "weir-test");
    for (int i = 0; i < 200; i++) {
        loop_call(thread.loop, pay_visit, &visit);
        assert_int_equal(visit.count, i + 1);
    }
    assert_false(pthread_equal(visit.thread, pthread_self()));
    assert_string_equal(visit.name, "weir-test");
    loop_thread_stop(&thread);
    assert_null(thread.loop);
    loop_thread_stop(&thread);
}

static void threads_start_and_stop_again_and_again(void **state) {
    for (int i = 0; i < 20; i++) {
        struct loop_thread thread;
        loop_thread_start(&thread, "weir-test");
        loop_thread_stop(&thread);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tasks_of_each_sender_arrive_in_order),
        cmocka_unit_test(a_task_may_post_itself_again),
        cmocka_unit_test(what_was_posted_runs_before_the_loop_is_freed),
        cmocka_unit_test(hooks_run_in_order_at_the_end_of_each_turn_and_after_the_last),
        cmocka_unit_test(timers_fire_repeat_stop_and_close),
        cmocka_unit_test(a_timer_that_never_started_closes_at_once),
        cmocka_unit_test(work_runs_on_the_pool_and_ends_on_the_loop),
        cmocka_unit_test(a_call_runs_on_the_thread_of_the_loop_and_is_waited_for),
        cmocka_unit_test(threads_start_and_stop_again_and_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
