#include "app/rules.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"

/* ---- all lanes at once, from main ---- */

static int put_in_force(struct rules *rules, struct rule_set *set, struct err *err) {
    unsigned ready = 0;
    int code = 0;
    while (ready < rules->lane_count &&
           !(code = lane_prepare_rules(&rules->lanes[ready], set, err)))
        ready++;
    for (unsigned i = 0; i < ready; i++)
        lane_commit_rules(&rules->lanes[i], !code);
    return code;
}

int rules_open(struct rules *rules, struct facts *facts, const struct config *config,
               struct err *err) {
    list_init(&rules->preparing);
    return rule_book_open(facts, config->rule_set, &config->surroundings, &rules->book, err);
}

int rules_start(struct rules *rules, struct lane *lanes, unsigned lane_count, struct err *err) {
    rules->lanes = lanes;
    rules->lane_count = lane_count;
    rules->loop = lanes[lane_count - 1].thread.loop;
    struct rule_set *set = rule_book_set(rules->book);
    int code = put_in_force(rules, set, err);
    rule_set_unref(set);
    return code;
}

void rules_use_actions(struct rules *rules, struct action_host *actions) {
    rules->actions = actions;
}

void rules_close(struct rules *rules) {
    ASSERT(rules->applying == 0);
    rule_book_free(rules->book);
    *rules = (struct rules){0};
}

/* ---- one change, from the service's loop ---- */

struct change {
    struct link link; /* in rules->preparing */
    struct rules *rules;
    struct rule_set *set;
    bool prepared;
    unsigned away; /* lanes that have not come home */
    int code;      /* the first that failed */
    void (*done)(void *data, int code);
    void *data;
    struct visit {
        struct task task;
        struct change *change;
        struct lane *lane;
        int code;
        struct err err;
    } visits[];
};

/* What was prepared is in force, or (another lane has other rules then) as good as that. */
static void end_change(struct change *change) {
    struct rules *rules = change->rules;
    if (rules->actions)
        action_host_apply(rules->actions, rule_set_actions(change->set));
    rules->applying--;
    rule_set_unref(change->set);
    change->done(change->data, change->code);
    free(change);
}

static void on_home(struct task *task) {
    struct visit *visit = CONTAINER_OF(task, struct visit, task);
    struct change *change = visit->change;
    if (visit->code) {
        log_error("app", "%s keeps its rules: %s", visit->lane->thread.name, visit->err.text);
        change->code = visit->code;
    }
    if (--change->away)
        return;
    end_change(change);
}

static void on_lane(struct task *task) {
    struct visit *visit = CONTAINER_OF(task, struct visit, task);
    visit->code = lane_replace_rules(visit->lane, visit->change->set, &visit->err);
    visit->task.run = on_home;
    loop_post(visit->change->rules->loop, &visit->task);
}

static void visit_lanes(struct change *change) {
    struct rules *rules = change->rules;
    for (unsigned i = 0; i < rules->lane_count; i++) {
        struct visit *visit = &change->visits[i];
        visit->task.run = on_lane;
        visit->change = change;
        visit->lane = &rules->lanes[i];
        loop_post(visit->lane->thread.loop, &visit->task);
    }
}

/* Changes set out in the order in which they were made, whatever their logs took. */
static void set_out(struct rules *rules) {
    while (!list_empty(&rules->preparing)) {
        struct change *change = LIST_ITEM(rules->preparing.next, struct change, link);
        if (!change->prepared)
            return;
        list_remove(&change->link);
        if (!change->code) {
            visit_lanes(change);
            continue;
        }
        if (rules->actions)
            action_host_give_up(rules->actions, rule_set_actions(change->set));
        rules->applying--;
        rule_set_unref(change->set);
        change->done(change->data, change->code);
        free(change);
    }
}

static void on_prepared(void *data, int status) {
    struct change *change = data;
    change->prepared = true;
    change->code = status;
    set_out(change->rules);
}

/* For actions to begin with there is a loop's turn at least, so `done` comes later. */
void rules_apply(struct rules *rules, void (*done)(void *data, int code), void *data) {
    struct change *change =
        xcalloc(1, sizeof *change + rules->lane_count * sizeof change->visits[0]);
    change->rules = rules;
    change->set = rule_book_set(rules->book);
    change->away = rules->lane_count;
    change->done = done;
    change->data = data;
    rules->applying++;
    list_push_back(&rules->preparing, &change->link);
    if (rules->actions)
        action_host_prepare(rules->actions, rule_set_actions(change->set), on_prepared, change);
    else
        on_prepared(change, ERR_CLOSED);
}

/* ---- another configuration ---- */

struct reload {
    struct rules *rules;
    const struct config *fresh;
    struct rule_set *set;
    bool take;
    uv_sem_t prepared;
    int status;
};

static void on_reload_prepared(void *data, int status) {
    struct reload *reload = data;
    reload->status = status;
    uv_sem_post(&reload->prepared);
}

static void do_begin(void *data) {
    struct reload *reload = data;
    struct rules *rules = reload->rules;
    rules->frozen = true;
    rules->next_book =
        rule_book_reconfigured(rules->book, reload->fresh->rule_set, &reload->fresh->surroundings);
    reload->set = rule_book_set(rules->next_book);
    action_host_prepare(rules->actions, rule_set_actions(reload->set), on_reload_prepared, reload);
}

static void do_end(void *data) {
    struct reload *reload = data;
    struct rules *rules = reload->rules;
    struct rule_book *unused = rules->next_book;
    if (reload->take) {
        unused = rules->book;
        rules->book = rules->next_book;
        action_host_apply(rules->actions, rule_set_actions(reload->set));
    } else {
        action_host_give_up(rules->actions, rule_set_actions(reload->set));
    }
    rules->next_book = NULL;
    rules->frozen = false;
    rule_book_free(unused);
}

int rules_reload(struct rules *rules, const struct config *fresh, struct err *err) {
    struct reload reload = {.rules = rules, .fresh = fresh};
    int failed = uv_sem_init(&reload.prepared, 0);
    ASSERT(!failed);
    loop_call(rules->loop, do_begin, &reload);
    uv_sem_wait(&reload.prepared);
    uv_sem_destroy(&reload.prepared);
    int code = reload.status;
    if (code)
        err_set(err, code, "the logs of actions: %s", err_text(code));
    else
        code = put_in_force(rules, reload.set, err);
    reload.take = !code;
    loop_call(rules->loop, do_end, &reload);
    rule_set_unref(reload.set);
    return code;
}
