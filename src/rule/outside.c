#include "rule/outside.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "rule/document.h"

const struct action_kind *rule_outside_kind(const struct action_kind *const *kinds,
                                            const char *name) {
    for (; kinds && *kinds; kinds++)
        if (strcmp((*kinds)->name, name) == 0)
            return *kinds;
    return NULL;
}

/* The rule lives longer than the configuration, so the settings are read from a copy. */
static int read_settings(const struct rule_outside *outside, const struct conf *conf,
                         struct action_spec *spec, struct err *err) {
    struct arena *arena = &outside->rule->arena;
    struct conf *copy = conf_clone(arena, conf);
    void *settings = arena_zalloc(arena, spec->kind->settings_size);
    if (outside->from_client)
        rule_document_rename(copy, spec->kind->options);
    spec->conf = copy;
    spec->settings = settings;
    int result = option_load(arena, spec->kind->options, copy, settings, err);
    if (result == 0 && spec->kind->check)
        result = spec->kind->check(settings, err);
    return result;
}

static const char *log_name(const struct rule_outside *outside, const char *kind) {
    char text[RULE_NAME_CHARS_MAX + 64];
    snprintf(text, sizeof text, "%.*s-%s-%s", STR_ARG(outside->rule->name), outside->number, kind);
    return arena_strdup(&outside->rule->arena, str_of(text));
}

static int compile_params(struct rule *rule, struct rule_action *action,
                          const struct action_templates *templates, struct err *err) {
    action->params = arena_zalloc(&rule->arena, templates->count * sizeof *action->params);
    action->param_count = templates->count;
    for (size_t i = 0; i < templates->count; i++) {
        const struct action_template *from = &templates->items[i];
        struct rule_param *param = &action->params[i];
        struct err inner = {0};
        param->name = str_of(from->name);
        struct str text = str_of(arena_strdup(&rule->arena, str_of(from->text)));
        int result =
            rule_template_compile(&rule->arena, text, rule->plan, &param->template, &inner);
        if (result < 0)
            return conf_error(from->at, err, result, "rule %.*s: %s %s", STR_ARG(rule->name),
                              from->name, inner.text);
    }
    return 0;
}

static int compile_templates(struct rule *rule, struct rule_action *action, struct err *err) {
    const struct action_spec *spec = action->outside;
    struct action_templates *templates = xcalloc(1, sizeof *templates);
    templates->arena = &rule->arena;
    spec->kind->templates(spec->settings, templates);
    int result = templates->count > ACTION_PARAMS_MAX
                     ? conf_error(spec->conf, err, ERR_INVALID,
                                  "rule %.*s: more than %d texts in one action",
                                  STR_ARG(rule->name), ACTION_PARAMS_MAX)
                     : compile_params(rule, action, templates, err);
    free(templates);
    return result;
}

static void ref_rule(void *owner) {
    rule_ref(owner);
}

static void unref_rule(void *owner) {
    rule_unref(owner);
}

int rule_outside_compile(const struct rule_outside *outside, const struct conf *conf,
                         struct rule_action *action, const char **ret_role, struct err *err) {
    struct rule *rule = outside->rule;
    const struct action_kind *kind = rule_outside_kind(outside->kinds, conf->keys[0].text);
    if (!kind)
        return conf_error(conf, err, ERR_UNSUPPORTED,
                          "rule %.*s: the action %s is not available here", STR_ARG(rule->name),
                          conf->keys[0].text);
    struct action_spec *spec = arena_zalloc(&rule->arena, sizeof *spec);
    *spec = (struct action_spec){
        .kind = kind,
        .log = log_name(outside, kind->name),
        .rule = rule->name,
        .is_error_action = outside->is_error_action,
        .has_error_action = outside->has_error_action,
        .owner = rule,
        .ref = ref_rule,
        .unref = unref_rule,
    };
    action->kind = RULE_ACTION_OUTSIDE;
    action->outside = spec;
    int result = read_settings(outside, conf->items[0], spec, err);
    if (result == 0) {
        *ret_role = *(const char *const *)((const char *)spec->settings + kind->role_offset);
        result = compile_templates(rule, action, err);
    }
    return result;
}

/* Its settings have their defaults; `conf` tells one version of the rule from the next. */
const struct action_spec *rule_outside_statement(struct rule *rule,
                                                 const struct action_kind *const *kinds,
                                                 const struct conf *conf, struct err *err) {
    const struct action_kind *kind = rule_outside_kind(kinds, "statement");
    const struct rule_outside outside = {.rule = rule, .number = "0"};
    if (!kind)
        return NULL;
    struct action_spec *spec = arena_zalloc(&rule->arena, sizeof *spec);
    void *settings = arena_zalloc(&rule->arena, kind->settings_size);
    int code = option_load(&rule->arena, kind->options, NULL, settings, err);
    ASSERT(!code);
    *spec = (struct action_spec){
        .kind = kind,
        .settings = settings,
        .conf = conf_clone(&rule->arena, conf),
        .log = log_name(&outside, kind->name),
        .rule = rule->name,
        .has_error_action = rule->error_action != NULL,
        .owner = rule,
        .ref = ref_rule,
        .unref = unref_rule,
    };
    return spec;
}

int rule_outside_permit(const struct rule *rule, const struct rule_action *action,
                        const struct action_params *params, struct err *why) {
    const struct action_kind *kind = action->outside->kind;
    struct buf arn = {0};
    if (!action->role || !kind->permission)
        return 0;
    kind->arn(params, &arn);
    int code = rule_role_check(action->role_name, action->role, str_of(kind->permission),
                               buf_str(&arn), why);
    buf_done(&arn);
    return code;
}

/* ---- all of a set ---- */

static void take(const struct action_spec **items, size_t *count, const struct action_spec *spec) {
    if (!spec)
        return;
    if (items)
        items[*count] = spec;
    ++*count;
}

static size_t walk(const struct rule_set *set, const struct action_spec **items) {
    size_t count = 0;
    for (size_t i = 0; i < set->count; i++) {
        const struct rule *rule = set->rules[i];
        take(items, &count, rule->statement);
        for (size_t j = 0; j < rule->action_count; j++)
            take(items, &count, rule->actions[j].outside);
        take(items, &count, rule->error_action ? rule->error_action->outside : NULL);
    }
    return count;
}

void rule_outside_collect(struct rule_set *set) {
    size_t count = walk(set, NULL);
    const struct action_spec **items = xcalloc(count, sizeof *items);
    walk(set, items);
    set->actions = (struct action_specs){items, count};
}
