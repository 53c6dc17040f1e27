/*
 * Does what is asked of shadows, by HTTP and by MQTT: gathers what waits into a batch, has it
 * applied on the pool (shadow_batch.h), answers the calls, publishes the answers, and when those
 * are committed begins anew. Everything belongs to the service loop.
 */
#ifndef THINGS_SHADOW_RUNNER_H
#define THINGS_SHADOW_RUNNER_H

#include "things/shadow_request.h"
#include "things/store.h"

/* Ends the call, at once or later. `thing` and `shadow` live as long as the call; its request is
 * there. */
void shadow_runner_ask(struct things *things, struct rest_call *call,
                       enum shadow_operation operation, struct str thing, struct str shadow);

#endif
