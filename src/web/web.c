/*
 * The listener for people: which address is answered by whom.
 *
 *     /  /app.js  /app.css   the page                    page.c
 *     /ws                    the live feed               feed.c
 *     /mqtt                  MQTT over WebSocket         services->mqtt
 *     /metrics               Prometheus' text format     base/metric.h, process_metrics.c
 *     /confirmdestination/T  the owner of a URL wants what rules post there
 *     /livez /readyz         for supervisors: the process answers; everything is up
 *
 * A request goes through the checks of guard.c before anything else looks at it. There is no login:
 * beyond loopback the operator must allow that by name (anonymous, plaintext; design law 8).
 */
#include "web/web.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/metric.h"
#include "web/feed.h"
#include "web/guard.h"
#include "web/page.h"
#include "web/process_metrics.h"

enum {
    OTHER_CONNECTIONS_MAX = 1024, /* page loads, MQTT, metrics, beside the live feeds */
    BODY_BYTES_MAX = 4096,        /* nothing here takes a body */
};

static const struct option tls_options[] = {
    {"cert", OPTION_STRING, offsetof(struct web_tls_config, cert), .required = true,
     .help = "PEM file of the certificate, its chain behind it"},
    {"key", OPTION_STRING, offsetof(struct web_tls_config, key), .required = true,
     .help = "PEM file of its private key"},
    {0}};

const struct option web_options[] = {
    {"bind", OPTION_STRING, offsetof(struct web_config, bind), .default_text = "127.0.0.1:8080",
     .help = "address:port of the page, the live feed, MQTT over WebSocket, metrics"},
    {"public_url", OPTION_STRING, offsetof(struct web_config, public_url),
     .help = "https://host: how others reach this listener, for links that are sent to them"},
    {"tls", OPTION_STRUCT, offsetof(struct web_config, tls), .fields = tls_options},
    {"anonymous", OPTION_BOOL, offsetof(struct web_config, anonymous),
     .help = "allow everybody beyond loopback: the page has no login"},
    {"plaintext", OPTION_BOOL, offsetof(struct web_config, plaintext),
     .help = "allow no TLS beyond loopback"},
    {"pages_max", OPTION_INT, offsetof(struct web_config, pages_max), .min = 1, .max = 100000,
     .default_text = "1000", .help = "open live feeds; beyond: 503"},
    {"hosts", OPTION_STRING_LIST, offsetof(struct web_config, hosts),
     .help = "names, without port, under which a reverse proxy shows a listener on loopback"},
    {0}};

const struct option web_live_options[] = {
    {"channel", OPTION_STRING, offsetof(struct web_live_config, channel), .default_text = "sensors",
     .help = "Redis channel that tells of changes"},
    {"latest_key", OPTION_STRING, offsetof(struct web_live_config, latest_key),
     .default_text = "sensorLatest", .help = "Redis key of the last payload"},
    {"count_key", OPTION_STRING, offsetof(struct web_live_config, count_key),
     .default_text = "sensorCount", .help = "Redis key of the count"},
    {0}};

struct web {
    struct web_services services;
    struct option_strings hosts;
    bool is_loopback;
    struct tls_context *tls;
    struct http_server *server;
    struct web_feed *feed;
    struct metric refused;
    void (*closed)(void *data);
    void *closed_data;
};

/* ---- answers ---- */

static const char json[] = "application/json";

static void respond_text(struct http_request *request, int status, const char *text) {
    web_respond(request, status, "text/plain; charset=utf-8", str_of(text), NULL, 0);
}

static void serve_feed(struct web *web, struct http_request *request) {
    web_feed_accept(web->feed, request);
}

static void serve_mqtt(struct web *web, struct http_request *request) {
    web->services.mqtt(request, web->services.mqtt_data);
}

static void serve_metrics(struct web *web, struct http_request *request) {
    struct buf body = {0};
    metric_show(&body);
    web_process_metrics_show(&body);
    web_respond(request, 200, "text/plain; version=0.0.4; charset=utf-8", buf_str(&body), NULL, 0);
    buf_done(&body);
}

static void serve_livez(struct web *web, struct http_request *request) {
    web_respond(request, 200, json, STR("{\"status\":\"ok\"}\n"), NULL, 0);
}

static void serve_readyz(struct web *web, struct http_request *request) {
    struct buf body = {0}, why = {0};
    buf_add_u8(&why, '{');
    bool is_ready = web->services.ready(web->services.ready_data, &why);
    buf_printf(&body, "{\"status\":\"%s\"", is_ready ? "ok" : "unavailable");
    if (buf_len(&why) > 1)
        buf_printf(&body, ",%.*s", STR_ARG(str_skip(buf_str(&why), 1)));
    buf_add(&body, "}\n", 2);
    web_respond(request, is_ready ? 200 : 503, json, buf_str(&body), NULL, 0);
    buf_done(&body);
    buf_done(&why);
}

/* The page names no icon; browsers ask for one all the same. */
static void serve_favicon(struct web *web, struct http_request *request) {
    web_respond(request, 204, NULL, (struct str){0}, NULL, 0);
}

static const struct route {
    const char *path;
    void (*serve)(struct web *web, struct http_request *request);
    bool is_websocket, takes_post;
} routes[] = {
    {"/ws", serve_feed, true}, {"/mqtt", serve_mqtt, true}, {"/metrics", serve_metrics},
    {"/livez", serve_livez},   {"/readyz", serve_readyz},   {"/favicon.ico", serve_favicon},
};

static const struct str confirm_prefix = {"/confirmdestination/", 20};

static void serve_confirm(struct web *web, struct http_request *request) {
    struct str token = str_skip(request->path, confirm_prefix.len);
    if (web->services.confirm && web->services.confirm(web->services.confirm_data, token))
        respond_text(request, 200, "Confirmed.\n");
    else
        respond_text(request, 404, "There is no such token.\n");
}

