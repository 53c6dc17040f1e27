/* Frames of application/vnd.amazon.eventstream, in which SubscribeToShard answers (AWS SDK
 * specifications, "Event Stream Encoding"). */
#ifndef AWS_EVENT_STREAM_H
#define AWS_EVENT_STREAM_H

#include "base/buf.h"

/* An event of that type with a payload of `content_type`. */
void aws_frame_event(struct buf *out, const char *event_type, const char *content_type,
                     struct str payload);

/* The end by an error. */
void aws_frame_exception(struct buf *out, const char *exception_type, const char *content_type,
                         struct str payload);

#endif
