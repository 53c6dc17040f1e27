/*
 * Statements of rules that call functions (aws_lambda()), as if they were an action: their log holds
 * messages as they came, and what is done with one is to evaluate its rule, with the answers of the
 * functions that it asks.
 *
 *      ASKING   a function has been called; when it has answered, or CALL_MS_MAX is over, the statement is
 *               evaluated again, which may ask the next
 *      READY    nothing is missing; it waits for those before it, so that actions run in the order of the log,
 *               and is evaluated once more when it is its turn
 *      STAGED   its actions have run; what they pushed is on its way to the disk
 *
 * Up to IN_FLIGHT_MAX messages of a rule are evaluated side by side. A function that fails makes its rule
 * fail, which the rule itself reports to its error action; here that is success. What the actions cannot
 * keep is tried again, from the evaluation on, with the functions that it calls.
 *
 * A call is given up CALL_MS_MAX after a process has got it (AWS IoT Core Developer Guide,
 * "aws_lambda"): that others are before it, or that no process is up yet, is no failure of the
 * function's. The function itself goes on, and what it answers then is not looked at. When too many
 * events wait for a function, who would call it waits too; so the queues of the functions bound
 * what all rules together have under way.
 *
 * While Weir stops, calls that a process has got may end; what needs another one is tried after the
 * next start.
 */
#include <stdlib.h>

#include "action/kinds.h"
#include "base/mem.h"
#include "base/metric.h"

enum {
    BATCH_ITEMS_MAX = 20, /* as many may be evaluated again after a kill */
    BATCH_BYTES_MAX = 1024 * 1024,
    IN_FLIGHT_MAX = 10,
    CALL_MS_MAX = 2000,
    FULL_MS = 100, /* so long until a function whose queue is full is asked for again */
};

static const struct option statement_options[] = {ACTION_COMMON_OPTIONS("-1", "0s")};

struct meter {
    struct metric calls, failures, timeouts, in_flight;
};

struct target {
    struct action_target target;
    struct loop *loop;
    const struct action_services *services;
    struct action_walk walk;
    struct link evaluations; /* in the order of the log */
    struct sink_gate_listener listener;
    struct timer timer;  /* for the calls */
    struct meter *meter; /* made with the first message */
    unsigned calls;      /* under way; their answers come also when the target is gone */
    bool is_advancing, is_woken, is_timer_closed;
    void (*closed)(void *data);
    void *closed_data;
};

/* One message. */
struct evaluation {
    struct link link;
    struct target *target;
    struct action_item *item;
    enum { ASKING, READY, STAGED } state;
    void *calls; /* of services->statements */
    struct call *call;
    uint64_t deadline_ms; /* ASKING: 0 while nobody works on the call, or of the wait for room */
    bool is_refused;      /* ASKING: the function's queue is full */
    uint64_t ticket;      /* STAGED */
};

/* An invocation under way; without an evaluation nobody waits for it any more. */
struct call {
    struct target *target;
    struct evaluation *evaluation;
    bool is_begun; /* a process has got it */
};

static const struct action_statements *statements_of(const struct target *target) {
    return target->services->statements;
}

/* ---- metrics ---- */

static void init_metric(struct metric *metric, enum metric_type type, const char *name,
                        const char *help, const struct action_spec *spec) {
    struct buf labels = {0};
    metric_label(&labels, "rule", spec->rule);
    metric_init(metric, type, name, help, buf_cstr(&labels));
    buf_done(&labels);
}

static void make_meter(struct target *target, const struct action_spec *spec) {
    struct meter *meter = target->meter = xcalloc(1, sizeof *meter);
    init_metric(&meter->calls, METRIC_COUNTER, "weir_rule_function_calls_total",
                "calls of functions out of a rule's statement", spec);
    init_metric(&meter->failures, METRIC_COUNTER, "weir_rule_function_failures_total",
                "such calls that failed, time-outs included", spec);
    init_metric(&meter->timeouts, METRIC_COUNTER, "weir_rule_function_timeouts_total",
                "such calls that were not answered in time", spec);
    init_metric(&meter->in_flight, METRIC_GAUGE, "weir_rule_evaluations_in_flight",
                "messages of a rule that wait for functions or for the disk", spec);
}

