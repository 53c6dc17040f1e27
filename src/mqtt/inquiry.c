/*
 * A question on its way around the workers (mqtt.h, "looking in"):
 *
 *      home -- task --> worker 0 --> worker 1 --> ... --> the last --> home: done
 *
 * Lists gather in one page that travels along; what is new in it is described before it leaves the
 * worker, and no pointer leaves with it. A question about one client ends where the client is. If it
 * is nowhere, it goes round once more: it may have moved past the question.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/json_write.h"
#include "base/mem.h"
#include "mqtt/claim.h"
#include "mqtt/describe.h"
#include "mqtt/page.h"
#include "mqtt/stored.h"

struct mqtt_round {
    struct task task;
    struct mqtt_inquiry *inquiry;
    struct mqtt_worker *home;
    unsigned at, left; /* the worker that is asked, and how many are after it */
    struct page page;
};

/* ---- clients ---- */

static bool is_asked(const struct mqtt_inquiry *inquiry, struct str client_id) {
    return str_starts(client_id, inquiry->text);
}

/* All sessions of the worker, those of connected clients and those that are stored. */
static void each_session(struct mqtt_worker *worker,
                         void (*visit)(struct mqtt_round *round, struct session *session),
                         struct mqtt_round *round) {
    struct map_entry *entry;
    for (size_t i = 0; (entry = map_next(&worker->clients, &i));)
        visit(round, ((struct mqtt_connection *)entry->value)->session);
    for (size_t i = 0; (entry = map_next(&worker->stored, &i));)
        if (!((struct session *)entry->value)->connection)
            visit(round, entry->value);
}

static void offer_client(struct mqtt_round *round, struct session *session) {
    const struct mqtt_inquiry *inquiry = round->inquiry;
    struct str client_id = describe_client_id(session);
    if (is_asked(inquiry, client_id) && (session->connection || !inquiry->connected_only))
        page_offer(&round->page, client_id, session);
}

static void list_clients(struct mqtt_worker *worker, struct mqtt_round *round) {
    each_session(worker, offer_client, round);
    for (size_t i = 0; i < round->page.count; i++) {
        struct page_item *item = &round->page.items[i];
        if (item->here)
            describe_client(&item->text, worker, item->here, false);
        item->here = NULL;
    }
}

static struct session *find(const struct mqtt_worker *worker, struct str client_id) {
    const struct mqtt_connection *connection = map_get(&worker->clients, client_id);
    return connection ? connection->session : stored_find(worker, client_id);
}

static void found(struct mqtt_round *round, struct str key, struct buf *text) {
    page_offer(&round->page, key, NULL);
    round->page.items[0].text = *text;
    round->left = 0;
}

static void show_client(struct mqtt_worker *worker, struct mqtt_round *round) {
    struct session *session = find(worker, round->inquiry->text);
    struct buf text = {0};
    if (!session)
        return;
    describe_client(&text, worker, session, true);
    found(round, round->inquiry->text, &text);
}

/* ---- ending a client ---- */

/* Those on their way to another worker are found there. */
static bool is_moving(const struct session *session) {
    return session->stored && (session->stored->leaving || session->stored->arriving);
}

static void end_away(struct mqtt_worker *worker, struct session *session, bool prevent_will) {
    struct claim_gone *gone = claim_gone_new(worker, session->stored->client_id);
    if (prevent_will) {
        free(session->stored->will);
        session->stored->will = NULL;
    }
    stored_end(worker, session);
    claim_tell_gone(worker, gone);
}

static void end_connected(struct mqtt_connection *connection, bool end_session, bool prevent_will) {
    if (prevent_will) {
        free(connection->will);
        connection->will = NULL;
    }
    if (end_session && connection->session->stored)
        connection->session->stored->expiry_s = 0;
    connection_end(connection, PACKET_ADMINISTRATIVE_ACTION);
}

static void end_client(struct mqtt_worker *worker, struct mqtt_round *round) {
    const struct mqtt_inquiry *inquiry = round->inquiry;
    struct session *session = find(worker, inquiry->text);
    if (!session || is_moving(session) || (!session->connection && !inquiry->end_session))
        return;
    struct buf text = {0};
    bool connected = session->connection;
    bool ends = inquiry->end_session || !stored_survives(session);
    buf_add_str(&text, STR("{\"client_id\":"));
    json_write_string(&text, inquiry->text);
    buf_printf(&text, ",\"was_connected\":%s,\"session_ended\":%s}", connected ? "true" : "false",
               ends ? "true" : "false");
    if (connected)
        end_connected(session->connection, inquiry->end_session, inquiry->prevent_will);
    else
        end_away(worker, session, inquiry->prevent_will);
    found(round, inquiry->text, &text);
}

/* ---- subscriptions ---- */

/* Client id, NUL, filter: neither holds a NUL. */
static void offer_subscriptions(struct page *page, const struct session *session) {
    struct buf key = {0};
    struct str client_id = describe_client_id(session);
    LIST_EACH(item, &session->subscriptions) {
        const struct subscription *subscription = LIST_ITEM(item, struct subscription, link);
        buf_clear(&key);
        buf_add_str(&key, client_id);
        buf_add_u8(&key, '\0');
        describe_filter(&key, subscription);
        page_offer(page, buf_str(&key), subscription);
    }
    buf_done(&key);
}

static void offer_subscriber(struct mqtt_round *round, struct session *session) {
    if (session->subscription_count)
        page_offer(&round->page, describe_client_id(session), session);
}

