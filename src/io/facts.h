/*
 * Small facts on disk: LMDB tables of byte strings (checkpoints, delivery intents, sessions,
 * resources). Weir's only database; see docs/formats/facts.md for the tables and their keys.
 *
 * One environment per data directory, opened once. Reads may come from any thread. A write
 * transaction holds LMDB's writer lock until its end, so it is short, never waits for anything, and
 * begins and ends in one call chain. facts_commit() returns when the change is on disk (fsync).
 */
#ifndef IO_FACTS_H
#define IO_FACTS_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

struct facts;

/* Opens or makes `directory`/facts.mdb. `bytes_max` is the map size: the bound of the whole (FULL
 * when reached). */
int facts_open(const char *directory, size_t bytes_max, struct facts **ret_facts, struct err *err);
void facts_close(struct facts *facts);

/* Tables are made on first use. Names: "checkpoint", "intent", ... */

/* Appends the value to `value`. NOT_FOUND if there is none. */
int facts_get(struct facts *facts, const char *table, struct str key, struct buf *value);

/* Calls `each` in order of keys for all keys that begin with `prefix`; stops when it returns false.
 * The views are valid during the call; `each` writes nothing. */
int facts_each(struct facts *facts, const char *table, struct str prefix,
               bool (*each)(void *data, struct str key, struct str value), void *data);

/*
 * Reading on a hot path: a reader belongs to one thread and keeps its place among LMDB's readers, so that
 * a read takes no lock. It sees what had been committed when the read began. Closed before the facts are.
 */
struct facts_reader;
struct facts_reader *facts_reader_new(struct facts *facts);
void facts_reader_free(struct facts_reader *reader); /* NULL is fine */

/* As facts_get(). FULL: there are more readers than LMDB has places for. */
int facts_reader_get(struct facts_reader *reader, const char *table, struct str key,
                     struct buf *value);

struct facts_write; /* a write transaction */

int facts_begin(struct facts *facts, struct facts_write **ret_write, struct err *err);

/* As facts_get(), with what the transaction has changed so far. */
int facts_write_get(struct facts_write *write, const char *table, struct str key,
                    struct buf *value);
int facts_put(struct facts_write *write, const char *table, struct str key, struct str value);
int facts_delete(struct facts_write *write, const char *table, struct str key); /* absent is fine */

/* Ends the transaction and frees it. After a failure of any step nothing is changed; the first
 * error is returned. */
int facts_commit(struct facts_write *write, struct err *err);
void facts_abort(struct facts_write *write);

/* One put, begun and committed. */
int facts_set(struct facts *facts, const char *table, struct str key, struct str value,
              struct err *err);

#endif
