/* The kinds there are, each in its own source. */
#ifndef ACTION_KINDS_H
#define ACTION_KINDS_H

#include "action/target.h"

extern const struct action_target_kind action_redis;
extern const struct action_target_kind action_influxdb, action_postgres;
extern const struct action_target_kind action_elasticsearch, action_open_search;

#endif
