/* The functions of the dialect: one table of names (function.c), implemented in function_*.c by
 * kind. */
#ifndef RULE_FUNCTION_H
#define RULE_FUNCTION_H

#include "rule/cache.h"
#include "rule/value.h"

enum { FUNCTION_ARGS_MAX = 255, FUNCTION_PREPARED_MAX = 3 };

typedef struct value function_call(struct evaluation *evaluation, const struct value *args,
                                   size_t count);

struct function {
    const char *name;
    unsigned char args_min, args_max; /* any other number of arguments makes the call Undefined */
    enum rule_version since;
    function_call *call;                            /* NULL: the dialect has it, Weir has not */
    const char *missing;                            /* then: what it waits for */
    enum cache_kind prepare[FUNCTION_PREPARED_MAX]; /* what arguments are prepared to be */
};

/* In any case of letters; NULL if there is none. */
const struct function *rule_function_find(struct str name);

/* The known name nearest to a mistyped one, or NULL. */
const char *rule_function_nearest(struct str name);

/* An argument of a string function as String; false for Null and Undefined. */
bool rule_function_str(struct evaluation *evaluation, struct value value, struct str *ret_text);

/* It failed, which is more than Undefined: evaluation->failure. `resource` is what it was to reach. */
struct value rule_function_fail(struct evaluation *evaluation, struct str resource,
                                const char *why);

/* What an argument with this text is prepared to be: with the plan, if it stands in the rule as a
 * string, else by way of the evaluation's cache. NULL if the text is of no use. */
const void *rule_function_prepared(struct evaluation *evaluation, size_t index, struct str text,
                                   enum cache_kind kind);
const void *rule_function_prepare(struct evaluation *evaluation, enum cache_kind kind,
                                  struct str text);

#define FUNCTION(name)                                                                             \
    struct value rule_function_##name(struct evaluation *, const struct value *, size_t)
FUNCTION(abs);
FUNCTION(acos);
FUNCTION(asin);
FUNCTION(atan);
FUNCTION(atan2);
FUNCTION(bitand);
FUNCTION(bitnot);
FUNCTION(bitor);
FUNCTION(bitxor);
FUNCTION(ceil);
FUNCTION(cos);
FUNCTION(cosh);
FUNCTION(exp);
FUNCTION(floor);
FUNCTION(ln);
FUNCTION(log);
FUNCTION(mod);
FUNCTION(nanvl);
FUNCTION(power);
FUNCTION(rand);
FUNCTION(round);
FUNCTION(sign);
FUNCTION(sin);
FUNCTION(sinh);
FUNCTION(sqrt);
FUNCTION(tan);
FUNCTION(tanh);
FUNCTION(trunc);

FUNCTION(chr);
FUNCTION(concat);
FUNCTION(endswith);
FUNCTION(indexof);
FUNCTION(length);
FUNCTION(lower);
FUNCTION(lpad);
FUNCTION(ltrim);
FUNCTION(numbytes);
FUNCTION(replace);
FUNCTION(rpad);
FUNCTION(rtrim);
FUNCTION(startswith);
FUNCTION(substring);
FUNCTION(trim);
FUNCTION(upper);

FUNCTION(regexp_matches);
FUNCTION(regexp_replace);
FUNCTION(regexp_substr);

FUNCTION(md2);
FUNCTION(md5);
FUNCTION(sha1);
FUNCTION(sha224);
FUNCTION(sha256);
FUNCTION(sha384);
FUNCTION(sha512);

FUNCTION(parse_time);
FUNCTION(time_to_epoch);

FUNCTION(decode);
FUNCTION(encode);
FUNCTION(get);
FUNCTION(get_or_default);
FUNCTION(isnull);
FUNCTION(isundefined);
FUNCTION(transform);

FUNCTION(aws_lambda);
FUNCTION(get_registry_data);
FUNCTION(get_secret);
FUNCTION(get_thing_shadow);

FUNCTION(accountid);
FUNCTION(clientid);
FUNCTION(get_mqtt_property);
FUNCTION(get_user_properties);
FUNCTION(newuuid);
FUNCTION(principal);
FUNCTION(sourceip);
FUNCTION(sql_version);
FUNCTION(timestamp);
FUNCTION(topic);
FUNCTION(traceid);
#undef FUNCTION

#endif
