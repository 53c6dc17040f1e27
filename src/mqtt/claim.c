/*
 * How a client id, and the session that belongs to it, get to the worker of a new connection.
 *
 *      claimer -- claim --> home -- surrender --> owner -- granted --> claimer -- done --> home
 *
 * The home lets one claim of an id in at a time; others wait in its queue. The owner ends its
 * connection of the id. If nothing is to be kept (no stored session, or a clean start), that is
 * all. If claimer and owner are one worker, the session stays where it is. Else it moves, and no
 * message may be lost or come twice on the way:
 *
 *  1. The owner sends the claimer the session's subscriptions. The claimer makes a session of
 *     them, which at first takes only what is published on its own worker, and sends every other
 *     worker a mark, behind its new interests.
 *  2. A worker that gets the mark sends marks on to the owner and to the claimer. What it published
 *     before is in front of the mark in its channel to the owner; what it publishes from now on
 *     goes to the claimer too. So, for what that worker publishes, the owner's session takes all up
 *     to the mark and the claimer's all behind it.
 *  3. When the owner has the marks of all, and none of the client's PUBRECs waits for the disk any
 *     more, it hands over what is in flight and waits, and its session is no more. The claimer puts
 *     that in front of what its own session has gathered, and when it has the marks of all, too,
 *     the client gets its CONNACK.
 *
 * What comes through a share goes to one member anyway and is taken on both sides.
 */
#include "mqtt/claim.h"

#include <stdlib.h>

#include "base/mem.h"
#include "mqtt/rewrite.h"
#include "mqtt/stored.h"

enum { NOWHERE = UINT32_MAX };

/* What the home knows of a client id that another worker has, or that is being claimed. Where there
 * is none, the id is the home's own or nobody's. */
struct owner {
    struct claim *busy; /* that is under way, the waiting ones behind it; NULL: none */
    unsigned worker;
    uint32_t id_bytes;
    char id[];
};

struct claim {
    struct call call;                   /* to where it goes next */
    struct claim *next;                 /* that waits behind it */
    struct mqtt_connection *connection; /* for the claimer alone; it has a reference */
    unsigned claimer, owner;
    bool clean;
    bool taken_in;            /* what the session had has arrived */
    struct buf subscriptions; /* of the session: struct moved and the text, one after the other */
    struct flight *flight;
    struct will *will;
    uint64_t number; /* of the session in the journal */
    bool ended;      /* a session was there and is no more: a clean start */
    uint32_t expiry_s, will_in_s;
    uint32_t id_bytes;
    char id[];
};

/* A subscription on its way. */
struct moved {
    uint32_t text_bytes, id;
    uint16_t share_name_bytes; /* 0: no share */
    uint8_t qos;
    bool no_local, retain_as_published;
};

struct mark {
    struct call call;
    unsigned from, claimer, owner;
    uint32_t id_bytes;
    char id[];
};

struct claim_gone {
    struct call call;
    unsigned from;
    uint32_t id_bytes;
    char id[];
};

static struct str id_of(const struct claim *claim) {
    return str_from(claim->id, claim->id_bytes);
}

unsigned claim_home(const struct mqtt_worker *worker, struct str id) {
    return (unsigned)(str_hash(id) % worker->mqtt->worker_count);
}

static void call_on(struct mqtt_worker *worker, unsigned to, struct call *call,
                    void (*run)(struct mqtt_worker *worker, struct call *call)) {
    call->run = run;
    channel_send_call(worker, to, call);
}

/* Whether a connection or a stored session of the client is on this worker. */
static bool is_here(const struct mqtt_worker *worker, struct str id) {
    return map_get(&worker->clients, id) || stored_find(worker, id);
}

/* ---- at home ---- */

static void surrender(struct mqtt_worker *worker, struct call *call);
static void grant(struct mqtt_worker *worker, struct call *call);

