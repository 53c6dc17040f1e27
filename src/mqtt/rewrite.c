/*
 * What is in the journal and still true is written once more, at its end, when as much again has been
 * written behind it (and journal_bytes_min at least); then all before is released. So the journal stays
 * at about twice of what it says, or that much more, however long a session stays away.
 *
 *  0. All workers have what the journal held when the process began.
 *  1. Worker 0 notes the position P up to which all is on disk, begins a new generation and tells
 *     everyone. Each worker writes its sessions anew, as far as the gate has room at a time. A message
 *     is written once per generation, by the first who comes to it (struct kept remembers).
 *  2. When all have, and all that they had sent to each other has arrived, worker 0 writes the
 *     retained messages.
 *  3. When no session is on its way between workers, all make sure that what they wrote is on disk.
 *  4. Everything before P is released.
 *
 * Nothing that is true stands before P alone then:
 *  - a session that stays where it is was written in 1; one that arrived later was written when it
 *    arrived (rewrite_arrived), since 3 waits for those that were on their way;
 *  - a message that was on its way to another worker in 1 has arrived in 2, and who takes it or passes
 *    it on writes it if its generation is an old one (journal_refresh);
 *  - what was not yet on disk when P was noted, or was written since, stands behind P.
 *
 * When anything of it fails nothing is released, and it is tried again when as much has been written.
 */
#include "mqtt/rewrite.h"

#include <stdlib.h>

#include "base/mem.h"
#include "mqtt/stored.h"

enum step { STEP_SESSIONS, STEP_RETAINED, STEP_SETTLING, STEP_COMMIT };

/* At worker 0. */
struct rewriting {
    uint64_t position;
    enum step step;
    unsigned left; /* workers that have not finished the step */
};

/* What a worker has still to write. */
struct rewrite_part {
    struct channel_wait flushed;
    struct journal_wait committed;
    struct mqtt_worker *worker;
    struct str *client_ids;
    struct kept **retained;
    size_t next, count, next_retained, retained_count;
};

static void fail(struct mqtt_worker *worker, int status) {
    if (status)
        atomic_store_explicit(&worker->mqtt->rewrite_failed, true, memory_order_relaxed);
}

static void call_on(struct mqtt_worker *worker, unsigned to,
                    void (*run)(struct mqtt_worker *worker, struct call *call)) {
    struct call *call = xcalloc(1, sizeof *call);
    call->run = run;
    channel_send_call(worker, to, call);
}

static void end_part(struct mqtt_worker *worker) {
    struct rewrite_part *part = worker->rewrite_part;
    worker->rewrite_part = NULL;
    if (!part)
        return;
    for (size_t i = 0; i < part->count; i++)
        free((char *)part->client_ids[i].at);
    for (size_t i = part->next_retained; i < part->retained_count; i++)
        kept_unref(part->retained[i]);
    free(part->client_ids);
    free(part->retained);
    free(part);
}

/* ---- one session ---- */

struct scribe {
    struct mqtt_worker *worker;
    const struct session *session;
    bool shared_only;
};

static void write_delivery(struct scribe *scribe, const struct delivery *delivery) {
    struct mqtt_worker *worker = scribe->worker;
    struct kept *message = delivery->message;
    struct str share = delivery_share(delivery);
    struct note_target target = {.number =
                                     scribe->shared_only ? 0 : scribe->session->stored->number,
                                 .qos = delivery->qos,
                                 .retain = delivery->retain,
                                 .share_bytes = (uint16_t)share.len,
                                 .id_count = delivery->id_count};
    if (delivery->id != message->publication.id) {
        fail(worker, journal_directed(worker, scribe->session, &message->publication, &target,
                                      delivery->ids, share, delivery->id));
        return;
    }
    fail(worker, journal_refresh(worker, message, NULL));
    journal_targets_begin(worker, delivery->id, false);
    journal_targets_add(worker, &target, delivery->ids, share);
    fail(worker, journal_targets_end(worker));
}

static bool is_noted(const struct scribe *scribe, const struct delivery *delivery) {
    return delivery && delivery->id && (!scribe->shared_only || delivery->share_bytes);
}

static void write_flight(void *data, uint16_t packet_id, enum flight_state state,
                         const struct delivery *delivery) {
    struct scribe *scribe = data;
    struct mqtt_worker *worker = scribe->worker;
    if (state == FLIGHT_PUBCOMP && !scribe->shared_only)
        fail(worker, journal_received(worker, scribe->session, packet_id));
    bool is_over = scribe->shared_only && state != FLIGHT_PUBACK; /* As in note_member(). */
    if (is_over || !is_noted(scribe, delivery))
        return;
    write_delivery(scribe, delivery);
    if (!scribe->shared_only)
        fail(worker, journal_delivery(worker, NOTE_SENT, scribe->session, delivery, packet_id));
}

