/*
 * All tables live in LMDB's one unnamed database; a key there is the table's name, a zero byte, and
 * the key (docs/formats/facts.md). So a table needs no handle that would have to be opened in a
 * write transaction before other threads could read it, and a key together with the name of its
 * table is bounded by LMDB's 511 bytes.
 */
#include "io/facts.h"

#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "io/file.h"

enum { KEY_BYTES_MAX = 511 }; /* MDB_MAXKEYSIZE as Debian compiles it; checked when opening */

struct facts {
    MDB_env *env;
    MDB_dbi all;
};

struct facts_write {
    struct facts *facts;
    MDB_txn *txn;
    int failed; /* the first error, and what it was about */
    struct err err;
};

static int code_of(int status) {
    switch (status) {
    case MDB_SUCCESS:
        return 0;
    case MDB_NOTFOUND:
        return ERR_NOT_FOUND;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
    case MDB_READERS_FULL:
        return ERR_FULL;
    case MDB_BAD_VALSIZE:
        return ERR_TOO_LARGE;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_PANIC:
        return ERR_CORRUPT;
    default:
        return status > 0 ? err_from_errno(status) : ERR_IO;
    }
}

static int set_error(struct err *err, int status, const char *what) {
    return err_set(err, code_of(status), "facts: %s: %s", what, mdb_strerror(status));
}

/* The key in the database; `room` holds it. */
static int make_key(const char *table, struct str key, char room[KEY_BYTES_MAX], MDB_val *ret_key) {
    size_t prefix_len = strlen(table) + 1;
    ASSERT(prefix_len > 1);
    if (prefix_len + key.len > KEY_BYTES_MAX)
        return ERR_TOO_LARGE;
    memcpy(room, table, prefix_len);
    if (key.len)
        memcpy(room + prefix_len, key.at, key.len);
    *ret_key = (MDB_val){.mv_data = room, .mv_size = prefix_len + key.len};
    return 0;
}

static int open_database(struct facts *facts, const char *path, size_t bytes_max) {
    int status = mdb_env_create(&facts->env);
    if (status)
        return status;
    status = mdb_env_set_mapsize(facts->env, bytes_max);
    if (!status)
        status = mdb_env_open(facts->env, path, MDB_NOSUBDIR | MDB_NOTLS, 0640);
    if (status)
        return status;
    ASSERT(mdb_env_get_maxkeysize(facts->env) >= KEY_BYTES_MAX);
    MDB_txn *txn;
    status = mdb_txn_begin(facts->env, NULL, 0, &txn);
    if (status)
        return status;
    status = mdb_dbi_open(txn, NULL, 0, &facts->all);
    if (!status)
        return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return status;
}

int facts_open(const char *directory, size_t bytes_max, struct facts **ret_facts, struct err *err) {
    int failed = file_make_directories(directory, err);
    if (failed)
        return failed;
    struct facts *facts = xcalloc(1, sizeof *facts);
    char *path = xprintf("%s/facts.mdb", directory);
    int status = open_database(facts, path, bytes_max);
    if (status)
        failed = set_error(err, status, path);
    else if (file_ops_real.sync_directory(NULL, directory) != 0)
        failed = err_set(err, ERR_IO, "facts: cannot sync the directory %s", directory);
    free(path);
    if (failed)
        facts_close(facts);
    else
        *ret_facts = facts;
    return failed;
}

void facts_close(struct facts *facts) {
    if (!facts)
        return;
    if (facts->env)
        mdb_env_close(facts->env);
    free(facts);
}

/* Reading. */

int facts_get(struct facts *facts, const char *table, struct str key, struct buf *value) {
    char room[KEY_BYTES_MAX];
    MDB_val at, found;
    MDB_txn *txn;
    if (make_key(table, key, room, &at) != 0)
        return ERR_NOT_FOUND;
    int status = mdb_txn_begin(facts->env, NULL, MDB_RDONLY, &txn);
    if (status)
        return code_of(status);
    status = mdb_get(txn, facts->all, &at, &found);
    if (!status)
        buf_add(value, found.mv_data, found.mv_size);
    mdb_txn_abort(txn);
    return code_of(status);
}

/* The transaction is made by the first read and renewed by each that follows; between reads it is
 * reset, so that it keeps no old pages from being used again. */
struct facts_reader {
    struct facts *facts;
    MDB_txn *txn;
};

struct facts_reader *facts_reader_new(struct facts *facts) {
    struct facts_reader *reader = xcalloc(1, sizeof *reader);
    reader->facts = facts;
    return reader;
}

void facts_reader_free(struct facts_reader *reader) {
    if (!reader)
        return;
    mdb_txn_abort(reader->txn); /* NULL is fine */
    free(reader);
}

