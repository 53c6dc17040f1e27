/*
 * Evaluates policies (AWS IoT Core Developer Guide, "AWS IoT Core policies"; IAM User Guide, "Policy
 * evaluation logic", "Single-valued vs. multivalued context keys").
 *
 * A statement that has a variable without a value, in a resource or in a condition, does not match.
 * A condition compares each value that the request has for the key with all of the condition:
 *
 *      values of the request      plain            ForAllValues     ForAnyValue
 *      none                       negated          true             false
 *      some                       one of them fits all of them fit  one of them fits
 *
 * A value fits if it equals one of the condition's, or, negated, none of them.
 */
#include <arpa/inet.h>

#include "mqtt/policy.h"

enum { KEY_VALUES_MAX = 2 };

/* ---- conditions ---- */

/* What the request has for the key. */
static size_t key_values(const struct policy_request *request, int key,
                         struct str ret_values[KEY_VALUES_MAX]) {
    size_t count = 0;
    if (key < POLICY_VARIABLE_COUNT && request->values[key].len)
        ret_values[count++] = request->values[key];
    if (key == POLICY_KEY_IS_ATTACHED)
        ret_values[count++] = STR("false");
    if (key == POLICY_KEY_CONNECT_ATTRIBUTES && request->action == POLICY_CONNECT) {
        if (request->connect_attributes & POLICY_PERSISTENT_CONNECT)
            ret_values[count++] = STR("PersistentConnect");
        if (request->connect_attributes & POLICY_LAST_WILL)
            ret_values[count++] = STR("LastWill");
    }
    return count;
}

static bool read_address(struct str text, uint8_t ret_address[16]) {
    char address[INET6_ADDRSTRLEN];
    if (text.len >= sizeof address)
        return false;
    memcpy(address, text.at, text.len);
    address[text.len] = '\0';
    memcpy(ret_address, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
    return inet_pton(AF_INET, address, ret_address + 12) == 1 ||
           inet_pton(AF_INET6, address, ret_address) == 1;
}

static bool in_network(const uint8_t address[16], const struct policy_network *network) {
    unsigned bytes = network->bits / 8, bits = network->bits % 8;
    if (memcmp(address, network->address, bytes) != 0)
        return false;
    return bits == 0 || (address[bytes] ^ network->address[bytes]) >> (8 - bits) == 0;
}

static bool in_networks(const struct policy_condition *condition, struct str value) {
    uint8_t address[16];
    if (!read_address(value, address))
        return false;
    for (size_t i = 0; i < condition->count; i++)
        if (in_network(address, &condition->networks[i]))
            return true;
    return false;
}

static bool fits(const struct policy_condition *condition, const struct policy_request *request,
                 struct str value, struct buf *scratch) {
    if (!condition->patterns)
        return in_networks(condition, value) != condition->negated;
    bool equal = false;
    for (size_t i = 0; !equal && i < condition->count; i++)
        equal = policy_pattern_matches(&condition->patterns[i], request->values, value, scratch);
    return equal != condition->negated;
}

static bool is_true(const struct policy_condition *condition, const struct policy_request *request,
                    struct buf *scratch) {
    struct str values[KEY_VALUES_MAX];
    size_t count = key_values(request, condition->key, values), fitting = 0;
    for (size_t i = 0; i < count; i++)
        fitting += fits(condition, request, values[i], scratch);
    if (condition->quantifier == POLICY_FOR_ALL)
        return fitting == count;
    if (condition->quantifier == POLICY_PLAIN && count == 0)
        return condition->negated;
    return fitting > 0;
}

/* ---- statements ---- */

static bool has_values(const struct policy_statement *statement,
                       const struct policy_request *request) {
    unsigned wanted = statement->variables;
    for (int i = 0; i < POLICY_VARIABLE_COUNT; i++)
        if ((wanted & 1u << i) && !policy_value_replaces(request->values[i]))
            return false;
    return !(wanted & 1u << POLICY_VARIABLE_UNKNOWN);
}

static bool has_resource(const struct policy_statement *statement,
                         const struct policy_request *request, struct buf *scratch) {
    for (size_t i = 0; i < statement->resource_count; i++)
        if (policy_pattern_matches(&statement->resources[i], request->values, request->resource,
                                   scratch))
            return true;
    return false;
}

static bool matches(const struct policy_statement *statement, const struct policy_request *request,
                    struct buf *scratch) {
    if (!(statement->actions & 1u << request->action) || !has_values(statement, request) ||
        has_resource(statement, request, scratch) == statement->excludes)
        return false;
    for (size_t i = 0; i < statement->condition_count; i++)
        if (!is_true(&statement->conditions[i], request, scratch))
            return false;
    return true;
}

enum policy_decision policy_decide(const struct policy *policy,
                                   const struct policy_request *request, struct buf *scratch) {
    bool allowed = false;
    for (size_t i = 0; i < policy->count; i++) {
        const struct policy_statement *statement = &policy->statements[i];
        if (allowed && !statement->denies)
            continue;
        if (!matches(statement, request, scratch))
            continue;
        if (statement->denies)
            return POLICY_EXPLICIT_DENY;
        allowed = true;
    }
    return allowed ? POLICY_ALLOW : POLICY_IMPLICIT_DENY;
}
