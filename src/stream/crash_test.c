/*
 * The promises of the log under failing disks and power cuts: random work on a log without its
 * thread, some thousand times, each time from another seed (WEIR_CRASH_SEEDS: how many per test).
 * A model remembers of each record in which order it was handed over and what the producer was
 * told. Streams are opened with compression and without, in turns. In half of the seeds shards are
 * split and merged all the while; producers hear of it some steps later, each in its own time.
 */
#include "base/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "stream/cursor.h"
#include "stream/fault_file.h"
#include "stream/log.h"

enum { SEEDS = 800, SHARDS_FIRST_MAX = 3, SHARDS_MAX = 64, PRODUCERS = 2, RECORD_BYTES_MIN = 16 };

enum fate { STAGED, ACKED, FAILED, GONE };

struct model_record {
    uint32_t serial;
    enum fate fate;
    bool may_appear; /* FAILED, but the disk failed the cut as well */
};

struct model_shard {
    struct model_record *records;
    size_t count, cap;
};

struct producer {
    struct log_producer told;
    struct layout *layout, *news; /* what it goes by; what it has not heard yet */
    struct chunk_pool pool;
    struct stage stages[SHARDS_MAX];
};

struct world {
    char *directory;
    struct fault_file *fault;
    struct stream_log *log;
    struct stream *stream;
    enum stream_sync sync;
    unsigned first_shards;
    unsigned shards_least, shards_most; /* that must be, may be there after a power cut */
    struct change change;
    bool changing;
    int64_t segment_bytes;
    struct model_shard model[SHARDS_MAX];
    struct producer producers[PRODUCERS];
    uint32_t serial;
    uint64_t random, now_ms, arrival_ms;
    bool failing; /* calls fail now and then */
    bool dying;   /* the power goes in the middle of a call */
    bool uniform; /* all records have one length */
    bool large;   /* some have up to RECORD_BYTES_MAX */
    bool resharding;
    struct unpacker unpacker;
};

static uint64_t pick(struct world *world, uint64_t below) {
    world->random ^= world->random << 13;
    world->random ^= world->random >> 7;
    world->random ^= world->random << 17;
    return (world->random >> 11) % below;
}

static unsigned shard_count(const struct world *world) {
    return world->stream->layout->meta.shard_count;
}

/* ---- producers ---- */

/* Takes the reference. Nothing is staged. */
static void go_by(struct producer *producer, struct layout *layout) {
    layout_unref(producer->layout);
    producer->layout = layout;
    for (unsigned s = 0; s < layout->meta.shard_count; s++)
        producer->stages[s] = (struct stage){.shard = layout->shards[s]};
}

static void on_news(struct log_producer *told, const struct log_news *news) {
    struct producer *producer = CONTAINER_OF(told, struct producer, told);
    assert_int_equal(news->kind, NEWS_RESHAPED);
    assert_null(producer->news);
    producer->news = news->layout;
}

static void forget(struct producer *producer) {
    struct batch staged;
    batch_init(&staged);
    for (unsigned s = 0; s < producer->layout->meta.shard_count; s++)
        stage_seal(&producer->stages[s], &staged);
    batch_empty(&staged, &producer->pool);
    layout_unref(producer->layout);
    layout_unref(producer->news);
    producer->layout = producer->news = NULL;
}

/* ---- the log under test ---- */

static void open_log(struct world *world) {
    struct stream_log_config config = {.directory = world->directory,
                                       .sync = world->sync,
                                       .segment_bytes_max = world->segment_bytes,
                                       .file = fault_file_ops(world->fault)};
    struct stream_config stream = {.name = "s",
                                   .kind = STREAM_DATA,
                                   .shard_count = world->first_shards,
                                   .compression_level = (int)pick(world, 3)};
    struct err err = {0};
    int status = log_core_open(&config, &world->log, &err);
    if (status == 0)
        status = stream_open(world->log, &stream, &world->stream, &err);
    if (status)
        fail_msg("the log does not open: %s", err.text);
    for (unsigned p = 0; p < PRODUCERS; p++) {
        world->producers[p].told = (struct log_producer){.tell = on_news};
        log_attach(world->log, &world->producers[p].told);
        go_by(&world->producers[p], layout_ref(world->stream->layout));
    }
}

static void drop_batches(struct batch *batch) {
    while (batch) {
        struct batch *next = batch->next;
        batch_empty(batch, &((struct producer *)batch->owner)->pool);
        free(batch);
        batch = next;
    }
}

