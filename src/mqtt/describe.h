/* What people are told of clients, subscriptions and retained messages: JSON objects. On the thread
 * of what they describe. */
#ifndef MQTT_DESCRIBE_H
#define MQTT_DESCRIBE_H

#include "mqtt/broker.h"

/* The id of the session's client, connected or away. */
struct str describe_client_id(const struct session *session);

/* `whole`: with all that there is, else what a line of a list shows. */
void describe_client(struct buf *out, const struct mqtt_worker *worker,
                     const struct session *session, bool whole);

/* "$share/NAME/FILTER" or the filter, appended. */
void describe_filter(struct buf *out, const struct subscription *subscription);
void describe_subscription(struct buf *out, const struct subscription *subscription,
                           bool with_client);

/* `whole`: with payload and properties. */
void describe_retained(struct buf *out, const struct kept *kept, uint64_t now_ms, bool whole);

#endif
