/*
 * Management of the broker over HTTP, and the data plane of AWS IoT: REST services that the api
 * listener offers (http/rest.h). Everything belongs to the service loop.
 *
 *      /v1/clients, /v1/subscriptions, /v1/retained       Weir's own, signed for "weir"
 *      /topics, /retainedMessage, /connections            AWS IoT Data Plane, signed for "iotdata"
 *
 * What the workers hold is asked of them (mqtt.h, "looking in"), in pages of at most MQTT_PAGE_MAX.
 * A message that is to be acknowledged (QoS 1) is answered when it has committed, as a PUBACK is.
 * Metrics: weir_manage_*.
 */
#ifndef MANAGE_MANAGE_H
#define MANAGE_MANAGE_H

#include "flow/sink.h"
#include "http/rest.h"
#include "mqtt/mqtt.h"

struct manage;

struct manage_config {
    struct mqtt_worker *worker; /* of this loop */
    struct sink_gate *gate;     /* through which its rules stage */
    size_t payload_bytes_max;
};

struct manage *manage_new(const struct manage_config *config);

/* When no call is under way any more. NULL is fine. */
void manage_free(struct manage *manage);

/* Live as long as `manage`. */
enum { MANAGE_SERVICES = 2 };
const struct rest_service *manage_service(const struct manage *manage, unsigned index);

#endif
