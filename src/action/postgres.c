/*
 * postgres: rows into a table of PostgreSQL, over libpq.
 *
 * A batch is one round trip and one transaction: the rows go as executions of one prepared INSERT in
 * pipeline mode (libpq, "Pipeline Mode"), which the server commits together at the Sync. When it
 * refuses one row it has taken none: that row goes to the error action if it never can be taken (its
 * values do not fit the columns), and the others are sent again at once. Everything else (no server,
 * no such table, no permission) is for time or a person to mend: rows wait.
 *
 * A row whose commit was not heard of is sent again. `on_conflict_do_nothing` with a key in the table
 * makes that harmless.
 *
 *     DOWN --send--> CONNECTING (pool thread) --> UP <--> BUSY (pipeline under way)
 *      ^                 |                                 |
 *      +-----------------+------- any failure -------------+
 *
 * Connecting runs on the pool, since libpq blocks for host names and handshakes.
 */
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

#include "action/kinds.h"
#include "action/target.h"
#include "base/mem.h"

enum { COLUMNS_MAX = 64, ANSWER_MS_MAX = 30 * 1000, REASON_CHARS = 256 };

#define STATEMENT "weir"

struct postgres_settings {
    struct action_settings common;
    const char *connection, *table;
    struct option_pairs columns;
    bool on_conflict_do_nothing;
};

struct postgres {
    struct action_target target;
    const struct postgres_settings *settings;
    struct loop *loop;
    char *insert;
    PGconn *connection; /* NULL: down, or connecting */
    struct work work;   /* connecting */
    PGconn *made;       /* [pool, then loop] */
    bool is_connecting;
    uv_poll_t *poll; /* on the connection's socket; frees itself when closed */
    struct timer timer;

    struct action_item *const *items; /* of the send */
    size_t count;                     /* 0: there is none */
    size_t cursor;                    /* the item whose result comes next; count: the Sync's */
    bool is_busy;
    char refused[REASON_CHARS];  /* why the batch did not go through; empty: it did */
    struct action_item *culprit; /* who is to blame, or NULL */

    void (*closed)(void *data); /* set: closing */
    void *closed_data;
};

/* ---- configuration ---- */

#define AT(field) offsetof(struct postgres_settings, field)

static const struct option options[] = {
    {.key = "connection",
     .type = OPTION_SECRET,
     .offset = AT(connection),
     .required = true,
     .help = "postgresql://user:password@host/database, or libpq's keywords"},
    {.key = "table",
     .type = OPTION_STRING,
     .offset = AT(table),
     .required = true,
     .help = "name or schema.name"},
    {.key = "columns",
     .type = OPTION_STRING_MAP,
     .offset = AT(columns),
     .required = true,
     .help = "name: template, or \"@{payload}\", which is what SELECT made; empty is NULL"},
    {.key = "on_conflict_do_nothing",
     .type = OPTION_BOOL,
     .offset = AT(on_conflict_do_nothing),
     .default_text = "false",
     .help = "rows whose key is there already are passed over"},
    ACTION_COMMON_OPTIONS("-1", "0s"),
};

static int check(const void *data, struct err *err) {
    const struct postgres_settings *settings = data;
    const struct conf *conf = settings->common.head.conf;
    const struct conf *columns = conf_get(conf, "columns");
    char *why = NULL;
    PQconninfoOption *parsed = PQconninfoParse(settings->connection, &why);
    int code = 0;
    if (!parsed)
        code = conf_error(conf_get(conf, "connection"), err, ERR_INVALID, "connection: %s", why);
    else if (settings->columns.count < 1 || settings->columns.count > COLUMNS_MAX)
        code = conf_error(columns ? columns : conf, err, ERR_INVALID,
                          "columns: there must be 1 to %d", COLUMNS_MAX);
    PQconninfoFree(parsed);
    PQfreemem(why);
    return code;
}

