/* Time as text and text as time. What is no pattern, no zone, or not by its pattern is Undefined. */
#include "rule/evaluate.h"
#include "rule/function.h"
#include "rule/time_format.h"
#include "rule/time_parse.h"
#include "rule/zone.h"

/* Milliseconds that an int64 holds, rounded down. */
static bool to_ms(struct evaluation *evaluation, struct value value, int64_t *ret_ms) {
    struct number whole;
    if (!rule_value_to_whole(evaluation, value, NUMBER_FLOOR, &whole) || whole.exponent != 0 ||
        whole.coefficient != (int64_t)whole.coefficient)
        return false;
    *ret_ms = (int64_t)whole.coefficient;
    return true;
}

struct value rule_function_parse_time(struct evaluation *evaluation, const struct value *args,
                                      size_t count) {
    struct str text, name;
    int64_t epoch_ms;
    if (!to_ms(evaluation, args[1], &epoch_ms) || !rule_function_str(evaluation, args[0], &text) ||
        (count == 3 && !rule_function_str(evaluation, args[2], &name)))
        return value_undefined();
    const struct zone *zone =
        count == 3 ? rule_function_prepared(evaluation, 2, name, CACHE_ZONE) : &zone_utc;
    const struct joda_pattern *pattern =
        rule_function_prepared(evaluation, 0, text, CACHE_JODA_PATTERN);
    if (!pattern || !zone)
        return value_undefined();
    joda_format(evaluation->scratch, pattern, zone, epoch_ms);
    return rule_evaluation_take_scratch(evaluation);
}

struct value rule_function_time_to_epoch(struct evaluation *evaluation, const struct value *args,
                                         size_t count) {
    struct str text, letters;
    struct jdk_parsed parsed;
    int64_t epoch_ms;
    if (!rule_function_str(evaluation, args[0], &text) ||
        !rule_function_str(evaluation, args[1], &letters))
        return value_undefined();
    const struct jdk_pattern *pattern =
        rule_function_prepared(evaluation, 1, letters, CACHE_JDK_PATTERN);
    if (!pattern || !jdk_parse(pattern, text, &parsed))
        return value_undefined();
    const struct zone *zone = NULL;
    if (parsed.zone.len) {
        zone = rule_function_prepare(evaluation, CACHE_ZONE, parsed.zone);
        if (!zone)
            return value_undefined();
    }
    return jdk_resolve(&parsed, zone, &epoch_ms) ? value_int(epoch_ms) : value_undefined();
}
