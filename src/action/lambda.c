/*
 * The action `lambda`: an asynchronous invocation of a function, with the payload as its event (AWS
 * Lambda Developer Guide, "Asynchronous invocation"). A function that fails is tried twice more, and an
 * event that is older than six hours is given up; both can be set. Unlike on AWS the pauses between are
 * those of every action, and what is given up goes to the rule's error action.
 *
 * Invocations run side by side, as many as the function's concurrency and MAX_IN_FLIGHT allow, so they
 * have no order.
 */
#include <stdlib.h>

#include "action/kinds.h"
#include "base/json.h"
#include "base/mem.h"
#include "flow/arn.h"

enum { BATCH_ITEMS_MAX = 100, BATCH_BYTES_MAX = 1024 * 1024, MAX_IN_FLIGHT = 10 };

struct lambda_settings {
    struct action_settings common;
    const char *function_arn; /* template: a name, or an ARN whose end is one */
};

static const struct option lambda_options[] = {
    {"function_arn", OPTION_STRING, offsetof(struct lambda_settings, function_arn),
     .required = true,
     .help = "arn:aws:lambda:REGION:ACCOUNT:function:NAME, or NAME alone; may be a template"},
    ACTION_COMMON_OPTIONS("2", "6h"),
};

struct lambda {
    struct action_target target;
    const struct action_services *services;
    struct action_walk walk;
    struct json json;
    unsigned calls; /* under way; their answers come also when the target is gone */
    bool is_closing;
};

struct call {
    struct lambda *lambda;
    struct action_item *item;
    bool is_begun; /* a process has got it */
};

static void templates(const void *data, struct action_templates *list) {
    const struct lambda_settings *settings = data;
    action_template_add(list, "function", settings->function_arn, &settings->common.head,
                        "function_arn");
}

/* ---- invoking ---- */

static void free_if_over(struct lambda *lambda) {
    if (!lambda->is_closing || lambda->calls)
        return;
    action_walk_done(&lambda->walk);
    json_done(&lambda->json);
    free(lambda);
}

static void on_begun(void *data) {
    ((struct call *)data)->is_begun = true;
}

/* What no process has got when Weir stops is no attempt. */
static enum action_verdict failure_of(const struct call *call) {
    bool is_cut = call->lambda->target.is_stopping && !call->is_begun;
    return is_cut ? ACTION_POSTPONED : ACTION_RETRY;
}

static void on_invoked(void *data, bool ok, struct str text) {
    struct call call = *(struct call *)data;
    struct lambda *lambda = call.lambda;
    free(data);
    lambda->calls--;
    if (lambda->is_closing) {
        free_if_over(lambda);
        return;
    }
    struct str name = action_param_get(&call.item->record.params, "function");
    if (ok)
        action_walk_settle(&lambda->walk, call.item, ACTION_OK, NULL);
    else
        action_walk_settle(&lambda->walk, call.item, failure_of(&call), "function %.*s: %.*s",
                           STR_ARG(name), STR_ARG(text));
}

static void refuse(struct action_walk *walk, struct action_item *item, struct str name, int code) {
    enum action_verdict verdict = ACTION_FAILED;
    if (code == ERR_FULL || code == ERR_CLOSED)
        verdict = ACTION_POSTPONED;
    else if (code == ERR_NOT_FOUND)
        verdict = ACTION_RETRY;
    action_walk_settle(walk, item, verdict, "function %.*s: %s", STR_ARG(name), err_text(code));
}

static void begin(struct action_walk *walk, struct action_item *item) {
    struct lambda *lambda = CONTAINER_OF(walk, struct lambda, walk);
    struct str name = arn_function_name(action_param_get(&item->record.params, "function"));
    struct str event = item->record.payload;
    if (json_parse(&lambda->json, event)) {
        action_walk_settle(walk, item, ACTION_FAILED, "the payload is no JSON document");
        return;
    }
    struct call *call = xmalloc(sizeof *call);
    *call = (struct call){.lambda = lambda, .item = item};
    int code =
        lambda->services->invoke(lambda->services->data, name, event, on_begun, on_invoked, call);
    if (code == 0) {
        lambda->calls++;
        return;
    }
    free(call);
    refuse(walk, item, name, code);
}

static void send_items(struct action_target *target, struct action_item *const *items,
                       size_t count) {
    struct lambda *lambda = CONTAINER_OF(target, struct lambda, target);
    action_walk_start(&lambda->walk, items, count);
}

/* ---- life ---- */

/* Invocations cannot be called back; what they come to is not looked at. */
static void lambda_close(struct action_target *target, void (*closed)(void *data), void *data) {
    struct lambda *lambda = CONTAINER_OF(target, struct lambda, target);
    lambda->is_closing = true;
    free_if_over(lambda);
    closed(data);
}

static const struct action_target_ops ops = {.send = send_items, .close = lambda_close};

static int lambda_open(struct loop *loop, const struct action_services *services,
                       const void *settings, struct action_target **ret_target, struct err *err) {
    struct lambda *lambda = xcalloc(1, sizeof *lambda);
    lambda->target.ops = &ops;
    lambda->services = services;
    lambda->walk.in_flight_max = MAX_IN_FLIGHT;
    lambda->walk.begin = begin;
    *ret_target = &lambda->target;
    return 0;
}

const struct action_target_kind action_lambda = {
    .kind = {.name = "lambda",
             .failed_action = "LambdaAction",
             .options = lambda_options,
             .settings_size = sizeof(struct lambda_settings),
             .role_offset = offsetof(struct action_settings, role),
             .templates = templates},
    .batch_items_max = BATCH_ITEMS_MAX,
    .batch_bytes_max = BATCH_BYTES_MAX,
    .open = lambda_open,
};
