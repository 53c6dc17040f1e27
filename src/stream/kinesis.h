/*
 * A stream of another Kinesis (Amazon's, or another Weir's) as the engine of a stream. The essay is
 * in kinesis.c. All of it belongs to the engine thread but what is marked [reader]: the loop of the
 * reader.
 */
#ifndef STREAM_KINESIS_H
#define STREAM_KINESIS_H

#include "base/json.h"
#include "base/log.h"
#include "base/metric.h"
#include "http/http.h"
#include "stream/engine.h"
#include "stream/layout.h"
#include "stream/sequence.h"

enum {
    /* Kinesis API reference, PutRecords and GetRecords. The bytes leave room for base64. */
    KINESIS_PUT_RECORDS_MAX = 500,
    KINESIS_PUT_BYTES_MAX = 4 * 1024 * 1024,
    KINESIS_GET_RECORDS_MAX = 1000,
    KINESIS_ANSWER_BYTES_MAX = 16 * 1024 * 1024,
    KINESIS_TOKEN_CHARS_MAX = 2048,
};

/* ---- kinesis_call.c: one signed request at a time, embedded in whoever asks ---- */

struct kinesis_call {
    struct kinesis_engine *engine;
    struct http_call *http; /* NULL: nothing is under way */
    struct buf body;        /* written by the asker between begin and send */
    struct json json;
    struct arena arena; /* for what is read from the answer, until the next begin */
    char why[256];      /* what went wrong, for the log */
    void (*done)(struct kinesis_call *call, int status, struct json_value answer);
};

struct kinesis_server {
    char *url;
    struct str host; /* in `url` */
};

/* INVALID: no http(s)://host[:port]. */
int kinesis_server_parse(const struct stream_kinesis_config *config, struct kinesis_server *server,
                         struct err *err);

/* The body stands empty, and begins with a brace and the stream's name. */
void kinesis_call_begin(struct kinesis_call *call, struct kinesis_engine *engine);

/*
 * `done`, never before this returns: 0; AGAIN: later (throttled, the server's fault); IO: no answer;
 * TIMEOUT: the iterator or token is too old; NOT_FOUND; INVALID: what was sent can never be taken;
 * REFUSED: anything else that the server does not want.
 */
void kinesis_call_send(struct kinesis_call *call, const char *operation,
                       void (*done)(struct kinesis_call *call, int status,
                                    struct json_value answer));
void kinesis_call_done(struct kinesis_call *call); /* cancels, frees */

/* ---- the engine ---- */

struct kinesis_producer {
    struct engine_batch *pending, **pending_end; /* with records that were not sent yet */
    size_t at;                                   /* the next of the first of these */
    struct engine_record *sending[KINESIS_PUT_RECORDS_MAX]; /* in their order; under way, or to be
                                                               sent again */
    size_t count;
    size_t sent;           /* of these, in the request under way */
    size_t single;         /* of these: to be sent one by one, since one of them cannot be taken */
    struct kinesis_place { /* what the answer says of each of these */
        bool kept, refused;
        unsigned shard;
        uint64_t counter, arrival_ms;
    } places[KINESIS_PUT_RECORDS_MAX];
    bool under_way, gave_up;
    bool waits_for_shards; /* that the answer names and nobody here has heard of */
    unsigned failures;     /* in a row */
    struct kinesis_call call;
    struct timer timer;
    struct log_limit limit;
    struct metric records, failed, retried;
};

/* Looks for the shards: DescribeStreamSummary, then ListShards page by page. */
struct kinesis_discovery {
    struct kinesis_call call;
    struct timer timer;
    struct meta found;
    struct layout *known; /* what was found last */
    bool under_way;
    int status;               /* of the last one */
    char why[256];            /* if it failed */
    uint64_t created_s;       /* of the stream there */
    void (*done)(void *data); /* of the first one; then NULL */
    void *data;
    struct log_limit limit;
};

struct kinesis_engine {
    struct stream_engine engine;
    const struct stream_kinesis_config *config;
    const char *stream; /* its name there */
    struct kinesis_server server;
    struct http_client *client;
    struct kinesis_discovery discovery;
    struct kinesis_producer producer;
    bool stopping;
};

static inline struct kinesis_engine *kinesis_engine_of(const struct stream_engine *engine) {
    return CONTAINER_OF(engine, struct kinesis_engine, engine);
}

void kinesis_discover(struct kinesis_engine *engine);

void kinesis_producer_init(struct kinesis_engine *engine);
void kinesis_producer_submit(struct stream_engine *base, struct engine_batch *batch);
void kinesis_producer_on_discovery(struct kinesis_engine *engine);
void kinesis_producer_give_up(struct stream_engine *base);
void kinesis_producer_stop(struct kinesis_engine *engine);
void kinesis_producer_done(struct kinesis_engine *engine);

/* As the functions of stream.h. [reader] */
int kinesis_reader_open(struct stream *stream, unsigned shard, struct loop *loop,
                        const struct stream_position *position,
                        void (*on_ready)(struct stream_reader *reader, void *data), void *data,
                        struct stream_reader **ret_reader, struct err *err);
void kinesis_reader_close(struct stream_reader *reader);
int kinesis_reader_next(struct stream_reader *reader, size_t records_max, size_t bytes_max,
                        struct stream_batch *ret_batch);
void kinesis_reader_seek(struct stream_reader *reader, uint64_t counter);
uint64_t kinesis_reader_counter(const struct stream_reader *reader);
uint64_t kinesis_reader_skipped(const struct stream_reader *reader);
void kinesis_reader_lag(const struct stream_reader *reader, uint64_t *ret_records,
                        uint64_t *ret_behind_ms);
bool kinesis_reader_pending(const struct stream_reader *reader);

#endif
