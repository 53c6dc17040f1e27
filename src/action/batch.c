#include "action/batch.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Of the messages in one document: in base64 they must fit into a record. */
enum { DOCUMENT_BYTES_MAX = 512 * 1024 };

void action_batch_reserve(struct action_batch *batch, size_t items_max) {
    if (batch->items)
        return;
    batch->items = xcalloc(items_max, sizeof *batch->items);
    batch->pending = xcalloc(items_max, sizeof(struct action_item *));
    batch->room = items_max;
}

int action_batch_take(struct action_batch *batch, const struct stream_record *record) {
    ASSERT(batch->count < batch->room);
    struct action_batch_item *item = &batch->items[batch->count++];
    *item = (struct action_batch_item){
        .item = {.counter = record->counter, .arrival_ms = record->arrival_ms}};
    int code = action_record_read(record->data, &item->item.record);
    if (code)
        item->state = ITEM_DONE;
    return code;
}

size_t action_batch_collect(struct action_batch *batch, struct action_target *target) {
    size_t count = 0;
    for (size_t i = 0; i < batch->count; i++) {
        struct action_item *item = &batch->items[i].item;
        if (batch->items[i].state != ITEM_PENDING)
            continue;
        item->target = target;
        item->scratch = NULL;
        item->request = 0;
        item->is_settled = false;
        batch->pending[count++] = item;
    }
    return count;
}

/* ---- after a send ---- */

/* A reason is added to what the target said. */
static void give_up(struct action_batch_item *item, const char *why) {
    char *text = xprintf("%s: %s", why, item->item.why);
    free(item->item.why);
    item->item.why = text;
    item->state = ITEM_REFUSED;
}

static void review_retry(struct action_batch_item *item, const struct action_settings *settings,
                         uint64_t now_ms) {
    int64_t attempts_max = settings->retry_attempts_max;
    uint64_t age_ms_max = (uint64_t)settings->record_age_ms_max;
    item->item.attempts++;
    if (attempts_max >= 0 && item->item.attempts > (uint64_t)attempts_max)
        give_up(item, "maximum_retry_attempts is reached");
    else if (age_ms_max && now_ms > item->item.arrival_ms + age_ms_max)
        give_up(item, "maximum_record_age is passed");
}

static void review_item(struct action_batch_item *item, const struct action_settings *settings,
                        uint64_t now_ms, struct action_tally *tally) {
    switch (item->item.verdict) {
    case ACTION_OK:
        item->state = ITEM_DONE;
        tally->taken++;
        break;
    case ACTION_FAILED:
        item->state = ITEM_REFUSED;
        tally->failed++;
        break;
    case ACTION_RETRY:
        review_retry(item, settings, now_ms);
        tally->retried++;
        break;
    case ACTION_POSTPONED:
        break;
    }
}

struct action_tally action_batch_review(struct action_batch *batch,
                                        const struct action_settings *settings, uint64_t now_ms) {
    struct action_tally tally = {0};
    for (size_t i = 0; i < batch->count; i++)
        if (batch->items[i].state == ITEM_PENDING)
            review_item(&batch->items[i], settings, now_ms, &tally);
    return tally;
}

void action_batch_commit(struct action_batch *batch, int status) {
    for (size_t i = 0; i < batch->count; i++)
        if (batch->items[i].state == ITEM_STAGED)
            batch->items[i].state = status ? ITEM_REFUSED : ITEM_DONE;
}

/* ---- how it stands ---- */

static bool shares_document(const struct action_batch_item *item,
                            const struct action_batch_item *first) {
    return item->state == ITEM_REFUSED && item->item.request &&
           item->item.request == first->item.request &&
           strcmp(item->item.why, first->item.why) == 0;
}

size_t action_batch_refused(const struct action_batch *batch, struct action_batch_item *first,
                            struct action_batch_item **ret_items) {
    size_t count = 0, bytes = first->item.record.original.len;
    ret_items[count++] = first;
    for (size_t i = 0; i < batch->count; i++) {
        struct action_batch_item *item = &batch->items[i];
        if (item == first || !shares_document(item, first))
            continue;
        bytes += item->item.record.original.len;
        if (bytes > DOCUMENT_BYTES_MAX)
            break;
        ret_items[count++] = item;
    }
    return count;
}

struct action_batch_item *action_batch_first(const struct action_batch *batch,
                                             enum action_item_state state) {
    for (size_t i = 0; i < batch->count; i++)
        if (batch->items[i].state == state)
            return &batch->items[i];
    return NULL;
}

uint64_t action_batch_counter(const struct action_batch *batch, uint64_t end) {
    for (size_t i = 0; i < batch->count; i++)
        if (batch->items[i].state != ITEM_DONE)
            return batch->items[i].item.counter;
    return end;
}

size_t action_batch_waiting(const struct action_batch *batch, uint64_t *ret_arrival_ms) {
    size_t waiting = 0;
    for (size_t i = 0; i < batch->count; i++)
        if (batch->items[i].state != ITEM_DONE && waiting++ == 0)
            *ret_arrival_ms = batch->items[i].item.arrival_ms;
    return waiting;
}

void action_batch_clear(struct action_batch *batch) {
    for (size_t i = 0; i < batch->count; i++)
        free(batch->items[i].item.why);
    batch->count = 0;
}

void action_batch_done(struct action_batch *batch) {
    action_batch_clear(batch);
    free(batch->items);
    free(batch->pending);
}
