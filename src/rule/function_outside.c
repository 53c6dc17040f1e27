/*
 * Functions that reach outside of the message. They can fail, which is more than Undefined: the whole rule
 * gives nothing for the message, unless get_or_default() stands around them (AWS IoT Core Developer Guide,
 * "Functions").
 */
#include "base/base64.h"
#include "rule/evaluate.h"
#include "rule/function.h"
#include "rule/role.h"
#include "rule/secret.h"

static struct value fail(struct evaluation *evaluation, const struct err *why) {
    evaluation->failure = arena_strdup(evaluation->arena, str_of(why->text));
    return value_undefined();
}

static struct value fail_with(struct evaluation *evaluation, const char *what, struct str name) {
    struct err why;
    err_set(&why, ERR_NOT_FOUND, "get_secret: %s \"%.*s\"", what, STR_ARG(name));
    return fail(evaluation, &why);
}

/* Roles count where some are configured. */
static int check_role(struct evaluation *evaluation, struct str role_name,
                      const struct rule_secret *secret, struct err *why) {
    const struct rule_roles *roles = evaluation->roles;
    if (rule_roles_absent(roles))
        return 0;
    const char *name = arena_strdup(evaluation->arena, role_name);
    const struct iam_policy *role = rule_roles_find(roles, name);
    if (!role)
        return err_set(why, ERR_DENIED, "get_secret: there is no role \"%s\"", name);
    struct buf arn = {0};
    rule_roles_add_arn(roles, &arn, "secretsmanager");
    buf_printf(&arn, "secret:%s", secret->name);
    int code =
        rule_role_check(name, role, STR("secretsmanager:GetSecretValue"), buf_str(&arn), why);
    buf_done(&arn);
    return code;
}

/* The member `key` of a secret that is a JSON object, or, without a key, all of it. */
static struct value secret_string(struct evaluation *evaluation, const struct rule_secret *secret,
                                  const struct str *key) {
    struct json_value root = json_root(&secret->json);
    if (!key)
        return secret->is_json && json_type(root) >= JSON_ARRAY
                   ? rule_value_from_json(evaluation, root)
                   : value_string(secret->bytes);
    struct json_value member = secret->is_json ? json_member(root, *key) : (struct json_value){0};
    if (json_type(member) == JSON_ABSENT)
        return fail_with(evaluation, "the secret is no JSON object with the key", *key);
    return rule_value_from_json(evaluation, member);
}

/* get_secret(id, 'SecretString' or 'SecretBinary'[, key], role) */
struct value rule_function_get_secret(struct evaluation *evaluation, const struct value *args,
                                      size_t count) {
    struct str id, type, key = {0}, role;
    struct err why;
    bool texts = rule_function_str(evaluation, args[0], &id) &&
                 rule_function_str(evaluation, args[1], &type) &&
                 rule_function_str(evaluation, args[count - 1], &role) &&
                 (count == 3 || rule_function_str(evaluation, args[2], &key));
    if (!texts)
        return fail_with(evaluation, "an argument has no text:", STR(""));
    const struct rule_secret *secret = rule_secrets_find(evaluation->secrets, id);
    if (!secret)
        return fail_with(evaluation, "there is no secret", id);
    if (check_role(evaluation, role, secret, &why))
        return fail(evaluation, &why);
    if (str_eq(type, STR("SecretString")))
        return secret_string(evaluation, secret, count == 4 ? &key : NULL);
    if (!str_eq(type, STR("SecretBinary")) || count == 4)
        return fail_with(evaluation,
                         "with a key only SecretString is possible, without one also "
                         "SecretBinary; not",
                         type);
    base64_write(evaluation->scratch, secret->bytes);
    return rule_evaluation_take_scratch(evaluation);
}
