/*
 * The facts table "rule": key, the name; value, a JSON object
 *
 *      {"created_ms":N,"disabled":false,"tags":...,"payload":{...}}
 *
 * with the payload as the client sent it. "disabled" wins over the payload's own ruleDisabled: it is what
 * EnableTopicRule and DisableTopicRule change.
 */
#include "rule/book.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "rule/document.h"
#include "rule/set.h"

static const char table[] = "rule";

/* What is kept of a rule of the API. */
struct kept {
    struct buf text; /* the fact; the rest are views into it */
    struct str payload, tags;
    uint64_t created_ms;
    bool disabled;
};

struct entry {
    struct rule_entry shown;
    struct buf name;
    struct rule *rule; /* NULL: does not hold, and `why` says why */
    char *why;
    struct kept kept;     /* of a rule of the API */
    struct entry *hidden; /* the rule of the API under the name of this one of the file; or NULL */
};

struct rule_book {
    struct facts *facts;
    struct rule_surroundings surroundings;
    struct entry **entries;
    size_t count, cap;
};

/* ---- entries ---- */

static void kept_done(struct kept *kept) {
    buf_done(&kept->text);
}

static void entry_free(struct entry *entry) {
    if (!entry)
        return;
    entry_free(entry->hidden);
    buf_done(&entry->name);
    rule_unref(entry->rule);
    free(entry->why);
    kept_done(&entry->kept);
    free(entry);
}

static bool is_of_file(const struct entry *entry) {
    return entry->shown.place[0] != '\0';
}

/* What the API tells of it. */
static void show(struct entry *entry) {
    const struct rule *rule = entry->rule;
    entry->shown = (struct rule_entry){.name = buf_str(&entry->name),
                                       .place = rule ? rule->place : "",
                                       .reason = entry->why,
                                       .disabled = entry->kept.disabled,
                                       .created_ms = entry->kept.created_ms,
                                       .tags = entry->kept.tags};
    entry->shown.document = rule ? rule->document : entry->kept.payload;
    if (!rule)
        return;
    entry->shown.sql = rule->sql;
    entry->shown.filter = rule->plan->filter;
    entry->shown.description = rule->description;
    entry->shown.disabled = rule->disabled;
}

static struct entry *entry_new(struct str name) {
    struct entry *entry = xcalloc(1, sizeof *entry);
    buf_add_str(&entry->name, name);
    entry->shown = (struct rule_entry){.name = buf_str(&entry->name), .place = ""};
    return entry;
}

static struct entry *entry_of_file(struct rule *rule) {
    struct entry *entry = entry_new(rule->name);
    entry->rule = rule_ref(rule);
    show(entry);
    return entry;
}

/* ---- what is kept ---- */

static void kept_write(struct kept *kept, struct str payload, struct str tags, uint64_t created_ms,
                       bool disabled) {
    struct buf *out = &kept->text;
    buf_printf(out,
               "{\"created_ms\":%llu,\"disabled\":%s,\"tags\":", (unsigned long long)created_ms,
               disabled ? "true" : "false");
    size_t at = buf_len(out);
    buf_add_str(out, tags.len ? tags : STR("{}"));
    size_t tags_len = buf_len(out) - at;
    buf_add_str(out, STR(",\"payload\":"));
    size_t payload_at = buf_len(out);
    buf_add_str(out, payload);
    buf_add_u8(out, '}');
    kept->tags = str_from(buf_at(out) + at, tags_len);
    kept->payload = str_from(buf_at(out) + payload_at, payload.len);
    kept->created_ms = created_ms;
    kept->disabled = disabled;
}

static int kept_read(struct kept *kept, struct str fact) {
    struct json json = {0};
    int64_t created_ms = 0;
    bool disabled = false;
    int code = json_parse(&json, fact);
    struct json_value root = json_root(&json), payload = json_member(root, STR("payload"));
    if (!code && (json_type(payload) != JSON_OBJECT ||
                  !json_int(json_member(root, STR("created_ms")), &created_ms) ||
                  !json_bool(json_member(root, STR("disabled")), &disabled)))
        code = ERR_CORRUPT;
    if (!code)
        kept_write(kept, json_raw(payload), json_raw(json_member(root, STR("tags"))),
                   (uint64_t)created_ms, disabled);
    json_done(&json);
    return code;
}

/* ---- compiling what is kept ---- */

