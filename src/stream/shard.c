/*
 * Appending to a shard.
 *
 * A shard's directory holds segments, each named by the counter of its first record; only the last
 * is written to. A commit goes whole into one segment: all blocks that waited get their counters,
 * one write puts them behind the committed end, one fdatasync makes them durable, and only then
 * `end`, `next` and the published tip move. Nobody looks behind the committed end, so a write that
 * failed is undone by cutting the file there.
 *
 * Space is made ready ahead of the writes, after a commit was reported, so that a sync has no
 * metadata to write. Measured on ext4 (virtual disk), write and fdatasync of 4 KiB / 64 KiB:
 * appending 0.73 / 0.70 ms, into space from fallocate 0.65 / 0.60 ms (each write still turns an
 * unwritten extent into a written one), into zeros that were written and synced before 0.31 / 0.40
 * ms at half the processor time. For writes of 1 MiB zeroing costs more than it saves (2.6 ms
 * against 1.8 ms), fallocate wins. So small writes find zeros, large ones fallocated space. The
 * first step is small, each further one twice as large: a shard with few records costs 16 KiB. A sealed
 * segment is cut to its length.
 *
 * A shard that is not written to gives its descriptor back when others want one (shard_files): with
 * thousands of shards only the busy ones have theirs open.
 *
 * Failures.
 *  - NO_SPACE: the part that was written is cut off; the writers hear NO_SPACE; the next commit
 *    tries anew.
 *  - IO, also from a sync: what the kernel still holds of the file is worth nothing (it drops dirty
 *    pages after a failed sync and reports the failure once). The descriptor is closed and never
 *    synced again. Through a new one what was committed is read and checked, the rest cut off and
 *    the cut synced. For SHARD_RETRY_MS pushes are refused with IO; then the shard goes on in a new
 *    segment, or waits again if the cut could not be made.
 *  - A directory entry that could not be synced fails the commit that needed it.
 */
#include "stream/shard.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "stream/recovery.h"

enum {
    PARTS_MAX = 256, /* blocks per system call */
    MAKE_STEP_FIRST = 16 * 1024,
    MAKE_STEP_MAX = 4 * 1024 * 1024,
    LARGE_WRITE_BYTES = 256 * 1024,
    ALLOCATE_BYTES = 16 * 1024 * 1024,
    ZERO_BYTES = 64 * 1024,
};

void shard_init(struct shard *shard, const struct shard_config *config, char *directory,
                char *label, uint32_t seed, unsigned index) {
    *shard = (struct shard){.config = *config,
                            .directory = directory,
                            .label = label,
                            .seed = seed,
                            .index = index,
                            .limit = UINT64_MAX,
                            .fd = -1,
                            .make_step = MAKE_STEP_FIRST};
    list_init(&shard->readers);
}

/* Callers distinguish no more than this. */
static int write_status(int status) {
    return status == 0 || status == ERR_NO_SPACE ? status : ERR_IO;
}

static struct shard_segment *last_segment(struct shard *shard) {
    return &shard->segments[shard->segment_count - 1];
}

/* ---- the published tip ---- */

static void publish_oldest(struct shard *shard) {
    atomic_store(&shard->oldest, shard->segment_count ? shard->segments[0].first : shard->next);
}

void shard_publish(struct shard *shard) {
    struct shard_tip_cell *tip = &shard->tip;
    uint64_t version = atomic_load_explicit(&tip->version, memory_order_relaxed);
    atomic_store(&tip->version, version + 1);
    atomic_store(&tip->counter, shard->next);
    atomic_store(&tip->segment_first, shard->segment_count ? last_segment(shard)->first : 0);
    atomic_store(&tip->segment_end, shard->end);
    atomic_store(&tip->version, version + 2);
    publish_oldest(shard);
    metric_set(&shard->next_counter, (int64_t)shard->next);
}

struct shard_tip shard_tip_get(const struct shard *shard) {
    const struct shard_tip_cell *cell = &shard->tip;
    for (;;) {
        uint64_t version = atomic_load(&cell->version);
        struct shard_tip tip = {atomic_load(&cell->counter), atomic_load(&cell->segment_first),
                                atomic_load(&cell->segment_end)};
        if (version % 2 == 0 && version == atomic_load(&cell->version))
            return tip;
    }
}

