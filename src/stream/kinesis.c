/*
 * A stream of another Kinesis as the engine of a stream: Amazon's, or that of another Weir.
 *
 *      shard      the shard of the same number there ("shardId-000000000003" is 3 on both sides)
 *      counter    the 64 bits of the sequence number that count (docs/formats/sequence-number.md:
 *                 Weir's layout is Amazon's), so that sequence numbers are the same on both sides, a
 *                 checkpoint is a number as with any other stream, and a position can be told from it
 *                 alone: the least number with that counter
 *      commit     the answer to PutRecords (kinesis_producer.c)
 *
 * Shards are looked for when the stream is opened, every DISCOVERY_MS, and when a reader comes to the
 * end of one: what was split or merged there is split or merged here, with parents and ranges, and
 * consumers go on with the children as they do with those of the log.
 *
 * There is no way to ask where a shard ends. STREAM_LATEST is therefore the moment in which it was
 * asked for, by this machine's clock (engine.h: engine_time_counter).
 */
#include "stream/kinesis.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json_write.h"
#include "base/mem.h"
#include "stream/log.h"

enum { DISCOVERY_MS = 10000, OPEN_MS = 10000, OPEN_PAUSE_US = 200000, LOG_MS = 10000 };

/* ---- discovery ---- */

static void end_discovery(struct kinesis_discovery *discovery, int status) {
    discovery->under_way = false;
    discovery->status = status;
    if (status) {
        snprintf(discovery->why, sizeof discovery->why, "%s", discovery->call.why);
        meta_done(&discovery->found);
        discovery->found = (struct meta){0};
    }
    if (discovery->done)
        discovery->done(discovery->data);
    else
        kinesis_producer_on_discovery(CONTAINER_OF(discovery, struct kinesis_engine, discovery));
}

static bool read_shard_number(struct str id, unsigned *ret_number) {
    uint64_t number;
    if (!str_starts(id, STR("shardId-")) || !str_to_u64(str_skip(id, 8), &number) ||
        number >= STREAM_SHARDS_MAX)
        return false;
    *ret_number = (unsigned)number;
    return true;
}

static struct str text_at(struct kinesis_call *call, struct json_value value, const char *key) {
    return json_str(json_member(value, str_of(key)), &call->arena);
}

static struct meta_shard *shard_at(struct meta *meta, unsigned number) {
    if (number >= meta->shard_count) {
        meta->shards = xrealloc(meta->shards, (number + 1) * sizeof *meta->shards);
        for (unsigned i = meta->shard_count; i <= number; i++)
            meta->shards[i] = (struct meta_shard){.state = META_GONE,
                                                  .parents = {META_NO_PARENT, META_NO_PARENT}};
        meta->shard_count = number + 1;
    }
    return &meta->shards[number];
}

static bool read_shard(struct kinesis_call *call, struct json_value value, struct meta *meta) {
    static const char *const parent_keys[] = {"ParentShardId", "AdjacentParentShardId"};
    struct json_value range = json_member(value, STR("HashKeyRange"));
    struct json_value numbers = json_member(value, STR("SequenceNumberRange"));
    struct sequence first, last = {0};
    struct str ending = text_at(call, numbers, "EndingSequenceNumber");
    unsigned number;
    if (!read_shard_number(text_at(call, value, "ShardId"), &number) ||
        sequence_read(text_at(call, numbers, "StartingSequenceNumber"), &first))
        return false;
    struct meta_shard *shard = shard_at(meta, number);
    *shard = (struct meta_shard){.state = ending.len ? META_CLOSED : META_OPEN,
                                 .parents = {META_NO_PARENT, META_NO_PARENT},
                                 .opened_ms = first.created_s * 1000};
    for (size_t i = 0; i < COUNT_OF(parent_keys); i++) {
        unsigned parent;
        if (read_shard_number(text_at(call, value, parent_keys[i]), &parent))
            shard->parents[i] = (int)parent;
    }
    if (ending.len && sequence_read(ending, &last) == 0)
        shard->closed_ms = last.arrival_s * 1000;
    return hash_key_parse(text_at(call, range, "StartingHashKey"), &shard->start) &&
           hash_key_parse(text_at(call, range, "EndingHashKey"), &shard->end);
}

