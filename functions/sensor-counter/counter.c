/*
 * How a record is counted once.
 *
 * An event source mapping delivers at least once: a batch comes again when its invocation failed or
 * its answer was lost, and it may come again cut in another way. Within a shard the sequence
 * numbers rise, so one number per shard, that of the last counted record, tells what is new. It
 * lives in Redis beside the count, and both change in one transaction:
 *
 *     WATCH sensorShards sensorCount        one round trip: what has been counted?
 *     HMGET sensorShards <shard>...
 *     GET sensorCount
 *
 *     MULTI                                 one round trip: count what is above it
 *     SET sensorLatest <payload>
 *     INCRBY sensorCount <new records>
 *     HSET sensorShards <shard> <sequence number>     for each shard
 *     PUBLISH sensors updated
 *     EXEC
 *
 * If another environment counts meanwhile, EXEC answers nil and changes nothing: begin again. If
 * the connection breaks during EXEC nobody knows whether it took place: begin again on a fresh one;
 * if it did, all records are repeats. sensorCount is read only to see that INCRBY will not fail: an
 * EXEC in which one command fails has carried out the others.
 *
 * What this rests on: the batches of a shard come one after another (ParallelizationFactor 1), and
 * the function serves one stream, or has a sensor_shards_key for each: shard ids of two streams are
 * equal.
 *
 * After any failure the connection is closed, which ends its WATCH too.
 */
#include "counter.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#define CONNECT_TIMEOUT_MS 1000
#define COMMAND_TIMEOUT_MS 2000
#define CONFLICTS_MAX      32 /* lost races in a row, after which the batch is left to a retry */

enum outcome { COUNTED, CONFLICT, FAILED };

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static struct timeval time_left(int64_t deadline_ms, int64_t max_ms) {
    int64_t left_ms = deadline_ms - now_ms();
    left_ms = left_ms > max_ms ? max_ms : left_ms < 1 ? 1 : left_ms;
    return (struct timeval){.tv_sec = left_ms / 1000, .tv_usec = left_ms % 1000 * 1000};
}

static void disconnect(struct counter *counter) {
    if (counter->redis)
        redisFree(counter->redis);
    counter->redis = NULL;
}

void counter_init(struct counter *counter, const struct settings *settings) {
    *counter = (struct counter){.settings = settings};
}

void counter_done(struct counter *counter) {
    disconnect(counter);
}

__attribute__((format(printf, 2, 3))) static enum outcome fail(struct counter *counter,
                                                               const char *format, ...) {
    va_list arguments;
    int used = snprintf(counter->problem, sizeof counter->problem,
                        "Redis at %s: ", counter->settings->place);
    va_start(arguments, format);
    vsnprintf(counter->problem + used, sizeof counter->problem - (size_t)used, format, arguments);
    va_end(arguments);
    disconnect(counter);
    return FAILED;
}

/* hiredis reports a time-out of the socket as EAGAIN, which reads like an invitation. */
static enum outcome fail_connection(struct counter *counter) {
    const redisContext *redis = counter->redis;
    if (redis && redis->err == REDIS_ERR_IO && (errno == EAGAIN || errno == ETIMEDOUT))
        return fail(counter, "no answer in time");
    return fail(counter, "%s", redis && redis->err ? redis->errstr : "out of memory");
}

static enum outcome fail_reply(struct counter *counter, const char *command,
                               const redisReply *reply) {
    if (reply->type == REDIS_REPLY_ERROR)
        return fail(counter, "%s: %s", command, reply->str);
    return fail(counter, "%s: unexpected type of reply (%d)", command, reply->type);
}

/* The next reply, of which the caller becomes the owner, or NULL after fail(). */
static redisReply *take_reply(struct counter *counter) {
    void *reply = NULL;
    if (redisGetReply(counter->redis, &reply) == REDIS_OK && reply)
        return reply;
    fail_connection(counter);
    return NULL;
}

