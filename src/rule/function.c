/*
 * All functions of the dialect (AWS IoT Core Developer Guide, "Functions"), sorted by name, with
 * how many arguments they take and since which version they exist. Those that Weir has not yet are
 * here too, so that a rule which calls one is refused with the reason.
 */
#include "rule/function.h"

#include "base/mem.h"
#include "rule/evaluate.h"

#define V1 RULE_VERSION_2015_10_08
#define V2 RULE_VERSION_2016_03_23

/* clang-format off */
static const struct function functions[] = {
    {"abs", 1, 1, V1, rule_function_abs, NULL},
    {"accountid", 0, 0, V1, rule_function_accountid, NULL},
    {"acos", 1, 1, V1, rule_function_acos, NULL},
    {"asin", 1, 1, V1, rule_function_asin, NULL},
    {"atan", 1, 1, V1, rule_function_atan, NULL},
    {"atan2", 2, 2, V1, rule_function_atan2, NULL},
    {"aws_lambda", 2, 2, V1, rule_function_aws_lambda, NULL},
    {"bitand", 2, 2, V1, rule_function_bitand, NULL},
    {"bitnot", 1, 1, V1, rule_function_bitnot, NULL},
    {"bitor", 2, 2, V1, rule_function_bitor, NULL},
    {"bitxor", 2, 2, V1, rule_function_bitxor, NULL},
    {"ceil", 1, 1, V1, rule_function_ceil, NULL},
    {"chr", 1, 1, V1, rule_function_chr, NULL},
    {"clientid", 0, 0, V1, rule_function_clientid, NULL},
    {"concat", 1, FUNCTION_ARGS_MAX, V1, rule_function_concat, NULL},
    {"cos", 1, 1, V1, rule_function_cos, NULL},
    {"cosh", 1, 1, V1, rule_function_cosh, NULL},
    {"decode", 2, 2, V2, rule_function_decode, NULL},
    {"encode", 2, 2, V2, rule_function_encode, NULL},
    {"endswith", 2, 2, V1, rule_function_endswith, NULL},
    {"exp", 1, 1, V1, rule_function_exp, NULL},
    {"floor", 1, 1, V1, rule_function_floor, NULL},
    {"get", 2, 2, V1, rule_function_get, NULL},
    {"get_dynamodb", 4, 6, V2, NULL, "calls to DynamoDB"},
    {"get_mqtt_property", 1, 1, V1, rule_function_get_mqtt_property, NULL},
    {"get_or_default", 1, 2, V2, rule_function_get_or_default, NULL},
    {"get_registry_data", 3, 3, V2, rule_function_get_registry_data, NULL},
    {"get_secret", 3, 4, V1, rule_function_get_secret, NULL},
    {"get_thing_shadow", 2, 3, V2, rule_function_get_thing_shadow, NULL},
    {"get_user_properties", 0, 1, V1, rule_function_get_user_properties, NULL},
    {"indexof", 2, 2, V2, rule_function_indexof, NULL},
    {"isnull", 1, 1, V1, rule_function_isnull, NULL},
    {"isundefined", 1, 1, V2, rule_function_isundefined, NULL},
    {"length", 1, 1, V2, rule_function_length, NULL},
    {"ln", 1, 1, V1, rule_function_ln, NULL},
    {"log", 1, 1, V1, rule_function_log, NULL},
    {"lower", 1, 1, V1, rule_function_lower, NULL},
    {"lpad", 2, 2, V1, rule_function_lpad, NULL},
    {"ltrim", 1, 1, V1, rule_function_ltrim, NULL},
    {"machinelearning_predict", 3, 3, V1, NULL, "calls to a machine learning service"},
    {"md2", 1, 1, V1, rule_function_md2, NULL},
    {"md5", 1, 1, V1, rule_function_md5, NULL},
    {"mod", 2, 2, V1, rule_function_mod, NULL},
    {"nanvl", 2, 2, V1, rule_function_nanvl, NULL},
    {"newuuid", 0, 0, V1, rule_function_newuuid, NULL},
    {"numbytes", 1, 1, V2, rule_function_numbytes, NULL},
    {"parse_time", 2, 3, V2, rule_function_parse_time, NULL, {CACHE_JODA_PATTERN, CACHE_NOTHING, CACHE_ZONE}},
    {"power", 2, 2, V1, rule_function_power, NULL},
    {"principal", 0, 0, V1, rule_function_principal, NULL},
    {"rand", 0, 0, V1, rule_function_rand, NULL},
    {"regexp_matches", 2, 2, V1, rule_function_regexp_matches, NULL, {CACHE_NOTHING, CACHE_REGEXP}},
    {"regexp_replace", 3, 3, V1, rule_function_regexp_replace, NULL, {CACHE_NOTHING, CACHE_REGEXP}},
    {"regexp_substr", 2, 2, V1, rule_function_regexp_substr, NULL, {CACHE_NOTHING, CACHE_REGEXP}},
    {"remainder", 2, 2, V1, rule_function_mod, NULL},
    {"replace", 3, 3, V1, rule_function_replace, NULL},
    {"round", 1, 1, V1, rule_function_round, NULL},
    {"rpad", 2, 2, V1, rule_function_rpad, NULL},
    {"rtrim", 1, 1, V1, rule_function_rtrim, NULL},
    {"sha1", 1, 1, V1, rule_function_sha1, NULL},
    {"sha224", 1, 1, V1, rule_function_sha224, NULL},
    {"sha256", 1, 1, V1, rule_function_sha256, NULL},
    {"sha384", 1, 1, V1, rule_function_sha384, NULL},
    {"sha512", 1, 1, V1, rule_function_sha512, NULL},
    {"sign", 1, 1, V1, rule_function_sign, NULL},
    {"sin", 1, 1, V1, rule_function_sin, NULL},
    {"sinh", 1, 1, V1, rule_function_sinh, NULL},
    {"sourceip", 0, 0, V2, rule_function_sourceip, NULL},
    {"sql_version", 0, 0, V1, rule_function_sql_version, NULL},
    {"sqrt", 1, 1, V1, rule_function_sqrt, NULL},
    {"startswith", 2, 2, V1, rule_function_startswith, NULL},
    {"substring", 2, 3, V1, rule_function_substring, NULL},
    {"tan", 1, 1, V1, rule_function_tan, NULL},
    {"tanh", 1, 1, V1, rule_function_tanh, NULL},
    {"time_to_epoch", 2, 2, V2, rule_function_time_to_epoch, NULL, {CACHE_NOTHING, CACHE_JDK_PATTERN}},
    {"timestamp", 0, 0, V1, rule_function_timestamp, NULL},
    {"topic", 0, 1, V1, rule_function_topic, NULL},
    {"traceid", 0, 0, V1, rule_function_traceid, NULL},
    {"transform", 3, 3, V2, rule_function_transform, NULL},
    {"trim", 1, 1, V1, rule_function_trim, NULL},
    {"trunc", 2, 2, V1, rule_function_trunc, NULL},
    {"upper", 1, 1, V1, rule_function_upper, NULL},
};
/* clang-format on */

