/*
 * PutRecord and PutRecords. A call goes through three steps:
 *
 *   read    every record is decoded and checked before any is put: one that breaks a constraint fails
 *           the whole call and nothing is stored
 *   put     the records go to the writer, each with a receipt. If the writer has no room, the call
 *           waits in line for it, its body staying in memory; when bodies of CALL_WAITING_BYTES_MAX
 *           wait already, it fails with ProvisionedThroughputExceededException and clients try again
 *   answer  when the ticket has committed: the receipts tell sequence numbers, or what went wrong
 *
 * A client that goes away while it waits for room has put nothing; later its records are kept all the
 * same and only the answer is dropped.
 */
#include <stdlib.h>

#include "aws/kinesis.h"
#include "base/hash_key.h"

enum { PUT_BYTES_MAX = 10 * 1024 * 1024 };

struct put {
    struct stream *stream;
    const char *name;       /* of the stream, in the call's arena */
    struct record *records; /* in the call's arena */
    size_t count, record_bytes_max;
    bool single; /* PutRecord */
    bool encrypted;
    struct stream_receipt receipts[];
};

/* ---- read ---- */

static void fail_data_length(struct call *call, size_t len, size_t len_max, size_t item) {
    struct buf path = {0};
    if (item)
        buf_printf(&path, "records.%zu.member.data", item);
    else
        buf_add_str(&path, STR("data"));
    call_fail(
        call, "ValidationException",
        "1 validation error detected: Value 'java.nio.HeapByteBuffer[pos=0 lim=%zu cap=%zu]' "
        "at '%.*s' failed to satisfy constraint: Member must have length less than or equal to "
        "%zu",
        len, len, STR_ARG(buf_str(&path)), len_max);
    buf_done(&path);
}

static bool check_record(struct call *call, const struct record *record, size_t bytes_max,
                         size_t item) {
    hash_key parsed;
    if (record->data.len > bytes_max) {
        fail_data_length(call, record->data.len, bytes_max, item);
        return false;
    }
    if (record->data.len + record->partition_key.len > bytes_max) {
        call_fail(call, "InvalidArgumentException",
                  "Data and partition key together must not be longer than %zu bytes", bytes_max);
        return false;
    }
    if (record->explicit_hash_key.len && !hash_key_parse(record->explicit_hash_key, &parsed)) {
        call_fail(call, "InvalidArgumentException",
                  "Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. "
                  "Specified value was %.*s",
                  STR_ARG(record->explicit_hash_key));
        return false;
    }
    return true;
}

/* The members of one record, in any order. The data goes to call->scratch, which has room for all. */
static bool read_record(struct call *call, struct json_value from, const struct put *put,
                        struct record *record, size_t item) {
    for (struct json_cursor cursor = json_each(from); json_next(&cursor);) {
        if (json_type(cursor.value) == JSON_NULL)
            continue;
        if (json_str_eq(cursor.key, STR("Data"))) {
            size_t before = buf_len(&call->scratch);
            if (!aws_input_blob(cursor.value, &call->scratch, &call->arena)) {
                call_fail(call, "SerializationException", "Data is not valid base64");
                return false;
            }
            record->data =
                str_from(buf_at(&call->scratch) + before, buf_len(&call->scratch) - before);
        } else if (json_str_eq(cursor.key, STR("PartitionKey"))) {
            record->partition_key = json_str(cursor.value, &call->arena);
        } else if (json_str_eq(cursor.key, STR("ExplicitHashKey"))) {
            record->explicit_hash_key = json_str(cursor.value, &call->arena);
        }
    }
    return check_record(call, record, put->record_bytes_max, item);
}

static bool read_records(struct call *call, struct json_value list, struct put *put) {
    size_t bytes = 0, item = 0;
    for (struct json_cursor cursor = json_each(list); json_next(&cursor); item++) {
        struct record *record = &put->records[item];
        if (!read_record(call, cursor.value, put, record, item + 1))
            return false;
        bytes += record->data.len + record->partition_key.len;
    }
    if (bytes > PUT_BYTES_MAX) {
        call_fail(call, "InvalidArgumentException", "Records size exceeds 10 MB limit");
        return false;
    }
    return true;
}

