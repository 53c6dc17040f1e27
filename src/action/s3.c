/*
 * The action `s3`: an object per message, in one of the configuration's buckets, be it a store or a
 * directory. The same key overwrites, so an object that is written twice after a crash is one object, as
 * long as its key says which message it is of (${newuuid()} is resolved once, when the message comes).
 *
 * Up to SLOTS objects are under way at a time; those of one key are written one after the other, so the
 * last message wins.
 */
#include <stdlib.h>

#include "action/kinds.h"
#include "action/s3_header.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "bucket/bucket.h"

enum { SLOTS = 8, BATCH_ITEMS_MAX = 64, BATCH_BYTES_MAX = 1024 * 1024, KEY_BYTES_MAX = 1024 };

struct s3_settings {
    struct action_settings common;
    const char *bucket_name, *key; /* templates */
    int canned_acl;
    const char *content_type;
    struct option_items headers; /* struct s3_header */
};

/* AWS IoT API reference, S3Action. */
static const char *const acl_names[] = {"private",
                                        "public-read",
                                        "public-read-write",
                                        "aws-exec-read",
                                        "authenticated-read",
                                        "bucket-owner-read",
                                        "bucket-owner-full-control",
                                        "log-delivery-write",
                                        NULL};

static const struct option s3_options[] = {
    {"bucket_name", OPTION_STRING, offsetof(struct s3_settings, bucket_name), .required = true,
     .help = "a name of `buckets`; may be a template"},
    {"key", OPTION_STRING, offsetof(struct s3_settings, key), .required = true,
     .help = "of the object; may be a template"},
    {"canned_acl", OPTION_ENUM, offsetof(struct s3_settings, canned_acl), .names = acl_names,
     .default_text = "private"},
    {"content_type", OPTION_STRING, offsetof(struct s3_settings, content_type),
     .help = "absent: application/json for JSON, else application/octet-stream; may be a template"},
    {"headers", OPTION_LIST, offsetof(struct s3_settings, headers), .fields = s3_header_options,
     .item_size = sizeof(struct s3_header), .help = "what a store keeps with the object"},
    ACTION_COMMON_OPTIONS("-1", "0s"),
};

struct slot {
    struct s3 *s3;
    const struct bucket_config *config;
    struct bucket *bucket;    /* NULL: not open */
    struct action_item *item; /* NULL: nothing is under way */
    struct bucket_object object;
    struct http_header headers[BUCKET_HEADERS_MAX];
    size_t header_count;
    char *content_type; /* of its settings' template, or NULL */
    char sha256_hex[BUCKET_SHA256_CHARS], md5_base64[BUCKET_MD5_CHARS];
};

struct s3 {
    struct action_target target;
    struct loop *loop;
    const struct action_services *services;
    const struct s3_settings *settings;
    struct action_walk walk;
    struct slot slots[SLOTS];
    struct json json;
    bool is_closing;
    void (*closed)(void *data);
    void *closed_data;
};

static struct str param(const struct action_item *item, const char *name) {
    return action_param_get(&item->record.params, name);
}

/* ---- configuration ---- */

static void templates(const void *data, struct action_templates *list) {
    const struct s3_settings *settings = data;
    const struct option_head *head = &settings->common.head;
    action_template_add(list, "bucket", settings->bucket_name, head, "bucket_name");
    action_template_add(list, "key", settings->key, head, "key");
    action_template_add(list, "content_type", settings->content_type, head, "content_type");
    s3_headers_templates(&settings->headers, list);
}

static void arn(const struct action_params *params, struct buf *out) {
    buf_add_str(out, STR("arn:aws:s3:::"));
    buf_add_str(out, action_param_get(params, "bucket"));
    buf_add_u8(out, '/');
    buf_add_str(out, action_param_get(params, "key"));
}

const char *action_bucket_of(const struct action_spec *spec) {
    const struct s3_settings *settings = spec->settings;
    bool is_constant = spec->kind == &action_s3.kind && strstr(settings->bucket_name, "${") == NULL;
    return is_constant ? settings->bucket_name : NULL;
}

static int check(const void *data, struct err *err) {
    const struct s3_settings *settings = data;
    return s3_headers_check(&settings->common.head, &settings->headers, err);
}

/* ---- one object ---- */

static void free_if_over(struct s3 *s3) {
    for (size_t i = 0; i < SLOTS; i++)
        if (s3->slots[i].item)
            return;
    for (size_t i = 0; i < SLOTS; i++) {
        free(s3->slots[i].content_type);
        if (s3->slots[i].bucket)
            s3->slots[i].bucket->ops->free(s3->slots[i].bucket);
    }
    void (*closed)(void *data) = s3->closed;
    void *data = s3->closed_data;
    action_walk_done(&s3->walk);
    json_done(&s3->json);
    free(s3);
    closed(data);
}

static void on_put(void *data, const struct bucket_result *result) {
    struct slot *slot = data;
    struct s3 *s3 = slot->s3;
    if (result->verdict == BUCKET_RETRY_NOW && !s3->is_closing) {
        slot->bucket->ops->put(slot->bucket, &slot->object);
        return;
    }
    struct action_item *item = slot->item;
    slot->item = NULL;
    if (s3->is_closing)
        free_if_over(s3);
    else if (result->verdict == BUCKET_SAFE)
        action_walk_settle(&s3->walk, item, ACTION_OK, NULL);
    else
        action_walk_settle(&s3->walk, item, ACTION_RETRY, "%s", result->text);
}

/* One that has this bucket open already, if there is one. */
static struct slot *free_slot(struct s3 *s3, const struct bucket_config *config) {
    struct slot *found = NULL;
    for (size_t i = 0; i < SLOTS; i++) {
        struct slot *slot = &s3->slots[i];
        if (!slot->item && (!found || slot->config == config))
            found = slot;
    }
    ASSERT(found);
    return found;
}

