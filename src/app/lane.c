#include "app/lane.h"

#include <unistd.h>

#include "base/log.h"

enum { DRAIN_MS_MAX = 10000 };

/* What a call from main carries to the lane's thread and back. */
struct order {
    struct lane *lane;
    const struct lane_common *common;
    struct mqtt_restore *restore;
    uv_sem_t *restored;
    unsigned index;
    struct rule_set *set;
    struct mqtt_policies *policies;
    struct mqtt_identities *identities;
    const struct mqtt_listener_config *listener;
    struct sockaddr_storage *address;
    struct tls_context *tls;
    struct err *err;
    bool take;
    int code;
};

static int thing_shadow(const struct rule_environment *environment, struct str thing,
                        struct str shadow, struct buf *document) {
    return things_read_shadow(environment->data, thing, shadow, environment->now_ms(environment),
                              document);
}

static int thing(const struct rule_environment *environment, struct str name,
                 struct buf *document) {
    return things_read_thing(environment->data, name, document);
}

static void do_start(void *data) {
    struct order *order = data;
    struct lane *lane = order->lane;
    const struct lane_common *common = order->common;
    struct loop *loop = lane->thread.loop;
    lane->worker = mqtt_worker_new(common->mqtt, order->index, loop);
    lane->writer = stream_writer_new(common->log, loop);
    lane->journal = stream_journal_new(lane->writer, common->sessions, loop);
    lane->requests = stream_journal_new(lane->writer, common->requests, loop);
    lane->intake =
        things_intake_new(common->things, lane->requests, mqtt_worker_publisher(lane->worker));
    mqtt_worker_set_journal(lane->worker, lane->journal);
    mqtt_worker_set_requests(lane->worker, things_intake_sink(lane->intake));
}

void lane_start(struct lane *lane, const char *name, unsigned index,
                const struct lane_common *common) {
    struct order order = {.lane = lane, .common = common, .index = index};
    lane->environment = rule_environment_default;
    lane->environment.account_id = common->account;
    lane->things = things_reader_new(common->things);
    lane->environment.thing_shadow = thing_shadow;
    lane->environment.thing = thing;
    lane->environment.data = lane->things;
    loop_thread_start(&lane->thread, name);
    loop_call(lane->thread.loop, do_start, &order);
}

static void do_read(void *data) {
    struct order *order = data;
    order->code = mqtt_restore_read(order->lane->worker, &order->restore, order->err);
}

static void on_applied(void *data) {
    uv_sem_post(data);
}

static void do_apply(void *data) {
    struct order *order = data;
    mqtt_restore_apply(order->lane->worker, order->restore, on_applied, order->restored);
}

static void do_end(void *data) {
    struct order *order = data;
    mqtt_restore_end(order->lane->worker, order->restore);
}

int lanes_restore(struct lane *lanes, unsigned count, struct err *err) {
    struct order order = {.lane = &lanes[0], .err = err};
    loop_call(lanes[0].thread.loop, do_read, &order);
    if (order.code)
        return order.code;
    uv_sem_t restored;
    int failed = uv_sem_init(&restored, 0);
    ASSERT(!failed);
    order.restored = &restored;
    for (unsigned i = 0; i < count; i++) {
        order.lane = &lanes[i];
        loop_call(lanes[i].thread.loop, do_apply, &order);
    }
    for (unsigned i = 0; i < count; i++)
        uv_sem_wait(&restored);
    uv_sem_destroy(&restored);
    for (unsigned i = 0; i < count; i++) {
        order.lane = &lanes[i];
        loop_call(lanes[i].thread.loop, do_end, &order);
    }
    return 0;
}

static int prepare(struct lane *lane, struct rule_set *set, struct err *err) {
    struct rule_engine_config config = {.set = set,
                                        .sinks = stream_writer_resolver(lane->writer),
                                        .publisher = mqtt_worker_publisher(lane->worker),
                                        .environment = &lane->environment,
                                        .previous = lane->engine};
    return rule_engine_new(&config, &lane->next_engine, err);
}