static struct put *put_new(struct call *call, const struct catalog_stream *target, size_t count) {
    struct put *put = xcalloc(1, sizeof *put + count * sizeof put->receipts[0]);
    put->stream = target->stream;
    put->name = arena_strdup(&call->arena, str_of(target->name));
    put->encrypted = target->key_id;
    put->count = count;
    put->record_bytes_max = (size_t)catalog_record_kib(target) * 1024;
    put->records = arena_zalloc(&call->arena, count * sizeof *put->records);
    call->state = put;
    buf_clear(&call->scratch);
    buf_room(&call->scratch, call->request->body.len + 1); /* what is decoded is shorter */
    return put;
}

/* ---- answer ---- */

static const char *failure_text(int status) {
    return status == ERR_NOT_FOUND ? "The stream was deleted." : err_text(status);
}

static void put_success(struct call *call, const struct put *put,
                        const struct stream_receipt *receipt) {
    char number[STREAM_SEQUENCE_CHARS], id[STREAM_SHARD_ID_CHARS];
    stream_sequence_text(put->stream, receipt->shard, receipt->counter, receipt->arrival_ms,
                         number);
    stream_shard_id(receipt->shard, id);
    aws_member_string(&call->output, "SequenceNumber", str_from(number, STREAM_SEQUENCE_CHARS - 1));
    aws_member_string(&call->output, "ShardId", str_from(id, STREAM_SHARD_ID_CHARS - 1));
}

static void put_encryption(struct call *call, const struct put *put) {
    if (put->encrypted)
        aws_member_string(&call->output, "EncryptionType", STR("KMS"));
}

static void fail_gone(struct call *call, const struct put *put) {
    call_fail(call, "ResourceNotFoundException", "Stream %s under account %s not found.", put->name,
              call->aws->config->account);
}

static void answer_single(struct call *call, const struct put *put) {
    const struct stream_receipt *receipt = &put->receipts[0];
    if (receipt->status == ERR_NOT_FOUND) {
        fail_gone(call, put);
    } else if (receipt->status == ERR_FULL) {
        struct buf text = {0};
        kinesis_limit_text(call->aws, put->name, receipt->shard, &text);
        call_fail(call, kinesis_throttled_type, "%.*s", STR_ARG(buf_str(&text)));
        buf_done(&text);
    } else if (receipt->status) {
        call_fail(call, "InternalFailure", "The record is not stored: %s",
                  failure_text(receipt->status));
    } else {
        aws_map_begin(&call->output);
        put_success(call, put, receipt);
        put_encryption(call, put);
        aws_map_end(&call->output);
        call_answer(call);
    }
}

static void put_failure(struct call *call, const struct put *put,
                        const struct stream_receipt *receipt) {
    struct buf text = {0};
    bool limited = receipt->status == ERR_FULL;
    if (limited)
        kinesis_limit_text(call->aws, put->name, receipt->shard, &text);
    else
        buf_add_str(&text, str_of(failure_text(receipt->status)));
    aws_member_string(&call->output, "ErrorCode",
                      limited ? str_of(kinesis_throttled_type) : STR("InternalFailure"));
    aws_member_string(&call->output, "ErrorMessage", buf_str(&text));
    buf_done(&text);
}

static void answer_all(struct call *call, const struct put *put) {
    struct aws_output *output = &call->output;
    int64_t failed = 0;
    aws_map_begin(output);
    aws_key(output, "Records");
    aws_list_begin(output);
    for (size_t i = 0; i < put->count; i++) {
        const struct stream_receipt *receipt = &put->receipts[i];
        aws_map_begin(output);
        if (receipt->status) {
            put_failure(call, put, receipt);
            failed++;
        } else {
            put_success(call, put, receipt);
        }
        aws_map_end(output);
    }
    aws_list_end(output);
    aws_member_int(output, "FailedRecordCount", failed);
    put_encryption(call, put);
    aws_map_end(output);
    call_answer(call);
}

/* A stream that was deleted meanwhile cannot tell sequence numbers any more. */
static void answer(struct call *call) {
    struct put *put = call->state;
    for (size_t i = 0; stream_is_deleted(put->stream) && i < put->count; i++)
        put->receipts[i].status = ERR_NOT_FOUND;
    if (put->single)
        answer_single(call, put);
    else
        answer_all(call, put);
}

/* ---- put ---- */

/* NULL: the stream was deleted while the call waited, and must not be touched any more. */
static struct catalog_stream *target_of(struct call *call, const struct put *put) {
    struct catalog_stream *target = catalog_find(&call->aws->catalog, str_of(put->name));
    return target && target->stream == put->stream ? target : NULL;
}

