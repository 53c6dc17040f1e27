/* For tests of the core: a log without its thread in a temporary directory, one stream, each record
 * committed at once. */
#ifndef STREAM_FIXTURE_H
#define STREAM_FIXTURE_H

#include "stream/cursor.h"
#include "stream/log.h"

enum { FIXTURE_SHARDS_MAX = 8 };

struct fixture {
    char directory[32];
    struct stream_log_config log_config; /* set before fixture_open(); `directory` is filled in */
    struct stream_config config;         /* the same; name, kind and shard_count have defaults */
    struct stream_log *log;
    struct stream *stream;
    struct chunk_pool pool;
    struct stage stages[FIXTURE_SHARDS_MAX];
    uint64_t now_ms, arrival_ms;
    int status; /* of the last commit */
};

/* Makes the directory. */
void fixture_init(struct fixture *fixture);

/* Closes if it is open, removes the directory. */
void fixture_done(struct fixture *fixture);

void fixture_open(struct fixture *fixture);
void fixture_close(struct fixture *fixture);

/* All that is staged, as one batch of the next commit. */
void fixture_seal(struct fixture *fixture, struct batch *batch);

/* One record, committed in a block of its own. Returns the status of the commit. */
int fixture_put(struct fixture *fixture, unsigned shard, struct str data);

/* `count` records of `bytes` bytes, each begins with its counter as 8 digits. */
void fixture_fill(struct fixture *fixture, unsigned shard, unsigned count, size_t bytes);

/* Splits the shard in the middle; the children can be put to. */
void fixture_split(struct fixture *fixture, unsigned shard);

/* Path of a segment file; the caller frees it. */
char *fixture_segment(struct fixture *fixture, unsigned shard, uint64_t first);

/* Turns one byte of a file over. */
void fixture_damage(const char *path, int64_t offset);

#endif
