/*
 * The turn of a share counts through all its members, worker by worker, so that each gets as many
 * messages as the others however unevenly they are spread. Within a worker the members take turns
 * too; one that cannot take a message at once (its Receive Maximum is used up, or it reads too
 * slowly) is passed over as long as another one can.
 *
 * What a member had been sent with QoS 1 and not acknowledged when its session ends goes to another
 * member, as does what only waited for it. A QoS 2 message that was under way does not
 * [MQTT-4.8.2-5].
 *
 * A message may arrive at a worker whose last member has just left: it then goes on to a worker
 * that has one, HOPS_MAX times at most.
 */
#include "mqtt/share.h"

#include <stdlib.h>

#include "base/mem.h"
#include "mqtt/broker.h"

enum { HOPS_MAX = 8 };

/* ---- the table ---- */

static struct share *make(struct mqtt_worker *worker, struct str name, struct str key) {
    struct share *share =
        xcalloc(1, sizeof *share + worker->mqtt->worker_count * sizeof share->counts[0]);
    share->key = str_from(str_dup(key), key.len);
    share->filter = str_skip(share->key, name.len + 1);
    share->node = tree_add(&worker->shares.by_filter, share->filter);
    share->next = share->node->value;
    share->node->value = share;
    map_put(&worker->shares.by_key, share->key, share);
    return share;
}

static void release(struct share *share) {
    free((char *)share->key.at);
    free(share->members);
    free(share);
}

static void drop(struct mqtt_worker *worker, struct share *share) {
    struct share *first = share->node->value;
    if (first == share) {
        share->node->value = share->next;
    } else {
        while (first->next != share)
            first = first->next;
        first->next = share->next;
    }
    if (!share->node->value)
        tree_prune(&worker->shares.by_filter, share->node);
    map_remove(&worker->shares.by_key, share->key);
    release(share);
}

static void set_count(struct mqtt_worker *worker, struct share *share, unsigned index,
                      struct share_count count) {
    struct share_count *before = &share->counts[index];
    share->total.members += count.members - before->members;
    share->total.online += count.online - before->online;
    share->total.stored += count.stored - before->stored;
    *before = count;
    routes_expire(&worker->routes);
    if (share->total.members == 0)
        drop(worker, share);
}

/* The members here have changed. */
static void recount(struct mqtt_worker *worker, struct share *share) {
    struct share_count count = {.members = share->member_count};
    for (uint32_t i = 0; i < share->member_count; i++) {
        count.online += share->members[i]->session->connection != NULL;
        count.stored += share->members[i]->session->stored != NULL;
    }
    channel_send_share(worker, share->key, count);
    set_count(worker, share, worker->index, count);
}

void share_apply(struct mqtt_worker *worker, unsigned from, struct str key,
                 struct share_count count) {
    struct share *share = map_get(&worker->shares.by_key, key);
    if (!share && count.members == 0)
        return;
    if (!share)
        share = make(worker, str_from(key.at, str_find(key, '/')), key);
    set_count(worker, share, from, count);
}

static void free_shares(void *data, struct tree_node *node) {
    for (struct share *share = node->value, *next; share; share = next) {
        next = share->next;
        release(share);
    }
}

void shares_done(struct mqtt_worker *worker) {
    tree_each(&worker->shares.by_filter, free_shares, NULL);
    tree_done(&worker->shares.by_filter);
    map_done(&worker->shares.by_key);
}

/* ---- members ---- */

struct subscription *share_find(const struct mqtt_worker *worker, const struct session *session,
                                struct str key) {
    const struct share *share = map_get(&worker->shares.by_key, key);
    for (uint32_t i = 0; share && i < share->member_count; i++)
        if (share->members[i]->session == session)
            return share->members[i];
    return NULL;
}

