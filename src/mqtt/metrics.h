/* What a worker counts: the table from which its metrics are made (worker.c), and the page of them. */
#ifndef MQTT_METRICS_H
#define MQTT_METRICS_H

#include "base/metric.h"

/* member, type, name, help, labels */
#define MQTT_RECEIVED "weir_mqtt_messages_received_total", "Application messages taken from clients"
#define MQTT_RECEIVED_BYTES                                                                        \
    "weir_mqtt_payload_bytes_received_total", "Payload bytes taken from clients"
#define MQTT_SENT "weir_mqtt_messages_sent_total", "Application messages sent to clients"
#define MQTT_SENT_BYTES                                                                            \
    "weir_mqtt_packet_bytes_sent_total", "Bytes of PUBLISH packets sent to clients"
#define MQTT_DROPPED                                                                               \
    "weir_mqtt_messages_dropped_total", "Messages not delivered to a subscriber, or not taken"
#define MQTT_REFUSED "weir_mqtt_connects_refused_total", "Connections refused before or at CONNECT"
#define MQTT_DENIED  "weir_mqtt_denied_total", "Requests that a policy does not allow"
#define MQTT_CLOSED  "weir_mqtt_disconnects_total", "Connections of clients that ended"

#define MQTT_METRICS(X)                                                                            \
    X(clients, GAUGE, "weir_mqtt_clients", "Clients that are connected", NULL)                     \
    X(accepted, COUNTER, "weir_mqtt_connections_total", "Connections that came", NULL)             \
    X(connects, COUNTER, "weir_mqtt_connects_total", "CONNECTs that were accepted", NULL)          \
    X(packets_received, COUNTER, "weir_mqtt_packets_received_total", "MQTT packets received",      \
      NULL)                                                                                        \
    X(packets_sent, COUNTER, "weir_mqtt_packets_sent_total", "MQTT packets sent", NULL)            \
    X(bytes_received, COUNTER, "weir_mqtt_bytes_received_total",                                   \
      "Bytes received from clients, without TLS and WebSocket framing", NULL)                      \
    X(bytes_sent, COUNTER, "weir_mqtt_bytes_sent_total",                                           \
      "Bytes sent to clients, without TLS and WebSocket framing", NULL)                            \
    X(events, COUNTER, "weir_mqtt_lifecycle_events_total", "Lifecycle events published", NULL)     \
    X(dropped_events, COUNTER, "weir_mqtt_lifecycle_events_dropped_total",                         \
      "Lifecycle events that could not be kept", NULL)                                             \
    X(connections, GAUGE, "weir_mqtt_connections", "Connections, not yet accepted ones included",  \
      NULL)                                                                                        \
    X(subscriptions, GAUGE, "weir_mqtt_subscriptions", "Subscriptions of connected clients", NULL) \
    X(shared_subscriptions, GAUGE, "weir_mqtt_shared_subscriptions", "Those among them to shares", \
      NULL)                                                                                        \
    X(sessions_away, GAUGE, "weir_mqtt_stored_sessions_away",                                      \
      "Stored sessions whose client is not connected", NULL)                                       \
    X(sessions, GAUGE, "weir_mqtt_stored_sessions", "Sessions that outlive their connection",      \
      NULL)                                                                                        \
    X(sessions_expired, COUNTER, "weir_mqtt_stored_sessions_expired_total",                        \
      "Stored sessions that ended because their client stayed away", NULL)                         \
    X(parked, GAUGE, "weir_mqtt_parked_connections", "Publishers that wait for room", NULL)        \
    X(crowded, GAUGE, "weir_mqtt_crowded_subscribers",                                             \
      "Subscribers whose queue makes publishers wait", NULL)                                       \
    X(routes, GAUGE, "weir_mqtt_routes", "Topics in the route cache", NULL)                        \
    X(retained_count, GAUGE, "weir_mqtt_retained_messages", "Retained messages", NULL)             \
    X(retained_bytes, GAUGE, "weir_mqtt_retained_bytes", "Memory of retained messages", NULL)      \
    X(received_qos0, COUNTER, MQTT_RECEIVED, "qos=\"0\"")                                          \
    X(received_qos1, COUNTER, MQTT_RECEIVED, "qos=\"1\"")                                          \
    X(received_qos2, COUNTER, MQTT_RECEIVED, "qos=\"2\"")                                          \
    X(received_bytes_qos0, COUNTER, MQTT_RECEIVED_BYTES, "qos=\"0\"")                              \
    X(received_bytes_qos1, COUNTER, MQTT_RECEIVED_BYTES, "qos=\"1\"")                              \
    X(received_bytes_qos2, COUNTER, MQTT_RECEIVED_BYTES, "qos=\"2\"")                              \
    X(sent_qos0, COUNTER, MQTT_SENT, "qos=\"0\"")                                                  \
    X(sent_qos1, COUNTER, MQTT_SENT, "qos=\"1\"")                                                  \
    X(sent_qos2, COUNTER, MQTT_SENT, "qos=\"2\"")                                                  \
    X(sent_bytes_qos0, COUNTER, MQTT_SENT_BYTES, "qos=\"0\"")                                      \
    X(sent_bytes_qos1, COUNTER, MQTT_SENT_BYTES, "qos=\"1\"")                                      \
    X(sent_bytes_qos2, COUNTER, MQTT_SENT_BYTES, "qos=\"2\"")                                      \
    X(dropped_slow, COUNTER, MQTT_DROPPED, "cause=\"slow_subscriber\"")                            \
    X(dropped_queue_full, COUNTER, MQTT_DROPPED, "cause=\"queue_full\"")                           \
    X(dropped_too_large, COUNTER, MQTT_DROPPED, "cause=\"too_large_for_subscriber\"")              \
    X(dropped_expired, COUNTER, MQTT_DROPPED, "cause=\"expired\"")                                 \
    X(dropped_refused, COUNTER, MQTT_DROPPED, "cause=\"cannot_be_kept\"")                          \
    X(dropped_left, COUNTER, MQTT_DROPPED, "cause=\"no_member_left\"")                             \
    X(refused_limit, COUNTER, MQTT_REFUSED, "reason=\"connections_max\"")                          \
    X(refused_listener, COUNTER, MQTT_REFUSED, "reason=\"listener_connections_max\"")              \
    X(refused_connecting, COUNTER, MQTT_REFUSED, "reason=\"connecting_max\"")                      \
    X(refused_timeout, COUNTER, MQTT_REFUSED, "reason=\"connect_timeout\"")                        \
    X(refused_proxy, COUNTER, MQTT_REFUSED, "reason=\"proxy_protocol\"")                           \
    X(refused_certificate, COUNTER, MQTT_REFUSED, "reason=\"certificate\"")                        \
    X(connects_delayed, COUNTER, "weir_mqtt_connects_delayed_total",                               \
      "Times that a listener's connect_rate made arrivals wait", NULL)                             \
    X(connecting, GAUGE, "weir_mqtt_connecting", "Connections whose CONNECT is not answered",      \
      NULL)                                                                                        \
    X(paced, COUNTER, "weir_mqtt_paced_total",                                                     \
      "Times that a publish_rate or publish_bytes_rate made a publisher wait", NULL)               \
    X(password_hits, COUNTER, "weir_mqtt_passwords_verified_total", "Passwords that were right",   \
      "by=\"cache\"")                                                                              \
    X(password_hashed, COUNTER, "weir_mqtt_passwords_verified_total", "Passwords that were right", \
      "by=\"hash\"")                                                                               \
    X(closed_identity, COUNTER, MQTT_CLOSED, "reason=\"credentials_withdrawn\"")                   \
    X(closed_auth, COUNTER, MQTT_CLOSED, "reason=\"reauthentication\"")                            \
    X(refused_credentials, COUNTER, MQTT_REFUSED, "reason=\"credentials\"")                        \
    X(refused_protocol, COUNTER, MQTT_REFUSED, "reason=\"protocol\"")                              \
    X(refused_policy, COUNTER, MQTT_REFUSED, "reason=\"policy\"")                                  \
    X(refused_unavailable, COUNTER, MQTT_REFUSED, "reason=\"unavailable\"")                        \
    X(closed_protocol, COUNTER, MQTT_CLOSED, "reason=\"protocol\"")                                \
    X(closed_keep_alive, COUNTER, MQTT_CLOSED, "reason=\"keep_alive\"")                            \
    X(closed_taken_over, COUNTER, MQTT_CLOSED, "reason=\"taken_over\"")                            \
    X(closed_policy, COUNTER, MQTT_CLOSED, "reason=\"policy\"")                                    \
    X(closed_by_client, COUNTER, MQTT_CLOSED, "reason=\"client\"")                                 \
    X(closed_lost, COUNTER, MQTT_CLOSED, "reason=\"connection_lost\"")                             \
    X(closed_kicked, COUNTER, MQTT_CLOSED, "reason=\"administrative\"")                            \
    X(closed_stopping, COUNTER, MQTT_CLOSED, "reason=\"shutting_down\"")                           \
    X(denied_connect, COUNTER, MQTT_DENIED, "action=\"connect\"")                                  \
    X(denied_publish, COUNTER, MQTT_DENIED, "action=\"publish\"")                                  \
    X(denied_retain_publish, COUNTER, MQTT_DENIED, "action=\"retain_publish\"")                    \
    X(denied_subscribe, COUNTER, MQTT_DENIED, "action=\"subscribe\"")                              \
    X(denied_receive, COUNTER, MQTT_DENIED, "action=\"receive\"")                                  \
    X(closed_not_kept, COUNTER, MQTT_CLOSED, "reason=\"cannot_be_kept\"")

struct worker_metrics {
#define X(member, ...) struct metric member;
    MQTT_METRICS(X)
#undef X
};

#endif