static void write_waiting(void *data, const struct delivery *delivery) {
    struct scribe *scribe = data;
    bool is_over = scribe->shared_only && delivery->qos == 2;
    if (!is_over && is_noted(scribe, delivery))
        write_delivery(scribe, delivery);
}

static void write_retained(void *data, const struct session_retained *waiting) {
    struct scribe *scribe = data;
    struct note_target target = {
        .qos = waiting->qos, .retain = true, .id_count = waiting->subscription_id != 0};
    if (waiting->id && !scribe->shared_only)
        fail(scribe->worker,
             journal_directed(scribe->worker, scribe->session, &waiting->retained->publication,
                              &target, &waiting->subscription_id, (struct str){NULL, 0},
                              waiting->id));
}

static void write_received(void *data, uint16_t packet_id) {
    struct scribe *scribe = data;
    if (!scribe->shared_only)
        fail(scribe->worker,
             journal_packet(scribe->worker, NOTE_TAKEN, scribe->session, packet_id));
}

static const struct session_visit visit = {write_flight, write_waiting, write_retained,
                                           write_received};

static void write_session(struct mqtt_worker *worker, const struct session *session) {
    struct scribe scribe = {.worker = worker, .session = session};
    fail(worker, journal_session(worker, session));
    LIST_EACH(item, &session->subscriptions) {
        fail(worker, journal_subscription(worker, LIST_ITEM(item, struct subscription, link)));
    }
    session_visit(session, &visit, &scribe);
}

void rewrite_arrived(struct mqtt_worker *worker, const struct session *session) {
    if (worker->journal.journal && atomic_load(&worker->mqtt->rewriting))
        write_session(worker, session);
}

/* What members of shares have in flight whose sessions are not in the journal. */
static void write_shared(struct mqtt_worker *worker) {
    struct map_entry *entry;
    for (size_t i = 0; (entry = map_next(&worker->clients, &i));) {
        const struct mqtt_connection *connection = entry->value;
        struct scribe scribe = {
            .worker = worker, .session = connection->session, .shared_only = true};
        if (connection->session && !connection->session->stored)
            session_visit(connection->session, &visit, &scribe);
    }
}

/* ---- at each worker ---- */

static void run_finished(struct mqtt_worker *worker, struct call *call);

static void on_flushed(struct channel_wait *wait) {
    struct rewrite_part *part = CONTAINER_OF(wait, struct rewrite_part, flushed);
    struct mqtt_worker *worker = part->worker;
    end_part(worker);
    call_on(worker, 0, run_finished);
}

static void finish_part(struct mqtt_worker *worker) {
    struct rewrite_part *part = worker->rewrite_part;
    part->next = part->count + 1; /* It only waits now. */
    if (part->retained) {
        end_part(worker);
        call_on(worker, 0, run_finished);
        return;
    }
    write_shared(worker);
    if (!channel_wait(worker, &part->flushed, on_flushed))
        on_flushed(&part->flushed);
}

void rewrite_go_on(struct mqtt_worker *worker) {
    struct rewrite_part *part = worker->rewrite_part;
    if (!part || part->next > part->count)
        return;
    struct sink_gate *gate = worker->journal.journal->gate;
    while (part->next < part->count && sink_gate_has_room(gate)) {
        const struct session *session = stored_find(worker, part->client_ids[part->next++]);
        if (session)
            write_session(worker, session);
    }
    while (part->next_retained < part->retained_count && sink_gate_has_room(gate)) {
        struct kept *retained = part->retained[part->next_retained++];
        fail(worker, journal_retained(worker, retained));
        kept_unref(retained);
    }
    if (part->next == part->count && part->next_retained == part->retained_count)
        finish_part(worker);
}

static struct rewrite_part *part_new(struct mqtt_worker *worker) {
    struct rewrite_part *part = xcalloc(1, sizeof *part);
    ASSERT(!worker->rewrite_part);
    part->worker = worker;
    worker->rewrite_part = part;
    return part;
}

static void run_sessions(struct mqtt_worker *worker, struct call *call) {
    struct rewrite_part *part = part_new(worker);
    struct map_entry *entry;
    free(call);
    if (worker->stopping) /* The sessions may have gone from memory. */
        fail(worker, ERR_CLOSED);
    part->client_ids = xcalloc(worker->stored.count + 1, sizeof *part->client_ids);
    for (size_t i = 0; (entry = map_next(&worker->stored, &i));)
        part->client_ids[part->count++] = str_from(str_dup(entry->key), entry->key.len);
    rewrite_go_on(worker);
}

