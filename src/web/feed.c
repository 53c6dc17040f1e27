/*
 * From the channel to the pages:
 *
 *     message heard --> wanted --(one get at a time, 30 a second)--> values --> message, version
 *                                                                                  |
 *     each page whose own version is older and that has taken what it was sent <---+
 *
 * A change is only a reason to look: the values are read from Redis when they are sent, so any
 * number of changes between two looks makes one message. A page that has not taken what it was sent
 * is left behind, remembers nothing, and gets the newest message when it has: the newest state,
 * never a backlog. While no page is open nothing is read.
 *
 * A new page gets the state as it is now, from a look of its own or from one under way. When Redis
 * is away it gets what was known last; the look is repeated every second until it succeeds (the two
 * connections of `state` come back one by one, so hearing of the channel again is not enough).
 *
 * `updated` is when the change was heard, not when it was read. After a (re)connection nothing was
 * heard: values that differ from those known then were changed meanwhile, and count from now; values
 * that nobody knew before have no time.
 *
 * Memory: pages_max pages hold at most one message each beyond PAGE_PENDING_BYTES_MAX.
 */
#include "web/feed.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/metric.h"
#include "web/feed_message.h"
#include "web/page.h"

enum {
    LOOK_INTERVAL_MS = 33,
    RETRY_MS = 1000,
    PAGE_PENDING_BYTES_MAX = 16 * 1024, /* more than this not taken yet: left behind */
    INPUT_BYTES_MAX = 1024,             /* of a message from a page, which has nothing to say */
};

struct page {
    struct link link;
    struct web_feed *feed;
    struct http_ws *ws;
    uint64_t version;      /* of the message that it got last; 0: none */
    uint64_t look_awaited; /* it gets nothing before so many looks have ended */
    bool is_behind;        /* counted as left behind at the present version */
};

struct web_feed {
    struct loop *loop;
    struct state *state;
    struct web_feed_config config;
    struct link pages;
    unsigned page_count;
    struct timer timer;
    uint64_t timer_due_ms, next_look_ms;
    bool is_wanted, is_looking;
    uint64_t look_count;                              /* that have ended */
    uint64_t heard_ms, shown_heard_ms, look_heard_ms; /* wall time of the last news; 0: none yet */
    bool is_known;
    struct buf latest, count; /* as read last */
    bool has_latest, has_count;
    struct buf message;
    uint64_t version;
    struct metric pages_open, pages_refused, pushes, skipped;
    void (*closed)(void *data);
    void *closed_data;
};

/* ---- to the pages ---- */

static void on_due(struct timer *timer);

static void arm(struct web_feed *feed, uint64_t due_ms) {
    uint64_t now_ms = loop_now_ms(feed->loop);
    if (timer_running(&feed->timer) && feed->timer_due_ms <= due_ms)
        return;
    feed->timer_due_ms = due_ms;
    timer_start(feed->loop, &feed->timer, due_ms > now_ms ? due_ms - now_ms : 0, 0, on_due);
}

/* A new page waits for the look that it has caused. */
static bool is_waiting(const struct page *page) {
    return page->feed->look_count < page->look_awaited;
}

/* False when the page must be tried again later. */
static bool push(struct page *page) {
    struct web_feed *feed = page->feed;
    if (page->version == feed->version || is_waiting(page))
        return true;
    if (http_ws_pending(page->ws) > PAGE_PENDING_BYTES_MAX) {
        metric_add(&feed->skipped, !page->is_behind);
        page->is_behind = true;
        return false;
    }
    page->version = feed->version;
    page->is_behind = false;
    metric_add(&feed->pushes, 1);
    http_ws_send(page->ws, true, buf_str(&feed->message));
    return true;
}

static void push_all(struct web_feed *feed) {
    bool is_done = true;
    LIST_EACH(item, &feed->pages)
    is_done &= push(LIST_ITEM(item, struct page, link));
    if (!is_done)
        arm(feed, loop_now_ms(feed->loop) + LOOK_INTERVAL_MS);
}

/* ---- from Redis ---- */

static bool differs(const struct buf *known, bool has, struct str value) {
    return has != (value.at != NULL) || !str_eq(buf_str(known), value);
}

static void remember(struct buf *known, bool *has, struct str value) {
    buf_clear(known);
    buf_add_str(known, value);
    *has = value.at != NULL;
}

static void take_values(struct web_feed *feed, struct str latest, struct str count) {
    bool is_changed = differs(&feed->latest, feed->has_latest, latest) ||
                      differs(&feed->count, feed->has_count, count);
    if (is_changed && feed->is_known && feed->look_heard_ms == feed->shown_heard_ms)
        feed->look_heard_ms = feed->heard_ms = clock_wall_ms();
    bool is_news = is_changed || !feed->is_known || feed->look_heard_ms != feed->shown_heard_ms;
    feed->is_known = true;
    if (!is_news)
        return;
    feed->shown_heard_ms = feed->look_heard_ms;
    remember(&feed->latest, &feed->has_latest, latest);
    remember(&feed->count, &feed->has_count, count);
    buf_clear(&feed->message);
    web_feed_message(&feed->message, latest, count, feed->shown_heard_ms);
    feed->version++;
}

