#include "app/config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/targets.h"
#include "app/yaml.h"
#include "base/buf.h"
#include "base/mem.h"
#include "io/file.h"
#include "io/tcp.h"

static const char *const level_names[] = {"debug", "info", "warn", "error", NULL};
static const char *const format_names[] = {"text", "json", NULL};

/* In the order of enum stream_corrupted. */
static const char *const corrupted_names[] = {"skip", "stop", NULL};
static const char *const stream_corrupted_names[] = {"skip", "stop", "global", NULL};

/* In the order of enum config_compression. */
static const char *const compression_names[] = {"none", "zstd", NULL};

static const struct option log_options[] = {
    {"level", OPTION_ENUM, offsetof(struct config_log, level), .names = level_names,
     .default_text = "info", .help = "the least level that is written"},
    {"format", OPTION_ENUM, offsetof(struct config_log, format), .names = format_names,
     .default_text = "text"},
    {0}};

static const struct option stream_options[] = {
    {"shard_count", OPTION_INT, offsetof(struct config_stream, shard_count), .min = 1, .max = 10000,
     .default_text = "1"},
    {"retention_period", OPTION_DURATION, offsetof(struct config_stream, retention_ms), .min = 1000,
     .max = (int64_t)8760 * 3600 * 1000, .default_text = "24h",
     .help = "how long records are kept"},
    {"retention_size", OPTION_SIZE, offsetof(struct config_stream, bytes_max), .default_text = "0",
     .help = "beyond it the oldest segments go; 0: unbounded"},
    {"max_record_size", OPTION_SIZE, offsetof(struct config_stream, record_bytes_max),
     .min = RECORD_BYTES_DEFAULT, .max = RECORD_BYTES_MAX,
     .help = "of data and key, 1MiB to 10MiB; absent: 1MiB, or what UpdateMaxRecordSize has set"},
    {"compression", OPTION_ENUM, offsetof(struct config_stream, compression),
     .names = compression_names, .default_text = "none",
     .help = "zstd: the records of a batch are compressed on disk where that makes them smaller"},
    {"compression_level", OPTION_INT, offsetof(struct config_stream, compression_level), .min = 1,
     .max = 9, .default_text = "1", .help = "1 is the fastest"},
    {"corrupted_blocks", OPTION_ENUM, offsetof(struct config_stream, corrupted_blocks),
     .names = stream_corrupted_names, .default_text = "global",
     .help = "as the key of this name at the top, for this stream"},
    {"kafka", OPTION_STRUCT, offsetof(struct config_stream, kafka), .fields = stream_kafka_options,
     .help = "a Kafka topic in place of the log of the data directory"},
    {"kinesis", OPTION_STRUCT, offsetof(struct config_stream, kinesis),
     .fields = stream_kinesis_options,
     .help = "a stream of Amazon Kinesis, or of another Weir, in its place"},
    {0}};

static const struct option secret_options[] = {
    {"file", OPTION_STRING, offsetof(struct config_secret, file),
     .help = "whose content it is, read at the start and at each reload"},
    {"value", OPTION_SECRET, offsetof(struct config_secret, value),
     .help = "the secret itself, such as ${env:NAME}"},
    {0}};

static const struct option options[] = {
    {"data", OPTION_STRING, offsetof(struct config, data), .default_text = "./data",
     .help = "directory of streams, checkpoints, the private Redis"},
    {"workers", OPTION_INT, offsetof(struct config, workers), .min = 0, .max = 256,
     .default_text = "0", .help = "worker threads; 0: one per core"},
    {"log", OPTION_STRUCT, offsetof(struct config, log), .fields = log_options},
    {"sync", OPTION_STRING, offsetof(struct config, sync_text), .default_text = "always",
     .help = "always: acknowledged means on disk; an interval such as 10ms, or none, risks what is "
             "younger"},
    {"corrupted_blocks", OPTION_ENUM, offsetof(struct config, corrupted_blocks),
     .names = corrupted_names, .default_text = "skip",
     .help = "skip: readers go on behind a damaged block; stop: they stay before it, and a stream "
             "that is found damaged at the start keeps Weir from starting"},
    {"mqtt", OPTION_STRUCT, offsetof(struct config, mqtt), .fields = mqtt_options},
    {"web", OPTION_STRUCT, offsetof(struct config, web), .fields = web_options},
    {"redis", OPTION_STRUCT, offsetof(struct config, redis), .fields = state_options},
    {"streams", OPTION_MAP, offsetof(struct config, streams), .fields = stream_options,
     .item_size = sizeof(struct config_stream)},
    {"buckets", OPTION_MAP, offsetof(struct config, buckets), .fields = bucket_options,
     .item_size = sizeof(struct bucket_config)},
    {"delivery_streams", OPTION_MAP, offsetof(struct config, delivery_streams),
     .fields = delivery_options, .item_size = sizeof(struct delivery_config)},
    {"functions", OPTION_MAP, offsetof(struct config, functions), .fields = function_options,
     .item_size = sizeof(struct function_config)},
    {"event_source_mappings", OPTION_LIST, offsetof(struct config, mappings),
     .fields = function_mapping_options, .item_size = sizeof(struct function_mapping_config)},
    {"roles", OPTION_CONF, offsetof(struct config, roles),
     .help = "policies that rules name as their role: NAME: { statement: [ { effect, action, "
             "resource } ] }"},
    {"secrets", OPTION_MAP, offsetof(struct config, secrets), .fields = secret_options,
     .item_size = sizeof(struct config_secret), .help = "what get_secret() of rules knows"},
    {"rules", OPTION_MAP, offsetof(struct config, rules), .fields = rule_options,
     .item_size = sizeof(struct rule_config)},
    {"live_feed", OPTION_STRUCT, offsetof(struct config, live_feed), .fields = web_live_options},
    {"api", OPTION_STRUCT, offsetof(struct config, api), .fields = aws_options,
     .help = "the AWS-compatible endpoints; absent: none"},
    {"credentials", OPTION_LIST, offsetof(struct config, credentials),
     .fields = aws_credential_options, .item_size = sizeof(struct aws_credential)},
    {"policies", OPTION_CONF, offsetof(struct config, policies_conf),
     .help = "IAM policies of credentials by name: statement: [ { effect: Allow, action: "
             "\"kinesis:Get*\", resource: \"arn:aws:kinesis:*:*:stream/sensors\" } ]"},
    {0}};

