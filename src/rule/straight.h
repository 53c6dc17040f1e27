/*
 * A rule that takes its messages as they are: `SELECT *` without WHERE and SET, and one action that appends
 * the payload to a stream of a constant name, under a constant key or the topic. Nothing of it is evaluated,
 * so a message goes straight from the route to the sink; most readings go this way. Whatever is out of the
 * ordinary (no sink yet, a key or a record that cannot be, a sink that refuses) is left to the usual way,
 * which does it again and says why.
 */
#ifndef RULE_STRAIGHT_H
#define RULE_STRAIGHT_H

#include "rule/engine.h"

bool rule_is_straight(const struct rule *rule);

/* True: the message is staged and counted. False: nothing has happened. `topic` as topic() sees it. */
bool rule_go_straight(struct engine_rule *rule, struct str topic, struct str payload);

#endif
