/*
 * A rule as AWS writes it (AWS IoT API reference, TopicRulePayload): JSON with camelCase keys. It is
 * the same as a rule of the configuration, under other names, so one table (rule_options) says what
 * there is: a JSON document becomes the tree that YAML would have become, and the other way round.
 *
 *      JSON                          configuration
 *      streamName                    stream_name      letters alone count: case and underscores do not
 *      awsIotSqlVersion              sql_version
 *      ruleDisabled                  disabled
 *      roleArn                       role, role_arn
 *      dynamoDBv2                    dynamodb_v2      found by its letters; written by a table
 *
 * Unknown keys are errors, as they are in the file.
 */
#ifndef RULE_DOCUMENT_H
#define RULE_DOCUMENT_H

#include "base/json.h"
#include "rule/rule.h"

/*
 * Reads a payload of CreateTopicRule. All that *ret_config points to lives in `arena` or as long as
 * `name`. ${env:NAME} is text as any other. INVALID, UNSUPPORTED: the error names no place in a
 * file.
 */
int rule_document_read(struct arena *arena, const char *name, struct json_value document,
                       struct rule_config *ret_config, struct err *err);

/* Appends the rule as an object: sql, description, actions, ruleDisabled, awsIotSqlVersion,
 * errorAction. */
void rule_document_write(struct buf *out, const struct rule_config *config,
                         const struct action_kind *const *kinds);

/* Gives the keys of a map their names in the configuration, all the way down. For what the kind of an
 * action reads itself, which rule_document_read() leaves as it came. */
void rule_document_rename(struct conf *conf, const struct option *fields);

#endif
