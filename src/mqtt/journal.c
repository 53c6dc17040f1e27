/*
 * Notes are written as things happen, and what tells someone else of them waits:
 *
 *      SESSION                          CONNACK
 *      SUBSCRIPTION, UNSUBSCRIPTION     SUBACK, UNSUBACK
 *      RETAINED, MESSAGE, TAKEN         PUBACK, PUBREC (hold.c)
 *      RELEASED                         PUBCOMP
 *      SENT of QoS 2                    that PUBLISH
 *      RECEIVED                         PUBREL
 *      TARGETS, SENT of QoS 1, COMPLETE, DROPPED, END: nobody; lost, they are made up for by sending
 *      again what may have come already, which QoS 1 allows and the waits above exclude for QoS 2
 */
#include "mqtt/journal.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "mqtt/stored.h"

void journal_init(struct mqtt_worker *worker) {
    list_init(&worker->journal.waits);
}

void journal_done(struct mqtt_worker *worker) {
    ASSERT(list_empty(&worker->journal.waits));
    buf_done(&worker->journal.note);
    buf_done(&worker->journal.targets);
}

void mqtt_worker_set_journal(struct mqtt_worker *worker, struct journal *journal) {
    worker->journal.journal = journal;
}

uint64_t journal_number(struct mqtt_worker *worker) {
    if (!worker->journal.journal)
        return 0;
    return atomic_fetch_add_explicit(&worker->mqtt->journal_number, 1, memory_order_relaxed) + 1;
}

/* ---- appending ---- */

static int append_entry(struct mqtt_worker *worker, struct str entry) {
    struct worker_journal *self = &worker->journal;
    int status = self->journal->append(self->journal, entry);
    if (status)
        return status;
    self->last = sink_gate_ticket(self->journal->gate);
    self->unsealed = true;
    atomic_fetch_add_explicit(&worker->mqtt->journal_bytes, (int64_t)entry.len,
                              memory_order_relaxed);
    return 0;
}

static int append_parts(struct mqtt_worker *worker, struct str note) {
    struct note_head head = {.type = NOTE_PART, .id = journal_number(worker)};
    struct buf part = {0};
    int status = 0;
    while (!status && note.len) {
        size_t most = JOURNAL_ENTRY_BYTES_MAX - sizeof head;
        struct str piece = str_from(note.at, note.len < most ? note.len : most);
        note = str_skip(note, piece.len);
        head.flags = note.len ? 0 : NOTE_LAST;
        buf_clear(&part);
        note_write_head(&part, &head);
        buf_add_str(&part, piece);
        status = append_entry(worker, buf_str(&part));
    }
    buf_done(&part);
    return status;
}

static int append(struct mqtt_worker *worker, const struct buf *note) {
    if (buf_len(note) <= JOURNAL_ENTRY_BYTES_MAX)
        return append_entry(worker, buf_str(note));
    return append_parts(worker, buf_str(note));
}

/* An empty buffer for a note; NULL: there is no journal. */
static struct buf *begin(struct mqtt_worker *worker) {
    if (!worker->journal.journal)
        return NULL;
    buf_clear(&worker->journal.note);
    return &worker->journal.note;
}

static int append_head(struct mqtt_worker *worker, const struct note_head *head) {
    struct buf *note = begin(worker);
    if (!note)
        return 0;
    note_write_head(note, head);
    return append(worker, note);
}

/* ---- sessions ---- */

/* NULL: of none. */
static uint64_t number_of(const struct session *session) {
    return session && session->stored ? session->stored->number : 0;
}

int journal_nothing(struct mqtt_worker *worker) {
    return append_head(worker, &(struct note_head){.type = NOTE_NOTHING});
}

