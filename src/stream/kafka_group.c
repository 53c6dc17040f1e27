/*
 * Nodes that share a topic: members of a Kafka consumer group, one group per named consumer.
 *
 * The group decides which node has which partitions, and keeps how far each has come; the records
 * themselves are read through lanes as by any reader. So the group's own handle fetches nothing: its
 * partitions are paused as soon as they are assigned.
 *
 *      assigned   the committed position is asked for, on libuv's pool; with the answer the shard is
 *                 gained: on_gained
 *      commit     noted, and sent COMMIT_MS later at the latest, for all shards together
 *      revoked    what is noted is sent, on_lost, and only then the partition is given back: requests
 *                 keep their order, so the next owner finds what this one has committed
 *      left       the same as revoked, without on_lost; the handle says good-bye when the engine is
 *                 freed
 *
 * A node that dies is missed after session.timeout.ms, and what it had not committed is done again by
 * another: at least once. A node that was taken for dead and is not has its commits refused by the
 * group, which counts generations. The assignor is cooperative: shards that stay where they are go on
 * without a pause.
 *
 * Everything here belongs to the member's loop; librdkafka calls back from within consumer_poll().
 */
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "stream/kafka.h"
#include "stream/log.h"

enum { COMMIT_MS = 100, POLL_MS = 1000, ANSWER_MS = 5000, PAUSE_US = 200000, LOG_MS = 10000 };

struct share {
    bool owned;   /* by this node */
    bool gaining; /* and its position is not known yet */
    bool dirty;   /* `counter` is to be committed */
    unsigned epoch, asked_epoch;
    uint64_t counter;
    char *note; /* under way; NULL: none */
    uint64_t note_counter;
    void (*note_done)(void *data, int status);
    void *note_data;
};

struct kafka_member {
    struct stream_member member;
    struct link link; /* in the engine's list */
    struct kafka_engine *engine;
    rd_kafka_t *handle;
    rd_kafka_queue_t *queue;
    char *group;
    struct loop *loop;
    struct stream_member_events events;
    void *data;
    struct share *shares; /* one per partition */
    struct task wake;
    _Atomic bool posted;
    struct timer poll_timer, commit_timer;
    bool left;

    struct work work;
    bool asking;
    rd_kafka_topic_partition_list_t *asked;
    rd_kafka_resp_err_t answer;
    struct log_limit limit;
    struct metric owned;
};

static const struct kafka_setting common[] = {
    {"enable.auto.commit", "false"}, {"enable.auto.offset.store", "false"},
    {"auto.offset.reset", "error"},  {"partition.assignment.strategy", "cooperative-sticky"},
    {"session.timeout.ms", "10000"}, {"queued.max.messages.kbytes", "64"},
};

static struct kafka_member *of(const struct stream_member *member) {
    return CONTAINER_OF(member, struct kafka_member, member);
}

static void log_trouble(struct kafka_member *member, const char *what, rd_kafka_resp_err_t code) {
    unsigned missed;
    if (log_limit_pass(&member->limit, LOG_MS, &missed))
        log_warn("stream", "kafka group %s: %s: %s (%u more like this)", member->group, what,
                 kafka.err2str(code), missed);
}

/* ---- committing ---- */

static void commit_noted(struct kafka_member *member) {
    struct kafka_engine *engine = member->engine;
    rd_kafka_topic_partition_list_t *list = NULL;
    for (unsigned i = 0; i < engine->partitions; i++) {
        struct share *share = &member->shares[i];
        if (!share->owned || !share->dirty)
            continue;
        if (!list)
            list = kafka.topic_partition_list_new(1);
        kafka.topic_partition_list_add(list, engine->topic, (int32_t)i)->offset =
            (int64_t)share->counter;
        share->dirty = false;
    }
    if (!list)
        return;
    rd_kafka_resp_err_t code = kafka.commit(member->handle, list, true);
    if (code)
        log_trouble(member, "cannot commit", code);
    kafka.topic_partition_list_destroy(list);
}

