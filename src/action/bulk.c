#include "action/bulk.h"

#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/mem.h"

enum { ANSWER_BYTES_MAX = 4 * 1024 * 1024 };

static void go_on(struct bulk *bulk);

/* ---- one slice ---- */

static void settle_slice(struct bulk *bulk, enum action_verdict verdict, struct str why) {
    for (size_t i = 0; i < bulk->slice_count; i++)
        action_item_settle(bulk->slice[i], verdict, verdict == ACTION_OK ? NULL : "%.*s",
                           STR_ARG(why));
}

/* Settling the last item of a send may not be followed by a look at the send. */
static void settle_rest(struct bulk *bulk, struct str why) {
    size_t next = bulk->next, count = bulk->count;
    struct action_item *const *items = bulk->items;
    bulk->next = count;
    settle_slice(bulk, ACTION_RETRY, why);
    for (; next < count; next++)
        if (!items[next]->is_settled)
            action_item_settle(items[next], ACTION_RETRY, "%.*s", STR_ARG(why));
}

static void halve(struct bulk *bulk) {
    bulk->slice_max = (bulk->slice_count + 1) / 2;
    for (size_t i = 0; i < bulk->count; i++)
        if (bulk->items[i] == bulk->slice[0]) {
            bulk->next = i;
            return;
        }
    ASSERT(!"an item of the slice is one of the send");
}

static void conclude(struct bulk *bulk, enum bulk_outcome outcome, struct str why) {
    switch (outcome) {
    case BULK_SETTLED:
        break;
    case BULK_TAKEN:
        settle_slice(bulk, ACTION_OK, why);
        break;
    case BULK_LATER:
        settle_rest(bulk, why);
        break;
    case BULK_REFUSED:
        if (bulk->slice_count > 1)
            halve(bulk);
        else
            settle_slice(bulk, ACTION_FAILED, why);
        break;
    }
    go_on(bulk);
}

static void on_answer(void *data, const struct http_answer *answer) {
    struct bulk *bulk = data;
    struct buf why = {0};
    enum bulk_outcome outcome = BULK_LATER;
    bulk->call = NULL;
    if (answer->status)
        outcome = bulk->ops->answer(bulk, answer, bulk->slice, bulk->slice_count, &why);
    else
        buf_printf(&why, "no answer: %s", answer->error);
    conclude(bulk, outcome, buf_str(&why));
    buf_done(&why);
}

static void fill_slice(struct bulk *bulk) {
    buf_clear(&bulk->body);
    bulk->slice_count = 0;
    while (bulk->next < bulk->count && bulk->slice_count < bulk->slice_max) {
        struct action_item *item = bulk->items[bulk->next++];
        struct err err = {0};
        if (item->is_settled)
            continue;
        if (bulk->ops->add(bulk, item, &bulk->body, &err))
            action_item_settle(item, ACTION_FAILED, "%s", err.text);
        else
            bulk->slice[bulk->slice_count++] = item;
    }
}

static void go_on(struct bulk *bulk) {
    if (bulk->next == bulk->count)
        return;
    fill_slice(bulk);
    if (!bulk->slice_count)
        return;
    struct http_call_config config = {
        .method = "POST",
        .url = bulk->url,
        .headers = bulk->headers,
        .header_count = bulk->header_count,
        .body = buf_str(&bulk->body),
        .answer_bytes_max = ANSWER_BYTES_MAX,
        .ca_path = bulk->ca_path,
    };
    bulk->call = http_client_send(bulk->client, &config, on_answer, bulk);
}

/* ---- the target ---- */

static void on_send(struct action_target *target, struct action_item *const *items, size_t count) {
    struct bulk *bulk = CONTAINER_OF(target, struct bulk, target);
    bulk->items = items;
    bulk->count = bulk->slice_max = count;
    bulk->next = 0;
    bulk->slice = xrealloc(bulk->slice, count * sizeof *bulk->slice);
    go_on(bulk);
}

static void on_close(struct action_target *target, void (*closed)(void *data), void *data) {
    struct bulk *bulk = CONTAINER_OF(target, struct bulk, target);
    if (bulk->call)
        http_call_cancel(bulk->call);
    for (size_t i = 0; i < bulk->header_count; i++)
        free(bulk->header_values[i]);
    buf_done(&bulk->body);
    free(bulk->slice);
    free(bulk->url);
    free(bulk);
    closed(data);
}

static const struct action_target_ops target_ops = {.send = on_send, .close = on_close};

struct bulk *bulk_new(const struct action_services *services, const struct bulk_ops *ops,
                      const void *settings, char *url) {
    struct bulk *bulk = xcalloc(1, sizeof *bulk);
    bulk->target.ops = &target_ops;
    bulk->ops = ops;
    bulk->client = services->client;
    bulk->settings = settings;
    bulk->url = url;
    return bulk;
}

void bulk_header(struct bulk *bulk, const char *name, char *value) {
    ASSERT(bulk->header_count < BULK_HEADERS_MAX);
    bulk->headers[bulk->header_count] = (struct http_header){str_of(name), str_of(value)};
    bulk->header_values[bulk->header_count++] = value;
}

/* ---- what settings become ---- */

char *bulk_basic(const char *user, const char *password) {
    struct buf plain = {0}, text = {0};
    buf_printf(&plain, "%s:%s", user, password ? password : "");
    buf_add_str(&text, STR("Basic "));
    base64_write(&text, buf_str(&plain));
    char *value = str_dup(buf_str(&text));
    buf_done(&plain);
    buf_done(&text);
    return value;
}

char *bulk_url(const char *base, const char *path) {
    size_t len = strlen(base);
    while (len && base[len - 1] == '/')
        len--;
    return xprintf("%.*s%s", (int)len, base, path);
}

int bulk_check_url(const struct option_head *head, const char *key, const char *url,
                   struct err *err) {
    if (str_starts(str_of(url), STR("http://")) || str_starts(str_of(url), STR("https://")))
        return 0;
    const struct conf *at = conf_get(head->conf, key);
    return conf_error(at ? at : head->conf, err, ERR_INVALID,
                      "%s must begin with http:// or https://, not \"%s\"", key, url);
}
