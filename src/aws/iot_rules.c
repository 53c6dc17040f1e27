/*
 * The operations on topic rules. The body of CreateTopicRule and ReplaceTopicRule is the payload
 * itself, not wrapped. Which errors there are follows the API reference; what it leaves open was
 * seen on AWS: a rule that does not exist is UnauthorizedException (401), except to
 * DeleteTopicRule, which takes it.
 */
#include "aws/iot_internal.h"
#include "base/base64.h"
#include "base/clock.h"
#include "base/json_write.h"
#include "flow/topic.h"

enum { PAGE_DEFAULT = 100, PAGE_MAX = 10000 };

/* ---- changes ---- */

static void on_applied(void *data, int code) {
    struct rest_call *call = data;
    if (code)
        rest_fail(call, 500, "InternalException", "The rule is kept, but not in force everywhere");
    else
        rest_answer(call, 200);
}

/* The book has changed: it is answered when every worker has the rules. */
static void apply(struct rest_call *call) {
    const struct iot_host *host = &iot_of(call)->config.host;
    host->apply(host->data, on_applied, call);
}

static bool name_is_valid(struct rest_call *call) {
    struct str name = call->labels[0];
    if (rule_name_valid(name))
        return true;
    if (name.len > RULE_NAME_CHARS_MAX)
        rest_fail(call, 400, "InvalidRequestException",
                  "1 validation error detected: Value '%.*s' at 'ruleName' failed to satisfy "
                  "constraint: Member must have length less than or equal to %d",
                  STR_ARG(name), RULE_NAME_CHARS_MAX);
    else
        rest_fail(call, 400, "InvalidRequestException",
                  "1 validation error detected: Value '%.*s' at 'ruleName' failed to satisfy "
                  "constraint: Member must satisfy regular expression pattern: ^[a-zA-Z0-9_]+$",
                  STR_ARG(name));
    return false;
}

static void put(struct rest_call *call, enum rule_book_put how, struct str tags) {
    struct err err;
    bool sql;
    int code = rule_book_put(iot_book(call), how, call->labels[0], call->request->body, tags,
                             clock_wall_ms(), &sql, &err);
    if (code && sql)
        rest_fail(call, 400, "SqlParseException", "%s", err.text);
    else if (code)
        iot_fail_book(call, code, &err);
    else
        apply(call);
}

void iot_create_rule(struct rest_call *call) {
    struct buf tags = {0};
    if (name_is_valid(call) && iot_may_change(call) && iot_read_tag_header(call, &tags))
        put(call, RULE_BOOK_CREATE, buf_str(&tags));
    buf_done(&tags);
}

void iot_replace_rule(struct rest_call *call) {
    if (name_is_valid(call) && iot_may_change(call))
        put(call, RULE_BOOK_REPLACE, (struct str){0});
}

static void enable(struct rest_call *call, bool enabled) {
    struct err err;
    if (!name_is_valid(call) || !iot_may_change(call))
        return;
    int code = rule_book_enable(iot_book(call), call->labels[0], enabled, &err);
    if (code)
        iot_fail_book(call, code, &err);
    else
        apply(call);
}

void iot_enable_rule(struct rest_call *call) {
    enable(call, true);
}

void iot_disable_rule(struct rest_call *call) {
    enable(call, false);
}

void iot_delete_rule(struct rest_call *call) {
    struct err err;
    if (!name_is_valid(call) || !iot_may_change(call))
        return;
    int code = rule_book_delete(iot_book(call), call->labels[0], &err);
    if (code == ERR_NOT_FOUND)
        rest_answer(call, 200);
    else if (code)
        iot_fail_book(call, code, &err);
    else
        apply(call);
}

/* ---- reading ---- */

/* Seconds, with a fraction. */
static void write_created(const struct iot *iot, struct buf *out, const struct rule_entry *entry) {
    uint64_t ms = entry->created_ms ? entry->created_ms : iot->started_ms;
    json_write_key(out, "createdAt");
    buf_printf(out, "%llu.%03u", (unsigned long long)(ms / 1000), (unsigned)(ms % 1000));
}

static void write_arn(const struct iot *iot, struct buf *out, struct str name) {
    struct buf arn = {0};
    iot_add_rule_arn(iot, &arn, name);
    json_write_text(out, "ruleArn", buf_str(&arn));
    buf_done(&arn);
}

