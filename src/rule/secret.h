/*
 * What get_secret() gives (AWS IoT Core Developer Guide, "get_secret(secretId, secretType, key,
 * roleArn)"). The secrets of a configuration, read when the configuration is; they never change
 * afterwards and are counted by references, from any thread. They are wiped when the last reference
 * goes.
 */
#ifndef RULE_SECRET_H
#define RULE_SECRET_H

#include "base/json.h"
#include "rule/rule.h"

struct rule_secret {
    const char *name;
    struct str bytes;
    bool is_json;
    struct json json; /* of the bytes, if they are one */
};

/* By name or by ARN. NULL if there is none; `secrets` may be NULL. */
const struct rule_secret *rule_secrets_find(const struct rule_secrets *secrets,
                                            struct str name_or_arn);

#endif
