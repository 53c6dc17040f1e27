/*
 * Who may connect: users with what their passwords are checked against, and registered client
 * certificates. Made once from a configuration, never changed, counted by references; any thread may
 * read it. The texts are its own, so it outlives the configuration.
 */
#ifndef MQTT_IDENTITY_H
#define MQTT_IDENTITY_H

#include <stdatomic.h>

#include "base/arena.h"
#include "base/map.h"
#include "mqtt/mqtt.h"

struct identity_user {
    const char *name, *secret; /* see password.h */
    const char *policy;        /* NULL: may do everything */
};

struct identity_certificate {
    const char *fingerprint, *policy; /* policy NULL: the listener's */
    bool active;
};

struct mqtt_identities {
    _Atomic unsigned references;
    struct arena arena;
    struct map users;          /* name -> struct identity_user */
    unsigned scram_iterations; /* of the first user with a SCRAM verifier */
    struct map certificates;   /* fingerprint -> struct identity_certificate */
};

struct mqtt_identities *identities_ref(struct mqtt_identities *identities);

static inline const struct identity_user *identity_user(const struct mqtt_identities *identities,
                                                        struct str name) {
    return map_get(&identities->users, name);
}

static inline const struct identity_certificate *
identity_certificate(const struct mqtt_identities *identities, struct str fingerprint) {
    return map_get(&identities->certificates, fingerprint);
}

/* What is wrong with the certificates of a configuration, their files included. */
int identities_check(const struct mqtt_config *config, struct err *err);

#endif