static void templates(const void *data, struct action_templates *templates) {
    const struct postgres_settings *settings = data;
    struct option_head head = {.conf = conf_get(settings->common.head.conf, "columns")};
    for (size_t i = 0; i < settings->columns.count; i++) {
        const struct option_pair *column = &settings->columns.items[i];
        bool is_payload = strcmp(column->value, "@{payload}") == 0;
        action_template_add(templates, is_payload ? "payload" : "value",
                            is_payload ? "" : column->value, &head, column->key);
    }
}

/* "a"."b" of a.b */
static void add_identifier(struct buf *out, struct str name, bool is_path) {
    buf_add_u8(out, '"');
    for (size_t i = 0; i < name.len; i++) {
        if (name.at[i] == '"')
            buf_add_u8(out, '"');
        if (is_path && name.at[i] == '.')
            buf_add_str(out, STR("\".\""));
        else
            buf_add_u8(out, (uint8_t)name.at[i]);
    }
    buf_add_u8(out, '"');
}

static char *insert_statement(const struct postgres_settings *settings) {
    struct buf out = {0};
    buf_add_str(&out, STR("INSERT INTO "));
    add_identifier(&out, str_of(settings->table), true);
    for (size_t i = 0; i < settings->columns.count; i++) {
        buf_add_str(&out, i ? STR(", ") : STR(" ("));
        add_identifier(&out, str_of(settings->columns.items[i].key), false);
    }
    for (size_t i = 0; i < settings->columns.count; i++)
        buf_printf(&out, "%s$%zu", i ? ", " : ") VALUES (", i + 1);
    buf_add_u8(&out, ')');
    if (settings->on_conflict_do_nothing)
        buf_add_str(&out, STR(" ON CONFLICT DO NOTHING"));
    char *text = str_dup(buf_str(&out));
    buf_done(&out);
    return text;
}

/* ---- a batch ---- */

static void settle_all(struct postgres *postgres, enum action_verdict verdict, const char *why) {
    struct action_item *const *items = postgres->items;
    size_t count = postgres->count;
    postgres->count = 0;
    for (size_t i = 0; i < count; i++)
        if (!items[i]->is_settled)
            action_item_settle(items[i], verdict, verdict == ACTION_OK ? NULL : "%s", why);
}

static void on_poll_closed(uv_handle_t *handle) {
    free(handle);
}

static void disconnect(struct postgres *postgres) {
    timer_stop(&postgres->timer);
    if (postgres->poll) {
        postgres->poll->data = NULL;
        uv_close((uv_handle_t *)postgres->poll, on_poll_closed);
    }
    PQfinish(postgres->connection);
    postgres->poll = NULL;
    postgres->connection = NULL;
    postgres->is_busy = false;
}

static void copy_why(char *why, const char *text) {
    size_t len = strcspn(text, "\r\n");
    if (len >= REASON_CHARS)
        len = REASON_CHARS - 1;
    memcpy(why, text, len);
    why[len] = '\0';
}

static void lose_connection(struct postgres *postgres, const char *text) {
    char why[REASON_CHARS];
    copy_why(why, text);
    disconnect(postgres);
    settle_all(postgres, ACTION_RETRY, why);
}

static void on_ready(uv_poll_t *poll, int status, int events);
static void on_late(struct timer *timer);
static void begin(struct postgres *postgres);

/* Writing goes on while libpq holds something back. */
static void watch(struct postgres *postgres) {
    int held = PQflush(postgres->connection);
    if (held < 0)
        lose_connection(postgres, PQerrorMessage(postgres->connection));
    else
        uv_poll_start(postgres->poll, UV_READABLE | (held ? UV_WRITABLE : 0), on_ready);
}

/* Undefined and Null are empty in a template. */
static const char *text_of(struct str value, struct buf *texts, size_t *offset) {
    if (!value.len)
        return NULL;
    *offset = buf_len(texts);
    buf_add_str(texts, value);
    buf_add_u8(texts, '\0');
    return "";
}

