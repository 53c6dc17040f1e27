/*
 * How far the named consumers of data streams are behind, for /metrics. Runs on the service loop; looks
 * every CONSUMERS_SCAN_MS at the positions, which other processes move (weir stream read
 * --consumer), and removes those of streams that are no more.
 */
#ifndef APP_CONSUMERS_H
#define APP_CONSUMERS_H

#include "stream/stream.h"

enum {
    CONSUMERS_SCAN_MS = 2000,
    CONSUMERS_MAX =
        1000, /* pairs of stream and consumer that have metrics; weir_stream_consumers counts all */
};

struct consumers;

struct consumers *consumers_open(struct loop *loop, struct stream_log *log, struct facts *facts);
void consumers_close(struct consumers *consumers, void (*closed)(void *data), void *data);

#endif