static void add_will(const struct mqtt_worker *worker, const struct session *session,
                     struct note *note) {
    const struct stored *stored = session->stored;
    const struct will *will = session->connection ? session->connection->will : stored->will;
    if (!will)
        return;
    note->publication = will->publication;
    note->will_delay_s = will->delay_s;
    note->head.flags |= NOTE_WILL;
    note->head.qos = will->publication.message.qos;
    note->head.flags |= will->publication.message.retain ? NOTE_RETAIN : 0;
    uint32_t now_s = worker->wheel.now_s;
    uint64_t left_s = stored->will_at_s > now_s ? stored->will_at_s - now_s : 0;
    if (!session->connection)
        note->will_due_ms = clock_wall_ms() + left_s * 1000;
}

int journal_session(struct mqtt_worker *worker, const struct session *session) {
    struct buf *out = begin(worker);
    if (!out || !number_of(session))
        return 0;
    const struct stored *stored = session->stored;
    struct note note = {
        .head = {.type = NOTE_SESSION, .number = stored->number, .value = stored->expiry_s},
        .away_ms = session->connection ? 0 : stored->away_ms,
        .client_id = stored->client_id};
    add_will(worker, session, &note);
    note_write_session(out, &note);
    return append(worker, out);
}

static int append_numbered(struct mqtt_worker *worker, const struct session *session,
                           struct note_head head) {
    head.number = number_of(session);
    return head.number ? append_head(worker, &head) : 0;
}

int journal_end(struct mqtt_worker *worker, const struct session *session) {
    return append_numbered(worker, session, (struct note_head){.type = NOTE_END});
}

int journal_packet(struct mqtt_worker *worker, enum note_type type, const struct session *session,
                   uint16_t packet_id) {
    return append_numbered(worker, session,
                           (struct note_head){.type = (uint8_t)type, .packet_id = packet_id});
}

int journal_received(struct mqtt_worker *worker, const struct session *session,
                     uint16_t packet_id) {
    int status = append_numbered(
        worker, session,
        (struct note_head){.type = NOTE_SENT, .qos = 2, .packet_id = packet_id, .tag = packet_id});
    return status ? status : journal_packet(worker, NOTE_RECEIVED, session, packet_id);
}

uint16_t journal_subscription_text(const struct subscription *subscription, struct buf *out) {
    const struct share *share = subscription->share;
    if (!share) {
        session_filter_text(subscription->node, out);
        return 0;
    }
    buf_add_str(out, share->key);
    return (uint16_t)(share->key.len - share->filter.len - 1);
}

static int append_subscription(struct mqtt_worker *worker, enum note_type type,
                               const struct subscription *subscription) {
    struct note_head head = {.type = (uint8_t)type,
                             .qos = subscription->qos,
                             .value = subscription->id,
                             .number = number_of(subscription->session)};
    struct buf *out = begin(worker);
    if (!out || !head.number)
        return 0;
    head.flags = (uint8_t)((subscription->no_local ? NOTE_NO_LOCAL : 0) |
                           (subscription->retain_as_published ? NOTE_AS_PUBLISHED : 0));
    struct buf text = {0};
    head.share_name_bytes = journal_subscription_text(subscription, &text);
    note_write_head(out, &head);
    buf_add_str(out, buf_str(&text));
    buf_done(&text);
    return append(worker, out);
}

int journal_subscription(struct mqtt_worker *worker, const struct subscription *subscription) {
    return append_subscription(worker, NOTE_SUBSCRIPTION, subscription);
}

int journal_unsubscription(struct mqtt_worker *worker, const struct subscription *subscription) {
    return append_subscription(worker, NOTE_UNSUBSCRIPTION, subscription);
}

int journal_dropped(struct mqtt_worker *worker, const struct session *session, uint64_t id,
                    struct str share) {
    return append_head(worker, &(struct note_head){.type = NOTE_DROPPED,
                                                   .tag = note_tag(share),
                                                   .number = number_of(session),
                                                   .id = id});
}

