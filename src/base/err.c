#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *err_text(int code) {
    switch (code) {
    case ERR_OK:
        return "no error";
#define X(name, text)                                                                              \
    case ERR_##name:                                                                               \
        return text;
        ERR_LIST(X)
#undef X
    default:
        return "unknown error";
    }
}

int err_set(struct err *err, int code, const char *format, ...) {
    if (err) {
        va_list args;
        va_start(args, format);
        err->code = code;
        vsnprintf(err->text, sizeof err->text, format, args);
        va_end(args);
    }
    return code;
}

int err_wrap(struct err *err, const char *format, ...) {
    if (!err)
        return ERR_INVALID;
    char context[sizeof err->text];
    va_list args;
    va_start(args, format);
    vsnprintf(context, sizeof context, format, args);
    va_end(args);
    char inner[sizeof err->text];
    memcpy(inner, err->text, sizeof inner);
    int used = snprintf(err->text, sizeof err->text, "%.200s: ", context);
    snprintf(err->text + used, sizeof err->text - (size_t)used, "%s", inner);
    return err->code;
}

int err_from_errno(int errno_value) {
    switch (errno_value) {
    case ENOSPC:
    case EDQUOT:
        return ERR_NO_SPACE;
    case ENOENT:
        return ERR_NOT_FOUND;
    case EEXIST:
        return ERR_EXISTS;
    case EACCES:
    case EPERM:
        return ERR_DENIED;
    default:
        return ERR_IO;
    }
}

int err_set_errno(struct err *err, int errno_value, const char *format, ...) {
    int code = err_from_errno(errno_value);
    if (!err)
        return code;
    va_list args;
    va_start(args, format);
    err->code = code;
    int used = vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    if (used >= 0 && (size_t)used < sizeof err->text)
        snprintf(err->text + used, sizeof err->text - (size_t)used, ": %s", strerror(errno_value));
    return code;
}

void err_assert_failed(const char *expression, const char *file, int line) {
    fprintf(stderr, "weir: assertion failed: %s (%s:%d)\n", expression, file, line);
    abort();
}
