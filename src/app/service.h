/*
 * What lives on the service thread: Redis, functions and their mappings, deliveries, actions, the web
 * listener, the AWS-compatible endpoints. Started after the streams are open, stopped before they close.
 */
#ifndef APP_SERVICE_H
#define APP_SERVICE_H

#include "app/config.h"
#include "app/consumers.h"
#include "app/lane.h"
#include "app/mqtt_websocket.h"
#include "app/rules.h"
#include "app/trace.h"
#include "aws/iot.h"
#include "manage/manage.h"

struct service {
    const struct config *config;
    struct lane *lane;
    struct facts *facts;
    struct stream_log *log;
    struct state *state;
    struct http_client *client;
    struct option_pair redis_pairs[2]; /* what functions are told of Redis */
    struct option_pairs function_environment;
    struct function_host *functions;
    struct action_services action_services;
    struct destinations *destinations;
    struct action_host *actions;
    char *confirm_url;            /* of this host, for destinations of actions */
    struct delivery **deliveries; /* NULL: it is shared */
    struct delivery_share **shares;
    size_t delivery_count;
    struct web *web;
    struct sockaddr_storage web_address;
    struct mqtt_websocket mqtt_websocket;
    struct manage *manage;
    struct consumers *consumers;
    struct rules *rules;
    struct things *things;
    struct stream *requests; /* of things */
    struct traces traces;
    struct iot *iot;
    struct aws *api; /* NULL: none is configured */
    struct sockaddr_storage api_address;
};

/* `lane` has started. On failure everything that had been started is still to be stopped by
 * service_stop(). From main. */
int service_start(struct service *service, const struct config *config, struct lane *lane,
                  struct facts *facts, struct stream_log *log, struct rules *rules,
                  struct things *things, struct stream *requests, struct err *err);

/* The MQTT listener that clients of the API are sent to. From main. */
void service_set_endpoint(struct service *service, const struct sockaddr_storage *address);

/* Reads the certificates of the listeners again. From main. */
int service_reload(struct service *service, struct err *err);

/* Ends the actions and the changes of shadows, while both can still publish. From main. */
void service_stop_actions(struct service *service);

/* Stops all parts in the reverse order and waits for them. From main. */
void service_stop(struct service *service);

#endif
