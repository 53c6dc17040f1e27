/*
 * Writes the event document of a Kinesis event source mapping (AWS Lambda developer guide, "Using
 * AWS Lambda with Amazon Kinesis"). One writer per shard: what is the same in all its records is
 * made once. Nothing is allocated per record but the room in the output.
 */
#ifndef FUNCTION_EVENT_H
#define FUNCTION_EVENT_H

#include "base/buf.h"
#include "stream/stream.h"

/* Of the event document (AWS Lambda quotas, "Invocation payload"). */
enum { FUNCTION_EVENT_BYTES_MAX = 6291556 };

struct function_event_writer {
    const struct stream *stream;
    unsigned shard;
    bool deaggregates;    /* packed records are taken apart */
    struct buf before_id; /* from behind the arrival time to the sequence number in eventID */
    struct buf behind_id; /* the rest of a record */
};

void function_event_writer_init(struct function_event_writer *writer, const struct stream *stream,
                                unsigned shard, const char *region, const char *account);
void function_event_writer_done(struct function_event_writer *writer);

void function_event_begin(struct buf *event);

/* False, and nothing was added, if the document would pass FUNCTION_EVENT_BYTES_MAX. A packed record is
 * added as those it holds, with the same sequence number and "subSequenceNumber" from 0; as it is if
 * these would be too much for a document of their own. */
bool function_event_add(const struct function_event_writer *writer, struct buf *event,
                        const struct stream_record *record);

void function_event_end(struct buf *event);

#endif
