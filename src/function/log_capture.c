#include "function/log_capture.h"

#include <inttypes.h>

#include "base/clock.h"

enum { NS_PER_S = 1000000000 };

void function_log_init(struct function_log *log, const char *name) {
    struct buf labels = {0};
    *log = (struct function_log){
        .name = name, .tokens = FUNCTION_LOG_BURST, .refilled_ns = clock_mono_ns()};
    metric_label(&labels, "function", str_of(name));
    metric_init(&log->suppressed_lines, METRIC_COUNTER, "weir_function_log_lines_suppressed_total",
                "Log lines of functions that passed the bound and were not written.",
                buf_cstr(&labels));
    buf_done(&labels);
}

void function_log_done(struct function_log *log) {
    metric_done(&log->suppressed_lines);
}

static void refill(struct function_log *log, uint64_t now_ns) {
    enum { NS_PER_TOKEN = NS_PER_S / FUNCTION_LOG_LINES_PER_S };
    uint64_t earned = (now_ns - log->refilled_ns) / NS_PER_TOKEN;
    if (earned > FUNCTION_LOG_BURST - log->tokens) {
        log->tokens = FUNCTION_LOG_BURST;
        log->refilled_ns = now_ns;
    } else {
        log->tokens += (unsigned)earned;
        log->refilled_ns += earned * NS_PER_TOKEN;
    }
}

bool function_log_admit(struct function_log *log, unsigned lines, unsigned tokens_left,
                        uint64_t now_ns) {
    refill(log, now_ns);
    if (log->tokens < lines + tokens_left) {
        log->suppressed += lines;
        metric_add(&log->suppressed_lines, lines);
        return false;
    }
    log->tokens -= lines;
    return true;
}

/* Tabs (stack traces, REPORT) become blanks: the log would show them as \x09. */
static void write_line(const struct function_log *log, struct str line) {
    struct buf text = {0};
    buf_add_str(&text, line);
    for (size_t i = 0; i < buf_len(&text); i++)
        if (buf_at(&text)[i] == '\t')
            buf_at(&text)[i] = ' ';
    log_info("function", "%s: %.*s", log->name, STR_ARG(buf_str(&text)));
    buf_done(&text);
}

static bool admit(struct function_log *log, unsigned lines, unsigned tokens_left) {
    enum { TELL_EVERY_MS = 10000 };
    unsigned missed;
    if (!log_wants(LOG_INFO))
        return false;
    bool admitted = function_log_admit(log, lines, tokens_left, clock_mono_ns());
    if (log->suppressed && log_limit_pass(&log->told, TELL_EVERY_MS, &missed)) {
        log_warn("function", "%s: %u log lines suppressed", log->name, log->suppressed);
        log->suppressed = 0;
    }
    return admitted;
}

void function_log_line(struct function_log *log, struct str line) {
    if (admit(log, 1, 0))
        write_line(log, line);
}

bool function_log_host_begin(struct function_log *log) {
    return admit(log, FUNCTION_LOG_HOST_LINES, FUNCTION_LOG_BURST / 2);
}

void function_log_host(struct function_log *log, struct str line) {
    write_line(log, line);
}

static uint64_t rounded_up_ms(uint64_t ns) {
    return (ns + 999999) / 1000000;
}

static int64_t rounded_up_mb(int64_t bytes) {
    return (bytes + (1 << 20) - 1) >> 20;
}

void function_log_report(struct buf *out, const struct function_report *report) {
    buf_printf(out,
               "REPORT RequestId: %s\tDuration: %.2f ms\tBilled Duration: %" PRIu64
               " ms\tMemory Size: %" PRId64 " MB\tMax Memory Used: %" PRId64 " MB\t",
               report->request_id, (double)report->duration_ns / 1e6,
               rounded_up_ms(report->duration_ns), rounded_up_mb(report->memory_bytes),
               rounded_up_mb(report->memory_peak_bytes));
    if (report->init_ns)
        buf_printf(out, "Init Duration: %.2f ms\t", (double)report->init_ns / 1e6);
}
