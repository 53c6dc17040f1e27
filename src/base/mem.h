/*
 * Memory that is always there: these abort when the system has none, because code that handles a
 * failing malloc is code that nobody ever runs. What a peer can make grow is bounded before it
 * comes here.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *old, size_t size);
void *xmemdup(const void *at, size_t len);
char *xstrdup(const char *text);

/* NULL when `text` is NULL. */
char *xstrdup_or_null(const char *text);

/* A new string made as printf makes it; the caller frees it. */
char *xprintf(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define CONTAINER_OF(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#endif
