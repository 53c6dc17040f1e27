/*
 * What sensor-counter reads from its environment, once, at its start.
 *
 *     redis_url            where Redis is: a host, redis://[[user]:password@]host[:port][/db], or
 *                          unix:///path/of/the/socket. Required.
 *     redis_port           the port, unless the URL has one; 6379
 *     sensor_latest_key    sensorLatest: the payload of the last record
 *     sensor_count_key     sensorCount: how many records were counted
 *     sensor_shards_key    sensorShards: hash, shard id -> sequence number of its last counted
 *                          record
 *     sensor_channel       sensors: where "updated" is published
 *
 * The texts of the keys are borrowed from the environment, which the function does not change.
 */
#ifndef SENSOR_COUNTER_SETTINGS_H
#define SENSOR_COUNTER_SETTINGS_H

#include <stdbool.h>

struct settings {
    char host[256]; /* or the socket's path */
    bool is_path;
    int port;
    char user[128];
    char password[256]; /* empty: no AUTH. Never logged. */
    int database;
    char place[280]; /* host:port or path, for log lines */
    const char *latest_key;
    const char *count_key;
    const char *shards_key;
    const char *channel;
};

/* Reads the environment. NULL, or what is wrong with it (a constant text). */
const char *settings_read(struct settings *ret_settings);

/* Reads url and port (NULL: the default) into the fields that say where Redis is. Same result. */
const char *settings_parse_redis(struct settings *settings, const char *url, const char *port);

#endif
