/*
 * Routes: for a topic, the list of rules whose FROM matches it. Topics that lead to the same rules
 * share one route, found by the numbers of the rules in their order. The caller caches what it is
 * given, so this runs once per topic and generation; the index keeps it from looking at each rule.
 *
 * At ROUTES_MAX different routes all are dropped and the generation is raised; but not while a push
 * runs, which may still hold one: nested pushes may then go a few routes beyond the bound.
 */
#include "rule/route.h"

#include <stdlib.h>

#include "flow/topic.h"

enum { ROUTES_MAX = 1024 };

static const struct str basic_prefix = {"$aws/rules/", 11};

static struct rule_route *route_new(struct arena *arena, size_t count) {
    struct rule_route *route = arena_zalloc(arena, sizeof *route + count * sizeof route->rules[0]);
    route->count = count;
    return route;
}

void rule_route_basic(struct engine_rule *rule) {
    rule->basic = route_new(&rule->arena, 1);
    rule->basic->rules[0] = rule;
    rule->basic->topic_skip = basic_prefix.len + rule->rule->name.len + 1;
}

void rule_routes_init(struct rule_engine *engine) {
    engine->unknown = route_new(&engine->arena, 0);
    engine->unknown->unknown = true;
    engine->matching.rules =
        arena_alloc(&engine->arena, (engine->count + 1) * sizeof engine->matching.rules[0]);
    for (size_t i = 0; i < engine->count; i++) {
        const struct rule *rule = engine->rules[i]->rule;
        map_put(&engine->by_name, rule->name, engine->rules[i]);
        if (!rule->disabled && rule->plan->has_filter)
            rule_index_add(&engine->index, rule->plan->filter, i);
    }
}

void rule_routes_done(struct rule_engine *engine) {
    map_done(&engine->by_name);
    map_done(&engine->routes);
    rule_index_done(&engine->index);
    arena_done(&engine->routes_arena);
}

/* MQTT's matching, but "a/#" does not match "a": so AWS has it, for rules as for subscriptions. */
bool rule_route_matches(const struct plan *plan, struct str topic) {
    struct str filter = plan->filter;
    if (!plan->has_filter || !topic_matches(filter, topic))
        return false;
    bool below = filter.len > 2 && str_eq(str_skip(filter, filter.len - 2), STR("/#"));
    return !below || !topic_matches(str_from(filter.at, filter.len - 2), topic);
}

static void drop_routes(struct rule_engine *engine) {
    map_clear(&engine->routes);
    arena_reset(&engine->routes_arena);
    engine->sink.generation++;
}

/* "$aws/rules/NAME" and "$aws/rules/NAME/ANY/TOPIC" */
static const struct rule_route *find_basic(struct rule_engine *engine, struct str topic) {
    struct str rest, name = str_cut(str_skip(topic, basic_prefix.len), '/', &rest);
    struct engine_rule *rule = map_get(&engine->by_name, name);
    return rule && !rule->rule->disabled ? rule->basic : engine->unknown;
}

struct looking {
    struct rule_engine *engine;
    struct str topic;
};

static void on_candidate(void *data, size_t rule) {
    const struct looking *looking = data;
    struct rule_engine *engine = looking->engine;
    if (rule_route_matches(engine->rules[rule]->rule->plan, looking->topic))
        engine->matching.rules[engine->matching.count++] = (uint32_t)rule;
}

static int by_number(const void *a, const void *b) {
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

const struct rule_route *rule_route_find(struct rule_engine *engine, struct str topic) {
    struct looking looking = {engine, topic};
    struct matching *matching = &engine->matching;
    if (str_starts(topic, basic_prefix))
        return find_basic(engine, topic);
    matching->count = 0;
    rule_index_find(&engine->index, topic, on_candidate, &looking);
    if (matching->count == 0)
        return NULL;
    qsort(matching->rules, matching->count, sizeof matching->rules[0], by_number);
    struct str key = str_from(matching->rules, matching->count * sizeof matching->rules[0]);
    struct rule_route *route = map_get(&engine->routes, key);
    if (route)
        return route;
    if (engine->routes.count >= ROUTES_MAX && engine->depth == 0)
        drop_routes(engine);
    route = route_new(&engine->routes_arena, matching->count);
    for (size_t i = 0; i < matching->count; i++)
        route->rules[i] = engine->rules[matching->rules[i]];
    map_put(&engine->routes, str_from(arena_strdup(&engine->routes_arena, key), key.len), route);
    return route;
}
