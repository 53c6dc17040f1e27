/* The configuration keys of deliveries, and what no table can check about them. */
#include <string.h>

#include "delivery/delivery.h"
#include "delivery/object_key.h"

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

enum delivery_compression delivery_compression(const struct delivery_config *config) {
    return (enum delivery_compression)(config->compression % 2);
}

/* ---- delivery streams ---- */

static bool is_name(const char *name) {
    size_t len = strlen(name);
    size_t good = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");
    return len >= 1 && len <= NAME_CHARS_MAX && good == len;
}

int delivery_config_check(const struct delivery_config *config, struct err *err) {
    if (!is_name(config->head.name))
        return option_error(&config->head, "", err, ERR_INVALID,
                            "delivery stream \"%s\": 1 to %d of letters, digits and _.- are wanted",
                            config->head.name, NAME_CHARS_MAX);
    if (config->kafka.head.conf) {
        int code = stream_kafka_check(&config->kafka, err);
        if (!code && !(config->kafka.group && config->kafka.group[0]))
            code = option_error(&config->kafka.head, "group", err, ERR_INVALID,
                                "kafka: a delivery stream needs a group: it keeps there what it is "
                                "about to write");
        if (code)
            return code;
    }
    return object_key_check(config, err);
}
