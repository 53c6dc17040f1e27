/* What the files of the IoT control plane share. */
#ifndef AWS_IOT_INTERNAL_H
#define AWS_IOT_INTERNAL_H

#include "aws/iot.h"

struct iot {
    struct rest_service service;
    struct iot_config config;
    unsigned endpoint_port;
    uint64_t started_ms; /* when rules of the file were "created" */
};

static inline struct iot *iot_of(const struct rest_call *call) {
    return call->service->data;
}

static inline struct rule_book *iot_book(const struct rest_call *call) {
    struct iot *iot = iot_of(call);
    return iot->config.host.book(iot->config.host.data);
}

/* "arn:aws:iot:REGION:ACCOUNT:rule/NAME" */
void iot_add_rule_arn(const struct iot *iot, struct buf *out, struct str name);

/* Fails the call with what the book said. */
void iot_fail_book(struct rest_call *call, int code, const struct err *err);

/* False, and the call has failed, while nothing may change. */
bool iot_may_change(struct rest_call *call);

/* ---- iot_rules.c ---- */
void iot_create_rule(struct rest_call *call);
void iot_replace_rule(struct rest_call *call);
void iot_get_rule(struct rest_call *call);
void iot_list_rules(struct rest_call *call);
void iot_delete_rule(struct rest_call *call);
void iot_enable_rule(struct rest_call *call);
void iot_disable_rule(struct rest_call *call);

/* "ruleArn" and "rule", as members. */
void iot_write_rule(const struct iot *iot, struct buf *out, const struct rule_entry *entry);

/* ---- iot_try.c ---- */
void iot_test_rule(struct rest_call *call);
void iot_show_rule(struct rest_call *call);
void iot_trace_rule(struct rest_call *call);

/* ---- iot_tags.c ---- */
void iot_tag(struct rest_call *call);
void iot_untag(struct rest_call *call);
void iot_list_tags(struct rest_call *call);

/* The header x-amz-tagging ("k=v&k2=v2") as what a book keeps. False, and the call has failed. */
bool iot_read_tag_header(struct rest_call *call, struct buf *ret_tags);

#endif
