/*
 * Functions that reach outside of the message. They can fail, which is more than Undefined: the
 * whole rule gives nothing for the message, unless get_or_default() stands around them (AWS IoT
 * Core Developer Guide, "Functions").
 */
#include "base/base64.h"
#include "rule/evaluate.h"
#include "rule/function.h"
#include "rule/role.h"
#include "rule/secret.h"

struct value rule_function_fail(struct evaluation *evaluation, struct str resource,
                                const char *why) {
    evaluation->failure = arena_strdup(evaluation->arena, str_of(why));
    evaluation->failed_function = evaluation->call->function->name;
    evaluation->failed_resource = str_from(arena_strdup(evaluation->arena, resource), resource.len);
    return value_undefined();
}

/* "FUNCTION: WHAT "NAME"" */
static struct value fail_with(struct evaluation *evaluation, const char *what, struct str name) {
    struct err why;
    err_set(&why, ERR_NOT_FOUND, "%s: %s \"%.*s\"", evaluation->call->function->name, what,
            STR_ARG(name));
    return rule_function_fail(evaluation, name, why.text);
}

/* Roles count where some are configured. `resource` is the tail of the service's ARN. */
static int check_role(struct evaluation *evaluation, struct str role_name, const char *action,
                      const char *service, struct str resource, struct err *why) {
    const struct rule_roles *roles = evaluation->roles;
    if (rule_roles_absent(roles))
        return 0;
    const char *name = arena_strdup(evaluation->arena, role_name);
    const struct iam_policy *role = rule_roles_find(roles, name);
    if (!role)
        return err_set(why, ERR_DENIED, "%s: there is no role \"%s\"",
                       evaluation->call->function->name, name);
    struct buf arn = {0};
    rule_roles_add_arn(roles, &arn, service);
    buf_add_str(&arn, resource);
    int code = rule_role_check(name, role, str_of(action), buf_str(&arn), why);
    buf_done(&arn);
    return code;
}

static int check_secret_role(struct evaluation *evaluation, struct str role_name,
                             const struct rule_secret *secret, struct err *why) {
    struct buf resource = {0};
    buf_printf(&resource, "secret:%s", secret->name);
    int code = check_role(evaluation, role_name, "secretsmanager:GetSecretValue", "secretsmanager",
                          buf_str(&resource), why);
    buf_done(&resource);
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
    if (check_secret_role(evaluation, role, secret, &why))
        return rule_function_fail(evaluation, id, why.text);
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

/* --- things and shadows --- */

/* One that was read for this rule and message: asked for again it is the same. */
struct evaluation_document {
    struct evaluation_document *next;
    struct str resource; /* "thing/NAME" or "thing/NAME/SHADOW" */
    bool shadow;
    struct json json;
};

static void done_document(void *data) {
    json_done(&((struct evaluation_document *)data)->json);
}

static int read_document(struct evaluation *evaluation, bool shadow, struct str thing,
                         struct str name, struct buf *out) {
    const struct rule_environment *environment = evaluation->environment;
    if (shadow)
        return environment->thing_shadow ? environment->thing_shadow(environment, thing, name, out)
                                         : ERR_NOT_FOUND;
    return environment->thing ? environment->thing(environment, thing, out) : ERR_NOT_FOUND;
}

static struct value add_document(struct evaluation *evaluation, bool shadow, struct str resource,
                                 struct str text) {
    struct evaluation_document *document = rule_evaluation_alloc(evaluation, sizeof *document);
    if (!document)
        return value_undefined();
    *document = (struct evaluation_document){
        .next = evaluation->documents, .resource = resource, .shadow = shadow};
    arena_defer(evaluation->arena, done_document, document);
    if (json_parse(&document->json, text))
        return fail_with(evaluation, "what is kept is damaged:", resource);
    evaluation->documents = document;
    return rule_value_from_json(evaluation, json_root(&document->json));
}

static struct value document_value(struct evaluation *evaluation, bool shadow, struct str thing,
                                   struct str name, struct str resource) {
    unsigned count = 0;
    for (struct evaluation_document *at = evaluation->documents; at; at = at->next, count++)
        if (at->shadow == shadow && str_eq(at->resource, resource))
            return rule_value_from_json(evaluation, json_root(&at->json));
    if (count == EVALUATION_DOCUMENTS_MAX)
        return fail_with(evaluation, "too many were read before", resource);
    int code = read_document(evaluation, shadow, thing, name, evaluation->scratch);
    struct value text = rule_evaluation_take_scratch(evaluation);
    if (code == ERR_NOT_FOUND)
        return fail_with(evaluation, shadow ? "there is no shadow" : "there is no thing",
                         str_skip(resource, strlen("thing/")));
    if (code)
        return fail_with(evaluation, err_text(code), str_skip(resource, strlen("thing/")));
    if (text.type != VALUE_STRING)
        return text;
    return add_document(evaluation, shadow, resource, text.text);
}

/* "thing/NAME[/SHADOW]" */
static struct str resource_of(struct evaluation *evaluation, struct str thing, struct str name) {
    buf_printf(evaluation->scratch, "thing/%.*s", STR_ARG(thing));
    if (name.len)
        buf_printf(evaluation->scratch, "/%.*s", STR_ARG(name));
    return rule_evaluation_take_scratch(evaluation).text;
}

/* get_thing_shadow(thing[, shadow], role) */
struct value rule_function_get_thing_shadow(struct evaluation *evaluation, const struct value *args,
                                            size_t count) {
    struct str thing, role, name = {0};
    struct err why;
    bool texts = rule_function_str(evaluation, args[0], &thing) &&
                 rule_function_str(evaluation, args[count - 1], &role) &&
                 (count == 2 || rule_function_str(evaluation, args[1], &name));
    if (!texts || (count == 3 && !name.len))
        return fail_with(evaluation, "an argument has no text:", STR(""));
    struct str resource = resource_of(evaluation, thing, name);
    if (check_role(evaluation, role, "iot:GetThingShadow", "iot", resource, &why))
        return rule_function_fail(evaluation, str_skip(resource, strlen("thing/")), why.text);
    return document_value(evaluation, true, thing, name, resource);
}

/* get_registry_data('DescribeThing', thing, role): the plan has looked at the first. */
struct value rule_function_get_registry_data(struct evaluation *evaluation,
                                             const struct value *args, size_t count) {
    struct str thing, role;
    struct err why;
    if (!rule_function_str(evaluation, args[1], &thing) ||
        !rule_function_str(evaluation, args[2], &role))
        return fail_with(evaluation, "an argument has no text:", STR(""));
    struct str resource = resource_of(evaluation, thing, (struct str){0});
    if (check_role(evaluation, role, "iot:DescribeThing", "iot", resource, &why))
        return rule_function_fail(evaluation, str_skip(resource, strlen("thing/")), why.text);
    return document_value(evaluation, false, thing, (struct str){0}, resource);
}
