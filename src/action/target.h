/*
 * What a new action needs: a *target*, which takes batches of items and says of each what became of
 * it, and a *kind*, which describes its configuration. The log, the cursor, checkpoints, retries,
 * back-off, the error action and metrics are the runner's (runner.c); a target knows nothing of them.
 *
 * Adding a kind: src/action/NAME.c with a `const struct action_target_kind action_NAME`; one line in
 * kinds.c; one row OUTSIDE("NAME", ...) in src/rule/set.c.
 *
 * Everything runs on the service loop. Nothing may block it.
 */
#ifndef ACTION_TARGET_H
#define ACTION_TARGET_H

#include "action/action.h"

/* ---- settings ---- */

/* Every settings struct begins with this; its table ends with ACTION_COMMON_OPTIONS. */
struct action_settings {
    struct option_head head;
    const char *role; /* the rule looks it up */
    int64_t backlog_bytes_max;
    int64_t retry_attempts_max; /* -1: no bound */
    int64_t record_age_ms_max;  /* 0: no bound */
};

/* `attempts` and `age` are the defaults, as texts: "-1" and "0s" retry until the target takes it. */
#define ACTION_COMMON_OPTIONS(attempts, age)                                                       \
    {.key = "role_arn",                                                                            \
     .type = OPTION_STRING,                                                                        \
     .offset = offsetof(struct action_settings, role),                                             \
     .help = "what the action may touch: a name under `roles`, or an ARN that ends in one"},       \
        {.key = "role",                                                                            \
         .type = OPTION_STRING,                                                                    \
         .offset = offsetof(struct action_settings, role),                                         \
         .help = "the same"},                                                                      \
        {.key = "maximum_retry_attempts",                                                          \
         .type = OPTION_INT,                                                                       \
         .offset = offsetof(struct action_settings, retry_attempts_max),                           \
         .default_text = attempts,                                                                 \
         .min = -1,                                                                                \
         .max = 10000,                                                                             \
         .help = "then the rule's error action gets it; -1: until the target takes it"},           \
        {.key = "maximum_record_age",                                                              \
         .type = OPTION_DURATION,                                                                  \
         .offset = offsetof(struct action_settings, record_age_ms_max),                            \
         .default_text = age,                                                                      \
         .help = "what failed and is older goes to the error action; 0s: no bound"},               \
        {.key = "backlog_size",                                                                    \
         .type = OPTION_SIZE,                                                                      \
         .offset = offsetof(struct action_settings, backlog_bytes_max),                            \
         .default_text = "1GiB",                                                                   \
         .min = 1024 * 1024,                                                                       \
         .max = INT64_MAX,                                                                         \
         .help =                                                                                   \
             "what may wait on disk while the target is down; beyond it messages are refused"},    \
    {                                                                                              \
        .key = NULL                                                                                \
    }

/* ---- items ---- */

enum action_verdict {
    ACTION_OK,     /* the target has it */
    ACTION_RETRY,  /* not now: the runner gives it again after a pause */
    ACTION_FAILED, /* never: the error action gets it */
    /* Not tried, since the target is not ready or an earlier item must be retried first: as
     * ACTION_RETRY, but no attempt is counted. */
    ACTION_POSTPONED,
};

struct action_item {
    /* views; valid until the item is settled, or `closed` of close() */
    struct action_record record;
    uint64_t counter;    /* in its log: grows by one, never used twice by one log */
    uint64_t arrival_ms; /* wall clock when it was staged */
    unsigned attempts;   /* before this one */
    void *scratch;       /* the target's own during a send; NULL when it begins */
    /* The target's word on which items of a send went in one request; those that are refused share
     * one document. 0: it went alone. */
    uint64_t request;
    bool is_across_topics; /* that request may hold messages of several topics */

    /* The runner's; set by action_item_settle(). */
    struct action_target *target;
    enum action_verdict verdict;
    bool is_settled;
    char *why; /* NULL with ACTION_OK */
};

/* Says what became of an item, once per item and send; also from inside send(). `format` NULL only
 * with ACTION_OK. The text goes to the log and the error action: no secrets. When the last item of a
 * send is settled the next send may come, never from inside this call. */
void action_item_settle(struct action_item *item, enum action_verdict verdict, const char *format,
                        ...) __attribute__((format(printf, 3, 4)));

/* ---- targets ---- */

struct action_meter;

struct action_target {
    const struct action_target_ops *ops;
    /* The runner's. */
    void (*settled)(struct action_target *target);
    void (*ready)(struct action_target *target);
    size_t unsettled;
    void *runner;
    struct action_meter *meter;     /* NULL: nobody counts */
    const struct action_spec *spec; /* of the action, as long as the target is open */
    bool is_stopping; /* what is under way may end, and nothing more should be begun */
};

struct action_target_ops {
    /* Takes items, in the order of the log. One send at a time: the next comes when all are settled.
     * The items that are to be retried come again, alone. The array and what it points to stay until
     * all are settled. */
    void (*send)(struct action_target *target, struct action_item *const *items, size_t count);
    /* Gives up what is under way: no item is settled any more. `closed` runs when the memory is gone;
     * also from inside this call. */
    void (*close)(struct action_target *target, void (*closed)(void *data), void *data);
};

/* The target has become reachable: a pause of the runner ends. Any time between open and close. */
static inline void action_target_ready(struct action_target *target) {
    if (target->ready)
        target->ready(target);
}

struct action_target_kind {
    struct action_kind kind; /* kind.name, options, check, templates */
    unsigned batch_items_max;
    size_t batch_bytes_max; /* of records, about */
    /* How long a batch that is not full waits for more, from its first record on. NULL: not at all. */
    unsigned (*linger_ms)(const void *settings);
    /* Does not wait for a connection. `settings` (checked) and `services` outlive the target. An error
     * here is one of the configuration; it is logged, and tried again with the runner's back-off. */
    int (*open)(struct loop *loop, const struct action_services *services, const void *settings,
                struct action_target **ret_target, struct err *err);
};

/* ---- for kinds whose target takes one item at a time ---- */

/*
 * Walks through a send with at most `in_flight_max` items under way, in order; items with the same
 * `order` text (empty: none) never overtake one another. `begin` starts one item, which ends with
 * action_walk_settle(), also from inside `begin`. When an item is to be retried, or is postponed,
 * or the target stops, nothing more is begun: what is left is postponed. So with in_flight_max 1
 * the order of the log is kept, and a target that is down is asked once per pause.
 */
struct action_walk {
    unsigned in_flight_max; /* the caller's, as are the functions */
    void (*begin)(struct action_walk *walk, struct action_item *item);
    struct str (*order)(const struct action_item *item); /* may be NULL */
    /* Settles the item, and those that it stands for. NULL: action_item_settle(). */
    void (*end)(struct action_item *item, enum action_verdict verdict, const char *why);

    struct action_item *const *items;
    enum { ACTION_WALK_WAITS, ACTION_WALK_BEGUN, ACTION_WALK_ENDED } * places;
    size_t count;
    unsigned in_flight;
    bool is_running, is_woken, is_stopped;
};

/* The items stay until all are settled. */
void action_walk_start(struct action_walk *walk, struct action_item *const *items, size_t count);
void action_walk_settle(struct action_walk *walk, struct action_item *item,
                        enum action_verdict verdict, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Nothing is under way. Zeroed is fine. */
void action_walk_done(struct action_walk *walk);

#endif