static void commit(struct lane *lane, bool take) {
    struct rule_engine *old = lane->next_engine;
    if (take) {
        old = lane->engine;
        lane->engine = lane->next_engine;
        rule_engine_succeed(lane->engine, old);
        mqtt_worker_set_rules(lane->worker, rule_engine_sink(lane->engine),
                              stream_writer_gate(lane->writer));
    }
    lane->next_engine = NULL;
    rule_engine_free(old);
}

static void do_prepare(void *data) {
    struct order *order = data;
    order->code = prepare(order->lane, order->set, order->err);
}

int lane_prepare_rules(struct lane *lane, struct rule_set *set, struct err *err) {
    struct order order = {.lane = lane, .set = set, .err = err};
    loop_call(lane->thread.loop, do_prepare, &order);
    return order.code;
}

/* While main prepares, no change of a client is made; but one may have been on its way. */
int lane_replace_rules(struct lane *lane, struct rule_set *set, struct err *err) {
    ASSERT(!lane->next_engine);
    int code = prepare(lane, set, err);
    if (!code)
        commit(lane, true);
    return code;
}

static void do_commit(void *data) {
    struct order *order = data;
    commit(order->lane, order->take);
}

void lane_commit_rules(struct lane *lane, bool take) {
    struct order order = {.lane = lane, .take = take};
    loop_call(lane->thread.loop, do_commit, &order);
}

static void do_set_policies(void *data) {
    struct order *order = data;
    mqtt_worker_set_policies(order->lane->worker, order->policies);
}

void lane_set_policies(struct lane *lane, struct mqtt_policies *policies) {
    struct order order = {.lane = lane, .policies = policies};
    loop_call(lane->thread.loop, do_set_policies, &order);
}

static void do_set_identities(void *data) {
    struct order *order = data;
    mqtt_worker_set_identities(order->lane->worker, order->identities);
}

void lane_set_identities(struct lane *lane, struct mqtt_identities *identities) {
    struct order order = {.lane = lane, .identities = identities};
    loop_call(lane->thread.loop, do_set_identities, &order);
}

static void do_listen(void *data) {
    struct order *order = data;
    order->code = mqtt_worker_listen(order->lane->worker, order->listener, order->address,
                                     order->tls, order->err);
}

int lane_listen(struct lane *lane, const struct mqtt_listener_config *config,
                struct sockaddr_storage *address, struct tls_context *tls, struct err *err) {
    struct order order = {
        .lane = lane, .listener = config, .address = address, .tls = tls, .err = err};
    loop_call(lane->thread.loop, do_listen, &order);
    return order.code;
}

static void ask_idle(void *data) {
    struct order *order = data;
    order->code = stream_writer_idle(order->lane->writer);
}

void lane_drain(struct lane *lane) {
    struct order order = {.lane = lane};
    for (int waited_ms = 0; waited_ms < DRAIN_MS_MAX; waited_ms++) {
        loop_call(lane->thread.loop, ask_idle, &order);
        if (order.code)
            return;
        usleep(1000);
    }
    log_error("app", "%s: records are still not committed; giving up on them", lane->thread.name);
}

static void do_stop(void *data) {
    struct lane *lane = data;
    mqtt_worker_set_rules(lane->worker, NULL, stream_writer_gate(lane->writer));
    rule_engine_free(lane->engine);
    things_reader_free(lane->things);
    mqtt_worker_free(lane->worker);
    things_intake_free(lane->intake);
    stream_journal_free(lane->requests);
    stream_journal_free(lane->journal);
    stream_writer_free(lane->writer);
}

void lane_stop(struct lane *lane) {
    if (!lane->thread.loop)
        return;
    loop_call(lane->thread.loop, do_stop, lane);
    loop_thread_stop(&lane->thread);
}
