/* What of AWS's permissions an action needs, and whether its role has it (AWS IoT Core Developer Guide,
 * "AWS IoT rule actions": each action's requirements). */
#include "rule/set.h"

/* The resource is the service's ARN, this kind and the target's name. */
static const struct permission {
    const char *action, *service, *kind;
} permissions[] = {
    [RULE_ACTION_KINESIS] = {"kinesis:PutRecord", "kinesis", "stream/"},
    [RULE_ACTION_FIREHOSE] = {"firehose:PutRecord", "firehose", "deliverystream/"},
    [RULE_ACTION_REPUBLISH] = {"iot:Publish", "iot", "topic/"},
};

int rule_action_permit(const struct rule *rule, const struct rule_action *action, struct str target,
                       struct err *why) {
    ASSERT(action->kind != RULE_ACTION_OUTSIDE);
    const struct permission *permission = &permissions[action->kind];
    bool batch = action->kind == RULE_ACTION_FIREHOSE && action->batch;
    struct buf arn = {0};
    rule_roles_add_arn(rule->roles, &arn, permission->service);
    buf_add_str(&arn, str_of(permission->kind));
    buf_add_str(&arn, target);
    int code = rule_role_check(action->role_name, action->role,
                               batch ? STR("firehose:PutRecordBatch") : str_of(permission->action),
                               buf_str(&arn), why);
    buf_done(&arn);
    return code;
}
