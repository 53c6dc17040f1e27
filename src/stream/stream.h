/*
 * Streams: durable, sharded, segmented logs with cursors, in Kinesis's terms. The one durable
 * primitive of Weir: data streams, the buffers of delivery streams and (later) queued messages are
 * all streams of this kind.
 *
 * Threads. One log thread per data directory owns every shard: it alone writes, syncs, rolls
 * segments, enforces retention. Producers hold a *writer* on their own loop and stage records into
 * it; consumers hold a *reader* on their own loop and read committed records from the segment
 * files. Both talk with the log thread by messages. Functions are for the thread named in their
 * remark: [main] before the loops run or while they are quiet, [owner] the loop that the object was
 * made for, [service] the one loop that changes streams while they run (before the loops run: main).
 * What has no remark is constant and may be asked on any thread.
 *
 * Life of a record: sink_push() -> staging buffer of (writer, shard) -> end of turn: sealed batch
 * -> log thread: one write per shard, one fdatasync for all -> committed -> writer's gate
 * listeners, readers' on_ready.
 */
#ifndef STREAM_STREAM_H
#define STREAM_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/option.h"
#include "flow/sink.h"
#include "io/facts.h"
#include "io/file.h"
#include "io/loop.h"

struct stream_log;
struct stream;
struct stream_writer;
struct stream_reader;

/* ---- the log of a data directory ---- */

enum stream_sync { STREAM_SYNC_ALWAYS, STREAM_SYNC_INTERVAL, STREAM_SYNC_NONE };

/* What happens at a damaged block in the middle of a shard. Both are told in the log with file and
 * offset, and counted. */
enum stream_corrupted {
    STREAM_CORRUPTED_SKIP, /* readers go on behind it */
    STREAM_CORRUPTED_STOP, /* readers stay before it; a stream that is found damaged when it is opened
                              is not opened */
};

struct stream_log_config {
    const char *directory; /* DATA/streams, /deliveries, /sessions, ... are made below it */
    enum stream_sync sync;
    int64_t sync_interval_ms;  /* STREAM_SYNC_INTERVAL */
    int64_t segment_bytes_max; /* 0: 64 MiB */
    int64_t staging_bytes_max; /* per writer: bytes staged, memory under way; 0: 8 MiB. Beyond it:
                                  has_room() is false */
    enum stream_corrupted corrupted; /* of streams that no configuration names */
    bool defers_sync; /* what the streams are found to hold is synced by stream_open_rest(), for all
                         at once; no writer and no reader before it */
    const struct file_ops *file; /* NULL: file_ops_real */
};

/* Opens the directory and starts the log thread. [main] */
int stream_log_open(const struct stream_log_config *config, struct stream_log **ret_log,
                    struct err *err);

/* Writes and commits what was sealed, stops the thread, frees all streams. All writers and readers
 * must be closed. [main] */
void stream_log_close(struct stream_log *log);

/* The program is about to end: what an engine on another machine has not taken within `grace_ms`
 * fails, so that no ticket waits for a machine that is down. [main] */
void stream_log_finish(struct stream_log *log, unsigned grace_ms);

/* ---- streams ---- */

enum stream_kind {
    STREAM_DATA,     /* a Kinesis data stream; kept for retention_ms */
    STREAM_DELIVERY, /* the buffer of a delivery stream; kept until released (stream_release), at
                        most bytes_max */
    STREAM_ACTION,   /* the log of a rule's action (src/action/): kept as STREAM_DELIVERY is */
    STREAM_SESSIONS, /* the broker's journal (flow/journal.h); kept until released. No API shows it */
    STREAM_REQUESTS, /* what clients ask of a part inside (src/things/), in the order in which it is
                        done; kept as STREAM_DELIVERY is. No API shows it */
};

/*
 * Engines beside the log of the data directory (docs/OPERATIONS.md, "Streams on Kafka"). Keys and
 * values as librdkafka and Kinesis name them; all that they point to outlives the log.
 */
