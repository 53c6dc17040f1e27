/* For tests: what the metrics page shows. */
#ifndef BASE_METRIC_RIG_H
#define BASE_METRIC_RIG_H

#include "base/test.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/metric.h"

/* The number behind `name`, which has its labels; -1 if it is not there. */
static inline int64_t metric_shown(const char *name) {
    struct buf page = {0};
    metric_show(&page);
    char *line = xprintf("\n%s ", name);
    const char *at = strstr(buf_cstr(&page), line);
    int64_t value = at ? atoll(at + strlen(line)) : -1;
    free(line);
    buf_done(&page);
    return value;
}

/* "name{labels} value", the whole line. */
static inline void assert_metric(const char *line) {
    struct buf page = {0};
    char *whole = xprintf("\n%s\n", line);
    metric_show(&page);
    if (!strstr(buf_cstr(&page), whole))
        fail_msg("no %s in\n%s", line, buf_cstr(&page));
    free(whole);
    buf_done(&page);
}

#endif