static void let_in(struct mqtt_worker *worker, struct owner *owner) {
    struct claim *claim = owner->busy;
    claim->owner = owner->worker;
    if (owner->worker == NOWHERE)
        call_on(worker, claim->claimer, &claim->call, grant);
    else
        call_on(worker, owner->worker, &claim->call, surrender);
}

static void arrive_home(struct mqtt_worker *worker, struct call *call) {
    struct claim *claim = CONTAINER_OF(call, struct claim, call);
    struct owner *owner = map_get(&worker->owners, id_of(claim));
    if (!owner) {
        owner = xcalloc(1, sizeof *owner + claim->id_bytes);
        owner->worker = is_here(worker, id_of(claim)) ? worker->index : NOWHERE;
        owner->id_bytes = claim->id_bytes;
        memcpy(owner->id, claim->id, claim->id_bytes);
        map_put(&worker->owners, str_from(owner->id, owner->id_bytes), owner);
    }
    struct claim **last = &owner->busy;
    while (*last)
        last = &(*last)->next;
    *last = claim;
    if (owner->busy == claim)
        let_in(worker, owner);
}

static void forget(struct mqtt_worker *worker, struct owner *owner) {
    map_remove(&worker->owners, str_from(owner->id, owner->id_bytes));
    free(owner);
}

/* The claim is settled: `claim->owner` says who has the id now. */
static void settle(struct mqtt_worker *worker, struct call *call) {
    struct claim *claim = CONTAINER_OF(call, struct claim, call);
    struct owner *owner = map_get(&worker->owners, id_of(claim));
    owner->worker = claim->owner;
    owner->busy = claim->next;
    free(claim);
    atomic_fetch_sub_explicit(&worker->mqtt->claims_under_way, 1, memory_order_relaxed);
    if (owner->busy)
        let_in(worker, owner);
    else if (owner->worker == NOWHERE || owner->worker == worker->index)
        forget(worker, owner);
}

/* ---- gone ---- */

static void run_gone(struct mqtt_worker *worker, struct call *call) {
    struct claim_gone *gone = CONTAINER_OF(call, struct claim_gone, call);
    struct owner *owner = map_get(&worker->owners, str_from(gone->id, gone->id_bytes));
    if (owner && !owner->busy && owner->worker == gone->from)
        forget(worker, owner);
    free(gone);
}

struct claim_gone *claim_gone_new(struct mqtt_worker *worker, struct str client_id) {
    struct claim_gone *gone = xcalloc(1, sizeof *gone + client_id.len);
    gone->from = worker->index;
    gone->id_bytes = (uint32_t)client_id.len;
    memcpy(gone->id, client_id.at, client_id.len);
    return gone;
}

void claim_tell_gone(struct mqtt_worker *worker, struct claim_gone *gone) {
    unsigned home = claim_home(worker, str_from(gone->id, gone->id_bytes));
    call_on(worker, home, &gone->call, run_gone);
}

void claims_done(struct mqtt_worker *worker) {
    struct map_entry *entry;
    for (size_t i = 0; (entry = map_next(&worker->owners, &i));)
        free(entry->value);
    map_done(&worker->owners);
}

/* ---- at the claimer ---- */

void claim_begin(struct mqtt_connection *connection) {
    struct mqtt_worker *worker = connection->worker;
    struct str id = connection_client_id(connection);
    struct claim *claim = xcalloc(1, sizeof *claim + id.len);
    claim->claimer = worker->index;
    claim->connection = connection;
    claim->clean = connection->clean_start;
    claim->id_bytes = (uint32_t)id.len;
    memcpy(claim->id, id.at, id.len);
    connection_ref(connection);
    atomic_fetch_add_explicit(&worker->mqtt->claims_under_way, 1, memory_order_relaxed);
    call_on(worker, claim_home(worker, id), &claim->call, arrive_home);
}

/* The home may let the next one in. */
static void tell_home(struct mqtt_worker *worker, struct claim *claim) {
    claim->owner = is_here(worker, id_of(claim)) ? worker->index : NOWHERE;
    call_on(worker, claim_home(worker, id_of(claim)), &claim->call, settle);
}

