/* Names out of Amazon Resource Names, where Weir takes either. */
#ifndef FLOW_ARN_H
#define FLOW_ARN_H

#include "base/str.h"

/* The function's name in "arn:aws:lambda:REGION:ACCOUNT:function:NAME[:QUALIFIER]",
 * "ACCOUNT:function:NAME" or "NAME[:QUALIFIER]" (AWS Lambda API reference, FunctionName): a view. There
 * are no versions, so the qualifier decides nothing. Empty if there is none. */
struct str arn_function_name(struct str arn);

#endif
