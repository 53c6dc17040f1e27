/*
 * A value of the table "destination" is one line of words: the status, the token, the UUID of the
 * ARN, when it was made, changed, and last asked for (wall clock, milliseconds), the URL. The key
 * is the SHA-256 of the URL in hex digits, since URLs are longer than keys may be.
 */
#include "action/destination.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

#include "action/web_hook.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/sigv4.h"

enum { KEY_CHARS = 64 };

static const char table[] = "destination";

const char *const destination_status_names[] = {"IN_PROGRESS", "ENABLED", "DISABLED", "ERROR",
                                                NULL};

/* ---- on disk ---- */

static void write_value(struct buf *out, const struct destination *destination) {
    buf_printf(out, "%s %s %s %llu %llu %llu %s", destination_status_names[destination->stored],
               destination->token, destination->uuid, (unsigned long long)destination->created_ms,
               (unsigned long long)destination->updated_ms,
               (unsigned long long)destination->asked_ms, destination->url);
}

static int save(const struct destination *destination, struct err *err) {
    char key[KEY_CHARS + 1];
    struct buf value = {0};
    sigv4_sha256_hex(str_of(destination->url), key);
    write_value(&value, destination);
    int code = facts_set(destination->owner->services->facts, table, str_from(key, KEY_CHARS),
                         buf_str(&value), err);
    buf_done(&value);
    return code;
}

static bool read_status(struct str word, enum destination_status *ret_status) {
    for (unsigned i = 0; i < DESTINATION_ERROR; i++)
        if (str_eq(word, str_of(destination_status_names[i]))) {
            *ret_status = (enum destination_status)i;
            return true;
        }
    return false;
}

static bool read_text(struct str word, size_t chars, char *ret_text) {
    if (word.len != chars)
        return false;
    memcpy(ret_text, word.at, chars);
    ret_text[chars] = '\0';
    return true;
}

static bool read_value(struct str value, struct destination *destination) {
    struct str status = str_cut(value, ' ', &value), token = str_cut(value, ' ', &value);
    struct str uuid = str_cut(value, ' ', &value), created = str_cut(value, ' ', &value);
    struct str updated = str_cut(value, ' ', &value), asked = str_cut(value, ' ', &value);
    struct web_hook_url parts;
    if (!read_status(status, &destination->stored) ||
        !read_text(token, DESTINATION_TOKEN_CHARS, destination->token) ||
        !read_text(uuid, UUID_CHARS, destination->uuid) ||
        !str_to_u64(created, &destination->created_ms) ||
        !str_to_u64(updated, &destination->updated_ms) ||
        !str_to_u64(asked, &destination->asked_ms) || !web_hook_url_read(value, &parts))
        return false;
    destination->url = str_dup(value);
    return true;
}

/* ---- in memory ---- */

