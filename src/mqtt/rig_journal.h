/* For tests of the broker: a journal in memory, whose entries another broker may read afterwards as if
 * the first one had been killed. */
#ifndef MQTT_RIG_JOURNAL_H
#define MQTT_RIG_JOURNAL_H

#include "mqtt/rig_test.h"

enum { RIG_ENTRIES_MAX = 4096 };

struct rig_journal {
    struct journal journal;
    struct buf entries[RIG_ENTRIES_MAX];
    size_t count, first; /* those before it were released */
    int status;          /* of every append */
};

static inline struct rig_journal *rig_journal_of(struct journal *journal) {
    return CONTAINER_OF(journal, struct rig_journal, journal);
}

static inline int rig_append(struct journal *journal, struct str entry) {
    struct rig_journal *self = rig_journal_of(journal);
    if (self->status)
        return self->status;
    ASSERT(self->count < RIG_ENTRIES_MAX);
    buf_add_str(&self->entries[self->count++], entry);
    return 0;
}

static inline void rig_seal(struct journal *journal) {}

static inline int rig_replay(struct journal *journal,
                             int (*each)(void *data, struct str entry, uint64_t wall_ms),
                             void *data, struct err *err) {
    struct rig_journal *self = rig_journal_of(journal);
    int status = 0;
    for (size_t i = self->first; !status && i < self->count; i++)
        status = each(data, buf_str(&self->entries[i]), 1);
    return status;
}

static inline uint64_t rig_end(struct journal *journal) {
    return rig_journal_of(journal)->count;
}

static inline void rig_release(struct journal *journal, uint64_t position) {
    rig_journal_of(journal)->first = position;
}

static inline void rig_journal_clear(struct rig_journal *self) {
    for (size_t i = 0; i < self->count; i++)
        buf_done(&self->entries[i]);
    self->count = self->first = 0;
}

/* The rig has started. */
static inline void rig_journal_begin(struct rig_journal *self, struct rig *rig) {
    self->journal = (struct journal){.gate = &rig->gate,
                                     .append = rig_append,
                                     .seal = rig_seal,
                                     .replay = rig_replay,
                                     .end = rig_end,
                                     .release = rig_release};
    mqtt_worker_set_journal(rig->worker, &self->journal);
}

/* The present ticket is on disk. */
static inline void rig_sync(struct rig *rig) {
    uint64_t ticket = rig->ticket++;
    rig_commit(rig, ticket, 0);
}

static inline void rig_on_restored(void *data) {
    *(bool *)data = true;
}

static inline void rig_restore(struct rig *rig) {
    struct mqtt_restore *restore;
    struct err err;
    bool done = false;
    assert_int_equal(mqtt_restore_read(rig->worker, &restore, &err), 0);
    mqtt_restore_apply(rig->worker, restore, rig_on_restored, &done);
    assert_true(done);
    mqtt_restore_end(rig->worker, restore);
    rig_sync(rig);
}

#endif