/* FULL: beyond a limit of its shard; receipt->shard says which. */
static int put_one(struct call *call, const struct put *put, struct catalog_stream *target,
                   const struct record *record, struct stream_receipt *receipt) {
    if (call->aws->config->limits.head.conf &&
        stream_shard_for(put->stream, record, &receipt->shard) == 0 &&
        !kinesis_limit_write(call, target, receipt->shard, record)) {
        metric_add(&call->aws->throttled, 1);
        return ERR_FULL;
    }
    return stream_writer_put(call->aws->services.writer, put->stream, record, receipt);
}

static void put_all(struct call *call) {
    struct put *put = call->state;
    struct stream_writer *writer = call->aws->services.writer;
    struct catalog_stream *target = target_of(call, put);
    bool staged = false;
    if (!target) {
        fail_gone(call, put);
        return;
    }
    call->ticket = sink_gate_ticket(stream_writer_gate(writer));
    for (size_t i = 0; i < put->count; i++) {
        struct stream_receipt *receipt = &put->receipts[i];
        int status = put_one(call, put, target, &put->records[i], receipt);
        if (status)
            receipt->status = status;
        else
            staged = true;
    }
    if (staged)
        list_push_back(&call->aws->committing, &call->link);
    else
        answer(call);
}

static void fail_throttled(struct call *call) {
    const struct put *put = call->state;
    metric_add(&call->aws->throttled, (int64_t)put->count);
    call_fail(call, kinesis_throttled_type, "Rate exceeded for stream %s under account %s.",
              put->name, call->aws->config->account);
}

static void put_or_wait(struct call *call) {
    struct aws *aws = call->aws;
    size_t bytes = call->request->body.len;
    if (list_empty(&aws->waiting) && sink_gate_has_room(stream_writer_gate(aws->services.writer))) {
        put_all(call);
    } else if (aws->waiting_bytes + bytes > CALL_WAITING_BYTES_MAX) {
        fail_throttled(call);
    } else {
        call->waiting_bytes = bytes;
        aws->waiting_bytes += bytes;
        list_push_back(&aws->waiting, &call->link);
    }
}

static struct call *pop_waiting(struct aws *aws) {
    struct call *call = LIST_ITEM(list_pop_front(&aws->waiting), struct call, link);
    aws->waiting_bytes -= call->waiting_bytes;
    return call;
}

/* ---- the gate ---- */

static void on_room(struct sink_gate_listener *listener) {
    struct aws *aws = CONTAINER_OF(listener, struct aws, gate);
    struct sink_gate *gate = stream_writer_gate(aws->services.writer);
    while (!list_empty(&aws->waiting) && sink_gate_has_room(gate)) {
        struct call *call = pop_waiting(aws);
        if (call->request)
            put_all(call);
        else
            call_end(call);
    }
}

static void on_commit(struct sink_gate_listener *listener, uint64_t ticket, int status) {
    struct aws *aws = CONTAINER_OF(listener, struct aws, gate);
    while (!list_empty(&aws->committing)) {
        struct call *call = LIST_ITEM(aws->committing.next, struct call, link);
        if (call->ticket > ticket)
            return;
        list_remove(&call->link);
        answer(call);
    }
}

void kinesis_listen(struct aws *aws) {
    aws->gate.on_commit = on_commit;
    aws->gate.on_room = on_room;
    sink_gate_listen(stream_writer_gate(aws->services.writer), &aws->gate);
}

void kinesis_drop_waiting(struct aws *aws) {
    while (!list_empty(&aws->waiting))
        fail_throttled(pop_waiting(aws));
}

/* ---- the operations ---- */

void kinesis_put_record(struct call *call) {
    struct catalog_stream *target = call_readable_stream(call);
    if (!target)
        return;
    struct put *put = put_new(call, target, 1);
    put->single = true;
    if (read_record(call, call->input, put, put->records, 0))
        put_or_wait(call);
}

void kinesis_put_records(struct call *call) {
    struct catalog_stream *target = call_readable_stream(call);
    if (!target)
        return;
    struct json_value list = call_value(call, "Records");
    struct put *put = put_new(call, target, json_count(list));
    if (read_records(call, list, put))
        put_or_wait(call);
}