struct stream_kafka_config {
    struct option_head head; /* head.conf NULL: none */
    struct option_strings brokers;
    const char *topic; /* NULL: the stream's name */
    const char *group; /* NULL: this node reads all shards; else nodes of one group share them */
    const char *security_protocol, *sasl_mechanism, *sasl_username, *sasl_password;
    const char *ssl_ca_location, *ssl_certificate_location, *ssl_key_location, *ssl_key_password;
    struct option_pairs properties; /* any other of librdkafka's */
};
extern const struct option stream_kafka_options[];

struct stream_kinesis_config {
    struct option_head head; /* head.conf NULL: none */
    const char *endpoint;    /* http(s)://host[:port]; NULL: Amazon's of the region */
    const char *region;
    const char *stream; /* NULL: the stream's name */
    const char *access_key_id, *secret_access_key, *session_token;
    const char *ca_path;
    int64_t poll_interval_ms; /* of a reader that found nothing */
};
extern const struct option stream_kinesis_options[];

/* What the tables cannot see. */
int stream_kafka_check(const struct stream_kafka_config *config, struct err *err);
int stream_kinesis_check(const struct stream_kinesis_config *config, struct err *err);

struct stream_config {
    const char *name; /* 1..128 of [a-zA-Z0-9_.-]; 1..192 of STREAM_ACTION */
    enum stream_kind kind;
    int64_t shard_count; /* 1..10000; an existing stream keeps its shards: another count is an error
                            here */
    int64_t retention_ms; /* STREAM_DATA */
    /* STREAM_DATA: what clients may put; 0: whoever serves them decides */
    int64_t record_bytes_max;
    int64_t bytes_max; /* 0: unbounded. STREAM_DATA: the oldest segments go; the other kinds: pushes
                          fail with NO_SPACE */
    int64_t segment_bytes_max; /* 0: the log's */
    enum stream_corrupted corrupted;
    int compression_level; /* 1..9: blocks become zstd frames where that makes them shorter; 0: not */
    /* At most one; NULL: the log. The number of shards is then the other side's. */
    const struct stream_kafka_config *kafka;
    const struct stream_kinesis_config *kinesis;
};

/* Opens the stream, recovering its shards (torn tail cut, damaged segments kept aside and reported
 * in the log), or makes it. A stream that was split or merged keeps the shards it has, whatever
 * shard_count says; retention_ms of the configuration takes the place of the one it was left with.
 * [main] */
int stream_open(struct stream_log *log, const struct stream_config *config,
                struct stream **ret_stream, struct err *err);

/* Opens the data streams of the directory that are not open yet: those that were made while the log
 * ran. Once, after all calls of stream_open(). [main] */
int stream_open_rest(struct stream_log *log, struct err *err);

/* The same for the logs of actions, which are bounded by what the configuration says of them; one
 * that it does not name any more takes no records and is not bounded. [main] */
int stream_open_actions(struct stream_log *log, struct err *err);

/* NULL: there is none, it is not made yet, or it is being deleted. [service] */
struct stream *stream_find(struct stream_log *log, enum stream_kind kind, struct str name);

/*
 * A stream is a valid pointer until `done` of its deletion has run; beyond that for who holds a
 * reference, taken before, or a reader: then nothing but its name and creation time means anything.
 * All references are given back before the log is closed. [service]
 */
struct stream *stream_ref(struct stream *stream);
void stream_unref(struct stream *stream);            /* NULL is fine */
bool stream_is_deleted(const struct stream *stream); /* or about to be; [service] */

const char *stream_name(const struct stream *stream);
unsigned stream_shard_count(const struct stream *stream); /* [service] */

/* Seconds since 1970 when the stream was made. No two streams of one name have the same. */
uint64_t stream_created_s(const struct stream *stream);

/* "shardId-000000000003" */
enum { STREAM_SHARD_ID_CHARS = 21 };
void stream_shard_id(unsigned shard, char ret_text[STREAM_SHARD_ID_CHARS]);

/* Which shard a record of this key goes to: the MD5 of the key, or the explicit hash key, in the
 * shards' ranges (Kinesis developer guide, "Partition key"). INVALID for a bad explicit hash key.
 * [service] */
