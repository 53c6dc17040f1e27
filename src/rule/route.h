/* Which rules a topic leads to. */
#ifndef RULE_ROUTE_H
#define RULE_ROUTE_H

#include "rule/engine.h"

/* The rule's route for Basic Ingest. */
void rule_route_basic(struct engine_rule *rule);

/* After the rules are there. */
void rule_routes_init(struct rule_engine *engine);
void rule_routes_done(struct rule_engine *engine);

/* Whether FROM takes the topic. */
bool rule_route_matches(const struct plan *plan, struct str topic);

/* As message_sink.route(). */
const struct rule_route *rule_route_find(struct rule_engine *engine, struct str topic);

#endif
