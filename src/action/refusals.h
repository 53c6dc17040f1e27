/*
 * What a target has refused for good, on its way to the error action of the rule. Belongs to its
 * runner.
 */
#ifndef ACTION_REFUSALS_H
#define ACTION_REFUSALS_H

#include "action/batch.h"
#include "action/meter.h"
#include "base/log.h"

struct action_refusals {
    const struct action_services *services;
    const char *name; /* of the action's log, for the log lines */
    struct log_limit limit;
};

/*
 * Hands the REFUSED items to the error action in their order, those of one request together, counts
 * and logs them. They are STAGED afterwards, or DONE if there is nothing to wait for. Stops at the
 * first that cannot be kept, which stays REFUSED as do those behind it, and returns its (negative)
 * error.
 */
int action_refusals_hand_over(struct action_refusals *refusals, const struct action_spec *spec,
                              struct action_batch *batch, struct action_meter *meter);

#endif