void config_show(struct buf *out) {
    option_show(out, options, 0);
    for (const struct action_kind *const *kind = action_kinds; *kind; kind++) {
        buf_printf(out, "\nof an action `%s`:\n", (*kind)->name);
        option_show(out, (*kind)->options, 1);
    }
}

/* ---- names that refer to one another ---- */

/* The item of this name in a map of structs that begin with an option_head. */
static void *find_named(const struct option_items *items, size_t item_size, const char *name) {
    for (size_t i = 0; i < items->count; i++) {
        struct option_head *head = (void *)((char *)items->items + i * item_size);
        if (strcmp(head->name, name) == 0)
            return head;
    }
    return NULL;
}

const struct config_stream *config_find_stream(const struct config *config, const char *name) {
    return find_named(&config->streams, sizeof(struct config_stream), name);
}

const struct bucket_config *config_find_bucket(const struct config *config, const char *name) {
    return find_named(&config->buckets, sizeof(struct bucket_config), name);
}

const struct delivery_config *config_find_delivery(const struct config *config, const char *name) {
    return find_named(&config->delivery_streams, sizeof(struct delivery_config), name);
}

/* At the value of `key` inside `head`'s map, if it stands there, else at the map. */
static const struct conf *place(const struct option_head *head, const char *key) {
    const struct conf *at = conf_get(head->conf, key);
    return at ? at : head->conf;
}

static bool name_valid(const char *name, size_t chars_max, const char *extra) {
    size_t len = strlen(name);
    for (const char *c = name; *c; c++)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ||
              strchr(extra, *c)))
            return false;
    return len >= 1 && len <= chars_max;
}

static int check_names(const struct option_items *items, size_t item_size, const char *what,
                       size_t chars_max, const char *extra, struct err *err) {
    for (size_t i = 0; i < items->count; i++) {
        const struct option_head *head = (const void *)((const char *)items->items + i * item_size);
        if (!name_valid(head->name, chars_max, extra))
            return conf_error(head->conf, err, ERR_INVALID,
                              "%s name \"%s\": 1 to %zu of letters, digits and %s are wanted", what,
                              head->name, chars_max, extra);
    }
    return 0;
}

/* What the other side decides is not to be said here. */
static int check_engine(const struct config_stream *stream, struct err *err) {
    static const char *const not_ours[] = {"shard_count", "retention_size", "compression",
                                           "compression_level"};
    const struct conf *kafka = stream->kafka.head.conf, *kinesis = stream->kinesis.head.conf;
    if (!kafka && !kinesis)
        return 0;
    if (kafka && kinesis)
        return conf_error(kinesis, err, ERR_INVALID, "a stream is either of kafka or of kinesis");
    for (size_t i = 0; i < COUNT_OF(not_ours); i++) {
        const struct conf *at = conf_get(stream->head.conf, not_ours[i]);
        if (at)
            return conf_error(at, err, ERR_INVALID, "%s is decided by the %s", not_ours[i],
                              kafka ? "Kafka topic" : "Kinesis stream");
    }
    return kafka ? stream_kafka_check(&stream->kafka, err)
                 : stream_kinesis_check(&stream->kinesis, err);
}