static void open_bucket(struct slot *slot, const struct bucket_config *config) {
    struct s3 *s3 = slot->s3;
    if (slot->config == config)
        return;
    if (slot->bucket)
        slot->bucket->ops->free(slot->bucket);
    slot->config = config;
    slot->bucket = bucket_open(s3->loop, s3->services->client, config);
    slot->bucket->done = on_put;
    slot->bucket->data = slot;
}

/* What the message says, else what the payload is. */
static const char *content_type(struct slot *slot, struct str payload) {
    struct str said = str_trim(param(slot->item, "content_type"));
    free(slot->content_type);
    slot->content_type = said.len ? str_dup(said) : NULL;
    if (slot->content_type)
        return slot->content_type;
    return json_parse(&slot->s3->json, payload) == 0 ? "application/json"
                                                     : "application/octet-stream";
}

static void put(struct slot *slot, struct action_item *item) {
    struct s3 *s3 = slot->s3;
    struct str payload = item->record.payload;
    slot->item = item;
    slot->object = (struct bucket_object){
        .key = param(item, "key"),
        .body = payload,
        .content_type = content_type(slot, payload),
        .headers = slot->headers,
        .header_count = slot->header_count,
        .canned_acl = s3->settings->canned_acl ? acl_names[s3->settings->canned_acl] : NULL,
    };
    if (slot->bucket->ops->wants_hashes) {
        bucket_hash(payload, slot->sha256_hex, slot->md5_base64);
        slot->object.sha256_hex = slot->sha256_hex;
        slot->object.md5_base64 = slot->md5_base64;
    }
    slot->bucket->ops->put(slot->bucket, &slot->object);
}

static bool is_text(struct str text) {
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] < ' ' || text.at[i] > '~')
            return false;
    return true;
}

/* The headers of the item into its slot. */
static int read_headers(struct slot *slot, const struct action_item *item, struct err *err) {
    if (!is_text(param(item, "content_type")))
        return err_set(err, ERR_INVALID, "the content type must be ASCII");
    return s3_headers_read(&item->record, slot->headers, &slot->header_count, err);
}

static int check_key(const struct bucket_config *config, struct str key, struct err *err) {
    if (key.len == 0 || key.len > KEY_BYTES_MAX || !utf8_valid(key))
        return err_set(err, ERR_INVALID, "a key has 1 to %d bytes of UTF-8", KEY_BYTES_MAX);
    if (bucket_is_s3(config))
        return 0;
    if (key.at[0] == '/' || key.at[key.len - 1] == '/')
        return err_set(err, ERR_INVALID, "in a directory a key neither begins nor ends with a /");
    return bucket_path_check(key, err);
}

static void begin(struct action_walk *walk, struct action_item *item) {
    struct s3 *s3 = CONTAINER_OF(walk, struct s3, walk);
    const struct action_services *services = s3->services;
    struct str name = param(item, "bucket"), key = param(item, "key");
    const struct bucket_config *config = services->bucket(services->data, name);
    struct err why;
    if (!config) {
        action_walk_settle(walk, item, ACTION_FAILED, "there is no bucket \"%.*s\"", STR_ARG(name));
    } else if (check_key(config, key, &why)) {
        action_walk_settle(walk, item, ACTION_FAILED, "bucket %.*s: %s, not \"%.*s\"",
                           STR_ARG(name), why.text, STR_ARG(key));
    } else {
        struct slot *slot = free_slot(s3, config);
        open_bucket(slot, config);
        if (read_headers(slot, item, &why))
            action_walk_settle(walk, item, ACTION_FAILED, "%s", why.text);
        else
            put(slot, item);
    }
}

static struct str order(const struct action_item *item) {
    return param(item, "key");
}

static void send_items(struct action_target *target, struct action_item *const *items,
                       size_t count) {
    struct s3 *s3 = CONTAINER_OF(target, struct s3, target);
    action_walk_start(&s3->walk, items, count);
}

/* ---- life ---- */

static void s3_close(struct action_target *target, void (*closed)(void *data), void *data) {
    struct s3 *s3 = CONTAINER_OF(target, struct s3, target);
    s3->is_closing = true;
    s3->closed = closed;
    s3->closed_data = data;
    for (size_t i = 0; i < SLOTS; i++) {
        struct slot *slot = &s3->slots[i];
        if (slot->item && slot->bucket->ops->cancel(slot->bucket))
            slot->item = NULL;
    }
    free_if_over(s3);
}

static const struct action_target_ops ops = {.send = send_items, .close = s3_close};

static int s3_open(struct loop *loop, const struct action_services *services, const void *settings,
                   struct action_target **ret_target, struct err *err) {
    struct s3 *s3 = xcalloc(1, sizeof *s3);
    s3->target.ops = &ops;
    s3->loop = loop;
    s3->services = services;
    s3->settings = settings;
    s3->walk.in_flight_max = SLOTS;
    s3->walk.begin = begin;
    s3->walk.order = order;
    for (size_t i = 0; i < SLOTS; i++)
        s3->slots[i].s3 = s3;
    *ret_target = &s3->target;
    return 0;
}

const struct action_target_kind action_s3 = {
    .kind = {.name = "s3",
             .failed_action = "S3Action",
             .options = s3_options,
             .settings_size = sizeof(struct s3_settings),
             .role_offset = offsetof(struct action_settings, role),
             .check = check,
             .templates = templates,
             .permission = "s3:PutObject",
             .arn = arn},
    .batch_items_max = BATCH_ITEMS_MAX,
    .batch_bytes_max = BATCH_BYTES_MAX,
    .open = s3_open,
};