size_t destination_position(const struct destinations *destinations, struct str uuid) {
    size_t low = 0, high = destinations->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (str_compare(str_of(destinations->items[middle]->uuid), uuid) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void insert(struct destinations *destinations, struct destination *destination) {
    size_t at = destination_position(destinations, str_of(destination->uuid));
    size_t after = destinations->count - at;
    destinations->items =
        xrealloc(destinations->items, (destinations->count + 1) * sizeof destinations->items[0]);
    memmove(&destinations->items[at + 1], &destinations->items[at],
            after * sizeof destinations->items[0]);
    destinations->items[at] = destination;
    destinations->count++;
    map_put(&destinations->by_url, str_of(destination->url), destination);
}

static void take_out(struct destinations *destinations, struct destination *destination) {
    size_t at = destination_position(destinations, str_of(destination->uuid));
    destinations->count--;
    memmove(&destinations->items[at], &destinations->items[at + 1],
            (destinations->count - at) * sizeof destinations->items[0]);
    map_remove(&destinations->by_url, str_of(destination->url));
}

static void destination_free(struct destination *destination) {
    destination_post_cancel(destination);
    buf_done(&destination->body);
    free(destination->url);
    free(destination);
}

struct destination *destination_of_url(const struct destinations *destinations, struct str url) {
    return map_get(&destinations->by_url, url);
}

static void write_prefix(const struct destinations *destinations, struct buf *out) {
    buf_printf(out, "arn:aws:iot:%s:%s:ruledestination/http/", destinations->services->region,
               destinations->services->account);
}

struct destination *destination_of_arn(const struct destinations *destinations, struct str arn) {
    struct buf prefix = {0};
    struct destination *found = NULL;
    write_prefix(destinations, &prefix);
    if (str_starts(arn, buf_str(&prefix))) {
        struct str uuid = str_skip(arn, buf_len(&prefix));
        size_t at = destination_position(destinations, uuid);
        if (at < destinations->count && str_eq(str_of(destinations->items[at]->uuid), uuid))
            found = destinations->items[at];
    }
    buf_done(&prefix);
    return found;
}

void destination_arn(const struct destination *destination, struct buf *out) {
    write_prefix(destination->owner, out);
    buf_add_str(out, str_of(destination->uuid));
}

/* ---- how one stands ---- */

enum destination_status destination_status(const struct destination *destination) {
    uint64_t now_ms = clock_wall_ms();
    bool is_late = now_ms > destination->asked_ms + DESTINATION_CONFIRM_MS;
    return destination->stored == DESTINATION_IN_PROGRESS && is_late ? DESTINATION_ERROR
                                                                     : destination->stored;
}

void destination_reason(const struct destination *destination, struct buf *out) {
    enum destination_status status = destination_status(destination);
    char when[CLOCK_RFC3339_BYTES];
    if (destination->stored != DESTINATION_IN_PROGRESS)
        return;
    clock_rfc3339(destination->asked_ms, when);
    buf_printf(out, "%s Confirmation message sent on %s; %s.",
               status == DESTINATION_ERROR ? "Confirmation timed out." : "Awaiting confirmation.",
               when, destination->outcome);
}

/* ---- changes ---- */

static void tell(struct destinations *destinations) {
    if (destinations->changed)
        destinations->changed(destinations->changed_data);
}

static void make_token(char ret_token[DESTINATION_TOKEN_CHARS + 1]) {
    uint8_t bytes[DESTINATION_TOKEN_CHARS / 2];
    random_bytes(bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(ret_token + 2 * i, 3, "%02x", bytes[i]);
}

static int check_new(const struct destinations *destinations, struct str url, struct err *err) {
    struct web_hook_url parts;
    if (url.len > DESTINATION_URL_CHARS_MAX || !web_hook_url_read(url, &parts) ||
        str_find(url, '$') < url.len)
        return err_set(err, ERR_INVALID,
                       "confirmationUrl: https://host/path is wanted, without user, fragment and "
                       "templates, at most %d characters",
                       DESTINATION_URL_CHARS_MAX);
    if (destination_of_url(destinations, url))
        return err_set(err, ERR_EXISTS, "There is a destination with this confirmationUrl already");
    if (destinations->count >= DESTINATIONS_MAX)
        return err_set(err, ERR_FULL, "There are %d destinations already", DESTINATIONS_MAX);
    return 0;
}

int destination_add(struct destinations *destinations, struct str url, const char *ca_path,
                    struct destination **ret_destination, struct err *err) {
    int code = check_new(destinations, url, err);
    if (code)
        return code;
    struct destination *destination = xcalloc(1, sizeof *destination);
    uint64_t now_ms = clock_wall_ms();
    destination->owner = destinations;
    destination->url = str_dup(url);
    destination->created_ms = destination->updated_ms = destination->asked_ms = now_ms;
    random_uuid(destination->uuid);
    make_token(destination->token);
    code = save(destination, err);
    if (code) {
        destination_free(destination);
        return code;
    }
    insert(destinations, destination);
    destination->is_asked = true;
    destination_post(destination, ca_path);
    *ret_destination = destination;
    return 0;
}

/* On disk first: what cannot be kept does not hold. */
static int change(struct destination *destination, const struct destination *fresh,
                  struct err *err) {
    int code = save(fresh, err);
    if (code)
        return code;
    destination->stored = fresh->stored;
    destination->updated_ms = fresh->updated_ms;
    destination->asked_ms = fresh->asked_ms;
    memcpy(destination->token, fresh->token, sizeof destination->token);
    tell(destination->owner);
    return 0;
}

/* A new token, so that one which went astray long ago means nothing any more. */
static int ask_anew(struct destination *destination, const char *ca_path, struct err *err) {
    struct destination fresh = *destination;
    fresh.stored = DESTINATION_IN_PROGRESS;
    fresh.updated_ms = fresh.asked_ms = clock_wall_ms();
    make_token(fresh.token);
    int code = change(destination, &fresh, err);
    if (code)
        return code;
    destination->is_asked = true;
    destination_post_cancel(destination);
    destination_post(destination, ca_path);
    return 0;
}

int destination_set(struct destination *destination, enum destination_status status,
                    struct err *err) {
    struct destination fresh = *destination;
    if (status == DESTINATION_IN_PROGRESS)
        return ask_anew(destination, NULL, err);
    bool is_confirmed = destination->stored != DESTINATION_IN_PROGRESS;
    if (status == DESTINATION_ERROR || !is_confirmed)
        return err_set(err, ERR_REFUSED, "A destination that is %s cannot become %s",
                       destination_status_names[destination_status(destination)],
                       destination_status_names[status]);
    if (status == destination->stored)
        return 0;
    fresh.stored = status;
    fresh.updated_ms = clock_wall_ms();
    return change(destination, &fresh, err);
}

int destination_delete(struct destination *destination, struct err *err) {
    struct destinations *destinations = destination->owner;
    char key[KEY_CHARS + 1];
    struct facts_write *write;
    sigv4_sha256_hex(str_of(destination->url), key);
    int code = facts_begin(destinations->services->facts, &write, err);
    if (code)
        return code;
    facts_delete(write, table, str_from(key, KEY_CHARS));
    code = facts_commit(write, err);
    if (code)
        return code;
    take_out(destinations, destination);
    destination_free(destination);
    tell(destinations);
    return 0;
}

int action_destinations_confirm(struct destinations *destinations, struct str token) {
    struct destination *found = NULL;
    struct err err;
    for (size_t i = 0; token.len == DESTINATION_TOKEN_CHARS && i < destinations->count; i++)
        if (CRYPTO_memcmp(destinations->items[i]->token, token.at, token.len) == 0)
            found = destinations->items[i];
    if (!found || destination_status(found) == DESTINATION_ERROR)
        return ERR_NOT_FOUND;
    if (found->stored != DESTINATION_IN_PROGRESS)
        return 0;
    struct destination fresh = *found;
    fresh.stored = DESTINATION_ENABLED;
    fresh.updated_ms = clock_wall_ms();
    int code = change(found, &fresh, &err);
    if (code)
        log_error("action", "%s: its confirmation cannot be kept: %s", found->url, err.text);
    else
        log_info("action", "%s: confirmed", found->url);
    return code;
}

/* ---- what an action asks ---- */

/* The same token again: the owner may be slow. What the clock did meanwhile is of no interest. */
static void ask_again(struct destination *destination, const char *ca_path) {
    uint64_t now_ms = clock_wall_ms();
    struct err err;
    bool is_due =
        now_ms < destination->asked_ms || now_ms - destination->asked_ms >= DESTINATION_ASK_MS;
    if (destination->is_asked && !is_due)
        return;
    destination->is_asked = true;
    destination->asked_ms = now_ms;
    if (save(destination, &err))
        log_warn("action", "%s: %s", destination->url, err.text);
    destination_post(destination, ca_path);
}

static enum destination_pass ask(struct destinations *destinations, struct destination *destination,
                                 struct str url, const char *ca_path,
                                 char why[DESTINATION_WHY_CHARS]) {
    struct err err = {0};
    int code = 0;
    if (!destination)
        code = destination_add(destinations, url, ca_path, &destination, &err);
    else if (destination_status(destination) == DESTINATION_ERROR)
        code = ask_anew(destination, ca_path, &err);
    else
        ask_again(destination, ca_path);
    snprintf(why, DESTINATION_WHY_CHARS, "%s", code ? err.text : destination->outcome);
    return DESTINATION_WAITS;
}

enum destination_pass destination_check(struct destinations *destinations, struct str url,
                                        bool may_ask, const char *ca_path,
                                        char why[DESTINATION_WHY_CHARS]) {
    struct destination *destination = destination_of_url(destinations, url);
    if (destination && destination->stored == DESTINATION_ENABLED)
        return DESTINATION_OPEN;
    if (may_ask && !(destination && destination->stored == DESTINATION_DISABLED))
        return ask(destinations, destination, url, ca_path, why);
    if (destination)
        snprintf(why, DESTINATION_WHY_CHARS, "its destination is %s",
                 destination_status_names[destination_status(destination)]);
    else
        snprintf(why, DESTINATION_WHY_CHARS, "there is no destination with this confirmation URL");
    return DESTINATION_SHUT;
}

/* ---- life ---- */

static bool load(void *data, struct str key, struct str value) {
    struct destinations *destinations = data;
    struct destination *destination = xcalloc(1, sizeof *destination);
    destination->owner = destinations;
    snprintf(destination->outcome, sizeof destination->outcome,
             "no response received from the endpoint");
    if (read_value(value, destination)) {
        insert(destinations, destination);
    } else {
        log_warn("action", "the destination %.*s cannot be read and is left out", STR_ARG(key));
        destination_free(destination);
    }
    return true;
}

int action_destinations_open(struct loop *loop, const struct action_services *services,
                             struct destinations **ret_destinations, struct err *err) {
    struct destinations *destinations = xcalloc(1, sizeof *destinations);
    destinations->loop = loop;
    destinations->services = services;
    destinations->rest = (struct rest_service){
        .signing_name = "iot execute-api", .routes = destination_routes, .data = destinations};
    int code = facts_each(services->facts, table, (struct str){0}, load, destinations);
    if (code) {
        action_destinations_close(destinations);
        return err_set(err, code, "the destinations in facts.mdb: %s", err_text(code));
    }
    *ret_destinations = destinations;
    return 0;
}

void action_destinations_watch(struct destinations *destinations, void (*changed)(void *data),
                               void *data) {
    destinations->changed = changed;
    destinations->changed_data = data;
}

const struct rest_service *action_destinations_service(const struct destinations *destinations) {
    return &destinations->rest;
}

void action_destinations_close(struct destinations *destinations) {
    if (!destinations)
        return;
    for (size_t i = 0; i < destinations->count; i++)
        destination_free(destinations->items[i]);
    free(destinations->items);
    map_done(&destinations->by_url);
    free(destinations);
}