static void on_commit_timer(struct timer *timer) {
    commit_noted(CONTAINER_OF(timer, struct kafka_member, commit_timer));
}

/* A moment that is not resolved yet is no offset; the group keeps what it has. */
void kafka_member_commit(struct stream_member *base, unsigned shard, uint64_t counter) {
    struct kafka_member *member = of(base);
    struct share *share = &member->shares[shard];
    if (!share->owned || engine_counter_is_time(counter))
        return;
    share->counter = counter;
    share->dirty = true;
    if (!timer_running(&member->commit_timer))
        timer_start(member->loop, &member->commit_timer, COMMIT_MS, 0, on_commit_timer);
}

/* ---- notes ---- */

int kafka_member_note(struct stream_member *base, unsigned shard, uint64_t counter, struct str note,
                      void (*done)(void *data, int status), void *data) {
    struct kafka_member *member = of(base);
    struct share *share = &member->shares[shard];
    ASSERT(!share->note);
    if (!share->owned)
        return ERR_CLOSED;
    rd_kafka_topic_partition_list_t *list = kafka.topic_partition_list_new(1);
    rd_kafka_topic_partition_t *place =
        kafka.topic_partition_list_add(list, member->engine->topic, (int32_t)shard);
    place->offset = (int64_t)counter;
    place->metadata = str_dup(note); /* the list frees it */
    place->metadata_size = note.len;
    rd_kafka_resp_err_t code = kafka.commit(member->handle, list, true);
    kafka.topic_partition_list_destroy(list);
    if (code)
        return ERR_IO;
    share->note = str_dup(note);
    share->note_counter = counter;
    share->note_done = done;
    share->note_data = data;
    return 0;
}

static void end_note(struct share *share, int status) {
    void (*done)(void *data, int status) = share->note_done;
    if (!share->note)
        return;
    free(share->note);
    share->note = NULL;
    done(share->note_data, status);
}

void kafka_member_forget_note(struct stream_member *base, unsigned shard) {
    struct share *share = &of(base)->shares[shard];
    free(share->note);
    share->note = NULL;
}

static bool is_note(const struct share *share, const rd_kafka_topic_partition_t *answer) {
    return share->note && (uint64_t)answer->offset == share->note_counter &&
           str_eq(str_from(answer->metadata, answer->metadata_size), str_of(share->note));
}

/* Of this topic, and known: the number of partitions is that of the start. */
static struct share *share_at(struct kafka_member *member, int32_t partition) {
    return partition >= 0 && (unsigned)partition < member->engine->partitions
               ? &member->shares[partition]
               : NULL;
}

static void on_committed(rd_kafka_t *handle, rd_kafka_resp_err_t code,
                         rd_kafka_topic_partition_list_t *list, void *opaque) {
    struct kafka_member *member = opaque;
    for (int i = 0; list && i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *answer = &list->elems[i];
        struct share *share = share_at(member, answer->partition);
        rd_kafka_resp_err_t failed = code ? code : answer->err;
        if (failed && !member->left)
            log_trouble(member, "cannot commit", failed);
        if (share && is_note(share, answer))
            end_note(share, failed ? ERR_IO : 0);
    }
}

/* ---- gaining ---- */

static void ask_positions(struct kafka_member *member);

/* On a pool thread. */
static void ask(struct work *work) {
    struct kafka_member *member = CONTAINER_OF(work, struct kafka_member, work);
    member->answer = kafka.committed(member->handle, member->asked, ANSWER_MS);
    if (member->answer)
        usleep(PAUSE_US);
}