/* 1: sent; 0: it can never be sent, and is settled; negative: the connection is broken. */
static int send_row(struct postgres *postgres, struct action_item *item) {
    const char *values[COLUMNS_MAX];
    size_t offsets[COLUMNS_MAX] = {0}, column = 0;
    struct buf texts = {0};
    struct action_place place = {0};
    struct action_param param;
    bool has_zero = false;
    while (column < COLUMNS_MAX && action_param_next(&item->record.params, &place, &param)) {
        bool is_payload = str_eq(param.name, STR("payload"));
        struct str value = is_payload ? item->record.payload : param.value;
        has_zero |= str_find(value, '\0') < value.len;
        values[column] = text_of(value, &texts, &offsets[column]);
        column++;
    }
    for (size_t i = 0; i < column; i++)
        if (values[i])
            values[i] = (const char *)buf_at(&texts) + offsets[i];
    int sent = 0;
    if (column != postgres->settings->columns.count)
        action_item_settle(item, ACTION_FAILED, "made for other columns than the action has now");
    else if (has_zero)
        action_item_settle(item, ACTION_FAILED,
                           "a zero byte, which PostgreSQL's texts cannot hold");
    else
        sent =
            PQsendQueryPrepared(postgres->connection, STATEMENT, (int)column, values, NULL, NULL, 0)
                ? 1
                : -1;
    buf_done(&texts);
    return sent;
}

static void next_unsettled(struct postgres *postgres) {
    while (postgres->cursor < postgres->count && postgres->items[postgres->cursor]->is_settled)
        postgres->cursor++;
}

static void begin(struct postgres *postgres) {
    PGconn *connection = postgres->connection;
    size_t rows = 0;
    postgres->refused[0] = '\0';
    postgres->culprit = NULL;
    for (size_t i = 0; i < postgres->count; i++) {
        if (postgres->items[i]->is_settled)
            continue;
        int sent = send_row(postgres, postgres->items[i]);
        if (sent < 0) {
            lose_connection(postgres, PQerrorMessage(connection));
            return;
        }
        rows += (size_t)sent;
    }
    if (!rows) {
        postgres->count = 0;
        return;
    }
    if (!PQpipelineSync(connection)) {
        lose_connection(postgres, PQerrorMessage(connection));
        return;
    }
    postgres->cursor = 0;
    next_unsettled(postgres);
    postgres->is_busy = true;
    timer_start(postgres->loop, &postgres->timer, ANSWER_MS_MAX, 0, on_late);
    watch(postgres);
}

/* ---- its results ---- */

/* Classes of SQLSTATE (PostgreSQL, Appendix A): 22 data exceptions, 23 integrity constraints: the row
 * is what is wrong. */
static bool is_for_good(const PGresult *result) {
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    return state && state[0] == '2' && (state[1] == '2' || state[1] == '3');
}

static void on_refused(struct postgres *postgres, const PGresult *result) {
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    copy_why(postgres->refused, text ? text : PQresultErrorMessage(result));
    if (!postgres->refused[0])
        copy_why(postgres->refused, "refused without a reason");
    if (postgres->cursor < postgres->count && is_for_good(result))
        postgres->culprit = postgres->items[postgres->cursor];
}

static void on_sync(struct postgres *postgres) {
    postgres->is_busy = false;
    timer_stop(&postgres->timer);
    if (!postgres->refused[0]) {
        settle_all(postgres, ACTION_OK, NULL);
    } else if (postgres->culprit) {
        action_item_settle(postgres->culprit, ACTION_FAILED, "%s", postgres->refused);
        begin(postgres);
    } else {
        lose_connection(postgres, postgres->refused);
    }
}

/* A row's results end with a NULL; the Sync's is alone. */
static void take_results(struct postgres *postgres) {
    while (postgres->is_busy && !PQisBusy(postgres->connection)) {
        PGresult *result = PQgetResult(postgres->connection);
        if (!result) {
            postgres->cursor++;
            next_unsettled(postgres);
            continue;
        }
        ExecStatusType status = PQresultStatus(result);
        if (status == PGRES_FATAL_ERROR && !postgres->refused[0])
            on_refused(postgres, result);
        PQclear(result);
        if (status == PGRES_PIPELINE_SYNC)
            on_sync(postgres);
    }
}

