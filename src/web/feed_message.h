/* One message of the live feed, as web/README.md describes it. */
#ifndef WEB_FEED_MESSAGE_H
#define WEB_FEED_MESSAGE_H

#include "base/buf.h"

/* Of a longer payload (no record is: Redis was written by others) only so much is shown. */
enum { FEED_LATEST_BYTES_MAX = 1024 * 1024, FEED_COUNT_DIGITS_MAX = 40 };

/* `latest` and `count` as they stand in Redis, {NULL, 0} when absent; `updated_ms` wall time, 0:
 * not known. */
void web_feed_message(struct buf *out, struct str latest, struct str count, uint64_t updated_ms);

#endif
