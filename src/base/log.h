/*
 * Log lines on standard error, one write each, from any thread. The stage that decides about an
 * error logs it, once; library folders return errors instead. Secrets never come here.
 *
 *   text: 2026-11-23T06:15:00.123Z info  mqtt     listening on 127.0.0.1:1883
 *   json: {"time":"...","level":"info","part":"mqtt","message":"..."}
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_TEXT, LOG_JSON };

/* Before the threads start, and again on reload. */
void log_setup(enum log_level least, enum log_format format);

bool log_wants(enum log_level level);

/* `part` is the folder's name. Control characters in the message are written as \xNN. */
void log_write(enum log_level level, const char *part, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define log_debug(part, ...)                                                                       \
    do {                                                                                           \
        if (log_wants(LOG_DEBUG))                                                                  \
            log_write(LOG_DEBUG, part, __VA_ARGS__);                                               \
    } while (0)
#define log_info(part, ...)  log_write(LOG_INFO, part, __VA_ARGS__)
#define log_warn(part, ...)  log_write(LOG_WARN, part, __VA_ARGS__)
#define log_error(part, ...) log_write(LOG_ERROR, part, __VA_ARGS__)

/*
 * For failures that repeat: lets one line through per interval and counts the rest. Owned by one
 * thread; zeroed is valid. if (log_limit_pass(&limit, 10000, &missed)) log_warn("state", "... (%u
 * more like this)", missed);
 */
struct log_limit {
    uint64_t next_ns;
    unsigned missed;
};

bool log_limit_pass(struct log_limit *limit, unsigned interval_ms, unsigned *ret_missed);

#endif
