/*
 * elasticsearch, openSearch: documents into an index by the bulk API, which both stores share
 * (Elasticsearch reference, "Bulk API"; OpenSearch, "Bulk"). Keys are those of AWS's actions of these
 * names (AWS IoT developer guide, "OpenSearch", "Elasticsearch").
 *
 *     {"index":{"_index":"sensors","_id":"..."}}
 *     {"temperature":21.5}
 *
 * Each document has an id, so that sending twice writes the same document again. The store answers per
 * document: what it can never take (a mapping that does not fit) goes to the error action, what it
 * cannot take now (429, 5xx) comes again.
 */
#include <string.h>

#include "action/bulk.h"
#include "action/kinds.h"
#include "base/json.h"
#include "base/json_write.h"
#include "base/mem.h"

struct elasticsearch_settings {
    struct action_settings common;
    const char *endpoint, *username, *password, *api_key, *ca_path;
    const char *index, *type, *id;
};

#define AT(field) offsetof(struct elasticsearch_settings, field)

static const struct option options[] = {
    {.key = "endpoint",
     .type = OPTION_STRING,
     .offset = AT(endpoint),
     .required = true,
     .help = "http://host:9200"},
    {.key = "username", .type = OPTION_STRING, .offset = AT(username)},
    {.key = "password", .type = OPTION_SECRET, .offset = AT(password)},
    {.key = "api_key",
     .type = OPTION_SECRET,
     .offset = AT(api_key),
     .help = "encoded, as the store gives it"},
    {.key = "ca_path",
     .type = OPTION_STRING,
     .offset = AT(ca_path),
     .help = "PEM file; default: the system's"},
    {.key = "index",
     .type = OPTION_STRING,
     .offset = AT(index),
     .required = true,
     .help = "template"},
    {.key = "type",
     .type = OPTION_STRING,
     .offset = AT(type),
     .help = "template; for stores older than Elasticsearch 7"},
    {.key = "id",
     .type = OPTION_STRING,
     .offset = AT(id),
     .required = true,
     .help = "template, e.g. ${newuuid()}"},
    ACTION_COMMON_OPTIONS("-1", "0s"),
};

static int check(const void *data, struct err *err) {
    const struct elasticsearch_settings *settings = data;
    return bulk_check_url(&settings->common.head, "endpoint", settings->endpoint, err);
}

static void templates(const void *data, struct action_templates *templates) {
    const struct elasticsearch_settings *settings = data;
    const struct option_head *head = &settings->common.head;
    action_template_add(templates, "index", settings->index, head, "index");
    action_template_add(templates, "type", settings->type, head, "type");
    action_template_add(templates, "id", settings->id, head, "id");
}

/* ---- the request ---- */

static void add_member(struct buf *body, const char *separator, const char *name,
                       struct str value) {
    if (!value.len)
        return;
    buf_printf(body, "%s\"%s\":", separator, name);
    json_write_string(body, value);
}

/* A document must stand on one line: within JSON, line breaks are but space. */
static void add_document(struct buf *body, struct str document) {
    size_t from = buf_len(body);
    buf_add_str(body, document);
    for (uint8_t *at = buf_at(body) + from, *end = buf_at(body) + buf_len(body); at < end; at++)
        if (*at == '\n' || *at == '\r')
            *at = ' ';
    buf_add_u8(body, '\n');
}

static int add(struct bulk *bulk, const struct action_item *item, struct buf *body,
               struct err *err) {
    const struct action_record *record = &item->record;
    struct json json = {0};
    bool is_object =
        json_parse(&json, record->payload) == 0 && json_type(json_root(&json)) == JSON_OBJECT;
    json_done(&json);
    if (!is_object)
        return err_set(err, ERR_INVALID, "the payload is no JSON object, so it is no document");
    struct str index = action_param_get(&record->params, "index");
    if (!index.len)
        return err_set(err, ERR_INVALID, "index is empty");
    buf_add_str(body, STR("{\"index\":{"));
    add_member(body, "", "_index", index);
    add_member(body, ",", "_type", action_param_get(&record->params, "type"));
    add_member(body, ",", "_id", action_param_get(&record->params, "id"));
    buf_add_str(body, STR("}}\n"));
    add_document(body, record->payload);
    return 0;
}