static void publish_refusal(struct shard *shard) {
    int refusal = shard->failed ? ERR_IO : shard->full ? ERR_NO_SPACE : 0;
    atomic_store_explicit(&shard->refusal, refusal, memory_order_relaxed);
}

void shard_set_full(struct shard *shard, bool full) {
    shard->full = full;
    publish_refusal(shard);
}

/* ---- segments ---- */

/* What is made ready stays for when it is opened again. */
static void rest_file(struct shard *shard) {
    if (shard->fd >= 0)
        shard->config.file->close(shard->config.file->self, shard->fd);
    shard->fd = -1;
    if (!list_linked(&shard->in_files))
        return;
    list_remove(&shard->in_files);
    shard->config.files->count--;
}

static void close_file(struct shard *shard) {
    rest_file(shard);
    shard->made = shard->end;
}

/* The shard is about to be written to. */
static void note_use(struct shard *shard) {
    struct shard_files *files = shard->config.files;
    if (!files)
        return;
    if (list_linked(&shard->in_files))
        list_remove(&shard->in_files);
    else
        files->count++;
    list_push_back(&files->open, &shard->in_files);
}

void shard_files_trim(struct shard_files *files) {
    LIST_EACH(item, &files->open) {
        struct shard *shard = LIST_ITEM(item, struct shard, in_files);
        if (files->count <= files->count_max)
            return;
        rest_file(shard);
    }
}

static int open_file(struct shard *shard, int flags) {
    char *path = segment_path(shard->directory, last_segment(shard)->first);
    int status = shard->config.file->open(shard->config.file->self, path,
                                          O_RDWR | O_CLOEXEC | flags, 0640, &shard->fd);
    free(path);
    if (status)
        shard->fd = -1;
    else
        note_use(shard);
    return status;
}

void shard_add_segment(struct shard *shard, const struct shard_segment *segment) {
    if (shard->segment_count == shard->segment_cap) {
        shard->segment_cap = shard->segment_cap ? 2 * shard->segment_cap : 4;
        shard->segments = xrealloc(shard->segments, shard->segment_cap * sizeof *shard->segments);
    }
    shard->segments[shard->segment_count++] = *segment;
}

/* The first segment of a shard needs its directory, whose own entry must be on disk too. */
static int make_directory(struct shard *shard) {
    int status = file_make_directories(shard->directory, NULL);
    if (status)
        return status;
    char *parent = xstrdup(shard->directory);
    *strrchr(parent, '/') = '\0';
    status = shard->config.file->sync_directory(shard->config.file->self, parent);
    free(parent);
    return status;
}

/* An empty segment for the next record, known to the directory on disk. */
static int begin_segment(struct shard *shard) {
    int status = shard->segment_count ? 0 : make_directory(shard);
    if (status)
        return status;
    struct shard_segment segment = {.first = shard->next};
    shard_add_segment(shard, &segment);
    status = open_file(shard, O_CREAT | O_TRUNC);
    if (status == 0)
        status = shard->config.file->sync_directory(shard->config.file->self, shard->directory);
    if (status) {
        /* Its file may be there all the same, and after a crash everything behind its name would be
         * looked for in it: nothing may be appended to the segment before it any more. */
        close_file(shard);
        shard->segment_count--;
        shard->must_roll = true;
        return status;
    }
    shard->end = shard->made = 0;
    shard->must_roll = shard->make_failed = false;
    shard->index_count = 0;
    shard->index_offset = 0;
    shard_publish(shard);
    return 0;
}

/* Nothing in a sealed segment is left to the kernel's leisure: only the last one can ever have a
 * torn tail. */