static void free_meter(struct meter *meter) {
    if (!meter)
        return;
    metric_done(&meter->calls);
    metric_done(&meter->failures);
    metric_done(&meter->timeouts);
    metric_done(&meter->in_flight);
    free(meter);
}

/* ---- the end of an evaluation ---- */

static void free_evaluation(struct evaluation *evaluation) {
    struct target *target = evaluation->target;
    if (evaluation->call)
        evaluation->call->evaluation = NULL;
    list_remove(&evaluation->link);
    metric_add(&target->meter->in_flight, -1);
    statements_of(target)->close(evaluation->calls);
    free(evaluation);
}

static void settle(struct evaluation *evaluation, enum action_verdict verdict, const char *why) {
    struct target *target = evaluation->target;
    struct action_item *item = evaluation->item;
    free_evaluation(evaluation);
    action_walk_settle(&target->walk, item, verdict, "%s", why ? why : "");
}

/* One that has to be tried again keeps those behind it from overtaking it. */
static void retry_from(struct evaluation *evaluation, const char *why) {
    struct target *target = evaluation->target;
    struct link *next = evaluation->link.next;
    settle(evaluation, ACTION_RETRY, why);
    while (next != &target->evaluations) {
        struct evaluation *behind = LIST_ITEM(next, struct evaluation, link);
        next = next->next;
        settle(behind, ACTION_POSTPONED, "an earlier message must go first");
    }
}

/* ---- asking ---- */

static void advance(struct target *target);
static void on_timer(struct timer *timer);

static void answer(struct evaluation *evaluation, bool ok, struct str text) {
    struct target *target = evaluation->target;
    metric_add(&target->meter->failures, !ok);
    statements_of(target)->answer(evaluation->calls, ok, text);
}

static void set_timer(struct target *target) {
    uint64_t first_ms = UINT64_MAX, now_ms = loop_now_ms(target->loop);
    LIST_EACH(link, &target->evaluations) {
        const struct evaluation *evaluation = LIST_ITEM(link, struct evaluation, link);
        if (evaluation->deadline_ms && evaluation->deadline_ms < first_ms)
            first_ms = evaluation->deadline_ms;
    }
    if (first_ms == UINT64_MAX)
        timer_stop(&target->timer);
    else
        timer_start(target->loop, &target->timer, first_ms > now_ms ? first_ms - now_ms : 0, 0,
                    on_timer);
}

static void free_if_over(struct target *target);

static void on_begun(void *data) {
    struct call *call = data;
    call->is_begun = true;
    if (!call->evaluation)
        return;
    call->evaluation->deadline_ms = loop_now_ms(call->target->loop) + CALL_MS_MAX;
    set_timer(call->target);
}

static void forget_call(struct evaluation *evaluation) {
    evaluation->call = NULL;
    evaluation->deadline_ms = 0;
}

/* What no process has got when Weir stops is no failure of the function's. */
static void on_invoked(void *data, bool ok, struct str text) {
    struct call call = *(struct call *)data;
    struct target *target = call.target;
    free(data);
    target->calls--;
    if (!call.evaluation) {
        free_if_over(target);
        return;
    }
    forget_call(call.evaluation);
    if (target->target.is_stopping && !call.is_begun) {
        retry_from(call.evaluation, "functions stop");
        return;
    }
    answer(call.evaluation, ok, text);
    advance(target);
}

/* 0: it is under way; else a code of the function host. */
static int begin_call(struct evaluation *evaluation, struct str function, struct str input) {
    struct target *target = evaluation->target;
    const struct action_services *services = target->services;
    struct call *call = xmalloc(sizeof *call);
    *call = (struct call){.target = target, .evaluation = evaluation};
    evaluation->call = call;
    int code = services->invoke(services->data, function, input, on_begun, on_invoked, call);
    if (code) {
        evaluation->call = NULL;
        free(call);
        return code;
    }
    metric_add(&target->meter->calls, 1);
    target->calls++;
    return 0;
}