static int check_engines(const struct config *config, struct err *err) {
    int code = 0;
    for (size_t i = 0; !code && i < config->streams.count; i++)
        code = check_engine(OPTION_AT(config->streams, struct config_stream, i), err);
    return code;
}

static int check_mappings(const struct config *config, struct err *err) {
    for (size_t i = 0; i < config->mappings.count; i++) {
        const struct function_mapping_config *mapping =
            OPTION_AT(config->mappings, struct function_mapping_config, i);
        if (!config_find_stream(config, mapping->stream))
            return conf_error(place(&mapping->head, "stream"), err, ERR_INVALID,
                              "there is no stream \"%s\" under streams", mapping->stream);
        if (!find_named(&config->functions, sizeof(struct function_config), mapping->function))
            return conf_error(place(&mapping->head, "function"), err, ERR_INVALID,
                              "there is no function \"%s\" under functions", mapping->function);
        for (size_t j = 0; j < i; j++) {
            const struct function_mapping_config *other =
                OPTION_AT(config->mappings, struct function_mapping_config, j);
            if (strcmp(other->stream, mapping->stream) == 0 &&
                strcmp(other->function, mapping->function) == 0)
                return conf_error(mapping->head.conf, err, ERR_INVALID,
                                  "the mapping of \"%s\" to \"%s\" stands here twice",
                                  mapping->stream, mapping->function);
        }
    }
    return 0;
}

static int check_deliveries(const struct config *config, struct err *err) {
    int code = 0;
    for (size_t i = 0; !code && i < config->buckets.count; i++)
        code = bucket_check(OPTION_AT(config->buckets, struct bucket_config, i), err);
    for (size_t i = 0; !code && i < config->delivery_streams.count; i++) {
        const struct delivery_config *delivery =
            OPTION_AT(config->delivery_streams, struct delivery_config, i);
        if (!config_find_bucket(config, delivery->bucket))
            return conf_error(place(&delivery->head, "bucket"), err, ERR_INVALID,
                              "there is no bucket \"%s\" under buckets", delivery->bucket);
        code = delivery_config_check(delivery, err);
    }
    return code;
}

static int check_sync(struct config *config, struct err *err) {
    const char *text = config->sync_text;
    if (strcmp(text, "always") == 0 || strcmp(text, "none") == 0) {
        config->sync = text[0] == 'a' ? STREAM_SYNC_ALWAYS : STREAM_SYNC_NONE;
        return 0;
    }
    struct interval {
        struct option_head head;
        int64_t ms;
    } interval = {0};
    const struct option field[] = {{"sync", OPTION_DURATION, offsetof(struct interval, ms),
                                    .min = 1, .max = 60000, .default_text = text},
                                   {0}};
    if (option_load(&config->arena, field, NULL, &interval, NULL))
        return conf_error(place(&config->head, "sync"), err, ERR_INVALID,
                          "sync: always, none or an interval from 1ms to 1m is wanted");
    config->sync = STREAM_SYNC_INTERVAL;
    config->sync_interval_ms = interval.ms;
    return 0;
}

/* Design law 8: what is reachable from elsewhere is either protected or said to be open. */
static int check_web_exposure(const struct config *config, struct err *err) {
    struct sockaddr_storage address;
    struct err why;
    const struct web_config *web = &config->web;
    const struct conf *at = web->head.conf ? place(&web->head, "bind") : config->head.conf;
    if (tcp_address(web->bind, &address, &why))
        return conf_error(at, err, ERR_INVALID, "web: %s", why.text);
    if (tcp_address_is_loopback(&address))
        return 0;
    if (!web->tls.head.conf && !web->plaintext)
        return conf_error(at, err, ERR_INVALID,
                          "web: a listener beyond loopback needs tls, or `plaintext: true`");
    if (!web->anonymous)
        return conf_error(at, err, ERR_INVALID,
                          "web: the page has no log-in; beyond loopback say `anonymous: true`");
    return 0;
}

static bool is_printable(struct str text) {
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] <= ' ' || text.at[i] > '~')
            return false;
    return true;
}

/* A path may follow the host; what is linked to is appended. */
static int check_public_url(const struct web_config *web, struct err *err) {
    struct str url = web->public_url ? str_of(web->public_url) : STR("https://host");
    struct str scheme = str_starts(url, STR("https://")) ? STR("https://") : STR("http://");
    struct str rest = str_skip(url, scheme.len);
    if (str_starts(url, scheme) && rest.len && rest.at[0] != '/' && rest.at[rest.len - 1] != '/' &&
        is_printable(url) && !strpbrk(url.at, "?#@\"\\"))
        return 0;
    return conf_error(place(&web->head, "public_url"), err, ERR_INVALID,
                      "web: public_url: https://host or http://host is wanted, without a slash at "
                      "the end");
}

