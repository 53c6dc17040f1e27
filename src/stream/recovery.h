/* Reading a shard's last segment when it is opened, and again after a failure. */
#ifndef STREAM_RECOVERY_H
#define STREAM_RECOVERY_H

#include "stream/shard.h"

/* Whether the committed blocks of the last segment read back whole. */
bool recovery_check(const struct shard *shard);

#endif
