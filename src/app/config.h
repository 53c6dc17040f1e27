/*
 * The whole configuration (design section 7): one table per part, joined here, read from one YAML
 * file, and checked for what no part can see alone: names that refer to one another, listeners that
 * would be open to the world.
 */
#ifndef APP_CONFIG_H
#define APP_CONFIG_H

#include "action/action.h"
#include "aws/aws.h"
#include "base/arena.h"
#include "base/log.h"
#include "delivery/delivery.h"
#include "function/function.h"
#include "mqtt/mqtt.h"
#include "rule/rule.h"
#include "state/state.h"
#include "stream/stream.h"
#include "web/web.h"

struct config_log {
    struct option_head head;
    int level;  /* enum log_level */
    int format; /* enum log_format */
};

struct config_stream {
    struct option_head head;
    int64_t shard_count, retention_ms, bytes_max;
    int64_t record_bytes_max;         /* 0: not said */
    int compression;                  /* enum config_compression */
    int64_t compression_level;        /* 1..9 */
    int corrupted_blocks;             /* enum stream_corrupted, or CONFIG_CORRUPTED_GLOBAL */
    struct stream_kafka_config kafka; /* at most one of the two */
    struct stream_kinesis_config kinesis;
};

enum config_compression { CONFIG_UNCOMPRESSED, CONFIG_ZSTD };

/* The stream does as corrupted_blocks at the top says. */
enum { CONFIG_CORRUPTED_GLOBAL = STREAM_CORRUPTED_STOP + 1 };

struct config_secret {
    struct option_head head;
    const char *file, *value;
};

struct config {
    struct option_head head;
    struct arena arena; /* all texts and arrays */
    char *path;         /* of the file, as given */
    const char *data;
    int64_t workers; /* 0 in the file: one per core */
    struct config_log log;
    const char *sync_text;
    enum stream_sync sync;
    int64_t sync_interval_ms;
    int corrupted_blocks; /* enum stream_corrupted */
    struct mqtt_config mqtt;
    struct web_config web;
    struct state_config redis;
    struct option_items streams;          /* struct config_stream */
    struct option_items buckets;          /* struct bucket_config */
    struct option_items delivery_streams; /* struct delivery_config */
    struct option_items functions;        /* struct function_config */
    struct option_items mappings;         /* struct function_mapping_config */
    struct option_items rules;            /* struct rule_config */
    const struct conf *roles;
    struct option_items secrets;           /* struct config_secret */
    struct rule_surroundings surroundings; /* compiled from `roles` */
    struct rule_set *rule_set;             /* compiled from `rules` in these surroundings */
    struct web_live_config live_feed;
    struct aws_config api;
    struct option_items credentials; /* struct aws_credential */
    const struct conf *policies_conf;
    struct iam_policies *policies; /* compiled from it */
};

/* Reads and checks the file. All errors say file:line:column. The caller frees. */
int config_read(const char *path, struct config **ret_config, struct err *err);

/* The same for a text that is already there; `path` is what errors call it. */
int config_read_text(const char *path, struct str text, struct config **ret_config,
                     struct err *err);
void config_free(struct config *config);

const struct config_stream *config_find_stream(const struct config *config, const char *name);
const struct bucket_config *config_find_bucket(const struct config *config, const char *name);

const struct delivery_config *config_find_delivery(const struct config *config, const char *name);

/* Every key with type, default and help, as text. */
void config_show(struct buf *out);

#endif
