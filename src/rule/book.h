/*
 * All rules by name: those of the configuration file, which are read-only here, and those that clients
 * made through the API, which are kept in the facts table "rule" (docs/formats/facts.md) and come back
 * at the next start. A name of the file wins over one of the API, which waits until the file has it
 * no more.
 *
 * A book changes nothing by itself: after each change its owner takes rule_book_set() and puts it
 * in force on every worker. What was changed is on disk when the call returns.
 *
 * A kept rule may cease to hold (its role is gone from the file): then it is listed with the reason, is
 * not in the set, and can be replaced or deleted.
 *
 * Belongs to one thread, the service's.
 */
#ifndef RULE_BOOK_H
#define RULE_BOOK_H

#include "io/facts.h"
#include "rule/rule.h"

enum {
    RULE_DOCUMENT_BYTES_MAX = 256 * 1024, /* AWS: 128 KB of the rule, written with blanks */
};

struct rule_book;

struct rule_entry {
    struct str name;
    const char *place;   /* "file:line:column" of a rule of the file, else empty */
    const char *reason;  /* why it is not in force though it is enabled; NULL: it is */
    struct str document; /* as AWS writes it (document.h): a JSON object that is not empty */
    struct str sql, filter, description; /* filter: FROM; empty if there is none */
    bool disabled;
    uint64_t created_ms; /* 0: of the file */
    struct str tags;     /* as the API left them */
};

/* `configured` are the rules of the file; the book takes references of its own. Rules that do not
 * hold are logged. */
int rule_book_open(struct facts *facts, struct rule_set *configured,
                   const struct rule_surroundings *surroundings, struct rule_book **ret_book,
                   struct err *err);
void rule_book_free(struct rule_book *book);

/* The rules that are to be in force; one reference is the caller's. */
struct rule_set *rule_book_set(const struct rule_book *book);

/* ---- reading ---- */

/* In order of their names. Entries are valid until the next change. */
size_t rule_book_count(const struct rule_book *book);
const struct rule_entry *rule_book_at(const struct rule_book *book, size_t index);
const struct rule_entry *rule_book_find(const struct rule_book *book, struct str name);

/* The index of the first entry whose name is not less. */
size_t rule_book_position(const struct rule_book *book, struct str name);

/* The compiled rule of that name, until the next change; NULL if it is not in force. */
const struct rule *rule_book_rule(const struct rule_book *book, struct str name);

/* Compiles a payload of CreateTopicRule as rule_book_put() would, under the name "test"; one
 * reference is the caller's. */
int rule_book_try(const struct rule_book *book, struct str document, struct rule **ret_rule,
                  struct err *err);

/* The name of an action in the configuration and in metrics, from AWS's: "dynamodb" of "dynamoDB". */
const char *rule_document_key(struct arena *arena, struct str aws_name);

/* ---- changing ---- */

enum rule_book_put { RULE_BOOK_CREATE, RULE_BOOK_REPLACE };

/*
 * Makes a rule of a payload of CreateTopicRule, or replaces the one there is (its tags and the time
 * of its making stay). EXISTS; NOT_FOUND; REFUSED: it stands in the file; FULL; INVALID,
 * UNSUPPORTED, DENIED: the rule itself, *ret_sql says whether it is its SQL; IO, NO_SPACE.
 */
int rule_book_put(struct rule_book *book, enum rule_book_put how, struct str name,
                  struct str document, struct str tags, uint64_t now_ms, bool *ret_sql,
                  struct err *err);

/* NOT_FOUND, REFUSED, IO, NO_SPACE; and what compiling says. */
int rule_book_enable(struct rule_book *book, struct str name, bool enabled, struct err *err);
int rule_book_set_tags(struct rule_book *book, struct str name, struct str tags, struct err *err);
int rule_book_delete(struct rule_book *book, struct str name, struct err *err);

/* The book as another configuration has it: its rules take the place of the old file's, and those
 * of clients are compiled anew. The caller puts it in force and frees the old one, or frees the new
 * one. */
struct rule_book *rule_book_reconfigured(const struct rule_book *book, struct rule_set *configured,
                                         const struct rule_surroundings *surroundings);

#endif