static bool same_shards(const struct meta *a, const struct meta *b) {
    if (a->shard_count != b->shard_count)
        return false;
    for (unsigned i = 0; i < a->shard_count; i++)
        if (a->shards[i].state != b->shards[i].state)
            return false;
    return true;
}

/* Parents that are listed no more are unknown here too. */
static void check_parents(struct meta *meta) {
    for (unsigned i = 0; i < meta->shard_count; i++)
        for (int p = 0; p < 2; p++)
            if (meta->shards[i].parents[p] >= (int)meta->shard_count)
                meta->shards[i].parents[p] = META_NO_PARENT;
}

/* The first layout is the one that writers are given, who do not look at it; service sees the rest. */
static void publish(struct kinesis_engine *engine) {
    struct kinesis_discovery *discovery = &engine->discovery;
    struct stream *stream = engine->engine.stream;
    check_parents(&discovery->found);
    if (discovery->known && same_shards(&discovery->known->meta, &discovery->found))
        return;
    struct layout *layout = layout_new(&discovery->found, NULL);
    if (discovery->known)
        engine_set_layout(&engine->engine, layout_ref(layout));
    else
        stream->layout = layout_ref(layout);
    layout_unref(discovery->known);
    discovery->known = layout;
}

static void on_shards(struct kinesis_call *call, int status, struct json_value answer);

static void list_shards(struct kinesis_engine *engine, struct str token) {
    struct kinesis_call *call = &engine->discovery.call;
    if (token.len) {
        char *copy = str_dup(token);
        kinesis_call_begin(call, engine);
        buf_clear(&call->body);
        buf_add_u8(&call->body, '{');
        json_write_text(&call->body, "NextToken", str_of(copy));
        free(copy);
    } else {
        kinesis_call_begin(call, engine);
    }
    kinesis_call_send(call, "ListShards", on_shards);
}

static void on_shards(struct kinesis_call *call, int status, struct json_value answer) {
    struct kinesis_engine *engine = call->engine;
    struct kinesis_discovery *discovery = &engine->discovery;
    struct json_value list = json_member(answer, STR("Shards"));
    for (struct json_cursor cursor = json_each(list); !status && json_next(&cursor);)
        if (!read_shard(call, cursor.value, &discovery->found)) {
            snprintf(call->why, sizeof call->why, "its shards are not numbered as Kinesis does");
            status = ERR_UNSUPPORTED;
        }
    struct str token = text_at(call, answer, "NextToken");
    if (!status && token.len) {
        list_shards(engine, token);
        return;
    }
    if (!status)
        publish(engine);
    end_discovery(discovery, status);
}

static void on_description(struct kinesis_call *call, int status, struct json_value answer) {
    struct kinesis_engine *engine = call->engine;
    struct json_value summary = json_member(answer, STR("StreamDescriptionSummary"));
    double created_s = 0;
    if (status) {
        end_discovery(&engine->discovery, status);
        return;
    }
    json_double(json_member(summary, STR("StreamCreationTimestamp")), &created_s);
    engine->discovery.created_s = (uint64_t)created_s;
    list_shards(engine, (struct str){0});
}

void kinesis_discover(struct kinesis_engine *engine) {
    struct kinesis_discovery *discovery = &engine->discovery;
    if (discovery->under_way || engine->stopping)
        return;
    discovery->under_way = true;
    meta_done(&discovery->found);
    discovery->found = (struct meta){.kind = STREAM_DATA};
    kinesis_call_begin(&discovery->call, engine);
    kinesis_call_send(&discovery->call, "DescribeStreamSummary", on_description);
}

static void on_discovery_timer(struct timer *timer) {
    struct kinesis_engine *engine = CONTAINER_OF(timer, struct kinesis_engine, discovery.timer);
    unsigned missed;
    if (engine->discovery.status && log_limit_pass(&engine->discovery.limit, LOG_MS, &missed))
        log_warn("stream", "kinesis stream %s: its shards are not known: %s (%u more like this)",
                 engine->stream, engine->discovery.why, missed);
    kinesis_discover(engine);
}

/* ---- shards ---- */

static void shard_get(const struct stream *stream, unsigned shard, struct stream_shard_info *info) {
    info->removed = stream->seen.layout->meta.shards[shard].state == META_GONE;
    info->first_counter = 0;
    info->next_counter = engine_time_counter(clock_wall_ms() + 1);
}

/* ---- opening ---- */

