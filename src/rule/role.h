/*
 * Roles: what the actions of a rule may touch (AWS IoT Core Developer Guide, "Granting an AWS IoT rule
 * the access it requires"). A role is an IAM policy (base/iam.h) of the configuration, under the key
 * `roles`:
 *
 *      roles:
 *        ingest:
 *          statement:
 *            - { effect: Allow, action: "kinesis:PutRecord", resource: "arn:aws:kinesis:*:*:stream/sensors" }
 *
 * All roles of a configuration are compiled together, never change and are counted by references, from any
 * thread.
 */
#ifndef RULE_ROLE_H
#define RULE_ROLE_H

#include "base/buf.h"
#include "rule/rule.h"

struct iam_policy;

/* By name, or by an ARN arn:aws:iam::ACCOUNT:role/[PATH/]NAME. NULL if there is none. */
const struct iam_policy *rule_roles_find(const struct rule_roles *roles, const char *name_or_arn);

/* Whether no roles are configured at all: then none can be wanted of a rule that came from a client. */
bool rule_roles_absent(const struct rule_roles *roles);

/* "arn:aws:kinesis:REGION:ACCOUNT:" */
void rule_roles_add_arn(const struct rule_roles *roles, struct buf *out, const char *service);

/* 0, or DENIED with a sentence that calls the role `name`. `action` is "kinesis:PutRecord". */
int rule_role_check(const char *name, const struct iam_policy *role, struct str action,
                    struct str arn, struct err *why);

#endif
