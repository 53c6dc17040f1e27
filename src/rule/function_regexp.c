/* Functions that search by a pattern. A pattern that is none, or a text that is not UTF-8, makes the
 * call Undefined; a search that passes a bound of regexp.h exhausts the evaluation. */
#include "rule/evaluate.h"
#include "rule/function.h"
#include "rule/regexp.h"

struct search {
    struct evaluation *evaluation;
    const struct regexp *regexp;
    struct str text;
    struct regexp_match match;
    bool again;
};

/* The arguments common to all: text, pattern. */
static bool search_init(struct search *search, struct evaluation *evaluation,
                        const struct value *args) {
    struct str pattern;
    *search = (struct search){.evaluation = evaluation};
    if (!rule_function_str(evaluation, args[0], &search->text) ||
        !rule_function_str(evaluation, args[1], &pattern))
        return false;
    search->regexp = rule_function_prepared(evaluation, 1, pattern, CACHE_REGEXP);
    return search->regexp != NULL;
}

/* The next match from there on. What is charged is what a search may cost at worst: the rest of the
 * text for each place where a match was looked for. */
static bool search_next(struct search *search, size_t from) {
    struct evaluation *evaluation = search->evaluation;
    enum regexp_result result = regexp_search(&evaluation->cache->regexp_room, search->regexp,
                                              search->text, from, search->again, &search->match);
    size_t rest = search->text.len - from;
    size_t tried = result == REGEXP_FOUND && search->match.begin > from ? search->match.begin - from
                   : result == REGEXP_FOUND                             ? 1
                                                                        : rest;
    if (result == REGEXP_TOO_MUCH)
        evaluation->exhausted = true;
    search->again = true;
    return rule_evaluation_spend(evaluation, regexp_cost(search->regexp, tried, rest)) &&
           result == REGEXP_FOUND;
}

struct value rule_function_regexp_matches(struct evaluation *evaluation, const struct value *args,
                                          size_t count) {
    struct search search;
    if (!search_init(&search, evaluation, args))
        return value_undefined();
    return value_boolean(search_next(&search, 0));
}

struct value rule_function_regexp_substr(struct evaluation *evaluation, const struct value *args,
                                         size_t count) {
    struct search search;
    if (!search_init(&search, evaluation, args) || !search_next(&search, 0))
        return value_undefined();
    return value_string(
        str_from(search.text.at + search.match.begin, search.match.end - search.match.begin));
}

/* Behind an empty match the search goes on one character further. */
static size_t step_over(struct str text, size_t at, struct buf *out) {
    size_t end = at + 1;
    while (end < text.len && ((unsigned char)text.at[end] & 0xc0) == 0x80)
        end++;
    if (at < text.len)
        buf_add(out, text.at + at, end - at);
    return end;
}

/* All matches, from left to right. */
struct value rule_function_regexp_replace(struct evaluation *evaluation, const struct value *args,
                                          size_t count) {
    struct search search;
    struct str replacement;
    struct buf *out = evaluation->scratch;
    if (!search_init(&search, evaluation, args) ||
        !rule_function_str(evaluation, args[2], &replacement) ||
        !regexp_replacement_valid(search.regexp, replacement))
        return value_undefined();
    size_t from = 0;
    while (from <= search.text.len && search_next(&search, from)) {
        struct regexp_match match = search.match;
        buf_add(out, search.text.at + from, match.begin > from ? match.begin - from : 0);
        regexp_replacement_add(out, evaluation->cache->regexp_room, search.regexp, search.text,
                               replacement);
        bool ahead = match.end > from && match.end > match.begin;
        from = match.end > from ? match.end : from;
        if (!ahead)
            from = step_over(search.text, from, out);
        if (buf_len(out) > EVALUATION_OUTPUT_BYTES_MAX)
            evaluation->exhausted = true;
    }
    if (from < search.text.len)
        buf_add_str(out, str_skip(search.text, from));
    return rule_evaluation_take_scratch(evaluation);
}
