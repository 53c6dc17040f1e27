/* SQL text, and the same as a template, through lexer, parser and planner in both versions. */
#include "rule/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    for (enum rule_version version = RULE_VERSION_2015_10_08; version <= RULE_VERSION_2016_03_23;
         version++) {
        struct arena arena = {0};
        struct err err;
        struct plan *plan, none = {.version = version};
        struct rule_template template;
        rule_plan_statement(&arena, str_from(data, size), version, &plan, &err);
        rule_template_compile(&arena, str_from(data, size), &none, &template, &err);
        arena_done(&arena);
    }
    return 0;
}
