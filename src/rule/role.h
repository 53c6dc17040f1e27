/*
 * Roles: what the actions of a rule may touch (AWS IoT Core Developer Guide, "Granting an AWS IoT rule
 * the access it requires"; IAM User Guide, "Policy evaluation logic"). A role is a policy of the
 * configuration, under the key `roles`, with actions and ARNs of AWS:
 *
 *      roles:
 *        ingest:
 *          statement:
 *            - { effect: Allow, action: "kinesis:PutRecord", resource: "arn:aws:kinesis:*:*:stream/sensors" }
 *
 * The keys may be written as AWS has them too (Statement, Effect, ...), and `not_action` and
 * `not_resource` are known. Region and account of a resource count as ours, whatever they are. A condition
 * is refused: Weir has no values for it, and one that is passed over would be a hole.
 *
 * All roles of a configuration are compiled together, never change and are counted by references, from any
 * thread.
 */
#ifndef RULE_ROLE_H
#define RULE_ROLE_H

#include "base/buf.h"
#include "rule/rule.h"

enum {
    RULE_ROLE_BYTES_MAX = 64 * 1024, /* of all texts of a role */
    RULE_ROLE_STATEMENTS_MAX = 100,
};

struct rule_role;

/* By name, or by an ARN arn:aws:iam::ACCOUNT:role/[PATH/]NAME. NULL if there is none. */
const struct rule_role *rule_roles_find(const struct rule_roles *roles, struct str name_or_arn);

/* Whether no roles are configured at all: then none can be wanted of a rule that came from a client. */
bool rule_roles_absent(const struct rule_roles *roles);

/* "arn:aws:kinesis:REGION:ACCOUNT:" */
void rule_roles_add_arn(const struct rule_roles *roles, struct buf *out, const char *service);

/* 0, or DENIED with a sentence. `action` is "kinesis:PutRecord". */
int rule_role_check(const struct rule_role *role, struct str action, struct str arn,
                    struct err *why);

#endif
