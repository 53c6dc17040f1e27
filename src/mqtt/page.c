#include "mqtt/page.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static void item_done(struct page_item *item) {
    free((char *)item->key.at);
    buf_done(&item->text);
}

/* Where the key stands or would stand. */
static size_t place_of(const struct page *page, struct str key) {
    size_t low = 0, high = page->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (str_compare(page->items[middle].key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void page_offer(struct page *page, struct str key, const void *here) {
    if (page->after.len && str_compare(key, page->after) <= 0)
        return;
    size_t place = place_of(page, key);
    if (place < page->count && str_eq(page->items[place].key, key))
        return;
    bool full = page->count == page->limit;
    page->more |= full;
    if (place == page->limit)
        return;
    if (!page->items)
        page->items = xcalloc(page->limit, sizeof *page->items);
    if (full)
        item_done(&page->items[--page->count]);
    memmove(&page->items[place + 1], &page->items[place],
            (page->count - place) * sizeof *page->items);
    page->items[place] = (struct page_item){.key = str_from(str_dup(key), key.len), .here = here};
    page->count++;
}

void page_done(struct page *page) {
    for (size_t i = 0; i < page->count; i++)
        item_done(&page->items[i]);
    free(page->items);
    *page = (struct page){0};
}
