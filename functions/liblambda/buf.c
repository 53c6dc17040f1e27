#include "buf.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void lambda_assert_failed(const char *condition, const char *file, int line) {
    fprintf(stderr, "lambda: %s:%d: must hold: %s\n", file, line, condition);
    abort();
}

void lambda_buf_done(struct lambda_buf *buf) {
    free(buf->data);
    *buf = (struct lambda_buf){0};
}

void lambda_buf_clear(struct lambda_buf *buf) {
    buf->size = 0;
    if (buf->data)
        buf->data[0] = '\0';
}

/* Makes room for `more` bytes and the NUL behind them. */
static void reserve(struct lambda_buf *buf, size_t more) {
    size_t capacity = buf->capacity ? buf->capacity : 256;
    LAMBDA_ASSERT(more < SIZE_MAX / 4 && buf->size < SIZE_MAX / 4);
    if (buf->data && buf->size + more < buf->capacity)
        return;
    while (capacity <= buf->size + more)
        capacity *= 2;
    buf->data = realloc(buf->data, capacity);
    if (!buf->data) {
        fputs("lambda: out of memory\n", stderr);
        abort();
    }
    buf->capacity = capacity;
}

void lambda_buf_append(struct lambda_buf *buf, const void *bytes, size_t size) {
    reserve(buf, size);
    if (size > 0)
        memcpy(buf->data + buf->size, bytes, size);
    buf->size += size;
    buf->data[buf->size] = '\0';
}

void lambda_buf_append_byte(struct lambda_buf *buf, char byte) {
    lambda_buf_append(buf, &byte, 1);
}

void lambda_buf_format(struct lambda_buf *buf, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    lambda_buf_format_list(buf, format, arguments);
    va_end(arguments);
}

void lambda_buf_format_list(struct lambda_buf *buf, const char *format, va_list arguments) {
    va_list again;
    va_copy(again, arguments);
    int size = vsnprintf(NULL, 0, format, arguments);
    LAMBDA_ASSERT(size >= 0);
    reserve(buf, (size_t)size);
    vsnprintf(buf->data + buf->size, (size_t)size + 1, format, again);
    buf->size += (size_t)size;
    va_end(again);
}
