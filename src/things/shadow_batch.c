/*
 * In a batch each request sees what those before it have changed, for all reads go through the
 * transaction. What fails for one request alone (a version conflict, a bad document) changes
 * nothing and is its answer; what fails for the transaction (the disk) fails the batch.
 */
#include "things/shadow_batch.h"

#include "base/clock.h"
#include "base/wire.h"
#include "things/shadow_document.h"
#include "things/shadow_message.h"

enum { SHARD = 0, SWEEP_INTERVAL_S = 600 };

const char *const shadow_answer_tails[SHADOW_ANSWERS] = {"/accepted", "/rejected", "/documents",
                                                         "/delta"};

static const char consumer[] = "shadows", answers_table[] = "answer";

struct run {
    struct shadow_batch *batch;
    struct facts_write *write;
    struct arena arena;  /* of the present request, as what follows */
    struct str key, old; /* `old`: `kept`, or empty if that is forgotten */
    struct buf kept, fresh, token, out;
    uint64_t now_s, end_ns;
};

/* ---- answers ---- */

static void add_answer(struct run *run, const struct shadow_item *item, enum shadow_answer answer,
                       const struct buf *payload) {
    struct buf *out = &run->batch->answers, topic = {0};
    shadow_topic_write(&topic, &item->request, shadow_answer_tails[answer]);
    buf_add_u8(out, (uint8_t)(item->request.depth + 1));
    buf_add_u16be(out, (uint16_t)buf_len(&topic));
    buf_add_str(out, buf_str(&topic));
    buf_add_u32be(out, (uint32_t)buf_len(payload));
    buf_add_str(out, buf_str(payload));
    buf_done(&topic);
}

bool shadow_answers_next(struct str *rest, struct shadow_told *ret_told) {
    if (!rest->len)
        return false;
    struct wire wire = wire_over(rest->at, rest->len);
    ret_told->depth = wire_u8(&wire);
    ret_told->topic = wire_bytes(&wire, wire_u16be(&wire));
    ret_told->payload = wire_bytes(&wire, wire_u32be(&wire));
    *rest = str_from(wire.at, wire_left(&wire));
    return !wire.failed;
}

static bool wants(const struct shadow_item *item, enum shadow_answer answer) {
    return item->wanted & 1u << answer;
}

/* `run->out` is the document that the operation answers. */
static void tell_accepted(struct run *run, struct shadow_item *item) {
    struct str token = buf_str(&run->token);
    if (wants(item, SHADOW_ACCEPTED))
        add_answer(run, item, SHADOW_ACCEPTED, &run->out);
    if (item->call)
        buf_add_str(&item->output, buf_str(&run->out));
    if (item->request.operation != SHADOW_UPDATE)
        return;
    buf_clear(&run->out);
    if (wants(item, SHADOW_DOCUMENTS)) {
        shadow_message_documents(run->old, buf_str(&run->fresh), run->now_s, token, &run->out);
        add_answer(run, item, SHADOW_DOCUMENTS, &run->out);
    }
    buf_clear(&run->out);
    if (wants(item, SHADOW_DELTA) &&
        shadow_message_delta(buf_str(&run->fresh), run->now_s, token, &run->out))
        add_answer(run, item, SHADOW_DELTA, &run->out);
}

static void tell_rejected(struct run *run, const struct shadow_item *item) {
    if (item->call || !wants(item, SHADOW_REJECTED))
        return;
    buf_clear(&run->out);
    shadow_message_rejected(shadow_error_number(item->code), str_of(item->err.text), run->now_s,
                            buf_str(&run->token), &run->out);
    add_answer(run, item, SHADOW_REJECTED, &run->out);
}

unsigned shadow_error_number(int code) {
    switch (code) {
    case ERR_INVALID:
        return 400;
    case ERR_NOT_FOUND:
        return 404;
    case ERR_EXISTS:
        return 409;
    case ERR_TOO_LARGE:
        return 413;
    case ERR_UNSUPPORTED:
        return 415;
    case ERR_FULL:
        return 429;
    default:
        return 500;
    }
}

/* ---- room ---- */

struct sweep {
    struct buf keys; /* each with its length before it */
    uint64_t now_s;
};

