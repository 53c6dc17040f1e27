#include "function/variables.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/mem.h"
#include "base/random.h"

static size_t find(const struct function_variables *variables, struct str name) {
    for (size_t i = 0; i < variables->count; i++) {
        struct str item = str_of(variables->items[i]);
        if (str_starts(item, name) && item.at[name.len] == '=')
            return i;
    }
    return variables->count;
}

static void set(struct function_variables *variables, const char *name, const char *value) {
    size_t at = find(variables, str_of(name));
    if (at == variables->count) {
        if (variables->count + 1 >= variables->cap) {
            variables->cap = variables->cap ? variables->cap * 2 : 64;
            variables->items =
                xrealloc(variables->items, variables->cap * sizeof *variables->items);
        }
        variables->items[++variables->count] = NULL;
    } else {
        free(variables->items[at]);
    }
    variables->items[at] = xprintf("%s=%s", name, value);
}

static void inherit(struct function_variables *variables) {
    static const char *const names[] = {"HOME", "TMPDIR", "LD_LIBRARY_PATH"};
    const char *path = getenv("PATH");
    set(variables, "PATH", path && path[0] ? path : "/usr/local/bin:/usr/bin:/bin");
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (getenv(names[i]))
            set(variables, names[i], getenv(names[i]));
}

static void set_defaults(struct function_variables *variables, const char *region) {
    static const char *const values[][2] = {
        {"TZ", ":UTC"},
        {"LANG", "en_US.UTF-8"},
        {"AWS_ACCESS_KEY_ID", "weir"},
        {"AWS_SECRET_ACCESS_KEY", "weir"},
        {"AWS_SESSION_TOKEN", "weir"},
        {"AWS_XRAY_CONTEXT_MISSING", "LOG_ERROR"},
    };
    for (size_t i = 0; i < COUNT_OF(values); i++)
        set(variables, values[i][0], values[i][1]);
    set(variables, "AWS_REGION", region);
    set(variables, "AWS_DEFAULT_REGION", region);
}

static void set_pairs(struct function_variables *variables, const struct option_pairs *pairs) {
    for (size_t i = 0; pairs && i < pairs->count; i++)
        set(variables, pairs->items[i].key, pairs->items[i].value);
}

/* "2026/11/23/[$LATEST]" and 32 hexadecimal digits: one log stream per environment. */
static void set_log_names(struct function_variables *variables, const char *function_name) {
    time_t now = time(NULL);
    struct tm tm;
    gmtime_r(&now, &tm);
    uint8_t id[16];
    random_bytes(id, sizeof id);
    struct buf text = {0};
    buf_printf(&text, "%04d/%02d/%02d/[$LATEST]", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
    hex_write(&text, str_from(id, sizeof id));
    set(variables, "AWS_LAMBDA_LOG_STREAM_NAME", buf_cstr(&text));
    buf_clear(&text);
    buf_printf(&text, "/aws/lambda/%s", function_name);
    set(variables, "AWS_LAMBDA_LOG_GROUP_NAME", buf_cstr(&text));
    buf_done(&text);
}

static void set_task_root(struct function_variables *variables, const char *directory) {
    char *here = realpath(directory ? directory : ".", NULL);
    set(variables, "LAMBDA_TASK_ROOT", here ? here : "/");
    free(here);
    set(variables, "LAMBDA_RUNTIME_DIR", "/var/runtime");
}

void function_variables_fill(struct function_variables *variables,
                             const struct function_host_config *host,
                             const struct function_config *config, const char *api_address) {
    char memory_mb[24];
    snprintf(memory_mb, sizeof memory_mb, "%" PRId64, config->memory_bytes >> 20);
    inherit(variables);
    set_defaults(variables, host->region);
    set_pairs(variables, host->default_environment);
    set_pairs(variables, &config->environment);
    set_task_root(variables, config->directory);
    set_log_names(variables, config->head.name);
    set(variables, "AWS_LAMBDA_FUNCTION_NAME", config->head.name);
    set(variables, "AWS_LAMBDA_FUNCTION_VERSION", "$LATEST");
    set(variables, "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", memory_mb);
    set(variables, "AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand");
    set(variables, "AWS_LAMBDA_RUNTIME_API", api_address);
    set(variables, "_HANDLER", config->handler ? config->handler : "bootstrap");
}

void function_variables_done(struct function_variables *variables) {
    for (size_t i = 0; i < variables->count; i++)
        free(variables->items[i]);
    free(variables->items);
    *variables = (struct function_variables){0};
}