int stream_shard_for(const struct stream *stream, const struct record *record, unsigned *ret_shard);

/* Consumers of a stream that keeps until released are done with all records of the shard below
 * `counter`: their segments may go. [any loop thread] */
void stream_release(struct stream *stream, unsigned shard, uint64_t counter);

/* ---- sequence numbers ---- */

/* Within a shard records are counted from 0 without gaps; outside, the counter appears as a Kinesis
 * sequence number: 56 decimal digits that hold the shard's creation time, number, counter and
 * arrival second (docs/formats/sequence-number.md). Numbers of a shard exceed those of the shards
 * that it was made from. [service] */
enum { STREAM_SEQUENCE_CHARS = 57 };
void stream_sequence_text(const struct stream *stream, unsigned shard, uint64_t counter,
                          uint64_t arrival_ms, char ret_text[STREAM_SEQUENCE_CHARS]);

/* INVALID if it is none, or not of this stream and shard. [service] */
int stream_sequence_parse(const struct stream *stream, unsigned shard, struct str text,
                          uint64_t *ret_counter);

/* ---- writing ---- */

/* A producer's place in the log: one per loop thread. Its turn hook seals the staging buffers at
 * the end of each turn. [owner] */
struct stream_writer *stream_writer_new(struct stream_log *log, struct loop *loop);

/* Only after its gate has reported every ticket (stream_writer_idle). NULL is fine. The loop must
 * run on, or be freed (loop_free), before the log is closed. [owner] */
void stream_writer_free(struct stream_writer *writer);
bool stream_writer_idle(const struct stream_writer *writer);

struct sink_gate *stream_writer_gate(struct stream_writer *writer);

/* SINK_STREAM finds data streams, SINK_DELIVERY delivery buffers, SINK_ACTION logs of actions. The
 * sink of a stream that was deleted says NOT_FOUND from then on; a stream that was made later under
 * the same name has another sink, which `find` gives. */
struct sink_resolver *stream_writer_resolver(struct stream_writer *writer);

/*
 * A push that tells afterwards which sequence number the record got, for PutRecord and PutRecords:
 * as sink_push() on the writer's sink of the stream. The receipt is the caller's; when 0 was
 * returned it is filled in when the ticket commits, before on_commit of the gate's listeners runs,
 * and must stay until then. [owner]
 */
struct stream_receipt {
    struct link link; /* the writer's, until the commit */
    uint64_t ticket;
    unsigned shard;   /* set at once */
    uint64_t counter; /* set at the commit, if status is 0 */
    uint64_t arrival_ms;
    int status;                /* of this record; its ticket may have failed for another's sake */
    const struct chunk *chunk; /* the writer's, until the commit */
    const struct engine_batch *sent; /* the same */
};
int stream_writer_put(struct stream_writer *writer, struct stream *stream,
                      const struct record *record, struct stream_receipt *receipt);

/*
 * The journal of one thread, over a STREAM_SESSIONS or STREAM_REQUESTS stream with one shard; all
 * threads have the same stream, and what they append is in the order in which their batches reached
 * the log thread. The writer must outlive it. [owner]
 */
struct journal;
struct journal *stream_journal_new(struct stream_writer *writer, struct stream *stream,
                                   struct loop *loop);
void stream_journal_free(struct journal *journal); /* NULL is fine */

/* Sends what is staged to the log thread now, as the end of the turn does: what any thread stages
 * because of what this one does next, comes behind it. [owner] */
void stream_writer_seal(struct stream_writer *writer);

/* ---- changing streams while they run: all of it [service], on `loop` ---- */

/*
 * All are asynchronous: if 0 was returned, `done` runs on `loop`, never before the call returns, when
 * the change is on disk and in force for every writer. One change per stream at a time: FULL while
 * another is under way. What is wrong with the arguments is told at once; `status` of `done` is 0,
 * NO_SPACE or IO: then all is as it was. Every writer's loop must run on until `done`, and `done`
 * must have run before the log is closed.
 */
typedef void stream_change_cb(void *data, int status, struct stream *stream);

/* Whether any change is on its way. Who ends the loops waits until there is none; that takes no
 * longer than the slowest writer's loop needs for its turn. */
