/*
 * Sequential replay: reads a whole stream through the same view as `weir stream read`, every sum checked,
 * every record touched, and says how fast that went beside a memcpy of as many bytes.
 *
 *      weir_replay DATA STREAM
 *
 * Prints one line: records, bytes of blocks, seconds, MB/s, memcpy MB/s.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "stream/stream.h"

enum { BATCH_RECORDS = 10000, COPY_BYTES = 64 << 20, RECORD_HEADER_BYTES = 8 };

static double now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double memcpy_rate(void) {
    char *from = malloc(COPY_BYTES), *to = malloc(COPY_BYTES);
    double best = 0;
    if (!from || !to)
        return 0;
    memset(from, 1, COPY_BYTES);
    for (int i = 0; i < 10; i++) {
        double begin = now_s();
        memcpy(to, from, COPY_BYTES);
        double rate = COPY_BYTES / (now_s() - begin);
        if (rate > best && to[i] == 1)
            best = rate;
    }
    free(from);
    free(to);
    return best;
}

int main(int argc, char **argv) {
    struct stream_view *view;
    struct stream_batch batch;
    struct err err = {0};
    uint64_t records = 0, bytes = 0, sum = 0;
    if (argc != 3 || stream_view_open(argv[1], argv[2], &view, &err)) {
        fprintf(stderr, "weir_replay DATA STREAM: %s\n", err.text);
        return 1;
    }
    double begin = now_s();
    for (unsigned shard = 0; shard < stream_view_shard_count(view); shard++)
        while (stream_view_next(view, shard, BATCH_RECORDS, &batch) == 0)
            for (size_t i = 0; i < batch.count; i++) {
                const struct stream_record *record = &batch.records[i];
                sum += record->data.len ? (uint8_t)record->data.at[record->data.len - 1] : 0;
                bytes += record->data.len + record->partition_key.len + RECORD_HEADER_BYTES;
                records++;
            }
    double seconds = now_s() - begin;
    stream_view_close(view);
    printf("%" PRIu64 " %" PRIu64 " %.4f %.0f %.0f %" PRIu64 "\n", records, bytes, seconds,
           (double)bytes / seconds / 1e6, memcpy_rate() / 1e6, sum & 1);
    return 0;
}