/* Takes a reply that has to be +OK, +QUEUED and the like. */
static bool take_status(struct counter *counter, const char *command) {
    redisReply *reply = take_reply(counter);
    bool good = reply && reply->type == REDIS_REPLY_STATUS;
    if (reply && !good)
        fail_reply(counter, command, reply);
    freeReplyObject(reply);
    return good;
}

static bool authenticate(struct counter *counter) {
    const struct settings *settings = counter->settings;
    if (settings->password[0] == '\0')
        return true;
    if (settings->user[0])
        redisAppendCommand(counter->redis, "AUTH %s %s", settings->user, settings->password);
    else
        redisAppendCommand(counter->redis, "AUTH %s", settings->password);
    return take_status(counter, "AUTH");
}

static bool select_database(struct counter *counter) {
    if (counter->settings->database == 0)
        return true;
    redisAppendCommand(counter->redis, "SELECT %d", counter->settings->database);
    return take_status(counter, "SELECT");
}

static bool connect_redis(struct counter *counter, int64_t deadline_ms) {
    const struct settings *settings = counter->settings;
    struct timeval timeout = time_left(deadline_ms, CONNECT_TIMEOUT_MS);
    counter->redis = settings->is_path
                         ? redisConnectUnixWithTimeout(settings->host, timeout)
                         : redisConnectWithTimeout(settings->host, settings->port, timeout);
    if (!counter->redis || counter->redis->err) {
        fail_connection(counter);
        return false;
    }
    redisSetTimeout(counter->redis, time_left(deadline_ms, COMMAND_TIMEOUT_MS));
    return authenticate(counter) && select_database(counter);
}

/* Copies the sequence numbers that Redis keeps into the batch's shards. */
static bool read_shards(struct counter *counter, struct batch *batch, const redisReply *reply) {
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != batch->shard_count) {
        fail_reply(counter, "HMGET", reply);
        return false;
    }
    for (size_t i = 0; i < batch->shard_count; i++) {
        const redisReply *last = reply->element[i];
        struct batch_shard *shard = &batch->shards[i];
        size_t size = last->type == REDIS_REPLY_STRING ? last->len : 0;
        if (size >= sizeof shard->last || (size > 0 && strspn(last->str, "0123456789") != size)) {
            fail(counter, "%s holds no sequence number for %s", counter->settings->shards_key,
                 shard->id.data);
            return false;
        }
        memcpy(shard->last, size ? last->str : "", size);
        shard->last[size] = '\0';
    }
    return true;
}

/* The count must be what INCRBY can add to: absent or a 64-bit integer. */
static bool check_count(struct counter *counter, const redisReply *reply) {
    char *end = NULL;
    if (reply->type == REDIS_REPLY_NIL)
        return true;
    if (reply->type != REDIS_REPLY_STRING) {
        fail_reply(counter, "GET", reply);
        return false;
    }
    errno = 0;
    strtoll(reply->str, &end, 10);
    if (errno == 0 && reply->len > 0 && end == reply->str + reply->len && end[-1] != ' ')
        return true;
    fail(counter, "%s is not a number", counter->settings->count_key);
    return false;
}

static void send_watch(struct counter *counter, const struct batch *batch) {
    const struct settings *settings = counter->settings;
    const char *arguments[2 + BATCH_SHARDS_MAX] = {"HMGET", settings->shards_key};
    size_t sizes[2 + BATCH_SHARDS_MAX] = {5, strlen(settings->shards_key)};
    for (size_t i = 0; i < batch->shard_count; i++) {
        arguments[2 + i] = batch->shards[i].id.data;
        sizes[2 + i] = batch->shards[i].id.size;
    }
    redisAppendCommand(counter->redis, "WATCH %s %s", settings->shards_key, settings->count_key);
    redisAppendCommandArgv(counter->redis, (int)(2 + batch->shard_count), arguments, sizes);
    redisAppendCommand(counter->redis, "GET %s", settings->count_key);
}

