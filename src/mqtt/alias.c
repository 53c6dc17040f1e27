/*
 * The client's aliases are a table by number; the broker's a map from topic to number. An alias of
 * the broker's counts as known to the client when a PUBLISH with both has been written: one that is
 * dropped, or waits, tells nothing.
 */
#include "mqtt/alias.h"

#include <stdlib.h>

#include "base/mem.h"

/* ---- the client's ---- */

enum packet_reason alias_resolve(struct mqtt_connection *connection, struct packet_publish *in) {
    const struct mqtt_config *config = connection->worker->config;
    if (in->topic_alias > config->topic_alias_max)
        return PACKET_TOPIC_ALIAS_INVALID;
    if (!connection->aliases)
        connection->aliases =
            xcalloc((size_t)config->topic_alias_max + 1, sizeof *connection->aliases);
    struct str *alias = &connection->aliases[in->topic_alias];
    if (in->topic.len) {
        free((char *)alias->at);
        *alias = str_from(str_dup(in->topic), in->topic.len);
    } else if (!alias->at) {
        return PACKET_PROTOCOL_ERROR;
    }
    in->topic = *alias;
    enum { ALIAS_PROPERTY_BYTES = 3 };
    struct buf *cut = &connection->worker->properties;
    size_t at = (size_t)in->alias_at;
    buf_clear(cut);
    buf_add(cut, in->properties.at, at);
    buf_add_str(cut, str_skip(in->properties, at + ALIAS_PROPERTY_BYTES));
    in->properties = buf_str(cut);
    if (in->expiry_at > in->alias_at)
        in->expiry_at -= ALIAS_PROPERTY_BYTES;
    return PACKET_NORMAL;
}

static void free_resolved(struct mqtt_connection *connection) {
    if (!connection->aliases)
        return;
    for (int64_t i = 0; i <= connection->worker->config->topic_alias_max; i++)
        free((char *)connection->aliases[i].at);
    free(connection->aliases);
    connection->aliases = NULL;
}

/* ---- the broker's ---- */

struct told {
    uint16_t alias;
    char topic[];
};

struct aliases_told {
    struct map by_topic; /* struct told */
    uint16_t count_max;
};

void alias_allow(struct mqtt_connection *connection, uint16_t count_max) {
    if (count_max == 0)
        return;
    connection->aliases_told = xcalloc(1, sizeof *connection->aliases_told);
    connection->aliases_told->count_max = count_max;
}

struct alias_choice alias_choose(const struct mqtt_connection *connection, struct str topic) {
    const struct aliases_told *aliases = connection->aliases_told;
    if (!aliases)
        return (struct alias_choice){0};
    const struct told *told = map_get(&aliases->by_topic, topic);
    if (told)
        return (struct alias_choice){.alias = told->alias, .known = true};
    bool is_room = aliases->by_topic.count < aliases->count_max;
    return (struct alias_choice){.alias = is_room ? (uint16_t)(aliases->by_topic.count + 1) : 0};
}

void alias_told(struct mqtt_connection *connection, struct str topic, struct alias_choice choice) {
    if (choice.alias == 0 || choice.known)
        return;
    struct told *told = xmalloc(sizeof *told + topic.len);
    told->alias = choice.alias;
    memcpy(told->topic, topic.at, topic.len);
    map_put(&connection->aliases_told->by_topic, str_from(told->topic, topic.len), told);
}

static void free_told(struct mqtt_connection *connection) {
    struct aliases_told *aliases = connection->aliases_told;
    if (!aliases)
        return;
    struct map_entry *entry;
    for (size_t i = 0; (entry = map_next(&aliases->by_topic, &i));)
        free(entry->value);
    map_done(&aliases->by_topic);
    free(aliases);
    connection->aliases_told = NULL;
}

void aliases_free(struct mqtt_connection *connection) {
    free_resolved(connection);
    free_told(connection);
}