static int seal_segment(struct shard *shard) {
    const struct file_ops *file = shard->config.file;
    int status = 0;
    if (shard->fd < 0 && (shard->made > shard->end || shard->unsynced))
        status = open_file(shard, 0);
    if (status || shard->fd < 0)
        return status;
    if (shard->made > shard->end)
        status = file->truncate(file->self, shard->fd, shard->end);
    if (status == 0 && shard->unsynced)
        status = file->datasync(file->self, shard->fd);
    if (status)
        return status;
    shard->synced = shard->next;
    shard->unsynced = false;
    close_file(shard);
    return 0;
}

int shard_roll(struct shard *shard) {
    if (shard->segment_count == 0 || shard->end == 0)
        return 0;
    int status = seal_segment(shard);
    return write_status(status ? status : begin_segment(shard));
}

static bool too_old(const struct shard *shard) {
    uint64_t first_ms = shard->segments[shard->segment_count - 1].first_ms;
    return shard->config.segment_age_ms_max && first_ms &&
           shard->write.first_ms > first_ms + shard->config.segment_age_ms_max;
}

/* Has a segment open that takes this write. */
static int open_for_write(struct shard *shard) {
    if (shard->segment_count == 0)
        return begin_segment(shard);
    bool too_long = shard->end + shard->write.bytes > shard->config.segment_bytes_max;
    if (shard->end > 0 && (shard->must_roll || too_long || too_old(shard)))
        return shard_roll(shard);
    if (shard->fd < 0)
        return open_file(shard, 0);
    note_use(shard);
    return 0;
}

void shard_close(struct shard *shard, uint64_t now_ms) {
    int status = shard->failed ? 0 : write_status(seal_segment(shard));
    if (status) {
        log_error("stream", "%s: cannot be synced at its end: %s", shard->label, err_text(status));
        shard_abort(shard, ERR_IO, now_ms);
    }
    shard->limit = shard->next;
    atomic_store(&shard->phase, SHARD_CLOSED);
}

void shard_retire(struct shard *shard, enum shard_phase phase) {
    close_file(shard);
    free(shard->segments);
    shard->segments = NULL;
    shard->segment_count = shard->segment_cap = 0;
    shard->failed = shard->unsynced = false;
    atomic_store(&shard->oldest, shard->next);
    atomic_store(&shard->phase, phase);
    metric_done(&shard->next_counter);
}

/* The next start finds the little that an idle shard has ready, and goes on with it: with thousands of
 * shards cutting them all would take seconds. */
void shard_done(struct shard *shard) {
    bool is_idle = !shard->unsynced && shard->made - shard->end <= MAKE_STEP_FIRST;
    if (!is_idle && seal_segment(shard))
        log_error("stream", "%s: cannot be synced at its end", shard->label);
    close_file(shard);
    if (list_linked(&shard->in_unsynced))
        list_remove(&shard->in_unsynced);
    free(shard->segments);
    free(shard->directory);
    free(shard->label);
    metric_done(&shard->next_counter);
}

int64_t shard_bytes(const struct shard *shard) {
    int64_t bytes = 0;
    for (size_t i = 0; i < shard->segment_count; i++)
        bytes += shard->segments[i].bytes;
    return bytes;
}

/* ---- one commit ---- */

static int64_t pack(const struct shard *shard, struct chunk *chunk) {
    if (!shard->config.compression_level)
        return 0;
    size_t bytes = chunk->used;
    chunk->used =
        packer_pack(shard->config.packer, chunk->block, bytes, shard->config.compression_level);
    return (int64_t)(bytes - chunk->used);
}

void shard_add(struct shard *shard, struct chunk *chunk) {
    ASSERT(shard_phase(shard) == SHARD_OPEN);
    int64_t saved_bytes = pack(shard, chunk);
    chunk->next_of_shard = NULL;
    if (shard->write.first)
        shard->write.last->next_of_shard = chunk;
    else {
        shard->write.first = chunk;
        shard->write.bytes = shard->write.saved_bytes = 0;
        shard->write.first_ms = chunk->base_ms > shard->last_ms ? chunk->base_ms : shard->last_ms;
    }
    shard->write.last = chunk;
    shard->write.bytes += (int64_t)chunk->used;
    shard->write.saved_bytes += saved_bytes;
}

