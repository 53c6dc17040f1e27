/*
 * The live feed: every open page gets the newest state when it changes. Belongs to the service loop.
 */
#ifndef WEB_FEED_H
#define WEB_FEED_H

#include "http/http.h"
#include "io/loop.h"
#include "state/state.h"

struct web_feed;

struct web_feed_config {
    const char *channel, *latest_key, *count_key; /* must outlive the feed */
    unsigned pages_max;
};

/* `state` must outlive the feed. */
struct web_feed *web_feed_open(struct loop *loop, struct state *state,
                               const struct web_feed_config *config);

/* Makes a page of the request, or answers 503 when there are pages_max. */
void web_feed_accept(struct web_feed *feed, struct http_request *request);

/* When all its pages are gone (asserted), that is, after the server has closed. `closed` may run
 * before this returns. */
void web_feed_close(struct web_feed *feed, void (*closed)(void *data), void *data);

#endif
