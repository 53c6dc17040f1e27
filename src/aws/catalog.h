/*
 * What the API knows of each stream beside its records: status, mode, tags, consumers, flags. In
 * memory for answers, and in the facts table "kinesis" (docs/formats/facts.md) for the next start.
 * Belongs to the service loop.
 */
#ifndef AWS_CATALOG_H
#define AWS_CATALOG_H

#include "aws/limits.h"
#include "base/map.h"
#include "io/facts.h"
#include "stream/stream.h"

enum {
    CATALOG_TAGS_MAX = 50,      /* per stream or consumer (Kinesis developer guide, quotas) */
    CATALOG_CONSUMERS_MAX = 20, /* per stream */
    CATALOG_POLICY_BYTES_MAX = 20480,
};

enum catalog_status { CATALOG_CREATING, CATALOG_ACTIVE, CATALOG_UPDATING, CATALOG_DELETING };
extern const char *const catalog_status_names[];

/* Sorted by key. */
struct catalog_tags {
    struct catalog_tag {
        char *key, *value;
    } * items;
    size_t count;
};

struct catalog_consumer {
    char *name;
    uint64_t created_s;
    struct catalog_tags tags;
    char *policy; /* NULL: none */
};

struct catalog_stream {
    char *name;
    struct stream *stream; /* NULL while it is being made */
    enum catalog_status status;
    uint64_t added_ms; /* when it was asked for, or found at the start */
    bool configured;   /* by the configuration file: not deletable */
    /* kept in facts */
    bool on_demand;
    int64_t warm_mibps;    /* of an on-demand stream: shown, there is nothing to be reserved */
    int64_t target_shards; /* of an UpdateShardCount that is not through yet; 0: none */
    int64_t record_kib;    /* what a record may have at most; 0: not said */
    unsigned metrics;      /* bits of kinesis_metric_names */
    char *key_id;          /* of the encryption; NULL: none */
    char *policy;
    struct catalog_tags tags;
    struct catalog_consumer *consumers; /* in order of their names */
    size_t consumer_count;
    struct limit_stream limits; /* what is used of them */
};

struct catalog {
    struct facts *facts;
    struct catalog_stream **streams; /* in order of their names, bytewise */
    size_t count, cap;
};

/* Zeroed and `facts` set is empty. */
void catalog_done(struct catalog *catalog);

/* Index of the first stream whose name is not less. */
size_t catalog_position(const struct catalog *catalog, struct str name);
struct catalog_stream *catalog_find(const struct catalog *catalog, struct str name);

/* Data and key of a record: as the configuration file says, else as the API was told, else 1 MiB. */
int64_t catalog_record_kib(const struct catalog_stream *stream);

/* Adds a stream in its place: ACTIVE with the settings that facts hold of it, or, without a
 * `stream_or_null`, CREATING with defaults. */
struct catalog_stream *catalog_add(struct catalog *catalog, struct str name,
                                   struct stream *stream_or_null);

/* Frees it and takes it out of the list; facts stay as they are. */
void catalog_remove(struct catalog *catalog, struct catalog_stream *stream);

/* Writes the settings of the stream, which must be made; on disk when it returns. */
int catalog_save(struct catalog *catalog, const struct catalog_stream *stream, struct err *err);

/* Forgets the settings of a stream. */
int catalog_forget(struct catalog *catalog, const char *name, struct err *err);

/* ---- tags ---- */

/* Replaces the value if the key is there. FULL beyond CATALOG_TAGS_MAX. */
int catalog_tag_set(struct catalog_tags *tags, struct str key, struct str value);
void catalog_tag_remove(struct catalog_tags *tags, struct str key);
const struct catalog_tag *catalog_tag_find(const struct catalog_tags *tags, struct str key);

/* ---- consumers ---- */

struct catalog_consumer *catalog_consumer_find(struct catalog_stream *stream, struct str name);

/* FULL, EXISTS. */
int catalog_consumer_add(struct catalog_stream *stream, struct str name, uint64_t created_s,
                         struct catalog_consumer **ret_consumer);
void catalog_consumer_remove(struct catalog_stream *stream, struct catalog_consumer *consumer);

#endif