static void close_log(struct world *world) {
    for (unsigned p = 0; p < PRODUCERS; p++)
        forget(&world->producers[p]);
    drop_batches(world->log->pending);
    drop_batches(world->log->held);
    world->changing = false;
    log_core_close(world->log);
    world->log = NULL;
}

/* ---- the model ---- */

static void model_add(struct model_shard *model, uint32_t serial) {
    if (model->count == model->cap) {
        model->cap = model->cap ? 2 * model->cap : 64;
        model->records = xrealloc(model->records, model->cap * sizeof *model->records);
    }
    model->records[model->count++] = (struct model_record){serial, STAGED, false};
}

static struct model_record *model_find(struct model_shard *model, uint32_t serial) {
    for (size_t i = model->count; i-- > 0;)
        if (model->records[i].serial == serial)
            return &model->records[i];
    fail_msg("record %u was never handed over to this shard", serial);
    return NULL;
}

static uint32_t serial_of(struct str data) {
    uint32_t serial;
    assert_true(data.len >= sizeof serial);
    memcpy(&serial, data.at, sizeof serial);
    return serial;
}

static struct world *the_world;
static uint64_t changes_finished, deaths, blocks_packed; /* in all seeds of a test */

/* What was staged; the header may not be numbered. */
static struct str records_of(struct unpacker *unpacker, const struct chunk *chunk) {
    enum { AT_PACKING = 46 };
    struct str records = {0};
    const struct segment_block block = {.compressed = chunk->block[AT_PACKING],
                                        .count = chunk->count,
                                        .payload_bytes =
                                            (uint32_t)segment_block_payload_bytes(chunk->block),
                                        .payload = chunk->block + SEGMENT_BLOCK_HEADER_BYTES};
    assert_int_equal(unpacker_one(unpacker, &block, &records), 0);
    blocks_packed += block.compressed;
    return records;
}

static void settle_chunk(const struct chunk *chunk) {
    struct world *world = the_world;
    struct model_shard *model = &world->model[chunk->shard->index];
    int status = chunk->shard->write.status;
    struct str records = records_of(&world->unpacker, chunk);
    size_t at = 0;
    for (uint32_t i = 0; i < chunk->count; i++) {
        struct segment_record record = {0};
        assert_true(
            segment_record_read((const uint8_t *)records.at + at, records.len - at, &record));
        struct model_record *modelled = model_find(model, serial_of(record.data));
        assert_int_equal(modelled->fate, STAGED);
        if (fault_file_is_dead(world->fault))
            return; /* There is nobody any more who could be told. */
        modelled->fate = status ? FAILED : ACKED;
        modelled->may_appear = status && fault_file_failures(world->fault) > 1;
        at += record.bytes;
    }
}

static void on_home(struct batch *batch) {
    int worst = 0;
    for (struct chunk *chunk = batch->chunks; chunk; chunk = chunk->next) {
        settle_chunk(chunk);
        if (chunk->shard->write.status)
            worst = chunk->shard->write.status;
    }
    assert_int_equal(batch->status, worst);
    batch_empty(batch, &((struct producer *)batch->owner)->pool);
    free(batch);
}

/* ---- random work ---- */

static size_t record_bytes(struct world *world) {
    /* Blocks of equal length: remains of a cut write may fit behind a new one. */
    if (world->uniform)
        return RECORD_BYTES_MIN;
    if (world->large && pick(world, 16) == 0)
        return RECORD_BYTES_MAX - 1 - pick(world, RECORD_BYTES_MAX - RECORD_BYTES_DEFAULT);
    return RECORD_BYTES_MIN + pick(world, pick(world, 8) ? 100 : 680);
}

static void push(struct world *world, struct producer *producer) {
    static uint8_t data[RECORD_BYTES_MAX];
    unsigned shard = shard_map_find(&producer->layout->map, (hash_key)pick(world, 16) << 124);
    uint32_t serial = world->serial++;
    size_t len = record_bytes(world);
    memset(data, (int)serial, len);
    memcpy(data, &serial, sizeof serial);
    struct record record = {.partition_key = STR("k"), .data = str_from(data, len)};
    world->arrival_ms += pick(world, 3);
    stage_push(&producer->stages[shard], &producer->pool, &record,
               world->arrival_ms - pick(world, 2));
}

/* Records enter the model in the order in which their blocks are handed over; those that are held
 * back when they are let go. */
