/* The configuration keys of deliveries and buckets, and what no table can check about them. */
#include <stdarg.h>
#include <stdio.h>

#include "delivery/delivery.h"
#include "delivery/object_key.h"
#include "delivery/place.h"
#include "delivery/s3_address.h"

enum { NAME_CHARS_MAX = 64 };

/* AWS's own words follow ours: index % 2 is the enum delivery_compression. */
static const char *const compression_names[] = {"none", "gzip", "UNCOMPRESSED", "GZIP", NULL};
static const char *const format_names[] = {"json", NULL};

const struct option delivery_options[] = {
    {"bucket", OPTION_STRING, offsetof(struct delivery_config, bucket), .required = true,
     .help = "a name of `buckets`"},
    {"prefix", OPTION_STRING, offsetof(struct delivery_config, prefix), .default_text = "",
     .help = "of the objects' keys; may hold !{timestamp:PATTERN} and !{firehose:random-string}; "
             "without an expression yyyy/MM/dd/HH/ is appended"},
    {"error_output_prefix", OPTION_STRING, offsetof(struct delivery_config, error_output_prefix),
     .default_text = "", .help = "wanted, as in AWS, when prefix holds expressions"},
    {"file_extension", OPTION_STRING, offsetof(struct delivery_config, file_extension),
     .default_text = "", .help = "instead of none or .gz"},
    {"buffer_size", OPTION_SIZE, offsetof(struct delivery_config, buffer_size_bytes), .min = 1024,
     .max = DELIVERY_BUFFER_BYTES_MAX, .default_text = "5MiB",
     .help = "records of this size, before compression, become an object"},
    {"buffer_interval", OPTION_DURATION, offsetof(struct delivery_config, buffer_interval_ms),
     .min = 0, .max = 900000, .default_text = "300s",
     .help = "records become an object when the oldest is this old"},
    {"compression", OPTION_ENUM, offsetof(struct delivery_config, compression),
     .names = compression_names, .default_text = "none"},
    {"format", OPTION_ENUM, offsetof(struct delivery_config, format), .names = format_names,
     .default_text = "json", .help = "json: the records as they are, one behind the other"},
    {"deaggregate", OPTION_BOOL, offsetof(struct delivery_config, deaggregate),
     .default_text = "false",
     .help = "the object holds the records that a producer library has packed into one"},
    {"backlog_size", OPTION_SIZE, offsetof(struct delivery_config, backlog_bytes_max),
     .min = 1024 * 1024, .max = INT64_MAX, .default_text = "10GiB",
     .help = "what may wait on disk while the bucket is down; beyond it records are refused"},
    {"custom_time_zone", OPTION_LATER, .help = "times in keys are UTC in this version"},
    {"dynamic_partitioning", OPTION_LATER,
     .help = "partitioning by content is not part of this version"},
    {"kafka", OPTION_STRUCT, offsetof(struct delivery_config, kafka),
     .fields = stream_kafka_options,
     .help =
         "a Kafka topic as the buffer, in place of the data directory; nodes of its group share "
         "the work"},
    {0}};

static const struct option s3_options[] = {
    {"endpoint", OPTION_STRING, offsetof(struct delivery_s3_config, endpoint),
     .help = "http(s)://host[:port]; wanted"},
    {"region", OPTION_STRING, offsetof(struct delivery_s3_config, region),
     .default_text = "us-east-1"},
    {"bucket", OPTION_STRING, offsetof(struct delivery_s3_config, bucket),
     .help = "its name in the store; the name here when absent"},
    {"access_key_id", OPTION_STRING, offsetof(struct delivery_s3_config, access_key_id),
     .help = "wanted"},
    {"secret_access_key", OPTION_SECRET, offsetof(struct delivery_s3_config, secret_access_key),
     .help = "wanted; best as ${env:NAME}"},
    {"session_token", OPTION_SECRET, offsetof(struct delivery_s3_config, session_token)},
    {"path_style", OPTION_BOOL, offsetof(struct delivery_s3_config, path_style),
     .default_text = "true", .help = "host/bucket/key; false: bucket.host/key"},
    {"ca_path", OPTION_STRING, offsetof(struct delivery_s3_config, ca_path),
     .help = "certificates that sign the endpoint's; the system's when absent"},
    {0}};

