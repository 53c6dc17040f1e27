/*
 * Identity policies of IAM (IAM User Guide, "IAM JSON policy reference"): which caller of an
 * AWS-compatible API may do what to which resource. Compiled once from the configuration, never
 * changed; any thread may read it. Names of actions and resources are texts here: each API has its
 * own, and nothing has to be registered.
 *
 * A statement matches a request when its actions hold the request's (letters of any case) and its
 * resources the request's. Then: one that denies matches, denied; else one that allows matches, allowed;
 * else denied.
 */
#ifndef BASE_IAM_H
#define BASE_IAM_H

#include "base/conf.h"
#include "base/str.h"

enum {
    IAM_POLICIES_MAX = 1000,
    IAM_STATEMENTS_MAX = 100,     /* of a policy */
    IAM_POLICY_BYTES_MAX = 65536, /* of all texts of a policy */
    IAM_ACTION_CHARS_MAX = 128    /* of a request; none longer is allowed */
};

struct iam_policies;
struct iam_policy;

/* Compiles a map of names to documents (NULL: none), with AWS's keys (Statement, Effect, Action,
 * NotAction, Resource, NotResource) or those in lower case. INVALID says where and what is wrong;
 * what cannot be honoured (Condition, variables) is refused. */
int iam_policies_compile(const struct conf *conf, struct iam_policies **ret_policies,
                         struct err *err);
void iam_policies_free(struct iam_policies *policies); /* NULL is fine */

/* NULL: there is none of that name. `policies` may be NULL. */
const struct iam_policy *iam_policy_find(const struct iam_policies *policies, const char *name);

enum iam_decision { IAM_IMPLICIT_DENY, IAM_ALLOW, IAM_EXPLICIT_DENY };

/* "kinesis:PutRecord", "arn:aws:kinesis:us-east-1:000000000000:stream/x" */
enum iam_decision iam_decide(const struct iam_policy *policy, struct str action,
                             struct str resource);

#endif
