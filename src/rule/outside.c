#include "rule/outside.h"

#include <stdio.h>

static const struct action_kind *find_kind(const struct action_kind *const *kinds,
                                           const char *name) {
    for (; kinds && *kinds; kinds++)
        if (strcmp((*kinds)->name, name) == 0)
            return *kinds;
    return NULL;
}

/* The set lives longer than the configuration, so the settings are read from a copy. */
static int read_settings(const struct rule_outside *outside, struct action_spec *spec,
                         struct err *err) {
    void *settings = arena_zalloc(outside->arena, spec->kind->settings_size);
    int result = option_load(outside->arena, spec->kind->options, spec->conf, settings, err);
    spec->settings = settings;
    if (result == 0 && spec->kind->check)
        result = spec->kind->check(settings, err);
    return result;
}

static const char *log_name(const struct rule_outside *outside, const char *kind) {
    char text[RULE_NAME_CHARS_MAX + 64];
    snprintf(text, sizeof text, "%s-%s-%s", outside->rule, outside->number, kind);
    return arena_strdup(outside->arena, str_of(text));
}

static int compile_params(const struct rule_outside *outside, struct rule_action *action,
                          const struct action_templates *templates, struct err *err) {
    action->params = arena_zalloc(outside->arena, templates->count * sizeof *action->params);
    action->param_count = templates->count;
    for (size_t i = 0; i < templates->count; i++) {
        const struct action_template *from = &templates->items[i];
        struct rule_param *param = &action->params[i];
        struct err inner = {0};
        param->name = str_of(from->name);
        struct str text = str_of(arena_strdup(outside->arena, str_of(from->text)));
        int result =
            rule_template_compile(outside->arena, text, outside->plan, &param->template, &inner);
        if (result < 0)
            return conf_error(from->at, err, result, "rule %s: %s %s", outside->rule, from->name,
                              inner.text);
    }
    return 0;
}

static int compile_templates(const struct rule_outside *outside, struct rule_action *action,
                             struct err *err) {
    const struct action_spec *spec = action->outside;
    struct action_templates *templates = arena_zalloc(outside->arena, sizeof *templates);
    templates->arena = outside->arena;
    spec->kind->templates(spec->settings, templates);
    if (templates->count > ACTION_PARAMS_MAX)
        return conf_error(spec->conf, err, ERR_INVALID, "rule %s: more than %d texts in one action",
                          outside->rule, ACTION_PARAMS_MAX);
    return compile_params(outside, action, templates, err);
}

int rule_outside_compile(const struct rule_outside *outside, const struct conf *conf,
                         struct rule_action *action, struct err *err) {
    const struct action_kind *kind = find_kind(outside->kinds, conf->keys[0].text);
    if (!kind)
        return conf_error(conf, err, ERR_UNSUPPORTED,
                          "rule %s: the action %s is not available here", outside->rule,
                          conf->keys[0].text);
    struct action_spec *spec = arena_zalloc(outside->arena, sizeof *spec);
    *spec = (struct action_spec){
        .kind = kind,
        .conf = conf_clone(outside->arena, conf->items[0]),
        .log = log_name(outside, kind->name),
        .rule = str_of(arena_strdup(outside->arena, str_of(outside->rule))),
        .is_error_action = outside->is_error_action,
        .has_error_action = outside->has_error_action,
    };
    action->kind = RULE_ACTION_OUTSIDE;
    action->outside = spec;
    int result = read_settings(outside, spec, err);
    return result ? result : compile_templates(outside, action, err);
}

/* ---- all of a set ---- */

static void ref_set(void *owner) {
    rule_set_ref(owner);
}

static void unref_set(void *owner) {
    rule_set_unref(owner);
}

static void take(struct action_spec *items, size_t *count, const struct rule_action *action) {
    if (!action || !action->outside)
        return;
    if (items)
        items[*count] = *action->outside;
    ++*count;
}

static size_t walk(const struct rule_set *set, struct action_spec *items) {
    size_t count = 0;
    for (size_t i = 0; i < set->count; i++) {
        for (size_t j = 0; j < set->rules[i].action_count; j++)
            take(items, &count, &set->rules[i].actions[j]);
        take(items, &count, set->rules[i].error_action);
    }
    return count;
}

void rule_outside_collect(struct rule_set *set) {
    size_t count = walk(set, NULL);
    struct action_spec *items = arena_zalloc(&set->arena, count * sizeof *items);
    walk(set, items);
    set->actions = (struct action_specs){
        .items = items, .count = count, .owner = set, .ref = ref_set, .unref = unref_set};
}
