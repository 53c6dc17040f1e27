#include "app/targets.h"

#include <stdlib.h>

#include "base/mem.h"

struct names {
    struct sink_resolver resolver;
    const struct config *config;
    struct sink known; /* stands for every target that exists; nothing is pushed while checking */
};

static struct sink *find(struct sink_resolver *resolver, enum sink_kind kind, struct str name) {
    struct names *names = CONTAINER_OF(resolver, struct names, resolver);
    if (kind == SINK_ACTION)
        return &names->known; /* it is made for the action */
    char *text = str_dup(name);
    bool exists = kind == SINK_STREAM ? config_find_stream(names->config, text) != NULL
                                      : config_find_delivery(names->config, text) != NULL;
    free(text);
    return exists ? &names->known : NULL;
}

static int check_buckets(const struct config *config, struct err *err) {
    const struct action_specs *specs = rule_set_actions(config->rule_set);
    for (size_t i = 0; i < specs->count; i++) {
        const char *bucket = action_bucket_of(specs->items[i]);
        const struct conf *at = specs->items[i]->conf;
        if (bucket && !config_find_bucket(config, bucket))
            return conf_error(conf_get(at, "bucket_name"), err, ERR_NOT_FOUND,
                              "rule %.*s: there is no bucket \"%s\"",
                              STR_ARG(specs->items[i]->rule), bucket);
    }
    return 0;
}

int targets_check(const struct config *config, struct err *err) {
    static struct message_publisher publisher; /* present, and never called */
    struct names names = {
        .resolver.find = find, .config = config, .known.name = "a target of the configuration"};
    struct rule_engine_config engine_config = {
        .set = config->rule_set, .sinks = &names.resolver, .publisher = &publisher};
    struct rule_engine *engine = NULL;
    int code = rule_engine_new(&engine_config, &engine, err);
    rule_engine_free(engine);
    return code ? code : check_buckets(config, err);
}
