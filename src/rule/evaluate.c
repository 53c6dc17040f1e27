/*
 * The evaluator: walks a plan's tree, each node giving a value. It neither fails nor recurses
 * deeper than the tree, whose depth the parser bounds. What could make a message cost too much
 * (values built, members and items looked at) is counted; past a bound the evaluation is exhausted,
 * and the rule gives nothing for this message.
 */
#include "rule/evaluate.h"

#include "base/random.h"
#include "rule/calls.h"
#include "rule/output.h"

bool rule_evaluation_spend(struct evaluation *evaluation, size_t steps) {
    if (steps > evaluation->effort_left ||
        evaluation->arena->used_bytes > EVALUATION_MEMORY_BYTES_MAX)
        evaluation->exhausted = true;
    else
        evaluation->effort_left -= (unsigned)steps;
    return !evaluation->exhausted;
}

void *rule_evaluation_alloc(struct evaluation *evaluation, size_t size) {
    if (size > EVALUATION_MEMORY_BYTES_MAX - evaluation->arena->used_bytes ||
        evaluation->arena->used_bytes > EVALUATION_MEMORY_BYTES_MAX) {
        evaluation->exhausted = true;
        return NULL;
    }
    return arena_alloc(evaluation->arena, size);
}

struct value rule_evaluation_take_scratch(struct evaluation *evaluation) {
    struct buf *scratch = evaluation->scratch;
    size_t len = buf_len(scratch);
    char *copy = rule_evaluation_spend_bytes(evaluation, len)
                     ? rule_evaluation_alloc(evaluation, len)
                     : NULL;
    if (copy && len)
        memcpy(copy, buf_at(scratch), len);
    buf_clear(scratch);
    return copy ? value_string(str_from(copy, len)) : value_undefined();
}

size_t rule_evaluation_measure(struct evaluation *evaluation, struct value value) {
    rule_value_write(evaluation, evaluation->scratch, value);
    size_t len = buf_len(evaluation->scratch);
    rule_evaluation_spend_bytes(evaluation, len);
    buf_clear(evaluation->scratch);
    return len;
}

struct str rule_evaluation_trace_id(struct evaluation *evaluation) {
    if (evaluation->trace_id[0] == '\0')
        evaluation->environment->uuid(evaluation->environment, evaluation->trace_id);
    return str_from(evaluation->trace_id, UUID_CHARS);
}

static enum payload_state read_payload(struct evaluation *evaluation) {
    struct rule_payload *payload = evaluation->payload;
    if (payload->state != PAYLOAD_UNREAD)
        return payload->state;
    struct str text = evaluation->message->payload;
    payload->state = PAYLOAD_OTHER;
    payload->remembered = 0;
    if (text.len == 0) {
        payload->state = PAYLOAD_EMPTY;
    } else if (json_parse(&payload->json, text) == 0) {
        enum json_type type = json_type(json_root(&payload->json));
        if (type == JSON_OBJECT || type == JSON_ARRAY)
            payload->state = PAYLOAD_DOCUMENT;
    }
    return payload->state;
}

static struct value look_for_field(struct evaluation *evaluation, struct str name,
                                   bool *ret_lasts) {
    struct json_value root = json_root(&evaluation->payload->json);
    *ret_lasts = false;
    if (!rule_evaluation_spend(evaluation, json_count(root) / 8 + 1))
        return value_undefined();
    struct json_value member = json_member(root, name);
    *ret_lasts = member.json && !(json_entry(member)->info & JSON_ESCAPED);
    return rule_value_from_json(evaluation, member);
}

/* A field of the payload. */
static struct value payload_field(struct evaluation *evaluation, struct str name) {
    struct rule_payload *payload = evaluation->payload;
    enum payload_state state = read_payload(evaluation);
    if (state != PAYLOAD_DOCUMENT) {
        evaluation->payload_missed |= state == PAYLOAD_OTHER;
        return value_undefined();
    }
    unsigned place = name.len % FIELDS_REMEMBERED, bit = 1u << place;
    struct remembered_field *field = &payload->fields[place];
    if (payload->remembered & bit && field->version == evaluation->version &&
        str_eq(field->name, name))
        return field->value;
    bool lasts;
    struct value value = look_for_field(evaluation, name, &lasts);
    if (lasts && !evaluation->exhausted) {
        *field = (struct remembered_field){name, evaluation->version, value};
        payload->remembered |= bit;
    }
    return value;
}

