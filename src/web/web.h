/*
 * The web side for people: the page at `/`, the live feed at `/ws`, MQTT over WebSocket at `/mqtt`
 * (handed to whoever app says), `/metrics`, `/livez`, `/readyz`, `/confirmdestination/TOKEN`.
 * Belongs to the service loop.
 */
#ifndef WEB_WEB_H
#define WEB_WEB_H

#include "base/err.h"
#include "base/option.h"
#include "http/http.h"
#include "io/loop.h"
#include "state/state.h"

struct web_tls_config {
    struct option_head head; /* head.conf NULL: plain */
    const char *cert, *key;
};

struct web_config {
    struct option_head head;
    const char *bind; /* default 127.0.0.1:8080 */
    const char *
        public_url; /* how others reach the listener, without a slash at the end; NULL: by its address */
    struct web_tls_config tls;
    bool anonymous, plaintext;   /* needed beyond loopback (design law 8) */
    int64_t pages_max;           /* open live feeds; default 1000 */
    struct option_strings hosts; /* names of a reverse proxy before this listener (guard.c) */
};

extern const struct option web_options[];

struct web_live_config {
    struct option_head head;
    const char *channel;    /* default sensors */
    const char *latest_key; /* default sensorLatest */
    const char *count_key;  /* default sensorCount */
};

extern const struct option web_live_options[];

struct web;

struct web_services {
    struct state *state;
    /* Takes a request for /mqtt; answers it (http_ws_accept with "mqtt"). */
    http_handler *mqtt;
    void *mqtt_data;
    /* Whether everything is up. May write members (json_write_key() and the value) into `why`, a
     * JSON object that the caller opens and closes. */
    bool (*ready)(void *data, struct buf *why);
    void *ready_data;
    /* The owner of a destination of rule actions sends its token back: whether it is one. NULL: there
     * are none. */
    bool (*confirm)(void *data, struct str token);
    void *confirm_data;
};

/* `services` is copied; `config`, `live`, and what they point to, must outlive the web. */
int web_open(struct loop *loop, const struct web_config *config, const struct web_live_config *live,
             const struct web_services *services, struct sockaddr_storage *ret_address,
             struct web **ret_web, struct err *err);

/* Reads the certificate and its key again; on failure the old ones stay. */
int web_reload(struct web *web, struct err *err);

/* Closes every connection (live feeds with code 1001), then `closed` and the memory is gone. The
 * state must still be there. */
void web_close(struct web *web, void (*closed)(void *data), void *data);

#endif