bool shard_has_write(const struct shard *shard) {
    return shard->write.first != NULL;
}

/* Counters follow each other, arrivals never fall, whatever the clocks of the producers say. */
static void number_blocks(struct shard *shard) {
    uint64_t counter = shard->next, arrival_ms = shard->last_ms;
    for (struct chunk *chunk = shard->write.first; chunk; chunk = chunk->next_of_shard) {
        if (chunk->base_ms > arrival_ms)
            arrival_ms = chunk->base_ms;
        segment_block_number(chunk->block, shard->seed, counter, shard->synced, arrival_ms);
        counter += chunk->count;
    }
    shard->write.next = counter;
    shard->write.last_ms = arrival_ms;
    shard->write.end = shard->end + shard->write.bytes;
    shard->write.has_index = shard->end - shard->index_offset >= SEGMENT_INDEX_BYTES;
    shard->write.index =
        (struct segment_index_entry){shard->next, shard->write.first_ms, (uint64_t)shard->end};
}

static int write_blocks(struct shard *shard) {
    const struct file_ops *file = shard->config.file;
    int64_t offset = shard->end;
    for (struct chunk *chunk = shard->write.first; chunk;) {
        struct iovec parts[PARTS_MAX];
        int count = 0;
        int64_t bytes = 0;
        for (; chunk && count < PARTS_MAX; chunk = chunk->next_of_shard) {
            parts[count++] = (struct iovec){chunk->block, chunk->used};
            bytes += (int64_t)chunk->used;
        }
        int status = file->writev_all(file->self, shard->fd, parts, count, (off_t)offset);
        if (status)
            return status;
        offset += bytes;
    }
    return 0;
}

int shard_write(struct shard *shard) {
    if (shard->failed)
        return ERR_IO;
    int status = open_for_write(shard);
    if (status == 0) {
        number_blocks(shard);
        status = write_blocks(shard);
    }
    return write_status(status);
}

int shard_sync(struct shard *shard) {
    int status = shard->fd >= 0 ? 0 : open_file(shard, 0);
    if (status)
        return write_status(status);
    status = shard->config.file->datasync(shard->config.file->self, shard->fd);
    if (status)
        return write_status(status);
    if (!shard_has_write(shard))
        shard->synced = shard->next;
    shard->unsynced = false;
    return 0;
}

static void note_index(struct shard *shard) {
    if (!shard->write.has_index)
        return;
    shard->index_offset = (int64_t)shard->write.index.offset;
    if (segment_index_put(shard->config.file, shard->directory, last_segment(shard)->first,
                          shard->index_count, &shard->write.index) == 0)
        shard->index_count++;
}

void shard_commit(struct shard *shard) {
    struct shard_segment *segment = last_segment(shard);
    if (shard->end == 0)
        segment->first_ms = shard->write.first_ms;
    segment->last_ms = shard->last_ms = shard->write.last_ms;
    note_index(shard);
    shard->last_write_bytes = shard->write.bytes;
    shard->end = segment->bytes = shard->write.end;
    shard->next = shard->write.next;
    if (shard->config.sync)
        shard->synced = shard->next;
    else
        shard->unsynced = true;
    shard->write.first = shard->write.last = NULL;
    shard_publish(shard);
}

/* ---- when it fails ---- */

/* Cuts off what was not committed, through a new descriptor, and has the cut on disk. */
static int repair(struct shard *shard, bool check) {
    const struct file_ops *file = shard->config.file;
    close_file(shard);
    if (shard->segment_count == 0)
        return 0;
    if (check && !recovery_check(shard)) {
        shard->damaged++;
        log_error("stream", "%s: committed records cannot be read back after the failure",
                  shard->label);
    }
    int status = open_file(shard, 0);
    if (status)
        return status;
    status = file->truncate(file->self, shard->fd, shard->end);
    if (status == 0)
        status = file->datasync(file->self, shard->fd);
    close_file(shard);
    return status;
}

