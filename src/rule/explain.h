/* What a person is told of an evaluation: shared by trying a rule out and by following it. */
#ifndef RULE_EXPLAIN_H
#define RULE_EXPLAIN_H

#include "rule/evaluate.h"

/* "where" and its value, once more, since an evaluation keeps only whether it is true. */
void rule_explain_where(struct evaluation *evaluation, struct buf *out, const struct plan *plan);

/* "result": the JSON, or "result_base64": what is none, or, of more than `bytes_max`,
 * "result_bytes": how many. */
void rule_explain_result(struct buf *out, struct str result, size_t bytes_max);

/* Why no action runs; NULL: they do. */
const char *rule_explain_reason(enum rule_outcome outcome, const struct evaluation *evaluation);

#endif