static const struct route confirm_route = {"/confirmdestination/", serve_confirm, false, true};

/* ---- requests ---- */

static bool check_method(struct http_request *request, const struct route *route) {
    const struct http_header allow = {STR("Allow"), STR("GET, HEAD")};
    if (str_eq(request->method, STR("GET")) || str_eq(request->method, STR("HEAD")) ||
        (route && route->takes_post && str_eq(request->method, STR("POST"))))
        return true;
    web_respond(request, 405, "text/plain; charset=utf-8", STR("Only GET is understood here.\n"),
                &allow, 1);
    return false;
}

static bool check_guard(struct web *web, struct http_request *request, bool is_websocket) {
    struct str host = http_header(request, "Host");
    const char *problem = NULL;
    if (!web_guard_host(host, web->is_loopback, &web->hosts))
        problem = "This listener does not go by the name in Host (see web: hosts).\n";
    else if (is_websocket && !web_guard_origin(http_header(request, "Origin"), host, &web->hosts))
        problem = "Pages of other sites may not open this WebSocket (see web: hosts).\n";
    if (!problem)
        return true;
    metric_add(&web->refused, 1);
    respond_text(request, 403, problem);
    return false;
}

static void on_request(struct http_request *request, void *data) {
    struct web *web = data;
    const struct route *route = NULL;
    for (size_t i = 0; i < COUNT_OF(routes); i++)
        if (str_eq(request->path, str_of(routes[i].path)))
            route = &routes[i];
    if (str_starts(request->path, confirm_prefix))
        route = &confirm_route;
    if (!check_guard(web, request, route && route->is_websocket))
        return;
    if (!route && !web_page_has(request->path))
        respond_text(request, 404, "There is nothing at this address.\n");
    else if (!check_method(request, route))
        return;
    else if (route)
        route->serve(web, request);
    else
        web_page_respond(request);
}

/* ---- life ---- */

/* What is refused unless the operator allows it by name. */
static int check_exposure(const struct web_config *config, const struct sockaddr_storage *address,
                          struct err *err) {
    if (tcp_address_is_loopback(address))
        return 0;
    if (!config->tls.head.conf && !config->plaintext)
        return err_set(err, ERR_DENIED, "%s is beyond loopback: it needs tls, or plaintext: true",
                       config->bind);
    if (!config->anonymous)
        return err_set(err, ERR_DENIED,
                       "%s is beyond loopback and the page has no login: it needs anonymous: true",
                       config->bind);
    return 0;
}

static int open_tls(struct web *web, const struct web_tls_config *config, struct err *err) {
    static const char *const protocols[] = {"http/1.1", NULL};
    const struct tls_server_config tls = {
        .cert_path = config->cert, .key_path = config->key, .alpn = protocols};
    return config->head.conf ? tls_server_context(&tls, &web->tls, err) : 0;
}

static int open_server(struct web *web, struct loop *loop, const struct web_config *config,
                       struct sockaddr_storage *ret_address, struct err *err) {
    struct sockaddr_storage address;
    int code = tcp_address(config->bind, &address, err);
    if (!code)
        code = check_exposure(config, &address, err);
    if (!code)
        code = open_tls(web, &config->tls, err);
    if (code)
        return code;
    web->is_loopback = tcp_address_is_loopback(&address);
    const struct http_server_config server = {
        .address = &address,
        .tls = web->tls,
        .handler = on_request,
        .data = web,
        .body_bytes_max = BODY_BYTES_MAX,
        .connections_max = (unsigned)config->pages_max + OTHER_CONNECTIONS_MAX,
        .name = "web",
    };
    return http_server_open(loop, &server, ret_address, &web->server, err);
}

static int blame(const struct web_config *config, struct err *err, int code) {
    const struct conf *at = conf_get(config->head.conf, "bind");
    if (!at)
        at = config->head.conf;
    return at ? conf_error(at, err, code, "%.400s", err->text) : code;
}

int web_open(struct loop *loop, const struct web_config *config, const struct web_live_config *live,
             const struct web_services *services, struct sockaddr_storage *ret_address,
             struct web **ret_web, struct err *err) {
    struct web *web = xcalloc(1, sizeof *web);
    web->services = *services;
    web->hosts = config->hosts;
    int code = open_server(web, loop, config, ret_address, err);
    if (code) {
        tls_context_free(web->tls);
        free(web);
        return err ? blame(config, err, code) : code;
    }
    const struct web_feed_config feed = {.channel = live->channel,
                                         .latest_key = live->latest_key,
                                         .count_key = live->count_key,
                                         .pages_max = (unsigned)config->pages_max};
    web->feed = web_feed_open(loop, services->state, &feed);
    metric_init(&web->refused, METRIC_COUNTER, "weir_web_refused_total",
                "Requests refused because of their Host or Origin.", NULL);
    *ret_web = web;
    return 0;
}

int web_reload(struct web *web, struct err *err) {
    return web->tls ? tls_context_reload(web->tls, err) : 0;
}

static void on_feed_closed(void *data) {
    struct web *web = data;
    void (*closed)(void *data) = web->closed;
    void *closed_data = web->closed_data;
    tls_context_free(web->tls);
    metric_done(&web->refused);
    free(web);
    if (closed)
        closed(closed_data);
}

static void on_server_closed(void *data) {
    struct web *web = data;
    web_feed_close(web->feed, on_feed_closed, web);
}

void web_close(struct web *web, void (*closed)(void *data), void *data) {
    web->closed = closed;
    web->closed_data = data;
    http_server_close(web->server, on_server_closed, web);
}