static void model_batch(struct world *world, const struct batch *batch) {
    for (const struct chunk *chunk = batch->chunks; chunk; chunk = chunk->next) {
        size_t at = SEGMENT_BLOCK_HEADER_BYTES;
        for (uint32_t i = 0; i < chunk->count; i++) {
            struct segment_record record = {0};
            assert_true(segment_record_read(chunk->block + at, chunk->used - at, &record));
            model_add(&world->model[chunk->shard->index], serial_of(record.data));
            at += record.bytes;
        }
    }
}

static void seal(struct world *world, struct producer *producer) {
    struct batch *batch = xmalloc(sizeof *batch);
    batch_init(batch);
    batch->home = on_home;
    batch->owner = producer;
    batch->producer = &producer->told;
    for (unsigned s = 0; s < producer->layout->meta.shard_count; s++)
        stage_seal(&producer->stages[s], batch);
    if (!producer->told.confirmed)
        model_batch(world, batch);
    log_submit(world->log, batch);
}

static void retry(struct world *world) {
    LIST_EACH(item, &world->stream->shards) {
        shard_retry(LIST_ITEM(item, struct shard, in_stream), world->now_ms);
    }
}

static void hear(struct world *world, struct producer *producer) {
    if (!producer->news)
        return;
    seal(world, producer);
    go_by(producer, producer->news);
    producer->news = NULL;
    log_confirm(world->log, &producer->told);
}

static void on_changed(struct change *change) {
    struct world *world = the_world;
    world->changing = false;
    for (struct batch *batch = world->log->held; batch; batch = batch->next)
        model_batch(world, batch);
    if (change->status == 0) {
        changes_finished++;
        world->shards_least = change->layout->meta.shard_count;
        layout_unref(change->layout);
    } else {
        assert_true(fault_file_failures(world->fault) > 0);
    }
}

static bool choose_split(struct world *world, const struct meta *meta, struct change *change) {
    hash_key start = meta->shards[change->shard].start, end = meta->shards[change->shard].end;
    change->kind = CHANGE_SPLIT;
    change->key = start + (end - start) / (2 + pick(world, 3));
    return meta_check_split(meta, change->shard, change->key, NULL) == 0;
}

static bool choose_merge(struct world *world, const struct meta *meta, struct change *change) {
    change->kind = CHANGE_MERGE;
    change->adjacent = (unsigned)pick(world, meta->shard_count);
    return meta_check_merge(meta, change->shard, change->adjacent, NULL) == 0;
}

static bool choose(struct world *world, const struct meta *meta, struct change *change) {
    for (int tries = 0; tries < 8; tries++) {
        change->shard = (unsigned)pick(world, meta->shard_count);
        if (pick(world, 2) ? choose_split(world, meta, change) : choose_merge(world, meta, change))
            return true;
    }
    return false;
}

static void reshard(struct world *world) {
    const struct meta *meta = &world->stream->layout->meta;
    struct change change = {.stream = world->stream, .home = on_changed};
    if (world->changing || !world->resharding || meta->shard_count + 2 > SHARDS_MAX ||
        !choose(world, meta, &change))
        return;
    unsigned most = meta->shard_count + (change.kind == CHANGE_SPLIT ? 2 : 1);
    if (most > world->shards_most)
        world->shards_most = most;
    world->changing = true;
    world->change = change;
    log_change(world->log, &world->change);
}

static void work(struct world *world) {
    unsigned steps = (5 + (unsigned)pick(world, 60)) * (world->resharding ? 2 : 1);
    for (unsigned i = 0; i < steps; i++) {
        struct producer *producer = &world->producers[pick(world, PRODUCERS)];
        uint64_t dice = pick(world, 24);
        if (dice < 12)
            push(world, producer);
        else if (dice < 15)
            seal(world, producer);
        else if (dice < 18)
            log_commit(world->log, world->now_ms += 1 + pick(world, 700));
        else if (dice == 18)
            retry(world);
        else if (dice < 21)
            reshard(world);
        else if (dice < 23)
            hear(world, producer);
        else if (world->failing && pick(world, 2)) {
            int code = pick(world, 2) ? ERR_IO : ERR_NO_SPACE;
            fault_file_fail(world->fault, 1 + (unsigned)pick(world, 8), code, pick(world, 4) == 0);
        } else
            fault_file_heal(world->fault);
    }
}

/* ---- what must hold ---- */

