/*
 * Topic rule destinations (AWS IoT Core Developer Guide, "HTTP action destinations"): the proof
 * that who owns a URL wants messages there. A token is posted to the confirmation URL and comes
 * back, by way of the enable URL (/confirmdestination/TOKEN on the web listener) or as
 * ConfirmTopicRuleDestination.
 *
 *                        token                  UpdateTopicRuleDestination
 *      IN_PROGRESS  ------------>  ENABLED  <------------------------------>  DISABLED
 *        |     ^                      |                                          |
 *        |     +------ asked again: UpdateTopicRuleDestination IN_PROGRESS ------+
 *        |     |
 *        +-> ERROR   when DESTINATION_CONFIRM_MS have passed since the last message
 *
 * There is one destination per URL. Clients of the API make them; an `http` action of the file
 * makes that of its confirmation_url when it is needed. They are kept in the table "destination"
 * (docs/formats/facts.md) and in memory, and a change is on disk when the call returns. Everything
 * belongs to the service loop.
 */
#ifndef ACTION_DESTINATION_H
#define ACTION_DESTINATION_H

#include "action/action.h"
#include "base/map.h"

enum {
    DESTINATIONS_MAX = 1000,          /* AWS IoT Core's quota */
    DESTINATION_TOKEN_CHARS = 64,     /* hexadecimal digits */
    DESTINATION_ASK_MS = 60 * 1000,   /* so often while messages of the file's actions wait */
    DESTINATION_URL_CHARS_MAX = 2000, /* AWS IoT API reference, HttpUrlDestinationConfiguration */
    DESTINATION_WHY_CHARS = 200,
};
#define DESTINATION_CONFIRM_MS (3 * 86400 * UINT64_C(1000))

enum destination_status {
    DESTINATION_IN_PROGRESS,
    DESTINATION_ENABLED,
    DESTINATION_DISABLED,
    DESTINATION_ERROR, /* never stored: it follows from the time */
};
extern const char *const destination_status_names[];

struct destination {
    struct destinations *owner;
    char uuid[UUID_CHARS + 1], token[DESTINATION_TOKEN_CHARS + 1];
    char *url;
    enum destination_status stored;
    uint64_t created_ms, updated_ms, asked_ms; /* wall clock */
    bool is_asked;                             /* since Weir started */
    struct http_call *call;                    /* the message is under way */
    struct buf body;                           /* of it */
    char outcome[DESTINATION_WHY_CHARS];       /* of the last message */
};

struct destinations {
    struct loop *loop;
    const struct action_services *services;
    struct rest_service rest;
    struct destination **items; /* in order of their UUIDs */
    size_t count;
    struct map by_url;
    void (*changed)(void *data); /* some message may go now, or never; NULL: nobody asks */
    void *changed_data;
};

/* ---- destination.c ---- */

/* As of now. */
enum destination_status destination_status(const struct destination *destination);
void destination_arn(const struct destination *destination, struct buf *out);
/* Why it is neither ENABLED nor DISABLED; empty if it is. */
void destination_reason(const struct destination *destination, struct buf *out);

/* NULL: there is none. */
struct destination *destination_of_url(const struct destinations *destinations, struct str url);
struct destination *destination_of_arn(const struct destinations *destinations, struct str arn);
/* The index of the first whose UUID is not less. */
size_t destination_position(const struct destinations *destinations, struct str uuid);

/* Makes one that waits, and asks for confirmation. INVALID: such a URL cannot be; EXISTS; FULL; IO,
 * NO_SPACE. */
int destination_add(struct destinations *destinations, struct str url, const char *ca_path,
                    struct destination **ret_destination, struct err *err);

/* Takes one of the ways in the picture. REFUSED: there is no such way. */
int destination_set(struct destination *destination, enum destination_status status,
                    struct err *err);
/* It is gone, also from memory. */
int destination_delete(struct destination *destination, struct err *err);

/* ---- what an action asks ---- */

enum destination_pass {
    DESTINATION_OPEN,  /* messages may go */
    DESTINATION_WAITS, /* not yet */
    DESTINATION_SHUT,  /* never, as it stands */
};

/*
 * Whether messages may be posted to what begins with `url`; `why` says it if not. With `may_ask`
 * (the file's actions, whose owner wants it so) a destination is made if there is none, its owner
 * is asked again and again, and the messages wait meanwhile; without, nothing but an ENABLED one is
 * open (AWS).
 */
enum destination_pass destination_check(struct destinations *destinations, struct str url,
                                        bool may_ask, const char *ca_path,
                                        char why[DESTINATION_WHY_CHARS]);

/* ---- confirmation.c ---- */

/* Posts the message that asks the owner, unless one is under way. `ca_path` NULL: the system's
 * certificates. */
void destination_post(struct destination *destination, const char *ca_path);
void destination_post_cancel(struct destination *destination);

/* ---- destination_api.c ---- */

extern const struct rest_route destination_routes[];

#endif
