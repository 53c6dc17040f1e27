#include "app/trace.h"

#include <stdlib.h>

#include "base/mem.h"

struct trace {
    struct traces *traces;
    struct rest_call *call;
    char *rule;
    uint64_t count_left; /* lines; UINT64_MAX: without end */
    uint64_t missed;     /* lines that were not written and not told of */
    unsigned away;       /* followers that are not gone */
    bool ending;
    struct follower {
        struct rule_tracer tracer;
        struct task attach, detach, gone;
        struct trace *trace;
        struct lane *lane;
        /* the lane's */
        unsigned under_way;
        uint64_t missed;
        bool detached;
    } followers[];
};

struct line {
    struct task task;
    struct follower *follower;
    uint64_t missed; /* before this one, on its lane */
    size_t len;
    char text[];
};

/* ---- the end ---- */

static void on_gone(struct task *task) {
    struct follower *follower = CONTAINER_OF(task, struct follower, gone);
    struct trace *trace = follower->trace;
    if (--trace->away)
        return;
    trace->traces->count--;
    rest_stream_end(trace->call);
    free(trace->rule);
    free(trace);
}

/* On the lane: when it is detached and all lines are home, nothing there refers to it. */
static void tell_if_gone(struct follower *follower) {
    if (!follower->detached || follower->under_way)
        return;
    follower->gone.run = on_gone;
    loop_post(follower->trace->traces->loop, &follower->gone);
}

static void on_detach(struct task *task) {
    struct follower *follower = CONTAINER_OF(task, struct follower, detach);
    rule_engine_untrace(follower->lane->engine, &follower->tracer);
    follower->detached = true;
    tell_if_gone(follower);
}

static void end(struct trace *trace) {
    if (trace->ending)
        return;
    trace->ending = true;
    for (unsigned i = 0; i < trace->traces->lane_count; i++) {
        struct follower *follower = &trace->followers[i];
        follower->detach.run = on_detach;
        loop_post(follower->lane->thread.loop, &follower->detach);
    }
}

static void on_client_gone(struct rest_call *call) {
    end(call->state);
}

/* ---- lines ---- */

static void on_home(struct task *task) {
    struct line *line = CONTAINER_OF(task, struct line, task);
    struct follower *follower = line->follower;
    free(line);
    follower->under_way--;
    tell_if_gone(follower);
}

static void write_line(struct trace *trace, const struct line *line) {
    trace->missed += line->missed;
    if (trace->ending)
        return;
    if (rest_stream_is_full(trace->call)) {
        trace->missed++;
        return;
    }
    struct buf out = {0};
    if (trace->missed)
        buf_printf(&out, "{\"missed\":%llu}\n", (unsigned long long)trace->missed);
    trace->missed = 0;
    buf_add(&out, line->text, line->len);
    buf_add_u8(&out, '\n');
    rest_stream_write(trace->call, buf_str(&out));
    buf_done(&out);
    if (trace->count_left != UINT64_MAX && --trace->count_left == 0)
        end(trace);
}

static void on_service(struct task *task) {
    struct line *line = CONTAINER_OF(task, struct line, task);
    struct follower *follower = line->follower;
    write_line(follower->trace, line);
    line->task.run = on_home;
    loop_post(follower->lane->thread.loop, &line->task);
}

static void on_line(struct rule_tracer *tracer, struct str json) {
    struct follower *follower = CONTAINER_OF(tracer, struct follower, tracer);
    if (follower->under_way >= TRACE_LINES_MAX) {
        follower->missed++;
        return;
    }
    struct line *line = xmalloc(sizeof *line + json.len);
    *line = (struct line){
        .task.run = on_service, .follower = follower, .missed = follower->missed, .len = json.len};
    memcpy(line->text, json.at, json.len);
    follower->missed = 0;
    follower->under_way++;
    loop_post(follower->trace->traces->loop, &line->task);
}

/* ---- the beginning ---- */

static void on_attach(struct task *task) {
    struct follower *follower = CONTAINER_OF(task, struct follower, attach);
    rule_engine_trace(follower->lane->engine, &follower->tracer);
}

static void attach(struct trace *trace, struct lane *lane, struct follower *follower) {
    follower->trace = trace;
    follower->lane = lane;
    follower->tracer.rule = str_of(trace->rule);
    follower->tracer.line = on_line;
    follower->attach.run = on_attach;
    loop_post(lane->thread.loop, &follower->attach);
}

void trace_begin(struct traces *traces, struct rest_call *call, struct str rule, uint64_t count) {
    if (traces->count == TRACES_MAX) {
        rest_fail(call, 429, "ThrottlingException", "%d rules are followed already", TRACES_MAX);
        return;
    }
    struct trace *trace =
        xcalloc(1, sizeof *trace + traces->lane_count * sizeof trace->followers[0]);
    traces->count++;
    trace->traces = traces;
    trace->call = call;
    trace->rule = str_dup(rule);
    trace->count_left = count ? count : UINT64_MAX;
    trace->away = traces->lane_count;
    call->state = trace;
    call->on_gone = on_client_gone;
    rest_stream_begin(call, "application/x-ndjson");
    rest_stream_write(call, STR("{\"following\":true}\n"));
    for (unsigned i = 0; i < traces->lane_count; i++)
        attach(trace, &traces->lanes[i], &trace->followers[i]);
}
