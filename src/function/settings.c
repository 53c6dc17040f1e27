#include "function/settings.h"

#include <stddef.h>
#include <time.h>

#include "base/clock.h"

const struct option function_options[] = {
    {"command", OPTION_STRING_LIST, offsetof(struct function_config, command), .required = true,
     .help = "program and arguments"},
    {"directory", OPTION_STRING, offsetof(struct function_config, directory),
     .help = "working directory and LAMBDA_TASK_ROOT; default: Weir's own"},
    {"handler", OPTION_STRING, offsetof(struct function_config, handler),
     .default_text = "bootstrap", .help = "what the runtime finds in _HANDLER"},
    {"timeout", OPTION_DURATION, offsetof(struct function_config, timeout_ms), .default_text = "3s",
     .min = 1000, .max = 900000,
     .help = "an invocation that takes longer is killed and counts as failed"},
    {"memory_size", OPTION_SIZE, offsetof(struct function_config, memory_bytes),
     .default_text = "128MiB", .min = (int64_t)128 << 20, .max = (int64_t)10 << 30,
     .help = "a process whose resident set grows beyond it is killed"},
    {"concurrency", OPTION_INT, offsetof(struct function_config, concurrency), .default_text = "10",
     .min = 1, .max = 1000, .help = "processes at most"},
    {"environment", OPTION_STRING_MAP, offsetof(struct function_config, environment),
     .help = "variables for the process"},
    {0}};

static const char *const starting_positions[] = {"TRIM_HORIZON", "LATEST", "AT_TIMESTAMP", NULL};

const struct option function_mapping_options[] = {
    {"stream", OPTION_STRING, offsetof(struct function_mapping_config, stream), .required = true,
     .help = "a name of streams"},
    {"function", OPTION_STRING, offsetof(struct function_mapping_config, function),
     .required = true, .help = "a name of functions"},
    {"enabled", OPTION_BOOL, offsetof(struct function_mapping_config, enabled),
     .default_text = "true", .help = "false: keeps its checkpoints and reads nothing"},
    {"batch_size", OPTION_INT, offsetof(struct function_mapping_config, batch_size),
     .default_text = "100", .min = 1, .max = 10000, .help = "records per invocation at most"},
    {"maximum_batching_window", OPTION_DURATION,
     offsetof(struct function_mapping_config, batching_window_ms), .default_text = "0s",
     .max = 300000, .help = "how long a batch that is not full waits for more"},
    {"starting_position", OPTION_ENUM, offsetof(struct function_mapping_config, starting_position),
     .names = starting_positions, .required = true,
     .help = "where the mapping begins when it has no checkpoint yet"},
    {"starting_position_timestamp", OPTION_STRING,
     offsetof(struct function_mapping_config, starting_position_timestamp),
     .help = "for AT_TIMESTAMP: RFC 3339 or epoch seconds"},
    {"maximum_retry_attempts", OPTION_INT,
     offsetof(struct function_mapping_config, maximum_retry_attempts), .default_text = "-1",
     .min = -1, .max = 10000,
     .help = "retries of a failed batch before it is skipped; -1: for ever"},
    {"maximum_record_age", OPTION_DURATION,
     offsetof(struct function_mapping_config, maximum_record_age_ms), .default_text = "0s",
     .max = 604800000, .help = "older records are skipped; 0s: none is"},
    {"bisect_batch_on_function_error", OPTION_BOOL,
     offsetof(struct function_mapping_config, bisect_batch_on_function_error),
     .default_text = "false", .help = "retry a failed batch in halves"},
    {"deaggregate", OPTION_BOOL, offsetof(struct function_mapping_config, deaggregate),
     .default_text = "false",
     .help = "take records apart that the Kinesis Producer Library has packed into one"},
    {"function_response_types", OPTION_STRING_LIST,
     offsetof(struct function_mapping_config, function_response_types),
     .help = "[ReportBatchItemFailures]: the function tells from which record on it failed"},
    {"parallelization_factor", OPTION_LATER,
     .help = "one batch per shard at a time; more shards give more parallel batches"},
    {"filter_criteria", OPTION_LATER, .help = "filters are not part of this version"},
    {"destination_config", OPTION_LATER,
     .help = "on-failure destinations are not part of this version"},
    {"tumbling_window", OPTION_LATER, .help = "tumbling windows are not part of this version"},
    {0}};

