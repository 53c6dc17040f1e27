/* The error action's document of messages that failed together. */
#ifndef RULE_REPORT_H
#define RULE_REPORT_H

#include "rule/rule.h"

/* Appends the document; the view is of `out`. `failure` has a batch. */
struct str rule_report_batch(struct buf *out, const struct rule_failure *failure);

#endif
