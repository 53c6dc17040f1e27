/*
 * A value of the table "destination" is one line of words: "ENABLED" or "IN_PROGRESS", the token, the
 * UUID of the ARN, the URL. The key is the SHA-256 of the URL in hex digits, since URLs are longer than
 * keys may be.
 */
#include "action/destination.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/json_write.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "http/sigv4.h"

enum { ANSWER_BYTES_MAX = 16 * 1024, TIMEOUT_MS = 10 * 1000, KEY_CHARS = 64 };

static const char table[] = "destination";
static const struct str word_enabled = {"ENABLED", 7}, word_waiting = {"IN_PROGRESS", 11};

struct entry {
    struct str state, token, uuid, url;
};

static struct entry entry_read(struct str value) {
    struct entry entry;
    entry.state = str_cut(value, ' ', &value);
    entry.token = str_cut(value, ' ', &value);
    entry.uuid = str_cut(value, ' ', &value);
    entry.url = value;
    return entry;
}

static int entry_save(struct facts *facts, const struct entry *entry, struct err *err) {
    char key[KEY_CHARS + 1];
    struct buf value = {0};
    sigv4_sha256_hex(entry->url, key);
    buf_printf(&value, "%.*s %.*s %.*s %.*s", STR_ARG(entry->state), STR_ARG(entry->token),
               STR_ARG(entry->uuid), STR_ARG(entry->url));
    int code = facts_set(facts, table, str_from(key, KEY_CHARS), buf_str(&value), err);
    buf_done(&value);
    return code;
}