bool stream_log_changing(const struct stream_log *log);

/* EXISTS: also while one of this name is being made. What `config` points to is copied. `stream` of
 * `done` is NULL if it failed. */
int stream_create(struct stream_log *log, struct loop *loop, const struct stream_config *config,
                  stream_change_cb *done, void *data, struct err *err);

/* Nothing can be put, opened or found any more once it was called; readers that are open get CLOSED
 * when it is done; the files go. A failed deletion (the stream's state could not be written) leaves
 * the stream as it was. */
int stream_delete(struct stream *stream, struct loop *loop, stream_change_cb *done, void *data);

/*
 * Kinesis API SplitShard: closes the shard; its range is cut at `key`, which begins the upper one of
 * the two new shards; the lower range gets the lower number. Records that were staged before a writer
 * heard of it still go to the parent; none of a child is committed before the parent has its last
 * one. NOT_FOUND: no such shard; CLOSED: it is closed; INVALID: `key` leaves one of the two without a
 * key, or the stream is a delivery's; FULL: the stream has had STREAM_SHARDS_MAX shards, or another
 * change is under way.
 */
enum { STREAM_SHARDS_MAX = 100000 }; /* numbers of one stream, removed ones included */
int stream_split(struct stream *stream, struct loop *loop, unsigned shard, unsigned __int128 key,
                 stream_change_cb *done, void *data, struct err *err);

/* MergeShards: closes both; one new shard has their ranges, and them as parents. INVALID: the ranges
 * do not touch each other. Else as stream_split(). */
int stream_merge(struct stream *stream, struct loop *loop, unsigned shard, unsigned adjacent,
                 stream_change_cb *done, void *data, struct err *err);

/* Data streams only (else INVALID). What is too old goes within some seconds. */
int stream_set_retention(struct stream *stream, struct loop *loop, int64_t retention_ms,
                         stream_change_cb *done, void *data);

/* Why nothing of this can be done with the stream (it is one of another machine); NULL: it can. */
const char *stream_unchanged(const struct stream *stream);

/* Whether it is known how many records its shards have. False of a stream of another Kinesis: its
 * next_counter is a moment, good for nothing but to go on from. */
bool stream_is_counted(const struct stream *stream);

enum { STREAM_NO_SHARD = -1 };

struct stream_shard_info {
    bool open;
    bool removed; /* closed, and retention took its last record: it is not listed any more and what
                     follows but the counters may be 0 */
    int parent, adjacent_parent;   /* STREAM_NO_SHARD: none */
    unsigned __int128 start, end;  /* of the hash range, inclusive */
    uint64_t first_counter;        /* oldest record kept (next_counter if none) */
    uint64_t next_counter;         /* where the next record goes; of a closed shard: its end */
    uint64_t opened_ms, closed_ms; /* 0: open. opened_ms of a child is later than its parents' by a
                                      second at least, if need be ahead of the clock */
};

/* Shards are numbered 0..stream_shard_count()-1, closed and removed ones included; a number is never
 * used again. Parents may have been removed. [service] */
void stream_shard_get(const struct stream *stream, unsigned shard,
                      struct stream_shard_info *ret_info);

/* Calls `each` for every stream of the kind that stream_find() finds, sorted by name. [service] */
void stream_each_kind(struct stream_log *log, enum stream_kind kind,
                      void (*each)(void *data, struct stream *stream), void *data);

/* The same for data streams. */
void stream_each(struct stream_log *log, void (*each)(void *data, struct stream *stream),
                 void *data);
int64_t stream_retention_ms(const struct stream *stream);     /* [service] */
int64_t stream_record_bytes_max(const struct stream *stream); /* as it was opened with */

/* ---- reading ---- */

enum stream_from {
    STREAM_TRIM_HORIZON,
    STREAM_LATEST,       /* resolved when the reader is opened */
    STREAM_AT_TIMESTAMP, /* first record with arrival >= timestamp_ms */
    STREAM_AT_COUNTER, /* that record, or the oldest if it is gone, or the tip if it lies beyond */
};

