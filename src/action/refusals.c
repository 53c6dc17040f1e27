#include "action/refusals.h"

#include <stdlib.h>

#include "base/mem.h"

enum { LOG_INTERVAL_MS = 10 * 1000 };

/* What the action acts upon is its first parameter. */
static struct str resource_of(const struct action_record *record) {
    struct action_place place = {0};
    struct action_param param = {0};
    action_param_next(&record->params, &place, &param);
    return param.value;
}

static void log_refusal(struct action_refusals *refusals, const struct action_item *item,
                        int result) {
    unsigned missed;
    if (!log_limit_pass(&refusals->limit, LOG_INTERVAL_MS, &missed))
        return;
    const char *outcome = "";
    if (result < 0)
        outcome = "; the error action cannot keep it";
    else if (!item->record.has_original)
        outcome = "; it is dropped, the rule has no error action";
    log_warn("action", "%s: refused for good, topic %.*s: %s%s (%u more like this)", refusals->name,
             STR_ARG(item->record.topic), item->why, outcome, missed);
}

static int tell(const struct action_services *services, const struct action_spec *spec,
                struct action_batch_item *const *items, size_t count) {
    const struct action_item *first = &items[0]->item;
    const struct action_record **records = xcalloc(count, sizeof(struct action_record *));
    for (size_t i = 0; i < count; i++)
        records[i] = &items[i]->item.record;
    struct action_failure failure = {
        .rule = spec->rule,
        .failed_action = spec->kind->failed_action,
        .resource = resource_of(&first->record),
        .why = str_of(first->why),
        .record = &first->record,
        .batch = first->request ? records : NULL,
        .batch_count = first->request ? count : 0,
        .is_across_topics = first->is_across_topics,
    };
    int result =
        first->record.has_original ? services->fail(services->data, &failure) : MESSAGE_TAKEN;
    free(records);
    return result;
}

/* With it go those that were refused together with it. */
static int hand_over(struct action_refusals *refusals, const struct action_spec *spec,
                     struct action_batch *batch, struct action_batch_item *first,
                     struct action_meter *meter) {
    struct action_batch_item **items = xcalloc(batch->count, sizeof *items);
    size_t count = action_batch_refused(batch, first, items);
    int result = tell(refusals->services, spec, items, count);
    log_refusal(refusals, &first->item, result);
    if (result >= 0)
        metric_add(&meter->failure, (int64_t)count);
    for (size_t i = 0; result >= 0 && i < count; i++)
        items[i]->state = result == MESSAGE_STAGED ? ITEM_STAGED : ITEM_DONE;
    free(items);
    return result;
}

int action_refusals_hand_over(struct action_refusals *refusals, const struct action_spec *spec,
                              struct action_batch *batch, struct action_meter *meter) {
    int result = 0;
    for (size_t i = 0; result >= 0 && i < batch->count; i++)
        if (batch->items[i].state == ITEM_REFUSED)
            result = hand_over(refusals, spec, batch, &batch->items[i], meter);
    return result;
}
