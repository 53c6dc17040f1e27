/* For tests of one kind of action: its target on a loop, and a send whose items come to what they
 * come to. */
#ifndef ACTION_TARGET_RIG_TEST_H
#define ACTION_TARGET_RIG_TEST_H

#include "base/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "action/target.h"
#include "base/conf_rig.h"
#include "base/mem.h"

enum { RIG_ITEMS = 5, RIG_SECONDS_MAX = 60 };

struct target_rig {
    const struct action_target_kind *kind;
    struct arena arena;
    struct loop *loop;
    void *settings;
    struct action_services services;
    struct action_target *target;
    struct action_item items[RIG_ITEMS];
    struct action_item *pointers[RIG_ITEMS];
    struct buf params[RIG_ITEMS];
    bool is_settled, is_closed;
};

/* Reads settings; in `text` ' stands for ". The code, `err` filled. */
static inline int rig_load(struct arena *arena, const struct action_target_kind *kind,
                           const char *text, void **ret_settings, struct err *err) {
    const struct conf *conf = conf_from_text(arena, str_of(text));
    assert_non_null(conf);
    *ret_settings = arena_zalloc(arena, kind->kind.settings_size);
    int code = option_load(arena, kind->kind.options, conf, *ret_settings, err);
    return code || !kind->kind.check ? code : kind->kind.check(*ret_settings, err);
}

static inline void rig_refuses(const struct action_target_kind *kind, const char *text,
                               const char *why) {
    struct arena arena = {0};
    struct err err = {0};
    void *settings;
    if (!rig_load(&arena, kind, text, &settings, &err) || !strstr(err.text, why))
        fail_msg("%s: no \"%s\" in \"%s\"", text, why, err.text);
    arena_done(&arena);
}

static inline void rig_on_settled(struct action_target *target) {
    ((struct target_rig *)target->runner)->is_settled = true;
}

static inline void rig_init(struct target_rig *rig) {
    alarm(RIG_SECONDS_MAX);
    *rig = (struct target_rig){.loop = loop_new()};
}

/* What the target needs of other parts is in `services` by now. */
static inline void rig_open(struct target_rig *rig, const struct action_target_kind *kind,
                            const char *text) {
    struct err err = {0};
    rig->kind = kind;
    if (rig_load(&rig->arena, kind, text, &rig->settings, &err) ||
        kind->open(rig->loop, &rig->services, rig->settings, &rig->target, &err))
        fail_msg("%s", err.text);
    rig->target->settled = rig_on_settled;
    rig->target->runner = rig;
    for (unsigned i = 0; i < RIG_ITEMS; i++)
        rig->items[i] =
            (struct action_item){.target = rig->target,
                                 .counter = i,
                                 .record = {.payload = STR("{}"), .received_ms = 1700000000000}};
}

static inline void rig_begin(struct target_rig *rig, const struct action_target_kind *kind,
                             const char *text) {
    rig_init(rig);
    rig_open(rig, kind, text);
}

/* A parameter of an item, in the order of the kind's templates. */
static inline void rig_param(struct target_rig *rig, unsigned i, const char *name,
                             const char *value) {
    struct buf *params = &rig->params[i];
    action_param_write(params, str_of(name), str_of(value));
    rig->items[i].record.params.bytes = buf_str(params);
    rig->items[i].record.params.count++;
}

/* As a runner does, with the items that no send has settled for good. */
static inline void rig_send(struct target_rig *rig) {
    size_t count = 0;
    for (unsigned i = 0; i < RIG_ITEMS; i++) {
        struct action_item *item = &rig->items[i];
        if (item->is_settled && item->verdict != ACTION_RETRY && item->verdict != ACTION_POSTPONED)
            continue;
        item->is_settled = false;
        rig->pointers[count++] = item;
    }
    rig->is_settled = false;
    rig->target->unsettled = count;
    rig->target->ops->send(rig->target, rig->pointers, count);
}

static inline void rig_turn(struct target_rig *rig) {
    uv_run(loop_uv(rig->loop), UV_RUN_ONCE);
}

static inline void rig_await(struct target_rig *rig) {
    while (!rig->is_settled)
        rig_turn(rig);
}

/* One letter per item: o(k), r(etry), f(ailed), p(ostponed), - for one that was not settled. */
static inline void rig_expect(const struct target_rig *rig, const char *verdicts) {
    char seen[RIG_ITEMS + 1] = "";
    for (unsigned i = 0; i < RIG_ITEMS; i++)
        seen[i] = rig->items[i].is_settled ? "orfp"[rig->items[i].verdict] : '-';
    assert_string_equal(seen, verdicts);
}

/* One send, and what its items came to. */
static inline void rig_send_and_expect(struct target_rig *rig, const char *verdicts) {
    rig_send(rig);
    rig_await(rig);
    rig_expect(rig, verdicts);
}

static inline void rig_expect_why(const struct target_rig *rig, unsigned i, const char *why) {
    const char *text = rig->items[i].why ? rig->items[i].why : "";
    if (!strstr(text, why))
        fail_msg("no \"%s\" in \"%s\"", why, text);
}

/* A send that comes to this. */
static inline void rig_deliver(struct target_rig *rig, const char *verdicts) {
    rig_send(rig);
    rig_await(rig);
    rig_expect(rig, verdicts);
}

static inline void rig_on_closed(void *data) {
    ((struct target_rig *)data)->is_closed = true;
}

static inline void rig_close(struct target_rig *rig) {
    rig->target->ops->close(rig->target, rig_on_closed, rig);
    while (!rig->is_closed)
        rig_turn(rig);
}

/* The target is closed, and what it stood on. */
static inline void rig_done(struct target_rig *rig) {
    loop_free(rig->loop);
    for (unsigned i = 0; i < RIG_ITEMS; i++) {
        free(rig->items[i].why);
        buf_done(&rig->params[i]);
    }
    arena_done(&rig->arena);
}

static inline void rig_end(struct target_rig *rig) {
    rig_close(rig);
    rig_done(rig);
}

#endif