static void on_ready(uv_poll_t *poll, int status, int events) {
    struct postgres *postgres = poll->data;
    if (!postgres || !postgres->connection)
        return;
    if ((status || (events & UV_READABLE)) && !PQconsumeInput(postgres->connection)) {
        lose_connection(postgres, PQerrorMessage(postgres->connection));
        return;
    }
    take_results(postgres);
    if (postgres->connection)
        watch(postgres);
}

static void on_late(struct timer *timer) {
    struct postgres *postgres = CONTAINER_OF(timer, struct postgres, timer);
    lose_connection(postgres, "no answer within 30 s");
}

/* ---- connecting ---- */

static void connect_on_pool(struct work *work) {
    struct postgres *postgres = CONTAINER_OF(work, struct postgres, work);
    const char *keys[] = {"connect_timeout", "client_encoding", "fallback_application_name",
                          "dbname", NULL};
    const char *values[] = {"10", "UTF8", "weir", postgres->settings->connection, NULL};
    PGconn *connection = PQconnectdbParams(keys, values, 1);
    if (PQstatus(connection) == CONNECTION_OK)
        PQclear(PQprepare(connection, STATEMENT, postgres->insert, 0, NULL));
    postgres->made = connection;
}

static bool is_usable(PGconn *connection) {
    return PQstatus(connection) == CONNECTION_OK && !*PQerrorMessage(connection) &&
           PQsetnonblocking(connection, 1) == 0 && PQenterPipelineMode(connection);
}

static void finish_close(struct timer *timer) {
    struct postgres *postgres = CONTAINER_OF(timer, struct postgres, timer);
    void (*closed)(void *data) = postgres->closed;
    void *data = postgres->closed_data;
    free(postgres->insert);
    free(postgres);
    closed(data);
}

static void on_connected(struct work *work) {
    struct postgres *postgres = CONTAINER_OF(work, struct postgres, work);
    postgres->is_connecting = false;
    postgres->connection = postgres->made;
    postgres->made = NULL;
    if (postgres->closed) {
        disconnect(postgres);
        timer_close(&postgres->timer, finish_close);
        return;
    }
    if (!is_usable(postgres->connection)) {
        lose_connection(postgres, PQerrorMessage(postgres->connection));
        return;
    }
    postgres->poll = xcalloc(1, sizeof *postgres->poll);
    int failed =
        uv_poll_init(loop_uv(postgres->loop), postgres->poll, PQsocket(postgres->connection));
    ASSERT(!failed);
    postgres->poll->data = postgres;
    begin(postgres);
}

/* ---- the target ---- */

static void on_send(struct action_target *target, struct action_item *const *items, size_t count) {
    struct postgres *postgres = CONTAINER_OF(target, struct postgres, target);
    postgres->items = items;
    postgres->count = count;
    if (postgres->connection) {
        begin(postgres);
        return;
    }
    postgres->is_connecting = true;
    loop_work(postgres->loop, &postgres->work, connect_on_pool, on_connected);
}

static void on_close(struct action_target *target, void (*closed)(void *data), void *data) {
    struct postgres *postgres = CONTAINER_OF(target, struct postgres, target);
    postgres->closed = closed;
    postgres->closed_data = data;
    if (postgres->is_connecting)
        return;
    disconnect(postgres);
    timer_close(&postgres->timer, finish_close);
}

static const struct action_target_ops target_ops = {.send = on_send, .close = on_close};

static int open_target(struct loop *loop, const struct action_services *services, const void *data,
                       struct action_target **ret_target, struct err *err) {
    struct postgres *postgres = xcalloc(1, sizeof *postgres);
    postgres->target.ops = &target_ops;
    postgres->settings = data;
    postgres->loop = loop;
    postgres->insert = insert_statement(data);
    *ret_target = &postgres->target;
    return 0;
}

const struct action_target_kind action_postgres = {
    .kind = {.name = "postgres",
             .failed_action = "PostgresAction",
             .options = options,
             .settings_size = sizeof(struct postgres_settings),
             .role_offset = offsetof(struct action_settings, role),
             .check = check,
             .templates = templates},
    .batch_items_max = 500,
    .batch_bytes_max = 4 * 1024 * 1024,
    .open = open_target,
};
