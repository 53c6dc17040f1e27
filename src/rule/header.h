/* The headers of a republish action: MQTT 5 properties made of templates (AWS IoT API reference,
 * MqttHeaders; MQTT 5.0 section 3.3.2.3). */
#ifndef RULE_HEADER_H
#define RULE_HEADER_H

#include "rule/evaluate.h"
#include "rule/rule.h"
#include "rule/template.h"

extern const struct option rule_headers_options[];

struct rule_header;

struct rule_headers {
    struct rule_header *items;
    size_t count;
};

/* What a constant text says wrong is told here. */
int rule_headers_compile(struct arena *arena, const struct rule_headers_config *config,
                         const struct plan *plan, struct rule_headers *ret_headers,
                         struct err *err);

/* Appends the properties as they stand in a PUBLISH. A header whose text is empty is left out; one that
 * MQTT cannot carry is INVALID. */
int rule_headers_write(const struct rule_headers *headers, struct evaluation *evaluation,
                       struct buf *key_room, struct buf *text_room, struct buf *out,
                       struct err *why);

#endif