/* What a name stands for: the element of the innermost query that has it, else a field of the
 * payload. */
static struct value look_up(struct evaluation *evaluation, struct str name) {
    for (const struct evaluation_scope *scope = evaluation->scope; scope; scope = scope->outer) {
        if (scope->name.len && str_eq(scope->name, name))
            return scope->element;
        struct value member = rule_value_member(evaluation, scope->element, name);
        if (member.type != VALUE_UNDEFINED)
            return member;
    }
    return payload_field(evaluation, name);
}

struct value rule_evaluation_star(struct evaluation *evaluation) {
    if (evaluation->scope)
        return evaluation->scope->element;
    switch (read_payload(evaluation)) {
    case PAYLOAD_DOCUMENT:
        return rule_value_from_json(evaluation, json_root(&evaluation->payload->json));
    case PAYLOAD_EMPTY:
        return value_of_object(rule_value_object_new(evaluation, 0));
    default:
        evaluation->payload_missed = evaluation->star_missed = true;
        return value_undefined();
    }
}

static struct value evaluate(const struct plan_expression *expression,
                             struct evaluation *evaluation) {
    return rule_evaluate_expression(expression, evaluation);
}

static struct value evaluate_members(struct evaluation *evaluation, struct value value,
                                     const struct str *names, size_t count) {
    for (size_t i = 0; i < count && value.type != VALUE_UNDEFINED; i++)
        value = rule_value_member(evaluation, value, names[i]);
    return value;
}

static struct value evaluate_path(const struct plan_expression *path,
                                  struct evaluation *evaluation) {
    struct value root = look_up(evaluation, path->names[0]);
    return evaluate_members(evaluation, root, path->names + 1, path->name_count - 1);
}

static struct value evaluate_call(const struct plan_expression *call,
                                  struct evaluation *evaluation) {
    struct value few[4], *args = few;
    if (call->count > COUNT_OF(few))
        args = rule_evaluation_alloc(evaluation, call->count * sizeof *args);
    /* What fails inside of get_or_default() does not fail the rule. */
    const char *failure = evaluation->failure;
    for (size_t i = 0; args && i < call->count; i++)
        args[i] = evaluate(&call->args[i], evaluation);
    if (call->function->call == rule_function_get_or_default)
        evaluation->failure = failure;
    if (evaluation->exhausted)
        return value_undefined();
    evaluation->call = call;
    return call->function->call(evaluation, args, call->count);
}

/* Operands that are neither Boolean nor "true" or "false" make the whole Undefined: `true OR
 * missing` as well. */
static struct value evaluate_logic(const struct plan_expression *expression,
                                   struct evaluation *evaluation) {
    bool left, right;
    if (!rule_value_to_boolean(evaluate(&expression->args[0], evaluation), &left))
        return value_undefined();
    if (expression->kind == PLAN_NOT)
        return value_boolean(!left);
    if (!rule_value_to_boolean(evaluate(&expression->args[1], evaluation), &right))
        return value_undefined();
    return value_boolean(expression->kind == PLAN_AND ? left && right : left || right);
}

static struct value evaluate_equality(const struct plan_expression *expression,
                                      struct evaluation *evaluation) {
    struct value left = evaluate(&expression->args[0], evaluation);
    struct value right = evaluate(&expression->args[1], evaluation);
    if (left.type == VALUE_UNDEFINED || right.type == VALUE_UNDEFINED)
        return value_undefined();
    return value_boolean(rule_value_equal(evaluation, left, right) ==
                         (expression->kind == PLAN_EQUAL));
}

static struct value evaluate_binary(const struct plan_expression *expression,
                                    struct evaluation *evaluation) {
    struct value left = evaluate(&expression->args[0], evaluation);
    struct value right = evaluate(&expression->args[1], evaluation);
    switch (expression->kind) {
    case PLAN_COMPARE:
        return rule_value_compare(evaluation, (enum value_comparison)expression->how, left, right);
    case PLAN_ARITHMETIC:
        return rule_value_arithmetic(evaluation, (enum value_arithmetic)expression->how, left,
                                     right);
    case PLAN_ADD:
        return rule_value_add(evaluation, left, right);
    default:
        return rule_value_in(evaluation, left, right);
    }
}

/* value[index], sugar for get(): a member of an object by a String, else an item or a character. */
static struct value evaluate_index(const struct plan_expression *expression,
                                   struct evaluation *evaluation) {
    struct value args[2] = {evaluate(&expression->args[0], evaluation),
                            evaluate(&expression->args[1], evaluation)};
    return rule_function_get(evaluation, args, 2);
}