int facts_reader_get(struct facts_reader *reader, const char *table, struct str key,
                     struct buf *value) {
    char room[KEY_BYTES_MAX];
    MDB_val at, found;
    if (make_key(table, key, room, &at) != 0)
        return ERR_NOT_FOUND;
    int status = reader->txn ? mdb_txn_renew(reader->txn)
                             : mdb_txn_begin(reader->facts->env, NULL, MDB_RDONLY, &reader->txn);
    if (status)
        return code_of(status);
    status = mdb_get(reader->txn, reader->facts->all, &at, &found);
    if (!status)
        buf_add(value, found.mv_data, found.mv_size);
    mdb_txn_reset(reader->txn);
    return code_of(status);
}

static int visit(MDB_cursor *cursor, MDB_val first, size_t table_len,
                 bool (*each)(void *data, struct str key, struct str value), void *data) {
    struct str prefix = str_from(first.mv_data, first.mv_size);
    MDB_val key = first, value;
    int status = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    while (!status && str_starts(str_from(key.mv_data, key.mv_size), prefix)) {
        struct str name = str_skip(str_from(key.mv_data, key.mv_size), table_len);
        if (!each(data, name, str_from(value.mv_data, value.mv_size)))
            return 0;
        status = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    return status == MDB_NOTFOUND ? 0 : code_of(status);
}

int facts_each(struct facts *facts, const char *table, struct str prefix,
               bool (*each)(void *data, struct str key, struct str value), void *data) {
    char room[KEY_BYTES_MAX];
    MDB_val first;
    MDB_txn *txn;
    MDB_cursor *cursor;
    if (make_key(table, prefix, room, &first) != 0)
        return 0; /* No key is so long. */
    int status = mdb_txn_begin(facts->env, NULL, MDB_RDONLY, &txn);
    if (status)
        return code_of(status);
    status = mdb_cursor_open(txn, facts->all, &cursor);
    int failed = code_of(status);
    if (!failed) {
        failed = visit(cursor, first, strlen(table) + 1, each, data);
        mdb_cursor_close(cursor);
    }
    mdb_txn_abort(txn);
    return failed;
}

/* Writing. */

int facts_begin(struct facts *facts, struct facts_write **ret_write, struct err *err) {
    MDB_txn *txn;
    int status = mdb_txn_begin(facts->env, NULL, 0, &txn);
    if (status)
        return set_error(err, status, "cannot begin to write");
    struct facts_write *write = xcalloc(1, sizeof *write);
    write->facts = facts;
    write->txn = txn;
    *ret_write = write;
    return 0;
}

/* Keeps the first error; later steps of the transaction do nothing. */
static int note(struct facts_write *write, int failed, const char *table, const char *reason) {
    if (failed && !write->failed)
        write->failed = err_set(&write->err, failed, "facts: table %s: %s", table, reason);
    return failed;
}

int facts_write_get(struct facts_write *write, const char *table, struct str key,
                    struct buf *value) {
    char room[KEY_BYTES_MAX];
    MDB_val at, found;
    if (write->failed)
        return write->failed;
    if (make_key(table, key, room, &at) != 0)
        return ERR_NOT_FOUND;
    int status = mdb_get(write->txn, write->facts->all, &at, &found);
    if (!status)
        buf_add(value, found.mv_data, found.mv_size);
    return code_of(status);
}

int facts_put(struct facts_write *write, const char *table, struct str key, struct str value) {
    char room[KEY_BYTES_MAX];
    MDB_val at;
    if (write->failed)
        return write->failed;
    if (make_key(table, key, room, &at) != 0)
        return note(write, ERR_TOO_LARGE, table, "a key is too long");
    MDB_val content = {.mv_data = (void *)(uintptr_t)value.at, .mv_size = value.len};
    int status = mdb_put(write->txn, write->facts->all, &at, &content, 0);
    return note(write, code_of(status), table, mdb_strerror(status));
}

int facts_delete(struct facts_write *write, const char *table, struct str key) {
    char room[KEY_BYTES_MAX];
    MDB_val at;
    if (write->failed)
        return write->failed;
    if (make_key(table, key, room, &at) != 0)
        return 0; /* No key is so long. */
    int status = mdb_del(write->txn, write->facts->all, &at, NULL);
    return status == MDB_NOTFOUND ? 0 : note(write, code_of(status), table, mdb_strerror(status));
}

int facts_commit(struct facts_write *write, struct err *err) {
    int failed = write->failed;
    if (failed) {
        err_set(err, failed, "%s", write->err.text);
        facts_abort(write);
        return failed;
    }
    int status = mdb_txn_commit(write->txn);
    free(write);
    return status ? set_error(err, status, "cannot commit") : 0;
}

void facts_abort(struct facts_write *write) {
    if (!write)
        return;
    mdb_txn_abort(write->txn);
    free(write);
}

int facts_set(struct facts *facts, const char *table, struct str key, struct str value,
              struct err *err) {
    struct facts_write *write = NULL;
    int failed = facts_begin(facts, &write, err);
    if (failed)
        return failed;
    facts_put(write, table, key, value);
    return facts_commit(write, err);
}
