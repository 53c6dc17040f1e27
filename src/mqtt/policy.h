/*
 * AWS IoT policies: which client may do what (AWS IoT Core Developer Guide, "AWS IoT Core policies").
 *
 * A policy is compiled once from the configuration and never changes; any thread may read it. Three
 * files: policy.c compiles, policy_match.c matches one text against one pattern, policy_decide.c
 * evaluates. None of them knows connections, which is authorize.c.
 *
 * A policy is a list of statements. A statement matches a request when its actions hold the
 * request's action, its resources the request's resource, and all its conditions are true. Then: no
 * statement matches, denied; one that allows matches, allowed; one that denies matches, denied
 * whatever else matches.
 */
#ifndef MQTT_POLICY_H
#define MQTT_POLICY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/conf.h"
#include "base/map.h"

/* ---- bounds, of what an operator writes ---- */

enum {
    POLICY_BYTES_MAX = 64 * 1024, /* of all texts of a policy */
    POLICY_STATEMENTS_MAX = 100,
    POLICY_VALUE_BYTES_MAX = 1024 /* a longer value does not replace its variable */
};

/* ---- patterns ---- */

/* Variables that Weir knows the values of. */
#define POLICY_VARIABLES(X)                                                                        \
    X(CLIENT_ID, "iot:ClientId")                                                                   \
    X(SOURCE_IP, "aws:SourceIp")                                                                   \
    X(COMMON_NAME, "iot:Certificate.Subject.CommonName")                                           \
    X(CERTIFICATE_ID, "iot:CertificateId")

enum policy_variable {
#define X(name, text) POLICY_##name,
    POLICY_VARIABLES(X)
#undef X
        POLICY_VARIABLE_COUNT,
    POLICY_VARIABLE_UNKNOWN = POLICY_VARIABLE_COUNT /* of AWS, without a value in Weir */
};

/* `code` is the text with wildcards and variables as single bytes that UTF-8 never has. */
struct policy_pattern {
    struct str code;
    uint8_t variables; /* bit per enum policy_variable */
};

/* Whether '*' and '?' of the text stand for others. */
enum policy_wildcards { POLICY_LITERAL, POLICY_WILDCARDS };

/* 0, or ERR_INVALID and *ret_why (static). The pattern lives in `arena`. */
int policy_pattern_compile(struct arena *arena, struct str text, enum policy_wildcards wildcards,
                           struct policy_pattern *ret_pattern, const char **ret_why);

/*
 * Whether all of `text` matches; '*' is any characters, '/' too, '?' one character. All variables
 * of the pattern have values. `scratch` is overwritten.
 */
bool policy_pattern_matches(const struct policy_pattern *pattern, const struct str *values,
                            struct str text, struct buf *scratch);

/* Whether a variable of this value is replaced: values with the characters * $ + ? # are not. */
bool policy_value_replaces(struct str value);

/* ---- policies ---- */

#define POLICY_ACTIONS(X)                                                                          \
    X(CONNECT, "iot:Connect")                                                                      \
    X(PUBLISH, "iot:Publish")                                                                      \
    X(RETAIN_PUBLISH, "iot:RetainPublish")                                                         \
    X(SUBSCRIBE, "iot:Subscribe")                                                                  \
    X(RECEIVE, "iot:Receive")                                                                      \
    X(GET_RETAINED_MESSAGE, "iot:GetRetainedMessage")                                              \
    X(LIST_RETAINED_MESSAGES, "iot:ListRetainedMessages")                                          \
    X(GET_THING_SHADOW, "iot:GetThingShadow")                                                      \
    X(UPDATE_THING_SHADOW, "iot:UpdateThingShadow")                                                \
    X(DELETE_THING_SHADOW, "iot:DeleteThingShadow")                                                \
    X(LIST_NAMED_SHADOWS, "iot:ListNamedShadowsForThing")                                          \
    X(DELETE_CONNECTION, "iot:DeleteConnection")                                                   \
    X(GET_CONNECTION, "iot:GetConnection")                                                         \
    X(LIST_SUBSCRIPTIONS, "iot:ListSubscriptions")                                                 \
    X(SEND_DIRECT_MESSAGE, "iot:SendDirectMessage")                                                \
    X(ASSUME_ROLE, "iot:AssumeRoleWithCertificate")

enum policy_action {
#define X(name, text) POLICY_##name,
    POLICY_ACTIONS(X)
#undef X
        POLICY_ACTION_COUNT
};

/* "iot:Connect" */
const char *policy_action_text(enum policy_action action);

/* Values of the condition key iot:ConnectAttributes. */
enum policy_connect_attribute { POLICY_PERSISTENT_CONNECT = 1, POLICY_LAST_WILL = 2 };

enum policy_key { /* of conditions; first the variables */
                  POLICY_KEY_CONNECT_ATTRIBUTES = POLICY_VARIABLE_COUNT,
                  POLICY_KEY_IS_ATTACHED, /* iot:Connection.Thing.IsAttached: never, there are no things */
                  POLICY_KEY_UNKNOWN /* of AWS, without a value in Weir */
};

enum policy_quantifier { POLICY_PLAIN, POLICY_FOR_ALL, POLICY_FOR_ANY };

struct policy_network {
    uint8_t address[16]; /* IPv4 as ::ffff:a.b.c.d */
    uint8_t bits;
};

struct policy_condition {
    enum policy_quantifier quantifier;
    int key; /* enum policy_variable or policy_key */
    bool negated;
    struct policy_pattern *patterns; /* or */
    struct policy_network *networks; /* where patterns is NULL */
    size_t count;
};

struct policy_statement {
    bool denies, excludes; /* excludes: NotResource */
    uint8_t variables;     /* that must have values for the statement to match */
    uint32_t actions;      /* bit per enum policy_action */
    struct policy_pattern *resources;
    struct policy_condition *conditions;
    size_t resource_count, condition_count;
};

struct policy {
    const char *name;
    struct policy_statement *statements;
    size_t count;
};

/* All policies of a configuration; counted by references, from any thread. */
struct mqtt_policies {
    _Atomic unsigned references;
    struct arena arena;
    struct map by_name; /* struct policy */
};

/* Compiles a map of names to documents (NULL: none). ERR_INVALID says where and what is wrong. */
int policies_compile(const struct conf *conf, struct mqtt_policies **ret_policies, struct err *err);
struct mqtt_policies *policies_ref(struct mqtt_policies *policies);
void policies_unref(struct mqtt_policies *policies); /* NULL is fine */

/* NULL if there is none of that name. */
const struct policy *policies_find(const struct mqtt_policies *policies, struct str name);

/* ---- decisions ---- */

struct policy_request {
    enum policy_action action;
    struct str resource;                      /* "topic/a/b" */
    struct str values[POLICY_VARIABLE_COUNT]; /* empty: there is none */
    uint8_t connect_attributes;               /* of CONNECT */
};

enum policy_decision { POLICY_IMPLICIT_DENY, POLICY_ALLOW, POLICY_EXPLICIT_DENY };

/* `scratch` is overwritten; `request` must not look into it. */
enum policy_decision policy_decide(const struct policy *policy,
                                   const struct policy_request *request, struct buf *scratch);

#endif
