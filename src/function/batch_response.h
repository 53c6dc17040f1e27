/* What a function with ReportBatchItemFailures answers (AWS Lambda developer guide, "Reporting
 * batch item failures"): {"batchItemFailures":[{"itemIdentifier":"<sequence number>"}]}. */
#ifndef FUNCTION_BATCH_RESPONSE_H
#define FUNCTION_BATCH_RESPONSE_H

#include <stdbool.h>

#include "base/json.h"

/*
 * Calls `on_item` for each identifier; none is full success, as are an empty answer, null, an
 * object without the list, and a list that is null or empty. INVALID: the answer says something
 * else, or on_item returned false for an identifier; the whole batch then counts as failed. `json`
 * is memory to reuse.
 */
int function_batch_response_parse(struct json *json, struct str payload,
                                  bool (*on_item)(void *data, struct str identifier), void *data);

#endif