struct subscription *share_join(struct mqtt_worker *worker, struct session *session,
                                struct str name, struct str key) {
    struct share *share = map_get(&worker->shares.by_key, key);
    share = share ? share : make(worker, name, key);
    struct subscription *subscription = xcalloc(1, sizeof *subscription);
    subscription->session = session;
    subscription->share = share;
    subscription->index = share->member_count;
    list_push_back(&session->subscriptions, &subscription->link);
    session->subscription_count++;
    if (share->member_count == share->member_cap) {
        share->member_cap = share->member_cap ? share->member_cap * 2 : 4;
        share->members =
            xrealloc(share->members, share->member_cap * sizeof(struct subscription *));
    }
    share->members[share->member_count++] = subscription;
    recount(worker, share);
    return subscription;
}

void share_leave(struct mqtt_worker *worker, struct subscription *subscription) {
    struct share *share = subscription->share;
    struct subscription *last = share->members[--share->member_count];
    share->members[subscription->index] = last;
    last->index = subscription->index;
    subscription->session->subscription_count--;
    list_remove(&subscription->link);
    free(subscription);
    recount(worker, share);
}

void share_member_changed(struct mqtt_worker *worker, const struct session *session) {
    LIST_EACH(item, &session->subscriptions) {
        const struct subscription *subscription = LIST_ITEM(item, struct subscription, link);
        if (subscription->share)
            recount(worker, subscription->share);
    }
}

/* ---- messages ---- */

void share_match(struct mqtt_worker *worker, struct str topic, tree_visit *visit, void *data) {
    tree_match(&worker->shares.by_filter, topic, visit, data);
}

/* Those whose clients are away count only if no one's is there. */
static unsigned choose_worker(struct share *share) {
    bool online = share->total.online > 0;
    uint32_t turn = share->turn++ % (online ? share->total.online : share->total.members);
    unsigned index = 0;
    for (;; index++) {
        const struct share_count *count = &share->counts[index];
        uint32_t weight = online ? count->online : count->members;
        if (turn < weight)
            return index;
        turn -= weight;
    }
}

static struct subscription *choose_member(struct share *share) {
    struct subscription *online = NULL;
    for (uint32_t i = 0; i < share->member_count; i++) {
        struct subscription *member =
            share->members[(share->member_turn + i) % share->member_count];
        if (deliver_can_take(member->session)) {
            share->member_turn += i + 1;
            return member;
        }
        if (!online && member->session->connection)
            online = member;
    }
    uint32_t turn = share->member_turn++ % share->member_count;
    return online ? online : share->members[turn];
}

static void pass_on(struct mqtt_worker *worker, struct share *share,
                    const struct publication *publication, uint8_t hops) {
    unsigned index = choose_worker(share);
    if (index == worker->index)
        deliver_shared(worker, choose_member(share), publication);
    else {
        journal_refresh(worker, publication->kept, share);
        channel_send_shared(worker, index, share->key, publication, hops);
    }
}

void share_publish(struct mqtt_worker *worker, struct share *share,
                   const struct publication *publication) {
    pass_on(worker, share, publication, 0);
}

static void drop_left(struct mqtt_worker *worker, struct str key,
                      const struct publication *publication) {
    metric_add(&worker->metrics.dropped_left, 1);
    if (publication->id && !worker->stopping)
        journal_dropped(worker, NULL, publication->id, key);
}

void share_arrive(struct mqtt_worker *worker, struct str key, const struct publication *publication,
                  uint8_t hops) {
    struct share *share = map_get(&worker->shares.by_key, key);
    if (share && share->member_count)
        deliver_shared(worker, choose_member(share), publication);
    else if (share && hops < HOPS_MAX && !worker->stopping)
        pass_on(worker, share, publication, hops + 1);
    else
        drop_left(worker, key, publication);
}

static void give_back(struct mqtt_worker *worker, struct delivery *delivery) {
    if (delivery->share_bytes)
        share_arrive(worker, delivery_share(delivery), &delivery->message->publication, 0);
    delivery_free(delivery);
}

void share_return_all(struct mqtt_worker *worker, struct session *session) {
    struct delivery *delivery;
    if (worker->stopping) /* So are the others: there is no one to take it. */
        return;
    while ((delivery = session_take_shared(session)))
        give_back(worker, delivery);
    while (!session_queue_is_empty(session))
        give_back(worker, session_queue_pop(session));
}
