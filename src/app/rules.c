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

void rules_close(struct rules *rules) {
    ASSERT(rules->applying == 0);
    rule_book_free(rules->book);
    *rules = (struct rules){0};
}

/* ---- one change, from the service's loop ---- */

struct change {
    struct rules *rules;
    struct rule_set *set;
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

static void on_home(struct task *task) {
    struct visit *visit = CONTAINER_OF(task, struct visit, task);
    struct change *change = visit->change;
    if (visit->code) {
        log_error("app", "%s keeps its rules: %s", visit->lane->thread.name, visit->err.text);
        change->code = visit->code;
    }
    if (--change->away)
        return;
    change->rules->applying--;
    rule_set_unref(change->set);
    change->done(change->data, change->code);
    free(change);
}

static void on_lane(struct task *task) {
    struct visit *visit = CONTAINER_OF(task, struct visit, task);
    visit->code = lane_replace_rules(visit->lane, visit->change->set, &visit->err);
    visit->task.run = on_home;
    loop_post(visit->change->rules->loop, &visit->task);
}

void rules_apply(struct rules *rules, void (*done)(void *data, int code), void *data) {
    struct change *change =
        xcalloc(1, sizeof *change + rules->lane_count * sizeof change->visits[0]);
    change->rules = rules;
    change->set = rule_book_set(rules->book);
    change->away = rules->lane_count;
    change->done = done;
    change->data = data;
    rules->applying++;
    for (unsigned i = 0; i < rules->lane_count; i++) {
        struct visit *visit = &change->visits[i];
        visit->task.run = on_lane;
        visit->change = change;
        visit->lane = &rules->lanes[i];
        loop_post(visit->lane->thread.loop, &visit->task);
    }
}

/* ---- another configuration ---- */

struct reload {
    struct rules *rules;
    const struct config *fresh;
    struct rule_set *set;
    bool take;
};

static void do_begin(void *data) {
    struct reload *reload = data;
    struct rules *rules = reload->rules;
    rules->frozen = true;
    rules->next_book =
        rule_book_reconfigured(rules->book, reload->fresh->rule_set, &reload->fresh->surroundings);
    reload->set = rule_book_set(rules->next_book);
}

static void do_end(void *data) {
    struct reload *reload = data;
    struct rules *rules = reload->rules;
    struct rule_book *unused = rules->next_book;
    if (reload->take) {
        unused = rules->book;
        rules->book = rules->next_book;
    }
    rules->next_book = NULL;
    rules->frozen = false;
    rule_book_free(unused);
}

int rules_reload(struct rules *rules, const struct config *fresh, struct err *err) {
    struct reload reload = {.rules = rules, .fresh = fresh};
    loop_call(rules->loop, do_begin, &reload);
    int code = put_in_force(rules, reload.set, err);
    rule_set_unref(reload.set);
    reload.take = !code;
    loop_call(rules->loop, do_end, &reload);
    return code;
}