/* The payload's own ruleDisabled counts when `disabled` is NULL. */
static int compile_payload(const struct rule_surroundings *surroundings, struct str name,
                           struct str payload, const bool *disabled, struct rule **ret_rule,
                           struct err *err) {
    struct arena arena = {0};
    struct json json = {0};
    struct rule_config config;
    int code = json_parse(&json, payload);
    if (code)
        err_set(err, ERR_INVALID, "the rule is no JSON: %s", json.error_text);
    else
        code =
            rule_document_read(&arena, arena_strdup(&arena, name), json_root(&json), &config, err);
    if (!code && disabled)
        config.disabled = *disabled;
    if (!code)
        code = rule_compile(&config, surroundings, ret_rule, err);
    json_done(&json);
    arena_done(&arena);
    return code;
}

static void compile_entry(struct entry *entry, const struct rule_surroundings *surroundings) {
    struct err err;
    rule_unref(entry->rule);
    free(entry->why);
    entry->rule = NULL;
    entry->why = NULL;
    if (compile_payload(surroundings, buf_str(&entry->name), entry->kept.payload,
                        &entry->kept.disabled, &entry->rule, &err)) {
        entry->why = xstrdup(err.text);
        log_error("rule", "%.*s, made through the API, is not in force: %s",
                  STR_ARG(buf_str(&entry->name)), err.text);
    }
    show(entry);
}

/* ---- the list ---- */

