/* aws_lambda(function, input): what a function answers (AWS IoT Core Developer Guide,
 * "aws_lambda(functionArn, inputJson)"). The call itself is made elsewhere, and the statement
 * evaluated again (calls.h). */
#include "flow/arn.h"
#include "rule/calls.h"
#include "rule/evaluate.h"
#include "rule/function.h"
#include "rule/set.h"

int rule_function_permit(const struct rule *rule, struct str function, struct err *why) {
    if (!rule->function_role)
        return 0;
    struct buf arn = {0};
    rule_roles_add_arn(rule->roles, &arn, "lambda");
    buf_printf(&arn, "function:%.*s", STR_ARG(function));
    int code = rule_role_check(rule->function_role_name, rule->function_role,
                               STR("lambda:InvokeFunction"), buf_str(&arn), why);
    buf_done(&arn);
    return code;
}

/* "aws_lambda: the function "NAME": WHY" */
static struct value fail(struct evaluation *evaluation, struct str arn, struct str why) {
    struct buf *text = evaluation->scratch;
    buf_printf(text, "aws_lambda: the function \"%.*s\": %.*s", STR_ARG(arn_function_name(arn)),
               STR_ARG(why));
    struct value made = rule_evaluation_take_scratch(evaluation);
    return rule_function_fail(evaluation, arn,
                              made.type == VALUE_STRING ? arena_strdup(evaluation->arena, made.text)
                                                        : "aws_lambda failed");
}

/* Nothing more is evaluated until the answer is there. */
static struct value wait_for_answer(struct evaluation *evaluation) {
    evaluation->exhausted = true;
    evaluation->effort_left = 0;
    return value_undefined();
}

static struct value call(struct evaluation *evaluation, struct str arn, struct str input) {
    struct rule_calls *calls = evaluation->environment->calls;
    const char *why;
    const struct call_answer *answer = rule_calls_get(calls, arn_function_name(arn), input, &why);
    if (why)
        return fail(evaluation, arn, str_of(why));
    if (!answer)
        return wait_for_answer(evaluation);
    if (!answer->ok)
        return fail(evaluation, arn, buf_str(&answer->text));
    return rule_value_from_json(evaluation, json_root(&answer->json));
}

struct value rule_function_aws_lambda(struct evaluation *evaluation, const struct value *args,
                                      size_t count) {
    const struct rule_calls *calls = evaluation->environment->calls;
    struct str arn = {0};
    struct err why;
    if (!rule_function_str(evaluation, args[0], &arn) || !arn_function_name(arn).len)
        return fail(evaluation, arn, STR("there is no name or ARN"));
    if (!calls)
        return fail(evaluation, arn, STR("no function can be called here"));
    if (args[1].type == VALUE_UNDEFINED)
        return fail(evaluation, arn, STR("what it is to be given is Undefined"));
    if (calls->rule && rule_function_permit(calls->rule, arn_function_name(arn), &why))
        return fail(evaluation, arn, str_of(why.text));
    rule_value_write(evaluation, evaluation->scratch, args[1]);
    struct value input = rule_evaluation_take_scratch(evaluation);
    return input.type == VALUE_STRING ? call(evaluation, arn, input.text) : input;
}
