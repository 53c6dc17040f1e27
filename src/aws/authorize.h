/* What a key may do: the IAM policy of the credential that signed a request (base/iam.h). */
#ifndef AWS_AUTHORIZE_H
#define AWS_AUTHORIZE_H

#include "aws/call.h"

/*
 * Whether the key may do this; if not, AWS's sentence about it is appended to `ret_text` (for
 * AccessDeniedException). For every API on the listener: `action` is "kinesis:PutRecord",
 * `resource` an ARN, or "*" for what has none. No credential (auth: open), or one without a policy,
 * may do everything.
 */
bool aws_is_allowed(const struct aws_config *config, const struct aws_credential *credential,
                    struct str action, struct str resource, struct buf *ret_text);

/* The same for an operation of Kinesis; false, and the call has failed. Runs before the input is
 * checked, as on AWS. */
bool aws_authorize_call(struct call *call);

#endif
