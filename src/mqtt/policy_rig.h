/* For the tests and the fuzzer of policies: a policy written as JSON, a request, and what is to be
 * decided. */
#ifndef MQTT_POLICY_RIG_H
#define MQTT_POLICY_RIG_H

#include <stdio.h>
#include <stdlib.h>

#include "base/conf_rig.h"
#include "mqtt/policy.h"

#endif
