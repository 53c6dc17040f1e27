/*
 * Devices: names with a certificate of the data directory's own authority, and what they may do.
 * Kept in facts.mdb (table `device`, docs/formats/facts.md), so that `weir device` and a running Weir,
 * which are two processes, see the same.
 */
#ifndef APP_DEVICES_H
#define APP_DEVICES_H

#include "base/arena.h"
#include "base/err.h"
#include "io/facts.h"
#include "mqtt/mqtt.h"

/* The bound of all small facts together (LMDB's map: address space, not memory). */
enum { FACTS_BYTES_MAX = 1 << 30 };

struct device {
    const char *name, *fingerprint, *policy; /* policy NULL: the listener's */
    uint64_t created_ms;
    bool active;
};

/* Letters, digits and "-_.:"; at most 128, as for the things of AWS. */
bool device_name_valid(const char *name);

/* ERR_EXISTS if there is a device of this name that is active. */
int devices_check_new(struct facts *facts, const char *name, struct err *err);

/* What was there under its name, which is revoked, stays refused. */
int devices_set(struct facts *facts, const struct device *device, struct err *err);

/* ERR_NOT_FOUND if there is none. */
int devices_revoke(struct facts *facts, const char *name, struct err *err);

/* In the order of names. What a later version wrote and this one cannot read is passed over. */
int devices_each(struct facts *facts, void (*each)(void *data, const struct device *device),
                 void *data);

/* All of them, in memory of `arena`; revoked ones too. */
int devices_read(struct facts *facts, struct arena *arena, struct mqtt_device **ret_devices,
                 size_t *ret_count);

/* ---- the authority, authority.c ---- */

/*
 * A new key pair (EC P-256) and a certificate for it with the common name `name`, signed by the authority
 * in `data`/devices, which is made when it is not there (ca.pem, ca.key with mode 0600). Writes
 * NAME.pem and NAME.key (0600) into `directory`; files that are there already are not overwritten
 * (ERR_EXISTS).
 */
int authority_issue(const char *data, const char *directory, const char *name,
                    char ret_fingerprint[65], struct err *err);

#endif
