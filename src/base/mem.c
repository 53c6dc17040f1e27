#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *check(void *at, size_t size) {
    if (!at && size) {
        fprintf(stderr, "weir: out of memory (%zu bytes)\n", size);
        abort();
    }
    return at;
}

void *xmalloc(size_t size) {
    return check(malloc(size), size);
}

void *xcalloc(size_t count, size_t size) {
    return check(calloc(count, size), count * size);
}

void *xrealloc(void *old, size_t size) {
    return check(realloc(old, size), size);
}

void *xmemdup(const void *at, size_t len) {
    void *copy = xmalloc(len ? len : 1);
    if (len)
        memcpy(copy, at, len);
    return copy;
}

char *xstrdup(const char *text) {
    return xmemdup(text, strlen(text) + 1);
}

char *xstrdup_or_null(const char *text) {
    return text ? xstrdup(text) : NULL;
}

char *xprintf(const char *format, ...) {
    char *text = NULL;
    va_list args;
    va_start(args, format);
    int len = vasprintf(&text, format, args);
    va_end(args);
    return check(len < 0 ? NULL : text, 1);
}