/* Reads a whole shard and returns the serials in order. */
static uint32_t *read_shard(struct world *world, unsigned index, bool bounded, size_t *ret_count) {
    struct shard *shard = world->stream->layout->shards[index];
    struct shard_tip tip = bounded ? shard_tip_get(shard) : CURSOR_NO_LIMIT;
    struct cursor cursor;
    struct stream_batch batch;
    uint32_t *serials = NULL;
    size_t count = 0;
    uint64_t arrival_ms = 0;
    int status;
    cursor_init(&cursor, &file_ops_real, shard->directory, shard->seed, bounded);
    assert_int_equal(cursor_seek_oldest(&cursor, &tip), 0);
    while ((status = cursor_next(&cursor, &tip, 1 + pick(world, 50), 4096, &batch)) == 0) {
        serials = xrealloc(serials, (count + batch.count) * sizeof *serials);
        for (size_t i = 0; i < batch.count; i++) {
            assert_int_equal(batch.records[i].counter, count);
            assert_true(batch.records[i].arrival_ms >= arrival_ms);
            arrival_ms = batch.records[i].arrival_ms;
            serials[count++] = serial_of(batch.records[i].data);
        }
    }
    assert_int_equal(status, ERR_AGAIN);
    assert_int_equal(count, shard->next);
    cursor_done(&cursor);
    *ret_count = count;
    return serials;
}

/* While the log runs readers see what was acknowledged, and nothing else. */
static void check_running(struct world *world) {
    for (unsigned s = 0; s < shard_count(world); s++) {
        struct model_shard *model = &world->model[s];
        size_t count, at = 0;
        uint32_t *serials = read_shard(world, s, true, &count);
        for (size_t i = 0; i < model->count; i++)
            if (model->records[i].fate == ACKED) {
                assert_true(at < count);
                assert_int_equal(serials[at++], model->records[i].serial);
            }
        assert_int_equal(at, count);
        free(serials);
    }
}

/* A shard with a record in it: its parents had been complete before, and on disk. */
static void note_complete(struct world *world, unsigned shard, bool complete[SHARDS_MAX]) {
    const struct meta_shard *known = &world->stream->layout->meta.shards[shard];
    for (int i = 0; world->stream->layout->shards[shard]->next && i < 2; i++)
        if (known->parents[i] != META_NO_PARENT)
            complete[known->parents[i]] = true;
}

static void check_shard(struct world *world, unsigned s, bool complete) {
    struct model_shard *model = &world->model[s];
    size_t count, at = 0, staged_lost = 0;
    assert_int_equal(world->stream->layout->shards[s]->damaged, 0);
    uint32_t *serials = read_shard(world, s, false, &count);
    for (size_t i = 0; i < model->count; i++) {
        struct model_record *record = &model->records[i];
        bool there = at < count && serials[at] == record->serial;
        at += there;
        if (record->fate == ACKED && (world->sync == STREAM_SYNC_ALWAYS || complete))
            assert_true(there);
        if (record->fate == GONE)
            assert_false(there);
        if (record->fate == FAILED && !record->may_appear)
            assert_false(there);
        if (record->fate == STAGED || world->sync != STREAM_SYNC_ALWAYS) {
            assert_false(record->fate == STAGED && complete);
            staged_lost += !there && record->fate != GONE && record->fate != FAILED;
            assert_false(there && staged_lost);
        }
        record->fate = there ? ACKED : GONE;
    }
    assert_int_equal(at, count);
    free(serials);
}

/* After a power cut: all that was acknowledged, in order, once; of what was under way a beginning;
 * nothing that was reported failed. A shard has records only if its parents have all of theirs. */
static void check_recovered(struct world *world) {
    bool complete[SHARDS_MAX] = {false};
    assert_in_range(shard_count(world), world->shards_least, world->shards_most);
    for (unsigned s = 0; s < shard_count(world); s++)
        note_complete(world, s, complete);
    for (unsigned s = 0; s < shard_count(world); s++)
        check_shard(world, s, complete[s]);
    /* What was to be the children of a split that is not there had no records. */
    for (unsigned s = shard_count(world); s < SHARDS_MAX; s++)
        for (size_t i = 0; i < world->model[s].count; i++) {
            assert_true(world->model[s].records[i].fate != ACKED);
            world->model[s].records[i].fate = GONE;
        }
    world->shards_least = world->shards_most = shard_count(world);
}

static void on_fault(void *data, const char *path, int64_t offset, const char *what) {
    fail_msg("%s: byte %lld: %s", path, (long long)offset, what);
}

/* What a power cut leaves, once it was recovered, is whole in every part: index and metadata too. */
static void check_files(const struct world *world) {
    const struct stream_verify_watch watch = {.fault = on_fault};
    struct stream_verify_counts counts;
    assert_int_equal(stream_verify(world->directory, &watch, &counts, NULL), 0);
}