int journal_delivery(struct mqtt_worker *worker, enum note_type type, const struct session *session,
                     const struct delivery *delivery, uint16_t packet_id) {
    bool is_noted = number_of(session) || delivery->share_bytes;
    if (!delivery->id || !is_noted)
        return 0;
    return append_head(worker, &(struct note_head){.type = (uint8_t)type,
                                                   .qos = delivery->qos,
                                                   .packet_id = packet_id,
                                                   .tag = note_tag(delivery_share(delivery)),
                                                   .number = number_of(session),
                                                   .id = delivery->id});
}

/* ---- messages ---- */

static struct note_head head_for(enum note_type type, const struct publication *publication,
                                 uint64_t id) {
    return (struct note_head){.type = (uint8_t)type,
                              .qos = publication->message.qos,
                              .flags = publication->message.retain ? NOTE_RETAIN : 0,
                              .id = id};
}

int journal_retained(struct mqtt_worker *worker, const struct kept *retained) {
    struct buf *out = begin(worker);
    if (!out)
        return 0;
    struct str client_id = retained->publication.message.client_id;
    struct note_head head = head_for(NOTE_RETAINED, &retained->publication, retained->version);
    head.value = (uint32_t)client_id.len;
    note_write_head(out, &head);
    buf_add_str(out, client_id);
    note_write_message(out, &retained->publication);
    return append(worker, out);
}

static int append_message(struct mqtt_worker *worker, const struct publication *publication,
                          uint64_t id, const struct journal_pending *pending) {
    struct note_head head = head_for(NOTE_MESSAGE, publication, id);
    struct buf *out = begin(worker);
    uint32_t shares_bytes = 0;
    for (uint32_t i = 0; i < pending->share_count; i++)
        if (pending->shares[i]->total.stored)
            shares_bytes += (uint32_t)pending->shares[i]->key.len + NOTE_SHARE_BYTES;
    head.packet_id = pending->packet_id;
    note_write_head(out, &head);
    note_write_pending(out, pending->workers, pending->publisher, shares_bytes);
    for (uint32_t i = 0; i < pending->share_count; i++)
        if (pending->shares[i]->total.stored)
            note_write_share(out, pending->shares[i]->key);
    note_write_message(out, publication);
    return append(worker, out);
}

static uint32_t generation(const struct mqtt_worker *worker) {
    return atomic_load_explicit(&worker->mqtt->journal_generation, memory_order_acquire);
}

/* The generation is looked at first: what is written afterwards is in it, or in a later one. */
int journal_message(struct mqtt_worker *worker, struct kept *message,
                    const struct journal_pending *pending) {
    uint32_t present = generation(worker);
    int status = append_message(worker, &message->publication, message->publication.id, pending);
    if (!status)
        atomic_store_explicit(&message->generation, present, memory_order_release);
    return status;
}

int journal_refresh(struct mqtt_worker *worker, struct kept *message, struct share *share) {
    struct journal_pending pending = {.shares = &share, .share_count = share != NULL};
    if (!worker->journal.journal || !message || !message->publication.id ||
        atomic_load_explicit(&message->generation, memory_order_acquire) == generation(worker))
        return 0;
    return journal_message(worker, message, &pending);
}

int journal_directed(struct mqtt_worker *worker, const struct session *session,
                     const struct publication *publication, const struct note_target *target,
                     const uint32_t *ids, struct str share, uint64_t id) {
    int status = append_message(worker, publication, id, &(struct journal_pending){0});
    if (status)
        return status;
    journal_targets_begin(worker, id, false);
    struct note_target own = *target;
    own.number = number_of(session);
    journal_targets_add(worker, &own, ids, share);
    return journal_targets_end(worker);
}