static bool note_forgotten(void *data, struct str key, struct str value) {
    struct sweep *sweep = data;
    if (shadow_document_forgotten(value, sweep->now_s)) {
        buf_add_u16be(&sweep->keys, (uint16_t)key.len);
        buf_add_str(&sweep->keys, key);
    }
    return true;
}

/* The list is of what had been committed: this batch may have made one of them anew, or is about to. */
static bool remove_forgotten(struct run *run, struct str key) {
    struct shadow_batch *batch = run->batch;
    const char *table = batch->things->shadows.name;
    struct buf value = {0};
    bool removed = !str_eq(key, run->key) && !facts_write_get(run->write, table, key, &value) &&
                   shadow_document_forgotten(buf_str(&value), run->now_s) &&
                   !facts_delete(run->write, table, key);
    if (removed) {
        batch->count_added--;
        batch->bytes_added -= things_room_of(key, buf_str(&value));
    }
    buf_done(&value);
    return removed;
}

/* Makes room: shadows deleted long ago go. Whether it is worth to try again. */
static bool sweep_forgotten(struct run *run) {
    struct things *things = run->batch->things;
    struct sweep sweep = {.now_s = run->now_s};
    bool swept = false;
    if (run->now_s < things->swept_s + SWEEP_INTERVAL_S)
        return false;
    things->swept_s = run->now_s;
    facts_each(things->facts, things->shadows.name, (struct str){0}, note_forgotten, &sweep);
    for (struct str rest = buf_str(&sweep.keys); rest.len;) {
        struct wire wire = wire_over(rest.at, rest.len);
        swept |= remove_forgotten(run, wire_bytes(&wire, wire_u16be(&wire)));
        rest = str_from(wire.at, wire_left(&wire));
    }
    buf_done(&sweep.keys);
    return swept;
}

static int check_room(const struct run *run, int64_t more, struct err *err) {
    const struct shadow_batch *batch = run->batch;
    bool is_new = buf_len(&run->kept) == 0;
    return things_check_room(batch->things, &batch->things->shadows,
                             is_new ? batch->count_added + 1 : 0,
                             more > 0 ? batch->bytes_added + more : 0, err);
}

/* Puts `fresh` in the place of `kept`. */
static int keep(struct run *run, struct err *err) {
    struct shadow_batch *batch = run->batch;
    struct str old = buf_str(&run->kept), fresh = buf_str(&run->fresh);
    int64_t more = things_room_of(run->key, fresh) - (old.len ? things_room_of(run->key, old) : 0);
    int code = check_room(run, more, err);
    if (code == ERR_FULL && sweep_forgotten(run))
        code = check_room(run, more, err);
    if (code)
        return code;
    batch->count_added += !old.len;
    batch->bytes_added += more;
    return facts_put(run->write, batch->things->shadows.name, run->key, fresh);
}

/* ---- the operations ---- */

static int fail_absent(const struct shadow_request *request, struct err *err) {
    struct str name = request->shadow.len ? request->shadow : request->thing;
    return err_set(err, ERR_NOT_FOUND, "No shadow exists with name: '%.*s'", STR_ARG(name));
}

static int get(struct run *run, const struct shadow_request *request, struct err *err) {
    bool found = shadow_document_show(run->old, run->now_s, buf_str(&run->token), &run->out);
    return found ? 0 : fail_absent(request, err);
}

static int update(struct run *run, const struct shadow_request *request, struct err *err) {
    int code =
        shadow_document_update(run->old, request->payload, run->now_s, &run->fresh, &run->out, err);
    return code ? code : keep(run, err);
}

static int delete (struct run *run, const struct shadow_request *request, struct err *err) {
    int64_t version;
    int code = shadow_document_delete(run->old, run->now_s, &run->fresh, &version);
    if (code == ERR_NOT_FOUND)
        return fail_absent(request, err);
    if (code)
        return err_set(err, code, "The shadow that is kept is no document");
    shadow_message_deleted(version, run->now_s, buf_str(&run->token), &run->out);
    return keep(run, err);
}