const struct function *rule_function_find(struct str name) {
    for (size_t i = 0; i < COUNT_OF(functions); i++)
        if (str_eq_nocase(name, str_of(functions[i].name)))
            return &functions[i];
    return NULL;
}

const char *rule_function_nearest(struct str name) {
    enum { TOO_FAR = 3 };
    const char *nearest = NULL;
    unsigned least = TOO_FAR;
    for (size_t i = 0; i < COUNT_OF(functions); i++) {
        unsigned distance = str_distance(name, str_of(functions[i].name));
        if (distance < least) {
            least = distance;
            nearest = functions[i].name;
        }
    }
    return nearest;
}

const void *rule_function_prepare(struct evaluation *evaluation, enum cache_kind kind,
                                  struct str text) {
    enum { EFFORT = 2500 };
    bool made;
    const void *prepared = rule_cache_get(evaluation->cache, kind, text, &made);
    return !made || rule_evaluation_spend(evaluation, EFFORT) ? prepared : NULL;
}

const void *rule_function_prepared(struct evaluation *evaluation, size_t index, struct str text,
                                   enum cache_kind kind) {
    const struct plan_expression *arg = &evaluation->call->args[index];
    if (arg->kind == PLAN_CONSTANT && arg->constant.type == VALUE_STRING)
        return arg->prepared;
    return rule_function_prepare(evaluation, kind, text);
}
