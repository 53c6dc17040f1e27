#include "delivery/meter.h"

#include <string.h>

static void init_metric(struct metric *metric, enum metric_type type, const char *name,
                        const char *help, struct str stream, const char *key, const char *value) {
    struct buf labels = {0};
    metric_label(&labels, "delivery_stream", stream);
    if (key)
        metric_label(&labels, key, str_of(value));
    metric_init(metric, type, name, help, buf_cstr(&labels));
    buf_done(&labels);
}

void meter_init(struct meter *meter, const char *name) {
    struct str stream = str_of(name);
    meter->name = name;
    init_metric(&meter->lag_records, METRIC_GAUGE, "weir_delivery_lag_records",
                "records that are not yet in an object", stream, NULL, NULL);
    init_metric(&meter->behind_ms, METRIC_GAUGE, "weir_delivery_behind_ms",
                "age of the oldest record that is not yet in an object", stream, NULL, NULL);
    init_metric(&meter->backlog_bytes, METRIC_GAUGE, "weir_delivery_backlog_bytes",
                "size of the records that are not yet in an object; estimated for those not read",
                stream, NULL, NULL);
    init_metric(&meter->objects, METRIC_COUNTER, "weir_delivery_objects_total", "objects written",
                stream, NULL, NULL);
    init_metric(&meter->bytes_raw, METRIC_COUNTER, "weir_delivery_bytes_total",
                "bytes of objects, as records and as stored", stream, "stage", "records");
    init_metric(&meter->bytes_stored, METRIC_COUNTER, "weir_delivery_bytes_total",
                "bytes of objects, as records and as stored", stream, "stage", "stored");
}

void meter_done(struct meter *meter) {
    metric_done(&meter->lag_records);
    metric_done(&meter->behind_ms);
    metric_done(&meter->backlog_bytes);
    metric_done(&meter->objects);
    metric_done(&meter->bytes_raw);
    metric_done(&meter->bytes_stored);
    for (size_t i = 0; i < METER_CODES_MAX && meter->failures[i].code; i++)
        metric_done(&meter->failures[i].count);
}

void meter_failed(struct meter *meter, const char *code) {
    size_t i = 0;
    while (i < METER_CODES_MAX - 1 && meter->failures[i].code &&
           strcmp(meter->failures[i].code, code) != 0)
        i++;
    struct meter_failure *failure = &meter->failures[i];
    if (!failure->code) {
        failure->code = code;
        init_metric(&failure->count, METRIC_COUNTER, "weir_delivery_failures_total",
                    "attempts to write an object that failed", str_of(meter->name), "code", code);
    }
    metric_add(&failure->count, 1);
}