/* args: the value, WHEN and THEN by turns, and ELSE if their number is even. An Undefined value
 * skips even ELSE. */
static struct value evaluate_case(const struct plan_expression *expression,
                                  struct evaluation *evaluation) {
    struct value value = evaluate(&expression->args[0], evaluation);
    if (value.type == VALUE_UNDEFINED)
        return value;
    for (size_t i = 1; i + 1 < expression->count; i += 2) {
        struct value when = evaluate(&expression->args[i], evaluation);
        if (when.type != VALUE_UNDEFINED && rule_value_equal(evaluation, value, when))
            return evaluate(&expression->args[i + 1], evaluation);
    }
    bool has_else = expression->count % 2 == 0;
    return has_else ? evaluate(&expression->args[expression->count - 1], evaluation)
                    : value_undefined();
}

static struct value evaluate_object(const struct plan_expression *expression,
                                    struct evaluation *evaluation) {
    struct value_object *object = rule_value_object_new(evaluation, expression->count);
    for (size_t i = 0; object && i < expression->count; i++) {
        struct value value = evaluate(&expression->args[i], evaluation);
        if (value.type != VALUE_UNDEFINED)
            rule_value_object_set(evaluation, object, expression->names[i], value);
    }
    return value_of_object(object);
}

static struct value evaluate_array(const struct plan_expression *expression,
                                   struct evaluation *evaluation) {
    struct value_array *array = rule_value_array_new(evaluation, expression->count);
    for (size_t i = 0; array && i < expression->count; i++) {
        struct value value = evaluate(&expression->args[i], evaluation);
        if (value.type != VALUE_UNDEFINED)
            array->items[array->count++] = value;
    }
    return value_of_array(array);
}

/* --- what SELECT makes --- */

static bool is_true(struct value value) {
    bool truth;
    return rule_value_to_boolean(value, &truth) && truth;
}

static struct value select_value(const struct plan_select *select, struct evaluation *evaluation) {
    if (select->star_alone)
        return rule_evaluation_star(evaluation);
    if (select->value)
        return evaluate(select->value, evaluation);
    return rule_output_build(select->outputs, evaluation);
}

/* --- nested queries --- */

/* What the query makes of one element; Undefined if WHERE does not let it pass. */
static struct value query_element(const struct plan_select *query, struct evaluation *evaluation,
                                  struct value element, bool *ret_passed) {
    struct evaluation_scope scope = {element, query->element, evaluation->scope};
    evaluation->scope = &scope;
    *ret_passed = !query->where || is_true(evaluate(query->where, evaluation));
    struct value made = *ret_passed ? select_value(query, evaluation) : value_undefined();
    evaluation->scope = scope.outer;
    return made;
}

/* Over an array: an array of what passes. Over an object: one value. */
static struct value evaluate_query(const struct plan_select *query, struct evaluation *evaluation) {
    struct value source = evaluate(query->source, evaluation);
    bool passed;
    if (source.type == VALUE_OBJECT)
        return query_element(query, evaluation, source, &passed);
    if (source.type != VALUE_ARRAY)
        return value_undefined();
    struct value_array *array = rule_value_array_new(evaluation, rule_value_count(source));
    struct value_cursor cursor = rule_value_each(source);
    while (array && rule_value_next(evaluation, &cursor)) {
        struct value made = query_element(query, evaluation, cursor.value, &passed);
        if (made.type != VALUE_UNDEFINED)
            array->items[array->count++] = made;
    }
    return value_of_array(array);
}

static struct value evaluate_exists(const struct plan_select *query,
                                    struct evaluation *evaluation) {
    struct value source = evaluate(query->source, evaluation);
    bool passed = false;
    if (source.type == VALUE_OBJECT)
        query_element(query, evaluation, source, &passed);
    else if (source.type != VALUE_ARRAY)
        return value_undefined();
    struct value_cursor cursor = rule_value_each(source);
    while (source.type == VALUE_ARRAY && !passed && rule_value_next(evaluation, &cursor))
        query_element(query, evaluation, cursor.value, &passed);
    return value_boolean(passed);
}

/* --- the whole --- */