void journal_retained_for(struct mqtt_worker *worker, const struct session *session,
                          struct session_retained *waiting) {
    const struct journal *journal = worker->journal.journal;
    if (!journal || !number_of(session) || !waiting->qos || !sink_gate_has_room(journal->gate))
        return;
    struct note_target target = {
        .qos = waiting->qos, .retain = true, .id_count = waiting->subscription_id != 0};
    uint64_t id = journal_number(worker);
    if (!journal_directed(worker, session, &waiting->retained->publication, &target,
                          &waiting->subscription_id, (struct str){NULL, 0}, id))
        waiting->id = id;
}

void journal_targets_begin(struct mqtt_worker *worker, uint64_t id, bool all) {
    struct note_head head = {.type = NOTE_TARGETS,
                             .flags = all ? NOTE_LAST : 0,
                             .worker = (uint8_t)worker->index,
                             .id = id};
    buf_clear(&worker->journal.targets);
    note_write_head(&worker->journal.targets, &head);
}

void journal_targets_add(struct mqtt_worker *worker, const struct note_target *target,
                         const uint32_t *ids, struct str share) {
    note_write_target(&worker->journal.targets, target, ids, share);
}

int journal_targets_end(struct mqtt_worker *worker) {
    return append(worker, &worker->journal.targets);
}

/* ---- waiting ---- */

bool journal_is_pending(const struct mqtt_worker *worker) {
    return worker->journal.last > worker->journal.committed;
}

bool journal_wait(struct mqtt_worker *worker, struct journal_wait *wait,
                  void (*run)(struct journal_wait *wait, int status)) {
    if (!journal_is_pending(worker))
        return false;
    wait->ticket = worker->journal.last;
    wait->run = run;
    list_push_back(&worker->journal.waits, &wait->link);
    return true;
}

void journal_commit(struct mqtt_worker *worker, uint64_t ticket, int status) {
    struct worker_journal *self = &worker->journal;
    self->committed = ticket;
    if (status)
        atomic_store_explicit(&worker->mqtt->rewrite_failed, true, memory_order_relaxed);
    while (!list_empty(&self->waits)) {
        struct journal_wait *wait = LIST_ITEM(self->waits.next, struct journal_wait, link);
        if (wait->ticket > ticket)
            return;
        list_remove(&wait->link);
        wait->run(wait, status);
    }
}

void journal_seal(struct mqtt_worker *worker) {
    if (!worker->journal.unsealed)
        return;
    worker->journal.unsealed = false;
    worker->journal.journal->seal(worker->journal.journal);
}

void journal_give_up(struct mqtt_worker *worker) {
    journal_commit(worker, worker->journal.last, ERR_IO);
}

/* Bytes for a client that wait for a ticket. */
struct journal_output {
    struct journal_wait wait;
    struct mqtt_connection *connection; /* has a reference */
    struct buf bytes;
};

static void on_output(struct journal_wait *wait, int status) {
    struct journal_output *output = CONTAINER_OF(wait, struct journal_output, wait);
    struct mqtt_connection *connection = output->connection;
    if (connection->output == output)
        connection->output = NULL;
    if (connection->state == CONNECTION_OPEN && status)
        connection_end(connection, PACKET_QUOTA_EXCEEDED);
    else if (connection->state == CONNECTION_OPEN)
        buf_add_str(connection_out(connection), buf_str(&output->bytes));
    connection_end_if_stopping(connection);
    connection_unref(connection);
    buf_done(&output->bytes);
    free(output);
}

struct buf *journal_out(struct mqtt_connection *connection) {
    struct mqtt_worker *worker = connection->worker;
    struct journal_output *output = connection->output;
    if (output && output->wait.ticket == worker->journal.last)
        return &output->bytes;
    if (!journal_is_pending(worker))
        return connection_out(connection);
    output = xcalloc(1, sizeof *output);
    output->connection = connection;
    connection_ref(connection);
    connection->output = output;
    journal_wait(worker, &output->wait, on_output);
    return &output->bytes;
}

struct buf *journal_out_behind(struct mqtt_connection *connection) {
    return connection->output ? &connection->output->bytes : connection_out(connection);
}