/* Of what is wrong with the body, update tells itself and delete takes no notice. */
static int read_token(struct run *run, const struct shadow_request *request, struct err *err) {
    struct err ignored;
    bool is_get = request->operation == SHADOW_GET;
    if (request->too_large)
        return err_set(err, ERR_TOO_LARGE, "The payload exceeds the maximum size allowed");
    if (!request->payload.len && is_get)
        return 0;
    int code = shadow_message_token(request->payload, &run->token, is_get ? err : &ignored);
    return is_get ? code : 0;
}

static int read_kept(struct run *run, struct err *err) {
    const char *table = run->batch->things->shadows.name;
    int code = facts_write_get(run->write, table, run->key, &run->kept);
    if (code && code != ERR_NOT_FOUND)
        return err_set(err, code, "The shadow cannot be read: %s", err_text(code));
    bool forgotten = shadow_document_forgotten(buf_str(&run->kept), run->now_s);
    run->old = forgotten ? (struct str){0} : buf_str(&run->kept);
    return 0;
}

static int apply(struct run *run, const struct shadow_request *request, struct err *err) {
    static int (*const operations[])(struct run *, const struct shadow_request *,
                                     struct err *) = {get, update, delete};
    int code = read_token(run, request, err);
    if (!code)
        code = read_kept(run, err);
    return code ? code : operations[request->operation](run, request, err);
}

static void apply_item(struct run *run, struct shadow_item *item) {
    struct shadow_batch *batch = run->batch;
    arena_reset(&run->arena);
    buf_clear(&run->kept);
    buf_clear(&run->fresh);
    buf_clear(&run->token);
    buf_clear(&run->out);
    run->key = things_shadow_key(&run->arena, item->request.thing, item->request.shadow);
    item->code = apply(run, &item->request, &item->err);
    if (item->code)
        tell_rejected(run, item);
    else
        tell_accepted(run, item);
    if (!item->call)
        batch->next_counter = item->next_counter;
}

/* ---- the batch ---- */

static bool has_time(const struct run *run) {
    return run->batch->done == 0 || clock_mono_ns() < run->end_ns;
}

static void apply_items(struct run *run) {
    struct shadow_batch *batch = run->batch;
    run->end_ns = clock_mono_ns() + batch->ms_max * 1000000;
    while (batch->done < batch->count && buf_len(&batch->answers) < SHADOW_ANSWERS_BYTES_MAX &&
           has_time(run))
        apply_item(run, &batch->items[batch->done++]);
    if (batch->done == batch->count)
        batch->next_counter = batch->end_counter;
}

static void keep_progress(const struct run *run) {
    const struct shadow_batch *batch = run->batch;
    if (buf_len(&batch->answers))
        facts_put(run->write, answers_table, (struct str){0}, buf_str(&batch->answers));
    else if (batch->had_answers)
        facts_delete(run->write, answers_table, (struct str){0});
    if (batch->stream)
        stream_checkpoint_put(run->write, batch->stream, SHARD, consumer, batch->next_counter);
}

void shadow_batch_apply(struct shadow_batch *batch) {
    struct run run = {.batch = batch, .now_s = clock_wall_ms() / 1000};
    batch->status = facts_begin(batch->things->facts, &run.write, &batch->err);
    if (batch->status)
        return;
    apply_items(&run);
    keep_progress(&run);
    batch->status = facts_commit(run.write, &batch->err);
    buf_done(&run.kept);
    buf_done(&run.fresh);
    buf_done(&run.token);
    buf_done(&run.out);
    arena_done(&run.arena);
}

/* ---- what is kept beside the shadows ---- */

int shadow_answers_load(struct facts *facts, struct buf *ret_answers) {
    int code = facts_get(facts, answers_table, (struct str){0}, ret_answers);
    return code == ERR_NOT_FOUND ? 0 : code;
}

int shadow_cursor_get(struct facts *facts, const struct stream *stream, uint64_t *ret_counter) {
    return stream_checkpoint_get(facts, stream, SHARD, consumer, ret_counter);
}

int shadow_cursor_set(struct facts *facts, const struct stream *stream, uint64_t counter,
                      struct err *err) {
    struct facts_write *write;
    int code = facts_begin(facts, &write, err);
    if (code)
        return code;
    stream_checkpoint_put(write, stream, SHARD, consumer, counter);
    return facts_commit(write, err);
}
