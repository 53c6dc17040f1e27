/*
 * Items without * before or among them go out as they are evaluated, one after the other: the plan has
 * made their keys JSON already, each of them once. An item behind * that has the key of a member of
 * the payload takes that member's place. All else is built as an object first.
 */
#include "rule/output.h"

#include "base/json_write.h"

enum { ITEMS_BEHIND_STAR_MAX = 16 };

static struct value output_value(const struct plan_output *output, struct evaluation *evaluation) {
    if (output->expression)
        return rule_evaluate_expression(output->expression, evaluation);
    struct value nested = rule_output_build(output->first, evaluation);
    return rule_value_count(nested) ? nested : value_undefined();
}

/* The members of the payload among the others; of the same name the later one stays. */
static void add_star(struct evaluation *evaluation, struct value_object *object, struct value all) {
    size_t before = object->count;
    for (struct value_cursor cursor = rule_value_each(all); rule_value_next(evaluation, &cursor);) {
        /* Only what stood before * can collide; the payload's own keys go through as they are. */
        if (before)
            rule_value_object_set(evaluation, object, cursor.key, cursor.value);
        else
            object->members[object->count++] = (struct value_member){cursor.key, cursor.value};
    }
}

struct value rule_output_build(const struct plan_output *outputs, struct evaluation *evaluation) {
    struct value all = {0};
    size_t cap = 0;
    for (const struct plan_output *output = outputs; output; output = output->next) {
        if (output->star)
            all = rule_evaluation_star(evaluation);
        cap += output->star ? rule_value_count(all) : 1;
    }
    /* Items beside * need an object to stand in. */
    if (all.type != VALUE_UNDEFINED && all.type != VALUE_OBJECT) {
        bool payload = !evaluation->scope;
        evaluation->payload_missed = evaluation->payload_missed || payload;
        evaluation->star_missed = evaluation->star_missed || payload;
        return value_undefined();
    }
    if (evaluation->star_missed)
        return value_undefined();
    struct value_object *object = rule_value_object_new(evaluation, cap);
    for (const struct plan_output *output = outputs; object && output; output = output->next) {
        if (output->star) {
            add_star(evaluation, object, all);
            continue;
        }
        struct value value = output_value(output, evaluation);
        if (value.type != VALUE_UNDEFINED)
            rule_value_object_set(evaluation, object, output->key, value);
    }
    return value_of_object(object);
}

/* --- straight to JSON --- */

static void write_member(struct evaluation *evaluation, struct buf *out,
                         const struct plan_output *output, struct value value) {
    if (value.type == VALUE_UNDEFINED)
        return;
    if (out->at[out->end - 1] != '{')
        buf_add_u8(out, ',');
    buf_add_str(out, output->written_key);
    rule_value_write(evaluation, out, value);
}

/* An item behind *, and whether it stands in the place of a member. */
struct item {
    struct value value;
    bool placed;
};

/* The item behind * with that key and a value; its index, or `count`. */
static size_t find_item(const struct plan_output *outputs, const struct item *items, size_t count,
                        struct json_value key) {
    for (size_t i = 0; i < count; i++, outputs = outputs->next)
        if (items[i].value.type != VALUE_UNDEFINED && json_str_eq(key, outputs->key))
            return i;
    return count;
}

static void write_payload_key(struct evaluation *evaluation, struct buf *out,
                              struct json_value key) {
    if (out->at[out->end - 1] != '{')
        buf_add_u8(out, ',');
    if (json_entry(key)->info & JSON_ESCAPED)
        json_write_plain_string(out, json_str(key, evaluation->arena));
    else
        buf_add_str(out, json_raw(key));
    buf_add_u8(out, ':');
}

/* The payload's members, each of them or an item in its place, and the items behind it. A payload
 * may have a key twice: the item takes the place of both. */
static void write_star(struct evaluation *evaluation, struct buf *out, struct value all,
                       const struct plan_output *outputs, size_t count) {
    struct item items[ITEMS_BEHIND_STAR_MAX];
    const struct plan_output *output = outputs;
    for (size_t i = 0; i < count; i++, output = output->next)
        items[i] = (struct item){.value = output_value(output, evaluation)};
    struct json_cursor cursor = json_each(all.json);
    while (rule_evaluation_spend(evaluation, 1) && json_next(&cursor)) {
        size_t place = find_item(outputs, items, count, cursor.key);
        if (place < count && items[place].placed)
            continue;
        write_payload_key(evaluation, out, cursor.key);
        if (place < count) {
            rule_value_write(evaluation, out, items[place].value);
            items[place].placed = true;
        } else {
            rule_value_write_json(evaluation, out, cursor.value);
        }
    }
    output = outputs;
    for (size_t i = 0; i < count; i++, output = output->next)
        if (!items[i].placed)
            write_member(evaluation, out, output, items[i].value);
}

static size_t count_items(const struct plan_output *output, bool *ret_star) {
    size_t count = 0;
    for (*ret_star = false; output; output = output->next) {
        *ret_star = *ret_star || output->star;
        count++;
    }
    return count;
}

void rule_output_write(const struct plan_output *outputs, struct evaluation *evaluation,
                       struct buf *out) {
    bool star;
    size_t count = count_items(outputs, &star);
    buf_add_u8(out, '{');
    if (!star) {
        for (; outputs; outputs = outputs->next)
            write_member(evaluation, out, outputs, output_value(outputs, evaluation));
        buf_add_u8(out, '}');
        return;
    }
    struct value all = {0};
    if (outputs->star && count - 1 <= ITEMS_BEHIND_STAR_MAX)
        all = rule_evaluation_star(evaluation);
    if (all.type == VALUE_OBJECT && all.view) {
        write_star(evaluation, out, all, outputs->next, count - 1);
        buf_add_u8(out, '}');
        return;
    }
    buf_clear(out);
    rule_value_write(evaluation, out, rule_output_build(outputs, evaluation));
}