/* ---- timestamps ---- */

/* Exactly `count` digits off the front. */
static bool take_digits(struct str *text, size_t count, int *ret_value) {
    uint64_t value;
    if (text->len < count || !str_to_u64(str_from(text->at, count), &value))
        return false;
    *text = str_skip(*text, count);
    *ret_value = (int)value;
    return true;
}

static bool take_char(struct str *text, const char *among) {
    if (!text->len || !strchr(among, text->at[0]))
        return false;
    *text = str_skip(*text, 1);
    return true;
}

/* ".25" to 250; nothing to 0. */
static bool take_fraction(struct str *text, unsigned *ret_ms) {
    unsigned ms = 0, scale = 100;
    if (take_char(text, ".")) {
        size_t digits = 0;
        for (; digits < text->len && text->at[digits] >= '0' && text->at[digits] <= '9'; digits++) {
            ms += (unsigned)(text->at[digits] - '0') * scale;
            scale /= 10;
        }
        if (!digits)
            return false;
        *text = str_skip(*text, digits);
    }
    *ret_ms = ms;
    return true;
}

/* "Z" or "+01:00", in seconds east of UTC. */
static bool take_offset(struct str *text, int *ret_seconds) {
    int hours = 0, minutes = 0;
    if (take_char(text, "Zz")) {
        *ret_seconds = 0;
        return true;
    }
    bool west = text->len && text->at[0] == '-';
    if (!take_char(text, "+-") || !take_digits(text, 2, &hours) || !take_char(text, ":") ||
        !take_digits(text, 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    *ret_seconds = (hours * 3600 + minutes * 60) * (west ? -1 : 1);
    return true;
}

static bool take_date_time(struct str *text, struct tm *ret_tm) {
    struct tm tm = {0};
    if (!take_digits(text, 4, &tm.tm_year) || !take_char(text, "-") ||
        !take_digits(text, 2, &tm.tm_mon) || !take_char(text, "-") ||
        !take_digits(text, 2, &tm.tm_mday) || !take_char(text, "Tt ") ||
        !take_digits(text, 2, &tm.tm_hour) || !take_char(text, ":") ||
        !take_digits(text, 2, &tm.tm_min) || !take_char(text, ":") ||
        !take_digits(text, 2, &tm.tm_sec))
        return false;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    struct tm asked = tm;
    if (tm.tm_sec > 59 || timegm(&tm) < 0)
        return false;
    /* timegm() carries what is out of range over: the 31st of June is no date. */
    *ret_tm = tm;
    return tm.tm_mday == asked.tm_mday && tm.tm_mon == asked.tm_mon &&
           tm.tm_hour == asked.tm_hour && tm.tm_min == asked.tm_min;
}

static int parse_rfc3339(struct str text, uint64_t *ret_ms) {
    struct tm tm;
    unsigned fraction_ms;
    int offset_s;
    if (!take_date_time(&text, &tm) || !take_fraction(&text, &fraction_ms) ||
        !take_offset(&text, &offset_s) || text.len)
        return ERR_INVALID;
    int64_t seconds = (int64_t)timegm(&tm) - offset_s;
    if (seconds < 0)
        return ERR_INVALID;
    *ret_ms = (uint64_t)seconds * 1000 + fraction_ms;
    return 0;
}

int function_timestamp_parse(struct str text, uint64_t *ret_ms) {
    struct str fraction;
    struct str whole = str_cut(text, '.', &fraction);
    uint64_t seconds;
    unsigned fraction_ms;
    enum { SECONDS_DIGITS_MAX = 11 };
    if (whole.len > SECONDS_DIGITS_MAX || !str_to_u64(whole, &seconds))
        return parse_rfc3339(text, ret_ms);
    struct str rest = str_skip(text, whole.len);
    if (!take_fraction(&rest, &fraction_ms) || rest.len)
        return ERR_INVALID;
    *ret_ms = seconds * 1000 + fraction_ms;
    return 0;
}

/* ---- checks ---- */

/* The place of an error, also for a settings struct that came from no file. */
static int complain(const struct option_head *head, const char *key, struct err *err,
                    const char *message) {
    const struct conf *at = conf_get(head->conf, key);
    if (!at)
        at = head->conf;
    return at ? conf_error(at, err, ERR_INVALID, "%s: %s", key, message)
              : err_set(err, ERR_INVALID, "%s: %s", key, message);
}

/* Whether user and default environments may not set this variable. */
static bool is_reserved(const char *name) {
    struct str text = str_of(name);
    return str_starts(text, STR("AWS_LAMBDA_")) || str_starts(text, STR("LAMBDA_")) ||
           str_eq(text, STR("_HANDLER"));
}

static bool is_variable_name(const char *name) {
    size_t len = strlen(name);
    return len && !strchr(name, '=') && !(name[0] >= '0' && name[0] <= '9');
}

static bool is_function_name(const char *name) {
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    size_t len = name ? strlen(name) : 0;
    return len >= 1 && len <= 64 && strspn(name, allowed) == len;
}

int function_config_check(const struct function_config *config, struct err *err) {
    if (!is_function_name(config->head.name))
        return complain(&config->head, "functions", err,
                        "a name of 1 to 64 letters, digits, - and _ is wanted");
    if (!config->command.count || !config->command.items[0][0])
        return complain(&config->head, "command", err, "a program is wanted");
    for (size_t i = 0; i < config->environment.count; i++) {
        const char *name = config->environment.items[i].key;
        if (!is_variable_name(name))
            return complain(&config->head, "environment", err,
                            "a name must not be empty, begin with a digit or contain \"=\"");
        if (is_reserved(name))
            return complain(&config->head, "environment", err,
                            "_HANDLER, LAMBDA_* and AWS_LAMBDA_* are set by the host");
    }
    return 0;
}

static int check_position(const struct function_mapping_config *config,
                          struct stream_position *ret_position, struct err *err) {
    static const enum stream_from from[] = {
        [FUNCTION_TRIM_HORIZON] = STREAM_TRIM_HORIZON,
        [FUNCTION_LATEST] = STREAM_LATEST,
        [FUNCTION_AT_TIMESTAMP] = STREAM_AT_TIMESTAMP,
    };
    struct stream_position position = {.from = from[config->starting_position]};
    const char *text = config->starting_position_timestamp;
    if ((config->starting_position == FUNCTION_AT_TIMESTAMP) != (text != NULL))
        return complain(&config->head, "starting_position_timestamp", err,
                        "it is needed with starting_position AT_TIMESTAMP, and only there");
    if (text && function_timestamp_parse(str_of(text), &position.timestamp_ms))
        return complain(&config->head, "starting_position_timestamp", err,
                        "a time is wanted, such as 2026-11-23T06:15:00Z or 1795414500");
    if (position.timestamp_ms > clock_wall_ms())
        return complain(&config->head, "starting_position_timestamp", err,
                        "it must not lie in the future");
    *ret_position = position;
    return 0;
}

int function_mapping_config_check(const struct function_mapping_config *config,
                                  struct stream_position *ret_position, bool *ret_reports_failures,
                                  struct err *err) {
    const struct option_strings *types = &config->function_response_types;
    for (size_t i = 0; i < types->count; i++)
        if (strcmp(types->items[i], "ReportBatchItemFailures") != 0)
            return complain(&config->head, "function_response_types", err,
                            "the only type is ReportBatchItemFailures");
    int failed = check_position(config, ret_position, err);
    if (!failed)
        *ret_reports_failures = types->count > 0;
    return failed;
}