/* ---- the answer ---- */

/* "error": {"type": ..., "reason": ..., "caused_by": {...}}, or a text in old versions. */
static void explain(struct buf *why, struct json_value error) {
    if (json_str_add(error, why))
        return;
    json_str_add(json_member(error, STR("type")), why);
    buf_add_str(why, STR(": "));
    json_str_add(json_member(error, STR("reason")), why);
}

/* {"index":{"_index":...,"status":201}}; "create" where the id was left out. */
static void settle(struct action_item *item, struct json_value outer) {
    struct json_cursor cursor = json_each(outer);
    int64_t status = 0;
    if (!json_next(&cursor) || !json_int(json_member(cursor.value, STR("status")), &status)) {
        action_item_settle(item, ACTION_RETRY, "the answer does not tell what became of it");
        return;
    }
    if (status / 100 == 2) {
        action_item_settle(item, ACTION_OK, NULL);
        return;
    }
    struct buf why = {0};
    buf_printf(&why, "status %lld: ", (long long)status);
    explain(&why, json_member(cursor.value, STR("error")));
    bool is_for_good =
        status / 100 == 4 && status != 429 && status != 401 && status != 403 && status != 404;
    action_item_settle(item, is_for_good ? ACTION_FAILED : ACTION_RETRY, "%s", buf_cstr(&why));
    buf_done(&why);
}

static void settle_each(struct json_value root, struct action_item *const *items, size_t count) {
    struct json_cursor cursor = json_each(json_member(root, STR("items")));
    for (size_t i = 0; i < count; i++)
        settle(items[i], json_next(&cursor) ? cursor.value : (struct json_value){0});
}

static enum bulk_outcome on_answer(struct bulk *bulk, const struct http_answer *answer,
                                   struct action_item *const *items, size_t count,
                                   struct buf *why) {
    struct json json = {0};
    bool errors = true, good = json_parse(&json, answer->body) == 0;
    enum bulk_outcome outcome = BULK_SETTLED;
    json_bool(json_member(json_root(&json), STR("errors")), &errors);
    if (answer->status / 100 == 2 && !errors) {
        outcome = BULK_TAKEN;
    } else if (answer->status / 100 == 2) {
        settle_each(json_root(&json), items, count);
    } else {
        buf_printf(why, "HTTP %d: ", answer->status);
        if (good)
            explain(why, json_member(json_root(&json), STR("error")));
        outcome = answer->status == 400 || answer->status == 413 ? BULK_REFUSED : BULK_LATER;
    }
    json_done(&json);
    return outcome;
}

static const struct bulk_ops bulk_ops = {.add = add, .answer = on_answer};

static int open_target(struct loop *loop, const struct action_services *services, const void *data,
                       struct action_target **ret_target, struct err *err) {
    const struct elasticsearch_settings *settings = data;
    struct bulk *bulk =
        bulk_new(services, &bulk_ops, settings, bulk_url(settings->endpoint, "/_bulk"));
    bulk->ca_path = settings->ca_path;
    bulk_header(bulk, "Content-Type", xstrdup("application/x-ndjson"));
    if (settings->api_key)
        bulk_header(bulk, "Authorization", xprintf("ApiKey %s", settings->api_key));
    else if (settings->username)
        bulk_header(bulk, "Authorization", bulk_basic(settings->username, settings->password));
    *ret_target = &bulk->target;
    return 0;
}

#define KIND(name_text, failed)                                                                    \
    {                                                                                              \
        .kind = {.name = (name_text),                                                              \
                 .failed_action = (failed),                                                        \
                 .options = options,                                                               \
                 .settings_size = sizeof(struct elasticsearch_settings),                           \
                 .role_offset = offsetof(struct action_settings, role),                            \
                 .check = check,                                                                   \
                 .templates = templates},                                                          \
        .batch_items_max = 1000, .batch_bytes_max = 5 * 1024 * 1024, .open = open_target,          \
    }

const struct action_target_kind action_elasticsearch = KIND("elasticsearch", "ElasticsearchAction");
const struct action_target_kind action_open_search = KIND("open_search", "OpenSearchAction");