struct stream_position {
    enum stream_from from;
    uint64_t timestamp_ms;
    uint64_t counter;
};

struct stream_record {
    uint64_t counter;
    uint64_t arrival_ms; /* wall clock when the producer staged it; never falls within a shard */
    struct str partition_key;
    struct str data;
};

struct stream_batch {
    const struct stream_record *records; /* valid until the next call on the reader */
    size_t count;
    size_t bytes; /* of data */
};

/*
 * A cursor on one shard; it holds a position, not the data: what retention removes is gone, and the
 * reader goes on at the oldest record left (stream_reader_skipped counts). `on_ready` runs, never
 * before the call returns, when stream_reader_next() may have records again, or CLOSED, after it
 * said AGAIN. NOT_FOUND: no such shard, or the stream is deleted; a closed shard can be opened as
 * any other. [service]
 */
int stream_reader_open(struct stream *stream, unsigned shard, struct loop *loop,
                       const struct stream_position *position,
                       void (*on_ready)(struct stream_reader *reader, void *data), void *data,
                       struct stream_reader **ret_reader, struct err *err);

/* Asynchronous; on_ready does not run any more; the memory goes by itself. NULL is fine. The log
 * thread posts nothing to the loop any more, so it may end at once; it must run on for a turn, or be
 * freed (loop_free), before the log is closed. [owner] */
void stream_reader_close(struct stream_reader *reader);

/*
 * Up to `records_max` records and about `bytes_max` bytes of data (at least one record if there is
 * any), in order, and moves behind them. AGAIN: nothing committed beyond the position now. CLOSED: the
 * shard is closed and all of it was read (it says so again and again; stream_reader_seek() may move
 * back), or the stream was deleted (stream_is_deleted). CORRUPT: a block in the middle does not
 * check; it was reported in the log and counted, and the next call goes on behind it. STOPPED: the
 * same with STREAM_CORRUPTED_STOP, again and again until the file is mended or the reader is moved
 * behind the place.
 */
int stream_reader_next(struct stream_reader *reader, size_t records_max, size_t bytes_max,
                       struct stream_batch *ret_batch);

/* Moves back or on to a counter. */
void stream_reader_seek(struct stream_reader *reader, uint64_t counter);

uint64_t stream_reader_counter(const struct stream_reader *reader); /* of the next record */
uint64_t
stream_reader_skipped(const struct stream_reader *reader); /* records lost to retention or damage */

/* AGAIN was said although there may be records: they are on their way from another machine. on_ready
 * runs when they have come, or when it is known that there are none. */
bool stream_reader_pending(const struct stream_reader *reader);

/* How far behind: records committed beyond the position, and the age of the next one (0 at the
 * tip). */
void stream_reader_lag(const struct stream_reader *reader, uint64_t *ret_records,
                       uint64_t *ret_behind_ms);

/* ---- consumers that share a stream among nodes ---- */

/* Whether they do: several Weirs have the stream, each shard is worked on by one of them at a time,
 * and how far a consumer has come is kept where all see it, not in the facts. */
bool stream_is_shared(const struct stream *stream);

/* This node's part in the consumer `name`. All of it on the loop that joined. */
struct stream_member;

struct stream_member_events {
    /* The shard is this node's from now on. `counter`: of the next record; not known: the consumer has
     * never committed one. `note`: what was committed with it. */
    void (*on_gained)(void *data, unsigned shard, bool known, uint64_t counter, struct str note);
    /* It is another's when this returns. */
    void (*on_lost)(void *data, unsigned shard);
};

/* The events never run before this returns. */
int stream_member_join(struct stream *stream, const char *name, struct loop *loop,
                       const struct stream_member_events *events, void *data,
                       struct stream_member **ret_member, struct err *err);

/* How far the shard has come; some time later all nodes know. Nothing if it is not this node's. */
void stream_member_commit(struct stream_member *member, unsigned shard, uint64_t counter);

/*
 * The same with a note of at most STREAM_NOTE_BYTES_MAX characters, at once; one at a time per
 * shard. If 0 was returned `done` runs, never before that: 0 when all nodes know, else an error;
 * CLOSED: the shard was lost (on_lost follows). CLOSED is returned if it is not this node's.
 */