/* Of the first subscribers that the page can have room for; that of `after` may be one of them. */
static void offer_of_all(struct mqtt_worker *worker, struct mqtt_round *round) {
    struct str filter, first = str_cut(round->page.after, '\0', &filter);
    struct session *session = first.len ? find(worker, first) : NULL;
    struct mqtt_round subscribers = {.page = {.after = first, .limit = round->page.limit}};
    each_session(worker, offer_subscriber, &subscribers);
    if (session)
        offer_subscriptions(&round->page, session);
    for (size_t i = 0; i < subscribers.page.count; i++)
        offer_subscriptions(&round->page, subscribers.page.items[i].here);
    round->page.more |= subscribers.page.more;
    page_done(&subscribers.page);
}

static void list_subscriptions(struct mqtt_worker *worker, struct mqtt_round *round) {
    struct str client_id = round->inquiry->text;
    const struct session *session = client_id.len ? find(worker, client_id) : NULL;
    if (session)
        offer_subscriptions(&round->page, session);
    else if (!client_id.len)
        offer_of_all(worker, round);
    for (size_t i = 0; i < round->page.count; i++) {
        struct page_item *item = &round->page.items[i];
        if (item->here)
            describe_subscription(&item->text, item->here, true);
        item->here = NULL;
    }
}

/* ---- retained messages: each worker has them all ---- */

static void offer_retained(void *data, struct kept *kept) {
    struct mqtt_round *round = data;
    page_offer(&round->page, kept->publication.message.topic, kept);
}

static void offer_node(void *data, struct tree_node *node) {
    struct mqtt_round *round = data;
    const struct kept *kept = node->value;
    uint32_t left_s;
    if (kept->publication.message.payload.len &&
        kept_expiry_left(kept, round->home->wall_ms, &left_s))
        page_offer(&round->page, kept->publication.message.topic, kept);
}

static void take_retained(struct mqtt_worker *worker, struct mqtt_round *round) {
    const struct mqtt_inquiry *inquiry = round->inquiry;
    struct retained_store *store = &worker->retained;
    worker->wall_ms = clock_wall_ms();
    if (inquiry->text.len)
        retained_find(store, inquiry->text, worker->wall_ms, offer_retained, round);
    else
        tree_each(&store->tree, offer_node, round);
    bool whole = inquiry->question == MQTT_SHOW_RETAINED;
    for (size_t i = 0; i < round->page.count; i++)
        describe_retained(&round->page.items[i].text, round->page.items[i].here, worker->wall_ms,
                          whole);
}

/* ---- the way ---- */

static void ask(struct mqtt_worker *worker, struct mqtt_round *round) {
    switch (round->inquiry->question) {
    case MQTT_LIST_CLIENTS:
        list_clients(worker, round);
        break;
    case MQTT_SHOW_CLIENT:
        show_client(worker, round);
        break;
    case MQTT_END_CLIENT:
        end_client(worker, round);
        break;
    case MQTT_LIST_SUBSCRIPTIONS:
        list_subscriptions(worker, round);
        break;
    case MQTT_LIST_RETAINED:
    case MQTT_SHOW_RETAINED:
        take_retained(worker, round);
    }
}

static void answer(struct mqtt_round *round) {
    struct mqtt_inquiry *inquiry = round->inquiry;
    struct page *page = &round->page;
    for (size_t i = 0; i < page->count; i++) {
        json_write_comma(&inquiry->items);
        buf_add_str(&inquiry->items, buf_str(&page->items[i].text));
    }
    inquiry->count = page->count;
    if (page->more)
        buf_add_str(&inquiry->next, page->items[page->count - 1].key);
    page_done(page);
    free(round);
    inquiry->done(inquiry);
}

static void on_home(struct task *task) {
    answer(CONTAINER_OF(task, struct mqtt_round, task));
}

static void on_arrival(struct task *task);

/* To the next worker, or home. */
static void go_on(struct mqtt_round *round) {
    struct mqtt *mqtt = round->home->mqtt;
    if (!round->left) {
        round->task.run = on_home;
        loop_post(round->home->loop, &round->task);
        return;
    }
    round->left--;
    round->task.run = on_arrival;
    loop_post(mqtt->workers[round->at]->loop, &round->task);
}

static void on_arrival(struct task *task) {
    struct mqtt_round *round = CONTAINER_OF(task, struct mqtt_round, task);
    struct mqtt *mqtt = round->home->mqtt;
    struct mqtt_worker *worker = mqtt->workers[round->at];
    round->at = (round->at + 1) % mqtt->worker_count;
    ask(worker, round);
    go_on(round);
}

static bool is_of_one_client(enum mqtt_question question) {
    return question == MQTT_SHOW_CLIENT || question == MQTT_END_CLIENT;
}

static bool is_of_retained(enum mqtt_question question) {
    return question == MQTT_LIST_RETAINED || question == MQTT_SHOW_RETAINED;
}

static bool is_list(enum mqtt_question question) {
    return !is_of_one_client(question) && question != MQTT_SHOW_RETAINED;
}

void mqtt_inquire(struct mqtt_worker *worker, struct mqtt_inquiry *inquiry) {
    bool list = is_list(inquiry->question);
    ASSERT(!list || (inquiry->limit >= 1 && inquiry->limit <= MQTT_PAGE_MAX));
    struct mqtt_round *round = xcalloc(1, sizeof *round);
    round->inquiry = inquiry;
    round->home = worker;
    round->page = (struct page){.after = inquiry->after, .limit = list ? inquiry->limit : 1};
    round->left = worker->mqtt->worker_count;
    if (is_of_one_client(inquiry->question)) {
        round->left *= 2;
    } else if (is_of_retained(inquiry->question)) {
        round->at = worker->index;
        round->left = 1;
    }
    go_on(round);
}

void mqtt_inquiry_done(struct mqtt_inquiry *inquiry) {
    buf_done(&inquiry->items);
    buf_done(&inquiry->next);
}
