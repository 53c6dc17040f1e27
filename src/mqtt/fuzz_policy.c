/*
 * A policy from the configuration and a client's request against it: the policies as JSON, and
 * behind the first NUL what the client brings, the resource and, behind a second NUL, its id.
 */
#include "mqtt/policy_rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decide_all(const struct mqtt_policies *policies, struct str resource,
                       struct str client_id) {
    struct buf scratch = {0};
    const struct map_entry *entry;
    for (size_t i = 0; (entry = map_next(&policies->by_name, &i));)
        for (int action = 0; action < POLICY_ACTION_COUNT; action++) {
            struct policy_request request = {
                .action = (enum policy_action)action,
                .resource = resource,
                .values = {[POLICY_CLIENT_ID] = client_id, [POLICY_SOURCE_IP] = client_id},
                .connect_attributes = (uint8_t)(resource.len & 3)};
            policy_decide(entry->value, &request, &scratch);
        }
    buf_done(&scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str request, client_id, text = str_cut(str_from(data, size), '\0', &request);
    struct str resource = str_cut(request, '\0', &client_id);
    struct arena arena = {0};
    struct mqtt_policies *policies;
    struct err err;
    const struct conf *conf = conf_from_text(&arena, text);
    if (conf && policies_compile(conf, &policies, &err) == 0) {
        if (resource.at)
            decide_all(policies, resource, client_id);
        policies_unref(policies);
    }
    arena_done(&arena);
    return 0;
}