enum { STREAM_NOTE_BYTES_MAX = 3000 };
int stream_member_note(struct stream_member *member, unsigned shard, uint64_t counter,
                       struct str note, void (*done)(void *data, int status), void *data);

/* `done` of the shard's note does not run any more; whether it was committed stays open. */
void stream_member_forget_note(struct stream_member *member, unsigned shard);

/* Its shards are another's some time later; no event runs any more. The memory goes with the log; the
 * loop must run on for a turn, or be freed, before that. NULL is fine. */
void stream_member_leave(struct stream_member *member);

/* ---- checkpoints, in the table "checkpoint" ---- */

/* How far the consumer `name` ("mapping/ID", "delivery/NAME") has come in a shard: counter of the
 * next record. NOT_FOUND at first. */
int stream_checkpoint_get(struct facts *facts, const struct stream *stream, unsigned shard,
                          const char *name, uint64_t *ret_counter);
int stream_checkpoint_put(struct facts_write *write, const struct stream *stream, unsigned shard,
                          const char *name, uint64_t counter);
int stream_checkpoint_delete(struct facts_write *write, const struct stream *stream, unsigned shard,
                             const char *name); /* absent is fine */

/*
 * Checkpoints of many consumers, written together: one transaction, and so one fsync, for everything
 * that changed in the last STREAM_CHECKPOINT_MS, on libuv's pool so that no loop waits for the disk.
 * A crash loses at most that much progress, and the records come again. A write that fails is repeated
 * every STREAM_CHECKPOINT_RETRY_MS; nothing is lost meanwhile but the progress. [owner]
 */
enum { STREAM_CHECKPOINT_MS = 100, STREAM_CHECKPOINT_RETRY_MS = 1000 };

/* Embedded in whoever reads the shard, who keeps it until the writer is closed or has forgotten it. */
struct stream_checkpoint {
    struct link link; /* in the writer's list of changed ones */
    const struct stream *stream;
    unsigned shard;
    const char *name;             /* of the consumer */
    uint64_t counter;             /* of the next record to be read */
    struct stream_member *member; /* not NULL: nodes share the stream, and it is kept there */
};

struct stream_checkpoint_writer;

struct stream_checkpoint_writer *stream_checkpoint_writer_new(struct loop *loop,
                                                              struct facts *facts);

/* Notes the progress; it is on disk some time later. */
void stream_checkpoint_set(struct stream_checkpoint_writer *writer,
                           struct stream_checkpoint *checkpoint, uint64_t counter);

/* What was noted of it may not be written any more. False: it is being written at present and must
 * stay a little longer; ask again. */
bool stream_checkpoint_forget(struct stream_checkpoint_writer *writer,
                              struct stream_checkpoint *checkpoint);

/* Writes what has changed (tried once), then `closed`, and the memory is gone. `closed` never runs
 * before this returns. */
void stream_checkpoint_writer_close(struct stream_checkpoint_writer *writer,
                                    void (*closed)(void *data), void *data);

/* ---- records that a producer library has packed into one ---- */

enum { STREAM_AGGREGATE_KEYS_MAX = 65536 };

struct stream_user_record {
    struct str partition_key, data; /* views into the packed record */
};

struct stream_aggregate {
    size_t count; /* of records */
    struct str rest, *keys;
    size_t key_count;
};

/* False: the data is none that checks in every part, so it is a record like any other; nothing is
 * to be closed. `data` must stay. The n-th record has the sequence number of the packed one and the
 * subsequence number n, from 0. Pure. */
bool stream_aggregate_open(struct stream_aggregate *aggregate, struct str data);
bool stream_aggregate_next(struct stream_aggregate *aggregate,
                           struct stream_user_record *ret_record);
void stream_aggregate_close(struct stream_aggregate *aggregate);

/* ---- named consumers of data streams: cursors that anybody may have, any number ---- */

enum { STREAM_CONSUMER_CHARS_MAX = 128 }; /* of [a-zA-Z0-9_.-] */

