/*
 * What a delivery stream shows at /metrics, all with the label delivery_stream:
 *
 *   weir_delivery_lag_records             not yet in an object
 *   weir_delivery_behind_ms               age of the oldest of them
 *   weir_delivery_backlog_bytes           their size
 *   weir_delivery_objects_total
 *   weir_delivery_bytes_total             stage="records": before compression, stage="stored": after
 *   weir_delivery_failures_total          code: what the store said
 */
#ifndef DELIVERY_METER_H
#define DELIVERY_METER_H

#include "base/metric.h"

enum { METER_CODES_MAX = 64 };

struct meter {
    struct metric lag_records, behind_ms, backlog_bytes, objects, bytes_raw, bytes_stored;
    struct meter_failure {
        const char *code; /* NULL: free */
        struct metric count;
    } failures[METER_CODES_MAX];
    const char *name; /* of the delivery stream; borrowed */
};

void meter_init(struct meter *meter, const char *name);
void meter_done(struct meter *meter);

/* `code` is static, one of a fixed list of words. */
void meter_failed(struct meter *meter, const char *code);

#endif
