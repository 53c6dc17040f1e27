/*
 * AWS IoT's control plane as far as it concerns rules (AWS IoT API reference): CreateTopicRule,
 * GetTopicRule, ListTopicRules, ReplaceTopicRule, DeleteTopicRule, EnableTopicRule, DisableTopicRule, the
 * tags of rules, DescribeEndpoint; and Weir's own POST /v1/rules:test, GET /v1/rules/{name} and
 * GET /v1/rules/{name}/trace.
 *
 * Served by path on the api listener: iot_service() is one of its services. A change is answered
 * when it is in force on every worker. Rules of the configuration file are shown, and a change of
 * them is refused with the place where they stand. Everything belongs to the service's loop.
 */
#ifndef AWS_IOT_H
#define AWS_IOT_H

#include "http/rest.h"
#include "io/loop.h"
#include "rule/book.h"

/* What the API needs of the program. */
struct iot_host {
    struct rule_book *(*book)(void *data);
    /* Whether the configuration is being read anew: nothing may change meanwhile. */
    bool (*is_frozen)(void *data);
    /* Puts what the book has in force everywhere; then, never before it returns, `done`. */
    void (*apply)(void *data, void (*done)(void *done_data, int code), void *done_data);
    /* Answers the call with lines about each message that comes to the rule; `count` 0: without end. */
    void (*trace)(void *data, struct rest_call *call, struct str rule, uint64_t count);
    void *data;
};

struct iot_config {
    const char *region, *account; /* of ARNs; outlive the service */
    /* For trying rules that exist: what their functions see. NULL: the default. A statement that is no
     * rule has no role, and sees no things. */
    const struct rule_environment *environment;
    struct iot_host host;
};

struct iot;

struct iot *iot_new(const struct iot_config *config);
void iot_free(struct iot *iot);

/* For aws_services.rest; lives as long as the iot. */
const struct rest_service *iot_service(const struct iot *iot);

/* The port of the MQTT listener that DescribeEndpoint names; 0: there is none. */
void iot_set_endpoint(struct iot *iot, unsigned port);

#endif
