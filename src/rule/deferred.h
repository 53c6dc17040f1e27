/*
 * Rules that call functions, from the worker to where they are evaluated (rule.h, "Rules that call
 * functions").
 *
 *      worker            rule_defer(): the message goes into the rule's log, and is acknowledged when
 *                        that is on disk
 *      service thread    a runner follows the log (src/action/statement.c): rule_engine_ask() until no
 *                        answer is missing, then rule_engine_resume()
 *
 * The log's records are those of actions (docs/formats/action.md): the payload is the message's own, and
 * the parameters hold the rest of what an evaluation may ask for.
 */
#ifndef RULE_DEFERRED_H
#define RULE_DEFERRED_H

#include "rule/calls.h"
#include "rule/engine.h"

/* Pushes the message into the log of the run's rule; the run's result tells. */
void rule_defer(struct engine_run *run);

/* Whether templates of the rule's actions want an answer, after its statement has given a result. */
bool rule_ask_templates(const struct rule *rule, struct evaluation *evaluation);

#endif
