/*
 * InfluxDB's line protocol (InfluxDB 1.8 and 2 documentation, "Line protocol"):
 *
 *     measurement,tag=value,tag=value field=value,field=value timestamp
 *
 * One line is one point. Two points with the same measurement, tags and timestamp are one: the later
 * overwrites the earlier, which makes sending twice harmless and two readings in one instant a loss.
 * Timestamps are therefore in nanoseconds, and where the rule names none, the message's arrival in
 * milliseconds with the record's number and the point's within it below that.
 */
#ifndef ACTION_LINE_PROTOCOL_H
#define ACTION_LINE_PROTOCOL_H

#include "flow/action.h"

enum line_time_unit { LINE_TIME_S, LINE_TIME_MS, LINE_TIME_US, LINE_TIME_NS };

/*
 * Appends a line with its '\n'. Parameters: "measurement", "tag.NAME", "field.NAME", "timestamp" (a
 * whole number in `unit`). Without any field parameter the members of the payload are the fields:
 * numbers and booleans as they are, text quoted, objects member by member under NAME.MEMBER, arrays
 * as text, nulls not at all; and without a timestamp parameter its whole number `timestamp` is the
 * time and no field. A payload that is an array gives a line for each object in it. Without any
 * timestamp: see above, with `counter`.
 *
 * A field parameter that reads true, false, a number of JSON, or digits and an i (an integer of
 * InfluxDB) is that; any other is text. Empty tags and fields are left out. INVALID, nothing
 * appended: no measurement, no field, a line break where none can be, no number as timestamp.
 */
int line_protocol_write(struct buf *out, const struct action_record *record,
                        enum line_time_unit unit, uint64_t counter, struct err *err);

#endif
