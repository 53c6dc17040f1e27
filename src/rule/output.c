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

/* The item behind * with that key and a value; its index, or `count`. */
static size_t find_item(const struct plan_output *items, const struct value *values, size_t count,
                        struct json_value key) {
    for (size_t i = 0; i < count; i++, items = items->next)
        if (values[i].type != VALUE_UNDEFINED && json_str_eq(key, items->key))
            return i;
    return count;
}

/* The payload's members, each of them as it stands or an item in its place, and the items behind it. */
static void write_star(struct evaluation *evaluation, struct buf *out, struct value all,
                       const struct plan_output *items, size_t count) {
    struct value values[ITEMS_BEHIND_STAR_MAX];
    const struct plan_output *item = items;
    for (size_t i = 0; i < count; i++, item = item->next)
        values[i] = output_value(item, evaluation);
    struct value_cursor cursor = rule_value_each(all);
    while (rule_evaluation_spend(evaluation, 1) && json_next(&cursor.json)) {
        if (out->at[out->end - 1] != '{')
            buf_add_u8(out, ',');
        buf_add_str(out, json_raw(cursor.json.key));
        buf_add_u8(out, ':');
        size_t place = find_item(items, values, count, cursor.json.key);
        if (place == count) {
            rule_value_write_json(evaluation, out, cursor.json.value);
        } else {
            rule_value_write(evaluation, out, values[place]);
            values[place] = value_undefined();
        }
    }
    item = items;
    for (size_t i = 0; i < count; i++, item = item->next)
        write_member(evaluation, out, item, values[i]);
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