/* The broker decides about /mqtt by where the web listener stands, as about its own listeners. */
static void place_mqtt_web(struct config *config) {
    config->mqtt.web.bind = config->web.bind;
}

static int check(struct config *config, struct err *err) {
    int code = check_sync(config, err);
    if (!code)
        code =
            check_names(&config->streams, sizeof(struct config_stream), "stream", 128, "_.-", err);
    if (!code)
        code = check_names(&config->delivery_streams, sizeof(struct delivery_config),
                           "delivery stream", 64, "_.-", err);
    if (!code)
        code = check_names(&config->functions, sizeof(struct function_config), "function", 64, "_-",
                           err);
    if (!code)
        code = check_names(&config->rules, sizeof(struct rule_config), "rule", 128, "_", err);
    if (!code)
        code = check_engines(config, err);
    if (!code)
        code = check_mappings(config, err);
    if (!code)
        code = check_deliveries(config, err);
    if (!code)
        code = check_web_exposure(config, err);
    if (!code)
        code = check_public_url(&config->web, err);
    if (!code)
        code = aws_config_check(&config->api, &config->credentials, err);
    if (!code)
        code = iam_policies_compile(config->policies_conf, &config->policies, err);
    if (!code)
        code = aws_credentials_bind(&config->credentials, config->policies, err);
    if (!code)
        code = mqtt_config_check(&config->mqtt, err);
    return code;
}

/* ---- reading ---- */

static int read_secret(struct rule_secrets *secrets, const struct config_secret *secret,
                       struct err *err) {
    struct buf bytes = {0};
    struct err why;
    int code = 0;
    if (!secret->file == !secret->value)
        return conf_error(secret->head.conf, err, ERR_INVALID,
                          "a secret needs file or value, one of them");
    if (secret->value)
        buf_add_str(&bytes, str_of(secret->value));
    else
        code = file_read_all(secret->file, RULE_SECRET_BYTES_MAX, &bytes, &why);
    if (code)
        conf_error(place(&secret->head, "file"), err, code, "%.400s", why.text);
    else
        rule_secrets_add(secrets, secret->head.name, buf_str(&bytes));
    if (buf_len(&bytes))
        explicit_bzero(buf_at(&bytes), buf_len(&bytes));
    buf_done(&bytes);
    return code;
}

static int read_secrets(struct config *config, struct err *err) {
    int code = 0;
    config->surroundings.secrets = rule_secrets_new();
    for (size_t i = 0; !code && i < config->secrets.count; i++)
        code = read_secret(config->surroundings.secrets,
                           OPTION_AT(config->secrets, struct config_secret, i), err);
    return code;
}

/* Which functions rules may call. */
static void name_functions(struct config *config) {
    config->surroundings.functions = rule_functions_new();
    for (size_t i = 0; i < config->functions.count; i++)
        rule_functions_add(config->surroundings.functions,
                           OPTION_AT(config->functions, struct function_config, i)->head.name);
}

static void set_default_workers(struct config *config) {
    if (config->workers)
        return;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    config->workers = cores < 1 ? 1 : cores;
}

static int load(struct config *config, struct str text, struct err *err) {
    const struct conf *root;
    int code = yaml_read(&config->arena, config->path, text, &root, err);
    if (!code)
        code = option_load(&config->arena, options, root, config, err);
    if (!code)
        code = check(config, err);
    if (!code)
        place_mqtt_web(config);
    if (!code)
        code = rule_roles_compile(config->roles, config->api.region, config->api.account,
                                  &config->surroundings.roles, err);
    config->surroundings.kinds = action_kinds;
    name_functions(config);
    if (!code)
        code = read_secrets(config, err);
    if (!code)
        code = rule_set_compile(&config->rules, &config->surroundings, &config->rule_set, err);
    if (!code)
        code = targets_check(config, err);
    if (!code)
        set_default_workers(config);
    return code;
}

int config_read_text(const char *path, struct str text, struct config **ret_config,
                     struct err *err) {
    struct config *config = xcalloc(1, sizeof *config);
    config->path = xstrdup(path);
    int code = load(config, text, err);
    if (code)
        config_free(config);
    else
        *ret_config = config;
    return code;
}

int config_read(const char *path, struct config **ret_config, struct err *err) {
    struct buf text = {0};
    int code = file_read_all(path, YAML_BYTES_MAX, &text, err);
    if (!code)
        code = config_read_text(path, buf_str(&text), ret_config, err);
    buf_done(&text);
    return code;
}

void config_free(struct config *config) {
    if (!config)
        return;
    rule_set_unref(config->rule_set);
    rule_roles_unref(config->surroundings.roles);
    rule_secrets_unref(config->surroundings.secrets);
    rule_functions_unref(config->surroundings.functions);
    iam_policies_free(config->policies);
    arena_done(&config->arena);
    free(config->path);
    free(config);
}
