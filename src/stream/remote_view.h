/*
 * A stream of another engine as stream_view_open_engine() shows it: behind the functions of view.c.
 * Blocking; the caller's thread runs the loop of its readers while it waits.
 */
#ifndef STREAM_REMOTE_VIEW_H
#define STREAM_REMOTE_VIEW_H

#include "stream/stream.h"

struct remote_view;

int remote_view_open(const struct stream_config *config, struct remote_view **ret_view,
                     struct err *err);
void remote_view_close(struct remote_view *view);
const struct stream *remote_view_stream(const struct remote_view *view);

/* As the functions of stream.h without `remote_`. */
int remote_view_shard(struct remote_view *view, unsigned shard, struct stream_view_info *ret_info);
int remote_view_seek(struct remote_view *view, unsigned shard,
                     const struct stream_position *position);
uint64_t remote_view_counter(const struct remote_view *view, unsigned shard);
int remote_view_next(struct remote_view *view, unsigned shard, size_t records_max,
                     struct stream_batch *ret_batch);

#endif