/* How far a consumer has come in one shard. A shard that it has no position in is unread. */
struct stream_consumer {
    struct str stream;
    uint64_t created_s; /* of the stream */
    unsigned shard;
    struct str name;
    uint64_t counter; /* of the next record */
};

bool stream_consumer_name_valid(const char *name);
int stream_consumer_get(struct facts *facts, struct stream_consumer *consumer); /* sets `counter` */
int stream_consumer_put(struct facts_write *write, const struct stream_consumer *consumer);
int stream_consumer_remove(struct facts_write *write, const struct stream_consumer *consumer);

/* All positions, by stream, then by creation time and shard as texts; views are valid during the call, in
 * which nothing is written. Stops when `each` returns false. */
int stream_consumer_each(struct facts *facts,
                         bool (*each)(void *data, const struct stream_consumer *consumer),
                         void *data);

/* ---- without a running log: `weir stream ls|read|verify` ---- */

/* Read-only view of what is on disk, also while another process writes: whole committed blocks
 * only. Blocking. */
struct stream_view;
int stream_view_open(const char *directory, const char *name, struct stream_view **ret_view,
                     struct err *err);

/* The same of a stream of config->kafka or config->kinesis, which is asked itself. What follows may wait
 * for it some seconds, and fail with TIMEOUT. */
int stream_view_open_engine(const struct stream_config *config, struct stream_view **ret_view,
                            struct err *err);
unsigned stream_view_shard_count(const struct stream_view *view);
uint64_t stream_view_created_s(const struct stream_view *view);

struct stream_view_info {
    bool counted;               /* the two counters are known (stream_is_counted) */
    uint64_t first, next;       /* of the oldest record, and of the next one to come */
    bool sized;                 /* `bytes` is known */
    uint64_t bytes;             /* on disk */
    uint64_t first_ms, last_ms; /* arrival of the first and last record; 0: there is none, or nobody
                                   can say */
};

/* NOT_FOUND: the shard was closed, and retention has removed it. */
int stream_view_shard(struct stream_view *view, unsigned shard, struct stream_view_info *ret_info);
int stream_view_seek(struct stream_view *view, unsigned shard,
                     const struct stream_position *position);
uint64_t stream_view_counter(const struct stream_view *view,
                             unsigned shard); /* of the next record */
/* As stream_reader_next(); AGAIN at the present end. */
int stream_view_next(struct stream_view *view, unsigned shard, size_t records_max,
                     struct stream_batch *ret_batch);
void stream_view_sequence_text(const struct stream_view *view, unsigned shard, uint64_t counter,
                               uint64_t arrival_ms, char ret_text[STREAM_SEQUENCE_CHARS]);
int stream_view_sequence_parse(const struct stream_view *view, unsigned shard, struct str text,
                               uint64_t *ret_counter);
void stream_view_close(struct stream_view *view);

/* The last damaged place that stream_view_next() said CORRUPT of, as a sentence with file and
 * offset. */
void stream_view_damage(const struct stream_view *view, unsigned shard, struct buf *out);

/* What `weir stream verify` has seen so far. */
struct stream_verify_counts {
    uint64_t streams, shards, segments, blocks, records;
    uint64_t bytes, bytes_all; /* of blocks that check; of all segment files */
    uint64_t faults;
};

struct stream_verify_watch {
    /* A fault: `offset` in the file, -1 if it has none. */
    void (*fault)(void *data, const char *path, int64_t offset, const char *what);
    /* Or NULL; after every block. */
    void (*progress)(void *data, const char *path, const struct stream_verify_counts *counts);
    void *data;
};

/* Checks all data and delivery streams of a data directory, also while another process writes to
 * them; changes nothing. Fails only if it cannot look; faults are counted. Blocking. */
int stream_verify(const char *directory, const struct stream_verify_watch *watch,
                  struct stream_verify_counts *ret_counts, struct err *err);

/* Calls `each` with the name of every data stream of the directory, sorted. */
int stream_view_list(const char *directory, void (*each)(void *data, const char *name), void *data,
                     struct err *err);

#endif
