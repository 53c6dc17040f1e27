/* Which filters have subscribers on other workers: one bit per worker and filter, set and cleared
 * by what they send. */
#include <stdlib.h>

#include "base/mem.h"
#include "mqtt/broker.h"

struct interest {
    uint64_t workers;
};

void interest_apply(struct mqtt_worker *worker, unsigned from, bool add, struct str filter) {
    struct tree_node *node = tree_add(&worker->interest, filter);
    if (!node->value)
        node->value = xcalloc(1, sizeof(struct interest));
    struct interest *interest = node->value;
    uint64_t bit = 1ull << from;
    interest->workers = add ? interest->workers | bit : interest->workers & ~bit;
    if (!interest->workers) {
        free(interest);
        node->value = NULL;
        tree_prune(&worker->interest, node);
    }
    routes_expire(&worker->routes);
}

static void add_workers(void *data, struct tree_node *node) {
    const struct interest *interest = node->value;
    *(uint64_t *)data |= interest->workers;
}

uint64_t interest_match(struct mqtt_worker *worker, struct str topic) {
    uint64_t workers = 0;
    tree_match(&worker->interest, topic, add_workers, &workers);
    return workers;
}

static void free_interest(void *data, struct tree_node *node) {
    free(node->value);
}

void interest_done(struct mqtt_worker *worker) {
    tree_each(&worker->interest, free_interest, NULL);
    tree_done(&worker->interest);
}