const struct option delivery_bucket_options[] = {
    {"directory", OPTION_STRING, offsetof(struct delivery_bucket_config, directory),
     .help = "where the objects become files; this or s3"},
    {"s3", OPTION_STRUCT, offsetof(struct delivery_bucket_config, s3), .fields = s3_options,
     .help = "any store that speaks S3; this or directory"},
    {0}};

int place_error(const struct option_head *head, const char *key, struct err *err, int code,
                const char *format, ...) {
    char text[sizeof err->text];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const struct conf *at = conf_get(head->conf, key);
    if (!at)
        at = head->conf;
    return at ? conf_error(at, err, code, "%s", text) : err_set(err, code, "%s", text);
}

enum delivery_compression delivery_compression(const struct delivery_config *config) {
    return (enum delivery_compression)(config->compression % 2);
}

bool delivery_bucket_is_s3(const struct delivery_bucket_config *bucket) {
    return bucket->s3.head.conf || bucket->s3.endpoint;
}

/* ---- delivery streams ---- */

static bool is_name(const char *name) {
    size_t len = strlen(name);
    size_t good = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");
    return len >= 1 && len <= NAME_CHARS_MAX && good == len;
}

int delivery_config_check(const struct delivery_config *config, struct err *err) {
    if (!is_name(config->head.name))
        return place_error(&config->head, "", err, ERR_INVALID,
                           "delivery stream \"%s\": 1 to %d of letters, digits and _.- are wanted",
                           config->head.name, NAME_CHARS_MAX);
    if (config->kafka.head.conf) {
        int code = stream_kafka_check(&config->kafka, err);
        if (!code && !(config->kafka.group && config->kafka.group[0]))
            code = place_error(&config->kafka.head, "group", err, ERR_INVALID,
                               "kafka: a delivery stream needs a group: it keeps there what it is "
                               "about to write");
        if (code)
            return code;
    }
    return object_key_check(config, err);
}

/* ---- buckets ---- */

static int check_present(const struct option_head *head, const char *key, const char *value,
                         struct err *err) {
    if (value && value[0])
        return 0;
    return place_error(head, key, err, ERR_INVALID, "s3: %s is missing here", key);
}

/* What S3 allows and what no URL has to encode (S3 user guide, "Bucket naming rules"; the upper
 * case and _ of old buckets too). */
static bool is_bucket_name(const char *name) {
    size_t len = strlen(name);
    size_t good = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
    return len >= 1 && len <= 255 && good == len && name[0] != '.';
}

static int check_s3(const struct delivery_bucket_config *bucket, struct err *err) {
    const struct delivery_s3_config *s3 = &bucket->s3;
    struct s3_endpoint endpoint;
    struct err why;
    int code = check_present(&s3->head, "endpoint", s3->endpoint, err);
    if (!code)
        code = check_present(&s3->head, "access_key_id", s3->access_key_id, err);
    if (!code)
        code = check_present(&s3->head, "secret_access_key", s3->secret_access_key, err);
    if (code)
        return code;
    if (s3_endpoint_parse(str_of(s3->endpoint), &endpoint, &why))
        return place_error(&s3->head, "endpoint", err, ERR_INVALID, "endpoint: %s", why.text);
    if (!s3_region_valid(str_of(s3->region)))
        return place_error(&s3->head, "region", err, ERR_INVALID,
                           "region: \"%s\" is none; small letters, digits and - are wanted",
                           s3->region);
    const char *name = s3->bucket ? s3->bucket : bucket->head.name;
    if (!is_bucket_name(name))
        return place_error(&s3->head, "bucket", err, ERR_INVALID,
                           "bucket: \"%s\" is no bucket's name: letters, digits and .-_ are wanted",
                           name);
    if (!s3->path_style && endpoint.is_tls && strchr(name, '.'))
        return place_error(&s3->head, "path_style", err, ERR_INVALID,
                           "path_style: no certificate covers a bucket name with dots; "
                           "path_style: true is wanted");
    return 0;
}

int delivery_bucket_check(const struct delivery_bucket_config *bucket, struct err *err) {
    bool has_s3 = delivery_bucket_is_s3(bucket);
    bool has_directory = bucket->directory && bucket->directory[0];
    if (has_s3 == has_directory)
        return place_error(&bucket->head, has_s3 ? "s3" : "", err, ERR_INVALID,
                           "bucket \"%s\": exactly one of directory and s3 is wanted",
                           bucket->head.name);
    return has_s3 ? check_s3(bucket, err) : 0;
}
