/*
 * The action `http`: POST to a URL. A send is cut into *posts*: one message each, or, with batching, up
 * to max_batch_size messages of the same URL (and topic, unless batch_across_topics) as a JSON array.
 * What is no JSON becomes a string of the array; what is no UTF-8 goes alone.
 *
 * 2xx is taken. 408, 429, 5xx and no answer are retried; anything else the receiver does not want, and
 * it goes to the error action (AWS gives up after three tries within three seconds;
 * maximum_retry_attempts brings that back). A request that got no answer may have been taken.
 */
#include <stdlib.h>

#include "action/destination.h"
#include "action/kinds.h"
#include "action/meter.h"
#include "action/web_hook.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/json_write.h"
#include "base/mem.h"
#include "base/utf8.h"

enum {
    BATCH_ITEMS_MAX = 100,
    BATCH_BYTES_MAX = 1024 * 1024,
    ANSWER_BYTES_MAX = 16 * 1024,
    URL_CHARS_TOLD = 256,
};

struct post {
    struct link link; /* in hook->posts */
    struct hook *hook;
    struct action_item *items[BATCH_ITEMS_MAX];
    size_t count;
    struct buf body;
    bool is_open; /* takes more */
    bool is_json;
    struct arena arena;
    struct http_call *call;
};

struct hook {
    struct action_target target;
    struct loop *loop;
    const struct action_services *services;
    const struct web_hook_settings *settings;
    struct action_walk walk;
    struct action_item *leaders[BATCH_ITEMS_MAX]; /* the first item of each post */
    struct link posts;
    struct json json; /* kept for its memory */
};

static struct str url_of(const struct action_item *item) {
    return action_param_get(&item->record.params, "url");
}

/* For a reason: what the matter is must not fall off its end, and the error action has the URL
 * besides. */
static struct str told(struct str url) {
    return str_from(url.at, url.len < URL_CHARS_TOLD ? url.len : URL_CHARS_TOLD);
}

static struct str confirmation_of(const struct hook *hook, const struct action_item *item) {
    return web_hook_confirmation(hook->settings, &item->record);
}

/* ---- posts ---- */

static void post_free(struct post *post) {
    if (post->call)
        http_call_cancel(post->call);
    list_remove(&post->link);
    buf_done(&post->body);
    arena_done(&post->arena);
    free(post);
}

static struct post *post_new(struct hook *hook, struct action_item *item) {
    struct post *post = xcalloc(1, sizeof *post);
    post->hook = hook;
    post->items[post->count++] = item;
    item->scratch = post;
    list_push_back(&hook->posts, &post->link);
    return post;
}

static bool is_json(struct hook *hook, struct str payload) {
    return json_parse(&hook->json, payload) == 0;
}

/* One member of a batch. */
static void add_payload(struct hook *hook, struct buf *out, struct str payload) {
    if (is_json(hook, payload))
        buf_add_str(out, payload);
    else
        json_write_string(out, payload);
}

static bool fits(const struct hook *hook, const struct post *post, const struct action_item *item) {
    const struct web_hook_batch *batch = &hook->settings->batch;
    const struct action_item *first = post->items[0];
    return post->is_open && post->count < (size_t)batch->count_max &&
           buf_len(&post->body) + item->record.payload.len + 2 <= (size_t)batch->bytes_max &&
           str_eq(url_of(first), url_of(item)) &&
           str_eq(confirmation_of(hook, first), confirmation_of(hook, item)) &&
           (batch->across_topics || str_eq(first->record.topic, item->record.topic));
}

static void add_to_batch(struct hook *hook, struct action_item *item) {
    LIST_EACH(link, &hook->posts) {
        struct post *post = LIST_ITEM(link, struct post, link);
        if (!fits(hook, post, item))
            continue;
        post->items[post->count++] = item;
        item->scratch = post;
        buf_add_u8(&post->body, ',');
        add_payload(hook, &post->body, item->record.payload);
        return;
    }
    struct post *post = post_new(hook, item);
    post->is_open = post->is_json = true;
    buf_add_u8(&post->body, '[');
    add_payload(hook, &post->body, item->record.payload);
}

static void add_item(struct hook *hook, struct action_item *item) {
    struct str payload = item->record.payload;
    if (hook->settings->enable_batching && utf8_valid(payload)) {
        add_to_batch(hook, item);
        return;
    }
    struct post *post = post_new(hook, item);
    buf_add_str(&post->body, payload);
    post->is_json = is_json(hook, payload);
}

static void close_batch(struct post *post) {
    const struct web_hook_batch *batch = &post->hook->settings->batch;
    buf_add_u8(&post->body, ']');
    for (size_t i = 0; i < post->count; i++) {
        post->items[i]->request = post->items[0]->counter + 1;
        post->items[i]->is_across_topics = batch->across_topics;
    }
}

static size_t close_posts(struct hook *hook) {
    size_t count = 0;
    LIST_EACH(link, &hook->posts) {
        struct post *post = LIST_ITEM(link, struct post, link);
        if (post->is_open)
            close_batch(post);
        hook->leaders[count++] = post->items[0];
    }
    return count;
}

/* ---- one post ---- */

static struct hook *hook_of(const struct action_item *item) {
    return CONTAINER_OF(item->target, struct hook, target);
}

static void end_post(struct action_item *leader, enum action_verdict verdict, const char *why) {
    struct post *post = leader->scratch;
    for (size_t i = 0; i < post->count; i++)
        action_item_settle(post->items[i], verdict, "%s", why);
    post_free(post);
}