enum trouble { POWER_CUT, FAILING_DISK, POWER_CUT_IN_A_CALL };

static void run_seed(const char *root, uint64_t seed, enum stream_sync sync, enum trouble trouble) {
    struct world world = {.fault = fault_file_new(seed),
                          .sync = sync,
                          .failing = trouble == FAILING_DISK,
                          .dying = trouble == POWER_CUT_IN_A_CALL};
    the_world = &world;
    world.random = (seed + 1) * UINT64_C(0x2545f4914f6cdd1d);
    world.directory = xprintf("%s/%llu", root, (unsigned long long)seed);
    world.first_shards = 1 + (unsigned)pick(&world, SHARDS_FIRST_MAX);
    world.shards_least = world.shards_most = world.first_shards;
    world.segment_bytes = 1024 << pick(&world, 5);
    world.uniform = pick(&world, 3) == 0;
    world.large = seed % 32 == 5;
    world.resharding = pick(&world, 2);
    world.arrival_ms = UINT64_C(1700000000000);
    world.now_ms = 1000;
    file_make_directories(world.directory, NULL);
    open_log(&world);
    for (uint64_t rounds = 1 + pick(&world, 3); rounds > 0; rounds--) {
        if (world.dying)
            fault_file_die(world.fault, 1 + (unsigned)pick(&world, pick(&world, 2) ? 30 : 250));
        work(&world);
        if (!fault_file_is_dead(world.fault))
            check_running(&world);
        deaths += fault_file_is_dead(world.fault);
        fault_file_cut_power(world.fault);
        close_log(&world);
        open_log(&world);
        check_recovered(&world);
        check_files(&world);
    }
    log_commit(world.log, world.now_ms);
    close_log(&world);
    for (unsigned p = 0; p < PRODUCERS; p++)
        chunk_pool_done(&world.producers[p].pool);
    for (unsigned s = 0; s < SHARDS_MAX; s++)
        free(world.model[s].records);
    unpacker_done(&world.unpacker);
    fault_file_free(world.fault);
    file_remove_tree(world.directory, NULL);
    free(world.directory);
}

static uint64_t seeds(void) {
    const char *text = getenv("WEIR_CRASH_SEEDS");
    return text ? strtoull(text, NULL, 10) : SEEDS;
}

static void run_seeds(uint64_t from, enum stream_sync sync, enum trouble trouble) {
    /* In memory if possible: the real syncs of the test's own files say nothing here. */
    bool memory = access("/dev/shm", W_OK) == 0;
    char *root = xprintf("%s/weir-crash-XXXXXX", memory ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(root));
    log_setup((enum log_level)(LOG_ERROR + 1), LOG_TEXT);
    changes_finished = deaths = blocks_packed = 0;
    for (uint64_t seed = from; seed < from + seeds(); seed++)
        run_seed(root, seed, sync, trouble);
    assert_true(changes_finished > seeds() / 8);
    assert_true(blocks_packed > seeds());
    assert_true((trouble == POWER_CUT_IN_A_CALL) == (deaths > seeds() / 2));
    file_remove_tree(root, NULL);
    free(root);
}

static void power_cuts_lose_nothing_acknowledged(void **state) {
    run_seeds(0, STREAM_SYNC_ALWAYS, POWER_CUT);
}

static void failing_disks_lose_nothing_acknowledged(void **state) {
    run_seeds(1000000, STREAM_SYNC_ALWAYS, FAILING_DISK);
}

static void without_sync_a_prefix_stays(void **state) {
    run_seeds(2000000, STREAM_SYNC_NONE, POWER_CUT);
}

/* Between a write and its sync, between the writes of two shards, in a roll, in a split: at any of
 * the calls that change something. */
static void power_cuts_at_any_call_lose_nothing_acknowledged(void **state) {
    run_seeds(3000000, STREAM_SYNC_ALWAYS, POWER_CUT_IN_A_CALL);
}

static void without_sync_a_prefix_stays_at_any_call(void **state) {
    run_seeds(4000000, STREAM_SYNC_NONE, POWER_CUT_IN_A_CALL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(power_cuts_lose_nothing_acknowledged),
        cmocka_unit_test(failing_disks_lose_nothing_acknowledged),
        cmocka_unit_test(without_sync_a_prefix_stays),
        cmocka_unit_test(power_cuts_at_any_call_lose_nothing_acknowledged),
        cmocka_unit_test(without_sync_a_prefix_stays_at_any_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