static void on_committed(struct journal_wait *wait, int status) {
    struct rewrite_part *part = CONTAINER_OF(wait, struct rewrite_part, committed);
    struct mqtt_worker *worker = part->worker;
    fail(worker, status);
    end_part(worker);
    call_on(worker, 0, run_finished);
}

static void run_commit(struct mqtt_worker *worker, struct call *call) {
    struct rewrite_part *part = part_new(worker);
    free(call);
    part->next = 1;
    if (!journal_wait(worker, &part->committed, on_committed))
        on_committed(&part->committed, 0);
}

/* ---- at worker 0 ---- */

static void begin_step(struct mqtt_worker *worker, enum step step,
                       void (*run)(struct mqtt_worker *worker, struct call *call)) {
    unsigned count = worker->mqtt->worker_count;
    worker->rewriting->step = step;
    worker->rewriting->left = count;
    for (unsigned i = count; i-- > 0;) /* Itself last: it may answer at once. */
        call_on(worker, i, run);
}

static void gather_retained(void *data, struct tree_node *node) {
    struct rewrite_part *part = data;
    part->retained[part->retained_count++] = node->value;
    kept_ref(node->value);
}

static void count_retained(void *data, struct tree_node *node) {
    (*(size_t *)data)++;
}

static void begin_retained(struct mqtt_worker *worker) {
    struct rewrite_part *part = part_new(worker);
    size_t count = 0;
    worker->rewriting->step = STEP_RETAINED;
    worker->rewriting->left = 1;
    tree_each(&worker->retained.tree, count_retained, &count);
    part->retained = xcalloc(count + 1, sizeof(struct kept *));
    tree_each(&worker->retained.tree, gather_retained, part);
    rewrite_go_on(worker);
}

static void end(struct mqtt_worker *worker) {
    struct mqtt *mqtt = worker->mqtt;
    struct journal *journal = worker->journal.journal;
    bool failed = atomic_load_explicit(&mqtt->rewrite_failed, memory_order_relaxed);
    if (!failed)
        journal->release(journal, worker->rewriting->position);
    atomic_store(&mqtt->rewriting, false);
    free(worker->rewriting);
    worker->rewriting = NULL;
    if (failed)
        log_warn("mqtt", "the journal of the sessions could not be shortened");
}

static void run_finished(struct mqtt_worker *worker, struct call *call) {
    struct rewriting *rewriting = worker->rewriting;
    free(call);
    if (--rewriting->left)
        return;
    if (rewriting->step == STEP_SESSIONS) {
        begin_retained(worker);
    } else if (rewriting->step == STEP_RETAINED) {
        rewriting->step = STEP_SETTLING;
        worker->mqtt->journal_live_bytes =
            atomic_load_explicit(&worker->mqtt->journal_bytes, memory_order_relaxed);
    } else {
        end(worker);
    }
}

static bool is_due(const struct mqtt_worker *worker) {
    if (atomic_load(&worker->mqtt->restoring))
        return false;
    int64_t live = worker->mqtt->journal_live_bytes;
    int64_t least = worker->config->journal_bytes_min;
    int64_t most = live + (live > least ? live : least);
    return atomic_load_explicit(&worker->mqtt->journal_bytes, memory_order_relaxed) > most;
}

static void begin(struct mqtt_worker *worker) {
    struct mqtt *mqtt = worker->mqtt;
    struct journal *journal = worker->journal.journal;
    worker->rewriting = xcalloc(1, sizeof *worker->rewriting);
    worker->rewriting->position = journal->end(journal);
    atomic_store_explicit(&mqtt->rewrite_failed, false, memory_order_relaxed);
    atomic_store_explicit(&mqtt->journal_bytes, 0, memory_order_relaxed);
    atomic_fetch_add(&mqtt->journal_generation, 1);
    atomic_store(&mqtt->rewriting, true);
    begin_step(worker, STEP_SESSIONS, run_sessions);
}

void rewrite_tick(struct mqtt_worker *worker) {
    if (!worker->journal.journal || worker->index)
        return;
    struct rewriting *rewriting = worker->rewriting;
    bool settled = atomic_load_explicit(&worker->mqtt->moving_count, memory_order_acquire) == 0;
    if (!rewriting && !worker->stopping && is_due(worker))
        begin(worker);
    else if (rewriting && rewriting->step == STEP_SETTLING && settled)
        begin_step(worker, STEP_COMMIT, run_commit);
}

void rewrite_done(struct mqtt_worker *worker) {
    end_part(worker);
    free(worker->rewriting);
    worker->rewriting = NULL;
}