static enum action_verdict judge(int status) {
    if (status >= 200 && status <= 299)
        return ACTION_OK;
    bool passes_by = !status || status == 408 || status == 429 || (status >= 500 && status <= 599);
    return passes_by ? ACTION_RETRY : ACTION_FAILED;
}

static void on_answer(void *data, const struct http_answer *answer) {
    struct post *post = data;
    struct hook *hook = post->hook;
    struct action_item *leader = post->items[0];
    struct str url = told(url_of(leader));
    post->call = NULL;
    action_meter_answer(hook->target.meter, answer);
    if (answer->status)
        action_walk_settle(&hook->walk, leader, judge(answer->status),
                           "POST %.*s: answered with %d", STR_ARG(url), answer->status);
    else
        action_walk_settle(&hook->walk, leader, ACTION_RETRY, "POST %.*s: no answer: %s",
                           STR_ARG(url), answer->error);
}

static void send_post(struct hook *hook, struct post *post) {
    const struct web_hook_settings *settings = hook->settings;
    const struct action_record *last = &post->items[post->count - 1]->record;
    struct str url = url_of(post->items[0]);
    struct web_hook_request request = {
        .url = str_of(arena_strdup(&post->arena, url)),
        .body = buf_str(&post->body),
    };
    web_hook_headers(&post->arena, settings, last, post->is_json, clock_wall_ms(), &request);
    struct http_call_config config = {
        .method = "POST",
        .url = request.url.at,
        .headers = request.headers,
        .header_count = request.header_count,
        .body = request.body,
        .timeout_ms = (unsigned)settings->timeout_ms,
        .answer_bytes_max = ANSWER_BYTES_MAX,
        .ca_path = settings->ca_path,
    };
    post->call = http_client_send(hook->services->client, &config, on_answer, post);
}

/* Whether the owner wants it; if not, the post has ended. */
static bool is_wanted(struct hook *hook, struct action_item *leader) {
    const struct web_hook_settings *settings = hook->settings;
    struct str confirmation = confirmation_of(hook, leader), shown = told(confirmation);
    char why[DESTINATION_WHY_CHARS];
    enum destination_pass pass =
        destination_check(hook->services->destinations, confirmation, web_hook_may_ask(settings),
                          settings->ca_path, why);
    if (pass != DESTINATION_OPEN)
        action_walk_settle(&hook->walk, leader,
                           pass == DESTINATION_WAITS ? ACTION_POSTPONED : ACTION_FAILED,
                           "%.*s is not confirmed: %s", STR_ARG(shown), why);
    return pass == DESTINATION_OPEN;
}

static void begin(struct action_walk *walk, struct action_item *leader) {
    struct hook *hook = hook_of(leader);
    struct str url = url_of(leader), confirmation = confirmation_of(hook, leader);
    struct str shown = told(url);
    struct web_hook_url parts;
    bool is_asked = hook->settings->confirmation_url || confirmation.len;
    if (!web_hook_url_read(url, &parts)) {
        action_meter_http(hook->target.meter, ACTION_HTTP_INVALID_URL);
        action_walk_settle(walk, leader, ACTION_FAILED, "\"%.*s\" is no URL to post to",
                           STR_ARG(shown));
    } else if (is_asked && !web_hook_is_below(url, confirmation)) {
        action_walk_settle(walk, leader, ACTION_FAILED, "%.*s is not below the confirmation_url",
                           STR_ARG(shown));
    } else if (!is_asked || is_wanted(hook, leader)) {
        send_post(hook, leader->scratch);
    }
}

static void send_items(struct action_target *target, struct action_item *const *items,
                       size_t count) {
    struct hook *hook = CONTAINER_OF(target, struct hook, target);
    for (size_t i = 0; i < count; i++)
        add_item(hook, items[i]);
    size_t posts = close_posts(hook);
    action_walk_start(&hook->walk, hook->leaders, posts);
}

/* ---- life ---- */

static void hook_close(struct action_target *target, void (*closed)(void *data), void *data) {
    struct hook *hook = CONTAINER_OF(target, struct hook, target);
    LIST_EACH(link, &hook->posts) {
        post_free(LIST_ITEM(link, struct post, link));
    }
    action_walk_done(&hook->walk);
    json_done(&hook->json);
    free(hook);
    closed(data);
}

static const struct action_target_ops ops = {.send = send_items, .close = hook_close};

static int hook_open(struct loop *loop, const struct action_services *services,
                     const void *settings_, struct action_target **ret_target, struct err *err) {
    const struct web_hook_settings *settings = settings_;
    struct hook *hook = xcalloc(1, sizeof *hook);
    hook->target.ops = &ops;
    hook->loop = loop;
    hook->services = services;
    hook->settings = settings;
    hook->walk.in_flight_max = (unsigned)settings->in_flight_max;
    hook->walk.begin = begin;
    hook->walk.end = end_post;
    list_init(&hook->posts);
    *ret_target = &hook->target;
    return 0;
}

static unsigned linger_ms(const void *settings_) {
    const struct web_hook_settings *settings = settings_;
    return settings->enable_batching ? (unsigned)settings->batch.open_ms_max : 0;
}

const struct action_target_kind action_http = {
    .kind = {.name = "http",
             .failed_action = "HttpAction",
             .options = web_hook_options,
             .settings_size = sizeof(struct web_hook_settings),
             .role_offset = offsetof(struct action_settings, role),
             .check = web_hook_check,
             .templates = web_hook_templates},
    .batch_items_max = BATCH_ITEMS_MAX,
    .batch_bytes_max = BATCH_BYTES_MAX,
    .linger_ms = linger_ms,
    .open = hook_open,
};
