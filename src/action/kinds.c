#include "action/kinds.h"

#include <stddef.h>

const struct action_kind *const action_kinds[] = {
    &action_redis.kind,
    &action_http.kind,
    &action_lambda.kind,
    &action_s3.kind,
    &action_kafka.kind,
    &action_postgres.kind,
    &action_influxdb.kind,
    &action_elasticsearch.kind,
    &action_open_search.kind,
    &action_statement.kind,
    NULL,
};
