#include "action/kinds.h"

#include <stddef.h>

const struct action_kind *const action_kinds[] = {
    &action_redis.kind, &action_http.kind, &action_lambda.kind, &action_s3.kind, NULL,
};
