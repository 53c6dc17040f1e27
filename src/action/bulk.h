/*
 * For targets that take many items in one HTTP request: influxdb, elasticsearch. A *bulk* walks
 * through a send in slices, one POST each:
 *
 *     slice = all  ->  POST  ->  taken: next slice
 *                            ->  the store is not able now: all that is left comes again later
 *                            ->  the store refuses the request as a whole: the first half alone, until
 *                                one item alone is refused, which is then the one that failed for good
 *
 * so that one bad item costs some requests and no good item. Stores of this kind take an item twice
 * without harm (same point, same document id).
 *
 * Everything belongs to the service loop.
 */
#ifndef ACTION_BULK_H
#define ACTION_BULK_H

#include "action/target.h"

enum { BULK_HEADERS_MAX = 4 };

struct bulk;

enum bulk_outcome {
    BULK_SETTLED, /* `answer` has settled each item of the slice */
    BULK_TAKEN,   /* all of the slice */
    BULK_LATER,   /* try again; `why` is filled */
    BULK_REFUSED, /* there is something in it that never can be taken; `why` is filled */
};

struct bulk_ops {
    /* Appends an item to the body; INVALID with `err`: it can never be sent. */
    int (*add)(struct bulk *bulk, const struct action_item *item, struct buf *body,
               struct err *err);
    /* What became of the `count` items of the slice, given a 2xx, 4xx or 5xx answer. */
    enum bulk_outcome (*answer)(struct bulk *bulk, const struct http_answer *answer,
                                struct action_item *const *items, size_t count, struct buf *why);
};

struct bulk {
    struct action_target target;
    const struct bulk_ops *ops;
    struct http_client *client;
    const void *settings;
    char *url;           /* of the request */
    const char *ca_path; /* NULL: the system's; outlives the bulk */
    struct http_header headers[BULK_HEADERS_MAX];
    char *header_values[BULK_HEADERS_MAX];
    size_t header_count;

    struct action_item *const *items; /* of the send */
    size_t count, next;               /* those before `next` are settled or in the slice */
    size_t slice_max;
    struct action_item **slice;
    size_t slice_count;
    struct buf body;
    struct http_call *call; /* NULL: nothing is under way */
};

/* `url` is taken over. */
struct bulk *bulk_new(const struct action_services *services, const struct bulk_ops *ops,
                      const void *settings, char *url);
/* `value` is taken over. */
void bulk_header(struct bulk *bulk, const char *name, char *value);
/* "Basic ..." for bulk_header(). */
char *bulk_basic(const char *user, const char *password);
/* `base` with any slashes at its end taken off, and `path`. */
char *bulk_url(const char *base, const char *path);

/* INVALID, at `key`, unless it is an http:// or https:// address. */
int bulk_check_url(const struct option_head *head, const char *key, const char *url,
                   struct err *err);

#endif