static void take_position(struct kafka_member *member, const rd_kafka_topic_partition_t *answer) {
    struct share *share = &member->shares[answer->partition];
    bool known = answer->offset >= 0;
    if (!share->gaining || share->epoch != share->asked_epoch || answer->err)
        return;
    share->gaining = false;
    member->events.on_gained(member->data, (unsigned)answer->partition, known,
                             known ? (uint64_t)answer->offset : 0,
                             str_from(answer->metadata, answer->metadata_size));
}

static void on_answer(struct work *work) {
    struct kafka_member *member = CONTAINER_OF(work, struct kafka_member, work);
    member->asking = false;
    if (member->answer && !member->left)
        log_trouble(member, "positions are not known", member->answer);
    for (int i = 0; !member->answer && !member->left && i < member->asked->cnt; i++)
        take_position(member, &member->asked->elems[i]);
    kafka.topic_partition_list_destroy(member->asked);
    ask_positions(member);
}

static void ask_positions(struct kafka_member *member) {
    struct kafka_engine *engine = member->engine;
    if (member->asking || member->left)
        return;
    member->asked = kafka.topic_partition_list_new(1);
    for (unsigned i = 0; i < engine->partitions; i++) {
        struct share *share = &member->shares[i];
        if (!share->gaining)
            continue;
        share->asked_epoch = share->epoch;
        kafka.topic_partition_list_add(member->asked, engine->topic, (int32_t)i);
    }
    if (!member->asked->cnt) {
        kafka.topic_partition_list_destroy(member->asked);
        return;
    }
    member->asking = true;
    loop_work(member->loop, &member->work, ask, on_answer);
}

/* ---- the group's decisions ---- */

static void show_owned(struct kafka_member *member) {
    int64_t count = 0;
    for (unsigned i = 0; i < member->engine->partitions; i++)
        count += member->shares[i].owned;
    metric_set(&member->owned, count);
}

static void on_assigned(struct kafka_member *member, rd_kafka_topic_partition_list_t *list) {
    kafka.incremental_assign(member->handle, list);
    kafka.pause_partitions(member->handle, list);
    for (int i = 0; i < list->cnt; i++) {
        struct share *share = share_at(member, list->elems[i].partition);
        if (share)
            *share = (struct share){.owned = true, .gaining = true, .epoch = share->epoch + 1};
    }
    ask_positions(member);
}

static void on_revoked(struct kafka_member *member, rd_kafka_topic_partition_list_t *list) {
    commit_noted(member);
    for (int i = 0; i < list->cnt; i++) {
        struct share *share = share_at(member, list->elems[i].partition);
        bool told = share && share->owned && !share->gaining;
        if (share)
            end_note(share, ERR_CLOSED);
        if (share)
            *share = (struct share){.epoch = share->epoch + 1};
        if (told && !member->left)
            member->events.on_lost(member->data, (unsigned)list->elems[i].partition);
    }
    kafka.incremental_unassign(member->handle, list);
}

static void on_rebalance(rd_kafka_t *handle, rd_kafka_resp_err_t code,
                         rd_kafka_topic_partition_list_t *list, void *opaque) {
    struct kafka_member *member = opaque;
    if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS)
        on_assigned(member, list);
    else if (code == RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS)
        on_revoked(member, list);
    else
        log_trouble(member, "cannot agree on shards", code);
    if (!member->left)
        log_info("stream", "kafka group %s: %d shards %s", member->group, list->cnt,
                 code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS ? "gained" : "given back");
    show_owned(member);
}

/* Messages that came before a partition was paused are read again elsewhere. */
static void poll_group(struct kafka_member *member) {
    rd_kafka_message_t *message;
    while (!member->left && (message = kafka.consumer_poll(member->handle, 0)))
        kafka.message_destroy(message);
}

static void on_wake(struct task *task) {
    struct kafka_member *member = CONTAINER_OF(task, struct kafka_member, wake);
    atomic_store(&member->posted, false);
    poll_group(member);
}

/* Whoever does not poll for max.poll.interval.ms is taken for dead. */
static void on_poll_timer(struct timer *timer) {
    poll_group(CONTAINER_OF(timer, struct kafka_member, poll_timer));
}