/* Begins to watch and learns what has been counted. */
static bool watch(struct counter *counter, struct batch *batch) {
    send_watch(counter, batch);
    if (!take_status(counter, "WATCH"))
        return false;
    redisReply *shards = take_reply(counter);
    redisReply *count = shards ? take_reply(counter) : NULL;
    bool good = count && read_shards(counter, batch, shards) && check_count(counter, count);
    freeReplyObject(shards);
    freeReplyObject(count);
    return good;
}

static int send_transaction(struct counter *counter, const struct batch *batch, size_t new_count,
                            struct lambda_bytes latest) {
    const struct settings *settings = counter->settings;
    redisContext *redis = counter->redis;
    redisAppendCommand(redis, "MULTI");
    redisAppendCommand(redis, "SET %s %b", settings->latest_key, latest.data, latest.size);
    redisAppendCommand(redis, "INCRBY %s %llu", settings->count_key, (unsigned long long)new_count);
    for (size_t i = 0; i < batch->shard_count; i++) {
        const struct batch_shard *shard = &batch->shards[i];
        redisAppendCommand(redis, "HSET %s %b %s", settings->shards_key, shard->id.data,
                           shard->id.size, shard->last);
    }
    redisAppendCommand(redis, "PUBLISH %s updated", settings->channel);
    redisAppendCommand(redis, "EXEC");
    return (int)(4 + batch->shard_count);
}

static enum outcome judge_exec(struct counter *counter, const redisReply *reply) {
    if (reply->type == REDIS_REPLY_NIL)
        return CONFLICT;
    if (reply->type != REDIS_REPLY_ARRAY)
        return fail_reply(counter, "EXEC", reply);
    for (size_t i = 0; i < reply->elements; i++) {
        if (reply->element[i]->type == REDIS_REPLY_ERROR)
            return fail_reply(counter, "EXEC", reply->element[i]);
    }
    return COUNTED;
}

static enum outcome execute(struct counter *counter, const struct batch *batch, size_t new_count,
                            struct lambda_bytes latest) {
    int queued = send_transaction(counter, batch, new_count, latest);
    for (int i = 0; i < queued; i++) {
        if (!take_status(counter, i == 0 ? "MULTI" : "a command of the transaction"))
            return FAILED;
    }
    redisReply *reply = take_reply(counter);
    enum outcome outcome = reply ? judge_exec(counter, reply) : FAILED;
    freeReplyObject(reply);
    return outcome;
}

static enum outcome count_once(struct counter *counter, struct batch *batch,
                               size_t *ret_new_count) {
    const struct batch_record *latest;
    if (!watch(counter, batch))
        return FAILED;
    size_t new_count = batch_advance(batch, &latest);
    enum outcome outcome = COUNTED;
    if (new_count > 0) {
        outcome = execute(counter, batch, new_count, latest->kinesis.data);
    } else {
        redisAppendCommand(counter->redis, "UNWATCH");
        outcome = take_status(counter, "UNWATCH") ? COUNTED : FAILED;
    }
    *ret_new_count = new_count;
    return outcome;
}

int counter_count(struct counter *counter, struct batch *batch, int64_t timeout_ms,
                  size_t *ret_new_count) {
    int64_t deadline_ms = now_ms() + timeout_ms;
    bool kept = counter->redis != NULL;
    int conflicts = 0;
    snprintf(counter->problem, sizeof counter->problem, "no time left to reach Redis");
    while (now_ms() < deadline_ms && conflicts < CONFLICTS_MAX) {
        if (!counter->redis && !connect_redis(counter, deadline_ms))
            return -1;
        redisSetTimeout(counter->redis, time_left(deadline_ms, COMMAND_TIMEOUT_MS));
        enum outcome outcome = count_once(counter, batch, ret_new_count);
        if (outcome == COUNTED)
            return 0;
        /* A kept connection may have died of old age, which says nothing about Redis. */
        if (outcome == FAILED && !kept)
            return -1;
        kept = kept && outcome != FAILED;
        conflicts += outcome == CONFLICT;
    }
    if (conflicts > 0)
        fail(counter, "other environments count the same shards; gave up after %d lost races",
             conflicts);
    else
        disconnect(counter);
    return -1;
}
