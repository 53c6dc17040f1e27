/* Inside of things: the way of requests by MQTT into their log. */
#ifndef THINGS_INTAKE_H
#define THINGS_INTAKE_H

#include "things/things.h"

/* Publishes an answer of ours, which nobody else may. Returns as message_sink.push(). */
int things_intake_publish(struct things_intake *intake, const struct message *answer);

#endif