static struct str refusal(int code) {
    return code == ERR_NOT_FOUND ? STR("there is no such function") : str_of(err_text(code));
}

static void wait_for_room(struct evaluation *evaluation) {
    evaluation->is_refused = true;
    evaluation->deadline_ms = loop_now_ms(evaluation->target->loop) + FULL_MS;
}

/* Goes on until a function is under way, or has no room, or nothing is missing. False while Weir
 * stops: it is evaluated after the next start. */
static bool ask(struct evaluation *evaluation) {
    const struct action_statements *statements = statements_of(evaluation->target);
    const struct action_item *item = evaluation->item;
    struct str function, input;
    while (!evaluation->call && !evaluation->is_refused &&
           statements->ask(evaluation->target->services->data, item->target->spec, &item->record,
                           evaluation->calls, &function, &input)) {
        int code = begin_call(evaluation, function, input);
        if (code == ERR_CLOSED)
            return false;
        if (code == ERR_FULL)
            wait_for_room(evaluation);
        else if (code)
            answer(evaluation, false, refusal(code));
    }
    if (!evaluation->call && !evaluation->is_refused)
        evaluation->state = READY;
    return true;
}

static void on_deadline(struct evaluation *evaluation) {
    bool is_late = evaluation->call != NULL;
    evaluation->is_refused = false;
    if (is_late) {
        evaluation->call->evaluation = NULL;
        metric_add(&evaluation->target->meter->timeouts, 1);
        answer(evaluation, false, STR("it has not answered within 2000 ms"));
    }
    forget_call(evaluation);
}

static void on_timer(struct timer *timer) {
    struct target *target = CONTAINER_OF(timer, struct target, timer);
    uint64_t now_ms = loop_now_ms(target->loop);
    LIST_EACH(link, &target->evaluations) {
        struct evaluation *evaluation = LIST_ITEM(link, struct evaluation, link);
        if (evaluation->deadline_ms && evaluation->deadline_ms <= now_ms)
            on_deadline(evaluation);
    }
    advance(target);
}

/* ---- running ---- */

/* What failed to begin with the rule is gone for good; what could not be kept comes again. */
static bool run(struct evaluation *evaluation) {
    struct target *target = evaluation->target;
    const struct action_services *services = target->services;
    const struct action_item *item = evaluation->item;
    int result = services->statements->run(services->data, item->target->spec, &item->record,
                                           evaluation->calls);
    evaluation->ticket = sink_gate_ticket(services->gate);
    evaluation->state = STAGED;
    if (result == MESSAGE_TAKEN)
        settle(evaluation, ACTION_OK, NULL);
    else if (result == ERR_NOT_FOUND)
        settle(evaluation, ACTION_FAILED, "the rule is no more, and what it needs neither");
    else if (result < 0)
        retry_from(evaluation, err_text(result));
    return result >= 0 || result == ERR_NOT_FOUND;
}

/* One that waited for its turn is asked once more, since its rule, or what that reads, may be
 * another by now. False while Weir stops. */
static bool ask_if_due(struct evaluation *evaluation, bool is_turn) {
    if (evaluation->state == READY && is_turn)
        evaluation->state = ASKING;
    return evaluation->state != ASKING || evaluation->call || evaluation->is_refused ||
           ask(evaluation);
}

/* Asks where an answer has come, and runs those at the front of the order that are ready. */
static void advance_once(struct target *target) {
    bool is_front = true;
    LIST_EACH(link, &target->evaluations) {
        struct evaluation *evaluation = LIST_ITEM(link, struct evaluation, link);
        is_front &= sink_gate_has_room(target->services->gate);
        if (!ask_if_due(evaluation, is_front)) {
            retry_from(evaluation, "functions stop");
            return;
        }
        is_front &= evaluation->state != ASKING;
        if (is_front && evaluation->state == READY && !run(evaluation))
            return;
    }
}

/* Settling one begins the next, which comes back here. */
static void advance(struct target *target) {
    target->is_woken = true;
    if (target->is_advancing)
        return;
    target->is_advancing = true;
    while (target->is_woken) {
        target->is_woken = false;
        advance_once(target);
    }
    target->is_advancing = false;
    set_timer(target);
}

