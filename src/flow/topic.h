/* MQTT topic names and topic filters (MQTT 5.0 section 4.7; 3.1.1 section 4.7). */
#ifndef FLOW_TOPIC_H
#define FLOW_TOPIC_H

#include <stdbool.h>

#include "base/str.h"

enum { TOPIC_BYTES_MAX = 65535 };

/* A name to publish to: 1..65535 bytes of UTF-8 without U+0000, '+' and '#'. */
bool topic_name_valid(struct str topic);

/* A filter to subscribe to: '#' alone in the last level, '+' alone in its level. */
bool topic_filter_valid(struct str filter);

/* "$share/NAME/FILTER": true, and both parts, if it has that form and is valid. */
bool topic_share_parse(struct str text, struct str *ret_name, struct str *ret_filter);

/* Whether a valid name matches a valid filter. Filters that begin with a wildcard do not match
 * names that begin with '$' [MQTT-4.7.2-1]; "a/#" matches "a" [4.7.1.2]. */
bool topic_matches(struct str filter, struct str topic);

/* The n-th level, from 1; false if there is none. */
bool topic_level(struct str topic, unsigned n, struct str *ret_level);

#endif
