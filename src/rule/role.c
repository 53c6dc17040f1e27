#include "rule/role.h"

#include <stdlib.h>

#include "base/iam.h"
#include "base/mem.h"
#include "base/ref.h"

struct rule_roles {
    _Atomic unsigned references;
    struct iam_policies *policies;
    bool absent;
    char *region, *account;
};

int rule_roles_compile(const struct conf *conf, const char *region, const char *account,
                       struct rule_roles **ret_roles, struct err *err) {
    struct iam_policies *policies;
    int code = iam_policies_compile(conf, &policies, err);
    if (code)
        return code;
    struct rule_roles *roles = xcalloc(1, sizeof *roles);
    roles->references = 1;
    roles->policies = policies;
    roles->absent = !conf || conf->count == 0;
    roles->region = xstrdup(region);
    roles->account = xstrdup(account);
    *ret_roles = roles;
    return 0;
}

struct rule_roles *rule_roles_ref(struct rule_roles *roles) {
    if (roles)
        ref_take(&roles->references);
    return roles;
}

void rule_roles_unref(struct rule_roles *roles) {
    if (!roles || !ref_drop(&roles->references))
        return;
    iam_policies_free(roles->policies);
    free(roles->region);
    free(roles->account);
    free(roles);
}

bool rule_roles_absent(const struct rule_roles *roles) {
    return !roles || roles->absent;
}

const struct iam_policy *rule_roles_find(const struct rule_roles *roles, const char *name_or_arn) {
    const char *slash = strncmp(name_or_arn, "arn:", 4) == 0 ? strrchr(name_or_arn, '/') : NULL;
    return roles ? iam_policy_find(roles->policies, slash ? slash + 1 : name_or_arn) : NULL;
}

void rule_roles_add_arn(const struct rule_roles *roles, struct buf *out, const char *service) {
    buf_printf(out, "arn:aws:%s:%s:%s:", service, roles->region, roles->account);
}

int rule_role_check(const char *name, const struct iam_policy *role, struct str action,
                    struct str arn, struct err *why) {
    enum iam_decision decision = iam_decide(role, action, arn);
    if (decision == IAM_ALLOW)
        return 0;
    return err_set(why, ERR_DENIED, "the role %s %s %.*s on %.*s", name,
                   decision == IAM_EXPLICIT_DENY ? "denies" : "does not allow", STR_ARG(action),
                   STR_ARG(arn));
}
