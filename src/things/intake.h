/* Inside of things: the way of requests by MQTT into their log. */
#ifndef THINGS_INTAKE_H
#define THINGS_INTAKE_H

#include "things/things.h"

/* The next message on a reserved topic is an answer of ours. */
void things_intake_pass(struct things_intake *intake, bool passes);

#endif
