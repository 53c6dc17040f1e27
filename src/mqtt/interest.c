/* Which filters have subscribers on other workers, and stored sessions among them: bits per worker and
 * filter, set and cleared by what they send. */
#include <stdlib.h>

#include "base/mem.h"
#include "mqtt/broker.h"

void interest_apply(struct mqtt_worker *worker, unsigned from, enum interest_change change,
                    struct str filter) {
    struct tree_node *node = tree_add(&worker->interest, filter);
    if (!node->value)
        node->value = xcalloc(1, sizeof(struct interest));
    struct interest *interest = node->value;
    uint64_t bit = 1ull << from;
    if (change == INTEREST_ADD || change == INTEREST_ADD_STORED)
        interest->workers |= bit;
    if (change == INTEREST_ADD_STORED)
        interest->stored |= bit;
    if (change == INTEREST_REMOVE || change == INTEREST_REMOVE_STORED)
        interest->stored &= ~bit;
    if (change == INTEREST_REMOVE)
        interest->workers &= ~bit;
    if (change == INTEREST_FULL)
        interest->full |= bit;
    else if (change != INTEREST_ADD && change != INTEREST_ADD_STORED)
        interest->full &= ~bit;
    if (!interest->workers) {
        free(interest);
        node->value = NULL;
        tree_prune(&worker->interest, node);
    }
    routes_expire(&worker->routes);
}

static void add_workers(void *data, struct tree_node *node) {
    const struct interest *interest = node->value;
    struct interest *sum = data;
    sum->workers |= interest->workers;
    sum->stored |= interest->stored;
    sum->full |= interest->full;
}

struct interest interest_match(struct mqtt_worker *worker, struct str topic) {
    struct interest sum = {0};
    tree_match(&worker->interest, topic, add_workers, &sum);
    return sum;
}

static void free_interest(void *data, struct tree_node *node) {
    free(node->value);
}

void interest_done(struct mqtt_worker *worker) {
    tree_each(&worker->interest, free_interest, NULL);
    tree_done(&worker->interest);
}