static void make_token(char ret_token[DESTINATION_TOKEN_CHARS + 1]) {
    uint8_t bytes[DESTINATION_TOKEN_CHARS / 2];
    random_bytes(bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(ret_token + 2 * i, 3, "%02x", bytes[i]);
}

/* What stands there, or a new entry that waits. `room` keeps the texts. */
static int entry_get(struct destination *destination, struct buf *room, struct entry *ret_entry) {
    struct facts *facts = destination->services->facts;
    char key[KEY_CHARS + 1], token[DESTINATION_TOKEN_CHARS + 1], uuid[UUID_CHARS];
    struct err err = {0};
    sigv4_sha256_hex(str_of(destination->url), key);
    int code = facts_get(facts, table, str_from(key, KEY_CHARS), room);
    if (code == ERR_NOT_FOUND) {
        make_token(token);
        random_uuid(uuid);
        struct entry entry = {word_waiting, str_of(token), str_from(uuid, UUID_CHARS),
                              str_of(destination->url)};
        code = entry_save(facts, &entry, &err);
        if (!code)
            code = facts_get(facts, table, str_from(key, KEY_CHARS), room);
    }
    if (!code)
        *ret_entry = entry_read(buf_str(room));
    return code;
}

/* ---- asking ---- */

static void on_answer(void *data, const struct http_answer *answer) {
    struct destination *destination = data;
    destination->call = NULL;
    if (answer->status >= 200 && answer->status <= 299)
        snprintf(destination->why, sizeof destination->why,
                 "the confirmation token was sent and has not come back yet");
    else if (answer->status)
        snprintf(destination->why, sizeof destination->why,
                 "the request for confirmation was answered with %d", answer->status);
    else
        snprintf(destination->why, sizeof destination->why,
                 "the request for confirmation failed: %s", answer->error);
}

static void write_body(struct buf *out, const struct entry *entry, struct str arn,
                       struct str enable_url) {
    buf_clear(out);
    buf_add_u8(out, '{');
    json_write_text(out, "arn", arn);
    json_write_text(out, "confirmationToken", entry->token);
    json_write_text(out, "enableUrl", enable_url);
    json_write_text(out, "messageType", STR("DestinationConfirmation"));
    buf_add_u8(out, '}');
}

static void post(struct destination *destination, const struct entry *entry, struct str arn,
                 const char *url) {
    const struct http_header headers[] = {
        {STR("Content-Type"), STR("application/json")},
        {STR("x-amz-rules-engine-message-type"), STR("DestinationConfirmation")},
        {STR("x-amz-rules-engine-destination-arn"), arn},
    };
    struct http_call_config config = {
        .method = "POST",
        .url = url,
        .headers = headers,
        .header_count = COUNT_OF(headers),
        .body = buf_str(&destination->body),
        .timeout_ms = TIMEOUT_MS,
        .answer_bytes_max = ANSWER_BYTES_MAX,
        .ca_path = destination->ca_path,
    };
    destination->call =
        http_client_send(destination->services->client, &config, on_answer, destination);
}

static void ask(struct destination *destination, const struct entry *entry) {
    const struct action_services *services = destination->services;
    struct buf arn = {0}, enable_url = {0}, url = {0};
    struct str base = str_of(destination->url);
    bool has_slash = base.len && base.at[base.len - 1] == '/';
    buf_printf(&arn, "arn:aws:iot:%s:%s:ruledestination/http/%.*s", services->region,
               services->account, STR_ARG(entry->uuid));
    buf_printf(&enable_url, "%s/confirmdestination/%.*s", services->confirm_url,
               STR_ARG(entry->token));
    buf_printf(&url, "%s%sconfirmationToken=%.*s", destination->url,
               strchr(destination->url, '?') ? "&" : (has_slash ? "?" : "/?"),
               STR_ARG(entry->token));
    write_body(&destination->body, entry, buf_str(&arn), buf_str(&enable_url));
    post(destination, entry, buf_str(&arn), buf_cstr(&url));
    log_info("action", "%s: asked for confirmation; %s confirms it by hand", destination->url,
             buf_cstr(&enable_url));
    buf_done(&arn);
    buf_done(&enable_url);
    buf_done(&url);
}

bool destination_check(struct destination *destination) {
    struct buf room = {0};
    struct entry entry;
    uint64_t now_ms = loop_now_ms(destination->loop);
    if (destination->is_enabled)
        return true;
    int code = entry_get(destination, &room, &entry);
    if (code)
        snprintf(destination->why, sizeof destination->why, "its state cannot be read: %s",
                 err_text(code));
    else
        destination->is_enabled = str_eq(entry.state, word_enabled);
    if (!code && !destination->is_enabled && !destination->call &&
        now_ms >= destination->ask_again_ms) {
        destination->ask_again_ms = now_ms + DESTINATION_ASK_MS;
        ask(destination, &entry);
    }
    buf_done(&room);
    return destination->is_enabled;
}

/* ---- confirming ---- */

struct search {
    struct str token;
    struct buf found;
};

static bool look(void *data, struct str key, struct str value) {
    struct search *search = data;
    if (!str_eq(entry_read(value).token, search->token))
        return true;
    buf_add_str(&search->found, value);
    return false;
}

int destination_confirm(struct facts *facts, struct str token) {
    struct search search = {.token = token};
    struct err err;
    int code = ERR_NOT_FOUND;
    if (token.len == DESTINATION_TOKEN_CHARS)
        facts_each(facts, table, (struct str){0}, look, &search);
    if (buf_len(&search.found)) {
        struct entry entry = entry_read(buf_str(&search.found));
        entry.state = word_enabled;
        code = entry_save(facts, &entry, &err);
        if (!code)
            log_info("action", "%.*s: confirmed", STR_ARG(entry.url));
    }
    buf_done(&search.found);
    return code;
}

/* ---- life ---- */

void destination_init(struct destination *destination, struct loop *loop,
                      const struct action_services *services, const char *url,
                      const char *ca_path) {
    *destination =
        (struct destination){.loop = loop, .services = services, .url = url, .ca_path = ca_path};
    snprintf(destination->why, sizeof destination->why, "it is about to be asked");
}

void destination_done(struct destination *destination) {
    if (destination->call)
        http_call_cancel(destination->call);
    destination->call = NULL;
    buf_done(&destination->body);
}
