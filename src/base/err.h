/*
 * Errors, one idiom for the whole tree.
 *
 * A function that can fail returns `int`: 0 (or a count), or one of the negative codes below. Where
 * a person or a client must be told more, the caller passes a `struct err` that err_set() fills
 * with a sentence saying what was wrong, where, and what would be right. Library folders return
 * errors and do not log; the stage that decides what happens next logs them, once.
 *
 * Programmer errors are ASSERTed, in release builds too. Out of memory aborts (see mem.h).
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdarg.h>
#include <stddef.h>

/* name, text. The text is what err_text() gives for the bare code. */
#define ERR_LIST(X)                                                                                \
    X(AGAIN, "nothing there yet")                                                                  \
    X(FULL, "a bound is reached")                                                                  \
    X(TOO_LARGE, "too large")                                                                      \
    X(INVALID, "invalid")                                                                          \
    X(CORRUPT, "stored data is damaged")                                                           \
    X(IO, "input or output failed")                                                                \
    X(NO_SPACE, "no space left")                                                                   \
    X(NOT_FOUND, "not found")                                                                      \
    X(EXISTS, "exists already")                                                                    \
    X(DENIED, "not allowed")                                                                       \
    X(CLOSED, "closed")                                                                            \
    X(TIMEOUT, "took too long")                                                                    \
    X(UNSUPPORTED, "not supported")                                                                \
    X(REFUSED, "refused by the other side")                                                        \
    X(STOPPED, "stopped before damaged data")

enum err_code {
    ERR_OK = 0,
    ERR_FIRST_ = -1000,
#define X(name, text) ERR_##name,
    ERR_LIST(X)
#undef X
};

struct err {
    int code;
    char text[512];
};

/* Static text for a code. */
const char *err_text(int code);

/* Fills `err` (may be NULL) and returns `code`, so that `return err_set(err, ERR_INVALID, ...)`
 * reads. */
int err_set(struct err *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "context: " before the text that is there, on the way up. Returns err->code. */
int err_wrap(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The code for an errno value: ENOSPC and EDQUOT are NO_SPACE, ENOENT is NOT_FOUND, the rest IO. */
int err_from_errno(int errno_value);

/* "text: strerror": fills err from errno. Returns the code of err_from_errno(). */
int err_set_errno(struct err *err, int errno_value, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

_Noreturn void err_assert_failed(const char *expression, const char *file, int line);

#define ASSERT(expression)                                                                         \
    ((expression) ? (void)0 : err_assert_failed(#expression, __FILE__, __LINE__))

#endif
