/*
 * `weir sense`: publishes this host's own sensors (thermal zones, hardware monitors, load,
 * processor, memory, disk, network) as JSON readings over MQTT 3.1.1 with QoS 1, one topic per
 * sensor. A device like any other: it knows nothing of the broker behind the address.
 */
#ifndef SENSE_SENSE_H
#define SENSE_SENSE_H

#include <stdint.h>

#include "base/err.h"

struct sense_config {
    /* mqtt://[user:password@]host:port or mqtts://...; host is numeric or localhost */
    const char *url;
    const char *prefix; /* topics are PREFIX/SENSOR */
    const char *client_id;
    const char *ca_path; /* mqtts: NULL is the system's store */
    int64_t interval_ms; /* between two rounds over all sensors */
    int64_t round_count; /* ends after so many rounds are acknowledged; 0: never */
};

/*
 * Publishes until SIGTERM or SIGINT, or until round_count rounds are acknowledged. Reconnects with
 * back-off; while there is no connection readings are not kept (a sensor's next reading replaces
 * its last). Returns 0, or an error that no reconnection can mend (a bad URL, a refused password).
 */
int sense_run(const struct sense_config *config, struct err *err);

#endif