/* AWS's members, and two of Weir's: where a rule of the file stands, and why one is not in force. */
static void write_rule(const struct iot *iot, struct buf *out, const struct rule_entry *entry) {
    struct str members = str_skip(entry->document, 1); /* behind its '{' */
    buf_add_u8(out, '{');
    json_write_text(out, "ruleName", entry->name);
    write_created(iot, out, entry);
    if (entry->place[0])
        json_write_text(out, "configuredAt", str_of(entry->place));
    if (entry->reason)
        json_write_text(out, "notInForce", str_of(entry->reason));
    buf_add_u8(out, ',');
    buf_add_str(out, members);
}

void iot_write_rule(const struct iot *iot, struct buf *out, const struct rule_entry *entry) {
    write_arn(iot, out, entry->name);
    json_write_key(out, "rule");
    write_rule(iot, out, entry);
}

void iot_get_rule(struct rest_call *call) {
    const struct rule_entry *entry = rule_book_find(iot_book(call), call->labels[0]);
    if (!entry) {
        iot_fail_book(call, ERR_NOT_FOUND, NULL);
        return;
    }
    buf_add_u8(&call->output, '{');
    iot_write_rule(iot_of(call), &call->output, entry);
    buf_add_u8(&call->output, '}');
    rest_answer(call, 200);
}

struct listing {
    struct str topic, token;
    uint64_t page;
    bool has_topic, has_disabled, disabled;
};

static bool read_listing(struct rest_call *call, struct listing *listing) {
    struct str disabled;
    listing->has_topic = rest_query(call, "topic", &listing->topic);
    rest_query(call, "nextToken", &listing->token);
    listing->has_disabled = rest_query(call, "ruleDisabled", &disabled);
    return rest_query_bool(call, "ruleDisabled", &listing->disabled) &&
           rest_query_number(call, "maxResults", 1, PAGE_MAX, PAGE_DEFAULT, &listing->page);
}

static bool is_listed(const struct listing *listing, const struct rule_entry *entry) {
    if (listing->has_disabled && entry->disabled != listing->disabled)
        return false;
    return !listing->has_topic || str_eq(entry->filter, listing->topic) ||
           (entry->filter.len && topic_matches(entry->filter, listing->topic));
}

static void write_listed(const struct iot *iot, struct buf *out, const struct rule_entry *entry) {
    json_write_comma(out);
    buf_add_u8(out, '{');
    write_arn(iot, out, entry->name);
    json_write_text(out, "ruleName", entry->name);
    if (entry->filter.len)
        json_write_text(out, "topicPattern", entry->filter);
    write_created(iot, out, entry);
    json_write_bool(out, "ruleDisabled", entry->disabled);
    if (entry->place[0])
        json_write_text(out, "configuredAt", str_of(entry->place));
    if (entry->reason)
        json_write_text(out, "notInForce", str_of(entry->reason));
    buf_add_u8(out, '}');
}

/* The token is the name that the next page begins with, so that rules which come and go between
 * pages disturb none. */
void iot_list_rules(struct rest_call *call) {
    struct listing listing = {0};
    const struct rule_book *book = iot_book(call);
    struct buf *out = &call->output, begin = {0};
    if (!read_listing(call, &listing))
        return;
    if (!base64_read(&begin, listing.token) ||
        (listing.token.len && !rule_name_valid(buf_str(&begin)))) {
        buf_done(&begin);
        rest_fail(call, 400, "InvalidRequestException", "Invalid nextToken");
        return;
    }
    const struct rule_entry *next = NULL;
    uint64_t listed = 0;
    buf_add_str(out, STR("{\"rules\":["));
    for (size_t i = rule_book_position(book, buf_str(&begin)); i < rule_book_count(book); i++) {
        const struct rule_entry *entry = rule_book_at(book, i);
        if (!is_listed(&listing, entry))
            continue;
        if (listed++ == listing.page) {
            next = entry;
            break;
        }
        write_listed(iot_of(call), out, entry);
    }
    buf_add_u8(out, ']');
    if (next) {
        json_write_key(out, "nextToken");
        buf_add_u8(out, '"');
        base64_write(out, next->name);
        buf_add_u8(out, '"');
    }
    buf_add_u8(out, '}');
    buf_done(&begin);
    rest_answer(call, 200);
}