static void finish(struct mqtt_worker *worker, struct claim *claim) {
    struct mqtt_connection *connection = claim->connection;
    connection->after_end = claim->ended;
    connect_granted(connection, stored_find(worker, id_of(claim)));
    connection_unref(connection);
}

/* Nothing had to be moved. */
static void grant(struct mqtt_worker *worker, struct call *call) {
    struct claim *claim = CONTAINER_OF(call, struct claim, call);
    finish(worker, claim);
    tell_home(worker, claim);
}

/* ---- at the owner ---- */

static void list_subscriptions(const struct session *session, struct buf *out) {
    LIST_EACH(item, &session->subscriptions) {
        const struct subscription *subscription = LIST_ITEM(item, struct subscription, link);
        struct buf text = {0};
        uint16_t share_name_bytes = journal_subscription_text(subscription, &text);
        struct moved moved = {.text_bytes = (uint32_t)buf_len(&text),
                              .id = subscription->id,
                              .share_name_bytes = share_name_bytes,
                              .qos = subscription->qos,
                              .no_local = subscription->no_local,
                              .retain_as_published = subscription->retain_as_published};
        buf_add(out, &moved, sizeof moved);
        buf_add_str(out, buf_str(&text));
        buf_done(&text);
    }
}

static void prepare(struct mqtt_worker *worker, struct call *call);

static void surrender(struct mqtt_worker *worker, struct call *call) {
    struct claim *claim = CONTAINER_OF(call, struct claim, call);
    struct mqtt_connection *other = map_get(&worker->clients, id_of(claim));
    if (other)
        connect_taken_over(other);
    struct session *session = stored_find(worker, id_of(claim));
    if (session && claim->clean) {
        stored_end(worker, session);
        session = NULL;
        claim->ended = true;
    }
    if (!session || claim->claimer == worker->index) {
        call_on(worker, claim->claimer, &claim->call, grant);
        return;
    }
    session->stored->leaving = claim;
    claim->number = session->stored->number;
    atomic_fetch_add_explicit(&worker->mqtt->moving_count, 1, memory_order_relaxed);
    list_subscriptions(session, &claim->subscriptions);
    call_on(worker, claim->claimer, &claim->call, prepare);
}

static uint64_t all_workers(const struct mqtt_worker *worker) {
    unsigned count = worker->mqtt->worker_count;
    return count == 64 ? UINT64_MAX : (1ull << count) - 1;
}

static void take_in(struct mqtt_worker *worker, struct call *call);

void claim_go_on(struct mqtt_worker *worker, struct session *session) {
    struct stored *stored = session->stored;
    struct claim *claim = stored->leaving;
    if (!claim || stored->refused != all_workers(worker) || !list_empty(&stored->unsettled))
        return;
    uint32_t now = worker->wheel.now_s;
    claim->expiry_s = stored->expiry_s;
    claim->will = stored->will;
    claim->will_in_s = stored->will_at_s > now ? stored->will_at_s - now : 0;
    stored->will = NULL;
    stored->leaving = NULL;
    claim->flight = session_take_flight(session);
    stored->number = 0; /* The journal does not know of workers. */
    stored_end(worker, session);
    call_on(worker, claim->claimer, &claim->call, take_in);
}

/* ---- marks ---- */

static struct mark *mark_new(const struct mark *like, unsigned from) {
    struct mark *mark = xmalloc(sizeof *mark + like->id_bytes);
    memcpy(mark, like, sizeof *mark + like->id_bytes);
    mark->from = from;
    return mark;
}

static struct session *marked(const struct mqtt_worker *worker, const struct mark *mark) {
    return stored_find(worker, str_from(mark->id, mark->id_bytes));
}

/* All that `from` published before is here. */
static void mark_owner(struct mqtt_worker *worker, struct call *call) {
    struct mark *mark = CONTAINER_OF(call, struct mark, call);
    struct session *session = marked(worker, mark);
    if (session && session->stored->leaving) {
        session->stored->refused |= 1ull << mark->from;
        claim_go_on(worker, session);
    }
    free(mark);
}

