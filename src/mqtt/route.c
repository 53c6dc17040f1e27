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

static struct route_target *begin_target(struct route *route, struct session *session,
                                         uint32_t *ids) {
    struct route_target *target = &route->targets[route->target_count++];
    *target = (struct route_target){.session = session, .ids = ids, .no_local = true};
    route->stored_targets |= session->stored != NULL;
    return target;
}

static void add_subscription(struct route_target *target, const struct subscription *subscription,
                             uint32_t **ids) {
    target->qos = subscription->qos > target->qos ? subscription->qos : target->qos;
    target->no_local &= subscription->no_local;
    target->has_no_local |= subscription->no_local;
    target->retain_as_published |= subscription->retain_as_published;
    if (subscription->id) {
        *(*ids)++ = subscription->id;
        target->id_count++;
    }
}

/*
 * A session whose subscriptions overlap gets one copy, at the highest QoS of them, with all their
 * identifiers (section 3.3.4).
 */
static void add_targets(const struct routes *routes, struct route *route, uint32_t **ids) {
    struct route_target *target = NULL;
    for (uint32_t i = 0; i < routes->match_count; i++) {
        const struct subscription *subscription = routes->matches[i];
        if (!target || target->session != subscription->session)
            target = begin_target(route, subscription->session, *ids);
        add_subscription(target, subscription, ids);
    }
}

/*
 * A session that has No Local on some of its overlapping subscriptions gets its own messages by the
 * others alone: a second target.
 */
static void add_own_targets(const struct routes *routes, struct route *route, uint32_t **ids) {
    uint32_t count = route->target_count, match = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct route_target *target = &route->targets[i], *own = NULL;
        if (target->has_no_local && !target->no_local) {
            own = begin_target(route, target->session, *ids);
            own->only_own = target->no_local = true;
        }
        for (; match < routes->match_count; match++) {
            if (routes->matches[match]->session != target->session)
                break;
            if (own && !routes->matches[match]->no_local)
                add_subscription(own, routes->matches[match], ids);
        }
    }
}

static void set_targets(struct routes *routes, struct route *route) {
    route->target_count = 0;
    route->stored_targets = false;
    if (routes->match_count == 0)
        return;
    uint32_t id_count = 0;
    bool has_no_local = false;
    for (uint32_t i = 0; i < routes->match_count; i++) {
        id_count += routes->matches[i]->id != 0;
        has_no_local |= routes->matches[i]->no_local;
    }
    uint32_t target_cap = routes->match_count << has_no_local, id_cap = id_count << has_no_local;
    qsort(routes->matches, routes->match_count, sizeof(struct subscription *), by_session);
    route->targets = xmalloc(target_cap * sizeof *route->targets);
    uint32_t *ids = id_cap ? xmalloc(id_cap * sizeof *ids) : NULL;
    route->ids = ids;
    route->bytes += target_cap * sizeof *route->targets + id_cap * sizeof *ids;
    add_targets(routes, route, &ids);
    if (has_no_local)
        add_own_targets(routes, route, &ids);
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
    struct interested interest = {0};
    if (!for_rules_alone)
        interest = interest_match(worker, topic);
    route->workers = interest.workers;
    route->stored_workers = interest.stored;
    route->full_workers = interest.full;
    route->request = worker->requests ? worker->requests->route(worker->requests, topic) : NULL;
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

/* What AWS counts: a topic without the prefix of Basic Ingest ("AWS IoT Core message broker and
 * protocol limits"). */
static bool fits(const struct mqtt_config *config, struct str topic) {
    struct str name, ignored;
    if (str_starts(topic, STR("$aws/rules/"))) {
        topic = str_skip(topic, strlen("$aws/rules/"));
        name = str_cut(topic, '/', &topic);
        topic = topic.len ? topic : name;
    }
    return topic.len <= (size_t)config->topic_bytes_max &&
           !topic_level(topic, (unsigned)config->topic_levels_max + 1, &ignored);
}

static struct route *add(struct mqtt_worker *worker, struct str topic) {
    struct routes *routes = &worker->routes;
    if (!topic_name_valid(topic) || !packet_name_valid(topic) || !fits(worker->config, topic))
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

static void note_one(void *data, struct tree_node *node) {
    *(bool *)data = true;
}

bool route_is_wanted(struct mqtt_worker *worker, struct str topic) {
    bool wanted = false;
    tree_match(&worker->subscriptions, topic, note_one, &wanted);
    share_match(worker, topic, note_one, &wanted);
    return wanted || interest_match(worker, topic).workers ||
           (worker->rules && worker->rules->route(worker->rules, topic));
}

void routes_done(struct routes *routes) {
    drop_all(routes);
    free(routes->matches);
    free(routes->shares);
    *routes = (struct routes){0};
}
