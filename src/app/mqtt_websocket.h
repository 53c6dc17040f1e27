/* MQTT over WebSocket (MQTT 5.0 section 6): joins a WebSocket of the web listener to the broker's
 * worker on the same loop. */
#ifndef APP_MQTT_WEBSOCKET_H
#define APP_MQTT_WEBSOCKET_H

#include "http/http.h"
#include "mqtt/mqtt.h"

struct mqtt_websocket {
    struct mqtt_worker *worker;
    const struct mqtt_listener_config *listener; /* its policy, limits, and who may come */
    size_t message_bytes_max; /* of one WebSocket message; packets may span several */
};

/* An http_handler; `data` is a struct mqtt_websocket. */
void mqtt_websocket_accept(struct http_request *request, void *data);

#endif