static void settle_arrival(struct mqtt_worker *worker, struct session *session) {
    struct claim *claim = session->stored->arriving;
    if (!claim->taken_in || session->stored->refused)
        return;
    session->stored->arriving = NULL;
    stored_wait(worker, session, claim->expiry_s, claim->will, claim->will_in_s);
    rewrite_arrived(worker, session);
    stored_queue_changed(worker, session);
    atomic_fetch_sub_explicit(&worker->mqtt->moving_count, 1, memory_order_release);
    finish(worker, claim);
    tell_home(worker, claim);
}

/* What `from` publishes comes here from now on. */
static void mark_claimer(struct mqtt_worker *worker, struct call *call) {
    struct mark *mark = CONTAINER_OF(call, struct mark, call);
    struct session *session = marked(worker, mark);
    session->stored->refused &= ~(1ull << mark->from);
    settle_arrival(worker, session);
    free(mark);
}

static void mark_other(struct mqtt_worker *worker, struct call *call) {
    struct mark *mark = CONTAINER_OF(call, struct mark, call);
    struct mark *to_owner = mark_new(mark, worker->index);
    call_on(worker, mark->claimer, &mark_new(mark, worker->index)->call, mark_claimer);
    call_on(worker, mark->owner, &to_owner->call, mark_owner);
    if (worker->index == mark->owner) /* The claimer's own messages end here, too. */
        call_on(worker, mark->owner, &mark_new(mark, mark->claimer)->call, mark_owner);
    free(mark);
}

static void send_marks(struct mqtt_worker *worker, const struct claim *claim) {
    struct mark *like = xcalloc(1, sizeof *like + claim->id_bytes);
    like->claimer = worker->index;
    like->owner = claim->owner;
    like->id_bytes = claim->id_bytes;
    memcpy(like->id, claim->id, claim->id_bytes);
    for (unsigned i = 0; i < worker->mqtt->worker_count; i++)
        if (i != worker->index)
            call_on(worker, i, &mark_new(like, i)->call, mark_other);
    free(like);
}

/* ---- the session at the claimer ---- */

static void subscribe_again(struct mqtt_worker *worker, struct session *session, struct str rest) {
    while (rest.len) {
        struct moved moved;
        memcpy(&moved, rest.at, sizeof moved);
        rest = str_skip(rest, sizeof moved);
        struct str text = str_from(rest.at, moved.text_bytes);
        rest = str_skip(rest, moved.text_bytes);
        struct subscription *subscription =
            subscribe_add(worker, session, text, str_from(text.at, moved.share_name_bytes));
        subscription->id = moved.id;
        subscription->qos = moved.qos;
        subscription->no_local = moved.no_local;
        subscription->retain_as_published = moved.retain_as_published;
    }
    routes_expire(&worker->routes);
}

static void prepare(struct mqtt_worker *worker, struct call *call) {
    struct claim *claim = CONTAINER_OF(call, struct claim, call);
    struct session *session = session_new(NULL);
    stored_begin(worker, session, id_of(claim));
    session->stored->arriving = claim;
    session->stored->number = claim->number;
    session->stored->expiry_s = SESSION_NEVER_EXPIRES;
    session->stored->refused = all_workers(worker) & ~(1ull << worker->index);
    subscribe_again(worker, session, buf_str(&claim->subscriptions));
    buf_done(&claim->subscriptions);
    send_marks(worker, claim);
}

static void take_in(struct mqtt_worker *worker, struct call *call) {
    struct claim *claim = CONTAINER_OF(call, struct claim, call);
    struct session *session = stored_find(worker, id_of(claim));
    session_put_flight(session, claim->flight);
    session->stored->expiry_s = claim->expiry_s;
    claim->taken_in = true;
    settle_arrival(worker, session);
}
