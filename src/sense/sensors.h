/* What this host can measure about itself, from /proc and /sys. Blocking reads of kernel files
 * only. */
#ifndef SENSE_SENSORS_H
#define SENSE_SENSORS_H

#include "base/buf.h"
#include "base/str.h"

struct sensors;

/* `root` stands before /proc and /sys, for tests; "" for the real ones. */
struct sensors *sensors_new(const char *root);
void sensors_free(struct sensors *sensors);

/*
 * Calls `each` once per sensor that answers, with its name (a topic level: letters, digits, '-',
 * '_', '.') and a JSON object such as {"sensor":"load","load1":0.3,"timestamp":1790000000000}.
 * Rates (processor, network, disk) need two rounds. The views are valid during the call.
 */
void sensors_read(struct sensors *sensors, uint64_t wall_ms,
                  void (*each)(void *data, struct str name, struct str json), void *data);

#endif
