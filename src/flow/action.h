/*
 * Rule actions that reach outside Weir (a web hook, Redis, a bucket, a function): the words that the
 * rule engine, which makes their records, and the part that delivers them (src/action/) share.
 *
 * Each such action has a log of its own. A worker's rule engine resolves the action's templates for
 * one message and pushes one *record* (resolved parameters and payload, docs/formats/action.md)
 * into the log's sink, as into a stream; the message is acknowledged when the record is on disk. What
 * the outside takes, and when, is the delivering side's business.
 *
 * A *kind* describes one key of an action's configuration ("http"). Kinds are constant; everything
 * here but what is said otherwise may be used on any thread.
 */
#ifndef FLOW_ACTION_H
#define FLOW_ACTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/option.h"
#include "base/str.h"

/* ---- configuration ---- */

enum { ACTION_PARAMS_MAX = 256, ACTION_PARAM_NAME_BYTES_MAX = 255 };

/* A text of an action's settings that may hold ${...}; resolved for each message. */
struct action_template {
    const char *name; /* of the parameter that it becomes: "url", "header.X-Device" */
    const char *text;
    const struct conf *at; /* where it stands, for errors */
};

struct action_templates {
    struct arena *arena; /* for names that have to be made */
    struct action_template items[ACTION_PARAMS_MAX];
    size_t count; /* beyond ACTION_PARAMS_MAX nothing is kept, which the rule refuses */
};

/*
 * Adds the text that stands under `key` in `head`'s map. A NULL text is not added. The order is that
 * of the record's parameters; names may repeat. `name` lives as long as the arena.
 */
void action_template_add(struct action_templates *templates, const char *name, const char *text,
                         const struct option_head *head, const char *key);

struct action_params;

struct action_kind {
    const char *name;             /* the key under `actions`, and the label of metrics: "http" */
    const char *failed_action;    /* in the error action's document: "HttpAction" */
    const struct option *options; /* of its settings struct */
    size_t settings_size;
    size_t role_offset; /* of a const char * in it: the role that the action names, or NULL */
    /* What the table cannot check, told with conf_error(). May be NULL. Nothing is resolved yet. */
    int (*check)(const void *settings, struct err *err);
    /* Adds every text that may be a template. The first is what the action acts upon (failedResource
     * in the error action's document). */
    void (*templates)(const void *settings, struct action_templates *templates);
    /* The permission that the action's role must give, "s3:PutObject", and the ARN on which, from the
     * resolved parameters; NULL: none. */
    const char *permission;
    void (*arn)(const struct action_params *params, struct buf *out);
};

/* One action of a rule. It lives as long as its owner, on which who keeps it holds a reference. */
struct action_spec {
    const struct action_kind *kind;
    const void *settings;    /* the kind's struct */
    const struct conf *conf; /* what it was read from: specs of one log that are conf_equal() do the
                                same */
    const char *log; /* name of its log: "RULE-1-http" (actions count from 1), "RULE-error-http" */
    struct str rule;
    bool is_error_action;
    bool has_error_action; /* the rule has one, and this is not it */
    void *owner;
    void (*ref)(void *owner);
    void (*unref)(void *owner);
};

/* Takes and gives back a reference on the owner; NULL is fine to give back. */
void action_spec_ref(const struct action_spec *spec);
void action_spec_unref(const struct action_spec *spec);

/* All actions of a set of rules that reach outside. */
struct action_specs {
    const struct action_spec *const *items;
    size_t count;
};

/* ---- records ---- */

struct action_param {
    struct str name, value;
};

/* Parameters as they stand in a record; checked when they were read. */
struct action_params {
    struct str bytes;
    unsigned count;
};

/* What is pushed and delivered; views only. */
struct action_record {
    struct action_params params;
    struct str payload;                        /* what SELECT made */
    struct str topic;                          /* of the message */
    struct str client_id, source_ip, trace_id; /* may be empty */
    struct str original;  /* the message's own payload; empty unless has_original */
    bool has_original;    /* kept for the error action */
    uint8_t depth;        /* the message's republish_depth; what comes of it counts on from there */
    uint64_t received_ms; /* wall clock */
};

/* Appends one parameter; names at most ACTION_PARAM_NAME_BYTES_MAX bytes (asserted). */
void action_param_write(struct buf *params, struct str name, struct str value);

/* Appends the record; `params.bytes` were made by action_param_write(). */
void action_record_write(struct buf *out, const struct action_record *record);

/* CORRUPT. The record's views point into `bytes`. */
int action_record_read(struct str bytes, struct action_record *ret_record);

/* Goes through the parameters: a zeroed place begins. False at the end. */
struct action_place {
    size_t at;
};
bool action_param_next(const struct action_params *params, struct action_place *place,
                       struct action_param *ret_param);

/* Value of the first parameter of this name, or an empty view. */
struct str action_param_get(const struct action_params *params, const char *name);

#endif
