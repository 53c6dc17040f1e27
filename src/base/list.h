/*
 * A doubly linked list through a member of its items. The head is a link too. A link that is in no
 * list is zeroed, so list_linked() tells; an item is in at most one list per link.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

struct link {
    struct link *next, *prev;
};

static inline void list_init(struct link *head) {
    head->next = head->prev = head;
}

static inline bool list_empty(const struct link *head) {
    return head->next == head;
}

static inline bool list_linked(const struct link *link) {
    return link->next != NULL;
}

static inline void list_insert_before(struct link *where, struct link *item) {
    item->prev = where->prev;
    item->next = where;
    where->prev->next = item;
    where->prev = item;
}

static inline void list_push_back(struct link *head, struct link *item) {
    list_insert_before(head, item);
}

static inline void list_push_front(struct link *head, struct link *item) {
    list_insert_before(head->next, item);
}

/* Nothing happens when the item is in no list. */
static inline void list_remove(struct link *item) {
    if (!item->next)
        return;
    item->prev->next = item->next;
    item->next->prev = item->prev;
    item->next = item->prev = NULL;
}

/* The first item, taken out; NULL when empty. */
static inline struct link *list_pop_front(struct link *head) {
    struct link *first = head->next;
    if (first == head)
        return NULL;
    list_remove(first);
    return first;
}

#define LIST_ITEM(link_pointer, type, member) CONTAINER_OF(link_pointer, type, member)

/* The body may remove `var` from the list, nothing else. */
#define LIST_EACH(var, head)                                                                       \
    for (struct link *var = (head)->next, *var##_next = var->next; var != (head);                  \
         var = var##_next, var##_next = var->next)

#endif
