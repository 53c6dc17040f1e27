/* The error action's documents. */
#ifndef RULE_REPORT_H
#define RULE_REPORT_H

#include "rule/rule.h"

/* Appends one of the failures of a document, behind those that are there. `batch_count`: of how many messages that
 * failed together; 0: of one alone. */
void rule_report_failure(struct buf *out, size_t batch_count, const char *failed_action,
                         struct str resource, struct str why);

/* Appends the document of one message, whose own payload is `original`; the view is of `out`. */
struct str rule_report(struct buf *out, struct str rule, const struct action_record *message,
                       struct str failures);

/* The same of messages that failed together; `failure` has a batch. */
struct str rule_report_batch(struct buf *out, const struct rule_failure *failure);

#endif