/* On a thread of librdkafka. */
static void on_queue(rd_kafka_t *handle, void *opaque) {
    struct kafka_member *member = opaque;
    if (!atomic_exchange(&member->posted, true))
        loop_post(member->loop, &member->wake);
}

/* ---- life ---- */

static void prepare(rd_kafka_conf_t *conf) {
    kafka.conf_set_rebalance_cb(conf, on_rebalance);
    kafka.conf_set_offset_commit_cb(conf, on_committed);
}

static int open_handle(struct kafka_member *member, struct err *err) {
    struct kafka_setting settings[COUNT_OF(common) + 2] = {{"group.id", member->group}};
    for (size_t i = 0; i < COUNT_OF(common); i++)
        settings[i + 1] = common[i];
    member->handle =
        kafka_handle_new(member->engine, RD_KAFKA_CONSUMER, settings, prepare, member, err);
    return member->handle ? 0 : ERR_INVALID;
}

static int subscribe(struct kafka_member *member, struct err *err) {
    rd_kafka_topic_partition_list_t *topics = kafka.topic_partition_list_new(1);
    kafka.topic_partition_list_add(topics, member->engine->topic, RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t code = kafka.subscribe(member->handle, topics);
    kafka.topic_partition_list_destroy(topics);
    return code ? err_set(err, ERR_IO, "kafka group %s: %s", member->group, kafka.err2str(code))
                : 0;
}

static void init_metric(struct kafka_member *member) {
    struct buf labels = {0};
    metric_label(&labels, "group", str_of(member->group));
    metric_init(&member->owned, METRIC_GAUGE, "weir_engine_owned_shards",
                "Shards of a shared stream that this node works on.", buf_cstr(&labels));
    buf_done(&labels);
}

static void member_free(struct kafka_member *member) {
    list_remove(&member->link);
    member->left = true;
    if (member->handle) {
        kafka.consumer_close(member->handle);
        if (member->queue)
            kafka.queue_destroy(member->queue);
        kafka.destroy(member->handle);
    }
    metric_done(&member->owned);
    free(member->shares);
    free(member->group);
    free(member);
}

int kafka_member_join(struct stream *stream, const char *name, struct loop *loop,
                      const struct stream_member_events *events, void *data,
                      struct stream_member **ret_member, struct err *err) {
    struct kafka_engine *engine = kafka_engine_of(stream->engine);
    struct kafka_member *member = xcalloc(1, sizeof *member);
    member->member.ops = stream->ops;
    member->engine = engine;
    member->group = xprintf("%s/%s", engine->config->group, name);
    member->loop = loop;
    member->events = *events;
    member->data = data;
    member->wake.run = on_wake;
    member->shares = xcalloc(engine->partitions, sizeof *member->shares);
    list_push_back(&engine->members, &member->link);
    init_metric(member);
    int status = open_handle(member, err);
    if (!status) {
        kafka.poll_set_consumer(member->handle);
        member->queue = kafka.queue_get_consumer(member->handle);
        kafka.queue_cb_event_enable(member->queue, on_queue, member);
        status = subscribe(member, err);
    }
    if (status) {
        member_free(member);
        return status;
    }
    timer_start(loop, &member->poll_timer, POLL_MS, POLL_MS, on_poll_timer);
    *ret_member = &member->member;
    return 0;
}

void kafka_member_leave(struct stream_member *base) {
    struct kafka_member *member = of(base);
    commit_noted(member);
    member->left = true;
    kafka.queue_cb_event_enable(member->queue, NULL, NULL);
    timer_close(&member->poll_timer, NULL);
    timer_close(&member->commit_timer, NULL);
}

void kafka_members_free(struct kafka_engine *engine) {
    LIST_EACH(item, &engine->members) {
        member_free(LIST_ITEM(item, struct kafka_member, link));
    }
}