struct value rule_evaluate_expression(const struct plan_expression *expression,
                                      struct evaluation *evaluation) {
    if (!rule_evaluation_spend(evaluation, 1))
        return value_undefined();
    switch (expression->kind) {
    case PLAN_CONSTANT:
        return expression->constant;
    case PLAN_PATH:
        return evaluate_path(expression, evaluation);
    case PLAN_STAR:
        return rule_evaluation_star(evaluation);
    case PLAN_BYTES:
        return value_string(evaluation->message->payload);
    case PLAN_VARIABLE:
        return evaluation->variables[expression->index];
    case PLAN_MEMBER:
        return evaluate_members(evaluation, evaluate(expression->args, evaluation),
                                expression->names, expression->name_count);
    case PLAN_INDEX:
        return evaluate_index(expression, evaluation);
    case PLAN_NEGATE:
        return rule_value_negate(evaluation, evaluate(expression->args, evaluation));
    case PLAN_NOT:
    case PLAN_AND:
    case PLAN_OR:
        return evaluate_logic(expression, evaluation);
    case PLAN_EQUAL:
    case PLAN_NOT_EQUAL:
        return evaluate_equality(expression, evaluation);
    case PLAN_COMPARE:
    case PLAN_ARITHMETIC:
    case PLAN_ADD:
    case PLAN_IN:
        return evaluate_binary(expression, evaluation);
    case PLAN_CALL:
        return evaluate_call(expression, evaluation);
    case PLAN_CAST:
        return rule_value_cast(evaluation, (enum value_cast)expression->how,
                               evaluate(expression->args, evaluation));
    case PLAN_CASE:
        return evaluate_case(expression, evaluation);
    case PLAN_OBJECT:
        return evaluate_object(expression, evaluation);
    case PLAN_ARRAY:
        return evaluate_array(expression, evaluation);
    case PLAN_QUERY:
        return evaluate_query(expression->query, evaluation);
    case PLAN_EXISTS:
        return evaluate_exists(expression->query, evaluation);
    }
    return value_undefined();
}

static void evaluate_variables(const struct plan *plan, struct evaluation *evaluation) {
    if (plan->variable_count == 0)
        return;
    evaluation->variables =
        rule_evaluation_alloc(evaluation, PLAN_VARIABLES_MAX * sizeof *evaluation->variables);
    size_t bytes = 0;
    for (size_t i = 0; evaluation->variables && i < plan->variable_count; i++) {
        struct value value = evaluate(plan->variables[i], evaluation);
        if (value.type >= VALUE_STRING)
            bytes += rule_evaluation_measure(evaluation, value);
        evaluation->variables[i] = value;
    }
    if (bytes > EVALUATION_VALUE_BYTES_MAX)
        evaluation->exhausted = true;
}

/* SELECT VALUE in 2015-10-08 gives a scalar or nothing. */
static void write_value(const struct plan *plan, struct evaluation *evaluation, struct buf *out) {
    struct value value = select_value(&plan->select, evaluation);
    bool scalar = value.type != VALUE_ARRAY && value.type != VALUE_OBJECT;
    if (scalar || plan->version == RULE_VERSION_2016_03_23)
        rule_value_write(evaluation, out, value);
}

/* Where an answer is wanted, the evaluation has been ended by exhausting it. */
static enum rule_outcome end_early(const struct evaluation *evaluation) {
    const struct rule_calls *calls = evaluation->environment->calls;
    return calls && calls->wanted ? RULE_PENDING : RULE_EXHAUSTED;
}

enum rule_outcome rule_evaluate_statement(const struct plan *plan, struct evaluation *evaluation,
                                          struct buf *out, struct str *ret_payload) {
    evaluate_variables(plan, evaluation);
    bool passed = !plan->select.where || is_true(evaluate(plan->select.where, evaluation));
    if (evaluation->exhausted)
        return end_early(evaluation);
    if (evaluation->failure)
        return RULE_FAILED;
    if (!passed)
        return RULE_NOTHING;
    if (plan->select.star_alone) {
        *ret_payload = evaluation->message->payload;
        return RULE_RESULT;
    }
    buf_clear(out);
    if (plan->select.value)
        write_value(plan, evaluation, out);
    else
        rule_output_write(plan->select.outputs, evaluation, out);
    if (evaluation->star_missed)
        return RULE_UNREADABLE;
    if (evaluation->exhausted)
        return end_early(evaluation);
    if (evaluation->failure)
        return RULE_FAILED;
    *ret_payload = buf_str(out);
    return RULE_RESULT;
}