static void on_commit(struct sink_gate_listener *listener, uint64_t ticket, int status) {
    struct target *target = CONTAINER_OF(listener, struct target, listener);
    struct evaluation *failed = NULL;
    if (list_empty(&target->evaluations))
        return;
    target->is_advancing = true; /* what is begun meanwhile waits for the end of this */
    LIST_EACH(link, &target->evaluations) {
        struct evaluation *evaluation = LIST_ITEM(link, struct evaluation, link);
        if (failed || evaluation->state != STAGED || evaluation->ticket != ticket)
            continue;
        if (status)
            failed = evaluation;
        else
            settle(evaluation, ACTION_OK, NULL);
    }
    if (failed)
        retry_from(failed, err_text(status));
    target->is_advancing = false;
    advance(target);
}

static void on_room(struct sink_gate_listener *listener) {
    struct target *target = CONTAINER_OF(listener, struct target, listener);
    if (!list_empty(&target->evaluations))
        advance(target);
}

static void begin(struct action_walk *walk, struct action_item *item) {
    struct target *target = CONTAINER_OF(walk, struct target, walk);
    struct evaluation *evaluation = xcalloc(1, sizeof *evaluation);
    if (!target->meter)
        make_meter(target, item->target->spec);
    evaluation->target = target;
    evaluation->item = item;
    evaluation->calls = statements_of(target)->open();
    metric_add(&target->meter->in_flight, 1);
    list_push_back(&target->evaluations, &evaluation->link);
    advance(target);
}

static void send_items(struct action_target *action, struct action_item *const *items,
                       size_t count) {
    struct target *target = CONTAINER_OF(action, struct target, target);
    action_walk_start(&target->walk, items, count);
}

/* ---- life ---- */

static void free_if_over(struct target *target) {
    if (!target->is_timer_closed || target->calls)
        return;
    free(target);
}

static void on_timer_closed(struct timer *timer) {
    struct target *target = CONTAINER_OF(timer, struct target, timer);
    void (*closed)(void *data) = target->closed;
    void *data = target->closed_data;
    target->is_timer_closed = true;
    free_if_over(target);
    closed(data);
}

/* Calls cannot be called back; what they come to is not looked at. */
static void statement_close(struct action_target *action, void (*closed)(void *data), void *data) {
    struct target *target = CONTAINER_OF(action, struct target, target);
    target->closed = closed;
    target->closed_data = data;
    list_remove(&target->listener.link);
    LIST_EACH(link, &target->evaluations) {
        free_evaluation(LIST_ITEM(link, struct evaluation, link));
    }
    action_walk_done(&target->walk);
    free_meter(target->meter);
    timer_close(&target->timer, on_timer_closed);
}

static const struct action_target_ops ops = {.send = send_items, .close = statement_close};

static int statement_open(struct loop *loop, const struct action_services *services,
                          const void *settings, struct action_target **ret_target,
                          struct err *err) {
    struct target *target = xcalloc(1, sizeof *target);
    target->target.ops = &ops;
    target->loop = loop;
    target->services = services;
    target->walk.in_flight_max = IN_FLIGHT_MAX;
    target->walk.begin = begin;
    target->listener.on_commit = on_commit;
    target->listener.on_room = on_room;
    list_init(&target->evaluations);
    sink_gate_listen(services->gate, &target->listener);
    timer_start(loop, &target->timer, 0, 0, on_timer); /* so that it can be closed */
    *ret_target = &target->target;
    return 0;
}

/* No configuration names it: a rule that calls functions has one of its own. */
static void no_templates(const void *settings, struct action_templates *templates) {}

const struct action_target_kind action_statement = {
    .kind = {.name = "statement",
             .failed_action = "aws_lambda",
             .options = statement_options,
             .settings_size = sizeof(struct action_settings),
             .role_offset = offsetof(struct action_settings, role),
             .templates = no_templates},
    .batch_items_max = BATCH_ITEMS_MAX,
    .batch_bytes_max = BATCH_BYTES_MAX,
    .open = statement_open,
};