void shard_abort(struct shard *shard, int status, uint64_t now_ms) {
    bool no_space = status == ERR_NO_SPACE;
    shard->write.first = shard->write.last = NULL;
    if (shard->failed)
        return;
    int repaired = repair(shard, !no_space);
    shard->unsynced = false;
    if (no_space && repaired == 0)
        return;
    shard->failed = shard->must_roll = true;
    shard->retry_at_ms = now_ms + SHARD_RETRY_MS;
    publish_refusal(shard);
}

void shard_retry(struct shard *shard, uint64_t now_ms) {
    if (!shard->failed || now_ms < shard->retry_at_ms)
        return;
    shard->retry_at_ms = now_ms + SHARD_RETRY_MS;
    if (repair(shard, false))
        return;
    shard->failed = false;
    publish_refusal(shard);
    if (shard_phase(shard) == SHARD_OPEN)
        log_info("stream", "%s: written again, in a new segment", shard->label);
}

/* ---- space ahead ---- */

static int write_zeros(struct shard *shard, int64_t from, int64_t bytes) {
    static const uint8_t zeros[ZERO_BYTES];
    const struct file_ops *file = shard->config.file;
    struct iovec parts[MAKE_STEP_MAX / ZERO_BYTES];
    int count = 0;
    for (int64_t left = bytes; left > 0; left -= ZERO_BYTES)
        parts[count++] =
            (struct iovec){(void *)zeros, left < ZERO_BYTES ? (size_t)left : ZERO_BYTES};
    int status = file->writev_all(file->self, shard->fd, parts, count, (off_t)from);
    if (status == 0 && shard->config.sync)
        status = file->datasync(file->self, shard->fd);
    return status;
}

static int make_space(struct shard *shard, int64_t from, bool large) {
    const struct file_ops *file = shard->config.file;
    int64_t bytes = large ? ALLOCATE_BYTES : shard->make_step;
    if (from + bytes > shard->config.segment_bytes_max)
        bytes = shard->config.segment_bytes_max - from;
    if (bytes <= 0)
        return 0;
    int status = large ? file->allocate(file->self, shard->fd, (off_t)from, (off_t)bytes)
                       : write_zeros(shard, from, bytes);
    if (status)
        return status;
    shard->made = from + bytes;
    if (shard->make_step < MAKE_STEP_MAX)
        shard->make_step *= 2;
    return 0;
}

int shard_make_ready(struct shard *shard) {
    if (shard->fd < 0 || shard->make_failed || shard->failed || shard->must_roll)
        return 0;
    bool large = shard->last_write_bytes >= LARGE_WRITE_BYTES;
    int64_t from = shard->made > shard->end ? shard->made : shard->end;
    int64_t least = large ? 4 * shard->last_write_bytes : shard->make_step / 4;
    if (from - shard->end >= least)
        return 0;
    int status = make_space(shard, from, large);
    if (status == ERR_NO_SPACE || (status && large)) {
        /* It is only a help: give back what came of it and go on without. */
        shard->make_failed = true;
        status = shard->config.file->truncate(shard->config.file->self, shard->fd, shard->end);
        shard->made = shard->end;
    }
    return write_status(status) == 0 ? 0 : ERR_IO;
}

/* ---- the other end ---- */

static void remove_segment(struct shard *shard, uint64_t first) {
    const struct file_ops *file = shard->config.file;
    char *path = segment_path(shard->directory, first);
    char *index = segment_index_path(shard->directory, first);
    if (file->unlink(file->self, path))
        log_warn("stream", "cannot remove %s: %s", path, strerror(errno));
    file->unlink(file->self, index);
    free(path);
    free(index);
}

size_t shard_trim(struct shard *shard,
                  bool (*over)(const struct shard *shard, const struct shard_segment *segment,
                               void *data),
                  void *data) {
    size_t count = 0, kept = shard_phase(shard) == SHARD_OPEN ? 1 : 0;
    while (count + kept < shard->segment_count && over(shard, &shard->segments[count], data))
        remove_segment(shard, shard->segments[count++].first);
    shard->segment_count -= count;
    if (count)
        memmove(shard->segments, shard->segments + count,
                shard->segment_count * sizeof *shard->segments);
    publish_oldest(shard);
    return count;
}
