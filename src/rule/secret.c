#include "rule/secret.h"

#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/ref.h"

struct rule_secrets {
    _Atomic unsigned references;
    struct arena arena;
    struct map by_name; /* struct rule_secret */
};

struct rule_secrets *rule_secrets_new(void) {
    struct rule_secrets *secrets = xcalloc(1, sizeof *secrets);
    secrets->references = 1;
    return secrets;
}

struct rule_secrets *rule_secrets_ref(struct rule_secrets *secrets) {
    if (secrets)
        ref_take(&secrets->references);
    return secrets;
}

void rule_secrets_unref(struct rule_secrets *secrets) {
    if (!secrets || !ref_drop(&secrets->references))
        return;
    struct map_entry *entry;
    for (size_t at = 0; (entry = map_next(&secrets->by_name, &at));) {
        struct rule_secret *secret = entry->value;
        explicit_bzero((char *)secret->bytes.at, secret->bytes.len);
        json_done(&secret->json);
    }
    map_done(&secrets->by_name);
    arena_done(&secrets->arena);
    free(secrets);
}

void rule_secrets_add(struct rule_secrets *secrets, const char *name, struct str bytes) {
    struct rule_secret *secret = arena_zalloc(&secrets->arena, sizeof *secret);
    secret->name = arena_strdup(&secrets->arena, str_of(name));
    secret->bytes = str_from(arena_strdup(&secrets->arena, bytes), bytes.len);
    secret->is_json = json_parse(&secret->json, secret->bytes) == 0;
    map_put(&secrets->by_name, str_of(secret->name), secret);
}

/* arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME-XXXXXX, where AWS has made up the last six. */
static struct str name_in_arn(struct str arn) {
    enum { PARTS = 6 };
    struct str rest = arn;
    for (int i = 0; i < PARTS; i++)
        str_cut(rest, ':', &rest);
    return rest;
}

const struct rule_secret *rule_secrets_find(const struct rule_secrets *secrets,
                                            struct str name_or_arn) {
    enum { SUFFIX = 7 };
    bool is_arn = str_starts(name_or_arn, STR("arn:"));
    struct str name = is_arn ? name_in_arn(name_or_arn) : name_or_arn;
    const struct rule_secret *found = secrets ? map_get(&secrets->by_name, name) : NULL;
    if (!found && is_arn && secrets && name.len > SUFFIX && name.at[name.len - SUFFIX] == '-')
        found = map_get(&secrets->by_name, str_from(name.at, name.len - SUFFIX));
    return found;
}
