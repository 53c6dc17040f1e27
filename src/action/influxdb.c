/*
 * influxdb: points into InfluxDB 1.x or, with organization, 2.x by its write API, in line
 * protocol. A batch is one POST.
 *
 * A point that the store refuses (a field of another type, a time beyond the retention) is found by
 * bulk.h and goes to the error action alone. Keys are those of AWS's action of this name where it
 * has them. A database or bucket that does not exist, and wrong credentials, are for a person to
 * mend: points wait.
 */
#include <stdlib.h>
#include <string.h>

#include "action/bulk.h"
#include "action/kinds.h"
#include "action/line_protocol.h"
#include "base/json.h"
#include "base/mem.h"

enum { NAME_BYTES_MAX = 240 };

struct influxdb_settings {
    struct action_settings common;
    const char *url;
    const char *database, *retention_policy, *username, *password; /* a bucket in 2.x */
    const char *organization, *token;                              /* 2.x */
    const char *ca_path;
    const char *table, *timestamp;
    int timestamp_unit;
    struct option_pairs tags, fields;
};

#define AT(field) offsetof(struct influxdb_settings, field)

static const char *const time_units[] = {"s", "ms", "us", "ns", NULL};

static const struct option options[] = {
    {.key = "url",
     .type = OPTION_STRING,
     .offset = AT(url),
     .required = true,
     .help = "http://host:8086"},
    {.key = "database_name",
     .type = OPTION_STRING,
     .offset = AT(database),
     .required = true,
     .help = "of InfluxDB 1.x, or the bucket in 2.x"},
    {.key = "organization",
     .type = OPTION_STRING,
     .offset = AT(organization),
     .help = "InfluxDB 2.x"},
    {.key = "token", .type = OPTION_SECRET, .offset = AT(token), .help = "InfluxDB 2.x"},
    {.key = "retention_policy",
     .type = OPTION_STRING,
     .offset = AT(retention_policy),
     .help = "InfluxDB 1.x"},
    {.key = "username", .type = OPTION_STRING, .offset = AT(username), .help = "InfluxDB 1.x"},
    {.key = "password", .type = OPTION_SECRET, .offset = AT(password), .help = "InfluxDB 1.x"},
    {.key = "ca_path",
     .type = OPTION_STRING,
     .offset = AT(ca_path),
     .help = "PEM file; default: the system's"},
    {.key = "table_name",
     .type = OPTION_STRING,
     .offset = AT(table),
     .required = true,
     .help = "template; the measurement"},
    {.key = "tags", .type = OPTION_STRING_MAP, .offset = AT(tags), .help = "name: template"},
    {.key = "fields",
     .type = OPTION_STRING_MAP,
     .offset = AT(fields),
     .help = "name: template; absent: the payload's members"},
    {.key = "timestamp",
     .type = OPTION_STRING,
     .offset = AT(timestamp),
     .help = "template; absent: the payload's member timestamp, or else the arrival"},
    {.key = "timestamp_unit",
     .type = OPTION_ENUM,
     .offset = AT(timestamp_unit),
     .names = time_units,
     .default_text = "ms"},
    ACTION_COMMON_OPTIONS("-1", "0s"),
};

static int check_names(const struct influxdb_settings *settings, const char *key,
                       const struct option_pairs *pairs, struct err *err) {
    for (size_t i = 0; i < pairs->count; i++)
        if (strlen(pairs->items[i].key) > NAME_BYTES_MAX)
            return conf_error(conf_get(settings->common.head.conf, key), err, ERR_INVALID,
                              "influxdb: %s: a name has at most %d bytes", key, NAME_BYTES_MAX);
    return 0;
}

static int check(const void *data, struct err *err) {
    const struct influxdb_settings *settings = data;
    const struct conf *conf = settings->common.head.conf;
    if (settings->token && !settings->organization)
        return conf_error(conf, err, ERR_INVALID, "influxdb: token needs organization beside it");
    int code = check_names(settings, "tags", &settings->tags, err);
    if (!code)
        code = check_names(settings, "fields", &settings->fields, err);
    return code ? code : bulk_check_url(&settings->common.head, "url", settings->url, err);
}

