/*
 * The route cache: what a message of a topic is for, found with one probe. A topic gets into it
 * only when it is a valid topic name, so a hit needs no validation either.
 *
 * A topic "$aws/rules/NAME/..." is for that rule alone and reaches no subscriber (AWS IoT Core Developer
 * Guide, "Reducing messaging costs with Basic Ingest").
 *
 * A route is made from the rules, this worker's subscriptions and the other workers' interests.
 * When any of these changes, all routes expire by a change of the generation, and each is made anew
 * when it is next looked up. When there are ROUTES_MAX topics the cache is emptied as a whole,
 * which costs less than to know which topic is the least used.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "flow/topic.h"
#include "mqtt/broker.h"

static void gather(void *data, struct tree_node *node) {
    struct routes *routes = data;
    const struct subscribers *subscribers = node->value;
    uint32_t count = routes->match_count + subscribers->count;
    if (count > routes->match_cap) {
        routes->match_cap = count * 2;
        routes->matches =
            xrealloc(routes->matches, routes->match_cap * sizeof(struct subscription *));
    }
    memcpy(routes->matches + routes->match_count, subscribers->items,
           subscribers->count * sizeof(struct subscription *));
    routes->match_count = count;
}

static void gather_shares(void *data, struct tree_node *node) {
    struct routes *routes = data;
    for (struct share *share = node->value; share; share = share->next) {
        if (routes->share_count == routes->share_cap) {
            routes->share_cap = routes->share_cap ? routes->share_cap * 2 : 8;
            routes->shares = xrealloc(routes->shares, routes->share_cap * sizeof(struct share *));
        }
        routes->shares[routes->share_count++] = share;
    }
}

static int by_session(const void *a, const void *b) {
    const struct subscription *left = *(struct subscription *const *)a;
    const struct subscription *right = *(struct subscription *const *)b;
    uintptr_t l = (uintptr_t)left->session, r = (uintptr_t)right->session;
    return l < r ? -1 : l > r;
}

/*
 * A session whose subscriptions overlap gets one copy, at the highest QoS of them, with all their
 * identifiers (section 3.3.4). It is left out as local only if all of them say so.
 */
static void add_target(struct route *route, const struct subscription *subscription,
                       uint32_t **ids) {
    struct route_target *target =
        route->target_count ? &route->targets[route->target_count - 1] : NULL;
    if (!target || target->session != subscription->session) {
        target = &route->targets[route->target_count++];
        *target =
            (struct route_target){.session = subscription->session, .ids = *ids, .no_local = true};
        route->stored_targets |= subscription->session->stored != NULL;
    }
    target->qos = subscription->qos > target->qos ? subscription->qos : target->qos;
    target->no_local &= subscription->no_local;
    target->retain_as_published |= subscription->retain_as_published;
    if (subscription->id) {
        *(*ids)++ = subscription->id;
        target->id_count++;
    }
}

static void set_targets(struct routes *routes, struct route *route) {
    route->target_count = 0;
    route->stored_targets = false;
    if (routes->match_count == 0)
        return;
    uint32_t id_count = 0;
    for (uint32_t i = 0; i < routes->match_count; i++)
        id_count += routes->matches[i]->id != 0;
    qsort(routes->matches, routes->match_count, sizeof(struct subscription *), by_session);
    route->targets = xmalloc(routes->match_count * sizeof *route->targets);
    uint32_t *ids = id_count ? xmalloc(id_count * sizeof *ids) : NULL;
    route->ids = ids;
    route->bytes += routes->match_count * sizeof *route->targets + id_count * sizeof *ids;
    for (uint32_t i = 0; i < routes->match_count; i++)
        add_target(route, routes->matches[i], &ids);
}

static void set_shares(struct routes *routes, struct route *route) {
    route->share_count = routes->share_count;
    route->stored_shares = false;
    for (uint32_t i = 0; i < routes->share_count; i++)
        route->stored_shares |= routes->shares[i]->total.stored > 0;
    if (routes->share_count == 0)
        return;
    size_t bytes = routes->share_count * sizeof *route->shares;
    route->shares = xmalloc(bytes);
    memcpy(route->shares, routes->shares, bytes);
    route->bytes += bytes;
}

static void empty_route(struct route *route) {
    free(route->shares);
    route->shares = NULL;
    free(route->targets);
    free(route->ids);
    route->targets = NULL;
    route->ids = NULL;
}

static uint64_t rules_generation(const struct mqtt_worker *worker) {
    return worker->rules ? worker->rules->generation : 0;
}

static void make(struct mqtt_worker *worker, struct route *route) {
    struct routes *routes = &worker->routes;
    struct str topic = str_from(route->topic, route->topic_bytes);
    empty_route(route);
    routes->bytes -= route->bytes;
    route->bytes = sizeof *route + sizeof(struct map_entry) + topic.len;
    routes->match_count = routes->share_count = 0;
    bool for_rules_alone = str_starts(topic, STR("$aws/rules/"));
    if (!for_rules_alone) {
        tree_match(&worker->subscriptions, topic, gather, routes);
        share_match(worker, topic, gather_shares, routes);
    }
    set_targets(routes, route);
    set_shares(routes, route);
    routes->bytes += route->bytes;
    route->workers = route->stored_workers = 0;
    if (!for_rules_alone)
        route->workers = interest_match(worker, topic, &route->stored_workers);
    route->rules = worker->rules ? worker->rules->route(worker->rules, topic) : NULL;
    route->generation = routes->generation;
    route->rules_generation = rules_generation(worker);
}

static void drop_all(struct routes *routes) {
    struct map_entry *entry;
    for (size_t i = 0; (entry = map_next(&routes->map, &i));) {
        empty_route(entry->value);
        free(entry->value);
    }
    map_done(&routes->map);
    routes->last = NULL;
    routes->bytes = 0;
    routes->epoch++;
}

static struct route *add(struct mqtt_worker *worker, struct str topic) {
    struct routes *routes = &worker->routes;
    if (!topic_name_valid(topic))
        return NULL;
    struct route *route = xcalloc(1, sizeof *route + topic.len);
    route->topic_bytes = (uint32_t)topic.len;
    memcpy(route->topic, topic.at, topic.len);
    map_put(&routes->map, str_from(route->topic, topic.len), route);
    metric_set(&worker->metrics.routes, (int64_t)routes->map.count);
    make(worker, route);
    return route;
}

/* Messages of one read are mostly of one topic. */
static struct route *look_up(struct routes *routes, struct str topic) {
    struct route *last = routes->last;
    if (last && str_eq(str_from(last->topic, last->topic_bytes), topic))
        return last;
    return routes->last = map_get(&routes->map, topic);
}

const struct route *route_peek(struct mqtt_worker *worker, struct str topic) {
    return look_up(&worker->routes, topic);
}

struct route *route_find(struct mqtt_worker *worker, struct str topic) {
    struct routes *routes = &worker->routes;
    struct route *route = look_up(routes, topic);
    if (route && route->generation == routes->generation &&
        route->rules_generation == rules_generation(worker))
        return route;
    if (routes->bytes > ROUTES_BYTES_MAX || (!route && routes->map.count >= ROUTES_MAX)) {
        drop_all(routes);
        route = NULL;
    }
    if (!route)
        return add(worker, topic);
    make(worker, route);
    return route;
}

void routes_done(struct routes *routes) {
    drop_all(routes);
    free(routes->matches);
    free(routes->shares);
    *routes = (struct routes){0};
}
