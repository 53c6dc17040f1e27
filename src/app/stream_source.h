/*
 * Where `weir stream` finds streams: in a data directory, and, if a configuration file is named, at the
 * engines that it names. Whether a Weir runs on them or not.
 */
#ifndef APP_STREAM_SOURCE_H
#define APP_STREAM_SOURCE_H

#include "app/config.h"
#include "app/patience.h"
#include "stream/stream.h"

struct stream_source {
    const char *data;
    struct config *config; /* NULL: none was named */
};

/* Either may be NULL: the data directory is then the configuration's, and ./data without one. */
int stream_source_init(struct stream_source *source, const char *data, const char *config_path,
                       struct err *err);
void stream_source_done(struct stream_source *source);

/* Also tells a stream on another engine from one that is not there. */
int stream_source_open(const struct stream_source *source, const char *name,
                       struct stream_view **ret_view, struct err *err);

/* For what is done with a stream that may be on another engine, which may be away; NULL: it is not. */
struct patience *stream_source_wait(const struct stream_source *source, const char *name);

/* Calls `each` with the name of every stream, sorted. */
int stream_source_list(const struct stream_source *source,
                       void (*each)(void *data, const char *name), void *data, struct err *err);

#endif