static void look(struct web_feed *feed);

static void on_values(void *data, bool ok, struct str latest, struct str count) {
    struct web_feed *feed = data;
    feed->is_looking = false;
    feed->look_count++;
    if (ok)
        take_values(feed, latest, count);
    push_all(feed);
    if (!ok) {
        feed->is_wanted = true;
        feed->next_look_ms = loop_now_ms(feed->loop) + RETRY_MS;
    }
    look(feed);
}

/* Reads the values if somebody wants them, or later if it is too early. */
static void look(struct web_feed *feed) {
    uint64_t now_ms = loop_now_ms(feed->loop);
    if (!feed->is_wanted || feed->is_looking || list_empty(&feed->pages))
        return;
    if (now_ms < feed->next_look_ms) {
        arm(feed, feed->next_look_ms);
        return;
    }
    feed->is_wanted = false;
    feed->is_looking = true;
    feed->next_look_ms = now_ms + LOOK_INTERVAL_MS;
    feed->look_heard_ms = feed->heard_ms;
    state_get2(feed->state, feed->config.latest_key, feed->config.count_key, on_values, feed);
}

static void on_due(struct timer *timer) {
    struct web_feed *feed = CONTAINER_OF(timer, struct web_feed, timer);
    push_all(feed);
    look(feed);
}

/* The wall clock may stand still between two messages, or go back; news is news all the same. */
static void on_changed(void *data, bool is_message) {
    struct web_feed *feed = data;
    if (is_message) {
        uint64_t now_ms = clock_wall_ms();
        feed->heard_ms = now_ms == feed->heard_ms ? now_ms + 1 : now_ms;
    }
    feed->is_wanted = true;
    look(feed);
}

/* ---- pages ---- */

static void on_page_message(struct http_ws *ws, bool is_text, struct str message, void *data) {}

static void on_page_drained(struct http_ws *ws, void *data) {
    struct page *page = data;
    push(page);
}

static void on_page_closed(struct http_ws *ws, void *data) {
    struct page *page = data;
    list_remove(&page->link);
    metric_set(&page->feed->pages_open, --page->feed->page_count);
    free(page);
}

static const struct http_ws_events page_events = {
    .on_message = on_page_message, .on_drain = on_page_drained, .on_close = on_page_closed};

void web_feed_accept(struct web_feed *feed, struct http_request *request) {
    if (feed->page_count >= feed->config.pages_max) {
        metric_add(&feed->pages_refused, 1);
        web_respond(request, 503, "text/plain", STR("Too many pages are open.\n"), NULL, 0);
        return;
    }
    struct page *page = xcalloc(1, sizeof *page);
    page->feed = feed;
    page->look_awaited = feed->look_count + 1;
    page->ws = http_ws_accept(request, NULL, &page_events, INPUT_BYTES_MAX, page);
    if (!page->ws) {
        free(page);
        return;
    }
    list_push_back(&feed->pages, &page->link);
    metric_set(&feed->pages_open, ++feed->page_count);
    feed->is_wanted |= !feed->is_looking;
    look(feed);
}

/* ---- life ---- */

struct web_feed *web_feed_open(struct loop *loop, struct state *state,
                               const struct web_feed_config *config) {
    struct web_feed *feed = xcalloc(1, sizeof *feed);
    feed->loop = loop;
    feed->state = state;
    feed->config = *config;
    list_init(&feed->pages);
    metric_init(&feed->pages_open, METRIC_GAUGE, "weir_web_pages", "Open live feeds.", NULL);
    metric_init(&feed->pages_refused, METRIC_COUNTER, "weir_web_pages_refused_total",
                "Live feeds refused because pages_max was reached.", NULL);
    metric_init(&feed->pushes, METRIC_COUNTER, "weir_web_pushes_total",
                "States sent to live feeds.", NULL);
    metric_init(&feed->skipped, METRIC_COUNTER, "weir_web_skipped_total",
                "Times that a live feed was too slow for a state and was left behind.", NULL);
    state_subscribe(state, config->channel, on_changed, feed);
    return feed;
}

static void on_timer_closed(struct timer *timer) {
    struct web_feed *feed = CONTAINER_OF(timer, struct web_feed, timer);
    void (*closed)(void *data) = feed->closed;
    void *data = feed->closed_data;
    metric_done(&feed->pages_open);
    metric_done(&feed->pages_refused);
    metric_done(&feed->pushes);
    metric_done(&feed->skipped);
    buf_done(&feed->latest);
    buf_done(&feed->count);
    buf_done(&feed->message);
    free(feed);
    closed(data);
}

void web_feed_close(struct web_feed *feed, void (*closed)(void *data), void *data) {
    ASSERT(list_empty(&feed->pages));
    feed->closed = closed;
    feed->closed_data = data;
    state_forget(feed->state, feed);
    timer_close(&feed->timer, on_timer_closed);
}
