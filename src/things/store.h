/* Inside of things: what is kept, and its bounds. */
#ifndef THINGS_STORE_H
#define THINGS_STORE_H

#include "base/metric.h"
#include "things/things.h"
#include "things/waiting.h"

/* One of the two tables. */
struct things_table {
    const char *name;
    int64_t count_max;
    struct metric count;
};

struct shadow_runner;

struct things {
    /* of changes of shadows; NULL: it has not started, or has stopped */
    struct shadow_runner *runner;
    struct facts *facts;
    const char *region, *account;
    struct rest_service services[THINGS_SERVICES];
    struct things_table registry, shadows;
    struct metric bytes; /* of both tables, as facts.mdb has room for them */
    uint64_t swept_s;    /* when deleted shadows were last looked for; of the batch under way */

    struct waiting waiting; /* the requests by MQTT; of all threads */
    uint64_t waits_from;    /* counter of the log's first record that is counted there */
};

static inline struct things *things_of(const struct rest_call *call) {
    return call->service->data;
}

extern const struct rest_route things_registry_routes[], things_shadow_routes[];

/* [a-zA-Z0-9:_-], and '$' if `dollar`; 1 to `chars_max`. */
bool things_name_valid(struct str name, size_t chars_max, bool dollar);

/* "THING", a zero byte, "SHADOW", in the call's arena. */
struct str things_shadow_key(struct arena *arena, struct str thing, struct str shadow);

/* The room that it takes in facts.mdb. */
int64_t things_room_of(struct str key, struct str value);

/* Whether so much can be added: 0, or FULL. */
int things_check_room(const struct things *things, const struct things_table *table, int64_t count,
                      int64_t bytes, struct err *err);

/* Puts `value` in the place of `old` (empty: there was none). FULL: a bound is reached. */
int things_put(struct things *things, struct things_table *table, struct str key, struct str old,
               struct str value, struct err *err);
int things_remove(struct things *things, struct things_table *table, struct str key, struct str old,
                  struct err *err);

/* The name that the query's token stands for, in the call's arena; empty without one. False: the
 * call has failed. */
bool things_read_token(struct rest_call *call, struct str *ret_after);
void things_write_token(struct buf *out, struct str last);

/* What DescribeThing answers, of what is kept (registry.c). */
void things_write_thing(const struct things *things, struct str thing, struct str kept,
                        struct buf *out);

#endif
