/*
 * A growing byte buffer and the library's assert. Internal to liblambda.
 *
 * A zeroed buffer is valid and empty. Once anything was appended, data[size] is a NUL that does not
 * count. Growing never fails: without memory the process aborts. Bounds are the callers' business.
 */
#ifndef LAMBDA_BUF_H
#define LAMBDA_BUF_H

#include <stdarg.h>
#include <stddef.h>

struct lambda_buf {
    char *data;
    size_t size;
    size_t capacity;
};

/* Holds in release builds too: what it guards would corrupt memory. */
#define LAMBDA_ASSERT(condition)                                                                   \
    ((condition) ? (void)0 : lambda_assert_failed(#condition, __FILE__, __LINE__))

_Noreturn void lambda_assert_failed(const char *condition, const char *file, int line);

/* Frees the bytes; the buffer is valid and empty again. */
void lambda_buf_done(struct lambda_buf *buf);

/* Empties the buffer and keeps its memory. */
void lambda_buf_clear(struct lambda_buf *buf);

/* Appends a copy of the bytes; they must not lie in the buffer itself. */
void lambda_buf_append(struct lambda_buf *buf, const void *bytes, size_t size);

void lambda_buf_append_byte(struct lambda_buf *buf, char byte);

void lambda_buf_format(struct lambda_buf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

void lambda_buf_format_list(struct lambda_buf *buf, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

#endif
