/* The kinds there are, each in its own source. */
#ifndef ACTION_KINDS_H
#define ACTION_KINDS_H

#include "action/target.h"

extern const struct action_target_kind action_redis, action_http, action_lambda, action_s3;
extern const struct action_target_kind action_kafka, action_postgres, action_influxdb;
extern const struct action_target_kind action_elasticsearch, action_open_search;
extern const struct action_target_kind action_statement;

#endif
