#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json_write.h"

static _Atomic int least_level = LOG_INFO;
static _Atomic int line_format = LOG_TEXT;

static const char *const level_names[] = {"debug", "info", "warn", "error"};

void log_setup(enum log_level least, enum log_format format) {
    atomic_store(&least_level, (int)least);
    atomic_store(&line_format, (int)format);
}

bool log_wants(enum log_level level) {
    return (int)level >= atomic_load_explicit(&least_level, memory_order_relaxed);
}

static void add_plain(struct buf *line, struct str message) {
    for (size_t i = 0; i < message.len; i++) {
        unsigned char c = (unsigned char)message.at[i];
        if (c < 0x20 || c == 0x7f)
            buf_printf(line, "\\x%02x", c);
        else
            buf_add_u8(line, c);
    }
}

static void add_line(struct buf *line, enum log_level level, const char *part, struct str message) {
    char time[CLOCK_RFC3339_BYTES];
    clock_rfc3339(clock_wall_ms(), time);
    if (atomic_load_explicit(&line_format, memory_order_relaxed) == LOG_JSON) {
        buf_printf(line, "{\"time\":\"%s\",\"level\":\"%s\",\"part\":\"%s\",\"message\":", time,
                   level_names[level], part);
        json_write_string(line, message);
        buf_add(line, "}\n", 2);
    } else {
        buf_printf(line, "%s %-5s %-8s ", time, level_names[level], part);
        add_plain(line, message);
        buf_add_u8(line, '\n');
    }
}

void log_write(enum log_level level, const char *part, const char *format, ...) {
    if (!log_wants(level))
        return;
    struct buf message = {0}, line = {0};
    va_list args;
    va_start(args, format);
    buf_vprintf(&message, format, args);
    va_end(args);
    add_line(&line, level, part, buf_str(&message));
    ssize_t written = write(STDERR_FILENO, buf_at(&line), buf_len(&line));
    (void)written; /* Nowhere is left to report it. */
    buf_done(&message);
    buf_done(&line);
}

bool log_limit_pass(struct log_limit *limit, unsigned interval_ms, unsigned *ret_missed) {
    uint64_t now = clock_mono_ns();
    if (now < limit->next_ns) {
        limit->missed++;
        return false;
    }
    *ret_missed = limit->missed;
    limit->missed = 0;
    limit->next_ns = now + (uint64_t)interval_ms * 1000000;
    return true;
}