static void add_templates(const struct influxdb_settings *settings,
                          struct action_templates *templates, const char *prefix, const char *key,
                          const struct option_pairs *pairs) {
    const struct conf *conf = conf_get(settings->common.head.conf, key);
    struct option_head head = {.conf = conf ? conf : settings->common.head.conf};
    for (size_t i = 0; i < pairs->count; i++) {
        char *name = xprintf("%s.%s", prefix, pairs->items[i].key);
        action_template_add(templates, arena_strdup(templates->arena, str_of(name)),
                            pairs->items[i].value, &head, pairs->items[i].key);
        free(name);
    }
}

static void templates(const void *data, struct action_templates *templates) {
    const struct influxdb_settings *settings = data;
    const struct option_head *head = &settings->common.head;
    action_template_add(templates, "measurement", settings->table, head, "table_name");
    add_templates(settings, templates, "tag", "tags", &settings->tags);
    add_templates(settings, templates, "field", "fields", &settings->fields);
    action_template_add(templates, "timestamp", settings->timestamp, head, "timestamp");
}

/* ---- the write API ---- */

static int add(struct bulk *bulk, const struct action_item *item, struct buf *body,
               struct err *err) {
    const struct influxdb_settings *settings = bulk->settings;
    return line_protocol_write(body, &item->record, (enum line_time_unit)settings->timestamp_unit,
                               item->counter, err);
}

/* {"error": TEXT} in 1.x, {"code": ..., "message": TEXT} in 2.x. */
static void explain(struct buf *why, const struct http_answer *answer) {
    struct json json = {0};
    buf_printf(why, "HTTP %d", answer->status);
    if (json_parse(&json, answer->body) == 0) {
        struct json_value text = json_member(json_root(&json), STR("error"));
        if (json_type(text) != JSON_STRING)
            text = json_member(json_root(&json), STR("message"));
        buf_add_str(why, STR(": "));
        json_str_add(text, why);
    }
    json_done(&json);
}

static enum bulk_outcome on_answer(struct bulk *bulk, const struct http_answer *answer,
                                   struct action_item *const *items, size_t count,
                                   struct buf *why) {
    if (answer->status / 100 == 2)
        return BULK_TAKEN;
    explain(why, answer);
    return answer->status == 400 || answer->status == 413 || answer->status == 422 ? BULK_REFUSED
                                                                                   : BULK_LATER;
}

static const struct bulk_ops bulk_ops = {.add = add, .answer = on_answer};

static void add_query(struct buf *url, const char *name, const char *value) {
    if (!value)
        return;
    buf_printf(url, "&%s=", name);
    http_percent_encode(url, str_of(value), false);
}

static char *write_url(const struct influxdb_settings *settings) {
    struct buf query = {0};
    buf_add_str(&query, settings->organization ? STR("/api/v2/write?precision=ns")
                                               : STR("/write?precision=ns"));
    add_query(&query, settings->organization ? "bucket" : "db", settings->database);
    add_query(&query, "org", settings->organization);
    add_query(&query, "rp", settings->retention_policy);
    char *url = bulk_url(settings->url, buf_cstr(&query));
    buf_done(&query);
    return url;
}

static int open_target(struct loop *loop, const struct action_services *services, const void *data,
                       struct action_target **ret_target, struct err *err) {
    const struct influxdb_settings *settings = data;
    struct bulk *bulk = bulk_new(services, &bulk_ops, settings, write_url(settings));
    bulk->ca_path = settings->ca_path;
    bulk_header(bulk, "Content-Type", xstrdup("text/plain; charset=utf-8"));
    if (settings->token)
        bulk_header(bulk, "Authorization", xprintf("Token %s", settings->token));
    else if (settings->username)
        bulk_header(bulk, "Authorization", bulk_basic(settings->username, settings->password));
    *ret_target = &bulk->target;
    return 0;
}

const struct action_target_kind action_influxdb = {
    .kind = {.name = "influxdb",
             .failed_action = "InfluxdbAction",
             .options = options,
             .settings_size = sizeof(struct influxdb_settings),
             .role_offset = offsetof(struct action_settings, role),
             .check = check,
             .templates = templates},
    .batch_items_max = 5000,
    .batch_bytes_max = 4 * 1024 * 1024,
    .open = open_target,
};
