/* What the items of a SELECT make. */
#ifndef RULE_OUTPUT_H
#define RULE_OUTPUT_H

#include "rule/evaluate.h"

/* The object; Undefined if there is none for * to add to. */
struct value rule_output_build(const struct plan_output *outputs, struct evaluation *evaluation);

/* The same as JSON. */
void rule_output_write(const struct plan_output *outputs, struct evaluation *evaluation,
                       struct buf *out);

#endif