size_t rule_book_position(const struct rule_book *book, struct str name) {
    size_t low = 0, high = book->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (str_compare(book->entries[middle]->shown.name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct entry *find(const struct rule_book *book, struct str name) {
    size_t at = rule_book_position(book, name);
    bool found = at < book->count && str_eq(book->entries[at]->shown.name, name);
    return found ? book->entries[at] : NULL;
}

static void insert(struct rule_book *book, struct entry *entry) {
    size_t at = rule_book_position(book, entry->shown.name);
    if (book->count == book->cap) {
        book->cap = book->cap ? 2 * book->cap : 16;
        book->entries = xrealloc(book->entries, book->cap * sizeof(struct entry *));
    }
    memmove(book->entries + at + 1, book->entries + at,
            (book->count - at) * sizeof(struct entry *));
    book->entries[at] = entry;
    book->count++;
}

static void take_out(struct rule_book *book, const struct entry *entry) {
    size_t at = rule_book_position(book, entry->shown.name);
    book->count--;
    memmove(book->entries + at, book->entries + at + 1,
            (book->count - at) * sizeof(struct entry *));
}

size_t rule_book_count(const struct rule_book *book) {
    return book->count;
}

const struct rule_entry *rule_book_at(const struct rule_book *book, size_t index) {
    return &book->entries[index]->shown;
}

const struct rule_entry *rule_book_find(const struct rule_book *book, struct str name) {
    const struct entry *entry = find(book, name);
    return entry ? &entry->shown : NULL;
}

struct rule_set *rule_book_set(const struct rule_book *book) {
    struct rule **rules = xcalloc(book->count + 1, sizeof *rules);
    size_t count = 0;
    for (size_t i = 0; i < book->count; i++)
        if (book->entries[i]->rule)
            rules[count++] = book->entries[i]->rule;
    struct rule_set *set = rule_set_new(rules, count);
    free(rules);
    return set;
}

/* ---- opening ---- */

static bool on_fact(void *data, struct str key, struct str value) {
    struct rule_book *book = data;
    struct entry *entry = entry_new(key);
    if (kept_read(&entry->kept, value) == 0) {
        compile_entry(entry, &book->surroundings);
    } else {
        kept_write(&entry->kept, STR("{\"sql\":\"\"}"), (struct str){0}, 0, true);
        entry->why = xstrdup("what is kept of it is damaged");
        log_error("rule", "%.*s: %s", STR_ARG(key), entry->why);
        show(entry);
    }
    insert(book, entry);
    return true;
}

/* A rule of the file takes its name, and hides what the API had under it. */
static void add_configured(struct rule_book *book, struct rule_set *configured) {
    for (size_t i = 0; i < configured->count; i++) {
        struct entry *entry = entry_of_file(configured->rules[i]);
        entry->hidden = find(book, entry->shown.name);
        if (entry->hidden) {
            take_out(book, entry->hidden);
            log_warn("rule", "%.*s was made through the API and now stands in %s, which counts",
                     STR_ARG(entry->shown.name), entry->shown.place);
        }
        insert(book, entry);
    }
}

static void keep_surroundings(struct rule_book *book, const struct rule_surroundings *fresh) {
    struct rule_surroundings old = book->surroundings;
    book->surroundings = *fresh;
    rule_roles_ref(fresh->roles);
    rule_secrets_ref(fresh->secrets);
    rule_functions_ref(fresh->functions);
    rule_roles_unref(old.roles);
    rule_secrets_unref(old.secrets);
    rule_functions_unref(old.functions);
}

int rule_book_open(struct facts *facts, struct rule_set *configured,
                   const struct rule_surroundings *surroundings, struct rule_book **ret_book,
                   struct err *err) {
    struct rule_book *book = xcalloc(1, sizeof *book);
    book->facts = facts;
    keep_surroundings(book, surroundings);
    int code = facts_each(facts, table, (struct str){0}, on_fact, book);
    if (code) {
        rule_book_free(book);
        return err_set(err, code, "the rules made through the API cannot be read: %s",
                       err_text(code));
    }
    add_configured(book, configured);
    *ret_book = book;
    return 0;
}

void rule_book_free(struct rule_book *book) {
    if (!book)
        return;
    for (size_t i = 0; i < book->count; i++)
        entry_free(book->entries[i]);
    rule_roles_unref(book->surroundings.roles);
    rule_secrets_unref(book->surroundings.secrets);
    rule_functions_unref(book->surroundings.functions);
    free(book->entries);
    free(book);
}

/* ---- changing ---- */

static int no_rule(struct str name, struct err *err) {
    return err_set(err, ERR_NOT_FOUND, "there is no rule %.*s", STR_ARG(name));
}

/* The entry of a rule of the API. */
static int find_changeable(struct rule_book *book, struct str name, struct entry **ret_entry,
                           struct err *err) {
    *ret_entry = find(book, name);
    if (!*ret_entry)
        return no_rule(name, err);
    if (is_of_file(*ret_entry))
        return err_set(err, ERR_REFUSED,
                       "The rule %.*s stands in %s and is changed there, not through the API",
                       STR_ARG(name), (*ret_entry)->shown.place);
    return 0;
}

/* Writes it down; then the entry has it. */
static int keep(struct rule_book *book, struct entry *entry, struct kept *kept, struct rule *rule,
                struct err *err) {
    int code = facts_set(book->facts, table, buf_str(&entry->name), buf_str(&kept->text), err);
    if (code) {
        kept_done(kept);
        rule_unref(rule);
        return code;
    }
    kept_done(&entry->kept);
    rule_unref(entry->rule);
    free(entry->why);
    entry->why = NULL;
    entry->kept = *kept;
    entry->rule = rule;
    show(entry);
    return 0;
}

static int make(struct rule_book *book, struct str name, struct str document, struct str tags,
                uint64_t now_ms, struct rule *rule, struct err *err) {
    struct entry *entry = entry_new(name);
    struct kept kept = {0};
    kept_write(&kept, document, tags, now_ms, rule->disabled);
    int code = keep(book, entry, &kept, rule, err);
    if (code)
        entry_free(entry);
    else
        insert(book, entry);
    return code;
}

static int check_put(struct rule_book *book, enum rule_book_put how, struct str name,
                     struct str document, struct err *err) {
    struct entry *there;
    if (document.len > RULE_DOCUMENT_BYTES_MAX)
        return err_set(err, ERR_INVALID, "the rule is longer than %d bytes",
                       RULE_DOCUMENT_BYTES_MAX);
    if (how == RULE_BOOK_REPLACE)
        return find_changeable(book, name, &there, err);
    if (find(book, name))
        return err_set(err, ERR_EXISTS, "Rule with name %.*s already exists", STR_ARG(name));
    if (book->count >= RULE_COUNT_MAX)
        return err_set(err, ERR_FULL, "there are %d rules, more are not possible", RULE_COUNT_MAX);
    return 0;
}

/* Whether a document that does not compile fails at its statement already. */
static bool blames_sql(struct str document) {
    struct arena arena = {0};
    struct json json = {0};
    struct plan *plan;
    struct err err;
    bool blames = false;
    if (json_parse(&json, document) == 0) {
        struct json_value root = json_root(&json), sql = json_member(root, STR("sql"));
        bool v2 = json_str_eq(json_member(root, STR("awsIotSqlVersion")), STR("2016-03-23"));
        blames = json_type(sql) == JSON_STRING &&
                 rule_plan_statement(&arena, json_str(sql, &arena),
                                     v2 ? RULE_VERSION_2016_03_23 : RULE_VERSION_2015_10_08, &plan,
                                     &err) < 0;
    }
    json_done(&json);
    arena_done(&arena);
    return blames;
}

int rule_book_put(struct rule_book *book, enum rule_book_put how, struct str name,
                  struct str document, struct str tags, uint64_t now_ms, bool *ret_sql,
                  struct err *err) {
    struct rule *rule;
    *ret_sql = false;
    int code = check_put(book, how, name, document, err);
    if (code)
        return code;
    code = compile_payload(&book->surroundings, name, document, NULL, &rule, err);
    if (code) {
        *ret_sql = blames_sql(document);
        return code;
    }
    if (how == RULE_BOOK_CREATE)
        return make(book, name, document, tags, now_ms, rule, err);
    struct entry *entry = find(book, name);
    struct kept kept = {0};
    kept_write(&kept, document, entry->kept.tags, entry->kept.created_ms, rule->disabled);
    return keep(book, entry, &kept, rule, err);
}

const struct rule *rule_book_rule(const struct rule_book *book, struct str name) {
    const struct entry *entry = find(book, name);
    return entry ? entry->rule : NULL;
}

int rule_book_try(const struct rule_book *book, struct str document, struct rule **ret_rule,
                  struct err *err) {
    return compile_payload(&book->surroundings, STR("test"), document, NULL, ret_rule, err);
}

/* The same rule with something else beside its payload. */
static int change(struct rule_book *book, struct entry *entry, struct str tags, bool disabled,
                  struct err *err) {
    struct rule *rule;
    int code = compile_payload(&book->surroundings, buf_str(&entry->name), entry->kept.payload,
                               &disabled, &rule, err);
    if (code)
        return code;
    struct kept kept = {0};
    kept_write(&kept, entry->kept.payload, tags, entry->kept.created_ms, disabled);
    return keep(book, entry, &kept, rule, err);
}

int rule_book_enable(struct rule_book *book, struct str name, bool enabled, struct err *err) {
    struct entry *entry;
    int code = find_changeable(book, name, &entry, err);
    if (code || (entry->rule && entry->rule->disabled != enabled))
        return code;
    return change(book, entry, entry->kept.tags, !enabled, err);
}

int rule_book_set_tags(struct rule_book *book, struct str name, struct str tags, struct err *err) {
    struct entry *entry;
    int code = find_changeable(book, name, &entry, err);
    if (code)
        return code;
    struct kept kept = {0};
    kept_write(&kept, entry->kept.payload, tags, entry->kept.created_ms, entry->kept.disabled);
    return keep(book, entry, &kept, entry->rule ? rule_ref(entry->rule) : NULL, err);
}

static int forget(struct rule_book *book, struct str name, struct err *err) {
    struct facts_write *write;
    int code = facts_begin(book->facts, &write, err);
    if (code)
        return code;
    facts_delete(write, table, name);
    return facts_commit(write, err);
}

int rule_book_delete(struct rule_book *book, struct str name, struct err *err) {
    struct entry *entry;
    int code = find_changeable(book, name, &entry, err);
    if (!code)
        code = forget(book, name, err);
    if (code)
        return code;
    take_out(book, entry);
    entry_free(entry);
    return 0;
}

/* ---- another configuration ---- */

static struct entry *copy_kept(const struct entry *entry,
                               const struct rule_surroundings *surroundings) {
    struct entry *copy = entry_new(buf_str(&entry->name));
    if (kept_read(&copy->kept, buf_str(&entry->kept.text)) == 0) {
        compile_entry(copy, surroundings);
    } else {
        copy->why = xstrdup(entry->why);
        show(copy);
    }
    return copy;
}

struct rule_book *rule_book_reconfigured(const struct rule_book *book, struct rule_set *configured,
                                         const struct rule_surroundings *surroundings) {
    struct rule_book *fresh = xcalloc(1, sizeof *fresh);
    fresh->facts = book->facts;
    keep_surroundings(fresh, surroundings);
    for (size_t i = 0; i < book->count; i++) {
        const struct entry *entry = book->entries[i];
        const struct entry *client = is_of_file(entry) ? entry->hidden : entry;
        if (client)
            insert(fresh, copy_kept(client, surroundings));
    }
    add_configured(fresh, configured);
    return fresh;
}
