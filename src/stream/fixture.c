#include "stream/fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

void fixture_init(struct fixture *fixture) {
    strcpy(fixture->directory, "/tmp/weir-stream-XXXXXX");
    char *made = mkdtemp(fixture->directory);
    ASSERT(made);
    fixture->now_ms = 1000;
    fixture->arrival_ms = UINT64_C(1700000000000);
}

void fixture_done(struct fixture *fixture) {
    if (fixture->log)
        fixture_close(fixture);
    chunk_pool_done(&fixture->pool);
    file_remove_tree(fixture->directory, NULL);
}

static void set_stages(struct fixture *fixture) {
    const struct layout *layout = fixture->stream->layout;
    ASSERT(layout->meta.shard_count <= FIXTURE_SHARDS_MAX);
    for (unsigned i = 0; i < layout->meta.shard_count; i++)
        fixture->stages[i] = (struct stage){.shard = layout->shards[i]};
}

void fixture_open(struct fixture *fixture) {
    fixture->log_config.directory = fixture->directory;
    if (!fixture->config.name)
        fixture->config.name = "test";
    if (!fixture->config.shard_count)
        fixture->config.shard_count = 1;
    struct err err = {0};
    int status = log_core_open(&fixture->log_config, &fixture->log, &err);
    if (status == 0)
        status = stream_open(fixture->log, &fixture->config, &fixture->stream, &err);
    if (status)
        fprintf(stderr, "fixture: %s\n", err.text);
    ASSERT(status == 0);
    set_stages(fixture);
}

void fixture_close(struct fixture *fixture) {
    log_core_close(fixture->log);
    fixture->log = NULL;
}

static void on_home(struct batch *batch) {
    struct fixture *fixture = batch->owner;
    fixture->status = batch->status;
    batch_empty(batch, &fixture->pool);
}

void fixture_seal(struct fixture *fixture, struct batch *batch) {
    batch_init(batch);
    batch->home = on_home;
    batch->owner = fixture;
    for (unsigned i = 0; i < FIXTURE_SHARDS_MAX; i++)
        stage_seal(&fixture->stages[i], batch);
    log_submit(fixture->log, batch);
}

int fixture_put(struct fixture *fixture, unsigned shard, struct str data) {
    struct record record = {.partition_key = STR("key"), .data = data};
    struct batch batch;
    stage_push(&fixture->stages[shard], &fixture->pool, &record, fixture->arrival_ms);
    fixture_seal(fixture, &batch);
    log_commit(fixture->log, fixture->now_ms);
    return fixture->status;
}

void fixture_fill(struct fixture *fixture, unsigned shard, unsigned count, size_t bytes) {
    char *data = xcalloc(1, bytes + 16);
    memset(data, 'x', bytes);
    for (unsigned i = 0; i < count; i++) {
        char digits[24];
        snprintf(digits, sizeof digits, "%08llu",
                 (unsigned long long)fixture->stream->layout->shards[shard]->next);
        memcpy(data, digits, 8);
        fixture_put(fixture, shard, str_from(data, bytes));
    }
    free(data);
}

static void on_change_home(struct change *change) {
    ASSERT(change->status == 0);
    layout_unref(change->layout);
}

void fixture_split(struct fixture *fixture, unsigned shard) {
    const struct meta_shard *known = &fixture->stream->layout->meta.shards[shard];
    struct change change = {.kind = CHANGE_SPLIT,
                            .stream = fixture->stream,
                            .shard = shard,
                            .key = known->start + (known->end - known->start) / 2 + 1,
                            .home = on_change_home};
    log_change(fixture->log, &change);
    log_commit(fixture->log, fixture->now_ms);
    set_stages(fixture);
}

char *fixture_segment(struct fixture *fixture, unsigned shard, uint64_t first) {
    return segment_path(fixture->stream->layout->shards[shard]->directory, first);
}

void fixture_damage(const char *path, int64_t offset) {
    int fd = open(path, O_RDWR | O_CLOEXEC);
    uint8_t byte;
    ASSERT(fd >= 0);
    ssize_t got = pread(fd, &byte, 1, offset);
    byte ^= 0x55;
    ssize_t put = pwrite(fd, &byte, 1, offset);
    ASSERT(got == 1 && put == 1);
    close(fd);
}