struct opening {
    struct kinesis_engine *engine;
    uv_sem_t ended;
};

static void on_first_ended(void *data) {
    uv_sem_post(&((struct opening *)data)->ended);
}

static void start(void *data) {
    struct opening *opening = data;
    struct kinesis_engine *engine = opening->engine;
    if (!engine->client) {
        engine->client = http_client_new(engine->engine.loop);
        kinesis_producer_init(engine);
    }
    engine->discovery.done = on_first_ended;
    engine->discovery.data = opening;
    kinesis_discover(engine);
}

/* Whoever has posted is out of the semaphore when this runs, and it may be destroyed. */
static void let_go(void *data) {
    ((struct opening *)data)->engine->discovery.done = NULL;
}

static void go_on(void *data) {
    struct kinesis_engine *engine = data;
    timer_start(engine->engine.loop, &engine->discovery.timer, DISCOVERY_MS, DISCOVERY_MS,
                on_discovery_timer);
}

/* Main waits; the engine thread asks. A server that is just starting gets some seconds. */
static int ask_shards(struct kinesis_engine *engine, struct err *err) {
    struct opening opening = {.engine = engine};
    uint64_t end_ns = clock_mono_ns() + (uint64_t)OPEN_MS * 1000000;
    int failed = uv_sem_init(&opening.ended, 0);
    ASSERT(!failed);
    do {
        loop_call(engine->engine.loop, start, &opening);
        uv_sem_wait(&opening.ended);
        loop_call(engine->engine.loop, let_go, &opening);
    } while (engine->discovery.status && clock_mono_ns() < end_ns && usleep(OPEN_PAUSE_US) == 0);
    uv_sem_destroy(&opening.ended);
    if (engine->discovery.status)
        return err_set(err, engine->discovery.status, "kinesis stream %s at %s: %s", engine->stream,
                       engine->server.url, engine->discovery.why);
    return 0;
}

static void stop_engine(struct stream_engine *base) {
    struct kinesis_engine *engine = kinesis_engine_of(base);
    engine->stopping = true;
    kinesis_producer_stop(engine);
    kinesis_call_done(&engine->discovery.call);
    timer_close(&engine->discovery.timer, NULL);
    http_client_close(engine->client, NULL, NULL);
}

static void free_engine(struct stream_engine *base) {
    struct kinesis_engine *engine = kinesis_engine_of(base);
    kinesis_producer_done(engine);
    meta_done(&engine->discovery.found);
    layout_unref(engine->discovery.known);
    free(engine->server.url);
    free(engine);
}

static const struct engine_ops ops = {
    .name = "kinesis",
    .uncounted = true,
    .unchanged = "it is a stream of another Kinesis; shards and retention are changed there",
    .shard_get = shard_get,
    .reader_open = kinesis_reader_open,
    .reader_close = kinesis_reader_close,
    .reader_next = kinesis_reader_next,
    .reader_seek = kinesis_reader_seek,
    .reader_counter = kinesis_reader_counter,
    .reader_skipped = kinesis_reader_skipped,
    .reader_lag = kinesis_reader_lag,
    .reader_pending = kinesis_reader_pending,
    .submit = kinesis_producer_submit,
    .give_up = kinesis_producer_give_up,
    .stop = stop_engine,
    .free = free_engine,
};

static void stop_failed(void *data) {
    struct kinesis_engine *engine = data;
    stop_engine(&engine->engine);
}

int kinesis_engine_open(struct stream *stream, struct loop *loop,
                        const struct stream_kinesis_config *config,
                        struct stream_engine **ret_engine, struct err *err) {
    struct kinesis_engine *engine = xcalloc(1, sizeof *engine);
    engine->engine = (struct stream_engine){.ops = &ops, .stream = stream, .loop = loop};
    engine->config = config;
    engine->stream = config->stream && config->stream[0] ? config->stream : stream->name;
    int status = kinesis_server_parse(config, &engine->server, err);
    if (!status)
        status = ask_shards(engine, err);
    if (status) {
        if (engine->client)
            loop_call(loop, stop_failed, engine);
        free_engine(&engine->engine);
        return status;
    }
    loop_call(loop, go_on, engine);
    stream->created_s = engine->discovery.created_s;
    log_info("stream", "%s is the stream %s of %s", stream->name, engine->stream,
             engine->server.url);
    *ret_engine = &engine->engine;
    return 0;
}
