/* The configuration of engines beside the log. */
#include "stream/engine.h"

const struct option stream_kafka_options[] = {
    {"brokers", OPTION_STRING_LIST, offsetof(struct stream_kafka_config, brokers), .required = true,
     .help = "host:port of some of the brokers"},
    {"topic", OPTION_STRING, offsetof(struct stream_kafka_config, topic),
     .help = "default: the stream's name"},
    {"group", OPTION_STRING, offsetof(struct stream_kafka_config, group),
     .help = "nodes with the same group share the shards among them; absent: this node reads all"},
    {"security_protocol", OPTION_STRING, offsetof(struct stream_kafka_config, security_protocol),
     .help = "plaintext, ssl, sasl_plaintext or sasl_ssl"},
    {"sasl_mechanism", OPTION_STRING, offsetof(struct stream_kafka_config, sasl_mechanism),
     .help = "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, ..."},
    {"sasl_username", OPTION_STRING, offsetof(struct stream_kafka_config, sasl_username)},
    {"sasl_password", OPTION_SECRET, offsetof(struct stream_kafka_config, sasl_password)},
    {"ssl_ca_location", OPTION_STRING, offsetof(struct stream_kafka_config, ssl_ca_location)},
    {"ssl_certificate_location", OPTION_STRING,
     offsetof(struct stream_kafka_config, ssl_certificate_location)},
    {"ssl_key_location", OPTION_STRING, offsetof(struct stream_kafka_config, ssl_key_location)},
    {"ssl_key_password", OPTION_SECRET, offsetof(struct stream_kafka_config, ssl_key_password)},
    {"properties", OPTION_STRING_MAP, offsetof(struct stream_kafka_config, properties),
     .help = "any other of librdkafka's, by its own name"},
    {0}};

const struct option stream_kinesis_options[] = {
    {"endpoint", OPTION_STRING, offsetof(struct stream_kinesis_config, endpoint),
     .help = "http(s)://host[:port]; default: Amazon's of the region"},
    {"region", OPTION_STRING, offsetof(struct stream_kinesis_config, region),
     .default_text = "us-east-1"},
    {"stream", OPTION_STRING, offsetof(struct stream_kinesis_config, stream),
     .help = "its name there; default: the name here"},
    {"access_key_id", OPTION_STRING, offsetof(struct stream_kinesis_config, access_key_id),
     .required = true},
    {"secret_access_key", OPTION_SECRET, offsetof(struct stream_kinesis_config, secret_access_key),
     .required = true},
    {"session_token", OPTION_SECRET, offsetof(struct stream_kinesis_config, session_token)},
    {"ca_path", OPTION_STRING, offsetof(struct stream_kinesis_config, ca_path),
     .help = "certificates to trust; default: the system's"},
    {"poll_interval", OPTION_DURATION, offsetof(struct stream_kinesis_config, poll_interval_ms),
     .min = 10, .max = 60000, .default_text = "1s",
     .help = "between two looks for new records; Amazon allows five a second per shard"},
    {0}};
