#include "action/kinds.h"

#include <stddef.h>

const struct action_kind *const action_kinds[] = {
    &action_redis.kind,         &action_influxdb.kind,    &action_postgres.kind,
    &action_elasticsearch.kind, &action_open_search.kind, NULL};
