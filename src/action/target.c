#include "action/target.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

enum { WHY_CHARS_MAX = 512 };

static void settle(struct action_item *item, enum action_verdict verdict, const char *format,
                   va_list args) {
    struct action_target *target = item->target;
    char why[WHY_CHARS_MAX];
    ASSERT(!item->is_settled && target->unsettled);
    item->is_settled = true;
    item->verdict = verdict;
    if (verdict != ACTION_OK) {
        vsnprintf(why, sizeof why, format, args);
        free(item->why);
        item->why = xstrdup(why);
    }
    if (--target->unsettled == 0)
        target->settled(target);
}

void action_item_settle(struct action_item *item, enum action_verdict verdict, const char *format,
                        ...) {
    va_list args;
    va_start(args, format);
    settle(item, verdict, format, args);
    va_end(args);
}

/* ---- one item at a time ---- */

static void end_item(struct action_walk *walk, struct action_item *item,
                     enum action_verdict verdict, const char *why) {
    if (walk->end)
        walk->end(item, verdict, why);
    else
        action_item_settle(item, verdict, "%s", why);
}

/* Whether an earlier item that has not ended has the same text. */
static bool must_wait(const struct action_walk *walk, size_t index) {
    struct str order = walk->order ? walk->order(walk->items[index]) : (struct str){0};
    for (size_t i = 0; order.len && i < index; i++)
        if (walk->places[i] != ACTION_WALK_ENDED && str_eq(walk->order(walk->items[i]), order))
            return true;
    return false;
}

static bool is_over(const struct action_walk *walk) {
    return walk->is_stopped || (walk->count && walk->items[0]->target->is_stopping);
}

static void begin_next(struct action_walk *walk) {
    for (size_t i = 0; i < walk->count && walk->in_flight < walk->in_flight_max; i++) {
        if (is_over(walk) || walk->places[i] != ACTION_WALK_WAITS || must_wait(walk, i))
            continue;
        walk->places[i] = ACTION_WALK_BEGUN;
        walk->in_flight++;
        walk->begin(walk, walk->items[i]);
    }
}

static void postpone_rest(struct action_walk *walk) {
    for (size_t i = 0; i < walk->count; i++)
        if (walk->places[i] == ACTION_WALK_WAITS) {
            walk->places[i] = ACTION_WALK_ENDED;
            end_item(walk, walk->items[i], ACTION_POSTPONED, "an earlier message must go first");
        }
}

/* An item may be settled from inside begin(): then what it made room for is begun here, not there. */
static void run(struct action_walk *walk) {
    walk->is_woken = true;
    if (walk->is_running)
        return;
    walk->is_running = true;
    while (walk->is_woken) {
        walk->is_woken = false;
        begin_next(walk);
    }
    walk->is_running = false;
    if (is_over(walk) && walk->in_flight == 0)
        postpone_rest(walk);
}

void action_walk_start(struct action_walk *walk, struct action_item *const *items, size_t count) {
    ASSERT(walk->in_flight == 0 && walk->in_flight_max > 0);
    walk->items = items;
    walk->count = count;
    walk->is_stopped = false;
    free(walk->places);
    walk->places = xcalloc(count, sizeof *walk->places);
    run(walk);
}

static void note_end(struct action_walk *walk, const struct action_item *item) {
    size_t i = 0;
    while (walk->items[i] != item)
        i++;
    ASSERT(walk->places[i] == ACTION_WALK_BEGUN);
    walk->places[i] = ACTION_WALK_ENDED;
    walk->in_flight--;
}

void action_walk_settle(struct action_walk *walk, struct action_item *item,
                        enum action_verdict verdict, const char *format, ...) {
    char why[WHY_CHARS_MAX] = "";
    va_list args;
    va_start(args, format);
    if (format)
        vsnprintf(why, sizeof why, format, args);
    va_end(args);
    note_end(walk, item);
    walk->is_stopped |= verdict == ACTION_RETRY || verdict == ACTION_POSTPONED;
    end_item(walk, item, verdict, why);
    run(walk);
}

void action_walk_done(struct action_walk *walk) {
    free(walk->places);
    walk->places = NULL;
}
