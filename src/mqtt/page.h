/*
 * A page of a sorted listing, made of items that come in any order and from several workers: of all
 * that is offered and stands behind `after`, the `limit` first. Not shared between threads.
 */
#ifndef MQTT_PAGE_H
#define MQTT_PAGE_H

#include <stdbool.h>

#include "base/buf.h"

struct page_item {
    struct str key;   /* owned */
    const void *here; /* what it stands for, as long as the thread stays where that is; or NULL */
    struct buf text;  /* what is told of it */
};

struct page {
    struct str after; /* a key; empty: from the beginning */
    size_t limit;     /* at least 1 */
    struct page_item *items;
    size_t count;
    bool more; /* there are items behind the page */
};

/* Puts it into its place, if it has one. Keys are not empty; one that is there already stays as it
 * is. */
void page_offer(struct page *page, struct str key, const void *here);
void page_done(struct page *page);

#endif
